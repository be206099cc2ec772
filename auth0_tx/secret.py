"""Strings, bytes and mappings that are redacted when they print.

The library wraps a token or a client secret as soon as it receives it.  A traceback with
locals, a debugger, or a log line with ``%r`` then shows that there is a secret, but not its
value.  The wrappers change only ``repr``, which those use; ``str`` must keep the real text,
because HTTP libraries and string formatting build headers and forms with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, overload

REDACTED = "<redacted>"


class SecretStr(str):
    """A ``str`` whose ``repr`` is redacted.

    ``str(token)``, ``f"{token}"`` and every string operation return the real text, as an
    ``Authorization`` header needs it.  Pickled, it becomes a plain ``str``: an application
    that takes a token out of its value may store it, and whoever reads it back need not
    have this library.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return REDACTED

    def __reduce_ex__(self, protocol: object) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


class SecretBytes(bytes):
    """``bytes`` whose ``repr`` is redacted."""

    __slots__ = ()

    def __repr__(self) -> str:
        return REDACTED


class SecretMapping(dict[Any, Any]):
    """A ``dict``, such as a private JWK, whose ``repr`` is redacted."""

    __slots__ = ()

    def __repr__(self) -> str:
        return REDACTED


@overload
def secret(value: None) -> None: ...
@overload
def secret(value: str) -> SecretStr: ...
@overload
def secret(value: Any) -> Any: ...
def secret(value: Any) -> Any:
    """Wrap text in a :class:`SecretStr`; return any other value unchanged.

    Whoever checks the value refuses what isn't text, and then names the argument.
    """
    if isinstance(value, str) and type(value) is not SecretStr:
        # A subclass's own ``__str__``, as an enum's, may return something else.
        return SecretStr(str.__str__(value))
    return value


def to_secret(value: str) -> str:
    """Convert a text that a value keeps; the name of the type is what a type checker shows."""
    return value if type(value) is SecretStr else secret(value)


def to_optional_secret(value: str | None) -> str | None:
    """Convert a text that a value keeps, or ``None``."""
    return None if value is None else to_secret(value)


class Unpicklable:
    """A base class for values with secrets, which refuse to be pickled or copied.

    A pickle prints its secrets: it ends up in a task queue's broker, a cache, or a crash
    report of another process.
    """

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds secrets and is not pickled or copied; "
            "pass the one field you need, or a reference to it"
        )


def conceal(value: Any) -> Any:
    """Wrap every secret in *value*: in text, bytes, a list or a mapping such as a JWK."""
    # The values of this library wrap their own, and are nearly all that comes here.
    if isinstance(value, Unpicklable):
        return value
    if isinstance(value, bytes):
        return SecretBytes(value)
    if isinstance(value, (list, tuple)):
        return [conceal(item) for item in value]
    if isinstance(value, Mapping):
        return SecretMapping({name: conceal(item) for name, item in value.items()})
    return secret(value)
