"""The list of all health checks; runs them once and makes the safe repairs."""

from collections.abc import Callable, Iterator, Mapping

from lockgate.doctor import artifacts, folders, prediction_log, receipts, registry, server
from lockgate.doctor.context import Site
from lockgate.doctor.report import Checked, Examination, Finding
from lockgate.errors import LockgateError
from lockgate.lifecycle import invariants

Checker = Callable[[Site], Iterator[Finding]]

CHECKERS: dict[str, Checker] = {
    "MLflow server answers": server.mlflow_answers,
    "own server is safe": server.settings,
    "login has its rights": registry.role,
    "schema lockgate fits": registry.schema,
    "clocks agree": registry.clock,
    **{name: registry.invariant(check) for name, check in invariants.CHECKERS.items()},
    "guard is whole": registry.guard_is_whole,
    "ledger is whole": registry.ledger_is_whole,
    "aliases mirror the stages": registry.aliases_mirror_the_stages,
    "records are in MLflow": registry.records,
    "receipt holds": receipts.receipt,
    "files are whole": artifacts.artifacts,
    "no dead intents": registry.intents,
    "no dead runs": registry.runs,
    "gc has finished": registry.remains,
    "predictions are stored": prediction_log.flows,
    "folders are private": folders.private,
}


def examine(site: Site, repair: bool, checkers: Mapping[str, Checker] = CHECKERS) -> Examination:
    """Run every check; with `repair`, make the safe repairs, then run every check again."""
    first = Examination(_round(site, checkers))
    repairs = [finding for finding in first.findings if finding.repair]
    if not (repair and repairs):
        return first
    done = list(dict.fromkeys(map(_repaired, repairs)))
    return Examination(_round(site.without_cache(), checkers), done)


def _round(site: Site, checkers: Mapping[str, Checker]) -> list[Checked]:
    return [_checked(name, check, site) for name, check in checkers.items()]


def _checked(name: str, check: Checker, site: Site) -> Checked:
    """The findings of a check, until its end or until a refusal stopped it."""
    findings: list[Finding] = []
    try:
        findings.extend(check(site))
    except LockgateError as refusal:
        return Checked(name, findings, refusal)
    return Checked(name, findings)


def _repaired(finding: Finding) -> str:
    try:
        return finding.repair() if finding.repair else ""
    except LockgateError as refusal:
        return f"nothing, because the repair failed: {finding.message}: {refusal}"
