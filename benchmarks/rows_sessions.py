"""The cost of login sessions without a network: sealing, reading a user, logging in."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from statistics import median
from types import SimpleNamespace
from typing import Any

from joserfc import jwe
from joserfc.jwk import OctKey

from auth0_tx.core.configuration import configure
from auth0_tx.core.context import Context
from auth0_tx.core.flows.exchange import custom_token_exchange
from auth0_tx.core.flows.login import login_with_custom_token_exchange
from auth0_tx.core.flows.session import get_user
from auth0_tx.core.session.cookies import CookieStore, split
from auth0_tx.core.session.seal import direct_key, sealer
from auth0_tx.core.session.state import write_session
from auth0_tx.core.session.store import Application
from auth0_tx.frameworks.cookies import HttpCookies
from auth0_tx.session_values import LoginWithCustomTokenExchangeOptions
from auth0_tx.shells.drivers import make_context, run

from .bench import Bench
from .measure import Comparison, Side, format_seconds, measure_in_turns
from .no_wire import DOMAIN, ISSUER, NoWire
from .ours import build_options
from .report import Row, build_ratio_row
from .tokens import (
    AUDIENCE,
    CLIENT_ID,
    CLIENT_SECRET,
    SCOPE,
    SUBJECT_TOKEN,
    SUBJECT_TOKEN_TYPE,
)

_SECRET = "benchmark-session-secret-0123456789abcdef0123456789abcdef"
_COOKIE = "__Host-auth0_tx"
_PURPOSE = f"session {_COOKIE}"
_APPLICATION = Application(ISSUER, CLIENT_ID)
_LENGTH = 4_096
_LONGEST = 150e-6


class _Answer:
    """A response like those of frameworks, which keeps nothing."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    def set_cookie(self, name: str, value: str, **_attributes: Any) -> None:
        """Set a cookie."""


def measure_sessions(bench: Bench) -> list[Row]:
    """Measure the seal, ``get_user`` and a login."""
    return [_measure_seal(bench), _measure_get_user(bench), _measure_login(bench)]


def _measure_seal(bench: Bench) -> Row:
    """Measure sealing and opening together, with a session of 4 KiB."""
    whole, payload, side = (
        sealer((_SECRET,), _PURPOSE, _APPLICATION),
        _build_session(),
        Side(),
    )

    def burst(count: int) -> None:
        for _ in range(count):
            assert whole.open(whole.seal(payload))

    burst(100)
    for _ in range(bench.scale(200, 2)):
        side.time(burst, 100)
    seconds = median(side.cpu)
    return Row(
        "seal and open a 4 KiB session",
        "≤ 150 µs",
        format_seconds(seconds),
        seconds <= _LONGEST,
        f"the sum of both; minimum {format_seconds(min(side.cpu))}",
    )


def _measure_get_user(bench: Bench) -> Row:
    """Measure ``get_user``, from cookies to checks, over a bare decryption."""
    context, world = _build_context(), NoWire().build_world()
    sealed = sealer((_SECRET,), _PURPOSE, _APPLICATION).seal(_build_session())
    request = SimpleNamespace(cookies=split(_COOKIE, sealed, CookieStore()))
    octets = secrets.token_bytes(32)
    key = OctKey.import_key(octets)
    registry = jwe.JWERegistry(algorithms=["dir", "A256GCM"])
    # The same text under a key that is known, as joserfc would have written it.
    theirs_sealed = direct_key(octets, kid="a-bare-key-as-any-20").encrypt(
        _build_session()
    )
    assert len(theirs_sealed) == len(sealed)

    def get_ours(count: int) -> None:
        for _ in range(count):
            user = run(get_user(context, {"request": request}), world)
            assert user is not None

    def decrypt(count: int) -> None:
        for _ in range(count):
            assert jwe.decrypt_compact(theirs_sealed, key, registry=registry).plaintext

    measured = measure_in_turns(
        get_ours, decrypt, count=100, rounds=bench.scale(200, 2)
    )
    return build_ratio_row(
        "get_user from a cookie over the bare joserfc open of the same cookie",
        measured,
        1.2,
    )


def _measure_login(bench: Bench) -> Row:
    """Measure a login, from ID token to cookies, less the exchange in it."""
    context, world = _build_context(), NoWire(id_token=True).build_world()

    def login(count: int) -> None:
        for _ in range(count):
            request = SimpleNamespace(cookies={})
            store_options = {"request": request, "response": _Answer()}
            flow = login_with_custom_token_exchange(
                context, _build_login_options(), store_options
            )
            assert run(flow, world).state_data["user"]

    def exchange(count: int) -> None:
        for _ in range(count):
            assert run(custom_token_exchange(context, build_options()), world).id_token

    measured = measure_in_turns(login, exchange, count=50, rounds=bench.scale(200, 2))
    seconds = _subtract(median, measured)
    least = format_seconds(_subtract(min, measured))
    return Row(
        "verified login over exchange, keys held",
        "≤ 150 µs more",
        format_seconds(seconds),
        seconds <= _LONGEST,
        f"of minima {least}; {measured.describe()}",
    )


def _subtract(of: Callable[[list[float]], float], measured: Comparison) -> float:
    return of(measured.ours.cpu) - of(measured.theirs.cpu)


def _build_context() -> Context:
    settings = configure(
        domain=DOMAIN,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        secret=_SECRET,
    )
    return make_context(settings, HttpCookies())


def _build_login_options() -> LoginWithCustomTokenExchangeOptions:
    return LoginWithCustomTokenExchangeOptions(
        subject_token=SUBJECT_TOKEN,
        subject_token_type=SUBJECT_TOKEN_TYPE,
        audience=AUDIENCE,
        scope=SCOPE,
    )


def _build_session() -> bytes:
    """Build a session of 4 KiB: a user, an actor, and tokens as long as Auth0's."""
    now = int(time.time())
    tokens = [
        {
            "audience": audience,
            "aud": None,
            "access_token": secrets.token_urlsafe(700),
            "scope": SCOPE,
            "requested_scope": SCOPE,
            "issued_at": now,
            "expires_at": now + 86_400,
        }
        for audience in ("default", AUDIENCE)
    ]
    state: dict[str, Any] = {
        "user": {
            "iss": ISSUER,
            "aud": CLIENT_ID,
            "sub": "auth0|0123456789abcdef01234567",
            "iat": now,
            "exp": now + 36_000,
            "email": "alice@example.com",
            "name": "Alice",
            "act": {"sub": "auth0|agent"},
        },
        "id_token": "",
        "refresh_token": secrets.token_urlsafe(45),
        "token_sets": tokens,
        "domain": DOMAIN,
        "internal": {
            "id": secrets.token_hex(16),
            "audience": "default",
            "scopes": {"default": SCOPE},
            "sid": secrets.token_hex(16),
            "created_at": now,
            "used_at": now,
            "expires_at": now + 259_200,
        },
    }
    state["id_token"] = "x" * (_LENGTH - len(write_session(state)))
    assert len(write_session(state)) == _LENGTH
    return write_session(state)
