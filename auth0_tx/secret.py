"""Strings, bytes and mappings that are redacted when they print.

The library wraps a token or a client secret as soon as it receives it.  A traceback with
locals, a debugger, or a log line with ``%r`` then shows that there is a secret, but not its
value.

**A part of a secret is a secret.**  ``rich``, ``structlog`` and many error trackers cut a
long text before they ask for its ``repr``, and the frames of every library that reads a
token hold its parts.  So each method of a wrapper that returns text returns a wrapper: slices,
``strip``, ``split``, ``encode``, ``"Bearer " + token``, the characters of an iteration.

**The text stays exact.**  A wrapper is a ``str`` (or ``bytes``) of the same characters, so an
HTTP library that concatenates, encodes and sends it sends the real token.

These return plain text, because that is what they are for, or because Python leaves a
subclass no say in it:

- ``str(token)`` and ``bytes(body)``, which are the way to ask for it;
- ``f"{token}"``, ``format(token)`` and ``"{}".format(token)``, ``", ".join([token])`` and
  ``"%s %s" % (token, other)``, with which headers, forms and URLs are built;
- the groups of a regular expression, ``json.dumps(token)``, and a pickle: an application
  that takes a token out of its value may store it, and whoever reads it back need not have
  this library.

``str(body)`` of bytes is redacted: it is a form of ``repr``, which no protocol sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, overload

REDACTED = "<redacted>"


class SecretStr(str):
    """A ``str`` whose ``repr`` is redacted, and so is that of all text made from it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return REDACTED

    # The text is immutable, and a copy made through a pickle would be plain.
    def __copy__(self) -> SecretStr:
        return self

    def __deepcopy__(self, memo: object) -> SecretStr:
        return self

    def __reduce_ex__(self, protocol: object) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)

    def __getnewargs__(self) -> tuple[str]:
        return (self,)

    def __iter__(self) -> Iterator[str]:
        return map(SecretStr, super().__iter__())

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> SecretBytes:
        """Return the bytes, which do not print either."""
        return SecretBytes(str.encode(self, encoding, errors))


class SecretBytes(bytes):
    """``bytes`` whose ``repr`` is redacted, and so is that of all text made from them.

    A single byte is a plain ``int``.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return REDACTED

    # Python's own shows the bytes as their ``repr`` does.
    __str__ = __repr__

    def __copy__(self) -> SecretBytes:
        return self

    def __deepcopy__(self, memo: object) -> SecretBytes:
        return self

    def __reduce_ex__(self, protocol: object) -> tuple[type[bytes], tuple[bytes]]:
        return bytes, (bytes(self),)

    def __getnewargs__(self) -> tuple[bytes]:
        return (self,)

    def __getitem__(self, key: Any) -> Any:
        part = bytes.__getitem__(self, key)
        return SecretBytes(part) if isinstance(part, bytes) else part

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> SecretStr:
        """Return the text, which does not print either."""
        return SecretStr(bytes.decode(self, encoding, errors))

    def hex(self, *args: Any, **kwargs: Any) -> SecretStr:
        """Return the digits, which do not print either."""
        return SecretStr(bytes.hex(self, *args, **kwargs))


class SecretMapping(dict[Any, Any]):
    """A ``dict``, such as a private JWK, whose ``repr`` is redacted."""

    __slots__ = ()

    def __repr__(self) -> str:
        return REDACTED

    def copy(self) -> SecretMapping:
        """Return a copy, which does not print either."""
        return SecretMapping(self)


# Methods of both ``str`` and ``bytes``, by what they return.  A test calls every method that
# the running Python has, and finds one that is missing here.
_RETURN_TEXT = (
    *("__mod__", "capitalize", "center", "expandtabs", "join", "ljust", "lower"),
    *("lstrip", "removeprefix", "removesuffix", "replace", "rjust", "rstrip", "strip"),
    *("swapcase", "title", "translate", "upper", "zfill"),
)
_RETURN_PARTS = ("partition", "rpartition", "rsplit", "split", "splitlines")


def _wrap_text(kind: type[Any], plain: type[Any], name: str) -> Callable[..., Any]:
    original = getattr(plain, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return kind(original(self, *args, **kwargs))

    return method


def _wrap_parts(kind: type[Any], plain: type[Any], name: str) -> Callable[..., Any]:
    original = getattr(plain, name)

    make = tuple if name in ("partition", "rpartition") else list

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return make(map(kind, original(self, *args, **kwargs)))

    return method


def _wrap_operators(kind: type[Any], plain: type[Any]) -> dict[str, Callable[..., Any]]:
    """Return ``+``, ``*`` and the ``%`` of a plain text with a secret, for both sides.

    ``str`` and ``bytes`` have no ``__radd__``.  A subclass that has one, such as
    ``markupsafe.Markup``, is asked as it would be for plain text.
    """
    add, multiply, fill = plain.__add__, plain.__mul__, plain.__mod__

    def concatenate(self: Any, other: Any) -> Any:
        is_ours = type(other) is plain or type(other) is kind
        if not is_ours and hasattr(other, "__radd__"):
            return NotImplemented
        return kind(add(self, other))

    def concatenate_after(self: Any, other: Any) -> Any:
        if not isinstance(other, plain):
            return NotImplemented
        return kind(add(other, self))

    def repeat(self: Any, times: Any) -> Any:
        if not hasattr(times, "__index__"):
            return NotImplemented
        return kind(multiply(self, times))

    def fill_in(self: Any, template: Any) -> Any:
        if not isinstance(template, plain):
            return NotImplemented
        return kind(fill(template, self))

    return {
        "__add__": concatenate,
        "__radd__": concatenate_after,
        "__mul__": repeat,
        "__rmul__": repeat,
        "__rmod__": fill_in,
    }


def _wrap_methods(kind: type[Any], plain: type[Any], *others: str) -> None:
    """Have every method that returns text return *kind*.

    The methods are not written out, so that type checkers see those of the plain type: their
    overloads for literal text have no room for a subclass.
    """
    methods = {name: _wrap_text(kind, plain, name) for name in (*_RETURN_TEXT, *others)}
    methods |= {name: _wrap_parts(kind, plain, name) for name in _RETURN_PARTS}
    methods |= _wrap_operators(kind, plain)
    for name, method in methods.items():
        original = getattr(plain, name, None)
        method.__name__, method.__qualname__ = name, f"{kind.__name__}.{name}"
        method.__doc__ = getattr(original, "__doc__", None)
        setattr(kind, name, method)


_wrap_methods(SecretStr, str, "__getitem__", "casefold", "format", "format_map")
_wrap_methods(SecretBytes, bytes)


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


# Of the JSON objects that a tenant answers with, and of sessions.
_TOKENS = ("access_token", "id_token", "refresh_token", "mfa_token")


def conceal_members(members: dict[str, Any]) -> dict[str, Any]:
    """Wrap the tokens of a JSON object in place, and return it.

    It is for the hooks of a parser, so that no frame that reads the object prints them.
    """
    for name in _TOKENS:
        if name in members:
            members[name] = secret(members[name])
    return members


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
