"""The output of `tenant`: the facts, the code to paste, a line for each request."""

from __future__ import annotations

import pytest

from auth0_tx.cli.rendering.style import Style
from auth0_tx.cli.rendering.tenant_report import (
    ConnectionFacts,
    facts_to_json,
    format_facts,
    write_snippet,
)
from auth0_tx.cli.running_tenant import format_request
from auth0_tx.tenant import ReceivedRequest, Reply

FACTS = ConnectionFacts(
    issuer="https://localhost:8443/",
    domain="localhost:8443",
    ca_file="/home/zoë/ca.pem",
    client_id="local-client",
    client_secret="the-secret",
    subject_token="the-token",
)


def test_text() -> None:
    """The facts are set out, and what follows the rule is the snippet alone."""
    head, _, tail = format_facts(FACTS, Style()).partition("─" * 72 + "\n")

    assert write_snippet(FACTS) == tail
    assert (
        """\
A local Auth0 tenant is running
  issuer              https://localhost:8443/
  domain              localhost:8443
  ca_file             /home/zoë/ca.pem
  client_id           local-client
  client_secret       the-secret
  subject_token       the-token
  subject_token_type  urn:acme:legacy-token
  audience            https://api.example.com

Paste into Python
"""
        == head
    )


def test_snippet_compiles_with_any_path() -> None:
    """A path with quotes, backslashes or other letters is a literal that means it."""
    path = 'C:\\temp\\"zoë"\'\n\x1b\\ca.pem'
    facts = ConnectionFacts(
        issuer="i",
        domain="d",
        ca_file=path,
        client_id="c",
        client_secret="s",
        subject_token="t",
    )
    scope: dict[str, object] = {}
    head = write_snippet(facts).partition("options =")[0]
    exec(compile(head, "snippet", "exec"), scope)

    assert {
        "domain": "d",
        "client_id": "c",
        "client_secret": "s",
        "verify": path,
    } == scope["tenant"]


def test_snippet_without_tls() -> None:
    """Without TLS there is nothing to verify."""
    facts = ConnectionFacts(
        issuer="i",
        domain="http://localhost:1",
        ca_file=None,
        client_id="c",
        client_secret="s",
        subject_token="t",
    )

    assert "verify" not in write_snippet(facts)
    assert "ca_file" not in format_facts(facts, Style())
    assert facts_to_json(facts)["ca_file"] is None


def test_facts_do_not_print() -> None:
    """The facts' own repr holds no secret."""
    assert "the-secret" not in repr(FACTS)
    assert "the-token" not in repr(FACTS)


@pytest.mark.parametrize(
    ("path", "reply", "line"),
    [
        ("/oauth/token", Reply.of({}), "POST /oauth/token 200"),
        (
            "/oauth/token",
            Reply.of({"error": "invalid_grant"}, status=400),
            "POST /oauth/token 400 invalid_grant",
        ),
        (
            "/\x1b[2J",
            Reply.of({"error": "a\nb"}, status=400),
            "POST /\\u001b[2J 400 a\\nb",
        ),
        ("/", Reply.of({"error": "x"}), "POST / 200"),
        ("/", Reply.of({}, status=404), "POST / 404"),
        ("/", Reply.of({"error": 1}, status=400), "POST / 400"),
        ("/", Reply(404, b"no"), "POST / 404"),
    ],
)
def test_log_line(path: str, reply: Reply, line: str) -> None:
    """A request is one line, with the error of a refusal, whatever its path contains."""
    request = ReceivedRequest(method="POST", path=path, query="token=needle")

    assert line == format_request(request, reply)
