"""No failure, however it comes about, shows a secret to whoever looks at the error."""

from __future__ import annotations

import base64
import json
import pickle
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from auth0_tx.core.effects import Response
from auth0_tx.core.flows.exchange import custom_token_exchange
from auth0_tx.errors import (
    AmbiguousError,
    ClientClosedError,
    NotSentError,
)
from auth0_tx.values import RetryPolicy, TokenExchangeResponse
from tests.core.exposure import collect_texts
from tests.core.id_tokens import build_jwks_response, sign_id_token
from tests.core.vectors_tokens import P256
from tests.core.world import (
    DOCUMENT,
    SECRETS,
    TOKENS,
    Clock,
    build_client,
    build_options,
    build_response,
    fail,
    play,
    start,
)

ACTOR = {"actor_token": SECRETS["actor_token"], "actor_token_type": "urn:acme:service"}
PRIVATE: dict[str, Any] = P256.as_dict(private=True)


def list_disguises(secret: str) -> set[str]:
    """Return the forms in which *secret* may hide."""
    octets = secret.encode()
    return {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(octets).decode(),
        base64.urlsafe_b64encode(octets).rstrip(b"=").decode(),
        octets.hex(),
    }


NEEDLES = [
    *(form for secret in SECRETS.values() for form in list_disguises(secret)),
    base64.b64encode(
        f"the-client:{quote_plus(SECRETS['client_secret'])}".encode()
    ).decode(),
    PRIVATE["d"],
]

ECHO = {
    "error": "invalid_request",
    "error_description": " ".join(
        SECRETS[name] for name in ("subject_token", "actor_token")
    ),
    **{name: SECRETS[name] for name in ("mfa_token", "refresh_token", "access_token")},
}
BROKEN_TOKENS = {
    **TOKENS,
    "refresh_token": SECRETS["refresh_token"],
    "token_type": "mac",
}

FAILURES: dict[str, Response | Exception] = {
    "refused": build_response(ECHO, 400),
    "refused-401": build_response(ECHO, 401),
    "server-error": build_response(ECHO, 500),
    "mfa": build_response({**ECHO, "error": "mfa_required"}, 403),
    "limited": build_response(ECHO, 429, retry_after="60"),
    "blocked": build_response({**ECHO, "error": "too_many_attempts"}, 429),
    "echo-as-code": build_response({**ECHO, "error": SECRETS["subject_token"]}, 400),
    "echo-in-header": build_response({}, 400, x_request_id=SECRETS["subject_token"]),
    "redirect": build_response(
        ECHO, 307, location=f"https://evil.com/?{SECRETS['subject_token']}"
    ),
    "html": build_response(
        f"<p>{ECHO}".encode(), content_type=f"text/{SECRETS['subject_token']}"
    ),
    "cut": build_response(json.dumps(BROKEN_TOKENS).encode()[:-9]),
    "twice": build_response(
        b'{"access_token":"' + SECRETS["access_token"].encode() + b'",' * 2
    ),
    "list": build_response([BROKEN_TOKENS]),
    "wrong-type": build_response(BROKEN_TOKENS),
    "bad-token": build_response(
        {**BROKEN_TOKENS, "access_token": SECRETS["access_token"] + "\n"}
    ),
    "utf-16": build_response(json.dumps(BROKEN_TOKENS).encode("utf-16")),
    "deep": build_response(SECRETS["access_token"].encode() + b"[" * 100_000),
    "not-sent": NotSentError("no", retry_safe=True),
    "lost": AmbiguousError("lost"),
    "closed": ClientClosedError("closed"),
}

PROXY = f"http://user:{quote(SECRETS['subject_token'], safe='')}@proxy.example.com"

CLIENTS: dict[str, dict[str, Any]] = {
    "post": {},
    "basic": {
        "client_auth": "client_secret_basic",
        "client_secret": SECRETS["client_secret"],
    },
    "key": {
        "client_assertion_signing_key": PRIVATE,
        "client_assertion_signing_alg": "ES256",
    },
    "all": {
        "on_event": print,
        "retry": RetryPolicy(fail_fast=True, remember_refusals_seconds=60.0),
        "proxy": PROXY,
        "secret": SECRETS["refresh_token"] * 2,
    },
}


def list_shown(error: BaseException) -> list[str]:
    """Return the secrets that *error* shows, in whatever form."""
    text = collect_texts(error)
    return [needle for needle in NEEDLES if needle in text]


