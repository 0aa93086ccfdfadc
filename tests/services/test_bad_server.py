"""What stands before MLflow's server may lose, delay, refuse or garble; nothing moves by half, nobody waits long."""

import http.client
import itertools
import os
import socketserver
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from raw_model import POLICY, RawModel

from lockgate.database import ledger, versions
from lockgate.database.connection import Database
from lockgate.errors import Unavailable
from lockgate.gate.verdict import policy_digest
from lockgate.operations import promote as operations_promote
from lockgate.operations import register
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.workspace import Workspace
from lockgate.registry import client
from lockgate.stack import embedded_postgres
from lockgate.system.service_urls import Addresses

PROJECT = Path(__file__).parents[2]
YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)
PASSED_ON = {"content-type", "accept", "user-agent"}
SECRET = "s3cret-of-anna"
MOVE, CREATE = "model-versions/transition-stage", "model-versions/create"


@dataclass
class Between:
    """A proxy before a real server. For requests whose path ends so, as often as said, it does something else."""

    server: str
    on: str = ""
    times: int = 0
    act: Callable[[BaseHTTPRequestHandler, Callable[[], None]], None] | None = None
    asked: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    waited_for_all: int = 0  # requests whose caller was still there when an answer of a minute came to its end

    def strike(self, on: str, times: int, act: Callable[[BaseHTTPRequestHandler, Callable[[], None]], None]) -> None:
        self.on, self.times, self.act = on, times, act
        self.asked.clear()


