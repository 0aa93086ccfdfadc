"""The context of a health check: project, services and registry, each fetched once for all checks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lockgate.errors import LockgateError
from lockgate.lifecycle.invariants import Facts
from lockgate.lifecycle.moves import ModelState
from lockgate.operations import status
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Params
from lockgate.system.service_urls import STATE_FILE

if TYPE_CHECKING:
    from lockgate.registry.client import Registry

Found = TypeVar("Found")


@dataclass(frozen=True)
class Site:
    """A project's folder with its services, or why there are none.

    `every_version`: look at the files of all versions, not only of those that serve, might, or may have to again.
    """

    folder: Path
    params: Params
    services: Workspace | LockgateError
    every_version: bool = False

    @classmethod
    def here(cls, params: Params, timeout: float, every_version: bool) -> "Site":
        """The working directory, with the services that the environment or `.lockgate` names."""
        services = _or_refusal(lambda: Workspace.here(params.model_name, timeout, params.gate.trusted_keys))
        return cls(Path.cwd(), params, services, every_version)

    def anew(self) -> "Site":
        """The same site, with nothing looked at yet."""
        return replace(self)

    @property
    def home(self) -> Path:
        """The stack's folder, which need not be there."""
        return self.folder / STATE_FILE.parent

    @property
    def backend(self) -> Workspace:
        """The services. Raises what keeps the database from answering."""
        return _or_raise(self._backend)

    @property
    def registry(self) -> "Registry":
        """An MLflow server that has just read its registry. Raises what keeps it from that."""
        return _or_raise(self._registry)

    @cached_property
    def roster(self) -> ModelState:
        """All versions and their past."""
        return self.backend.state()

    @cached_property
    def facts(self) -> Facts:
        """What the invariants are checked on, as of one moment."""
        with self.backend.database.one_moment():
            return status.facts(self.backend)

    @cached_property
    def _backend(self) -> Workspace | LockgateError:
        return _or_refusal(self._connected)

    @cached_property
    def _registry(self) -> "Registry | LockgateError":
        return _or_refusal(self._reading)

    def _connected(self) -> Workspace:
        backend = _or_raise(self.services)
        with backend.database.transaction():
            return backend

    def _reading(self) -> "Registry":
        registry = _or_raise(self.services).registry()
        registry.read()
        return registry


def _or_refusal(fetch: Callable[[], Found]) -> Found | LockgateError:
    try:
        return fetch()
    except LockgateError as refusal:
        return refusal


def _or_raise(found: Found | LockgateError) -> Found:
    if isinstance(found, LockgateError):
        raise found
    return found
