"""The routes of the pages: each reads what was asked, calls one function, and renders a page or redirects."""

import asyncio
import os
import re
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from traceback import format_exception
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from lockgate.errors import LockgateError, WrongUsage
from lockgate.operations import review
from lockgate.operations.workspace import Workspace
from lockgate.pages import evidence, history_page, monitoring_page, moves_page, overview, render, version_page
from lockgate.pages.forms import COOKIE, LARGEST, SECONDS, TOKEN_FIELD, Fields, require_own, session, token
from lockgate.pages.refusals import BrokenPage, NotAllowed, NotFound, NotLoggedIn, TooLarge, TooSlow, status_of
from lockgate.pages.site import Site, Visitor
from lockgate.pages.standing import score_beside
from lockgate.system import page_addresses
from lockgate.system.page_addresses import ROOT
from lockgate.system.readable_line import readable_line

ALLOWED_ORIGINS = "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"
NUMBER = re.compile("[1-9][0-9]{0,8}")
DONE = {
    "approved": "The approval is recorded.",
    "rejected": "The rejection is recorded, and the version is archived.",
    "promoted": "The version is in Production.",
    "rolled-back": "The version is back in Production.",
}


@dataclass(frozen=True)
class Asked:
    """One request of a visitor: the query or the form, the number in its path, and the session."""

    site: Site
    visitor: Visitor
    fields: Fields
    path: Mapping[str, str]
    session: str

    @property
    def number(self) -> int:
        """The version in the path. Raises NotFound for text that is no version number."""
        found = self.path.get("number", "")
        if not NUMBER.fullmatch(found):
            raise NotFound(f"no version is called {found[:60]!a}", hint="versions are numbered from 1")
        return int(found)

    @property
    def reason(self) -> str:
        """The reason in the form, one readable line."""
        return readable_line(self.fields["reason"], "the reason")


Handler = Callable[[Asked], Response]


def of(site: Site) -> list[Route]:
    """The routes, with the prefix of the server's paths."""
    found: list[tuple[str, str, Handler]] = [
        ("GET", "", _overview),
        ("GET", "/versions/{number}", _version),
        ("POST", "/versions/{number}/decision", _decide),
        ("GET", "/versions/{number}/promote", _ask_promotion),
        ("POST", "/versions/{number}/promote", _promote),
        ("GET", "/rollback", _ask_rollback),
        ("POST", "/rollback", _roll_back),
        ("GET", "/history", _history),
        ("GET", "/monitoring", _monitoring),
    ]
    start = site.prefix + ROOT
    routes = [Route(start + path, _endpoint(site, handler), methods=[method]) for method, path, handler in found]
    return [Route(f"{start}/style.css", _style, methods=["GET"]), *routes]


def _style(_: Request) -> Response:
    return Response(render.style(), media_type="text/css", headers={"Cache-Control": "max-age=300"})


def _endpoint(site: Site, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request)
        except (TooLarge, TooSlow) as refusal:
            return _refused(site, None, refusal, "")
        return await run_in_threadpool(_answer, site, handler, request, body)

    return endpoint


async def _body(request: Request) -> str:
    """The body of a form.

    Raises TooLarge as soon as more is sent than a form of these pages can hold, and TooSlow after SECONDS.
    """
    parts = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.stream():
                parts += chunk
                if len(parts) > LARGEST:
                    raise TooLarge("the form is too large", hint="give a shorter reason")
    except TimeoutError:
        raise TooSlow(f"the form was not complete after {SECONDS:g} s", hint="send it again") from None
    return parts.decode(errors="replace")


def _answer(site: Site, handler: Handler, request: Request, body: str) -> Response:
    """The page, or the page that says why not."""
    visitor, own = None, session(request.cookies)
    try:
        visitor = site.visitor(request.headers, request.client.host if request.client else "")
        sent = request.method == "POST"
        fields = Fields.read(body if sent else request.url.query)
        if sent:
            allowed = os.environ.get(ALLOWED_ORIGINS, "")
            require_own(request.headers, request.cookies, fields, visitor.name, allowed)
        response = handler(Asked(site, visitor, fields, request.path_params, own))
    except NotLoggedIn as unknown:
        return Response(unknown.answer.body, unknown.answer.status, _login_headers(unknown.answer.headers))
    except LockgateError as refusal:
        response = _refused(site, visitor, refusal, _way_back(site, request, body))
    except Exception as bug:  # noqa: BLE001 - the visitor gets a page, and the log the stack trace
        response = _refused(site, visitor, _logged(bug), _way_back(site, request, body))
    secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:")
    response.set_cookie(COOKIE, own, path=site.prefix + ROOT, httponly=True, samesite="strict", secure=secure)
    return response


def _logged(bug: Exception) -> BrokenPage:
    """Write a bug with a reference to the log of the server."""
    reference = secrets.token_hex(4)
    sys.stderr.write(f"lockgate: a page has a bug, reference {reference}\n{''.join(format_exception(bug))}")
    return BrokenPage(reference)


def _login_headers(headers: Mapping[str, str]) -> dict[str, str]:
    passed_on = {"www-authenticate", "content-type", "location", "set-cookie"}
    return {name: value for name, value in headers.items() if name.lower() in passed_on} | {"Cache-Control": "no-store"}


def _way_back(site: Site, request: Request, body: str) -> str:
    """The page from which the form was sent: the page of its version, or the first page."""
    model, found = Fields.read(body)["model"], NUMBER.fullmatch(str(request.path_params.get("number", "")))
    return site.prefix + (
        page_addresses.version(model, int(found[0])) if found and model else page_addresses.overview()
    )


