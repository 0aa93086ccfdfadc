"""Attacks on the MLflow server as `lockgate up` starts it, and on the pages inside it."""

import re
import socket
from urllib.parse import urlsplit

import pytest
import requests
from page_visitor import Visitor, goes_to
from raw_model import RawModel

from lockgate.database import approvals, coverage
from lockgate.database.connection import Database
from lockgate.operations.workspace import Workspace
from lockgate.system.service_urls import Addresses

HOSTILE = (
    "\x1b[31m</td><script>alert(1)</script><img src=x onerror=alert(2)> [x](javascript:alert(3)) \u202e'; --{{7*7}}"
)
EVIL = "http://evil.example"


@pytest.fixture(scope="module")
def model(stack: Addresses) -> RawModel:
    """A model whose version 1 waits in Staging; its name has every sign that MLflow allows and an address reads."""
    model = RawModel(stack, Database(stack.database_url), name="<b>&done=x?model=y#z %0d%0a\"'")
    model.candidate()
    return model


@pytest.fixture
def visitor(stack: Addresses) -> Visitor:
    return Visitor(stack.tracking_uri)


def harmless(page: str) -> bool:
    """Whether the page has no script, no handler of an event, no invisible character, and no address of a script."""
    tags = re.findall(r"<[^>]*>", page)
    return (
        "".join(page.split("\n")).isprintable()
        and not any(re.match(r"<\s*(script|img|iframe|object|embed|b\b)", tag, re.IGNORECASE) for tag in tags)
        and not any(re.search(r"\son\w+\s*=|javascript:", tag, re.IGNORECASE) for tag in tags)
    )


def test_what_a_user_of_mlflow_writes_is_only_text_on_our_pages(model: RawModel, visitor: Visitor) -> None:
    model.ask("PATCH", "model-versions/update", name=model.name, version="1", description=HOSTILE)
    for key in ("approval_reason", "approved_by", "verdict", "note"):
        model.tag(1, key, HOSTILE)
    assert model.tag(1, "approval", "approved").status_code == 200
    pages = {
        path: visitor.get(path, model=model.name) for path in ("", "/versions/1", "/versions/1/promote", "/history")
    }
    assert {path: page.status_code for path, page in pages.items()} == dict.fromkeys(pages, 200)
    assert all(harmless(page.text) for page in pages.values())
    assert "alert(1)" in pages["/versions/1"].text
    policy = {path: page.headers["Content-Security-Policy"] for path, page in pages.items()}
    assert all("default-src 'none'" in each and "script-src" not in each for each in policy.values())


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/versions/1", {"model": "\x00"}, 404),
        ("/versions/1", {"model": "../../etc/passwd"}, 404),
        ("/versions/1", {"model": f"x' OR '1'='1{HOSTILE}"}, 404),
        ("/versions/0", {}, 404),
        ("/versions/٣", {}, 404),
        ("/versions/99999999999999999999", {}, 404),
        (f"/versions/{'9' * 5000}", {}, 404),
        ("/versions/1;DROP TABLE x", {}, 404),
        ("/versions/1", {"done": HOSTILE}, 200),
        ("/history", {"at": "0001-01-01T00:00:00+23:59"}, 422),
        ("/history", {"at": "9999-12-31T23:59:59-23:59"}, 422),
        ("/history", {"at": HOSTILE}, 422),
        ("/rollback", {"to": "-1"}, 422),
        ("/rollback", {"to": HOSTILE}, 422),
    ],
)
def test_an_address_that_names_nothing_is_refused_as_a_harmless_page(
    model: RawModel, visitor: Visitor, path: str, query: dict[str, str], status: int
) -> None:
    reply = visitor.get(path, **({"model": model.name} | query))
    assert reply.status_code == status
    assert harmless(reply.text)
    assert "Traceback" not in reply.text


def test_nothing_that_is_no_form_of_a_page_acts(model: RawModel, visitor: Visitor) -> None:
    visitor.get("/versions/1", model=model.name)
    before = approvals.of_model(model.database, model.name)
    url, fields = (
        f"{visitor.address}/lockgate/versions/1/decision",
        visitor.fields | {"decision": "reject", "reason": "x"},
    )
    own = {"Origin": visitor.address}
    tries = [
        visitor.session.get(url, params=fields, headers=own),
        visitor.session.get(url, params=fields, headers=own | {"X-HTTP-Method-Override": "POST"}),
        visitor.session.put(url, data=fields, headers=own),
        visitor.session.post(url, params=fields, headers=own),  # the token in the address
        visitor.session.post(url, json=fields, headers=own),
        visitor.session.post(url, files={name: (None, value) for name, value in fields.items()}, headers=own),
        visitor.session.post(url, data=fields, headers={"Origin": f"{EVIL}?{visitor.address}"}),
        visitor.session.post(
            url, data=fields, headers={"Origin": f"http://{urlsplit(visitor.address).netloc}.evil.example"}
        ),
        visitor.session.post(url, data=fields, headers={"Origin": EVIL, "X-Forwarded-Host": "evil.example"}),
        visitor.session.post(url, data=fields, headers={"Referer": f"{visitor.address}/lockgate"}),
    ]
    assert {reply.status_code for reply in tries} <= {403, 404, 405}
    assert approvals.of_model(model.database, model.name) == before


