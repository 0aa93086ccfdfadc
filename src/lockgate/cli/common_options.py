"""Shared by all commands: the command group, common options, confirmation, tables, the project's folder."""

import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lockgate import __version__
from lockgate.errors import StateConflict, WrongUsage
from lockgate.problem.description import Problem
from lockgate.problem.params import PARAMS_FILE, Params, load_params
from lockgate.system import project, timeouts
from lockgate.system.exit_codes import Session, run
from lockgate.system.readable_line import readable_line, visible

if TYPE_CHECKING:
    from lockgate.database.connection import Database
    from lockgate.operations.workspace import Workspace

GROUPS: dict[str, click.Group] = {}
OTHER_DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]{1,2}-?([a-z][a-z-]+)")
INNER_FOLDS = "the inner folds of the training are in build/scores.csv; the gate checks the registered version"
PREPARED = Path("data/prepared")  # where dvc.yaml leaves the prepared tables
ROWS_AT_ONCE = 1_000  # of one write
DEFAULTED = click.core.ParameterSource.DEFAULT
Function = TypeVar("Function", bound=Callable[..., None])


class Version(click.ParamType[int]):
    """The number of a version. Any other text is refused like a version that does not exist (exit 5)."""

    name = "version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; raises StateConflict for text that is no version number."""
        if not re.fullmatch("[1-9][0-9]{0,8}", str(value)):
            raise no_version(f"no version is called {ascii(value)[1:-1][:60] or repr('')}")
        return int(value)


class Number(click.FloatRange):
    """A number in a range. Unlike click's, it refuses nan, which is in every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; a usage error for another text."""
        number = super().convert(value, param, ctx)
        return number if math.isfinite(number) else self.fail(f"{value!r} is not a finite number", param, ctx)


class Line(click.ParamType[str]):
    """One readable line, for a reason or a name."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The line without blanks at its ends; a usage error where `readable_line` refuses it."""
        try:
            return readable_line(str(value))
        except WrongUsage as wrong:
            self.fail(f"{wrong}; {wrong.hint}", param, ctx)


VERSION = Version()
LINE = Line()

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
reason = click.option("--reason", type=LINE, required=True, help="The reason, in one line. The history shows it.")
yes = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
dry_run = click.option("--dry-run", is_flag=True, help="Print what would happen, and change nothing.")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    epilog="""\b
Tab completion (bash; likewise zsh, fish):
  eval "$(_LOCKGATE_COMPLETE=bash_source lockgate)"
""",
)
@click.version_option(__version__, message="lockgate %(version)s")
@click.pass_context
def lockgate(context: click.Context) -> None:
    """Bring each new version of a model to Production one gate at a time.

    Without a command, lockgate prints which version is in which stage, and the next command.
    """
    if context.invoked_subcommand is None:
        from lockgate.cli.status import overview

        _enter_project({})
        overview()


def group(name: str, about: str) -> None:
    """Add a group of commands, as `guard` in `lockgate guard status`."""
    GROUPS[name] = click.Group(name, help=about)
    lockgate.add_command(GROUPS[name])


def command(name: str, example: str, server: bool = True, project: bool = True) -> Callable[[Function], click.Command]:
    """Add a command with an example in its help and the common options; `guard status` is `status` of group `guard`.

    A command that needs no server has no --timeout. One that needs no project runs in the folder of its user.
    """
    *above, own = name.split()
    group = GROUPS[above[0]] if above else lockgate

    def wrap(function: Function) -> click.Command:
        decorated: Any = _in_project(function) if project else function
        for option in (*([_timeout] if server else []), _debug, _result_json):
            decorated = option(decorated)
        return group.command(own, epilog=f"\b\nExample:\n  {example}")(decorated)

    return wrap


def _in_project(function: Function) -> Callable[..., None]:
    """The command, run in the project's folder. Paths that the user gives stay relative to the folder of the user."""

    @wraps(function)
    def run_there(**values: Any) -> None:
        function(**_enter_project(values))

    return run_there


def _enter_project(values: dict[str, Any]) -> dict[str, Any]:
    here, folder = Path.cwd(), project.find(Path.cwd())
    if folder is None or folder == here:
        return values
    os.chdir(folder)
    given = click.get_current_context().get_parameter_source
    return {
        name: here / value if isinstance(value, Path) and str(value) != "-" and given(name) != DEFAULTED else value
        for name, value in values.items()
    }


def require_panel(problem: Problem, command: str, instead: str = INNER_FOLDS) -> None:
    """Raise WrongUsage for a problem that is no panel, because the command trains or forecasts at earlier cutoffs.

    `instead` says what to do for other problems.
    """
    if problem.kind != "panel":
        raise WrongUsage(
            f"{command} is for problems with a horizon above 0, and {problem.name} has {described_horizon(problem)}",
            hint=instead,
        )


def described_horizon(problem: Problem) -> str:
    """The horizon in words."""
    return "no time" if problem.kind == "table" else "horizon: 0"


