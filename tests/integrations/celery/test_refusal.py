"""No token leaves in a message, or is stored as a result, whatever it looks like."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from celery import Celery, chain, chord, group, signals
from celery.backends.cache import CacheBackend
from celery.beat import ScheduleEntry, Scheduler, SchedulingError
from hypothesis import given
from hypothesis import strategies as st
from kombu import serialization
from kombu.transport import memory

from auth0_tx import InvalidInputError
from auth0_tx.integrations.celery import TokenExchangeTask, refuse_tokens
from auth0_tx.integrations.celery.token_search import holds_token, search_serialized
from auth0_tx.integrations.celery.vault import new_handle
from auth0_tx.secret import SecretStr

HEADER = "eyJhbGciOiJSUzI1NiJ9"
JWT = f"{HEADER}.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
JWE = f"{HEADER}..aXY.Y2lwaGVydGV4dA.dGFn"


def encode(text: str | bytes) -> str:
    """Encode in base64."""
    data = text if isinstance(text, bytes) else text.encode()
    return base64.b64encode(data).decode()


SPACED = encode('{ "alg": "HS256" }').rstrip("=")
SPELLINGS: dict[str, str | bytes] = {
    "JWT": JWT,
    "JWE": JWE,
    "spaced header": f"{SPACED}.e30.c2ln",
    "inside a word": f"token_{HEADER}.e30.c2ln",
    "bytes": JWT.encode(),
    "UTF-16": JWT.encode("utf-16"),
    "base64": encode(JWT),
    "base64 twice": encode(encode(JWT)),
    "base64url of bytes": base64.urlsafe_b64encode(b"\xff\xfe" + JWT.encode()).decode(),
    "base64 in lines": base64.encodebytes(JWT.encode() * 3).decode(),
    "base64 behind a prefix": f"v2_{encode(JWT)}",
    "hexadecimal": JWT.encode().hex(),
    "percent-encoded": "".join(f"%{ord(letter):02X}" for letter in JWT),
    "a header": "Authorization: Bearer 9f86d081884c7d65",
    "Basic": f"authorization: basic {encode('id:secret')}",
    "percent-encoded header": quote("Bearer 9f86d081884c7d65"),
    "gzip": gzip.compress(JWT.encode()),
    "gzip in base64": encode(gzip.compress(JWT.encode())),
    "bzip2": bz2.compress(JWT.encode()),
    "bzip2 in base64": encode(bz2.compress(JWT.encode())),
    # Twice, or it would not be compressed.
    "xz in base64": encode(lzma.compress(f"{JWT} {JWT}".encode())),
    "pickle in base64": encode(pickle.dumps({"a": [JWT]})),
    "JSON in text": json.dumps({"refresh_token": "9f86d081884c7d65"}),
    "JSON in JSON": json.dumps(json.dumps({"accessToken": "9f86d081884c7d65"})),
    "a query": "https://a.example/?a=1&id_token=9f86d081884c7d65",
    "a repr": repr({"subject_token": b"9f86d081884c7d65"}),
    "PASETO": "v4.local.AAAAAAAAAAAAAAAAAAAAAAAA",
    "SAML": encode('<saml:Assertion ID="a">'),
    "a private key": "-----BEGIN RSA PRIVATE KEY-----",
    "Auth0's old form": f"v1.{'Mx' * 25}",
}
PLAIN = [
    "",
    "auth0|alice",
    "a.b.c",
    "framework-utilities.example.com",
    "keyJsonValue.first.second",
    "Basic plan",
    "bearer of bad news",
    "access_token: unauthorized_client_error",
    "invalid_request: subject_token must not be empty",
    "Authorization: Bearer <redacted>",
    "0123456789abcdef" * 4,
    "2026-11-28T08:00:00.000000+00:00",
    "https://example.com/a/very/long/path/of/many/words/index.html?page=100000000000",
    "d41d8cd9-8f00-b204-e980-0998ecf8427e",
    repr({"subject_token": new_handle()}),
    new_handle(),
]


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings(name: str) -> None:
    """A token is found in every spelling."""
    assert holds_token(SPELLINGS[name])


@pytest.mark.parametrize("text", PLAIN)
def test_plain_texts(text: str) -> None:
    """Ordinary texts pass, also those that speak of tokens."""
    assert not holds_token(text)


LENGTH = 300_000


@pytest.mark.parametrize(
    "text",
    [
        "eyJ" * LENGTH,
        "eyJaaaaaaaa." * LENGTH,
        "id_token=" + "b" * LENGTH,
        "id_token='" * LENGTH,
        "id_token" + '"' * LENGTH,
        "x" + " " * LENGTH + "x\ny",
        " \n" * LENGTH,
        "authorization: " * LENGTH,
        "-----BEGIN " + "A " * LENGTH + "PRIVATE",
    ],
    ids=range(9),
)
def test_long_texts(text: str) -> None:
    """A text takes time in proportion to its length, or a visitor's would stop the worker."""
    assert holds_token(text) is text.startswith("eyJaaaaaaaa.")


