"""`status`, `list`, `show`, `verdict`: the current state of a model's versions, read from Postgres without mlflow."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lockgate.cli.common_options import (
    VERSION,
    as_json,
    command,
    for_reading,
    params,
    print_json,
    say,
    session,
    table,
    workspace,
)
from lockgate.errors import GateRefused, LockgateError, StateConflict, WrongUsage
from lockgate.lifecycle.stages import Stage
from lockgate.problem.metrics import METRICS
from lockgate.problem.params import MonitorParams
from lockgate.reports.texts import cell, number, when
from lockgate.system import project, service_urls, timeouts

if TYPE_CHECKING:
    from lockgate.database.approvals import Approval
    from lockgate.database.ledger import LedgerRow
    from lockgate.database.verdicts import StoredVerdict
    from lockgate.operations.status import Line, Portrait, Status

MOST_FAULTS = 5  # in one message
NEXT = "see all, and what repairs them, with: lockgate doctor; see what happened with: lockgate history"


@command("status", example="lockgate status --json")
@as_json
def status(as_json: bool, timeout: float) -> None:
    """Show which version is in which stage.

    The command ends with exit code 5 if a rule is broken, or if the version in Production is too old
    (monitor.production_days).
    """
    from lockgate.operations import status

    found, now = status.status(for_reading(timeout)), datetime.now(UTC)
    if as_json:
        print_json(asdict(found))
    else:
        _show_status(found)
        _show_local_cluster()
    if found.broken:
        hidden = len(found.broken) - MOST_FAULTS
        more = [f"and {hidden} more"] if hidden > 0 else []
        raise StateConflict("; ".join([*found.broken[:MOST_FAULTS], *more]), hint=NEXT)
    if found.serving and (age := too_old(found.serving_since, now, params().monitor)):
        raise StateConflict(f"version {found.serving.version} is too old: {age}", hint="train a newer one: dvc repro")


def too_old(since: datetime | None, now: datetime, limits: MonitorParams) -> str:
    """How long the version is in Production, if that is too long; else ""."""
    from lockgate.monitoring import rules

    ruled = rules.on_production_age(since, now, limits)
    return ruled.says if ruled.state is rules.State.FIRING else ""


def overview() -> None:
    """Print the state of the model and the next command, for `lockgate` without a command."""
    from lockgate.operations import status

    if project.find(Path.cwd()) is None:
        click.echo("no project here: this folder and the folders above it have no params.yaml with a dvc.yaml")
        click.echo("next: go to the folder of a project, or make one: lockgate init FILE.csv --target COLUMN")
        return
    model = params().model_name  # raises BadConfiguration like every command
    try:
        found = status.status(workspace(timeouts.of_one_call()))
    except LockgateError as refusal:
        say(f"{model}: {refusal}")
        say(f"next: {refusal.hint or 'lockgate doctor'}")
        return
    _show_status(found)
    for line in found.broken:
        say(f"broken: {line}")
    click.echo(f"next: {_next_command(found)}")


def _show_status(found: "Status") -> None:
    gone = f", and {found.deleted} deleted" if found.deleted else ""
    say(f"{found.model}: {found.versions} version{'' if found.versions == 1 else 's'}{gone}")
    click.echo(f"Production  {_standing(found.serving)}{_since(found.serving_since)}")
    click.echo(f"Staging     {_standing(found.staging)}")
    if found.serving:
        click.echo(f"Rollback    {_targets(found.rollback_targets)}")


def _show_local_cluster() -> None:
    """The Dask cluster of the local stack, if one runs."""
    from lockgate.stack import up_down

    folder = service_urls.stack_folder(Path.cwd())
    if cluster := up_down.cluster(folder):
        again = f"lockgate up --workers {cluster.workers}"
        gone = "" if up_down.has_scheduler(folder) else f"; its scheduler is gone, start it again with: {again}"
        click.echo(f"Dask        {cluster}{gone}")


def _targets(versions: Sequence[int]) -> str:
    if not versions:
        return "no earlier good version"
    return (
        f"{len(versions)} good version{'s' if len(versions) > 1 else ''} available, the next is version {versions[0]}"
    )


def _next_command(found: "Status") -> str:
    if found.broken:
        return "lockgate doctor"
    if found.staging:
        version = found.staging.version
        waits = found.approval_required and not found.staging_approved
        return f'lockgate {"approve" if waits else "promote"} {version} --reason "..."'
    if found.serving:
        return "lockgate predict --input FILE --output FILE"
    return "lockgate verdict (why no version is in Staging)" if found.versions else "dvc repro"


@command("list", example="lockgate list")
@as_json
def list_versions(as_json: bool, timeout: float) -> None:
    """List all versions, the newest last."""
    from lockgate.operations import status

    lines = status.lines(for_reading(timeout))
    if as_json:
        print_json([asdict(line) for line in lines])
        return
    heads = ["version", "stage", "verdict", "score", "digest", "created (UTC)"]
    rows = [
        [
            str(line.version),
            line.stage,
            line.outcome or "-",
            _score(line),
            (line.bundle_digest or "-")[:12],
            when(line.created_at),
        ]
        for line in lines
    ]
    table(heads, rows)


@command("show", example="lockgate show 3")
@click.argument("version", type=VERSION)
@as_json
def show(version: int, as_json: bool, timeout: float) -> None:
    """Show one version: candidates, lineage, verdict and moves."""
    from lockgate.operations import status

    found = status.portrait(for_reading(timeout), version)
    if as_json:
        print_json(asdict(found))
        return
    say(f"version {version}, {_whereabouts(found)}, registered {when(found.row.created_at)} UTC")
    if found.record:
        click.echo(f"bundle {found.record.bundle_digest}\n")
        _show_candidates(found.record.lineage)
    if found.verdict:
        _show_verdict(found.verdict)
    table(["when (UTC)", "decision", "who", "on verdict", "why"], [_decision(given) for given in found.decisions])
    table(["when (UTC)", "from", "to", "command", "who", "why"], [move_cells(row) for row in found.moves])


@command("verdict", example="lockgate verdict 3 --json")
@click.argument("version", type=VERSION, required=False)
@click.option("--markdown", is_flag=True, help="Print Markdown, such as for a comment on a pull request.")
@as_json
def verdict(version: int | None, markdown: bool, as_json: bool, timeout: float) -> None:
    """Show the verdict on a version.

    Without VERSION, the command shows the newest verdict. It ends with exit code 0 if the version passed, and with 4 if
    not.
    """
    if markdown and as_json:
        raise WrongUsage("--markdown and --json exclude each other", hint="name one of them")
    from lockgate.database import verdicts
    from lockgate.operations import verdict_review
    from lockgate.reports import review_markdown

    here = workspace(timeout)
    found = verdicts.latest_verdict(here.database, here.model, version)
    if found is None:
        if version:
            here.state().find(version)
        whom = f"version {version}" if version else "any version"
        raise StateConflict(
            f"there is no verdict on {whom} of {here.model}",
            hint=f"validate one with: lockgate validate {version or ''}".rstrip(),
        )
    if as_json:
        print_json(verdict_review.as_json(found))
    elif markdown:
        gate = params().gate
        review = verdict_review.review_of_verdict(here, found)
        click.echo(review_markdown.comment(review, gate.approval_required or gate.two_persons), nl=False)
    else:
        _show_verdict(found)
    session().ids["version"] = found.version
    require_passed(found)


def require_passed(found: "StoredVerdict") -> None:
    """Raises GateRefused for a verdict that is refused or inconclusive."""
    if found.outcome != "passed":
        raise GateRefused(
            f"the verdict on version {found.version} is {found.outcome}",
            hint=f"see the failed checks: lockgate verdict {found.version}; the limits are under gate in params.yaml",
        )


def _whereabouts(found: "Portrait") -> str:
    """The stage and the run. For a deleted version: when it was deleted, by whom and why."""
    if found.row.stage != Stage.DELETED:
        return f"{found.row.stage}, run {found.row.run_id}"
    end = found.moves[-1]
    return f"deleted {when(end.at)} UTC by {end.actor} ({end.command}: {end.reason})"


def _show_candidates(lineage: Mapping[str, Any]) -> None:
    rows = lineage.get("candidates", [])
    scores = [name for name in (rows[0] if rows else {}) if name not in ("member", "fold")]
    cells = [[str(row["member"]), str(row["fold"]), *(cell(row.get(name)) for name in scores)] for row in rows]
    table(["candidate", "fold", *scores], cells)
    sbom = lineage.get("sbom") or {}
    packages = [["packages (SBOM)", f"{sbom['file']} of the run, SHA-256 {sbom['sha256']}"]] if sbom else []
    table(["lineage", ""], [*([name, str(value)] for name, value in lineage.get("lineage", {}).items()), *packages])


def _show_verdict(found: "StoredVerdict") -> None:
    from lockgate.gate import verdict as texts

    click.echo(f"verdict {found.id} on version {found.version}: {found.outcome.upper()}, {when(found.decided_at)} UTC")
    failed_first = sorted(found.checks, key=lambda check: check["outcome"] == "passed")
    rows = [[str(check[key]) for key in ("name", "outcome", "says")] for check in failed_first]
    table(["check", "outcome", "measured"], rows)
    table(["forecast", texts.metric_of(found.metrics).label], texts.scores(found.metrics))
    table(["not passed", "what usually helps"], texts.advice(found.checks))


def move_cells(row: "LedgerRow") -> list[str]:
    return [when(row.at), stage_name(row.from_stage), stage_name(row.to_stage), row.command, row.actor, row.reason]


def stage_name(name: str | None) -> str:
    """The stage for a table; MLflow names the stage of a deleted version differently."""
    return "Deleted" if name == Stage.DELETED else str(name or "")


def _decision(given: "Approval") -> list[str]:
    return [when(given.at), given.decision, given.decided_by, str(given.verdict_id or "-"), given.reason]


def _standing(line: "Line | None") -> str:
    if line is None:
        return "-"
    return f"version {line.version}, verdict {line.outcome or '-'}, {_score(line)}"


def _score(line: "Line") -> str:
    """The metric and the score of the newest verdict; a dash without one."""
    return "-" if line.metric is None else f"{METRICS[line.metric].label} {number(line.score)}"


def _since(moment: datetime | None) -> str:
    return f", since {when(moment)} UTC" if moment else ""
