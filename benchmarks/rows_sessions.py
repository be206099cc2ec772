"""What a login session costs, without a network: sealing, reading a user, logging in."""

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
from auth0_tx.frameworks.cookies import HttpCookies
from auth0_tx.shells.drivers import make_context, run
from auth0_tx.values import LoginWithCustomTokenExchangeOptions

from .bench import Bench
from .measure import Paired, Side, microseconds, paired
from .no_wire import DOMAIN, ISSUER, NoWire
from .ours import options
from .report import Row, ratio_row
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
_LENGTH = 4_096
_LONGEST = 150e-6


class _Answer:
    """A response as frameworks have them, of which nothing is kept."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    def set_cookie(self, name: str, value: str, **_attributes: Any) -> None:
        """Set a cookie."""


def sessions(bench: Bench) -> list[Row]:
    """What is promised of login sessions."""
    return [_seal_and_open(bench), _user(bench), _login(bench)]


def _seal_and_open(bench: Bench) -> Row:
    """Both together, of a session of 4 KiB."""
    whole, payload, side = sealer((_SECRET,), _PURPOSE), _session(), Side()

    def burst(count: int) -> None:
        for _ in range(count):
            assert whole.open(whole.seal(payload))

    burst(100)
    for _ in range(bench.scaled(200, 2)):
        side.time(burst, 100)
    seconds = median(side.cpu)
    return Row(
        "seal and open a 4 KiB session",
        "≤ 150 µs",
        microseconds(seconds),
        seconds <= _LONGEST,
        f"the sum of both; minimum {microseconds(min(side.cpu))}",
    )


def _user(bench: Bench) -> Row:
    """``get_user`` of a request, cookies read and checks made, over a bare decryption."""
    context, world = _context(), NoWire().world()
    sealed = sealer((_SECRET,), _PURPOSE).seal(_session())
    request = SimpleNamespace(cookies=split(_COOKIE, sealed, CookieStore()))
    octets = secrets.token_bytes(32)
    key = OctKey.import_key(octets)
    registry = jwe.JWERegistry(algorithms=["dir", "A256GCM"])
    # The same text under a key that is known, as joserfc would have written it.
    theirs_sealed = direct_key(octets, kid="bare-key").encrypt(_session())
    assert len(theirs_sealed) == len(sealed)

    def ours(count: int) -> None:
        for _ in range(count):
            user = run(get_user(context, {"request": request}), world)
            assert user is not None

    def theirs(count: int) -> None:
        for _ in range(count):
            assert jwe.decrypt_compact(theirs_sealed, key, registry=registry).plaintext

    measured = paired(ours, theirs, count=100, rounds=bench.scaled(200, 2))
    return ratio_row(
        "get_user from a cookie over the bare joserfc open of the same cookie",
        measured,
        1.2,
    )


def _login(bench: Bench) -> Row:
    """A login, its ID token verified and its cookies set, less the exchange in it."""
    context, world = _context(), NoWire(id_token=True).world()

    def login(count: int) -> None:
        for _ in range(count):
            request = SimpleNamespace(cookies={})
            store_options = {"request": request, "response": _Answer()}
            flow = login_with_custom_token_exchange(context, _options(), store_options)
            assert run(flow, world).state_data["user"]

    def exchange(count: int) -> None:
        for _ in range(count):
            assert run(custom_token_exchange(context, options()), world).id_token

    measured = paired(login, exchange, count=50, rounds=bench.scaled(200, 2))
    seconds = _difference(median, measured)
    least = microseconds(_difference(min, measured))
    return Row(
        "verified login over exchange, keys held",
        "≤ 150 µs more",
        microseconds(seconds),
        seconds <= _LONGEST,
        f"of minima {least}; {measured.told()}",
    )


def _difference(of: Callable[[list[float]], float], measured: Paired) -> float:
    return of(measured.ours.cpu) - of(measured.theirs.cpu)


def _context() -> Context:
    settings = configure(
        domain=DOMAIN,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        secret=_SECRET,
    )
    return make_context(settings, HttpCookies())


def _options() -> LoginWithCustomTokenExchangeOptions:
    return LoginWithCustomTokenExchangeOptions(
        subject_token=SUBJECT_TOKEN,
        subject_token_type=SUBJECT_TOKEN_TYPE,
        audience=AUDIENCE,
        scope=SCOPE,
    )


def _session() -> bytes:
    """Write a session of 4 KiB: a user, an actor, and tokens as long as Auth0's are."""
    now = int(time.time())
    tokens = [
        {
            "audience": audience,
            "access_token": secrets.token_urlsafe(700),
            "scope": SCOPE,
            "requested_scope": SCOPE,
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
            "audience": "default",
            "sid": secrets.token_hex(16),
            "created_at": now,
            "used_at": now,
            "expires_at": now + 259_200,
        },
    }
    state["id_token"] = "x" * (_LENGTH - len(write_session(state)))
    assert len(write_session(state)) == _LENGTH
    return write_session(state)
