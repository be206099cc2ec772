"""Search values for tokens, in whatever form a message or a result would show them.

Any text may be a token, so three signs are looked for:

* the form: a JWT or JWE (compact or JSON), a PASETO, a SAML assertion, a private key, an
  ``Authorization`` value;
* the same forms behind another spelling: percent-encoding, base64, hexadecimal, UTF-16, line
  breaks, gzip and other compression, one in the other;
* the name of the argument, key or attribute, such as ``subject_token``, for opaque tokens.

A value that is published as JSON is what JSON makes of it.  Any other object is searched as
``pickle`` sees it, through ``__reduce_ex__``; one that refuses that can't be searched, and so
must not be published.  A short opaque token under an ordinary name has no sign.
"""

from __future__ import annotations

import binascii
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Set
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple
from urllib.parse import unquote

from kombu.exceptions import SerializationError
from kombu.serialization import dumps, loads

from ...secret import SecretBytes, SecretMapping, SecretStr, Unpicklable
from ..token_vault import is_handle

# The header of a JWT or JWE is a JSON object in base64url: "{" and a quote, space or newline.
_JOSE_STARTS = ("eyJ", "eyA", "ewo", "ew0", "ewk")
# One pattern for all would begin again at each letter, and take hours for a long text.
_JOSE_PART = re.compile(r"[\w-]{9,}", re.A)
_JOSE_HEADER = re.compile(r"e(?:yJ|yA|wo|w0|wk)[\w-]{6}", re.A)
_JOSE_PAYLOAD = re.compile(r"\.[\w-]*\.", re.A)
# Each with a text that it must have, as that is found much faster.
_FORMS = (
    ("v1.", re.compile(r"\bv1\.[\w-]{40}", re.A)),  # older refresh tokens of Auth0
    (".local.", re.compile(r"\bv[1-4]\.local\.[\w-]{20}", re.A)),  # PASETO
    (".public.", re.compile(r"\bv[1-4]\.public\.[\w-]{20}", re.A)),
    ("Assertion", re.compile(r"<(?:\w+:)?Assertion\s", re.A)),  # SAML
    ("PRIVATE KEY", re.compile(r"-----BEGIN (?:\w+ )*PRIVATE KEY", re.A)),
)
_AUTHORIZATION = re.compile(r"\s*(?:bearer|dpop)\s+[\w.~+/=-]+\s*", re.A | re.I)
_HEADER_IN_TEXT = re.compile(
    r"\bauthorization\W{1,6}(?:bearer|dpop|basic)\s+[\w.~+/=-]{8}", re.A | re.I
)
_NAMES = (
    *("access_token", "actor_token", "client_secret", "id_token", "logout_token"),
    *("mfa_token", "refresh_token", "session_transfer_token", "subject_token"),
    *("authorization", "client_assertion", "http_authorization"),
)
_BARE_NAMES = frozenset(name.replace("_", "") for name in _NAMES)
# In a query, a form, JSON inside a string, or a repr.  The value has a digit and some length,
# which words of an error message do not have, and is not a handle.
_NAMED_IN_TEXT = re.compile(
    rf"\b(?:{'|'.join(name.replace('_', '[_-]?') for name in _NAMES)})[\"'\\]*\s*[=:]"
    r"[\s\"'\\b]{0,32}(?!txv_)(?=[\w.~+/-]{0,512}\d)[\w.~+/-]{16}",
    re.A | re.I,
)
# Names, numbers and ids, most of what messages have: no form or encoding of one fits in it.
_WORD = re.compile(r"[\w:@|/-]{0,24}", re.A)
_BASE64 = re.compile(r"[\w+/-]{27,}", re.A)
_HEXADECIMAL = re.compile(r"(?:[0-9a-f]{2}){20,}", re.I)
_TO_BASE64 = str.maketrans("-_", "+/")
# How many spellings may lie over a token.
_MAX_LAYERS = 3
# A token is small.  More is not unpacked, so that a "zip bomb" costs nothing.
_MAX_UNPACKED = 1 << 18
_MAX_MEMORY = 1 << 26
# An object whose parts never come to an end can't be searched.
_MAX_VALUES = 1_000_000

# The members that only a JWS or a JWE in the JSON serialization has (RFC 7515, 7516).
_JOSE_MEMBERS = (
    {"ciphertext", "protected"},
    {"ciphertext", "recipients"},
    {"payload", "protected", "signature"},
    {"payload", "signatures"},
)
_PLAIN = (type(None), bool, int, float, complex)
_BARE = (dict, list, tuple, set, frozenset)
# Pickled by name.
_BY_NAME = (type, FunctionType, BuiltinFunctionType, ModuleType)


