"""The context of a health check: project, services and registry, each fetched once for all checks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lockgate.errors import LockgateError
from lockgate.lifecycle.invariants import Facts
from lockgate.lifecycle.model_state import ModelState
from lockgate.operations import status
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Params
from lockgate.system.service_urls import STATE_FILE, stack_folder

if TYPE_CHECKING:
    from lockgate.registry.client import Registry

Found = TypeVar("Found")


@dataclass(frozen=True)
class Site:
    """The folder of a project with its services, or the error that explains why there are none.

    `every_version`: check the files of all versions, not only of Production, Staging and the rollback targets.
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

    def without_cache(self) -> "Site":
        """The same site without cached results."""
        return replace(self)

    @property
    def home(self) -> Path:
        """The folder of the stack; it may not exist."""
        return stack_folder(self.folder) / STATE_FILE.parent

    @property
    def workspace(self) -> Workspace:
        """The services. Raises the error if the database does not answer."""
        return _or_raise(self._workspace)

    @property
    def registry(self) -> "Registry":
        """The client of an MLflow server that has read its registry. Raises the error if it could not."""
        return _or_raise(self._registry)

    @cached_property
    def state(self) -> ModelState:
        """All versions and the ledger."""
        return self.workspace.state()

    @cached_property
    def facts(self) -> Facts:
        """The input of the invariants, as of one moment."""
        return self.workspace.database.read_one_moment(lambda: status.facts(self.workspace))

    @cached_property
    def _workspace(self) -> Workspace | LockgateError:
        return _or_refusal(self._connected)

    @cached_property
    def _registry(self) -> "Registry | LockgateError":
        return _or_refusal(self._reading)

    def _connected(self) -> Workspace:
        workspace = _or_raise(self.services)
        with workspace.database.transaction():
            return workspace

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
