"""Django's login, as long as the login session lasts that it was made with.

Django remembers in its own session who is logged in, for two weeks by default.  Auth0's login
session may end before: by a back-channel logout, because it was idle or has reached its age,
because the browser lost our cookie, or because somebody else logged in.  So :func:`login` marks
Django's session (:data:`LOGIN_KEY`), and whoever asks for the user of a marked session has the
login session looked up first:

1. There is no mark: another backend logged the user in, and nothing is read.
2. The login session is there, and is of the user in the mark: Django's login stands.
3. It is gone, or of somebody else: Django's session is flushed, and the user is anonymous.
4. The store cannot be read: ``StoreError``, or an anonymous user if the client's policy is
   ``no_session``.  Django's session stays as it was, for the store may be back soon.

The question is asked once for each request, and not at all by a view that asks for no user.
``request.user`` and ``request.auser`` ask it (the middleware replaces both), and so does
``Auth0Backend.get_user``, for whoever calls ``django.contrib.auth.get_user(request)``.

A session that is whole in the browser's cookies costs no more than opening a seal.  For one in a
store on the server, ``AUTH0_TX["LOGIN_CHECK_SECONDS"]`` bounds how often a process asks: it
remembers, by a hash of the session's cookie, when it last found the session.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from typing import Any
from weakref import WeakKeyDictionary

import attrs
from django.apps import apps
from django.contrib import auth
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.utils.asyncio import async_unsafe

from ...bounded import BoundedDict
from ...client import ServerClient
from ...clocks import read_monotonic
from ...core.session.cookies import CookieStore
from ...errors import Auth0Error
from ...frameworks.cookies import HttpCookies, disable_django_cache
from ...session_values import UserClaims
from ...values import SessionPolicy
from ..settings import DEFAULT
from .clients import get_client, read_keywords, read_login_check_seconds

log: logging.Logger = logging.getLogger("auth0_tx.session")

LOGIN_KEY = "_auth0_tx_login"
"""The key of the mark in Django's session: the client's name, and a hash of the user."""

USER_HASH = "_auth0_tx_user"
"""The attribute of a user by which ``Auth0Backend`` says whose claims it was found by."""

_CHECK = "_auth0_tx_login_check"
_MOST_REMEMBERED = 10_000

# A tenth of the idle time passes before the use of a session is noted in its store.  Who asks
# less often than that could let a session that is used every minute end as an idle one.
_LARGEST_SHARE_OF_IDLE_TIME = 0.1

_remembered: BoundedDict[bytes, float] = BoundedDict(_MOST_REMEMBERED)
"""When sessions in a store were last found, on the monotonic clock."""

_current_request: ContextVar[HttpRequest | None] = ContextVar(
    "auth0_tx_login_request", default=None
)


@attrs.frozen
class LoginSettings:
    """The parts of a client's settings that a check depends on.

    Attributes:
        store: the store on the server; ``None`` if the browser has the session.
        seconds: how long a session that was found in the store is not asked for again.
        ignores_failures: whether a store that fails means that nobody is logged in.
    """

    store: Any
    seconds: float
    ignores_failures: bool


_settings: WeakKeyDictionary[ServerClient, LoginSettings] = WeakKeyDictionary()


@attrs.define(eq=False)
class LoginCheck:
    """The check of one request, made when somebody first asks for its user.

    Attributes:
        request: the request, as Django made it.
        failure: the error that the check ended with, if it did.
        is_needed: whether there is something to check for; a logout serves anybody.
    """

    request: HttpRequest
    failure: Auth0Error | None = None
    is_needed: bool = True
    _is_valid: bool | None = None
    _is_suspended: bool = False
    _has_read: bool = False

    def is_valid(self) -> bool:
        """Return whether Django's login stands; flush Django's session if it does not.

        Raises:
            StoreError: the store failed, and the client's policy is to raise.
        """
        if self._is_suspended or not self.is_needed:
            return True
        if self._is_valid is None:
            try:
                self._is_valid = self._find_out()
            except Auth0Error:
                if is_logging_out():
                    return True
                raise
        self.note_use()
        return self._is_valid

    def note_use(self) -> None:
        """Keep ``cache_page`` from storing a response that depends on this check.

        Each time that the user is used: ``cache_page`` begins when the view does, and knows
        nothing of what a decorator around it, or a middleware, has asked before.
        """
        if self._has_read:
            disable_django_cache(self.request)

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Check nothing within the block, which changes Django's login and ours together."""
        was_suspended, self._is_suspended = self._is_suspended, True
        try:
            yield
        finally:
            self._is_suspended = was_suspended
            self._is_valid = self.failure = None

    @property
    def is_suspended(self) -> bool:
        """Whether ``login`` or ``logout`` of ours is at work."""
        return self._is_suspended

    def mark(self, user: str) -> None:
        """Let Django's login stand on the login session of *user*, as :func:`hash_user` has it."""
        self.request.session[LOGIN_KEY] = [DEFAULT, user]
        self._is_valid = None

    def end_login_of_others(self, user: str | None) -> bool:
        """End a login of Django that stands on the session of another than *user*.

        Returns:
            Whether there was one.
        """
        mark = self._read_mark()
        if mark is None or mark == (DEFAULT, user):
            return False
        self.end_django_login()
        return True

    def end_django_login(self) -> None:
        """Flush Django's session, and show nobody as logged in from here on."""
        self.request.session.flush()
        if not apps.is_installed("django.contrib.auth"):
            return
        from django.contrib.auth.models import AnonymousUser

        self.show_user(AnonymousUser())
        if "user" in vars(self.request):
            self.request.user = AnonymousUser()

    def show_user(self, user: Any) -> None:
        """Have ``request.auser()`` return *user*: Django keeps who was asked for before."""
        values = vars(self.request)
        for name in ("_cached_user", "_acached_user"):
            if name in values:
                values[name] = user

    def forget_user(self) -> None:
        """Have ``request.auser()`` ask Django's session once more."""
        vars(self.request).pop("_acached_user", None)

    def forget_session(self) -> None:
        """Remember no longer that the login session of this request was found."""
        settings = get_login_settings()
        if settings.seconds > 0:
            key = self._hash_session(settings, self._read_mark())
            if key is not None:
                _remembered.pop(key, None)

    def _read_mark(self) -> tuple[str, str] | None:
        """Return the client's name and the user of the mark; ``None`` if there is no mark."""
        session = getattr(self.request, "session", None)
        mark = None if session is None else session.get(LOGIN_KEY)
        if mark is None:
            return None
        match mark:
            case [str(client), str(user)]:
                return client, user
            case _:
                # Written by another version.  It stands for nobody, and so does the login.
                return "", ""

    def _find_out(self) -> bool:
        mark = self._read_mark()
        if mark is None:
            return True
        self._has_read = True
        if self.failure is not None:
            # A store that hangs is not waited for twice.
            raise self.failure.evolve()
        try:
            return self._compare(mark)
        except Auth0Error as error:
            # Without its traceback, which keeps this frame, and the error in it.
            self.failure = error.evolve()
            raise

    def _compare(self, mark: tuple[str, str]) -> bool:
        settings = get_login_settings()
        key = None if settings.seconds <= 0 else self._hash_session(settings, mark)
        now = read_monotonic()
        found_at = None if key is None else _remembered.get(key)
        if found_at is not None and now - found_at < settings.seconds:
            return True
        claims = self._read_claims() if settings.store is None else self._ask_store()
        if (DEFAULT, hash_user(claims)) == mark:
            if key is not None:
                _remembered.add(key, now)
            return True
        is_unsure = claims is None and settings.ignores_failures
        if is_unsure and self._is_store_failing(settings):
            return False
        log.info(
            "a user is logged out of Django: the login session %s",
            "has ended" if claims is None else "is of another user",
        )
        self.end_django_login()
        return False

    def _hash_session(
        self, settings: LoginSettings, mark: tuple[str, str] | None
    ) -> bytes | None:
        """Return a hash of the session's cookie and of the mark, or ``None`` without either."""
        # Through the cookies' own reader: the answer depends on them, and caches must be told.
        cookies = HttpCookies().read({"request": self.request})
        session_id = cookies.get(get_client().session_cookie or "")
        if session_id is None or mark is None:
            return None
        return sha256("\n".join((*mark, session_id)).encode()).digest()

    def _read_claims(self) -> UserClaims | None:
        return get_client().get_user({"request": self.request})

    # As Django's database does for ``request.user`` in an async view, where a store would
    # block the loop in the same way.
    @async_unsafe(
        "request.user asks the session store, which blocks: use await request.auser()"
    )
    def _ask_store(self) -> UserClaims | None:
        return self._read_claims()

    def _is_store_failing(self, settings: LoginSettings) -> bool:
        """Return whether a session was not found because its store fails.

        With the policy ``no_session`` both look the same, and a Django session that is flushed
        is lost for good.
        """
        try:
            settings.store.get("auth0_tx-login-check")
        except Exception:
            return True
        # It works by now, and perhaps did not when it was asked for the session.
        return self._read_claims() is not None


