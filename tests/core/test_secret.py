"""Text that is text in every respect, except that it does not print itself."""

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
    """Text that says of itself what it is not."""

    def __str__(self) -> str:
        return "said-instead"


class Kind(str, Enum):  # noqa: UP042 (its str() is not its text)
    """Text as applications keep it."""

    A = "needle-token"


SECRETS: list[Any] = [
    SecretStr(NEEDLE),
    SecretBytes(NEEDLE.encode()),
    SecretMapping({"k": SecretStr(NEEDLE)}),
    SecretMapping({"k": NEEDLE}),
]


@pytest.mark.parametrize("value", SECRETS, ids=lambda value: type(value).__name__)
def test_repr(value: Any) -> None:
    """A secret, or anything that holds one, prints as redacted."""
    held = [[value], (value,), {"k": value}, {"k": [value]}]

    assert REDACTED == repr(value) == f"{value!r}" == f"{value!r:.50}"
    assert [] == [thing for thing in held if NEEDLE in repr(thing)]
    assert [] == [thing for thing in held if NEEDLE in pprint.pformat(thing, width=5)]


def test_text() -> None:
    """Used as text a token is its text, which is what a header needs."""
    token = SecretStr(NEEDLE)

    assert NEEDLE == token == str(token) == f"{token}"
    assert f"Bearer {NEEDLE}" == f"Bearer {token}" == "Bearer " + token
    assert hash(NEEDLE) == hash(token)
    assert json.dumps(NEEDLE) == json.dumps(token)
    assert (str, 12) == (type(str(token)), len(token))


def test_logging(caplog: pytest.LogCaptureFixture) -> None:
    """Logged by its repr, as arguments of a log line are, a token does not show."""
    with caplog.at_level(logging.INFO):
        logging.getLogger("app").info("options: %r", {"token": SecretStr(NEEDLE)})

    assert NEEDLE not in caplog.text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol: int) -> None:
    """A token that is stored on purpose is stored as text, and needs no library to read."""
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
    """Text is wrapped by its characters, whatever its class says of them."""
    wrapped = secret(value)

    assert (SecretStr, text) == (type(wrapped), str.__str__(wrapped))


def test_secret_once() -> None:
    """What is wrapped already stays what it is."""
    token = SecretStr(NEEDLE)

    assert token is secret(token)


@pytest.mark.parametrize("value", [None, 5, b"bytes", ["list"], True], ids=repr)
def test_not_text(value: Any) -> None:
    """What is no text is left for validation to refuse."""
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
def test_concealed(value: Any, kind: type) -> None:
    """Whatever holds a secret is wrapped all through, and is equal to what it was."""
    wrapped = conceal(value)

    assert kind is type(wrapped)
    assert NEEDLE not in repr(wrapped)
    assert wrapped == (list(value) if isinstance(value, tuple) else value)


@given(st.text())
def test_any_text(text: str) -> None:
    """Any text is the same text when it is wrapped."""
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
    """A value that holds secrets names itself when it refuses to be pickled or copied."""

    class Holder(Unpicklable):
        """A value with a secret."""

    with pytest.raises(TypeError, match=r"^Holder holds secrets"):
        duplicate(Holder())
