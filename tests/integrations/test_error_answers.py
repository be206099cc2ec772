"""The answers to callers when an exchange fails."""

from __future__ import annotations

import logging

import pytest

from auth0_tx import (
    AccessTokenSet,
    AmbiguousError,
    Auth0Error,
    BackchannelLogoutError,
    BlockedError,
    BulkStoppedError,
    ClientClosedError,
    ConfigurationError,
    CustomTokenExchangeError,
    DiscoveryError,
    IdTokenError,
    InsufficientScopeError,
    InvalidInputError,
    InvalidResponseError,
    LoginRefusedError,
    LoginRequiredError,
    MfaRequiredError,
    NotSentError,
    RateLimitError,
    RefusedError,
    SessionError,
    SigningKeyError,
    StoreError,
    TransportError,
    WrongAudienceError,
    errors,
)
from auth0_tx.integrations.error_answers import answer_for, wants_page
from auth0_tx.integrations.request_base import check_scopes, get_bearer_token


def refuse_format(parameter: str) -> InvalidInputError:
    """Return the error of a token that cannot be one."""
    return InvalidInputError("no", "invalid_token_format", parameter=parameter)


BEARER = {"WWW-Authenticate": "Bearer"}
INVALID_TOKEN = {"WWW-Authenticate": 'Bearer error="invalid_token"'}

ANSWERS: list[tuple[Auth0Error, int, str, dict[str, str]]] = [
    (LoginRequiredError("no"), 401, "login_required", BEARER),
    (LoginRefusedError("no"), 403, "access_denied", {}),
    (BackchannelLogoutError("no"), 400, "invalid_request", {}),
    # The request has no bearer token; then one that cannot be a token, and one in a body.
    (
        InvalidInputError("no", parameter="authorization"),
        401,
        "invalid_request",
        BEARER,
    ),
    (refuse_format("authorization"), 401, "invalid_token", INVALID_TOKEN),
    (refuse_format("access_token"), 401, "invalid_token", INVALID_TOKEN),
    (refuse_format("subject_token"), 401, "invalid_token", INVALID_TOKEN),
    (refuse_format("actor_token"), 500, "server_error", {}),
    (InvalidInputError("no", parameter="subject_token"), 500, "server_error", {}),
    (InvalidInputError("no", parameter="scope"), 500, "server_error", {}),
    (ConfigurationError("no"), 500, "server_error", {}),
    (ClientClosedError("no"), 500, "server_error", {}),
    (
        InsufficientScopeError("no").with_scope("read:a write:b"),
        403,
        "insufficient_scope",
        {
            "WWW-Authenticate": 'Bearer error="insufficient_scope", scope="read:a write:b"'
        },
    ),
    (
        InsufficientScopeError("no").with_scope('a" b'),
        403,
        "insufficient_scope",
        {"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
    ),
    (MfaRequiredError("no", "mfa_required", 403), 403, "mfa_required", {}),
    (
        RateLimitError("no", retry_after=1.2),
        503,
        "temporarily_unavailable",
        {"Retry-After": "2"},
    ),
    (BlockedError("no"), 503, "temporarily_unavailable", {}),
    (BulkStoppedError("no"), 500, "server_error", {}),
    (RefusedError("no", "invalid_client", 401), 500, "server_error", {}),
    (RefusedError("no", "access_denied", 401), 500, "server_error", {}),
    (RefusedError("no", "unauthorized_client", 403), 500, "server_error", {}),
    (
        RefusedError("no", "unauthorized_client", 400),
        401,
        "invalid_token",
        INVALID_TOKEN,
    ),
    (RefusedError("no", "invalid_token", 401), 401, "invalid_token", INVALID_TOKEN),
    (RefusedError("no", "access_denied", 403), 403, "access_denied", {}),
    (RefusedError("no", "invalid_request", 400), 401, "invalid_token", INVALID_TOKEN),
    # A page of a gateway's, and no code of Auth0's.
    (RefusedError("no", None, 403), 500, "server_error", {}),
    (RefusedError("no", None, 404), 500, "server_error", {}),
    (RefusedError("no", None, 502), 502, "temporarily_unavailable", {}),
    (RefusedError("no", "server_error", 500), 502, "temporarily_unavailable", {}),
    (RefusedError("no", "busy", 503), 503, "temporarily_unavailable", {}),
    (TransportError("no"), 502, "temporarily_unavailable", {}),
    (NotSentError("no"), 502, "temporarily_unavailable", {}),
    (AmbiguousError("no", "timeout"), 504, "temporarily_unavailable", {}),
    (
        DiscoveryError("down", retry_safe=True),
        503,
        "temporarily_unavailable",
        {},
    ),
    (DiscoveryError("no"), 500, "server_error", {}),
    (SigningKeyError("down", retry_safe=True), 503, "temporarily_unavailable", {}),
    (SigningKeyError("no"), 500, "server_error", {}),
    (IdTokenError("no"), 500, "server_error", {}),
    (WrongAudienceError("no"), 500, "server_error", {}),
    (InvalidResponseError("no"), 500, "server_error", {}),
    (StoreError("down", retry_safe=True), 503, "temporarily_unavailable", {}),
    (StoreError("no"), 500, "server_error", {}),
    (SessionError("no"), 500, "server_error", {}),
    (CustomTokenExchangeError("no"), 500, "server_error", {}),
    (Auth0Error("no"), 500, "server_error", {}),
]


@pytest.mark.parametrize(
    ("error", "status", "code", "headers"), ANSWERS, ids=range(len(ANSWERS))
)
def test_answer(
    error: Auth0Error, status: int, code: str, headers: dict[str, str]
) -> None:
    """The status says who can do something about it, and nothing says more."""
    answer = answer_for(error)

    assert (status, {"error": code}) == (answer.status, answer.body)
    assert {"Cache-Control": "no-store", **headers} == answer.headers


def test_every_error_has_an_answer() -> None:
    """The table has a row for every class of error."""
    kinds = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, Auth0Error)
    }

    assert kinds == {type(row[0]) for row in ANSWERS}


