"""How a run that failed is reported: one line for what happened, one for what to do.

Pure: nothing here writes. Nothing repeats a value that was given, not even a path: a token
in the place of a file name is the most likely mistake on this command line.
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
from .rendering.text import make_printable


class CommandError(Exception):
    """The command cannot go on: an argument is wrong, or the system refused something.

    Attributes:
        message: what is wrong.
        hint: what to do about it, if that is known.
        status: the exit status, 2 for an argument and 1 for the system.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, status: int = 2
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status


def system_failure(what: str, error: OSError, hint: str | None = None) -> CommandError:
    """Make the failure of a run that the system's *error* ends."""
    return CommandError(f"{what}: {format_reason(error)}", hint=hint, status=1)


def format_reason(error: OSError | ValueError) -> str:
    """Return the system's reason, without the path that ``str(error)`` contains."""
    if isinstance(error, ValueError):
        # open() raises one for a null byte in the path.
        return "not a valid file name"
    return error.strerror or "unknown error"


def choose_exit_status(error: Auth0Error | CommandError) -> int:
    """Return the exit status of a run that *error* ends."""
    if isinstance(error, CommandError):
        return error.status
    return 2 if isinstance(error, InvalidInputError) else 1


def format_error(program: str, error: Auth0Error | CommandError) -> list[str]:
    """Say what happened, and below it what to do about it, if that is known."""
    if isinstance(error, CommandError):
        first, hint = error.message, error.hint
    else:
        details = [f"HTTP {error.status}"] if error.status is not None else []
        if error.correlation_id:
            # Auth0's support finds the request by it.
            details.append(f"correlation id {error.correlation_id}")
        aside = f" ({', '.join(details)})" if details else ""
        first, hint = f"{error.code}: {error.message}{aside}", choose_hint(error)
    lines = [f"{program}: {first}"]
    if hint:
        lines.append(f"hint: {hint}")
    # A server may put an escape sequence into its error_description.
    return [make_printable(line) for line in lines]


def error_to_json(error: Auth0Error | CommandError) -> dict[str, Any]:
    """Return what ``--json`` shows of *error*."""
    if isinstance(error, CommandError):
        code = "usage" if error.status == 2 else "system"
        return {"code": code, "message": error.message, "hint": error.hint}
    return {
        "type": type(error).__name__,
        "code": str(error.code),
        "message": error.message,
        "hint": choose_hint(error),
        "status": error.status,
        "phase": error.phase,
        "retry_safe": error.retry_safe,
        "retry_after": error.retry_after,
        "tokens_issued": error.tokens_issued,
        "correlation_id": error.correlation_id,
        "parameter": error.parameter,
    }


def choose_hint(error: Auth0Error) -> str | None:
    """Return what to do about *error*: the library's hint, or what its kind allows."""
    if error.code == Code.TLS_FAILED:
        # The library's own hint names its keyword; here that is an option.
        return "if your own CA signed the server's certificate, pass --verify PATH."
    if error.hint:
        return error.hint
    if error.retry_after is not None:
        return f"wait {error.retry_after:.0f} s, then retry."
    if isinstance(error, AmbiguousError):
        return (
            "the subject token may have been used up; get a new one before you retry."
        )
    if isinstance(error, NotSentError):
        return "nothing was sent: check the domain and the network, then retry."
    return None
