"""A pytest plugin: no secret of a test may show in anything that the library prints.

It knows by itself the secrets that go through the library (options, responses, the keywords
of a client, an MFA token, a session's cookie) and all that the local tenant issues; a test names others::

    def test_something(needles):
        needles.add(session_secret)

After each test it searches, for each of them and for their base64 and URL-encoded forms,
every log record at DEBUG, every warning, every event, every error the library made (with its
whole chain, its pickle, a copy, and the locals of the frames it passed), and the URL and headers
of every request the tenant received.  A hit fails the test.

A test that interrupts a call has every frame searched that the exception passed, whoever's
frame it is, as an error tracker shows them all::

    def test_time_limit(interrupt):
        exchange = lambda: client.custom_token_exchange(options)
        interrupt(exchange, lambda: server.requests)
"""

from __future__ import annotations

import functools
import gc
import logging
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl

import attrs
import pytest

from auth0_tx.core.configuration import Settings
from auth0_tx.core.effects import Emit
from auth0_tx.core.session.cookies import SetCookie
from auth0_tx.core.wire.private_key_jwt import PrivateKeyJwt
from auth0_tx.errors import Auth0Error, InvalidResponseError, MfaRequiredError
from auth0_tx.tenant import Application, ReceivedRequest, Reply, Tenant
from auth0_tx.values import CustomTokenExchangeOptions, TokenExchangeResponse
from tests.secret_needles import Needles
from tests.secret_places import (
    is_from_library,
    iterate_error,
    iterate_interruption,
    iterate_record,
)

# A kept error keeps the frames it passed, so only so many are kept.
_MOST_ERRORS = 256


class Scanner(logging.Handler):
    """Keeps texts and errors until the test ends, and searches them for secrets."""

    def __init__(self) -> None:
        super().__init__()
        self.needles = Needles()
        self._errors: deque[Auth0Error] = deque()
        # By its text, as most log lines are alike.
        self._texts: dict[str, str] = {}
        self._searching = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a log record's texts, as its arguments may change."""
        for place, text in iterate_record(record):
            self.note(place, text)

    def note(self, place: str, text: str) -> None:
        """Keep a text to search."""
        self._texts.setdefault(text, place)

    def note_error(self, error: Auth0Error) -> None:
        """Keep an error, to search it once it has passed its frames."""
        # A copy that the search makes is one of the places it searches.
        if self._searching:
            return
        self._errors.append(error)
        if len(self._errors) > _MOST_ERRORS:
            self._read_error(self._errors.popleft())

    def note_event(self, event: object) -> None:
        """Keep each field of an event as text, also one that would not print itself."""
        if attrs.has(type(event)):
            for name, value in attrs.asdict(event).items():
                self.note(f"{name} of {type(event).__name__}", str(value))

    def note_interruption(self, error: BaseException) -> None:
        """Keep the locals of every frame that *error* passed, the libraries' included."""
        for place, text in iterate_interruption(error):
            self.note(place, text)

    def search(self) -> list[str]:
        """Search the texts and errors, and forget them; return each place of a secret once."""
        found: dict[str, None] = {}
        while self._errors:
            self._read_error(self._errors.popleft())
        while self._texts:
            text, place = self._texts.popitem()
            hit = self.needles.find(text)
            if hit is not None:
                found[f"{hit} in {place}"] = None
        return list(found)

    def _read_error(self, error: Auth0Error) -> None:
        if not is_from_library(error):
            return
        self._searching = True
        try:
            for place, text in iterate_error(error):
                self.note(place, text)
        finally:
            self._searching = False


def _call_after(kind: type, method: str, act: Callable[..., object]) -> None:
    """Call *act* after each call of a method, with its result and its arguments."""
    original = getattr(kind, method)

    @functools.wraps(original)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        act(self, result, *args)
        return result

    setattr(kind, method, wrapper)


