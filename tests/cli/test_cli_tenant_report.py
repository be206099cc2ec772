"""What `tenant` says: the facts, the code to paste, a line for each request."""

from __future__ import annotations

import pytest

from auth0_tx.cli.rendering.style import Style
from auth0_tx.cli.rendering.tenant_report import (
    ConnectionFacts,
    facts_members,
    facts_text,
    log_line,
    snippet,
)
from auth0_tx.cli.running_tenant import error_code
from auth0_tx.tenant import Reply

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
    head, _, tail = facts_text(FACTS, Style()).partition("─" * 72 + "\n")

    assert snippet(FACTS) == tail
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
    head = snippet(facts).partition("options =")[0]
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

    assert "verify" not in snippet(facts)
    assert "ca_file" not in facts_text(facts, Style())
    assert facts_members(facts)["ca_file"] is None


def test_facts_do_not_print() -> None:
    """The facts' own repr holds no secret."""
    assert "the-secret" not in repr(FACTS)
    assert "the-token" not in repr(FACTS)


@pytest.mark.parametrize(
    ("path", "error", "line"),
    [
        ("/oauth/token", None, "POST /oauth/token 400"),
        ("/oauth/token", "invalid_grant", "POST /oauth/token 400 invalid_grant"),
        ("/\x1b[2J", "a\nb", "POST /\\u001b[2J 400 a\\nb"),
    ],
)
def test_log_line(path: str, error: object, line: str) -> None:
    """A request is one line, whatever its path holds."""
    assert line == log_line("POST", path, 400, error)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply.of({"error": "x"}, status=400), "x"),
        (Reply.of({"error": "x"}), None),
        (Reply.of({}, status=404), None),
        (Reply(404, b"no"), None),
    ],
)
def test_error_code(reply: Reply, code: object) -> None:
    """Only a refusal has an error, and only where its body says so."""
    assert code == error_code(reply)
