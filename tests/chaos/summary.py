"""A report as a person reads it."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from chaos.run import Report


def told(report: Report) -> str:
    """Operations, answers, faults, violations, and how to see it again."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    plan = report.plan
    yield f"chaos: {report.seconds:.0f} s, seed {plan.seed}, {plan.workers} workers"
    yield ""
    yield f"{report.operations.total()} operations, {report.moves} stage changes in {report.commits} commits"
    kinds: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (kind, answer), count in report.operations.items():
        kinds[kind][answer] += count
    for kind, answers in sorted(kinds.items()):
        yield f"  {kind:<26}{answers.total():>5}   {_counted(answers)}"
    yield ""
    yield f"{report.strikes.total()} faults from outside: {_counted(report.strikes)}"
    yield f"{report.struck.total()} kills at named points, {report.deaths} commands said again after a kill"
    yield f"{report.looks} looks written down by the observer"
    yield f"{len(report.repaired)} things left by kills and lost replies, and repaired by doctor"
    yield ""
    yield f"{len(report.violations)} violations"
    for violation in report.violations:
        yield f"  {violation}"
    if report.violations:
        again = f"SEED={plan.seed} SECONDS={plan.seconds:g} WORKERS={plan.workers}"
        yield f"to see it again: make chaos {again}"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
