"""The list of installed packages (SBOM) of the environment that registers a bundle, as CycloneDX 1.6 JSON.

The same environment and bundle give the same bytes: no time, no serial number, sorted entries.
"""

import platform
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageMetadata, distributions
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from cyclonedx.model.dependency import Dependency
    from cyclonedx.model.license import License

OWN = "lockgate"
LONGEST_LICENSE = 100  # characters; a longer text is the whole licence, not its name


def of_environment(model: str, bundle_digest: str) -> bytes:
    """The SBOM of this process's environment; the bundle is its subject, with the SHA-256 of the manifest."""
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    bom = Bom(components=_components(), dependencies=_dependencies())
    bom.serial_number, bom.metadata.timestamp = None, None  # type: ignore[assignment]
    bom.metadata.component = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=model,
        version=bundle_digest[:12],
        bom_ref="bundle",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=bundle_digest)],
    )
    bom.metadata.properties.add(Property(name="lockgate:platform", value=sysconfig.get_platform()))
    bom.register_dependency(bom.metadata.component, [each for each in bom.components if each.name == OWN])
    return JsonV1Dot6(bom).output_as_string(indent=1).encode()


@dataclass(frozen=True)
class _Package:
    """What the list says of an installed package. `is_local`: it came from a folder or a repository, not from PyPI."""

    name: str
    version: str
    license_expression: str
    licenses: tuple[str, ...]
    requires: tuple[str, ...]
    is_local: bool

    @property
    def reference(self) -> str:
        """The name of the package within the list."""
        return f"{self.name}=={self.version}"


@cache
def _installed() -> dict[str, _Package]:
    """The installed packages by canonical name; of two with one name, Python imports the first."""
    found: dict[str, _Package] = {}
    for each in distributions():
        read = each.metadata  # parsed at each access
        if read["Name"]:
            found.setdefault(canonicalize_name(read["Name"]), _package(each, read))
    return dict(sorted(found.items()))


def _package(package: Distribution, read: PackageMetadata) -> _Package:
    return _Package(
        canonicalize_name(read["Name"]),
        read["Version"],
        _text(read, "License-Expression"),
        _license_names(read),
        tuple(_all(read, "Requires-Dist")),
        package.read_text("direct_url.json") is not None,
    )


@cache
def _components() -> "tuple[Component, ...]":
    from cyclonedx.model.component import Component, ComponentType

    version = platform.python_version()
    python = Component(
        type=ComponentType.PLATFORM, name=platform.python_implementation(), version=version, bom_ref="python"
    )
    return (python, *map(_component, _installed().values()))


def _component(package: _Package) -> "Component":
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    # a package from a folder or a repository is not the one that PyPI has under the same name
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        bom_ref=package.reference,
        purl=None if package.is_local else PackageURL("pypi", None, package.name, package.version),
        licenses=_licenses(package),
    )


def _licenses(package: _Package) -> "Iterable[License]":
    """The licence as the package states it: an SPDX expression, or names."""
    from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression

    if package.license_expression:
        return [LicenseExpression(package.license_expression)]
    return [DisjunctiveLicense(name=each) for each in package.licenses]


def _license_names(read: PackageMetadata) -> tuple[str, ...]:
    """The licence in the package's own words; else those of its classifiers."""
    named = _text(read, "License")
    if named and named.isprintable() and len(named) <= LONGEST_LICENSE:
        return (named,)
    classified = [each for each in _all(read, "Classifier") if each.startswith("License :: ")]
    return tuple(sorted({each.rpartition(" :: ")[2] for each in classified}))


def _text(read: PackageMetadata, field: str) -> str:
    return next(iter(_all(read, field)), "")


def _all(read: PackageMetadata, field: str) -> Sequence[str]:
    return read.get_all(field) or []


@cache
def _dependencies() -> "tuple[Dependency, ...]":
    """For each installed package, the installed packages that it asks for here, without its extras."""
    from cyclonedx.model.bom_ref import BomRef
    from cyclonedx.model.dependency import Dependency

    known = _installed()

    def asked(package: _Package) -> set[str]:
        return {name for text in package.requires if (name := _asked(text)) in known}

    return tuple(
        Dependency(
            BomRef(package.reference), [Dependency(BomRef(known[each].reference)) for each in sorted(asked(package))]
        )
        for package in known.values()
    )


def _asked(requirement: str) -> str | None:
    """The name of a requirement; None if it is not for this platform, or only for an extra."""
    try:
        found = Requirement(requirement)
    except InvalidRequirement:
        return None
    holds = found.marker is None or found.marker.evaluate({"extra": ""})
    return canonicalize_name(found.name) if holds else None