@pytest.mark.parametrize(
    ("method", "accept", "fetch_mode", "expected"),
    [
        ("GET", "text/html,application/xhtml+xml,*/*;q=0.8", "navigate", True),
        ("HEAD", "text/html", None, True),
        ("GET", "application/json, Text/HTML ;q=0.5", None, True),
        ("GET", "application/json, text/html;q=0", None, False),
        ("GET", "text/html-like", None, False),
        ("GET", "*/*", None, False),
        ("GET", None, "navigate", False),
        ("GET", "text/html", "cors", False),
        ("GET", "text/html", "same-origin", False),
        ("POST", "text/html", "navigate", False),
    ],
)
def test_wants_page(
    method: str, accept: str | None, fetch_mode: str | None, expected: bool
) -> None:
    """A browser that opens a page wants one; a script, a form and an API client do not."""
    assert expected is wants_page(method, accept, fetch_mode)


@pytest.mark.parametrize(
    ("field", "code"),
    [
        (None, "invalid_request"),
        ("", "invalid_request"),
        ("Bearer", "invalid_request"),
        ("Bearer  ", "invalid_request"),
        ("Basic needle", "invalid_request"),
        ("needle", "invalid_request"),
        ("Bearer a needle", "invalid_token"),
        ("Bearer needle\t", "invalid_token"),
        ("Bearer n\xe9edle", "invalid_token"),
        ("bearer Bearer needle", "invalid_token"),
    ],
)
def test_bearer_token(field: str | None, code: str) -> None:
    """A request without a bearer token, or with none that could be one, is the caller's fault."""
    with pytest.raises(InvalidInputError) as caught:
        get_bearer_token(field)
    answer = answer_for(caught.value)

    assert (401, code) == (answer.status, answer.error)
    assert "needle" not in str(caught.value)
    assert "a.b-c_d~e+f/g==" == get_bearer_token("BEARER  a.b-c_d~e+f/g== ")


@pytest.mark.parametrize("scope", ["read:a", "write:b read:a", None])
@pytest.mark.parametrize("required", [[], ["read:a"], ["read:a", "write:b"]])
def test_check_scopes(scope: str | None, required: list[str]) -> None:
    """A token must have been granted every scope; one of unknown scope has none."""
    token_set = AccessTokenSet(access_token="x", scope=scope)
    if {*required} <= {*(scope or "").split()}:
        check_scopes(token_set, required)
        return
    with pytest.raises(InsufficientScopeError) as caught:
        check_scopes(token_set, required)

    assert " ".join(required) == caught.value.scope


@pytest.mark.parametrize(
    ("error", "level", "has_traceback"),
    [
        (StoreError("the store refused"), logging.ERROR, True),
        (NotSentError("no connection"), logging.WARNING, False),
        (LoginRequiredError("no session"), logging.INFO, False),
    ],
    ids=["own", "the tenant's", "the caller's"],
)
def test_logged(
    caplog: pytest.LogCaptureFixture,
    error: Auth0Error,
    level: int,
    has_traceback: bool,
) -> None:
    """The log has the details; its level says whether this service must act."""
    with caplog.at_level(logging.INFO, "auth0_tx"):
        answer = answer_for(error)
    (record,) = caplog.records

    assert f"responded with status {answer.status}: {error}" == record.getMessage()
    assert (level, has_traceback) == (record.levelno, record.exc_info is not None)