def _watch_values(needles: Needles) -> None:
    def add_options(self: CustomTokenExchangeOptions, _: object) -> None:
        needles.add(self.subject_token, name="a subject token")
        needles.add(self.actor_token, name="an actor token")
        given = self.authorization_params
        if isinstance(given, Mapping):
            needles.add(*given.values(), name="an extension parameter")
        # A test that tries hostile texts tries them in every place.
        needles.allow(self.subject_token_type, self.actor_token_type, self.audience)
        needles.allow(self.scope, self.organization)

    def add_tokens(self: TokenExchangeResponse, _: object) -> None:
        needles.add(self.access_token, name="an access token")
        needles.add(self.id_token, name="an ID token")
        needles.add(self.refresh_token, name="a refresh token")

    def add_client_secrets(self: Settings, _: object) -> None:
        needles.add(*self.own_secrets, name="a client secret", keep=True)

    def add_private_key(self: PrivateKeyJwt, *_: object) -> None:
        needles.add(self._key.as_pem(private=True), name="a private key", keep=True)
        numbers = self._key.as_dict(private=True)
        for number in ("d", "p", "q", "dp", "dq", "qi"):
            needles.add(numbers.get(number), name="a private key", keep=True)

    def add_mfa_token(self: MfaRequiredError, *_: object) -> None:
        needles.add(self.mfa_token, name="an MFA token")

    def add_refresh_token(self: InvalidResponseError, *_: object) -> None:
        needles.add(self.refresh_token, name="a refresh token")

    def add_cookie(self: SetCookie, *_: object) -> None:
        needles.add(self.value, name="a session cookie")

    _call_after(SetCookie, "__init__", add_cookie)
    _call_after(CustomTokenExchangeOptions, "__init__", add_options)
    _call_after(TokenExchangeResponse, "__init__", add_tokens)
    _call_after(Settings, "__init__", add_client_secrets)
    _call_after(PrivateKeyJwt, "__init__", add_private_key)
    _call_after(MfaRequiredError, "with_mfa", add_mfa_token)
    _call_after(InvalidResponseError, "with_refresh_token", add_refresh_token)


def _watch_tenants(scanner: Scanner) -> None:
    needles = scanner.needles

    def add_client_secret(self: Application, *_: object) -> None:
        needles.add(self.client_secret, name="a client secret", keep=True)

    def add_issued_token(_: Tenant, token: str, *__: object) -> None:
        needles.add(token, name="a token of the tenant")

    def add_reply_tokens(_: Tenant, reply: Reply, *__: object) -> None:
        if b"_token" not in reply.body or not reply.body.startswith(b"{"):
            return
        members = reply.members
        for name in ("access_token", "id_token", "refresh_token", "mfa_token"):
            needles.add(members.get(name), name=f"the tenant's {name}")

    def note_request(self: ReceivedRequest, *_: object) -> None:
        if not self.headers.get("user-agent", "").startswith("auth0-tx/"):
            return
        if b"client_assertion=" in self.body:
            form = dict(parse_qsl(self.body.decode("latin-1")))
            needles.add(form.get("client_assertion"), name="a client assertion")
        scanner.note("a URL", f"{self.path}?{self.query}")
        for header, value in self.headers.items():
            if header not in ("authorization", "dpop"):
                scanner.note(f"the header {header}", value)

    _call_after(Application, "__init__", add_client_secret)
    for method in ("subject_token", "id_token", "sign"):
        _call_after(Tenant, method, add_issued_token)
    _call_after(Tenant, "respond", add_reply_tokens)
    _call_after(ReceivedRequest, "__init__", note_request)


def _build_log_filter(
    capturing: logging.Handler, level: int
) -> Callable[[logging.LogRecord], bool]:
    """Return a filter for pytest's own handlers: the root logger's level is lowered for us."""

    def is_admitted(record: logging.LogRecord) -> bool:
        if capturing.level:
            return True
        logger = logging.getLogger(record.name)
        while logger.parent is not None and not logger.level:
            logger = logger.parent
        return record.levelno >= (level if logger.parent is None else logger.level)

    return is_admitted