@contextmanager
def use_request(request: HttpRequest) -> Iterator[None]:
    """Set the request whose login a backend's ``get_user`` checks within the block."""
    token = _current_request.set(request)
    try:
        yield
    finally:
        _current_request.reset(token)


def get_login_check(request: Any) -> LoginCheck:
    """Return the check of a request, which the request keeps; the first call creates it."""
    # Django REST Framework wraps the request.
    request = getattr(request, "_request", request)
    check: LoginCheck = vars(request).setdefault(_CHECK, LoginCheck(request))
    return check


def may_stay_logged_in(user_id: object) -> bool:
    """Return whether the user whom a backend is asked for may be the current request's.

    Raises:
        StoreError: the store failed, and the client's policy is to raise.
    """
    request = _current_request.get()
    session = None if request is None else getattr(request, "session", None)
    if session is None or str(session.get(SESSION_KEY)) != str(user_id):
        # Not the user of a request: of a command, a task, or of a page about other users.
        return True
    return get_login_check(request).is_valid()


def is_logging_out() -> bool:
    """Return whether Django's ``logout`` or ``alogout`` is what asks for the user.

    Both ask before they flush the session: an error would keep the user logged in.  Django has
    no other place to tell them apart from a view, and this is asked only when a store has failed.
    """
    functions = (auth.logout, getattr(auth, "alogout", None))
    codes = [function.__code__ for function in functions if function is not None]
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code in codes:
            return True
        frame = frame.f_back
    return False


