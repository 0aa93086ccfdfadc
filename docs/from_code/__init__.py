"""Fills the parts of the pages that come from the code: `make reference`.

A page marks such a part by the comments `from the code: NAME` and `end`. The sentences stand in the code: in the help
of a command, the docstring of a class, the lines below a key, the comment of a table.
"""
