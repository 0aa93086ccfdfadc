"""Postgres refuses to run as root: when root starts the stack, it runs under a system account of its own."""

import os
import pwd
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from lockgate.errors import BadConfiguration

ACCOUNT = "lockgate"
SYSTEM_FOLDERS = "/usr/sbin:/sbin:/usr/bin:/bin"


def user_id() -> int:
    """The user who owns the cluster: whoever starts the stack, or for root the account."""
    return pwd.getpwnam(_account()).pw_uid if os.geteuid() == 0 else os.geteuid()


def remark() -> str:
    """What to tell root about it."""
    return f" as system user {ACCOUNT}, since it refuses to run as root" if os.geteuid() == 0 else ""


def _account() -> str:
    with suppress(KeyError):
        return pwd.getpwnam(ACCOUNT).pw_name
    useradd = shutil.which("useradd", path=SYSTEM_FOLDERS)
    if useradd is None:
        raise _cannot_drop_root("useradd is missing")
    options = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    subprocess.run([useradd, *options, ACCOUNT], capture_output=True, timeout=30, check=False)  # noqa: S603
    try:
        return pwd.getpwnam(ACCOUNT).pw_name
    except KeyError:
        raise _cannot_drop_root(f"useradd {ACCOUNT} failed") from None


def command(words: list[str]) -> list[str]:
    """The command under the account if root runs it.

    The account may pass through folders that are closed to others (a clone under /root), by a capability that this one
    process is given; no folder's mode is changed for it.
    """
    if os.geteuid() != 0:
        return words
    setpriv = shutil.which("setpriv", path=SYSTEM_FOLDERS)
    if setpriv is None:
        raise _cannot_drop_root("setpriv (util-linux) is missing")
    account = _account()
    drop = [setpriv, f"--reuid={account}", f"--regid={account}", "--clear-groups"]
    if (capability := _passing_capability()) is not None:
        drop += [f"--inh-caps=-all,+{capability}", f"--ambient-caps=-all,+{capability}"]
    return [*drop, "--", *words]


def _passing_capability() -> str | None:
    """The weaker one of those that root has here: containers often keep the second only."""
    status = Path("/proc/self/status").read_text()
    held = int(status.split("CapEff:")[1].split()[0], 16)
    for bit, name in ((2, "dac_read_search"), (1, "dac_override")):
        if held >> bit & 1:
            return name
    return None


def _cannot_drop_root(what: str) -> BadConfiguration:
    return BadConfiguration(f"Postgres refuses to run as root, and {what}", hint="run lockgate as a normal user")
