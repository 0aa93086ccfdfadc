"""`check` says what is wrong or doubtful in data, before any training."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lockgate.cli.common_options import as_json, command, params, print_json, say, table, tell
from lockgate.system.output_file import OutFile

if TYPE_CHECKING:
    from lockgate.operations.check_data import Check


@command("check", example="lockgate check --html check.html", server=False)
@click.option(
    "--html", "page", type=click.Path(path_type=Path), help="Also write an HTML page with a picture to this file."
)
@click.option("--plot", type=click.Path(path_type=Path), help="Also draw the picture into this PNG file.")
@click.option("--force", is_flag=True, help="Replace the page and the picture if they exist.")
@as_json
def check(page: Path | None, plot: Path | None, force: bool, as_json: bool) -> None:
    """Say what is doubtful about data/raw.

    The command reads the files by the description in params.yaml and splits off the holdout. It looks for missing
    values, duplicates, gaps, drift, leak suspects, constant columns, new categories, and too few rows. It ends with
    exit code 3 for data that the stage prepare would refuse, and with 0 for remarks.
    """
    from lockgate.operations import check_data

    page_file, picture = (OutFile(path, force) if path else None for path in (page, plot))
    for target, suffix in ((page_file, ".html"), (picture, ".png")):
        if target:
            target.check((suffix,))
    found = check_data.check(params())
    if page_file:
        with page_file.replacing() as partial:
            partial.write_text(check_data.page_of(found), encoding="utf-8")
    if picture:
        with picture.replacing() as partial:
            check_data.draw(found, partial)
    _print(found, as_json)


def _print(found: "Check", as_json: bool) -> None:
    for note in found.notes:
        tell(f"warning: {note}")
    if as_json:
        measures = asdict(found.measures)
        print_json(
            {"summary": found.summary, "remarks": [asdict(each) for each in found.remarks], "measures": measures}
        )
        return
    heads = ["", "column", "finding", "what can be done"]
    table(heads, [[each.level, each.column, each.what, each.hint] for each in found.remarks])
    say(found.summary)