@given(st.text() | st.binary())
def test_any_text(value: str | bytes) -> None:
    """Whatever stands around a token, it is found, and no text is too strange to search."""
    holds_token(value)
    if isinstance(value, str):
        assert holds_token(f"{value} {JWT} {value}")
    else:
        assert holds_token(b"%s\n%s" % (value, JWT.encode()))
        assert holds_token(encode(value + b" " + JWT.encode()))


@dataclass
class Order:
    """An object of an application's own."""

    number: int
    note: str = ""
    access_token: str | None = None


class Lines(list[Any]):
    """A list of an application's own, which keeps more than its items."""

    def __init__(self, *items: Any, **more: Any) -> None:
        super().__init__(items)
        vars(self).update(more)


class Table(dict[str, Any]):
    """A dictionary of an application's own, which keeps more than its items."""


def _make_table(**more: Any) -> Table:
    table = Table(number=1)
    vars(table).update(more)
    return table


class Sealed:
    """An object that nobody can look into."""

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("sealed")


def write_blindly(value: Any) -> str:
    """Write what only its reader can read."""
    return f"sealed: {type(value).__name__}"


@pytest.fixture
def serializers() -> Iterator[None]:
    """Register two serializers of an application's own."""
    for name, read in (("test-repr", str), ("test-blind", None)):
        serialization.register(
            name,
            write_blindly if read is None else repr,
            read or (lambda _: 1 / 0),
            content_type=f"application/x-{name}",
            content_encoding="utf-8",
        )
    yield
    for name in ("test-repr", "test-blind"):
        serialization.unregister(name)


@pytest.mark.usefixtures("serializers")
@pytest.mark.parametrize("serializer", ["pickle", "test-repr", "test-blind"])
def test_objects(serializer: str) -> None:
    """An object is searched as its serializer writes it."""
    assert search_serialized([Order(7)], "args", serializer) is None
    for order in (Order(7, note=JWT), Order(7, access_token="opaque-0123456789")):
        found = search_serialized([order], "args", serializer)
        assert found is not None
        assert found.is_searchable
        assert found.place.startswith("args")


@pytest.mark.usefixtures("serializers")
def test_sealed() -> None:
    """What can't be searched is not published."""
    found = search_serialized([Sealed()], "args", "test-blind")

    assert found == ("args[0]", False)


def test_json_of_objects() -> None:
    """An object with a JSON form of its own is what that form says."""

    class Shown:
        def __init__(self, shown: str, hidden: str) -> None:
            self.shown, self.hidden = shown, hidden

        def __json__(self) -> dict[str, str]:
            return {"shown": self.shown}

    assert search_serialized([Shown("a", JWT)], "args", "json") is None
    assert search_serialized([Shown(JWT, "a")], "args", "json") is not None


