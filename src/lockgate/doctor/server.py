"""Checks the MLflow server: it reads its registry, and runs with the safe settings."""

from collections.abc import Iterator

from lockgate.doctor import rules
from lockgate.doctor.context import Site
from lockgate.doctor.report import Finding
from lockgate.stack import mlflow_server, processes


def mlflow_answers(site: Site) -> Iterator[Finding]:
    """Read the registry; `/health` is OK even without a database."""
    _ = site.registry
    yield from ()


def settings(site: Site) -> Iterator[Finding]:
    """Check the settings of the server of `lockgate up`; those of a server on another machine are unknown."""
    for process in mlflow_server.running(site.home.resolve())[:1]:
        try:
            environment = process.environ()
        except processes.Gone:
            return
        yield from rules.settings(environment, mlflow_server.SAFE_SETTINGS)
