"""Checks the files of versions: downloads them into a private folder and compares digests; loads nothing."""

from collections.abc import Iterator

from lockgate.bundle import manifest
from lockgate.doctor.context import Site
from lockgate.doctor.report import Finding, Weight
from lockgate.errors import IntegrityBroken
from lockgate.lifecycle import retention
from lockgate.lifecycle.model_state import ModelState, Registered
from lockgate.lifecycle.stages import Stage
from lockgate.operations import load_version

TARGETS = 10  # the default of gc --keep


def artifacts(site: Site) -> Iterator[Finding]:
    """Check the files of Production, Staging and the rollback targets, or of all versions, against their digests."""
    for registered in _looked_at(site):
        try:
            _verify(site, registered)
        except IntegrityBroken as broken:
            yield Finding(
                f"version {registered.version} ({registered.stage}): {broken.message}",
                hint=_way_out(registered),
                weight=Weight.INTEGRITY,
            )


def _looked_at(site: Site) -> list[Registered]:
    """The versions to check: those with a recorded digest; a version registered outside Lockgate has none."""
    vital = _vital(site.state)
    return [
        registered
        for registered in site.state.versions
        if registered.bundle_digest and (site.every_version or registered.version in vital)
    ]


def _vital(state: ModelState) -> set[int]:
    held = {
        registered.version for registered in state.versions if registered.stage in (Stage.PRODUCTION, Stage.STAGING)
    }
    return held | set(retention.rollback_targets(state, TARGETS))


def _verify(site: Site, registered: Registered) -> None:
    with load_version.fetched(site.workspace, load_version.recorded(site.workspace, registered.version)) as version:
        manifest.verified(version.bundle, version.digest, manifest.names(version.bundle))


def _way_out(registered: Registered) -> str:
    restore = "restore its files from a backup"
    return f"{restore}, or promote another version" if registered.stage is Stage.PRODUCTION else restore
