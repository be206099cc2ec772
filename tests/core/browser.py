"""A browser and a session store made of dictionaries, for flows that keep sessions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Any

from auth0_tx.core.context import Context
from auth0_tx.core.flows.login import login_with_custom_token_exchange
from auth0_tx.core.flows.session import get_session
from auth0_tx.core.session.cookies import SetCookie
from auth0_tx.session_values import LoginWithCustomTokenExchangeOptions
from tests.core.id_tokens import build_jwks_response, sign_id_token
from tests.core.world import (
    SECRETS,
    TOKENS,
    Clock,
    Response,
    build_client,
    build_response,
    play,
)

COOKIE = "__Host-auth0_tx"
USED, CURRENT = f"{COOKIE}.used", f"{COOKIE}.current"
SECRET = "a secret of at least thirty-two characters"
OLD_SECRET = "the secret that was in use a year ago, and is known"


class Browser:
    """A browser: its cookies, and those that responses told it to set."""

    def __init__(self, cookies: dict[str, str] | None = None) -> None:
        self.cookies = cookies or {}
        self.told: list[SetCookie] = []

    def request(self, *, answered: bool = True) -> dict[str, Any]:
        """Return the store options of one of its requests."""
        options: dict[str, Any] = {"request": self.cookies}
        return {**options, "response": self.told} if answered else options

    def copy(self) -> Browser:
        """Return another browser with the same cookies."""
        return Browser(dict(self.cookies))

    def take(self, other: Browser) -> None:
        """Let the answers arrive that a copy of this browser got."""
        for cookie in other.told:
            if cookie.max_age > 0:
                self.cookies[cookie.name] = cookie.value
            else:
                self.cookies.pop(cookie.name, None)

    @property
    def is_logged_out(self) -> bool:
        """Whether nothing of a session is left, in cookies or in a store."""
        ours = {name for name in self.cookies if name.startswith((COOKIE, "_a0_"))}
        return ours <= {CURRENT} and self.cookies.get(CURRENT, "none") == "none"


class PaperStore:
    """A dictionary as a store, which fails on demand."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.values: dict[str, tuple[bytes, float]] = {}
        self.index: dict[str, dict[str, None]] = defaultdict(dict)
        self.calls: list[str] = []
        self.failing: list[str] = []
        self.before: dict[str, Callable[[], object]] = {}
        self._clock = clock

    def _note_call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.before:
            self.before.pop(name)()
        if name in self.failing:
            self.failing.remove(name)
            raise ConnectionError(f"the store cannot {name} {SECRETS['access_token']}")

    def get(self, key: str) -> bytes | None:
        self._note_call("get")
        value, until = self.values.get(key, (None, 0.0))
        return value if self._clock() < until else None

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        self._note_call("set")
        now, until = self.values.get(key, (None, 0.0))
        if (now if self._clock() < until else None) != expected:
            return False
        self.values[key] = (value, self._clock() + ttl)
        return True

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        self._note_call("delete")
        if expected is None or self.values.get(key, (None,))[0] == expected:
            self.values.pop(key, None)

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None:
        self._note_call("add_to_index")
        self.index[label][key] = None

    def read_index(self, label: str) -> list[str]:
        self._note_call("read_index")
        return list(self.index[label])

    def remove_from_index(self, label: str, keys: Collection[str]) -> None:
        self._note_call("remove_from_index")
        for key in keys:
            self.index[label].pop(key, None)

    def list_sessions(self) -> list[str]:
        """Return the keys of the stored sessions."""
        return [key for key in self.values if key.startswith("session:")]


class LateStore(PaperStore):
    """A store whose answer to a write is lost, once for each word in *lost*."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.lost: list[str] = []

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        done = super().set(key, value, ttl=ttl, expected=expected)
        if "set" in self.lost:
            self.lost.remove("set")
            raise TimeoutError("the answer was lost")
        return done


def build_session_client(clock: Clock, **keywords: Any) -> Context:
    """Build a client that keeps sessions: in cookies, unless *keywords* say where."""
    return build_client(clock, **{"secret": SECRET, **keywords})


def build_login_options(**changes: Any) -> LoginWithCustomTokenExchangeOptions:
    """Build the options of an ordinary login with *changes*."""
    return LoginWithCustomTokenExchangeOptions(
        **{
            "subject_token": SECRETS["subject_token"],
            "subject_token_type": "urn:acme:legacy-token",
            **changes,
        }
    )


def build_token_response(
    members: dict[str, Any] | None = None, **claims: Any
) -> Response:
    """Build the response that issues tokens, among them an ID token with *claims*."""
    tokens = {
        **TOKENS,
        "id_token": sign_id_token(**claims),
        "scope": "openid read:data",
    }
    return build_response(
        {k: v for k, v in {**tokens, **(members or {})}.items() if v is not ...}
    )


def log_in(
    context: Context,
    browser: Browser,
    members: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    **claims: Any,
) -> dict[str, Any]:
    """Log a user in; return the session."""
    knows_keys = context.key_sets.get(
        "https://tenant.us.auth0.com/.well-known/jwks.json"
    )
    replies = [] if knows_keys is not None else [build_jwks_response("key-1")]
    result, _ = play(
        login_with_custom_token_exchange(
            context, build_login_options(**(options or {})), browser.request()
        ),
        build_token_response(members, **claims),
        *replies,
    )
    return result.state_data


def read_session(context: Context, browser: Browser) -> dict[str, Any] | None:
    """Return a browser's session, as the application sees it."""
    session, asked = play(get_session(context, browser.request()))
    assert [] == asked.requests
    return session