def _refused(site: Site, visitor: Visitor | None, refusal: LockgateError, back: str) -> Response:
    status = status_of(refusal)
    back = back or site.prefix + ROOT
    return _page(site, visitor, "refusal", status, refusal=refusal, title=status.phrase, back=back)


def _page(site: Site, visitor: Visitor | None, name: str, status: int = HTTPStatus.OK, **values: Any) -> HTMLResponse:
    shared = {"prefix": site.prefix, "visitor": visitor, "logins": site.logins}
    return HTMLResponse(render.html(name, shared | values), status, headers=render.HEADERS)


def _form(asked: Asked, model: str) -> dict[str, Any]:
    """What a page with a form needs: the token, and whether the visitor may act."""
    return {
        "csrf": token(asked.session, asked.visitor.name),
        "csrf_field": TOKEN_FIELD,
        "may_act": asked.site.may_act(asked.visitor, model),
    }


def _overview(asked: Asked) -> Response:
    site, visitor = asked.site, asked.visitor
    cards = [overview.card(site.workspace(visitor, model)) for model in site.models(visitor)]
    queue = overview.queue(cards)
    may_act = {each.model: site.may_act(visitor, each.model) for each in cards}
    shown: dict[str, Any] = {"cards": cards, "queue": queue, "may_act": may_act, "score_beside": score_beside}
    return _page(site, visitor, "overview", title="What is live", **shown)


def _version(asked: Asked) -> Response:
    model = asked.site.model(asked.visitor, asked.fields["model"])
    view = version_page.view(asked.site.workspace(asked.visitor, model), asked.number)
    shown = evidence.NOTHING
    if view.run_id and view.digests and view.review:
        shown = evidence.evidence(asked.visitor.call, view.run_id, view.digests, view.review.metric.label)
    done = DONE.get(asked.fields["done"], "")
    title = f"Version {view.version} of {model}"
    return _page(
        asked.site, asked.visitor, "version", title=title, view=view, shown=shown, done=done, **_form(asked, model)
    )


def _history(asked: Asked) -> Response:
    model = asked.site.model(asked.visitor, asked.fields["model"])
    view = history_page.view(asked.site.workspace(asked.visitor, model), asked.fields["at"])
    return _page(asked.site, asked.visitor, "history", title=f"History of {model}", view=view)


def _monitoring(asked: Asked) -> Response:
    model = asked.site.model(asked.visitor, asked.fields["model"])
    view = monitoring_page.view(asked.site.workspace(asked.visitor, model), asked.site.rounds)
    return _page(asked.site, asked.visitor, "monitoring", title=f"Monitoring of {model}", view=view)


def _ask_promotion(asked: Asked) -> Response:
    workspace = _workspace_to_act(asked)
    planned = moves_page.plan_promotion(workspace, asked.number)
    action = f"{asked.site.prefix}{ROOT}/versions/{planned.version}/promote"
    return _confirmation(asked, planned, action)


def _ask_rollback(asked: Asked) -> Response:
    workspace = _workspace_to_act(asked)
    planned = moves_page.plan_rollback(workspace, _optional_number(asked.fields["to"]))
    return _confirmation(asked, planned, f"{asked.site.prefix}{ROOT}/rollback")


def _confirmation(asked: Asked, planned: moves_page.Planned, action: str) -> Response:
    title = f"{planned.verb} version {planned.version} of {planned.model}"
    form = _form(asked, planned.model)
    return _page(asked.site, asked.visitor, "confirm", title=title, planned=planned, action=action, **form)


def _decide(asked: Asked) -> Response:
    workspace, number, reason = _workspace_to_act(asked), asked.number, asked.reason
    decision = asked.fields["decision"]
    if decision not in ("approve", "reject"):
        raise WrongUsage("the form says neither approve nor reject", hint="use the buttons of the page")
    version_page.require_shown_verdict(workspace, number, asked.fields["verdict"])
    if decision == "approve":
        review.approve(workspace, number, reason, None)
    else:
        review.reject(workspace, number, reason)
    return _done(asked, workspace.model, number, "approved" if decision == "approve" else "rejected")


def _promote(asked: Asked) -> Response:
    workspace = _workspace_to_act(asked)
    moves_page.carry_out_promotion(workspace, asked.number, asked.reason, asked.fields["current"])
    return _done(asked, workspace.model, asked.number, "promoted")


def _roll_back(asked: Asked) -> Response:
    workspace, to = _workspace_to_act(asked), _optional_number(asked.fields["to"])
    if to is None:
        raise WrongUsage("the form names no version", hint="load the page again")
    moves_page.carry_out_rollback(workspace, to, asked.reason, asked.fields["current"])
    return _done(asked, workspace.model, to, "rolled-back")


def _workspace_to_act(asked: Asked) -> Workspace:
    """The workspace of the named model. Raises NotAllowed if the visitor may not act on the model."""
    model = asked.site.model(asked.visitor, asked.fields["model"])
    if not asked.site.may_act(asked.visitor, model):
        raise NotAllowed(
            f"{asked.visitor.name} may read {model}, and not decide on its versions",
            hint="an administrator of MLflow gives the permission EDIT on the model",
        )
    return asked.site.workspace(asked.visitor, model)


def _optional_number(text: str) -> int | None:
    if text and not NUMBER.fullmatch(text):
        raise WrongUsage(f"no version is called {text[:60]!a}", hint="versions are numbered from 1")
    return int(text) if text else None


def _done(asked: Asked, model: str, number: int, what: str) -> Response:
    """To the page of the version, by GET: loading that page again sends no form again."""
    address = asked.site.prefix + page_addresses.version(model, number) + f"&done={what}"
    return RedirectResponse(address, HTTPStatus.SEE_OTHER, headers={"Cache-Control": "no-store"})
