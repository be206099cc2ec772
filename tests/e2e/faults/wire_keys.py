"""Keys that sign ID tokens, and what a server says of them."""

from __future__ import annotations

import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.e2e.faults.wire_behaviours import grant_of
from tests.e2e.faults.wire_http import WireRequest, json_answer
from tests.e2e.faults.wire_server import Behaviour, Wire

ACTOR = {"sub": "auth0|support"}
ACTOR_OPTIONS = {
    "scope": "openid",
    "actor_token": "actor-0123456789",
    "actor_token_type": "urn:acme:legacy-token",
}


class Signer:
    """One key, under one identifier."""

    def __init__(self, kid: str, key: RSAKey | None = None) -> None:
        self.kid = kid
        self._key = key or RSAKey.generate_key(2048, private=True)

    def under(self, kid: str) -> Signer:
        """Return the same key under another identifier."""
        return Signer(kid, self._key)

    @property
    def jwk(self) -> dict[str, Any]:
        """Return the public half, as it is published."""
        public = dict(self._key.as_dict(private=False))
        return {**public, "kid": self.kid, "use": "sig", "alg": "RS256"}

    def sign(self, claims: dict[str, Any]) -> str:
        """Return *claims* as a JWT."""
        return jwt.encode({"alg": "RS256", "kid": self.kid}, claims, self._key)


def names_actor(*signers: Signer, now: float | None = None) -> Behaviour:
    """Grant, with an ID token that names the actor, signed by each of *signers* in turn."""
    calls = iter(signers)
    last = signers[-1]

    def play(wire: Wire, request: WireRequest) -> None:
        issued = int(time.time() if now is None else now)
        claims = {
            "iss": wire.server.issuer,
            "sub": "auth0|alice",
            "aud": "client",
            "iat": issued,
            "exp": issued + 10 * 86_400,
            "act": ACTOR,
        }
        id_token = next(calls, last).sign(claims)
        wire.send(json_answer(200, {**grant_of(request), "id_token": id_token}))

    return play


def publishes(*signers: Signer) -> Behaviour:
    """Publish the keys of *signers*."""
    members = {"keys": [signer.jwk for signer in signers]}
    return lambda wire, request: wire.send(json_answer(200, members))