def test_a_form_leads_to_a_page_of_this_server_whatever_it_names(model: RawModel, visitor: Visitor) -> None:
    visitor.get("/versions/1", model=model.name)
    elsewhere = {name: f"//evil.example/{name}" for name in ("next", "back", "done", "url", "redirect", "return_to")}
    where = goes_to(visitor.send("/versions/1/decision", decision="approve", reason="fine", **elsewhere))
    assert where.startswith("/lockgate/versions/1?model=")
    assert "evil.example" not in where
    assert visitor.session.get(visitor.address + where).status_code == 200
    refused = visitor.send("/versions/1/decision", decision="neither", reason="x", model="https://evil.example")
    assert f'href="{EVIL}' not in refused.text and 'href="//' not in refused.text


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, b"a" * 40_000),
        ({"Content-Encoding": "gzip"}, bytes(40_000)),
        ({"Content-Type": "application/xml"}, b'<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><x>&c;</x>'),
        ({}, b"&".join(b"f%d=1" % number for number in range(3000))),
        ({}, b"reason=%FF%FE&model=%00"),
    ],
    ids=["too large", "compressed", "XML", "many fields", "no UTF-8"],
)
def test_a_body_that_is_no_form_is_refused(visitor: Visitor, headers: dict[str, str], body: bytes) -> None:
    url = f"{visitor.address}/lockgate/versions/1/decision"
    reply = visitor.session.post(url, data=body, headers={"Origin": visitor.address} | headers, timeout=60)
    assert reply.status_code in (403, 413)
    assert harmless(reply.text)


@pytest.mark.long
def test_a_form_that_comes_too_slowly_is_given_up(visitor: Visitor) -> None:
    host = urlsplit(visitor.address)
    with socket.create_connection((str(host.hostname), host.port or 80), 60) as slow:
        head = f"POST /lockgate/rollback HTTP/1.1\r\nHost: {host.netloc}\r\nContent-Length: 100\r\n\r\nreason="
        slow.sendall(head.encode())
        assert slow.recv(1 << 16).startswith(b"HTTP/1.1 408")
    assert visitor.get("").status_code == 200


WRITES = [
    ("POST", "api/2.0/mlflow/registered-models/create", b'{"name": "of-another-site"}'),
    ("POST", "ajax-api/2.0/mlflow/registered-models/create", b'{"name": "of-another-site"}'),
    ("PUT", "api/2.0/mlflow-artifacts/artifacts/of-another-site/x.txt", b"x"),
    ("DELETE", "api/2.0/mlflow-artifacts/artifacts/of-another-site/x.txt", b""),
    ("POST", "ajax-api/2.0/mlflow/upload-artifact?run_uuid=x&path=y", b"x"),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=[f"{write[0]} {write[1][:24]}" for write in WRITES])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": EVIL, "Content-Type": "text/plain"},
        {"Host": "evil.example"},
        {"Host": "evil.example:5000", "Origin": "http://evil.example:5000"},
        {"Host": "127.0.0.1.evil.example"},
    ],
    ids=["origin", "null origin", "simple request", "host", "rebinding", "look-alike"],
)
def test_a_page_of_another_site_writes_nothing_into_mlflow(
    stack: Addresses, method: str, path: str, body: bytes, headers: dict[str, str]
) -> None:
    sent = {"Content-Type": "application/json"} | headers
    reply = requests.request(method, f"{stack.tracking_uri}/{path}", data=body, headers=sent, timeout=60)
    assert reply.status_code == 403


@pytest.mark.parametrize("path", ["/lockgate", "/lockgate/versions/1", "/lockgate/history", "/", "/health/../lockgate"])
def test_a_name_that_points_here_is_not_answered(stack: Addresses, path: str) -> None:
    reply = requests.get(stack.tracking_uri + path, headers={"Host": "evil.example"}, timeout=60)
    assert reply.status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/lockgate/../../../../etc/passwd",
        "/lockgate/style.css/../../../etc/passwd",
        "/lockgate/%2e%2e/%2e%2e/etc/passwd",
        "/api/2.0/mlflow-artifacts/artifacts/..%2f..%2f..%2fetc%2fpasswd",
        "/api/2.0/mlflow-artifacts/artifacts/%2e%2e/%2e%2e/etc/passwd",
        "/api/2.0/mlflow-artifacts/artifacts//etc/passwd",
        "/api/2.0/mlflow-artifacts/artifacts?path=../../../../etc",
        "/get-artifact?run_uuid=x&path=../../../../etc/passwd",
        "/model-versions/get-artifact?name=x&version=1&path=../../../../etc/passwd",
    ],
)
def test_no_path_leaves_the_folder_of_the_artifacts(stack: Addresses, path: str) -> None:
    host = urlsplit(stack.tracking_uri)
    with socket.create_connection((str(host.hostname), host.port or 80), 60) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: {host.netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert answer.split(b" ", 2)[1] in (b"400", b"404")
    assert b"root:" not in answer


def test_a_model_that_nobody_covered_is_not_on_the_pages(stack: Addresses, visitor: Visitor) -> None:
    other = RawModel(stack, Database(stack.database_url), is_covered=False)
    other.add()
    assert other.name not in coverage.read(other.database).models
    assert visitor.get("/versions/1", model=other.name).status_code == 404
    assert Workspace(other.name, stack, other.database, "anna", 10.0).model not in visitor.get("").text
