"""Checks the MLflow server: it reads its registry, and runs with the safe settings."""

from collections.abc import Iterator

from lockgate.doctor import rules
from lockgate.doctor.context import Site
from lockgate.doctor.report import Finding
from lockgate.stack import mlflow_server, processes


def mlflow_answers(site: Site) -> Iterator[Finding]:
    """A real read of the registry; `/health` says OK even without a database."""
    _ = site.registry
    yield from ()


def settings(site: Site) -> Iterator[Finding]:
    """The server of `lockgate up`; how one elsewhere was started, it does not tell."""
    for process in mlflow_server.running(site.home.resolve())[:1]:
        try:
            environment = process.environ()
        except processes.Gone:
            return
        yield from rules.settings(environment, mlflow_server.SAFE_SETTINGS)