def test_jose_json() -> None:
    """A token in the JSON serialization of JWS and JWE is found by its members."""
    jws = {"payload": "e30", "protected": HEADER, "signature": "c2ln"}
    jwe = {"protected": HEADER, "iv": "aXY", "ciphertext": "Yw", "tag": "dA"}

    assert search_serialized([jws], "args", "json") is not None
    assert search_serialized([jwe], "args", "json") is not None


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return what goes to the broker in memory, each message whole."""
    messages: list[bytes] = []
    put = memory.Channel._put

    def _put(self: Any, queue: str, message: Any, **rest: Any) -> Any:
        body = message["body"]
        if message["properties"].get("body_encoding") == "base64":
            body = base64.b64decode(body)
        messages.append(body + pickle.dumps(message))
        return put(self, queue, message, **rest)

    monkeypatch.setattr(memory.Channel, "_put", _put)
    return messages


@pytest.fixture
def app() -> Iterator[Any]:
    """Return an application whose messages go to memory, and may be pickled."""
    app = Celery("tests", broker="memory://", backend="cache+memory://")
    app.conf.accept_content = ["json", "pickle"]
    app.conf.task_default_queue = "refusals"
    refuse_tokens(app)

    @app.task(shared=False, name="plain")
    def plain(value: Any = None, **more: Any) -> Any:
        return value

    @app.task(shared=False, base=TokenExchangeTask, name="trusting", allow_tokens=True)
    def trusting(value: Any = None) -> Any:
        return value

    yield app
    app.close()


def nest(value: Any) -> Any:
    """Return *value* twenty levels deep."""
    for number in range(20):
        value = {"d": value} if number % 2 else [value]
    return value


def stamp(app: Any, **stamps: Any) -> Any:
    """Return a signature with stamps."""
    signature = app.tasks["plain"].s("a")
    signature.stamp(**stamps)
    return signature


WAYS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "argument": (lambda app: app.tasks["plain"].delay(JWT), "args[0]"),
    "keyword": (lambda app: app.tasks["plain"].delay(x=JWT), "kwargs['x']"),
    "20 deep": (lambda app: app.tasks["plain"].delay(nest(JWT)), "args[0]['d'][0]"),
    "by name": (lambda app: app.send_task("elsewhere", (JWT,)), "args[0]"),
    "option": (
        lambda app: app.tasks["plain"].apply_async(x_token=JWT),
        "options['x_token']",
    ),
    "named option": (
        lambda app: app.tasks["plain"].apply_async(subject_token="opaque"),
        "options['subject_token']",
    ),
    "header": (
        lambda app: app.tasks["plain"].apply_async(headers={"X-Token": JWT}),
        "headers['X-Token']",
    ),
    "stamp": (lambda app: stamp(app, by=JWT).apply_async(), "stamps['by']"),
    "argsrepr": (lambda app: app.tasks["plain"].apply_async(argsrepr=JWT), "argsrepr"),
    "shadow": (lambda app: app.tasks["plain"].apply_async(shadow=JWT), "shadow"),
    "chain": (
        lambda app: chain(
            app.tasks["plain"].s(1), app.tasks["plain"].si(JWT), app=app
        ).apply_async(),
        "",
    ),
    "link": (
        lambda app: app.tasks["plain"].apply_async(link=app.signature("b", (JWT,))),
        "link",
    ),
    "link_error": (
        lambda app: app.tasks["plain"].apply_async(
            link_error=[app.signature("b", (JWT,))]
        ),
        "link_error",
    ),
    "group": (
        lambda app: group([app.tasks["plain"].s(JWT)], app=app).apply_async(),
        "args[0]",
    ),
    "chord's body": (
        lambda app: chord(
            [app.signature("plain", (1,)), app.signature("plain", (2,))],
            app.signature("plain", (JWT,)),
            app=app,
        ).apply_async(),
        "",
    ),
    "pickled": (
        lambda app: app.tasks["plain"].apply_async(
            (Order(1, note=JWT),), serializer="pickle"
        ),
        "args[0]",
    ),
    "beside the items of a list": (
        lambda app: app.tasks["plain"].apply_async(
            (Lines(1, note=JWT),), serializer="pickle"
        ),
        "args[0]",
    ),
    "under its name beside the items": (
        lambda app: app.tasks["plain"].apply_async(
            (Lines(1, access_token="opaque"),), serializer="pickle"
        ),
        "args[0]",
    ),
    "beside the items of a dictionary": (
        lambda app: app.tasks["plain"].apply_async(
            (_make_table(note=JWT),), serializer="pickle"
        ),
        "args[0]",
    ),
    "compressed": (
        lambda app: app.tasks["plain"].apply_async((JWT,), compression="gzip"),
        "args[0]",
    ),
    "wrapped": (
        lambda app: app.tasks["plain"].apply_async(
            (SecretStr("opaque"),), serializer="pickle"
        ),
        "args[0]",
    ),
    "data like an allowed task": (
        lambda app: app.tasks["plain"].delay(
            {"task": "trusting", "args": [JWT], "kwargs": {}}
        ),
        "args[0]['args'][0]",
    ),
    "an allowed task's callback": (
        lambda app: app.tasks["trusting"].apply_async(
            (1,), link=app.signature("plain", (JWT,))
        ),
        "link",
    ),
}


@pytest.mark.parametrize("protocol", [2, 1])
@pytest.mark.parametrize("name", WAYS)
def test_ways(app: Any, sent: list[bytes], name: str, protocol: int) -> None:
    """Whatever way a token takes, it is refused by its place, and nothing is sent."""
    app.conf.task_protocol = protocol
    act, place = WAYS[name]
    with pytest.raises(InvalidInputError) as refused:
        act(app)

    assert place in (refused.value.parameter or "")
    assert JWT not in str(refused.value)
    assert "opaque" not in str(refused.value)
    assert [] == sent


def test_signals(app: Any, sent: list[bytes]) -> None:
    """A message is searched after Celery's signals have changed it."""

    def add(headers: dict[str, Any], body: Any, **_: Any) -> None:
        headers["trace"] = {"state": JWT}

    signals.before_task_publish.connect(add)
    try:
        with pytest.raises(InvalidInputError, match=r"headers\['trace'\]\['state'\]"):
            app.send_task("plain")
    finally:
        signals.before_task_publish.disconnect(add)

    assert [] == sent


