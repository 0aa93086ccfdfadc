"""The invariants of a model's life cycle; each checker yields its violations. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.lifecycle.model_state import ModelState
from lockgate.lifecycle.stages import LEGAL_MOVES, Command, Stage

MIRRORED = {"production": Stage.PRODUCTION, "staging": Stage.STAGING}


@dataclass(frozen=True)
class Facts:
    """The input of the checkers. The last three are violations that the database found, already as messages."""

    state: ModelState
    aliases: Mapping[str, int]
    guard_faults: Sequence[str] = field(default=())
    ledger_breaks: Sequence[str] = field(default=())
    unearned: Sequence[str] = field(default=())


Checker = Callable[[Facts], Iterator[str]]


def broken(facts: Facts) -> list[str]:
    """A line for each violation, with the name of the invariant."""
    return [f"{name}: {message}" for name, check in CHECKERS.items() for message in check(facts)]


def _one_version_in_production(facts: Facts) -> Iterator[str]:
    state = facts.state
    found = [str(registered.version) for registered in state.versions if registered.stage is Stage.PRODUCTION]
    if len(found) > 1:
        yield f"versions {', '.join(found)} are in Production"
    left = [entry for entry in state.ledger if Stage.PRODUCTION in (entry.from_stage, entry.to_stage)]
    if not found and left and left[-1].command != Command.RETIRE:
        yield "none is in Production, and one was before"


def _ledger_tells_every_stage(facts: Facts) -> Iterator[str]:
    state = facts.state
    last = {entry.version: entry.to_stage for entry in state.ledger}
    for registered in state.versions:
        recorded = last.get(registered.version, Stage.NONE)
        if recorded is not registered.stage:
            yield f"version {registered.version} is in {registered.stage}, the ledger says {recorded}"


def _every_move_was_legal(facts: Facts) -> Iterator[str]:
    for entry in facts.state.ledger:
        if entry.command not in LEGAL_MOVES.get((entry.from_stage, entry.to_stage), frozenset()):
            yield (
                f"version {entry.version} went from {entry.from_stage} to {entry.to_stage} by {entry.actor}"
                f" ({entry.command}) at {entry.at:%F %T %Z}"
            )


def _aliases_mirror_the_stages(facts: Facts) -> Iterator[str]:
    state, aliases = facts.state, facts.aliases
    for alias, stage in MIRRORED.items():
        holders = [registered.version for registered in state.versions if registered.stage is stage]
        holder = max(holders, default=None)
        if aliases.get(alias) != holder:
            points_to = f"version {aliases[alias]}" if alias in aliases else "nothing"
            yield f"alias {alias} points to {points_to}, " + (
                f"not to version {holder}" if holder else "the stage is empty"
            )


def _guard_is_whole(facts: Facts) -> Iterator[str]:
    yield from facts.guard_faults


def _ledger_is_whole(facts: Facts) -> Iterator[str]:
    yield from facts.ledger_breaks


def _production_was_earned(facts: Facts) -> Iterator[str]:
    yield from facts.unearned


CHECKERS: dict[str, Checker] = {
    "one version in Production": _one_version_in_production,
    "ledger tells every stage": _ledger_tells_every_stage,
    "every move was legal": _every_move_was_legal,
    "aliases mirror the stages": _aliases_mirror_the_stages,
    "guard is whole": _guard_is_whole,
    "ledger is whole": _ledger_is_whole,
    "Production was earned": _production_was_earned,
}
