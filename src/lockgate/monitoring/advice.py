"""The next command after a round of the monitor. Pure."""

from dataclasses import dataclass

from lockgate.monitoring.findings import Findings
from lockgate.monitoring.replayed import Replay
from lockgate.monitoring.rules import ERRORS, State


@dataclass(frozen=True)
class Advice:
    """The next command and why; `rolls_back` if it is a rollback."""

    command: str
    why: str
    rolls_back: bool = False


def reason_of(findings: Findings) -> str:
    """The reason of a rollback: the rules that blame the version, in one line."""
    return "alert: " + "; ".join(f"{rule.name}: {rule.says}" for rule in findings.blames_version)


def advice(findings: Findings, earlier: Replay | None, no_replay: str = "") -> Advice:
    """The next command; `earlier` is the last good version on the same rows, `no_replay` says why there is none."""
    if not findings.firing:
        return _calm(findings)
    names = ", ".join(rule.name for rule in findings.firing)
    if [rule.name for rule in findings.firing] == [ERRORS]:
        return Advice("lockgate history", "requests were refused: see what changed; /metrics counts them by status")
    if not findings.blames_version:
        return Advice("dvc repro", f"{names} fired: train and validate a version on newer data")
    if earlier is not None and earlier.would_be == "better":
        short = ", ".join(rule.name for rule in findings.blames_version)
        why = f"version {earlier.version} would have been better on the same rows"
        return Advice(f'lockgate rollback --reason "alert: {short}"', why, rolls_back=True)
    why = no_replay if earlier is None else f"version {earlier.version} would not have been better"
    return Advice("dvc repro", f"{names} fired; {why or 'there is no earlier good version'}")


def _calm(findings: Findings) -> Advice:
    states = {rule.state for rule in findings.rules}
    if not findings.volume.asked and not findings.volume.scored:
        return Advice("lockgate predict --input FILE --output FILE", "no forecast is in the log of these windows")
    if State.WAITING in states or (State.UNKNOWN in states and findings.volume.waiting):
        return Advice("lockgate truth load FILE", f"{findings.volume.waiting} forecasts have no truth yet")
    if State.UNKNOWN in states:
        return Advice("lockgate monitor --window 7d", "a rule is unknown: longer windows hold more rows")
    return Advice("lockgate status", "no rule fires")
