"""The embedded Postgres: binaries from a wheel, data under .lockgate, reached by a private unix socket only.

The wheel's own Python class is not used: it fails on a path with a space, and as root it opens every folder above the
data to all users.
"""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil

from lockgate.errors import BadConfiguration, StateConflict, Unavailable
from lockgate.stack import processes, root_account
from lockgate.system import postgres_programs

OWNER, MLFLOW_ROLE, DATABASE = "lockgate", "mlflow", "lockgate"
PORT = 5432  # only a part of the socket's name
SOCKET_NAME = f".s.PGSQL.{PORT}"
SOCKET_NOTE = "socket_folder"  # in .lockgate: where the socket is, if not there
LONGEST_SOCKET_PATH = 103  # bytes; 107 on Linux, 103 on macOS
READ_SECONDS = 5.0
LAST_BACKEND_SECONDS = 5.0  # a backend of a killed server ends by itself

# MLflow gets a role of its own: it owns its tables in public and may not touch the schema lockgate.
ROLES_AND_DATABASE = f"""
SELECT 'CREATE ROLE {MLFLOW_ROLE} LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{MLFLOW_ROLE}') \\gexec
SELECT 'CREATE DATABASE {DATABASE}' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec
\\connect {DATABASE}
GRANT ALL ON SCHEMA public TO {MLFLOW_ROLE};
"""  # noqa: S608 - our own names only


def url(home: Path, role: str, database: str = DATABASE) -> str:
    """The SQLAlchemy URL of a database in the Postgres of `.lockgate`; it does not depend on PGHOST or PGPORT."""
    return f"postgresql+psycopg2://{role}@/{database}?host={quote(str(socket_folder(home)))}&port={PORT}"


def data_folder(home: Path) -> Path:
    """Where the cluster's files are."""
    return home / "postgres"


def log_file(home: Path) -> Path:
    """Where Postgres writes its log."""
    return home / "logs" / "postgres.log"


def socket_folder(home: Path) -> Path:
    """The folder of the socket: in `.lockgate`, or a temporary folder if that path is too long for a socket.

    The temporary folder is recorded, because TMPDIR may have another value in the next shell.
    """
    near = home / "socket"
    if _can_hold_socket(near):
        return near
    token = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    with suppress(OSError):
        noted = Path((home / SOCKET_NOTE).read_text(encoding="utf-8"))
        if noted.name.endswith(token):  # otherwise the project was copied or moved with its `.lockgate`
            return noted
    places = [Path(folder, f"lockgate-{os.geteuid()}-{token}") for folder in (tempfile.gettempdir(), "/tmp")]  # noqa: S108 - the folder is private
    return next(filter(_can_hold_socket, places), near)


def _can_hold_socket(folder: Path) -> bool:
    """Whether the path is short enough and has no comma, which libpq reads as a list of hosts."""
    return len(os.fsencode(folder / SOCKET_NAME)) <= LONGEST_SOCKET_PATH and "," not in str(folder)


def running(home: Path) -> psutil.Process | None:
    """The Postgres that works on this data folder; a pid file alone is no proof."""
    named = _named_in_pid_file(home)
    return named if named and processes.is_alive(named) and _works_on(named, data_folder(home)) else None


def answers(home: Path) -> bool:
    """Whether the Postgres of this folder runs and answers a query."""
    if running(home) is None:
        return False
    try:
        return psql(home, "SELECT 1", "postgres", time.monotonic() + READ_SECONDS) == "1\n"
    except Unavailable:
        return False


def start(home: Path, deadline: float) -> None:
    """Create the cluster if there is none, start it if it does not run, and wait until it accepts connections.

    Raises Unavailable with the end of the log if it does not start before the deadline (of time.monotonic).
    """
    root_account.refuse_nameless()
    _refuse_control_characters(home)
    _note_socket_folder(home)
    _make_socket_folder(socket_folder(home))
    if not data_folder(home).exists():
        _make_cluster(home, deadline)
    processes.wait_until(lambda: answers(home) or running(home) is None, deadline)  # it may be starting or ending
    if running(home) is None:
        _forget_stale_pid(home)
        _launch(home, deadline)
    psql(home, ROLES_AND_DATABASE, "postgres", deadline)


def _refuse_control_characters(home: Path) -> None:
    """Raise BadConfiguration for a path with control characters: Postgres writes it as a line into its pid file."""
    if not str(home).isprintable():
        raise BadConfiguration(
            "the project's path has a line break or another control character", where=ascii(str(home)), hint="rename it"
        )


def _note_socket_folder(home: Path) -> None:
    """Record a socket folder outside `.lockgate`; forget a recorded folder that is gone while nothing runs."""
    note = home / SOCKET_NOTE
    if running(home) is None and note.exists() and not socket_folder(home).exists():
        note.unlink()
    if (folder := socket_folder(home)).parent != home:
        note.write_text(str(folder), encoding="utf-8")
        note.chmod(0o600)


