"""An exchange as text and as JSON, and what replaces a secret in it."""

from __future__ import annotations

import json

import pytest

from auth0_tx import CustomTokenExchangeErrorCode, IdTokenError, TokenExchangeResponse
from auth0_tx.cli.rendering.exchange_report import (
    format_exchange,
    format_form,
    format_response,
    format_retry,
    read_subject,
    redact_parameter,
    response_to_json,
)
from auth0_tx.cli.rendering.style import Style
from auth0_tx.events import ExchangeRetried
from tests.cli.command_runs import jwt

ACT = {"sub": "agent|copilot", "act": {"sub": "auth0|support_agent"}}
ID_TOKEN = jwt({"sub": "auth0|alice", "act": ACT})
RESPONSE = TokenExchangeResponse(
    access_token="opaque-access-token",
    token_type="Bearer",
    expires_in=86_400,
    scope="openid",
    id_token=ID_TOKEN,
    act=ACT,
)
UNKNOWN_ACTOR = TokenExchangeResponse(
    access_token="opaque-access-token",
    token_type="Bearer",
    act_error=IdTokenError("no ID token came", hint="add openid to the scope."),
)


def text_of(show_tokens: bool = False) -> str:
    """Return what `exchange` shows of the response."""
    return format_exchange(
        RESPONSE,
        domain="tenant.us.auth0.com",
        seconds=0.1204,
        show_tokens=show_tokens,
        style=Style(),
    )


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("grant_type", "g", "g"),
        ("subject_token_type", "urn:acme:legacy-token", "urn:acme:legacy-token"),
        ("client_id", "c", "c"),
        ("subject_token", "abcdef", "<redacted: opaque, 6 characters>"),
        ("actor_token", jwt({}), "<redacted: JWT, 49 characters>"),
        ("client_assertion", jwt({}), "<redacted: JWT, 49 characters>"),
        ("client_secret", "abcdef", "<redacted>"),
        ("password", "abcdef", "<redacted>"),
        ("x-of-an-action", "abcdef", "<redacted>"),
    ],
)
def test_form_value(name: str, value: str, shown: str) -> None:
    """Only parameters that cannot be a secret are shown."""
    assert shown == redact_parameter(name, value)


def test_form_rows() -> None:
    """The parameters of a request keep their order."""
    form = [("scope", "openid"), ("client_secret", "abcdef"), ("audience", "a\x1b")]

    assert [
        "  scope          openid",
        "  client_secret  <redacted>",
        '  audience       "a\\u001b"',
    ] == format_form(form, Style())


def test_response_rows() -> None:
    """Tokens that came back are described; absent members are left out."""
    assert [
        "  access_token  <redacted: opaque, 19 characters>",
        "  token_type    Bearer",
        "  expires_in    86400  24 hours",
        "  scope         openid",
        f"  id_token      <redacted: JWT, {len(ID_TOKEN)} characters>",
    ] == format_response(RESPONSE, Style())


def test_response_rows_with_tokens() -> None:
    """Tokens are shown whole on request."""
    shown = format_response(RESPONSE, Style(), show_tokens=True)

    assert "  access_token  opaque-access-token" == shown[0]
    assert f"  id_token      {ID_TOKEN}" == shown[-1]


def test_actor_not_known() -> None:
    """An unknown actor has a reason, and what to do about it."""
    assert [
        "  act           not known: no ID token came",
        "                hint: add openid to the scope.",
    ] == format_response(UNKNOWN_ACTOR, Style())[-2:]


def test_actor_not_known_without_hint() -> None:
    """Without a hint the reason stands alone."""
    response = TokenExchangeResponse(
        access_token="a",
        token_type="Bearer",
        act_error=IdTokenError("the signature\x1b is wrong"),
    )

    assert (
        "  act           not known: the signature\\u001b is wrong"
        == format_response(response, Style())[-1]
    )


def test_response_members() -> None:
    """As JSON the response has the names of RFC 8693, and its tokens are described."""
    assert {
        "access_token": "<redacted: opaque, 19 characters>",
        "token_type": "Bearer",
        "expires_in": 86_400,
        "scope": "openid",
        "issued_token_type": None,
        "id_token": f"<redacted: JWT, {len(ID_TOKEN)} characters>",
        "refresh_token": None,
        "act": ACT,
        "actors": [{"sub": "agent|copilot"}, {"sub": "auth0|support_agent"}],
        "act_error": None,
    } == json.loads(json.dumps(response_to_json(RESPONSE)))


def test_response_members_with_tokens() -> None:
    """With tokens it is the token response itself."""
    members = json.loads(json.dumps(response_to_json(RESPONSE, show_tokens=True)))

    assert ("opaque-access-token", ID_TOKEN, None) == (
        members["access_token"],
        members["id_token"],
        members["refresh_token"],
    )


def test_actor_error_members() -> None:
    """Why an actor is not known is in the JSON too."""
    error = response_to_json(UNKNOWN_ACTOR)["act_error"]

    assert (
        CustomTokenExchangeErrorCode.INVALID_ID_TOKEN,
        "add openid to the scope.",
    ) == (error["code"], error["hint"])


def test_exchange_text() -> None:
    """An exchange is shown with its tenant, its time, its tokens and its actors."""
    assert f"""\
Exchanged at tenant.us.auth0.com in 120 ms
  access_token  <redacted: opaque, 19 characters>
  token_type    Bearer
  expires_in    86400  24 hours
  scope         openid
  id_token      <redacted: JWT, {len(ID_TOKEN)} characters>

Actors, from the verified ID token
  agent|copilot           current actor
  └─ auth0|support_agent  earlier actor
     └─ auth0|alice       subject

Tokens are redacted; --show-tokens shows them.""" == text_of()


def test_exchange_text_with_tokens() -> None:
    """With the tokens shown, nothing says that they are redacted."""
    assert "--show-tokens" not in text_of(show_tokens=True)


def test_subject_without_id_token() -> None:
    """Without an ID token there is no subject to name."""
    assert read_subject(UNKNOWN_ACTOR) is None


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (429, "attempt 1 failed: rate_limited (HTTP 429); retrying in 1.5 s"),
        (None, "attempt 1 failed: rate_limited; retrying in 1.5 s"),
    ],
)
def test_retry_line(status: int | None, line: str) -> None:
    """A retry is logged with its reason and its wait."""
    event = ExchangeRetried(
        domain="d", attempt=1, code="rate_limited", status=status, delay=1.5
    )

    assert line == format_retry(event)
