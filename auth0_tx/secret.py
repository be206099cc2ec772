"""Text that does not print itself.

Tokens and client secrets live in :class:`SecretStr` from the moment the library
holds them, so a traceback with locals, a debugger or a log line made with
``%r`` shows that there was a secret, and not which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn, overload

REDACTED = "<redacted>"


class SecretStr(str):
    """A ``str`` in every respect but its ``repr``.

    ``str(token)``, ``f"{token}"`` and every string operation give the real text, which
    is what an ``Authorization`` header needs.  Pickled, it becomes a plain ``str``: a
    token taken out of its value on purpose is the caller's to store.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return REDACTED

    def __reduce_ex__(self, protocol: object) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


class SecretBytes(bytes):
    """``bytes`` in every respect but their ``repr``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return REDACTED


class SecretMapping(dict[Any, Any]):
    """A ``dict``, such as a JWK, in every respect but its ``repr``."""

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
    """Wrap text; leave anything else for validation to refuse.

    A subclass of ``str`` is taken by its characters, never by its own ``__str__``.
    """
    if isinstance(value, str) and type(value) is not SecretStr:
        return SecretStr(str.__str__(value))
    return value


class Unpicklable:
    """A value that holds secrets and therefore refuses to be pickled or copied."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds secrets and is not pickled or copied; "
            "pass the one field you need, or a reference to it"
        )


def conceal(value: Any) -> Any:
    """Wrap whatever holds a secret so that it does not print: text, a list, a JWK."""
    if isinstance(value, bytes):
        return SecretBytes(value)
    if isinstance(value, (list, tuple)):
        return [conceal(each) for each in value]
    if isinstance(value, Mapping):
        return SecretMapping({name: conceal(each) for name, each in value.items()})
    return secret(value)