def _launch(home: Path, deadline: float) -> None:
    process = processes.launch(root_account.command(_server_command(home)), log_file(home), _environment())
    try:
        processes.wait_until(lambda: _is_ready(home) or not processes.is_alive(process), deadline)
        if not _is_ready(home):
            raise Unavailable(
                f"Postgres does not start:\n{processes.last_lines(log_file(home))}",
                where=str(log_file(home)),
                hint="read the log, then run lockgate up again",
            )
    except BaseException:
        processes.end([process], signal.SIGINT, LAST_BACKEND_SECONDS)
        raise


def stop(home: Path, patience: float) -> bool:
    """Stop the Postgres of this folder and its open sessions. Returns whether it ran."""
    process = running(home)
    if process is not None:
        processes.end([process], signal.SIGINT, patience)
    return process is not None


def psql(home: Path, script: str, database: str, deadline: float) -> str:
    """Run a script with the wheel's psql, up to its first error, and return its output."""
    command = [binary("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", str(socket_folder(home))]
    return _run([*command, "-U", OWNER, "-d", database], deadline, script)


def _named_in_pid_file(home: Path) -> psutil.Process | None:
    try:
        return psutil.Process(int((data_folder(home) / "postmaster.pid").read_text().split("\n", 1)[0]))
    except (OSError, ValueError, psutil.Error):
        return None


def _works_on(process: psutil.Process, data: Path) -> bool:
    """Whether the process works in this data folder; if that is not readable (in a container), by its command line."""
    try:
        return process.name().startswith("postgres") and Path(process.cwd()).samefile(data)
    except psutil.AccessDenied:
        return str(data) in process.cmdline()
    except (OSError, psutil.Error):
        return False


def _forget_stale_pid(home: Path) -> None:
    """Delete pid files that name another process or a zombie after a crash; Postgres would refuse to start.

    All other old pid files stay: Postgres itself checks whether its data are still in use.
    """
    named = _named_in_pid_file(home)
    if named is None:
        return
    ended_by = time.monotonic() + LAST_BACKEND_SECONDS  # a killed process leaves its folder before it ends
    if not processes.wait_until(lambda: not _is_postgres(named), ended_by):
        return
    if processes.wait_until(lambda: not _is_worked_on(data_folder(home)), time.monotonic() + LAST_BACKEND_SECONDS):
        for stale in (data_folder(home) / "postmaster.pid", socket_folder(home) / f"{SOCKET_NAME}.lock"):
            stale.unlink(missing_ok=True)


def _is_postgres(process: psutil.Process) -> bool:
    try:
        return processes.is_alive(process) and str(process.name()).startswith("postgres")
    except psutil.Error:
        return False


def _is_worked_on(data: Path) -> bool:
    return any(_works_on(process, data) for process in psutil.process_iter())


def _is_ready(home: Path) -> bool:
    """Postgres writes `ready` into the last line of its pid file when it accepts connections."""
    with suppress(OSError):
        lines = (data_folder(home) / "postmaster.pid").read_text().splitlines()
        return len(lines) == 8 and lines[7].strip() == "ready" and running(home) is not None
    return False


def _make_cluster(home: Path, deadline: float) -> None:
    """Create the cluster in another folder and rename it, so that a killed initdb leaves no partial cluster."""
    draft = home / "postgres.new"
    shutil.rmtree(draft, ignore_errors=True)
    _make_owned_folder(draft)
    options = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions", f"--username={OWNER}"]
    _run(root_account.command([binary("initdb"), *options, "-D", str(draft)]), deadline)
    draft.rename(data_folder(home))


def _server_command(home: Path) -> list[str]:
    escaped = str(socket_folder(home)).replace('"', '""')
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": f'"{escaped}"',
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %u@%d ",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return [binary("postgres"), "-D", str(data_folder(home)), *options]


def binary(name: str) -> str:
    """The path of one of the wheel's programs: postgres, psql, pg_dump..."""
    return postgres_programs.newest_bundled(name)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))} | {"LC_ALL": "C"}


def _run(command: Sequence[str], deadline: float, script: str = "") -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own binaries, no shell
            command,
            input=script,
            capture_output=True,
            text=True,
            env=_environment(),
            timeout=max(1.0, deadline - time.monotonic()),
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{Path(command[0]).name} does not end in time", where=command[0]) from error
    except subprocess.CalledProcessError as error:
        last = processes.tail(error.stderr)
        raise Unavailable(f"{Path(command[0]).name} failed:\n{last}", where=command[0]) from error
    return done.stdout


def _make_socket_folder(folder: Path) -> None:
    if not folder.exists():
        _make_owned_folder(folder)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid not in (os.geteuid(), root_account.user_id()) or status.st_mode & 0o077:
        raise StateConflict("the folder of the socket is not private", where=str(folder), hint="remove this folder")


def _make_owned_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(folder, root_account.user_id(), -1)
