"""The manifest of a backup: what it holds, with the digest of each file, and where each ledger ends."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lockgate import digests
from lockgate.database.snapshot import Head
from lockgate.errors import IntegrityBroken

NAME, DUMP, ARTIFACTS = "manifest.json", "database.dump", "artifacts"
FORMAT = 1
HINT = "use another backup"


@dataclass(frozen=True)
class KeptFile:
    """A file of a backup."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A backup. `artifacts`: in `database`, in a `folder` of the backup, or `elsewhere`, in a store that it leaves out.

    `roles` are those that own something in the database or have a right there. `without_files` are the versions whose
    files were missing in the folder.
    """

    made_at: str
    lockgate: str
    postgres: int
    schema: int
    artifacts: str
    heads: tuple[Head, ...]
    roles: tuple[str, ...]
    files: Mapping[str, KeptFile]
    without_files: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(each.size for each in self.files.values())

    def text(self) -> str:
        """The manifest as JSON, with a digest of itself."""
        told = {"format": FORMAT, **asdict(self)}
        return json.dumps(told | {"digest": digests.of_json(told)}, indent=1) + "\n"


def read(folder: Path) -> Manifest:
    """The manifest of a backup. Raises IntegrityBroken if there is none, or if it was changed."""
    where = str(folder / NAME)
    try:
        told = json.loads((folder / NAME).read_text(encoding="utf-8"))
        digest = told.pop("digest")
        if told["format"] != FORMAT:
            raise IntegrityBroken(f"the backup has format {told['format']}", where=where, hint="update lockgate")
        if digest != digests.of_json(told):
            raise IntegrityBroken("the manifest of the backup was changed", where=where, hint=HINT)
        return _manifest(told)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityBroken("this is no whole backup: its manifest cannot be read", where=where, hint=HINT) from error


def _manifest(told: dict[str, Any]) -> Manifest:
    values = {name: value for name, value in told.items() if name != "format"}
    return Manifest(
        **values
        | {
            "heads": tuple(Head(**head) for head in told["heads"]),
            "roles": tuple(told["roles"]),
            "without_files": tuple(told.get("without_files", ())),
            "files": {name: KeptFile(**kept) for name, kept in told["files"].items()},
        }
    )


def damage(folder: Path, manifest: Manifest) -> list[str]:
    """A sentence for each file that is missing or is not the one of the manifest."""
    found = []
    for name, kept in manifest.files.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.stat().st_size != kept.size or digests.of_file(path) != kept.sha256:
            found.append(f"{name} was changed or cut off")
    return found