@pytest.fixture
def between(stack: Addresses) -> Iterator[tuple[Between, str]]:
    proxy = Between(urlsplit(stack.tracking_uri).netloc)

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if self.raw_requestline and self.parse_request():
                self.pass_on()
            else:
                self.close_connection = True

        def pass_on(self) -> None:
            path = self.path.partition("?")[0]
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            proxy.asked.append(path)
            if proxy.act and proxy.times > 0 and path.endswith(proxy.on):
                proxy.times -= 1
                proxy.act(self, lambda: forward(self, proxy.server, body))
            else:
                answer(self, *forward(self, proxy.server, body))

        def log_message(self, *_: object) -> None:
            """Quiet."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield proxy, f"http://127.0.0.1:{listening.server_port}"
    proxy.stopping.set()
    listening.shutdown()
    listening.server_close()


def forward(request: BaseHTTPRequestHandler, server: str, body: bytes) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection(server, timeout=60)
    headers = {name: text for name, text in request.headers.items() if name.lower() in PASSED_ON}
    connection.request(request.command, request.path, body, headers)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply.status, reply.getheader("Content-Type", "text/plain"), content


def answer(request: BaseHTTPRequestHandler, status: int, kind: str, content: bytes, **headers: str) -> None:
    request.send_response(status)
    for name, text in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
        request.send_header(name.replace("_", "-"), text)
    request.end_headers()
    request.wfile.write(content)


def saying(status: int, content: bytes = b"no", **headers: str):
    return lambda request, _: answer(request, status, "text/html", content, **headers)


def losing_the_reply(request: BaseHTTPRequestHandler, pass_on: Callable[[], None]) -> None:
    pass_on()
    request.connection.close()


def cutting_the_reply(request: BaseHTTPRequestHandler, pass_on: Callable[[], None]) -> None:
    pass_on()
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"model_version": {"name"')
    request.close_connection = True


def late(seconds: float):
    def answers_late(request: BaseHTTPRequestHandler, pass_on: Callable[[], tuple[int, str, bytes]]) -> None:
        time.sleep(seconds)
        answer(request, *pass_on())

    return answers_late


def dripping(proxy: Between):
    def says_a_word_now_and_then(request: BaseHTTPRequestHandler, _: Callable[[], None]) -> None:
        with suppress(OSError):
            request.send_response(200)
            request.end_headers()
            for _ in range(200):
                if proxy.stopping.wait(0.3):
                    return
                request.wfile.write(b" ")
            proxy.waited_for_all += 1

    return says_a_word_now_and_then


def silent(proxy: Between):
    def says_nothing(*_: object) -> None:
        if not proxy.stopping.wait(60):
            proxy.waited_for_all += 1

    return says_nothing


@pytest.fixture
def candidate(stack: Addresses, between, monkeypatch) -> Workspace:
    """A model with a version in Staging, whose backend goes through the proxy and waits for four seconds."""
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")
    model = RawModel(stack, Database(stack.database_url))
    model.candidate()
    where = Addresses(between[1].replace("://", f"://anna:{SECRET}@"), stack.database_url)
    return Workspace(model.name, where, model.database, "anna", 4.0)


def promote(backend: Workspace) -> None:
    operations_promote.promote(backend, YES, None, policy_digest(POLICY), None)


def stage(backend: Workspace) -> str:
    return versions.stages(backend.database, backend.model)[0].stage


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(saying(503), id="503 once"),
        pytest.param(saying(429), id="429 once"),
        pytest.param(losing_the_reply, id="the reply is lost"),
        pytest.param(cutting_the_reply, id="the reply is cut"),
    ],
)
def test_what_happens_once_is_got_over(candidate, between, act) -> None:
    between[0].strike(MOVE, 1, act)
    promote(candidate)
    assert stage(candidate) == "Production"
    assert [row.to_stage for row in ledger.read(candidate.database, candidate.model)] == ["Staging", "Production"]
    assert ledger.read(candidate.database, candidate.model)[-1].actor == "anna"


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(saying(500), id="500"),
        pytest.param(saying(502), id="502"),
        pytest.param(saying(503, Retry_After="3600"), id="503, come back in an hour"),
        pytest.param(saying(200, b"<html>a login page</html>"), id="a page of something else"),
        pytest.param(saying(302, Location="http://127.0.0.1:9/"), id="sent elsewhere"),
    ],
)
def test_what_lasts_is_unavailable_after_two_tries_at_most_and_nothing_moves(candidate, between, act) -> None:
    between[0].strike(MOVE, 99, act)
    with pytest.raises(Unavailable):
        promote(candidate)
    assert 1 <= sum(path.endswith(MOVE) for path in between[0].asked) <= 2
    assert stage(candidate) == "Staging"


def test_a_server_that_accepts_and_never_answers_is_given_up(candidate, between) -> None:
    proxy = between[0]
    proxy.strike("", 99, silent(proxy))
    with pytest.raises(Unavailable, match="does not answer") as refusal:
        promote(candidate)
    assert (proxy.waited_for_all, len(proxy.asked) < 99) == (0, True)
    assert SECRET not in "".join(traceback.format_exception(refusal.value))  # which --debug shows
    assert stage(candidate) == "Staging"


def test_a_server_whose_answer_to_a_move_never_ends_is_given_up_as_if_it_gave_none(candidate, between) -> None:
    between[0].strike(MOVE, 99, dripping(between[0]))
    with pytest.raises(Unavailable, match="did not answer within 4 s"):
        promote(candidate)
    assert between[0].waited_for_all == 0
    assert stage(candidate) == "Staging"


@pytest.mark.parametrize("status", [401, 403])
def test_whoever_is_not_let_in_is_told_so_at_once_without_the_password(candidate, between, status) -> None:
    between[0].strike(MOVE, 99, saying(status, b"Unauthorized"))
    with pytest.raises(Unavailable, match="not authorised") as refusal:
        promote(candidate)
    assert sum(path.endswith(MOVE) for path in between[0].asked) == 1
    assert SECRET not in f"{refusal.value} {refusal.value.hint}"
    assert stage(candidate) == "Staging"


def test_a_redirect_does_not_carry_the_password_elsewhere(candidate, between) -> None:
    between[0].strike(MOVE, 99, saying(307, Location=f"{between[1]}/elsewhere"))
    with pytest.raises(Unavailable):
        promote(candidate)
    assert not any("elsewhere" in path for path in between[0].asked)


@dataclass
class Certified:
    """A server behind TLS: where it listens, its certificate, and what was said to it once the line was safe."""

    port: int
    certificate: Path
    heard: list[bytes]

    def at(self, host: str) -> str:
        return f"https://anna:{SECRET}@{host}:{self.port}"


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[Certified]:
    """Its certificate says 127.0.0.1, and nobody vouches for it."""
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(a_certificate())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    heard: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), context.wrap_socket(self.request, server_side=True) as line:
                heard.append(line.recv(1000))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield Certified(listening.server_address[1], certificate, heard)
        listening.shutdown()


def a_certificate() -> bytes:
    """A key, and a certificate for the address 127.0.0.1 that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    built = built.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    signed = built.sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + signed.public_bytes(Encoding.PEM)


def refused_at(candidate: Workspace, address: str) -> Unavailable:
    """The refusal of a promotion through an address; neither it nor its traceback shows the password."""
    with pytest.raises(Unavailable) as refusal:
        promote(replace(candidate, addresses=Addresses(address, candidate.addresses.database_url)))
    assert SECRET not in "".join(traceback.format_exception(refusal.value))
    assert stage(candidate) == "Staging"
    return refusal.value


def test_a_certificate_that_nobody_vouches_for_is_not_trusted_with_a_password(candidate, certified) -> None:
    refusal = refused_at(candidate, certified.at("127.0.0.1"))
    assert refusal.message == "the TLS connection to the MLflow server fails"
    assert "certificate verify failed" in refusal.where
    assert certified.heard == []


def test_a_certificate_of_another_host_is_not_trusted_with_a_password(candidate, certified, monkeypatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certified.certificate))
    refusal = refused_at(candidate, certified.at("localhost"))
    assert refusal.message == "the certificate of the MLflow server is for another host name"
    assert "localhost" in refusal.where
    assert "MLFLOW_TRACKING_URI" in refusal.hint
    assert certified.heard == []


