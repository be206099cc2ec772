"""Rows without a network: the core alone, an ID token, a client assertion."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from statistics import median

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from auth0_tx.core.configuration import configure
from auth0_tx.core.flows.exchange import custom_token_exchange
from auth0_tx.core.jose.id_token import Expected, check_id_token
from auth0_tx.core.jose.keys import read_jwks
from auth0_tx.core.wire.client_auth import build_client_authentication
from auth0_tx.shells.drivers import make_context, run

from .bench import Bench
from .measure import format_seconds, measure_in_turns
from .no_wire import DOMAIN, ISSUER, NoWire
from .ours import build_options
from .report import Row, build_ratio_row
from .tokens import CLIENT_ID, CLIENT_SECRET, build_jwks, generate_key, sign_id_token


def measure_core(bench: Bench) -> list[Row]:
    """Measure options, request, driver and response: an exchange without its transport.

    The ratio to ``json.loads`` of the same body says more than the time, which depends on the
    machine.
    """
    settings = configure(
        domain=DOMAIN, client_id=CLIENT_ID, client_secret=CLIENT_SECRET
    )
    no_wire = NoWire()
    context, world = make_context(settings, None), no_wire.build_world()
    body = bytes(no_wire.token.body)

    def exchange(count: int) -> None:
        for _ in range(count):
            run(custom_token_exchange(context, build_options()), world)

    def parse(count: int) -> None:
        for _ in range(count):
            json.loads(body)

    measured = measure_in_turns(exchange, parse, count=200, rounds=bench.scale(200, 2))
    seconds = median(measured.ours.cpu)
    return [
        Row(
            "core alone: build, drive, parse",
            "≤ 25 µs",
            format_seconds(seconds),
            seconds <= 25e-6,
            f"minimum {format_seconds(min(measured.ours.cpu))}",
        ),
        build_ratio_row(
            "core alone, over json.loads of the same body", measured, 7.0, "9.8"
        ),
    ]


def measure_verification(bench: Bench) -> list[Row]:
    """Measure an ID token with cached keys, over joserfc with a cached ``KeySet``."""
    key = generate_key()
    token = sign_id_token(key, ISSUER)
    key_set = read_jwks(build_jwks(key))
    their_keys = KeySet([key])
    registry = jwt.JWTClaimsRegistry(
        leeway=60,
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": CLIENT_ID},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )

    def verify(count: int) -> None:
        for _ in range(count):
            expected = Expected(issuer=ISSUER, client_id=CLIENT_ID, now=time.time())
            check_id_token(token, key_set, expected, algorithms=("RS256",))

    def decode(count: int) -> None:
        for _ in range(count):
            decoded = jwt.decode(token, their_keys, algorithms=["RS256"])
            registry.validate(decoded.claims)

    measured = measure_in_turns(verify, decode, count=50, rounds=bench.scale(100, 2))
    return [
        build_ratio_row(
            "verified ID token over joserfc with a held KeySet", measured, 1.15
        )
    ]


def measure_assertions(bench: Bench) -> list[Row]:
    """Measure a ``private_key_jwt`` assertion over one bare signature with a loaded key."""
    rsa_key, ec_key = RSAKey.generate_key(2048), ECKey.generate_key("P-256")
    rsa_private, ec_private = rsa_key.private_key, ec_key.private_key
    assert isinstance(rsa_private, rsa.RSAPrivateKey)
    assert isinstance(ec_private, ec.EllipticCurvePrivateKey)
    message = b"x" * 400

    def sign_rsa() -> bytes:
        return rsa_private.sign(message, padding.PKCS1v15(), SHA256())

    def sign_ec() -> bytes:
        return ec_private.sign(message, ec.ECDSA(SHA256()))

    return [
        _measure_assertion(bench, "RS256", rsa_key, sign_rsa, 1.3),
        _measure_assertion(bench, "ES256", ec_key, sign_ec, None),
    ]


def _measure_assertion(
    bench: Bench,
    algorithm: str,
    key: RSAKey | ECKey,
    sign: Callable[[], bytes],
    at_most: float | None,
) -> Row:
    method = build_client_authentication(
        "private_key_jwt", CLIENT_ID, None, key.as_pem(private=True), algorithm
    )
    number = iter(range(10**9))

    def encode(count: int) -> None:
        for _ in range(count):
            method.encode_parameters(ISSUER, time.time, lambda: str(next(number)))

    def sign_bare(count: int) -> None:
        for _ in range(count):
            sign()

    measured = measure_in_turns(encode, sign_bare, count=20, rounds=bench.scale(60, 2))
    return build_ratio_row(
        f"private_key_jwt over one bare signature, {algorithm}", measured, at_most
    )
