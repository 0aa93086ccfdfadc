"""The application of the MLflow server with the pages of Lockgate: the factories that the entry points name.

No other module of this room touches MLflow.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI
from mlflow.server import app as flask_app
from mlflow.server.fastapi_app import create_fastapi_app
from mlflow.server.handlers import STATIC_PREFIX_ENV_VAR

from lockgate.errors import BadConfiguration
from lockgate.pages import routes
from lockgate.pages.site import Site
from lockgate.registry.readable_refusals import ReadableRefusals

LOGINS = "the logins of the MLflow server"  # the lock under which the workers of all servers prepare their tables
WAIT_SECONDS = 120.0


def create_app() -> FastAPI:
    """MLflow's application without logins, and the pages. The actor is LOCKGATE_ACTOR, or the server's account."""
    return _with_pages(create_fastapi_app(flask_app), logins=False)


def create_app_with_logins() -> FastAPI:
    """MLflow's application with basic-auth, and the pages. The actor is the user who is logged in."""
    from mlflow.server import auth

    with _one_worker_at_a_time():
        application = auth.create_app(flask_app)
    return _with_pages(application, logins=True)


def _with_pages(application: object, logins: bool) -> FastAPI:
    """The application with the routes of the pages before MLflow's own, whose last route takes every path."""
    if not isinstance(application, FastAPI):
        raise BadConfiguration(
            "the pages of Lockgate need uvicorn, MLflow's usual server", hint="start it without gunicorn or waitress"
        )
    prefix = os.environ.get(STATIC_PREFIX_ENV_VAR, "").rstrip("/")
    site = Site(flask_app, logins, prefix)
    application.router.routes[:0] = routes.of(site)
    application.add_middleware(ReadableRefusals)
    return application


@contextmanager
def _one_worker_at_a_time() -> Iterator[None]:
    """Only one worker makes MLflow's tables of users and its first admin; the others wait for it.

    MLflow does this before it starts its workers, but only for an application called basic-auth.
    """
    from lockgate.database.model_lock import model_lock
    from lockgate.pages.site import open_database

    with model_lock(open_database(), LOGINS, wait=WAIT_SECONDS):
        yield
