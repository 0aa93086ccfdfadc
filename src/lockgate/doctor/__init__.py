"""`lockgate doctor`: named checkers that look at everything, what they find, and the repairs that are safe.

In import order: findings (the words), judging (pure), site (what is looked at); then a file for each kind of checker;
rounds runs them all.
"""