class Found(NamedTuple):
    """The place of a token, or of a value that can't be searched; never the value."""

    place: str
    is_searchable: bool = True


class _Place(NamedTuple):
    """A place in a tree, with the one above it; it is formatted only if it is reported."""

    above: _Place | str
    key: Any

    def format(self) -> str:
        keys, place = [], self
        while True:
            keys.append(f"[{_show_key(place.key)}]")
            if isinstance(place.above, str):
                return place.above + "".join(reversed(keys))
            place = place.above


def search_tree(
    value: Any, place: str, *, as_pickle: bool = False, is_named: bool = False
) -> Found | None:
    """Search *value* and all that it holds, however deep.

    Args:
        value: the value.
        place: what to call it.
        as_pickle: search objects too, as ``pickle`` sees them; else they are passed over.
        is_named: *value* has the name of a token.

    Returns:
        A place of a token, or ``None``.
    """
    # A stack instead of recursion, so that no depth is too deep.  `seen` holds the values
    # themselves: the id of one that is gone may be another's.
    stack: list[tuple[Any, _Place | str, bool]] = [(value, place, is_named)]
    seen: dict[int, Any] = {}
    while stack:
        value, where, is_named = stack.pop()
        if isinstance(value, _PLAIN):
            continue
        if isinstance(value, SecretStr | SecretBytes | SecretMapping | Unpicklable):
            return _make_found(where)
        if isinstance(value, str | bytes | bytearray | memoryview):
            if _is_token(value, is_named):
                return _make_found(where)
            continue
        if id(value) in seen:
            continue
        if len(seen) == _MAX_VALUES:
            return _make_found(where, is_searchable=False)
        seen[id(value)] = value
        if isinstance(value, Mapping):
            if any(members <= value.keys() for members in _JOSE_MEMBERS):
                return _make_found(where)
            for name, item in value.items():
                # A token that is a key must not be part of the place's name.
                stack.append((name, where, False))
                stack.append((item, _Place(where, name), is_token_name(name)))
        elif isinstance(value, list | tuple | Set):
            stack += (
                (item, _Place(where, number), is_named)
                for number, item in enumerate(value)
            )
        # A class of the application's own may keep more than its items.
        if as_pickle and type(value) not in _BARE and not isinstance(value, _BY_NAME):
            parts = _reduce(value)
            if parts is None:
                return _make_found(where, is_searchable=False)
            stack += ((part, where, is_named) for part in parts)
    return None


def search_serialized(value: Any, place: str, serializer: str | None) -> Found | None:
    """Search *value* as it is, and as *serializer* writes it.

    A value that can't be serialized is not published: that error is left to Celery.
    """
    if serializer == "json" and _is_plain_json(value):
        return search_tree(value, place)
    try:
        content_type, encoding, payload = dumps(value, serializer=serializer)
    except Exception:
        return search_tree(value, place)
    if content_type == "application/json":
        return search_tree(value, place) or search_tree(json.loads(payload), place)
    if content_type != "application/x-python-serialize":
        try:
            decoded = loads(payload, content_type, encoding, accept={content_type})
        except (SerializationError, LookupError, ValueError, TypeError):
            # Only its reader can decode it, as with signed messages.
            pass
        else:
            found = search_tree(value, place)
            found = found or search_tree(decoded, place, as_pickle=True)
            return found or search_tree(payload, place)
    found = search_tree(value, place, as_pickle=True)
    return found or search_tree(payload, place)


def _is_plain_json(value: Any) -> bool:
    """Return whether *value* has no objects, so that JSON says what it says itself."""
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def holds_token(text: str | bytes) -> bool:
    """Return whether *text* has the form of a token in it, or a token beside its name."""
    spellings = [_to_text(text)]
    if _WORD.fullmatch(spellings[0]):
        return False
    for _ in range(_MAX_LAYERS):
        if any(map(_has_sign, spellings)):
            return True
        # Binary data is not decoded further: a photograph has every kind of run in it.
        below = [s for s in spellings if s.isascii() or s is spellings[0]]
        spellings = [under for spelling in below for under in _list_spellings(spelling)]
    return any(map(_has_sign, spellings))