class Watch:
    """The hooks through which the tests are watched."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        """Fail a test that showed a secret."""
        result = yield
        self._check()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Generator[None, Any, Any]:
        """Fail a test whose fixtures showed a secret, and start anew."""
        try:
            result = yield
            self._check()
        finally:
            self._scanner.search()
            self._scanner.needles.forget()
        return result

    def _check(self) -> None:
        found = self._scanner.search()
        if found:
            pytest.fail("a secret shows: " + "; ".join(found), pytrace=False)


_scanner = pytest.StashKey[Scanner]()


def pytest_configure(config: pytest.Config) -> None:
    """Start to watch, once for the whole run."""
    scanner = config.stash[_scanner] = Scanner()
    _watch_values(scanner.needles)
    _watch_tenants(scanner)
    _call_after(Auth0Error, "__init__", lambda error, *_: scanner.note_error(error))
    _call_after(Emit, "__init__", lambda emit, *_: scanner.note_event(emit.event))
    # One is made for each warning; pytest reports them only after the test.
    _call_after(
        warnings.WarningMessage,
        "__init__",
        lambda warning, *_: scanner.note("a warning", str(warning.message)),
    )
    config.pluginmanager.register(Watch(scanner))


def pytest_sessionstart(session: pytest.Session) -> None:
    """Listen to every logger, without a change to the records that tests capture."""
    root = logging.getLogger()
    capturing = session.config.pluginmanager.get_plugin("logging-plugin")
    if capturing is not None:
        # The handler of the log file too, although no file is set: a forked child would wait
        # forever for its lock if another thread was writing.
        for name in ("caplog", "report", "log_cli", "log_file"):
            handler: logging.Handler = getattr(capturing, f"{name}_handler")
            handler.addFilter(_build_log_filter(capturing.caplog_handler, root.level))
    root.addHandler(session.config.stash[_scanner])
    root.setLevel(logging.DEBUG)


@pytest.fixture
def needles(request: pytest.FixtureRequest) -> Needles:
    """The secrets to look for; ``needles.add(...)`` adds one of the test."""
    return request.config.stash[_scanner].needles


@pytest.fixture
def secret_scanner(request: pytest.FixtureRequest) -> Scanner:
    """The scanner; ``secret_scanner.search()`` searches now, and forgets what it kept."""
    return request.config.stash[_scanner]


class TimeLimit(Exception):
    """Raised by a signal handler, as Celery's soft time limit is."""


class Interrupted(KeyboardInterrupt):
    """Raised by a signal handler where an event loop runs.

    A loop logs any other exception that strikes within one of its callbacks.
    """


class Interrupt(Protocol):
    """The type of the fixture ``interrupt``."""

    def __call__(
        self,
        call: Callable[[], object],
        is_near: Callable[[], object],
        error: type[BaseException] = TimeLimit,
    ) -> None:
        """Interrupt *call* by a signal whose handler raises *error*."""
        ...


_SETTLE = 0.15
"""Seconds until a call waits, once it is known to be near."""


@pytest.fixture
def interrupt(secret_scanner: Scanner) -> Interrupt:
    """A function that interrupts a call by a signal while it waits, and searches its frames.

    The signal strikes soon after *is_near*, its second argument, has become true.
    """

    def strike(is_near: Callable[[], object], ended: threading.Event) -> None:
        while not is_near() and not ended.wait(0.01):
            pass
        if not ended.wait(_SETTLE):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    def interrupt(
        call: Callable[[], object],
        is_near: Callable[[], object],
        error: type[BaseException] = TimeLimit,
    ) -> None:
        def ring(*_: object) -> None:
            raise error

        ended = threading.Event()
        before = signal.signal(signal.SIGALRM, ring)
        striker = threading.Thread(target=strike, args=(is_near, ended))
        striker.start()
        try:
            with pytest.raises(error) as caught:
                call()
        finally:
            ended.set()
            striker.join()
            signal.signal(signal.SIGALRM, before)
        secret_scanner.note_interruption(caught.value)
        with warnings.catch_warnings():
            # Nobody can close a socket that was connecting; it goes with its frames.
            warnings.simplefilter("ignore", ResourceWarning)
            del caught
            gc.collect()

    return interrupt