def hash_user(claims: Mapping[str, Any] | None) -> str | None:
    """Return what tells the user of verified claims from all others, or ``None`` for nobody."""
    if claims is None:
        return None
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not (isinstance(issuer, str) and isinstance(subject, str)):
        return None
    return hash_identity(issuer, subject)


def hash_identity(issuer: str, subject: str) -> str:
    """Return a hash of an issuer and a subject, which together name a user."""
    # The length separates both texts, so that no other split gives the same octets.
    octets = f"{len(issuer)}:{issuer}{subject}".encode()
    return sha256(octets).hexdigest()


def get_login_settings() -> LoginSettings:
    """Return what a check depends on."""
    client = get_client()
    found = _settings.get(client)
    if found is None:
        # As long as its client: when a setting changes, there is another client.
        found = _settings[client] = _read_login_settings()
    return found


def _read_login_settings() -> LoginSettings:
    keywords = read_keywords()
    policy: SessionPolicy = keywords.get("session_policy") or SessionPolicy()
    store = keywords.get("state_store")
    if isinstance(store, CookieStore):
        store = None
    longest = policy.idle_seconds * _LARGEST_SHARE_OF_IDLE_TIME
    return LoginSettings(
        store=store,
        seconds=0.0 if store is None else min(read_login_check_seconds(), longest),
        ignores_failures=store is not None and policy.store_failure == "no_session",
    )
