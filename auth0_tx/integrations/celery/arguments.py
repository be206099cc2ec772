"""What a task must not be given: arguments are kept by brokers, backends and logs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any

from celery import Celery

from ...errors import InvalidInputError
from ...secret import SecretBytes, SecretMapping, SecretStr, Unpicklable
from .handles import is_handle

_DEEPEST = 16

# A JWT, or a JWE in the compact form: its header is a JSON object, in base64url.
_JWT = re.compile(r"eyJ[\w-]{6,}\.[\w-]*\.[\w-]*")
_SCHEME = re.compile(r"\s*(?:bearer|dpop)\s+\S", re.I)
_TOKEN_NAMES = frozenset(
    {
        "access_token",
        "actor_token",
        "client_secret",
        "id_token",
        "mfa_token",
        "refresh_token",
        "subject_token",
    }
)
_FOLLOWING = ("chain", "chord", "link", "link_error", "headers")
_RULE = (
    "must not be a token: put it into a SubjectTokenVault, and give the task its handle"
)


def check_arguments(args: Any, kwargs: Any, options: Any = None) -> None:
    """Refuse arguments of a task, or of one that is to follow it, that hold a token.

    Args:
        args: positional arguments.
        kwargs: keyword arguments.
        options: what else is sent: the tasks that follow have arguments too.

    Raises:
        InvalidInputError: they do; it names the argument, and not what is in it.
    """
    where = None
    for number, each in enumerate(args or ()):
        where = where or _found(each, f"args[{number}]", 0)
    for name, each in (kwargs or {}).items():
        where = where or _found_under(name, each, f"kwargs[{name!r}]", 0)
    for name in _FOLLOWING:
        where = where or _found((options or {}).get(name), name, 0)
    if where is not None:
        # Nothing that holds a token is to be in the frame that raises.
        del args, kwargs, options
        each = None
        raise InvalidInputError(f"{where} {_RULE}", parameter=where)


def refuse_tokens(app: Celery) -> None:
    """Have *app* refuse to send any task, also one by its name, a token as an argument.

    A task that says ``allow_tokens = True`` may be sent one all the same, where the
    application knows it.

    Args:
        app: the application that sends tasks; call it once, where the application is made.
    """
    sends = app.send_task

    def send_task(
        name: str, args: Any = None, kwargs: Any = None, *more: Any, **rest: Any
    ) -> Any:
        task = app.tasks.get(name)
        if not getattr(task, "allow_tokens", False):
            check_arguments(args, kwargs, rest)
        return sends(name, args, kwargs, *more, **rest)

    # Celery has no hook that may refuse: what its signals raise is logged.
    vars(app)["send_task"] = send_task


def _found_under(name: object, value: Any, where: str, depth: int) -> str | None:
    if (
        isinstance(name, str)
        and name.lower() in _TOKEN_NAMES
        and isinstance(value, str | bytes)
        and not is_handle(value)
    ):
        return where
    return _found(value, where, depth)


def _found(value: Any, where: str, depth: int) -> str | None:
    """Give where in *value* there is a token, or ``None``."""
    if isinstance(value, SecretStr | SecretBytes | SecretMapping | Unpicklable):
        return where
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        return where if _JWT.search(value) or _SCHEME.match(value) else None
    if depth == _DEEPEST:
        return None
    if isinstance(value, Mapping):
        for name, each in value.items():
            found = _found(name, where, depth + 1) or _found_under(
                name, each, f"{where}[{_shown(name)}]", depth + 1
            )
            if found is not None:
                return found
    elif isinstance(value, list | tuple | Set):
        for number, each in enumerate(value):
            found = _found(each, f"{where}[{number}]", depth + 1)
            if found is not None:
                return found
    return None


def _shown(name: object) -> str:
    # A long key may itself be anything.
    return repr(name) if isinstance(name, str) and len(name) < 40 else "..."
