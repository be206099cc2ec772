"""What the library hands out does not print its secrets, nor lets itself be copied whole."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import logging
import pickle
import pprint
import weakref
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeError,
    RetryPolicy,
    ServerClient,
)
from auth0_tx.core.effects import Request, Response
from auth0_tx.events import Event
from auth0_tx.secret import REDACTED
from auth0_tx.tenant import Tenant, faults
from tests.e2e.secrets.two_worlds import (
    WORLDS,
    World,
    exchange,
    options_of,
    settings_of,
)
from tests.secret_needles import Needles
from tests.secret_scanner import Scanner

RENDERINGS: dict[str, Callable[[Any], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda value: f"{value}",
    "short repr": lambda value: f"{value!r:.50}",
    "percent": lambda value: "%s %r" % (value, value),  # noqa: UP031
    "pprint": pprint.pformat,
    "vars": lambda value: pprint.pformat(getattr(value, "__dict__", None)),
    "asdict": lambda value: repr(attrs.asdict(value)) if attrs.has(type(value)) else "",
    "astuple": lambda value: (
        repr(attrs.astuple(value)) if attrs.has(type(value)) else ""
    ),
}


@pytest.fixture
def values(auth0_tenant: Tenant, needles: Needles) -> dict[str, object]:
    """One of each kind of value that an application, or a debugger, meets."""
    session_secret = "session-secret-9x7Kq2-of-some-length"
    proxy_password = "proxy-password-Hd83jz"
    needles.add(session_secret, proxy_password)
    events: list[Event] = []
    settings = settings_of(auth0_tenant, on_event=events.append)
    options = options_of(auth0_tenant)
    response = exchange("blocking", settings, options)
    other = {
        **settings,
        "secret": [session_secret],
        "proxy": f"http://u:{proxy_password}@p",
    }
    client = ServerClient(**other)
    grant = Request("POST", "https://a", {"Authorization": "x"}, b"token=" + b"y" * 20)
    assert response.id_token is not None
    assert needles.find(str(response.id_token)) is not None
    return {
        "client": client,
        "async client": AsyncServerClient(**other),
        "settings": client._context.settings,
        "context": client._context,
        "authentication": client._context.settings.authentication,
        "transport": client._transport,
        "options": options,
        "response": response,
        "policy": RetryPolicy(),
        "events": events,
        "request": grant,
        "reply": Response(
            200, (("X-Token", "x"),), str(response.access_token).encode()
        ),
    }


@pytest.mark.parametrize("how", RENDERINGS)
def test_rendering(values: dict[str, object], needles: Needles, how: str) -> None:
    """However a value is printed, no secret of it is."""
    shown = [
        name for name, value in values.items() if needles.find(RENDERINGS[how](value))
    ]

    assert [] == shown


def test_redaction_can_be_seen(values: dict[str, object]) -> None:
    """A redacted value says that there was one."""
    assert f"subject_token={REDACTED}" in repr(values["options"])
    assert f"access_token={REDACTED}" in repr(values["response"])
    assert "refresh_token=None" in repr(values["response"])
    assert "authorization_params=<'session_hint'>" in repr(values["options"])


def test_tokens_can_be_used(values: dict[str, Any]) -> None:
    """As text, a token is what it is, so that it can be put into a header or a store."""
    token = values["response"].access_token

    assert token == str(token) == f"{token}" == "".join(token)
    assert "Bearer " + "".join(list(token)) == f"Bearer {token}"
    assert REDACTED not in json.dumps({"token": token}) + pickle.dumps(token).decode(
        "latin-1"
    )


def test_logging_a_value(
    values: dict[str, object], needles: Needles, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever an application logs of it, no secret is in the line."""
    with caplog.at_level(logging.DEBUG):
        for value in values.values():
            logging.getLogger("an.application").info("%s %r", value, value)

    assert len(values) == len(caplog.records)
    assert needles.find(caplog.text) is None


