"""Strings, bytes and mappings that differ from plain ones only in their ``repr``."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import pprint
from enum import Enum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.secret import (
    REDACTED,
    SecretBytes,
    SecretMapping,
    SecretStr,
    Unpicklable,
    conceal,
    secret,
)

NEEDLE = "needle-token"


class Hostile(str):
    """A string whose ``str()`` is another string."""

    def __str__(self) -> str:
        return "said-instead"


class Kind(str, Enum):  # noqa: UP042 (its str() is not its text)
    """An enum of strings, as applications write it."""

    A = "needle-token"


SECRETS: list[Any] = [
    SecretStr(NEEDLE),
    SecretBytes(NEEDLE.encode()),
    SecretMapping({"k": SecretStr(NEEDLE)}),
    SecretMapping({"k": NEEDLE}),
]


@pytest.mark.parametrize("value", SECRETS, ids=lambda value: type(value).__name__)
def test_repr(value: Any) -> None:
    """A secret prints as redacted, also inside a list, a tuple or a dictionary."""
    held = [[value], (value,), {"k": value}, {"k": [value]}]

    assert REDACTED == repr(value) == f"{value!r}" == f"{value!r:.50}"
    assert [] == [thing for thing in held if NEEDLE in repr(thing)]
    assert [] == [thing for thing in held if NEEDLE in pprint.pformat(thing, width=5)]


def test_text() -> None:
    """A token used as a string is its text, as a header needs it."""
    token = SecretStr(NEEDLE)

    assert NEEDLE == token == str(token) == f"{token}"
    assert f"Bearer {NEEDLE}" == f"Bearer {token}" == "Bearer " + token
    assert hash(NEEDLE) == hash(token)
    assert json.dumps(NEEDLE) == json.dumps(token)
    assert (str, 12) == (type(str(token)), len(token))


def test_logging(caplog: pytest.LogCaptureFixture) -> None:
    """A token in a logged dictionary is redacted: logging uses its repr."""
    with caplog.at_level(logging.INFO):
        logging.getLogger("app").info("options: %r", {"token": SecretStr(NEEDLE)})

    assert NEEDLE not in caplog.text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol: int) -> None:
    """A pickled token is a plain string, which can be read without this library."""
    stored = pickle.dumps(SecretStr(NEEDLE), protocol)
    read = pickle.loads(stored)

    assert (NEEDLE, str) == (read, type(read))
    assert b"auth0_tx" not in stored


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_copy(duplicate: Any) -> None:
    """A copy of a token is the same text."""
    assert NEEDLE == duplicate(SecretStr(NEEDLE))


@pytest.mark.parametrize(
    ("value", "text"),
    [(NEEDLE, NEEDLE), (Hostile(NEEDLE), NEEDLE), (Kind.A, NEEDLE), ("", "")],
)
def test_secret(value: str, text: str) -> None:
    """A subclass of ``str`` is wrapped by its characters, not by its ``__str__``."""
    wrapped = secret(value)

    assert (SecretStr, text) == (type(wrapped), str.__str__(wrapped))


def test_secret_once() -> None:
    """A wrapped secret is not wrapped again."""
    token = SecretStr(NEEDLE)

    assert token is secret(token)


@pytest.mark.parametrize("value", [None, 5, b"bytes", ["list"], True], ids=repr)
def test_not_text(value: Any) -> None:
    """A value that isn't a string stays as it is, for validation to refuse."""
    assert value is secret(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (NEEDLE, SecretStr),
        (NEEDLE.encode(), SecretBytes),
        ([NEEDLE, NEEDLE.encode()], list),
        ((NEEDLE,), list),
        ({"d": NEEDLE, "oth": [{"d": NEEDLE}]}, SecretMapping),
        (MappingProxyType({"d": NEEDLE}), SecretMapping),
        (None, type(None)),
        (5, int),
    ],
    ids=repr,
)
def test_conceal(value: Any, kind: type) -> None:
    """Every secret inside a value is wrapped, and the value stays equal."""
    wrapped = conceal(value)

    assert kind is type(wrapped)
    assert NEEDLE not in repr(wrapped)
    assert wrapped == (list(value) if isinstance(value, tuple) else value)


@given(st.text())
def test_any_text(text: str) -> None:
    """A wrapped string is equal to the string, whatever it contains."""
    wrapped = secret(text)

    assert (
        text
        == wrapped
        == str(wrapped)
        == f"{wrapped}"
        == pickle.loads(pickle.dumps(wrapped))
    )
    assert REDACTED == repr(wrapped)


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_unpicklable(duplicate: Any) -> None:
    """A value with secrets refuses to be pickled or copied, and names its class."""

    class Holder(Unpicklable):
        """A value with a secret."""

    with pytest.raises(TypeError, match=r"^Holder holds secrets"):
        duplicate(Holder())
