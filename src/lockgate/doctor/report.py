"""Findings of the health checks, and the exit code that follows from them. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lockgate.errors import BadConfiguration, IntegrityBroken, LockgateError, StateConflict, Unavailable


class Weight(StrEnum):
    """How serious a finding is: a warning, a wrong state, or changed bytes."""

    WARNING = "warning"
    WRONG = "wrong"
    INTEGRITY = "integrity"


@dataclass(frozen=True)
class Finding:
    """A problem, with a hint. `repair` is the safe repair, if there is one; it returns a message of what it did."""

    message: str
    hint: str = ""
    weight: Weight = Weight.WRONG
    repair: Callable[[], str] | None = None


@dataclass(frozen=True)
class Checked:
    """The result of one check: its findings, or the refusal that stopped it."""

    name: str
    findings: Sequence[Finding] = ()
    refusal: LockgateError | None = None


@dataclass(frozen=True)
class Examination:
    """The results of all checks after the repairs, and the repairs."""

    checked: Sequence[Checked]
    repaired: Sequence[str] = ()

    @property
    def findings(self) -> list[Finding]:
        """All findings, in the order of the checks."""
        return [finding for each in self.checked for finding in each.findings]

    def ending(self) -> LockgateError | None:
        """The error with which the command ends, by the most serious finding; None without a finding."""
        left = [finding for finding in self.findings if finding.weight is not Weight.WARNING]
        refusals = [each.refusal for each in self.checked if each.refusal]
        broken = any(finding.weight is Weight.INTEGRITY for finding in left)
        kinds = {IntegrityBroken} if broken else {type(refusal) for refusal in refusals}
        if not left and not refusals:
            return None
        worst = next((kind for kind in WORST_FIRST if kind in kinds), StateConflict)
        return worst(_counted(len(left), len(refusals)), hint=_next_step(left, refusals))


WORST_FIRST: list[type[LockgateError]] = [IntegrityBroken, Unavailable, BadConfiguration]


def _counted(left: int, unchecked: int) -> str:
    things = [f"{left} finding{'' if left == 1 else 's'} to repair"] if left else []
    checks = [f"{unchecked} check{'' if unchecked == 1 else 's'} could not run"] if unchecked else []
    return ", ".join(things + checks)


def _next_step(left: Sequence[Finding], refusals: Sequence[LockgateError]) -> str:
    if any(finding.repair for finding in left):
        return "make the safe repairs with: lockgate doctor --repair"
    return next((refusal.hint for refusal in refusals if refusal.hint), "see the hints above")
