"""Chaos: real processes use and abuse a real stack while faults strike, and a checker holds what came out to the rules.

In reading order: bundles, scene (what it plays on); journal, raw, operations, points, worker (who acts); proxy, faults
(what strikes); witness, evidence, rules (who judges, and by what); run (all of it together); plants (bugs that must be
caught). docs/explanation/chaos.md says how to use and extend it.
"""
