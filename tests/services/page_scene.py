"""A model for the tests of the pages: version 1 in Production, version 2 in Staging."""

import itertools

import served_versions

from lockgate.database.connection import Database
from lockgate.operations.workspace import Workspace
from lockgate.system.service_urls import Addresses

counter = itertools.count(1)


def new_model(stack: Addresses) -> Workspace:
    """A model that no other test has, without versions."""
    return Workspace(f"paged{next(counter)}-ensemble", stack, Database(stack.database_url), "anna", 20.0)


def serving_and_staged(stack: Addresses) -> Workspace:
    """The model with its two versions."""
    workspace = new_model(stack)
    served_versions.put_in_production(workspace, 1)
    served_versions.put_in_staging(workspace, 2)
    return workspace