@pytest.mark.parametrize(
    "name", ["client", "async client", "settings", "options", "response"]
)
@pytest.mark.parametrize(
    "duplicate",
    [pickle.dumps, copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deepcopy"],
)
def test_no_duplicate(
    values: dict[str, object], name: str, duplicate: Callable[[object], object]
) -> None:
    """What holds secrets refuses to be pickled or copied, and says what to do instead."""
    with pytest.raises(TypeError, match="pass the one field you need"):
        duplicate(values[name])


def test_events(values: dict[str, Any], needles: Needles) -> None:
    """Events go through JSON, as to a metrics service, without a secret."""
    sent = [json.dumps(attrs.asdict(event)) for event in values["events"]]

    assert len(sent) >= 3
    assert [] == [text for text in sent if needles.find(text)]


@pytest.mark.parametrize("world", WORLDS)
def test_nothing_outlives_a_client(
    auth0_tenant: Tenant, secret_scanner: Scanner, world: World
) -> None:
    """A client that was closed and let go of leaves no copy of its secret behind."""
    unique = "left-behind-" + "5fQ8zTm2"
    settings = settings_of(auth0_tenant, client_secret=unique)
    options = options_of(auth0_tenant)

    def holders() -> int:
        auth0_tenant.clear()
        secret_scanner.search()
        gc.collect()
        return sum(holds(holder, unique) for holder in gc.get_objects())

    def use() -> tuple[weakref.ref[object], int]:
        with ServerClient(**settings) as client:
            with pytest.raises(CustomTokenExchangeError):
                client.custom_token_exchange(options)
            settings.clear()
            return weakref.ref(client), holders()

    async def use_async() -> tuple[weakref.ref[object], int]:
        async with AsyncServerClient(**settings) as client:
            with pytest.raises(CustomTokenExchangeError):
                await client.custom_token_exchange(options)
            settings.clear()
            return weakref.ref(client), holders()

    client, before = use() if world == "blocking" else asyncio.run(use_async())

    assert before > 0
    assert client() is None
    assert 0 == holders()


def holds(holder: object, text: str) -> bool:
    """Return whether a container holds a string or bytes with *text* in it."""
    if type(holder) is dict:
        inner: Any = list(holder.values())
    elif type(holder) in (list, tuple, set, frozenset):
        inner = list(holder)  # type: ignore[call-overload]
    else:
        inner = gc.get_referents(holder) if attrs.has(type(holder)) else ()
    return any(
        (isinstance(element, str) and text in element)
        or (isinstance(element, bytes) and text.encode() in element)
        for element in inner
    )


@pytest.mark.parametrize("world", WORLDS)
def test_a_failing_subscriber(
    auth0_tenant: Tenant,
    needles: Needles,
    caplog: pytest.LogCaptureFixture,
    world: World,
) -> None:
    """What is logged of a subscriber that raises has no secret in it."""

    def fail(event: Event) -> None:
        raise RuntimeError("a subscriber's own trouble")

    response = exchange(
        world, settings_of(auth0_tenant, on_event=fail), options_of(auth0_tenant)
    )

    assert response.act == {"sub": "auth0|bob"}
    assert "a subscriber's own trouble" in caplog.text
    assert needles.find(caplog.text) is None


@pytest.mark.parametrize("world", WORLDS)
def test_logs_of_the_libraries(
    auth0_tenant: Tenant,
    needles: Needles,
    caplog: pytest.LogCaptureFixture,
    world: World,
) -> None:
    """At DEBUG, the HTTP libraries log neither what was sent nor what came back."""
    auth0_tenant.inject(faults.reset())
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(CustomTokenExchangeError):
            exchange(world, settings_of(auth0_tenant), options_of(auth0_tenant))
        exchange(world, settings_of(auth0_tenant), options_of(auth0_tenant))
    loggers = {record.name.partition(".")[0] for record in caplog.records}

    assert {"urllib3"} & loggers if world == "blocking" else {"asyncio"} & loggers
    assert needles.find(caplog.text) is None


def test_debug_mode_of_asyncio(
    auth0_tenant: Tenant, needles: Needles, caplog: pytest.LogCaptureFixture
) -> None:
    """In its debug mode asyncio logs every step, and no secret."""

    async def exchange_slowly() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.0
        async with AsyncServerClient(**settings_of(auth0_tenant)) as client:
            await client.custom_token_exchange(options_of(auth0_tenant))

    with caplog.at_level(logging.DEBUG):
        asyncio.run(exchange_slowly())

    assert "Executing" in caplog.text
    assert needles.find(caplog.text) is None
