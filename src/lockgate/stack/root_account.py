"""The system account that Postgres runs as when root starts the stack: Postgres refuses to run as root."""

import os
import pwd
import shlex
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from lockgate.errors import BadConfiguration

ACCOUNT = "lockgate"
SYSTEM_FOLDERS = "/usr/sbin:/sbin:/usr/bin:/bin"
READ_SEARCH, OVERRIDE, SETPCAP = "dac_read_search", "dac_override", "setpcap"
KEEP_IN_ACCESS_CHECKS = "+no_setuid_fixup"  # access(2) asks for the real user, else without the capabilities


def refuse_nameless() -> None:
    """Raise BadConfiguration for a user id without a name (docker run --user 12345): initdb asks for the name."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise BadConfiguration(
            f"the user id {os.geteuid()} has no name here, and the embedded Postgres needs one",
            hint="add a line for it to /etc/passwd, or point MLFLOW_TRACKING_URI and LOCKGATE_DATABASE_URL at services",
        ) from None


def user_id() -> int:
    """The user who owns the cluster: the user who starts the stack, or for root the system account."""
    return pwd.getpwnam(_account()).pw_uid if os.geteuid() == 0 else os.geteuid()


def remark() -> str:
    """The remark on the system account for the line of progress, if root starts the stack."""
    return f" as system user {ACCOUNT}, because it refuses to run as root" if os.geteuid() == 0 else ""


def _account() -> str:
    with suppress(KeyError):
        return pwd.getpwnam(ACCOUNT).pw_name
    useradd = shutil.which("useradd", path=SYSTEM_FOLDERS)
    if useradd is None:
        raise _cannot_drop_root("has no useradd")
    options = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    subprocess.run([useradd, *options, ACCOUNT], capture_output=True, timeout=30, check=False)  # noqa: S603
    try:
        return pwd.getpwnam(ACCOUNT).pw_name
    except KeyError:
        raise _cannot_drop_root(f"cannot make the account {ACCOUNT} by useradd") from None


def command(words: list[str]) -> list[str]:
    """The command, run under the system account if root runs it.

    A capability of the new process lets the account pass closed folders (a clone under /root); no mode of a folder is
    changed. Raises BadConfiguration if root has no such capability. Postgres's programs check access with access(2),
    which ignores capabilities unless CAP_SETPCAP changes that; without it, the folders above the program must be open.
    """
    if os.geteuid() != 0:
        return words
    setpriv = shutil.which("setpriv", path=SYSTEM_FOLDERS)
    if setpriv is None:
        raise _cannot_drop_root("has no setpriv (of util-linux)")
    account = _account()
    drop = [setpriv, f"--reuid={account}", f"--regid={account}", "--clear-groups"]
    capabilities = _capabilities()
    passing = _passing(capabilities, Path(words[0]))
    drop += [f"--inh-caps=-all,+{passing}", f"--ambient-caps=-all,+{passing}"]
    if SETPCAP in capabilities:
        drop.append(f"--securebits={KEEP_IN_ACCESS_CHECKS}")
    else:
        refuse_closed_folders(Path(words[0]))
    return [*drop, "--", *words]


def refuse_closed_folders(program: Path) -> None:
    """Raise BadConfiguration with the folder, if its mode keeps the account from this program."""
    for folder in reversed(program.parents):
        status = folder.stat()
        if not status.st_mode & 0o001 and status.st_uid != user_id():
            raise BadConfiguration(
                f"{folder} is closed to the system account {ACCOUNT}, under which Postgres runs",
                hint=f"open it: chmod o+x {shlex.quote(str(folder))}; or run lockgate as a normal user",
            )


def _capabilities() -> set[str]:
    """Which of READ_SEARCH, OVERRIDE and SETPCAP root has; some are missing in containers."""
    held = int(Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0], 16)
    return {name for bit, name in ((1, OVERRIDE), (2, READ_SEARCH), (8, SETPCAP)) if held >> bit & 1}


def _passing(capabilities: set[str], program: Path) -> str:
    """The capability that lets the account into closed folders: the weaker one if it is enough.

    It is not enough for a program that only its owner may execute, as after an installation under umask 077.
    """
    if READ_SEARCH in capabilities and program.stat().st_mode & 0o001:
        return READ_SEARCH
    if OVERRIDE in capabilities:
        return OVERRIDE
    raise _cannot_drop_root(f"has no capability {OVERRIDE} here to let the account {ACCOUNT} into closed folders")


def _cannot_drop_root(what: str) -> BadConfiguration:
    return BadConfiguration(f"Postgres refuses to run as root, and root {what}", hint="run lockgate as a normal user")
