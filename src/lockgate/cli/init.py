"""`init` writes a problem folder for a table."""

from pathlib import Path

import click

from lockgate.cli.common_options import as_json, command, print_json, say, tell

TASKS = ("regression", "binary", "multiclass")


@command("init", example="lockgate init sales.csv --target sold --time date --horizon 42", server=False, project=False)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--target", required=True, metavar="COLUMN", help="Column to forecast.")
@click.option(
    "--time", "times", multiple=True, metavar="COLUMN",
    help="Column of the time: a date, or a running whole number. Repeat it for a date and an hour, or year and month.",
)  # fmt: skip
@click.option("--key", "keys", multiple=True, metavar="COLUMN", help="Column of the series. Repeat it for several.")
@click.option(
    "--horizon", type=click.IntRange(0, 10_000), help="Periods to forecast; 0: the state now, such as remaining life."
)
@click.option("--task", type=click.Choice(TASKS), help="Default: guessed from the target.")
@click.option(
    "--side", "sides", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
    help="Side table with one row for each key, such as store.csv. Repeat it for several.",
)  # fmt: skip
@click.option(
    "--names", default="", metavar="NAMES",
    help="Names for the columns of a file without a header, separated by commas. Default: column_1, column_2, ...",
)  # fmt: skip
@click.option("--folder", type=click.Path(path_type=Path), help="Folder to write. Default: the problem's name.")
@click.option("--name", default="", help="Name of the problem. Default: the name of the file.")
@as_json
def init(
    file: Path, target: str, times: tuple[str, ...], keys: tuple[str, ...], horizon: int | None, task: str | None,
    sides: tuple[Path, ...], names: str, folder: Path | None, name: str, as_json: bool,
) -> None:  # fmt: skip
    """Look at a table and write a problem folder for it.

    The types, the keys, the period, the task and the limits are guessed. params.yaml explains each guess. Doubts are
    also printed. Columns of a file without a header are named by their number. Nothing is overwritten.
    """
    from lockgate.describe.guess import Wish
    from lockgate.operations.init_problem import init_problem

    time, parts = (times[0], ()) if len(times) == 1 else ("", times)
    wish = Wish(target, time, keys, horizon, task or "", parts, _columns(names))
    made = init_problem(file, wish, folder, name, sides)
    for doubt in made.document.doubts:
        tell(f"doubt: {doubt}")
    limits = made.document.limits
    if as_json:
        dropped = {line.key: line.comment for line in made.document.dropped}
        print_json(
            {
                "folder": str(made.path),
                "kind": made.kind,
                "task": made.task,
                "metric": limits.metric,
                "limit": limits.limit,
            }
            | {"dropped": dropped, "doubts": list(made.document.doubts)}
        )
        return
    say(f"{made.path} describes {file.name}: {made.task}, {limits.metric}, limit {limits.limit:g}")
    tell(f"next: cd {made.path}, read params.yaml, then: lockgate check")


def _columns(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",")) if names else ()
