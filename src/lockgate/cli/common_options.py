"""The frame that all commands share: the group, the common options, where results and refusals go."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lockgate import __version__
from lockgate.errors import StateConflict, WrongUsage
from lockgate.problem.params import PARAMS_FILE, Params, load_params
from lockgate.system import timeouts
from lockgate.system.exit_codes import Session, run

if TYPE_CHECKING:
    from lockgate.operations.workspace import Workspace

GROUPS: dict[str, click.Group] = {}
Function = TypeVar("Function", bound=Callable[..., None])


class Version(click.ParamType[int]):
    """The number of a version. What cannot be one is no slip of the keyboard: no such version exists (exit 5)."""

    name = "version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; raises StateConflict for what no version has."""
        if not re.fullmatch("[1-9][0-9]{0,8}", str(value)):
            raise no_version(f"no version is called {ascii(value)[1:-1][:60]}")
        return int(value)


VERSION = Version()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="lockgate %(version)s")
def lockgate() -> None:
    """Bring each new version of a model to Production one gate at a time."""


def group(name: str, about: str) -> None:
    """A word that commands come after, as in `lockgate guard status`."""
    GROUPS[name] = click.Group(name, help=about)
    lockgate.add_command(GROUPS[name])


def command(name: str, example: str, server: bool = True) -> Callable[[Function], click.Command]:
    """A command, with an example in its help and the options that all have; `guard status` is `status` of `guard`.

    One that asks no server has no --timeout.
    """
    *above, own = name.split()
    group = GROUPS[above[0]] if above else lockgate

    def wrap(function: Function) -> click.Command:
        decorated: Any = function
        for option in (*([_timeout] if server else []), _debug, _result_json):
            decorated = option(decorated)
        return group.command(own, epilog=f"\b\nExample:\n  {example}")(decorated)

    return wrap


def main() -> None:
    """Entry point of the `lockgate` command."""
    session = Session()
    sys.exit(run(lambda: _dispatch(session), session))


def params() -> Params:
    """The params of the folder in which the command runs."""
    return load_params(PARAMS_FILE)


def backend(timeout: float) -> "Workspace":
    """The backend of the problem in force."""
    from lockgate.operations.workspace import Workspace

    found = params()
    return Workspace.here(found.model_name, timeout, found.gate.trusted_keys)


def no_version(message: str) -> StateConflict:
    """The refusal of what stands where the number of a version should."""
    return StateConflict(message, hint="versions are numbered from 1; see them with: lockgate list")


def tell(line: str) -> None:
    """A line for the person, on stderr, so that stdout stays the result."""
    click.echo(line, err=True)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout, as wide as the terminal; nothing without rows."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    drawn = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for row in rows:
        drawn.add_row(*row)
    Console(highlight=False, markup=False).print(drawn)


def session() -> Session:
    """The session of the command that runs now."""
    found: Session = click.get_current_context().find_root().obj
    return found


def _dispatch(session: Session) -> None:
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


def _wrong_usage(wrong: click.ClickException) -> WrongUsage:
    at = wrong.ctx.command_path if isinstance(wrong, click.UsageError) and wrong.ctx else "lockgate"
    return WrongUsage(wrong.format_message(), hint=f"see: {at} --help")


def _is_negative_version(wrong: click.ClickException) -> bool:
    """Whether a number below zero stands where a version goes: click takes -1 for an option."""
    if not isinstance(wrong, click.NoSuchOption) or wrong.ctx is None:
        return False
    return wrong.option_name[1:].isdigit() and any(each.type is VERSION for each in wrong.ctx.command.params)


def _remember_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.find_root().obj.debug = value


def _remember_result(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    context.find_root().obj.result_json = value


# The latter two are eager: they count for a refusal of the command's other words, wherever they stand.
_timeout = click.option(
    "--timeout", type=click.FloatRange(min=timeouts.SHORTEST, max=timeouts.LONGEST), default=timeouts.of_one_call,
    show_default=f"{timeouts.VARIABLE} or {timeouts.USUAL:g}", metavar="SECONDS",
    help="How long to wait for a dead server.",
)  # fmt: skip
_debug = click.option(
    "--debug", is_flag=True, is_eager=True, expose_value=False, callback=_remember_debug,
    help="Show the traceback of a refusal.",
)  # fmt: skip
_result_json = click.option(
    "--result-json", type=click.Path(dir_okay=False, path_type=Path), is_eager=True, expose_value=False,
    callback=_remember_result, help="Also write how it ended to this file.",
)  # fmt: skip
