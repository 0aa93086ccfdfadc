"""The site: MLflow's application as the pages call it, the database, and the workspace of a visitor."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from lockgate.database import coverage
from lockgate.database.connection import Database
from lockgate.errors import BadConfiguration
from lockgate.operations.workspace import Workspace, actor_here
from lockgate.pages.child import Turn
from lockgate.pages.monitoring_page import Rounds
from lockgate.pages.refusals import NotFound, NotLoggedIn
from lockgate.registry.own_server import Answer, Call, OwnServer
from lockgate.system import timeouts
from lockgate.system.service_urls import DATABASE_VARIABLE, Addresses

CURRENT_USER = "/api/2.0/mlflow/users/current"
PERMISSION = "/api/3.0/mlflow/users/permissions/get"
MAY_ACT = {"EDIT", "MANAGE"}
MAY_READ = {"READ", "USE", *MAY_ACT}
# Of the browser's own request: the body is another one, and its origin was checked before.
NOT_PASSED_ON = {"content-length", "content-type", "transfer-encoding", "origin", "accept-encoding", "connection"}


@dataclass(frozen=True)
class Visitor:
    """The person who asks: their name for the ledger, and calls of MLflow with their login.

    `permission` gives the visitor's permission on a model; MLflow is asked once. Without logins, every visitor is the
    account of the server and may do everything.
    """

    name: str
    call: Call
    permission: Callable[[str], str]


@dataclass
class Site:
    """What all requests share: MLflow's Flask application, whether it has logins, and the prefix of its paths."""

    flask: Any
    logins: bool
    prefix: str
    turn: Turn = field(default_factory=Turn)

    @cached_property
    def rounds(self) -> Rounds:
        """The rounds of the monitor."""
        return Rounds(self.turn)

    @cached_property
    def database(self) -> Database:
        """The database of schema lockgate, with a few open connections. Nothing is connected yet."""
        return open_database()

    def visitor(self, headers: Mapping[str, str], address: str) -> Visitor:
        """Who asks. Raises NotLoggedIn, with MLflow's own answer, if MLflow does not know the login."""
        call = AsVisitor(self.flask, self.prefix, headers, address)
        if not self.logins:
            return Visitor(actor_here(), call, lambda _: "MANAGE")
        answer = call("GET", CURRENT_USER, {})
        user = answer.json().get("user")
        if answer.status != 200 or not isinstance(user, dict):
            raise NotLoggedIn(answer)
        name = str(user["username"])
        return Visitor(
            name, call, cache(partial(_permission, call, name)) if not user["is_admin"] else lambda _: "MANAGE"
        )

    def models(self, visitor: Visitor) -> list[str]:
        """The models under the guard that the visitor may read."""
        return [model for model in coverage.read(self.database).models if visitor.permission(model) in MAY_READ]

    def model(self, visitor: Visitor, named: str) -> str:
        """The named model, or the only one. Raises NotFound for a model that the visitor may not read, too."""
        if named:
            if named in coverage.read(self.database).models and visitor.permission(named) in MAY_READ:
                return named
            raise NotFound(f"there is no model {named!a} here", hint="see the models on the first page")
        known = self.models(visitor)
        if len(known) != 1:
            raise NotFound("the address names no model", hint="add ?model=NAME, or begin at the first page")
        return known[0]

    def may_act(self, visitor: Visitor, model: str) -> bool:
        """Whether the visitor may approve, reject and move versions: whoever may edit the model in MLflow."""
        return visitor.permission(model) in MAY_ACT

    def workspace(self, visitor: Visitor, model: str) -> Workspace:
        """The workspace in which the visitor reads and acts."""
        addresses = Addresses("", self.database.address)
        reached_by = partial(OwnServer, visitor.call)
        return Workspace(
            model, addresses, self.database, visitor.name, self.database.timeout, reached_by=reached_by
        )  # fmt: skip


def _permission(call: Call, name: str, model: str) -> str:
    """The permission of a user on a model, as MLflow decides it for its own requests."""
    query = {"username": name, "resource_type": "registered_model", "resource_id": model}
    return str(call("GET", PERMISSION, query).json().get("permission", ""))


@dataclass(frozen=True)
class AsVisitor:
    """Calls MLflow's application in this thread, with the headers of a visitor: the same login and the same rights."""

    flask: Any
    prefix: str
    headers: Mapping[str, str]
    address: str

    def __call__(
        self, method: str, path: str, query: Mapping[str, str], sent: Mapping[str, object] | None = None
    ) -> Answer:
        """The answer of the application."""
        reply = self._open(path, method=method, query_string=dict(query), json=sent)
        with reply:
            return Answer(reply.status_code, reply.get_data(), dict(reply.headers))

    def fetch(self, path: str, query: Mapping[str, str], target: Path) -> Answer:
        """Write the body of a good answer into a file, in pieces; the body of another answer is in the result."""
        reply = self._open(path, method="GET", query_string=dict(query))
        with reply:
            if reply.status_code >= HTTPStatus.BAD_REQUEST:
                return Answer(reply.status_code, reply.get_data(), dict(reply.headers))
            with target.open("wb") as file:
                file.writelines(reply.iter_encoded())
            return Answer(reply.status_code, b"", dict(reply.headers))

    def _open(self, path: str, **request: Any) -> Any:
        headers = {name: value for name, value in self.headers.items() if name not in NOT_PASSED_ON}
        overrides = {"REMOTE_ADDR": self.address}
        client = self.flask.test_client(use_cookies=False)
        return client.open(self.prefix + path, headers=headers, environ_overrides=overrides, **request)


def open_database() -> Database:
    """The database that LOCKGATE_DATABASE_URL names. Raises BadConfiguration without it."""
    url = os.environ.get(DATABASE_VARIABLE, "").strip()
    if not url:
        raise BadConfiguration(
            f"{DATABASE_VARIABLE} is not set for the MLflow server",
            hint=f"set {DATABASE_VARIABLE} in the environment of mlflow server, and start it again",
        )
    return Database(url, timeouts.of_one_call(), keep_connections=True)