def test_a_certificate_of_this_host_that_somebody_vouches_for_is_trusted(candidate, certified, monkeypatch) -> None:
    """The two refusals before are of what they say, and of nothing else."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certified.certificate))
    assert "certificate" not in str(refused_at(candidate, certified.at("127.0.0.1")))  # this server says no word
    assert b"Authorization: Basic" in certified.heard[0]


@pytest.fixture
def read_only(stack: Addresses, psql) -> Iterator[None]:
    """MLflow's sessions in the database may only read, as on a standby; ours are as ever."""
    anew = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{embedded_postgres.MLFLOW_ROLE}'"
    psql(f"ALTER ROLE {embedded_postgres.MLFLOW_ROLE} SET default_transaction_read_only = on; {anew}")
    yield
    psql(f"ALTER ROLE {embedded_postgres.MLFLOW_ROLE} RESET default_transaction_read_only; {anew}")


def test_a_database_that_is_read_only_behind_the_server_is_unavailable_and_no_refusal(
    candidate, stack, read_only
) -> None:
    with pytest.raises(Unavailable, match="the database behind MLflow fails: cannot execute UPDATE in a read-only"):
        promote(replace(candidate, addresses=stack))
    assert stage(candidate) == "Staging"


def test_a_registration_whose_reply_is_lost_makes_one_version(backend, build, params, between) -> None:
    between[0].strike(CREATE, 1, losing_the_reply)
    through = replace(backend, addresses=Addresses(between[1], backend.addresses.database_url))
    receipt = register.register(through, build(1), params)
    assert [row.version for row in versions.stages(backend.database, backend.model)] == [receipt.version]


def test_a_server_that_answers_each_call_late_does_not_hold_a_registration_forever(
    backend, build, params, between, monkeypatch
) -> None:
    """Each call comes within its own time; all of them together would not."""
    monkeypatch.setattr(client, "TIME_LIMIT_IN_CALLS", 0.6)
    between[0].strike("", 99, late(0.7))
    with pytest.raises(Unavailable, match=r"too slow: after 3 s the run was not logged yet") as refusal:
        register.register(through(backend, between, 5.0), build(1), params)
    assert between[0].times > 0
    assert "--timeout" in refusal.value.hint
    assert versions.stages(backend.database, backend.model) == []
    between[0].strike("", 0, late(0))
    assert register.register(backend, build(1), params).version == 1


@pytest.mark.parametrize(
    ("said", "message"), [("1", "the MLflow server does not answer"), ("soon", "LOCKGATE_TIMEOUT is 'soon'")]
)
def test_a_stage_waits_for_a_server_as_long_as_the_environment_says(backend, build, between, said, message) -> None:
    """Three seconds would do with the usual time."""
    between[0].strike("", 99, late(3.0))
    where = {"MLFLOW_TRACKING_URI": between[1], "LOCKGATE_DATABASE_URL": backend.addresses.database_url}
    stage = [sys.executable, str(PROJECT / "pipelines" / "register.py"), "data/prepared", "build", "build/version.json"]
    done = subprocess.run(
        stage, cwd=build(1).build.parent, env=os.environ | where | {"LOCKGATE_TIMEOUT": said}, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert message in done.stderr


def silent_after(calls: int, proxy: Between):
    answered = itertools.count()

    def answers_no_more(request: BaseHTTPRequestHandler, pass_on: Callable[[], tuple[int, str, bytes]]) -> None:
        if next(answered) < calls:
            answer(request, *pass_on())
        else:
            silent(proxy)()

    return answers_no_more


@pytest.mark.parametrize(
    "calls", [pytest.param(3, marks=pytest.mark.long), 12, pytest.param(20, marks=pytest.mark.long)]
)
def test_a_server_that_falls_silent_in_the_middle_of_a_registration_is_given_up(
    backend, build, params, between, calls
) -> None:
    between[0].strike("", 999, silent_after(calls, between[0]))
    with pytest.raises(Unavailable, match="does not answer"):
        register.register(through(backend, between, 2.0), build(1), params)
    assert len(between[0].asked) > calls
    assert between[0].waited_for_all == 0
    between[0].strike("", 0, late(0))
    assert register.register(backend, build(1), params).version == 1


def test_a_server_whose_answer_never_ends_is_given_up_when_a_registration_has_had_its_time(
    backend, build, params, between, monkeypatch
) -> None:
    """No call waits long for the next byte, and none ends."""
    monkeypatch.setattr(register, "TIME_LIMIT_IN_CALLS", 0.8)
    between[0].strike("artifacts/bundle/manifest.json", 99, dripping(between[0]))
    with pytest.raises(Unavailable, match=r"after 4 s the bundle was not registered yet") as refusal:
        register.register(through(backend, between, 5.0), build(1), params)
    assert between[0].waited_for_all == 0
    assert "--timeout" in refusal.value.hint
    assert versions.stages(backend.database, backend.model) == []
    between[0].strike("", 0, late(0))
    assert register.register(backend, build(1), params).version == 1


def through(backend: Workspace, between: tuple[Between, str], timeout: float) -> Workspace:
    return replace(backend, addresses=Addresses(between[1], backend.addresses.database_url), timeout=timeout)