def test_schedule(app: Any, sent: list[bytes]) -> None:
    """What beat sends is searched, too; it goes on with the next entry."""
    scheduler = Scheduler(app, lazy=True)
    for task in ("plain", "elsewhere"):
        entry = ScheduleEntry("entry", task, args=(JWT,), schedule=60, app=app)
        with pytest.raises((SchedulingError, InvalidInputError)) as refused:
            scheduler.apply_async(entry, advance=False)
        assert JWT not in str(refused.value)

    assert [] == sent


def test_allowed(app: Any, sent: list[bytes]) -> None:
    """A task that trusts its broker is sent tokens, by itself and as a part of others."""
    trusting = app.tasks["trusting"]
    trusting.delay(JWT)
    trusting.apply_async((JWT,), headers={"kind": "a"})
    app.send_task("trusting", (JWT,))
    chain(app.tasks["plain"].s(1), trusting.si(JWT), app=app).apply_async()
    app.tasks["plain"].apply_async(link=trusting.si(JWT))

    assert 5 == sum(JWT.encode() in message for message in sent)


def test_ordinary(app: Any, sent: list[bytes]) -> None:
    """Ordinary messages are sent as they are."""
    plain = app.tasks["plain"]
    handle = new_handle()
    plain.apply_async((handle,), {"subject_token": handle}, serializer="pickle")
    stamp(app, by="alice").apply_async()
    chord([plain.s(1)], plain.s(), app=app).apply_async()
    group([plain.s(number) for number in range(3)], app=app).apply_async()
    plain.apply_async(compression="gzip", expires=60, priority=3)

    assert 7 == len(sent)