@pytest.mark.parametrize("keywords", CLIENTS.values(), ids=CLIENTS.keys())
@pytest.mark.parametrize("reply", FAILURES.values(), ids=FAILURES.keys())
def test_failure(
    clock: Clock, reply: Response | Exception, keywords: dict[str, Any]
) -> None:
    """An error shows nothing, nor do its causes, its pickle, or our frames it passed."""
    context = build_client(clock, **keywords)
    given = build_options(
        **ACTOR, scope="openid", authorization_params={"pin": SECRETS["client_secret"]}
    )
    for flow in (start(custom_token_exchange, context, given) for _ in range(2)):
        error, _ = fail(flow, lambda request: reply, clock=clock)
        assert [] == list_shown(error)
        assert error.__cause__ is error.__context__ is None


@pytest.mark.parametrize("reply", FAILURES.values(), ids=FAILURES.keys())
def test_failed_discovery(clock: Clock, reply: Response | Exception) -> None:
    """A failure before the grant is sent shows nothing of it either."""
    context = build_client(clock, knows_metadata=False)
    flow = start(custom_token_exchange, context, build_options(**ACTOR))
    error, _ = fail(flow, lambda request: reply, clock=clock)

    assert [] == list_shown(error)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_token": f"Bearer {SECRETS['subject_token']}"},
        {"subject_token": SECRETS["subject_token"] + "\n"},
        {"actor_token": f" {SECRETS['actor_token']}"},
        {"actor_token_type": None},
        {"audience": ""},
        {"authorization_params": {"client_secret": SECRETS["client_secret"]}},
        {"authorization_params": {"pin": SECRETS["client_secret"] + "\x00"}},
        {"authorization_params": {"pin": [SECRETS["client_secret"]]}},
    ],
    ids=repr,
)
def test_bad_input(clock: Clock, changes: dict[str, Any]) -> None:
    """Bad input is refused without being shown."""
    context = build_client(clock)
    error, _ = fail(
        start(custom_token_exchange, context, build_options(**{**ACTOR, **changes}))
    )

    assert [] == list_shown(error)


@pytest.mark.parametrize("tampered", ["", "x", "AAAA"])
def test_bad_id_token(clock: Clock, tampered: str) -> None:
    """Why an actor cannot be told shows nothing of the tokens."""
    token = sign_id_token(act={"sub": SECRETS["actor_token"]}) + tampered
    flow = start(custom_token_exchange, build_client(clock), build_options(**ACTOR))
    replies = (
        build_response({**TOKENS, "id_token": token}),
        lambda request: build_jwks_response("key-2"),
    )
    response, _ = play(flow, *replies)

    assert response.act_error is not None
    assert [] == list_shown(response.act_error)
    assert [] == [
        part
        for part in token.split(".")
        if part and part in collect_texts(response.act_error)
    ]


def test_response(clock: Clock) -> None:
    """A response gives its tokens to who asks for them, and shows none."""
    body = {**TOKENS, "refresh_token": SECRETS["refresh_token"]}
    response, _ = play(
        start(custom_token_exchange, build_client(clock), build_options()),
        build_response(body),
    )

    assert isinstance(response, TokenExchangeResponse)
    assert SECRETS["access_token"] == response.access_token
    assert "needle" not in repr(response)
    with pytest.raises(TypeError, match="holds secrets"):
        pickle.dumps(response)


def test_requests(clock: Clock) -> None:
    """A request carries the secrets in its body or a header, never in its URL."""
    flow = start(
        custom_token_exchange,
        build_client(clock, knows_metadata=False),
        build_options(**ACTOR),
    )
    _, asked = play(flow, build_response(DOCUMENT), build_response())

    assert 2 == len(asked.requests)
    assert "needle" not in repr(asked.requests)
    assert [] == [request.url for request in asked.requests if "needle" in request.url]
    assert "needle" not in repr([{**request.headers} for request in asked.requests])


def test_canary() -> None:
    """The search for secrets finds one that is there, wherever it is."""
    planted = SECRETS["subject_token"]
    by_note, by_cause = ValueError("bad"), ValueError("bad")
    by_note.add_note(planted)
    by_cause.__cause__ = ValueError(base64.b64encode(planted.encode()).decode())

    for error in (ValueError(f"bad {planted}"), by_note, by_cause):
        assert [] != list_shown(error)


def test_canary_in_a_frame() -> None:
    """The search finds a secret among the locals of one of the library's frames."""
    source = compile(
        "def fail(token): raise ValueError('bad')", "auth0_tx/canary.py", "exec"
    )
    names: dict[str, Any] = {}
    exec(source, names)
    with pytest.raises(ValueError, match="bad") as error:
        names["fail"](SECRETS["subject_token"])

    assert [] != list_shown(error.value)
