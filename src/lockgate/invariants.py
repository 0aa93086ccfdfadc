"""What must be true of a model at every moment. Each checker yields what it finds broken. Pure."""

from collections.abc import Callable, Iterator, Mapping

from lockgate.lifecycle import LEGAL_MOVES, Roster, Stage

Aliases = Mapping[str, int]
Checker = Callable[[Roster, Aliases], Iterator[str]]

MIRRORED = {"production": Stage.PRODUCTION, "staging": Stage.STAGING}


def broken(roster: Roster, aliases: Aliases) -> list[str]:
    """A line for each broken invariant."""
    return [f"{name}: {says}" for name, check in CHECKERS.items() for says in check(roster, aliases)]


def _one_version_in_production(roster: Roster, _: Aliases) -> Iterator[str]:
    found = [str(registered.version) for registered in roster.versions if registered.stage is Stage.PRODUCTION]
    if len(found) > 1:
        yield f"versions {', '.join(found)} are"
    if not found and any(roster.past_production()):
        yield "none is, and there has been one"


def _ledger_tells_every_stage(roster: Roster, _: Aliases) -> Iterator[str]:
    last = {entry.version: entry.to_stage for entry in roster.ledger}
    for registered in roster.versions:
        told = last.get(registered.version, Stage.NONE)
        if told is not registered.stage:
            yield f"version {registered.version} is in {registered.stage}, the ledger says {told}"


def _every_move_was_legal(roster: Roster, _: Aliases) -> Iterator[str]:
    for entry in roster.ledger:
        if entry.command not in LEGAL_MOVES.get((entry.from_stage, entry.to_stage), frozenset()):
            yield (
                f"version {entry.version} went from {entry.from_stage} to {entry.to_stage} by {entry.actor}"
                f" ({entry.command}) at {entry.at:%F %T %Z}"
            )


def _aliases_mirror_the_stages(roster: Roster, aliases: Aliases) -> Iterator[str]:
    for alias, stage in MIRRORED.items():
        holders = [registered.version for registered in roster.versions if registered.stage is stage]
        holder = max(holders, default=None)
        if aliases.get(alias) != holder:
            points_to = f"version {aliases[alias]}" if alias in aliases else "nothing"
            yield f"alias {alias} points to {points_to}, " + (
                f"not to version {holder}" if holder else "the stage is empty"
            )


CHECKERS: dict[str, Checker] = {
    "one version in Production": _one_version_in_production,
    "ledger tells every stage": _ledger_tells_every_stage,
    "every move was legal": _every_move_was_legal,
    "aliases mirror the stages": _aliases_mirror_the_stages,
}
