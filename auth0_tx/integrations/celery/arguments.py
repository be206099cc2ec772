"""Refuse tokens in the arguments of tasks: brokers, result backends and logs keep those.

Any value may be a token, so two signs are looked for: the form (a JWT, or an ``Authorization``
value), and the name of the argument or key.  A task with either is refused before it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any

from celery import Celery

from ...errors import InvalidInputError
from ...secret import SecretBytes, SecretMapping, SecretStr, Unpicklable
from .vault import is_handle

# Deeper arguments than this do not occur; those of an attacker must not cost more time.
_MAX_DEPTH = 16

# A JWT, or a JWE in the compact form: its header is a JSON object, in base64url.
_JWT = re.compile(r"eyJ[\w-]{6,}\.[\w-]*\.[\w-]*")
_AUTHORIZATION = re.compile(r"\s*(?:bearer|dpop)\s+\S", re.I)
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
# Options that have the signatures of other tasks, and so their arguments.
_SIGNATURE_OPTIONS = ("chain", "chord", "link", "link_error", "headers")
_RULE = (
    "must not be a token: put it into a SubjectTokenVault, and pass the task its handle"
)


def check_arguments(args: Any, kwargs: Any, options: Any = None) -> None:
    """Refuse arguments of a task, or of a task that is to follow it, that hold a token.

    Args:
        args: positional arguments.
        kwargs: keyword arguments.
        options: the other options of the message, such as the tasks that follow.

    Raises:
        InvalidInputError: they hold one; it names the argument, not the value.
    """
    path = None
    for number, value in enumerate(args or ()):
        path = path or _find_token(value, f"args[{number}]", 0)
    for name, value in (kwargs or {}).items():
        path = path or _find_named_token(name, value, f"kwargs[{name!r}]", 0)
    for name in _SIGNATURE_OPTIONS:
        path = path or _find_token((options or {}).get(name), name, 0)
    if path is not None:
        # An error tracker shows the locals of the frame that raises: no token there.
        del args, kwargs, options
        value = None
        raise InvalidInputError(f"{path} {_RULE}", parameter=path)


def refuse_tokens(app: Celery) -> None:
    """Make *app* refuse tokens as arguments of any task, also of one sent by its name.

    A task with ``allow_tokens = True`` may be sent one, if the application knows the task.

    Args:
        app: the application that sends tasks; call this once, where it is made.
    """
    send = app.send_task

    def send_task(
        name: str, args: Any = None, kwargs: Any = None, *more: Any, **rest: Any
    ) -> Any:
        task = app.tasks.get(name)
        if not getattr(task, "allow_tokens", False):
            check_arguments(args, kwargs, rest)
        return send(name, args, kwargs, *more, **rest)

    # Celery has no hook that may refuse: it logs what its signals raise, and sends.
    vars(app)["send_task"] = send_task


def _find_named_token(name: object, value: Any, path: str, depth: int) -> str | None:
    if (
        isinstance(name, str)
        and name.lower() in _TOKEN_NAMES
        and isinstance(value, str | bytes)
        and not is_handle(value)
    ):
        return path
    return _find_token(value, path, depth)


def _find_token(value: Any, path: str, depth: int) -> str | None:
    """Return the path of a token in *value*, or ``None``."""
    if isinstance(value, SecretStr | SecretBytes | SecretMapping | Unpicklable):
        return path
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        return path if _JWT.search(value) or _AUTHORIZATION.match(value) else None
    if depth == _MAX_DEPTH:
        return None
    if isinstance(value, Mapping):
        for name, item in value.items():
            found = _find_token(name, path, depth + 1) or _find_named_token(
                name, item, f"{path}[{_show_key(name)}]", depth + 1
            )
            if found is not None:
                return found
    elif isinstance(value, list | tuple | Set):
        for number, item in enumerate(value):
            found = _find_token(item, f"{path}[{number}]", depth + 1)
            if found is not None:
                return found
    return None


def _show_key(name: object) -> str:
    # A long key may be a token of a form that nobody knows.
    return repr(name) if isinstance(name, str) and len(name) < 40 else "..."
