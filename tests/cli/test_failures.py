"""How a run that failed is reported."""

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
    CommandError,
    choose_exit_status,
    error_to_json,
    format_error,
    format_reason,
    system_failure,
)

TLS = CustomTokenExchangeErrorCode.TLS_FAILED


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInputError("x"), 2),
        (ConfigurationError("x"), 2),
        (RefusedError("x"), 1),
        (NotSentError("x"), 1),
        (CommandError("x"), 2),
        (system_failure("x", OSError(28, "no space")), 1),
    ],
)
def test_exit_status(error: Auth0Error | CommandError, status: int) -> None:
    """A wrong argument ends with 2, a failure with 1."""
    assert status == choose_exit_status(error)


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
            ["program: too_many_requests: slow", "hint: wait 2 s, then retry."],
        ),
        (
            NotSentError("TLS", TLS, hint="give verify=."),
            [
                "program: tls_failed: TLS",
                "hint: if your own CA signed the server's certificate, pass --verify "
                "PATH.",
            ],
        ),
        (
            NotSentError("no connection"),
            [
                "program: connection_failed: no connection",
                "hint: nothing was sent: check the domain and the network, then retry.",
            ],
        ),
        (
            AmbiguousError("lost"),
            [
                "program: connection_lost: lost",
                "hint: the subject token may have been used up; get a new one before you "
                "retry.",
            ],
        ),
        (CommandError("what", hint="how"), ["program: what", "hint: how"]),
        (CommandError("what"), ["program: what"]),
        (RefusedError("a\x1b[2Jb\nc", "d"), ["program: d: a\\u001b[2Jb\\nc"]),
    ],
)
def test_error_lines(error: Auth0Error | CommandError, lines: list[str]) -> None:
    """An error is one line, and a second one if there is something to do."""
    assert lines == format_error("program", error)


def test_error_members() -> None:
    """As JSON an error has every attribute that a program may need."""
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
    } == json.loads(json.dumps(error_to_json(error)))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError("x", hint="y"), "usage"),
        (system_failure("x", OSError()), "system"),
    ],
)
def test_usage_members(error: CommandError, code: str) -> None:
    """As JSON an error of the command line has a code of its own."""
    assert code == error_to_json(error)["code"]


def test_path_is_not_repeated() -> None:
    """The reason leaves out the path, which may be a secret."""
    error = FileNotFoundError(2, "No such file or directory", "eyJhbGciOi")

    assert "No such file or directory" == format_reason(error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("embedded null byte"), "not a valid file name"),
        (OSError(), "unknown error"),
    ],
)
def test_reason_without_words(error: OSError | ValueError, reason: str) -> None:
    """An error for which the system has no words still has a reason."""
    assert reason == format_reason(error)
