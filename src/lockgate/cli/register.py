"""`register` imports a model, `refit` trains a version on more days, `validate` runs the gate on a version."""

from dataclasses import asdict
from pathlib import Path

import click

from lockgate.bundle import external_metadata
from lockgate.bundle.external_metadata import TARGETS, DeclaredMetadata
from lockgate.cli.common_options import (
    LINE,
    PREPARED,
    VERSION,
    as_json,
    command,
    params,
    print_json,
    require_panel,
    say,
    session,
    tell,
    workspace,
)
from lockgate.cli.status import require_passed
from lockgate.errors import WrongUsage
from lockgate.problem.target import Target

prepared = click.option(
    "--prepared", type=click.Path(path_type=Path), default=PREPARED, show_default=True,
    help="Folder with the tables of the prepare stage.",
)  # fmt: skip


@command("register", example="lockgate register ~/models/from-anna --trained-until 2015-06-19")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--problem", help="Register only if params.yaml names this problem.")
@click.option(
    "--trained-until",
    help="End of the training data of a problem with a horizon, as YYYY-MM-DD or a number.",
)
@click.option(
    "--target",
    type=click.Choice(TARGETS),
    help="Scale of the model's output. Default: the declared scale, else value, or probability for classes.",
)
@click.option("--columns", help="Input columns in the order of the training, separated by commas.")
@click.option("--classes", help="Classes of the outputs in their order, separated by commas.")
@prepared
@as_json
def register(
    path: Path,
    problem: str | None,
    trained_until: str | None,
    target: Target | None,
    columns: str | None,
    classes: str | None,
    prepared: Path,
    as_json: bool,
    timeout: float,
) -> None:
    """Register a model from a folder or a file as a new version.

    PATH is the folder of a bundle or of an MLflow model (lightgbm, xgboost, catboost, onnx, sklearn saved by skops), or
    a .skops or .onnx file. The version is in None until `lockgate validate` judges it. The whole transfer may take
    thirty times --timeout.
    """
    from lockgate.operations import import_model

    _require_problem(problem)
    described = params().problem
    until = None if trained_until is None else external_metadata.time_of(described, trained_until)
    declared = DeclaredMetadata(until, target, _listed(columns), _listed(classes))
    arrived = import_model.bring(workspace(timeout), path, declared, prepared, described)
    version = session().ids["version"] = arrived.receipt.version
    if as_json:
        print_json(asdict(arrived.receipt) | {"is_new": arrived.is_new})
        return
    done = "registered now" if arrived.is_new else "already registered"
    click.echo(
        f"version {version} of {arrived.receipt.model} holds bundle {arrived.receipt.bundle_digest[:12]}, {done}"
    )
    if arrived.is_new:
        tell(f"it is in None; run the gate with: lockgate validate {version}")


NO_LATER_HOLDOUT = (
    "every later holdout would have rows that the refit has learned; put new rows into data/raw and train again: dvc"
    " repro; or lower problem.split.share"
)


@command("refit", example='lockgate refit 3 --reason "school begins in a week"')
@click.argument("version", type=VERSION)
@click.option(
    "--reason", type=LINE, required=True, help="The reason, in one line. The lineage of the new version shows it."
)
@prepared
@as_json
def refit(version: int, reason: str, prepared: Path, as_json: bool, timeout: float) -> None:
    """Train a version again, with the holdout as training data.

    VERSION must have passed the gate. The result is a new version in None.
    """
    from lockgate.operations import refit
    from lockgate.system.progress import watch

    settings = params()
    require_panel(settings.problem, "refit", instead=NO_LATER_HOLDOUT)
    _require_prepared(prepared)
    with watch("refit") as progress:
        done = refit.refit(workspace(timeout), refit.Order(version, reason, prepared), settings, progress)
    session().ids["version"] = done.receipt.version
    if as_json:
        print_json(asdict(done.receipt) | {"trained_until": done.trained_until})
        return
    click.echo(f"version {done.receipt.version} is version {version} trained until {done.trained_until}")
    tell(
        "the gate will refuse it on this holdout, because it was trained on it; after `dvc repro prepare` has made a"
        f" later holdout, run: lockgate validate {done.receipt.version}"
    )


@command("validate", example="lockgate validate 3")
@click.argument("version", type=VERSION, required=False)
@prepared
@as_json
def validate(version: int | None, prepared: Path, as_json: bool, timeout: float) -> None:
    """Run the gate on a version.

    Without VERSION, the gate judges the newest version in None. A version that passes goes to Staging. A version that
    does not pass stays where it is, and the command ends with exit code 4.
    """
    from lockgate.operations import validate, verdict_review
    from lockgate.operations.auto_promotion import promote_by_policy

    _require_prepared(prepared)
    here, settings = workspace(timeout), params()
    policy = settings.policy
    found = validate.validate_registered(here, version, prepared, policy, settings.problem, settings.engine)
    session().ids["version"] = found.version
    if as_json:
        print_json(verdict_review.as_json(found))
    else:
        say(validate.reported(found))
    if promoted := promote_by_policy(here, found, policy):
        tell(promoted)
    require_passed(found)


def _listed(names: str | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(name.strip() for name in names.split(","))


def _require_prepared(prepared: Path) -> None:
    if not prepared.is_dir():
        raise WrongUsage(f"there are no prepared tables in {prepared}", hint="make them with: dvc repro prepare")


def _require_problem(problem: str | None) -> None:
    in_force = params().problem.name
    if problem not in (None, in_force):
        raise WrongUsage(
            f"the problem in params.yaml is {in_force}, not {ascii(problem)[1:-1][:60]}",
            hint="go to the folder of that problem: its params.yaml holds the gate",
        )
