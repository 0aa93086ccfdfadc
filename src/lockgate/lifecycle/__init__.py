"""Stages, legal moves, decisions, invariants, retention. Pure: no I/O."""