def _has_sign(text: str) -> bool:
    if any(start in text for start in _JOSE_STARTS) and any(
        _is_jose(text, part) for part in _JOSE_PART.finditer(text)
    ):
        return True
    if any(hint in text and form.search(text) for hint, form in _FORMS):
        return True
    folded = text.lower()
    if "authorization" in folded and _HEADER_IN_TEXT.search(text):
        return True
    is_worth_it = any(
        word in folded for word in ("token", "secret", "assert", "author")
    )
    if is_worth_it and _NAMED_IN_TEXT.search(text):
        return True
    return _AUTHORIZATION.fullmatch(text) is not None


def _is_jose(text: str, part: re.Match[str]) -> bool:
    """Return whether a part of *text*, between other characters, ends with a token's header."""
    if _JOSE_PAYLOAD.match(text, part.end()) is None:
        return False
    found = _JOSE_HEADER.search(text, part.start(), part.end())
    if found is None:
        return False
    # Inside of a word, the letters alone are a coincidence: "framework-a.example.com".
    is_whole = found.start() == part.start() and found[0].startswith("eyJ")
    return is_whole or b'"alg"' in _decode_base64(text[found.start() : part.end()])


def _list_spellings(text: str) -> Iterator[str]:
    """Yield what *text*, or a part of it, says if it is an encoding of something."""
    if "%" in text:
        yield unquote(text)
    if "\0" in text:
        yield text.replace("\0", "")
    joined = text
    if "\n" in text.strip():
        joined = "".join(line.strip() for line in text.split("\n"))
        yield joined
    for run in _HEXADECIMAL.findall(joined):
        yield _to_text(_unpack(bytes.fromhex(run)))
    for run in _BASE64.findall(joined):
        # Where the encoding begins inside of a longer word is not known.
        for start in range(4):
            yield _to_text(_unpack(_decode_base64(run[start:])))
    if text[:1] in "\x1fxB\xfd":
        yield _to_text(_unpack(text.encode("latin-1", "replace")))


def _decode_base64(text: str) -> bytes:
    text = text.translate(_TO_BASE64)
    # One letter more than a multiple of four holds no whole byte.
    text = text[: len(text) - (len(text) % 4 == 1)]
    return binascii.a2b_base64(text + "=" * (-len(text) % 4))


def _unpack(data: bytes) -> bytes:
    """Return what *data* is if it is compressed (gzip, zlib, bzip2, xz), else *data*."""
    try:
        if data[:2] == b"\x1f\x8b" or data[:1] == b"x":
            return zlib.decompressobj(47).decompress(data, _MAX_UNPACKED)
        if data[:3] == b"BZh":
            import bz2

            return bz2.BZ2Decompressor().decompress(data, _MAX_UNPACKED)
        if data[:6] == b"\xfd7zXZ\0":
            return _unpack_xz(data)
    # Some builds of Python have no bzip2 or xz: then the application has none either.
    except (zlib.error, OSError, ImportError):
        pass
    return data


def _unpack_xz(data: bytes) -> bytes:
    import lzma

    try:
        # What made the data says how much memory it takes to read them.
        unpacker = lzma.LZMADecompressor(memlimit=_MAX_MEMORY)
        return unpacker.decompress(data, _MAX_UNPACKED)
    except lzma.LZMAError:
        return data


def _to_text(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("latin-1")


def _is_token(value: str | bytes | bytearray | memoryview, is_named: bool) -> bool:
    text = value if isinstance(value, str) else _to_text(bytes(value))
    if is_handle(text):
        return False
    return (is_named and bool(text.strip())) or holds_token(text)


def is_token_name(name: object) -> bool:
    """Return whether what has this name is a token, whatever it looks like."""
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    return (
        isinstance(name, str)
        and name.lower().replace("_", "").replace("-", "") in _BARE_NAMES
    )


def _reduce(value: Any) -> list[Any] | None:
    """Return the parts that ``pickle`` would write of *value*; ``None`` if it could not."""
    try:
        reduced = value.__reduce_ex__(4)
        # A text is the name of a global; else the first item is a function, by its name.
        if isinstance(reduced, str):
            return []
        return [part if isinstance(part, Mapping) else _list(part) for part in reduced]
    except Exception:
        return None


def _list(part: Any) -> Any:
    # The items of a list or dictionary come as iterators.
    return list(part) if isinstance(part, Iterator) else part


def _make_found(where: _Place | str, *, is_searchable: bool = True) -> Found:
    place = where if isinstance(where, str) else where.format()
    return Found(place if len(place) < 200 else f"{place[:200]}...", is_searchable)


def _show_key(key: object) -> str:
    # A key may itself be a token, of a form that nobody knows.
    if isinstance(key, int):
        return str(key)
    if isinstance(key, str) and re.fullmatch(r"[\w.-]{1,24}", key):
        return repr(key)
    return "..."
