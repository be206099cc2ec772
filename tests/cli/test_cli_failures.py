"""What is said of a run that failed."""

from __future__ import annotations

import json

import pytest

from auth0_tx import (
    AmbiguousError,
    Auth0Error,
    ConfigurationError,
    CustomTokenExchangeErrorCode,
    InvalidInputError,
    NotSentError,
    RateLimitError,
    RefusedError,
)
from auth0_tx.cli.failures import (
    UsageError,
    error_lines,
    error_members,
    exit_status,
    of_system,
    system_reason,
)

TLS = CustomTokenExchangeErrorCode.TLS_FAILED


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInputError("x"), 2),
        (ConfigurationError("x"), 2),
        (RefusedError("x"), 1),
        (NotSentError("x"), 1),
        (UsageError("x"), 2),
        (of_system("x", OSError(28, "no space")), 1),
    ],
)
def test_exit_status(error: Auth0Error | UsageError, status: int) -> None:
    """What was asked wrongly ends with 2, what went wrong with 1."""
    assert status == exit_status(error)


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (
            RefusedError("no", "invalid_grant", 403, correlation_id="abc", hint="do."),
            [
                "program: invalid_grant: no (HTTP 403, correlation id abc)",
                "hint: do.",
            ],
        ),
        (RefusedError("no", "denied"), ["program: denied: no"]),
        (
            RateLimitError("slow", "too_many_requests", retry_after=2.4),
            ["program: too_many_requests: slow", "hint: wait 2 s, then try again."],
        ),
        (
            NotSentError("TLS", TLS, hint="give verify=."),
            [
                "program: tls_failed: TLS",
                "hint: if the server's certificate is of a CA of your own, pass "
                "--verify PATH.",
            ],
        ),
        (
            NotSentError("no connection"),
            [
                "program: connection_failed: no connection",
                "hint: nothing was sent: check the domain and the network, then try "
                "again.",
            ],
        ),
        (
            AmbiguousError("lost"),
            [
                "program: connection_lost: lost",
                "hint: the subject token may be spent; get a fresh one before you try "
                "again.",
            ],
        ),
        (UsageError("what", hint="how"), ["program: what", "hint: how"]),
        (UsageError("what"), ["program: what"]),
        (RefusedError("a\x1b[2Jb\nc", "d"), ["program: d: a\\u001b[2Jb\\nc"]),
    ],
)
def test_error_lines(error: Auth0Error | UsageError, lines: list[str]) -> None:
    """An error is one line, and a second one where there is something to do."""
    assert lines == error_lines("program", error)


def test_error_members() -> None:
    """As JSON an error has every attribute that a program may want."""
    error = RefusedError("no", "invalid_grant", 403, correlation_id="abc")

    assert {
        "type": "RefusedError",
        "code": "invalid_grant",
        "message": "no",
        "hint": None,
        "status": 403,
        "phase": "reply",
        "retry_safe": False,
        "retry_after": None,
        "tokens_issued": False,
        "correlation_id": "abc",
        "parameter": None,
    } == json.loads(json.dumps(error_members(error)))


@pytest.mark.parametrize(
    ("error", "code"),
    [(UsageError("x", hint="y"), "usage"), (of_system("x", OSError()), "system")],
)
def test_usage_members(error: UsageError, code: str) -> None:
    """As JSON a usage error has a code of its own."""
    assert code == error_members(error)["code"]


def test_path_is_not_repeated() -> None:
    """What the system says of a file leaves out the path, which may be a secret."""
    error = FileNotFoundError(2, "No such file or directory", "eyJhbGciOi")

    assert "No such file or directory" == system_reason(error)


def test_reason_without_words() -> None:
    """An error that the system has no words for is called impossible."""
    assert "it is not possible" == system_reason(ValueError("embedded null byte"))
