"""Checks the receipt of the register stage against records and registry."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lockgate.bundle import manifest
from lockgate.database import diagnostics
from lockgate.doctor import rules
from lockgate.doctor.context import Site
from lockgate.doctor.report import Finding
from lockgate.errors import IntegrityBroken
from lockgate.operations import register
from lockgate.operations.stage_files import Build, Receipt
from lockgate.system import strict_yaml


@dataclass(frozen=True)
class Left:
    """The build and the receipt of the pipeline, with the paths of dvc.yaml."""

    made: Build
    receipt: Path


def receipt(site: Site) -> Iterator[Finding]:
    """Check that the version of the receipt is in the registry, with the digest of the receipt."""
    left = _left(site.folder)
    if left is None or not left.receipt.is_file():
        return
    held = _digest(left.made.bundle)
    try:
        read = Receipt.read(left.receipt)
    except (ValueError, TypeError):
        found = Finding(f"{left.receipt.name} is not a valid receipt", hint=rules.AGAIN)
        yield _repairable(found, site, left) if held else found
        return
    rows = diagnostics.remembered(site.workspace.database, site.workspace.model)
    living = {registered.version for registered in site.state.versions}
    digests = {row.version: row.bundle_digest for row in rows}
    contradiction = rules.receipt(read, site.workspace.model, digests, living)
    if contradiction is None:
        return
    comes_back = held == read.bundle_digest and not _is_lost(read.bundle_digest, digests, living)
    yield _repairable(contradiction, site, left) if comes_back else _explained(contradiction, held, read)


def _is_lost(digest: str, digests: dict[int, str], living: set[int]) -> bool:
    """Whether the version that held the bundle was deleted: the same bundle cannot be registered a second time."""
    return any(held == digest and version not in living for version, held in digests.items())


def _explained(contradiction: Finding, held: str | None, read: Receipt) -> Finding:
    """The finding, with the reason why the bundle cannot be registered again as the hint."""
    if held == read.bundle_digest:
        return contradiction
    why = f"the build holds another bundle, {held[:12]}" if held else "the build holds no bundle"
    return replace(contradiction, hint=f"{why}; {rules.AGAIN}")


def _repairable(finding: Finding, site: Site, left: Left) -> Finding:
    return replace(finding, hint="register the bundle in the build again", repair=partial(_register_again, site, left))


def _register_again(site: Site, left: Left) -> str:
    made = register.register(site.workspace, left.made, site.params)
    made.write(left.receipt)
    return f"the bundle in the build is now version {made.version}, and the receipt names it"


def _left(folder: Path) -> Left | None:
    """The paths in the register stage's command, its last three words; None without a pipeline."""
    try:
        stages = strict_yaml.parse((folder / "dvc.yaml").read_bytes())["stages"]
        prepared, build, receipt = shlex.split(stages["register"]["cmd"])[-3:]
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return Left(Build(folder / prepared, folder / build), folder / receipt)


def _digest(bundle: Path) -> str | None:
    """The digest of a bundle whose files all match its manifest; None if there is no such bundle."""
    try:
        digest = manifest.digest(bundle)
        manifest.verified(bundle, digest, manifest.names(bundle))
    except IntegrityBroken:
        return None
    return digest