def confirm(question: str, yes: bool) -> None:
    """Ask on the terminal, unless `yes`. Raises WrongUsage if there is no terminal, and Abort if the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise WrongUsage(
            "confirmation needed, but this is not a terminal", hint="add --yes to go on without confirmation"
        )
    click.confirm(question, abort=True, err=True)


def print_json(value: Any) -> None:
    """A value as JSON on stdout."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_json_rows(head: Mapping[str, Any], name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """An object as JSON on stdout, whose last key is a list of any number of rows, one a line."""
    start = json.dumps(dict(head), indent=2, default=str).removesuffix("\n}")
    click.echo(f'{start},\n  "{name}": [', nl=False)
    texts, before = map(json.JSONEncoder(default=str).encode, rows), "\n    "
    while some := list(islice(texts, ROWS_AT_ONCE)):  # each write is flushed
        click.echo(before + ",\n    ".join(some), nl=False)
        before = ",\n    "
    click.echo("\n  ]\n}")


def main() -> None:
    """Entry point of the `lockgate` command."""
    session = Session()
    sys.exit(run(lambda: _dispatch(session), session))


def params() -> Params:
    """The params of the folder in which the command runs."""
    return load_params(PARAMS_FILE)


def workspace(timeout: float, *, even_stopped: bool = False) -> "Workspace":
    """The workspace of the problem in params.yaml. Unavailable if its stack is stopped, unless `even_stopped`."""
    from lockgate.operations.workspace import Workspace

    found = params()
    return Workspace.here(found.model_name, timeout, found.gate.trusted_keys, even_stopped=even_stopped)


def for_reading(timeout: float) -> "Workspace":
    """As `workspace`, for a report: its database is the replica if LOCKGATE_READ_DATABASE_URL names one.

    How far the replica is behind is said on stderr.
    """
    here = workspace(timeout)
    if not here.addresses.read_url:
        return here
    from lockgate.database import replica

    found = here.of_replica()
    tell(f"read at {found.database.address}, {replica.standing(found.database)}")
    return found


def database(timeout: float) -> "Database":
    """The database that the environment or the stack names; for commands that are about no model."""
    from lockgate.database.connection import Database
    from lockgate.system import service_urls

    return Database(service_urls.find(Path.cwd()).database_url, timeout)


def no_version(message: str) -> StateConflict:
    """The error for a text that is no version number."""
    return StateConflict(message, hint="versions are numbered from 1; see them with: lockgate list")


def tell(line: str) -> None:
    """Print a line on stderr; stdout holds the result only."""
    click.echo(visible(line), err=True)


def say(line: str) -> None:
    """Print a line of the result that holds a text of others."""
    click.echo(visible(line))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], paged: bool = False, whole: Sequence[str] = ()) -> None:
    """Print a table as wide as the terminal, or nothing without rows.

    `paged`: a table that is longer than the terminal goes through the user's pager. Columns with the heads `whole` go
    on in the next line, if they are too wide; others are cut.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    console = Console(highlight=False, markup=False)
    drawn = Table(*map(visible, heads), box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in drawn.columns:
        column.overflow = "fold" if column.header in whole else "ellipsis"
    for row in rows:
        drawn.add_row(*map(visible, row))
    with console.capture() as captured:
        console.print(drawn)
    text = captured.get()
    if paged and console.is_terminal and text.count("\n") >= console.height:
        click.echo_via_pager(text.removesuffix("\n"))  # click adds one
    else:
        click.echo(text, nl=False)


def session() -> Session:
    """The session of the command that runs now."""
    found: Session = click.get_current_context().find_root().obj
    return found


def _dispatch(session: Session) -> None:
    _refuse_other_dashes(sys.argv[1:])
    try:
        lockgate.main(prog_name="lockgate", obj=session, standalone_mode=False)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as wrong:
        if _is_negative_version(wrong):
            raise no_version("no version has a negative number") from None
        if isinstance(wrong, click.exceptions.NoArgsIsHelpError):
            wrong.show()
            sys.exit(wrong.exit_code)
        raise _wrong_usage(wrong) from None


def _refuse_other_dashes(words: Sequence[str]) -> None:
    """Refuse a dash that a word processor made of two hyphens; click would read the word as an argument."""
    for word in words:
        if (found := OTHER_DASHES.match(word)) and f"--{found[1]}" in _all_options(lockgate):
            raise WrongUsage(f"{word[0]!a} in {word} is no hyphen", hint=f"type two hyphens: --{found[1]}")


def _all_options(group: click.Group) -> set[str]:
    found = {name for each in group.params for name in each.opts}
    for each in group.commands.values():
        found |= _all_options(each) if isinstance(each, click.Group) else {n for p in each.params for n in p.opts}
    return found


def _wrong_usage(wrong: click.ClickException) -> WrongUsage:
    at = wrong.ctx.command_path if isinstance(wrong, click.UsageError) and wrong.ctx else "lockgate"
    return WrongUsage(wrong.format_message(), hint=f"see: {at} --help")


def _is_negative_version(wrong: click.ClickException) -> bool:
    """Whether a negative number was given as a version: click reads -1 as an option."""
    if not isinstance(wrong, click.NoSuchOption) or wrong.ctx is None:
        return False
    return wrong.option_name[1:].isdigit() and any(each.type is VERSION for each in wrong.ctx.command.params)


def _remember_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.find_root().obj.debug = value


def _remember_result(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    context.find_root().obj.result_json = value.absolute() if value else None


# The last two are eager: click reads them first, so they apply to an error in any other option.
_timeout = click.option(
    "--timeout", type=Number(min=timeouts.SHORTEST, max=timeouts.LONGEST), default=timeouts.of_one_call,
    show_default=f"{timeouts.VARIABLE} or {timeouts.USUAL:g}", metavar="SECONDS",
    help="Maximum time of one call to a server.",
)  # fmt: skip
_debug = click.option(
    "--debug", is_flag=True, is_eager=True, expose_value=False, callback=_remember_debug,
    help="Show the traceback of an error.",
)  # fmt: skip
_result_json = click.option(
    "--result-json", type=click.Path(dir_okay=False, path_type=Path), is_eager=True, expose_value=False,
    callback=_remember_result, help="Also write how the command ended to this JSON file.",
)  # fmt: skip
