"""`truth`: what came true, beside the predictions on record."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import as_json, command, group, params, print_json, tell, workspace

if TYPE_CHECKING:
    from lockgate.operations.load_truth import Places

group("truth", "Load what came true.")


@command("truth load", example="lockgate truth load sales_of_august.csv")
@click.argument("file", type=click.Path(path_type=Path))
@as_json
def load(file: Path, as_json: bool, timeout: float) -> None:
    """Put the true values of a CSV or parquet file on record.

    The file has the key columns, the time and the target of the problem; for a problem without keys and time, the
    column request_id of the answers, row (the place of the row in its request, from 0), and the target. A value that is
    on record adds nothing. Another value for the same row is a correction; the earlier value stays in the history.
    """
    from lockgate.operations import load_truth

    done = load_truth.load(workspace(timeout), params().problem, file)
    if as_json:
        print_json(asdict(done))
        return
    click.echo(f"{done.rows} rows: {done.new} new, {done.corrected.count} corrected, {done.unchanged} unchanged")
    if done.ignored:
        tell(f"ignored column {', '.join(done.ignored)}")
    if done.left_out:
        tell(f"left out {done.left_out} rows that are not scored (problem.where)")
    _name("correct an earlier value", done.corrected)
    _name("are of no prediction on record", done.unknown)


def _name(what: str, places: "Places") -> None:
    if places.count:
        shown = "; ".join((*places.first, *(["..."] if places.count > len(places.first) else [])))
        tell(f"{places.count} rows {what}: {shown}")
