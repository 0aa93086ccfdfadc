"""Alerts: which receivers are taken, and what is said of one that fails."""

import shlex
import sys

import pytest

from lockgate.errors import WrongUsage
from lockgate.operations.alert import Receivers, send


@pytest.mark.parametrize(
    "webhook",
    ["ftp://example.org/x", "example.org", "https://", "http://[::1", "http://host:port/x", "http://h:99999/"],
)
def test_a_webhook_that_is_no_address_is_refused(webhook: str) -> None:
    with pytest.raises(WrongUsage, match="no http or https address"):
        Receivers.of(webhook, None, 1.0)


@pytest.mark.parametrize("command", ["", "  ", "say 'half"])
def test_a_command_that_cannot_be_read_is_refused(command: str) -> None:
    with pytest.raises(WrongUsage, match="--on-alert"):
        Receivers.of(None, command, 1.0)


def test_the_words_of_a_command_are_given_as_they_are_and_no_shell_reads_them() -> None:
    assert Receivers.of(None, "say 'two words' $HOME ; ls", 1.0).command == ("say", "two words", "$HOME", ";", "ls")


@pytest.mark.parametrize(
    ("code", "says"),
    [("import sys; sys.exit(sys.stdin.read() != 'alert')", None), ("raise SystemExit(3)", "exit code 3"),
     ("import time; time.sleep(60)", "did not end within 1 s")],
)  # fmt: skip
def test_a_command_gets_the_alert_and_its_failure_is_said(code: str, says: str | None) -> None:
    receivers = Receivers.of(None, shlex.join([sys.executable, "-c", code]), 1.0 if says and "within" in says else 30.0)
    failures = list(send(receivers, b"alert"))
    assert failures == [] if says is None else (len(failures) == 1 and says in failures[0])


@pytest.mark.parametrize("path", ["/secret", "/secret with a blank", "/secret\u00e9"])
def test_the_failure_of_a_webhook_names_the_host_and_no_secret(path: str) -> None:
    [failure] = send(Receivers.of(f"http://127.0.0.1:9{path}", None, 1.0), b"{}")
    assert failure.startswith("the webhook at 127.0.0.1 did not take the alert: ")
    assert "secret" not in failure
