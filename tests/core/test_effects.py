"""Effects: inert values, typed by their replies, silent about secrets."""

from __future__ import annotations

import copy
import pickle
import pprint
from typing import Any

import attrs
import pytest

from auth0_tx.core.effects import (
    Effect,
    Emit,
    Flow,
    Invoke,
    Request,
    Response,
    Send,
    Share,
    Sleep,
)
from auth0_tx.errors import NotSentError
from auth0_tx.secret import SecretBytes, SecretStr
from tests.core.world import SECRETS, fail, play

REQUEST = Request(
    "POST",
    "https://tenant.us.auth0.com/oauth/token",
    {"Authorization": SecretStr(SECRETS["client_secret"])},
    SecretBytes(SECRETS["subject_token"].encode()),
)
RESPONSE = Response(200, [("Date", "now")], SECRETS["access_token"].encode())


def ask_for(effect: Effect) -> Flow[Any]:
    """Ask for *effect* and return the reply."""
    return (yield from effect)


def test_send() -> None:
    """The reply to a request is the response."""
    send = Send(lambda: REQUEST, 1.0, 2)

    assert RESPONSE is play(ask_for(send), RESPONSE)[0]


def test_failed_send() -> None:
    """A request that fails does so where it was asked for."""
    failure = NotSentError("no")

    assert failure is fail(ask_for(Send(lambda: REQUEST, 1.0, 2)), failure)[0]


def test_call() -> None:
    """The reply to a call is what the function gives."""
    assert 5 == play(ask_for(Invoke(lambda *given: sum(given), (2, 3))))[0]


def test_share() -> None:
    """The reply to a shared flow is what the flow returns."""
    share = Share("key", lambda: ask_for(Invoke(lambda: 7)), 1.0)

    assert 7 == play(ask_for(share))[0]


@pytest.mark.parametrize("effect", [Sleep(1.0), Emit("event")], ids=repr)
def test_no_reply(effect: Effect) -> None:
    """Waiting and telling have no reply."""
    assert play(ask_for(effect))[0] is None


@pytest.mark.parametrize("message", [REQUEST, RESPONSE], ids=["request", "response"])
def test_messages_print_no_secret(message: Any) -> None:
    """Neither a request nor a response prints its body, whole or taken apart."""
    shown = [
        repr(message),
        str(message),
        f"{message}",
        pprint.pformat(message),
        pprint.pformat(attrs.asdict(message)),
        repr(attrs.astuple(message)),
    ]

    assert [] == [text for text in shown if "needle" in text]
    assert not hasattr(message, "__dict__")


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("message", [REQUEST, RESPONSE], ids=["request", "response"])
def test_messages_are_not_duplicated(message: Any, duplicate: Any) -> None:
    """Neither a request nor a response is pickled or copied."""
    with pytest.raises(TypeError, match="holds secrets"):
        duplicate(message)


def test_effects_print_no_secret() -> None:
    """An effect does not print what it is given for the application's function."""
    effects = [
        Send(lambda: REQUEST, 1.0, 2),
        Invoke(print, (SECRETS["subject_token"],)),
    ]

    assert "needle" not in repr(effects)
