"""The answers to callers when an exchange fails."""

from __future__ import annotations

import logging

import pytest

from auth0_tx import (
    AmbiguousError,
    Auth0Error,
    BackchannelLogoutError,
    BlockedError,
    ConfigurationError,
    InvalidInputError,
    InvalidResponseError,
    LoginRequiredError,
    MfaRequiredError,
    NotSentError,
    RateLimitError,
    RefusedError,
    StoreError,
)
from auth0_tx.integrations.error_answers import answer_for

ANSWERS: list[tuple[Auth0Error, int, str]] = [
    (LoginRequiredError("no"), 401, "login_required"),
    (BackchannelLogoutError("no"), 400, "invalid_request"),
    (InvalidInputError("no", parameter="authorization"), 401, "invalid_request"),
    (InvalidInputError("no", parameter="scope"), 500, "server_error"),
    (ConfigurationError("no"), 500, "server_error"),
    (MfaRequiredError("no", "mfa_required", 403), 403, "mfa_required"),
    (RateLimitError("no", retry_after=1.2), 503, "temporarily_unavailable"),
    (BlockedError("no"), 503, "temporarily_unavailable"),
    (RefusedError("no", "invalid_client", 401), 500, "server_error"),
    (RefusedError("no", "access_denied", 401), 500, "server_error"),
    (RefusedError("no", "unauthorized_client", 403), 500, "server_error"),
    (RefusedError("no", "unauthorized_client", 400), 401, "invalid_token"),
    (RefusedError("no", "invalid_token", 401), 401, "invalid_token"),
    (RefusedError("no", "access_denied", 403), 403, "access_denied"),
    (RefusedError("no", "invalid_request", 400), 401, "invalid_token"),
    (RefusedError("no", "server_error", 500), 502, "temporarily_unavailable"),
    (RefusedError("no", "busy", 503), 503, "temporarily_unavailable"),
    (NotSentError("no"), 502, "temporarily_unavailable"),
    (AmbiguousError("no", "timeout"), 504, "temporarily_unavailable"),
    (InvalidResponseError("no"), 500, "server_error"),
    (StoreError("no"), 500, "server_error"),
]


@pytest.mark.parametrize(("error", "status", "code"), ANSWERS, ids=range(len(ANSWERS)))
def test_answer(error: Auth0Error, status: int, code: str) -> None:
    """The status says who can do something about it, and nothing says more."""
    answer = answer_for(error)

    assert (status, {"error": code}) == (answer.status, answer.body)


def test_waiting_time() -> None:
    """How long to wait is passed on, in whole seconds."""
    answer = answer_for(RateLimitError("no", retry_after=1.2))

    assert {"Retry-After": "2"} == answer.headers


@pytest.mark.parametrize(
    ("error", "level", "has_traceback"),
    [
        (StoreError("the store is down"), logging.ERROR, True),
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