@pytest.fixture
def stored(app: Any, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return what is stored of tasks, which run in this process."""
    app.conf.task_store_eager_result = True
    kept: list[bytes] = []
    put = CacheBackend.set

    def set_value(self: Any, key: Any, value: Any) -> Any:
        kept.append(value if isinstance(value, bytes) else value.encode())
        return put(self, key, value)

    monkeypatch.setattr(CacheBackend, "set", set_value)
    return kept


class ReportError(Exception):
    """An application's own error."""

    def __init__(self, message: str, note: str = "") -> None:
        super().__init__(message)
        self.note = note


RETURNED: dict[str, Any] = {
    "JWT": JWT,
    "a response": {"access_token": "opaque", "expires_in": 60},
    "20 deep": nest(JWT),
    "base64": encode(JWT),
}


@pytest.mark.parametrize("serializer", ["json", "pickle"])
@pytest.mark.parametrize("name", RETURNED)
def test_returned(app: Any, stored: list[bytes], name: str, serializer: str) -> None:
    """A task that returns a token fails, and says so to whoever waits for its result."""
    app.conf.result_serializer = serializer
    plain = app.tasks["plain"]
    result = plain.apply((RETURNED[name],))
    known = app.AsyncResult(result.id)

    assert "FAILURE" == known.state
    assert InvalidInputError is type(known.result)
    assert known.result.parameter.startswith("result")
    assert stored
    assert not any(JWT.encode() in value for value in stored)
    assert not any(b"opaque" in value for value in stored)


@pytest.mark.parametrize("serializer", ["json", "pickle"])
@pytest.mark.parametrize(
    "error",
    [
        ReportError(f"could not send {JWT}"),
        ReportError(f"GET https://a.example/?access_token={'0a' * 9}"),
        KeyError({"access_token": "0a" * 9}),
    ],
    ids=["message", "address", "argument"],
)
def test_raised(
    app: Any, stored: list[bytes], error: Exception, serializer: str
) -> None:
    """Of an error that holds a token, the kind is stored, and no traceback."""
    app.conf.result_serializer = serializer

    @app.task(shared=False, name="failing")
    def failing() -> None:
        raise error

    known = app.AsyncResult(failing.apply().id)

    assert "FAILURE" == known.state
    assert InvalidInputError is type(known.result)
    assert type(error).__name__ in known.result.message
    assert known.traceback is None
    assert not any(JWT.encode() in value for value in stored)
    assert not any(b"0a" * 9 in value for value in stored)


def test_state(app: Any, stored: list[bytes]) -> None:
    """A state with a token is refused where the task sets it."""

    @app.task(shared=False, bind=True, name="telling")
    def telling(self: Any, value: Any) -> str:
        self.update_state(state="PROGRESS", meta={"note": value})
        return "done"

    refused = telling.apply((JWT,))
    told = telling.apply(("half",))

    assert refused.result.parameter == "result['note']"
    assert "done" == told.get()
    assert not any(JWT.encode() in value for value in stored)


def test_results_as_they_are(app: Any, stored: list[bytes]) -> None:
    """Ordinary results and errors are stored whole, and those of a task that may have tokens."""

    @app.task(shared=False, name="failing")
    def failing() -> None:
        raise ReportError("no report today")

    known = app.AsyncResult(failing.apply().id)

    assert isinstance(known.result, ReportError)
    assert "no report today" in known.traceback
    for value in (None, 7, "done", {"handle": new_handle()}, [1, [2]]):
        assert value == app.AsyncResult(app.tasks["plain"].apply((value,)).id).result
    assert JWT == app.AsyncResult(app.tasks["trusting"].apply((JWT,)).id).result


def test_backend_before(sent: list[bytes]) -> None:
    """A backend that the application had before is searched like one that it makes later."""
    app = Celery("tests", broker="memory://", backend="cache+memory://")
    backend = app.backend
    refuse_tokens(app)
    refuse_tokens(app)

    with pytest.raises(InvalidInputError):
        backend.store_result("id", JWT, "SUCCESS")
    backend.store_result("id", "done", "SUCCESS")
    assert "done" == app.AsyncResult("id").result
    app.close()


def test_pickled_application(sent: list[bytes]) -> None:
    """The application that a spawned worker process makes of a pickle refuses tokens, too."""
    app = Celery("tests", broker="memory://", backend="cache+memory://")
    refuse_tokens(app)
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(app))))

    with pytest.raises(InvalidInputError):
        again.send_task("elsewhere", (JWT,))
    with pytest.raises(InvalidInputError):
        again.backend.store_result("id", JWT, "SUCCESS")
    assert [] == sent
    app.close()
    again.close()
