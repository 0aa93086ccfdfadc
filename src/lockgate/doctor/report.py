"""Findings of the health checks, and the exit code that follows from them. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lockgate.errors import BadConfiguration, IntegrityBroken, LockgateError, StateConflict, Unavailable


class Weight(StrEnum):
    """How bad a finding is: something to know, something to set right, or bytes that are not what they were."""

    WARNING = "warning"
    WRONG = "wrong"
    INTEGRITY = "integrity"


@dataclass(frozen=True)
class Finding:
    """What is wrong and what to do about it. `repair` does that, where it is safe, and says what it did."""

    says: str
    hint: str = ""
    weight: Weight = Weight.WRONG
    repair: Callable[[], str] | None = None


@dataclass(frozen=True)
class Checked:
    """What one checker came to: its findings, or the refusal that kept it from looking."""

    name: str
    findings: Sequence[Finding] = ()
    refusal: LockgateError | None = None


@dataclass(frozen=True)
class Examination:
    """All checkers, as they stand after the repairs that were made."""

    checked: Sequence[Checked]
    repaired: Sequence[str] = ()

    @property
    def findings(self) -> list[Finding]:
        """Everything that was found, in the order of the checkers."""
        return [finding for each in self.checked for finding in each.findings]

    def ending(self) -> LockgateError | None:
        """The refusal that the command ends with: the worst of what is left, None if nothing is."""
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
    things = [f"{left} thing{'' if left == 1 else 's'} left to set right"] if left else []
    checks = [f"{unchecked} check{'' if unchecked == 1 else 's'} could not be made"] if unchecked else []
    return ", ".join(things + checks)


def _next_step(left: Sequence[Finding], refusals: Sequence[LockgateError]) -> str:
    if any(finding.repair for finding in left):
        return "set right what is safe with: lockgate doctor --repair"
    return next((refusal.hint for refusal in refusals if refusal.hint), "see the hints above")
