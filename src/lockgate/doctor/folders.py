"""Checks the permissions of private folders: `.lockgate` and DVC's caches."""

import configparser
import os
import pwd
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from lockgate.doctor import rules
from lockgate.doctor.context import Site
from lockgate.doctor.report import Finding
from lockgate.system.service_urls import STATE_FILE

OWN = ["", "artifacts", "logs", "postgres", "socket", "verified", STATE_FILE.name, "lock"]
DVC_SITE_CACHE = Path("/var/tmp/dvc")  # noqa: S108 - the default of DVC


class Place(NamedTuple):
    """A path, and the rights that other users must not have on it."""

    path: Path
    forbidden: int


def private(site: Site) -> Iterator[Finding]:
    """Check that only this user may read `.lockgate` and write into DVC's caches, from which DVC takes results."""
    places = [Place(site.home / name, rules.OTHERS_RIGHTS) for name in OWN]
    dvc = site.folder / ".dvc"
    caches = [dvc / "cache", _site_cache(site.folder)] if dvc.is_dir() else []
    places += [Place(cache, rules.OTHERS_MAY_WRITE) for cache in caches if _within_reach(cache)]
    for place in places:
        finding = _judged(place)
        if finding is not None:
            yield finding


def _judged(place: Place) -> Finding | None:
    try:
        status = place.path.lstat()
    except OSError:
        return None
    given = None if stat.S_ISLNK(status.st_mode) else rules.rights(status.st_mode, place.forbidden)
    if given is None:
        return None
    if status.st_uid != os.geteuid():
        owner = _name(status.st_uid)
        hint = f"ask its owner, {owner}, to change the mode, or use another folder (DVC: core.site_cache_dir)"
        return Finding(f"{place.path} {given}", hint=hint)
    mode = stat.S_IMODE(status.st_mode) & ~place.forbidden
    return Finding(f"{place.path} {given}", hint=f"chmod {mode:o}", repair=partial(_close, place, mode))


def _close(place: Place, mode: int) -> str:
    """Change the mode by a descriptor that follows no link, so that the checked file is the changed file."""
    descriptor = os.open(place.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
    return f"{place.path} has mode {mode:o} now"


def _within_reach(path: Path) -> bool:
    """Whether the path exists and all users may pass all folders above it: DVC opens its own folder to all users."""
    return path.exists() and all(above.stat().st_mode & stat.S_IXOTH for above in path.absolute().parents)


def _site_cache(folder: Path) -> Path:
    """The cache that DVC shares between clones, from the environment, DVC's settings or its default."""
    named = os.environ.get("DVC_SITE_CACHE_DIR")
    for name in ("config.local", "config"):
        named = named or _setting(folder / ".dvc" / name)
    return folder / named if named else DVC_SITE_CACHE


def _setting(config: Path) -> str | None:
    found = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        found.read(config, encoding="utf-8")
    except (OSError, ValueError, configparser.Error):
        return None
    return found.get("core", "site_cache_dir", fallback=None)


def _name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"user {user_id}"
