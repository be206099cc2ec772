"""What is said of a run that failed: one line for what happened, one for what to do.

Pure: nothing here writes, and nothing repeats a value that was given.
"""

from __future__ import annotations

from typing import Any

from ..errors import (
    AmbiguousError,
    Auth0Error,
    InvalidInputError,
    NotSentError,
)
from ..errors import CustomTokenExchangeErrorCode as Code
from .rendering.plain import printable


class UsageError(Exception):
    """An argument, or what it names, cannot be used.

    Attributes:
        message: the rule that is broken.
        hint: what to do instead.
        status: the exit status.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, status: int = 2
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status


def of_system(what: str, error: OSError, hint: str | None = None) -> UsageError:
    """Give the failure that the system's *error* is, without the path it may hold."""
    return UsageError(f"{what}: {system_reason(error)}", hint=hint, status=1)


def system_reason(error: OSError | ValueError) -> str:
    """Say in the system's words, and no others, why something could not be had."""
    return getattr(error, "strerror", None) or "it is not possible"


def exit_status(error: Auth0Error | UsageError) -> int:
    """Give the exit status that *error* ends the run with."""
    if isinstance(error, UsageError):
        return error.status
    return 2 if isinstance(error, InvalidInputError) else 1


def error_lines(program: str, error: Auth0Error | UsageError) -> list[str]:
    """Say what happened, and below it what to do about it, where that is known."""
    if isinstance(error, UsageError):
        first, hint = error.message, error.hint
    else:
        about = [f"HTTP {error.status}"] if error.status is not None else []
        if error.correlation_id:
            about.append(f"correlation id {error.correlation_id}")
        aside = f" ({', '.join(about)})" if about else ""
        first, hint = f"{error.code}: {error.message}{aside}", advice(error)
    lines = [f"{program}: {first}"]
    if hint:
        lines.append(f"hint: {hint}")
    return [printable(line) for line in lines]


def error_members(error: Auth0Error | UsageError) -> dict[str, Any]:
    """Give what ``--json`` says of *error*."""
    if isinstance(error, UsageError):
        code = "usage" if error.status == 2 else "system"
        return {"code": code, "message": error.message, "hint": error.hint}
    return {
        "type": type(error).__name__,
        "code": str(error.code),
        "message": error.message,
        "hint": advice(error),
        "status": error.status,
        "phase": error.phase,
        "retry_safe": error.retry_safe,
        "retry_after": error.retry_after,
        "tokens_issued": error.tokens_issued,
        "correlation_id": error.correlation_id,
        "parameter": error.parameter,
    }


def advice(error: Auth0Error) -> str | None:
    """Say what to do about *error*: the library's hint, or what its kind allows."""
    if error.code == Code.TLS_FAILED:
        # The library's own hint names its keyword, which here is an option.
        return "if the server's certificate is of a CA of your own, pass --verify PATH."
    if error.hint:
        return error.hint
    if error.retry_after is not None:
        return f"wait {error.retry_after:.0f} s, then try again."
    if isinstance(error, AmbiguousError):
        return "the subject token may be spent; get a fresh one before you try again."
    if isinstance(error, NotSentError):
        return "nothing was sent: check the domain and the network, then try again."
    return None
