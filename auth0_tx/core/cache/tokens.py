"""Exchanged tokens as they are cached: their key, their seal, and how long they serve.

The key is a keyed hash of every input that shapes the answer.  The encoding is injective:
each field is written with its length, so that no two sets of fields give the same octets,
and an absent field is not an empty one.  Under the key that a cache sees, only who has the
very token can look anything up.  An entry is sealed with the other half of the hash, so it
opens for the same inputs and no others.

Time and chance are arguments.  An answer from a cache says how long it lasts from now.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import blake2b
from math import inf
from typing import Any

import attrs

from ...secret import REDACTED, SecretBytes, Unpicklable
from ...values import CachePolicy, TokenExchangeResponse
from ..wire.client_auth import ClientAuthMethod

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_decode = json.JSONDecoder().raw_decode

_RENEWED_PART = 0.2
"""The part of its time, at its end, in which a short-lived token may be renewed."""

_JITTER = 0.5
"""The part of the time for renewal by which tokens that came together may differ."""


@attrs.define(kw_only=True, eq=False)
class CachedTokens(Unpicklable):
    """What one exchange brought, and how long it serves others.

    Attributes:
        response: the tokens, as they were given last.
        lifetime: seconds that they last from when they came.
        stored_at: epoch seconds, when they came.
        renew_at: epoch seconds, from when one caller renews them.
        ends_at: epoch seconds, from when they are not given any more.
    """

    response: TokenExchangeResponse
    lifetime: int
    stored_at: float
    renew_at: float
    ends_at: float

    def is_good(self, now: float) -> bool:
        """Tell whether they may be given; a clock that was set back makes them useless."""
        return self.stored_at <= now < self.ends_at

    def to_response(self, now: float) -> TokenExchangeResponse:
        """Give the tokens, with the seconds that they last from *now*."""
        left = self.lifetime - int(now - self.stored_at)
        given = self.response
        # Most who ask within a second of each other can have the same value.
        if given.expires_in != left:
            given = self.response = attrs.evolve(given, expires_in=left)
        return own_copy(given)


def make_cached_tokens(
    response: TokenExchangeResponse,
    policy: CachePolicy,
    *,
    tokens_end: float,
    renewable: bool,
    now: float,
    random: float,
) -> CachedTokens | None:
    """Make what is cached of an answer; ``None`` where it is not for a cache.

    Args:
        response: the answer.
        policy: the application's.
        tokens_end: epoch seconds, when the first of the tokens that were exchanged ends.
        renewable: whether the same tokens may be exchanged again.
        now: epoch seconds.
        random: at least 0, less than 1: the jitter.
    """
    # Trouble with an actor must not last longer than itself.
    if not is_shareable(response) or response.act_error is not None:
        return None
    if response.expires_in is None:
        return None
    ends = min(
        now + response.expires_in - policy.margin_seconds,
        now + (policy.max_age if policy.max_age is not None else inf),
        tokens_end,
    )
    if ends <= now:
        return None
    lead = min(policy.renew_seconds, (ends - now) * _RENEWED_PART)
    renew = ends - lead * (1 - _JITTER * random) if renewable and lead else inf
    return CachedTokens(
        response=response,
        lifetime=response.expires_in,
        stored_at=now,
        renew_at=renew,
        ends_at=ends,
    )


def own_copy(response: TokenExchangeResponse) -> TokenExchangeResponse:
    """Give one of several callers an answer that no other can change."""
    act, error = response.act, response.act_error
    if act is None and error is None:
        return response
    return attrs.evolve(
        response,
        act=None if act is None else _decode(_encode(act))[0],
        act_error=None if error is None else error.evolve(),
    )


def is_shareable(response: TokenExchangeResponse) -> bool:
    """Tell whether an answer may serve more than one caller.

    A refresh token that rotates is spent by the first of two who use it, and what is no
    bearer token may be good for one use.
    """
    return response.refresh_token is None and response.token_type.lower() == "bearer"


def write_tokens(tokens: CachedTokens) -> bytes:
    """Write tokens as JSON, to be sealed."""
    response = tokens.response
    value = (
        # JSON has no infinity.
        None if tokens.renew_at == inf else tokens.renew_at,
        tokens.stored_at,
        tokens.ends_at,
        tokens.lifetime,
        response.access_token,
        response.token_type,
        response.scope,
        response.issued_token_type,
        response.id_token,
        response.act,
    )
    return SecretBytes(_encode(value).encode("utf-8", "surrogatepass"))


def read_tokens(payload: bytes, now: float) -> CachedTokens | None:
    """Read what :func:`write_tokens` wrote; ``None`` for all else.

    It was sealed, so that nobody else has written it: what is in it need not be looked at.

    Args:
        payload: what was written.
        now: epoch seconds, at which the tokens are to be given.
    """
    try:
        (renew_at, stored_at, ends_at, lifetime, *values), _ = _decode(
            payload.decode("utf-8", "surrogatepass")
        )
        access_token, token_type, scope, issued_token_type, id_token, act = values
    except (ValueError, TypeError, RecursionError):
        return None
    return CachedTokens(
        response=TokenExchangeResponse(
            access_token=access_token,
            token_type=token_type,
            expires_in=lifetime - int(now - stored_at),
            scope=scope,
            issued_token_type=issued_token_type,
            id_token=id_token,
            act=act,
        ),
        lifetime=lifetime,
        stored_at=stored_at,
        renew_at=inf if renew_at is None else renew_at,
        ends_at=ends_at,
    )


_HALF = 32
_PERSON = b"auth0-tx tokens"


class CacheKey(bytes):
    """Where tokens are cached, and what seals them there: 64 octets, which do not print."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The key that the cache is given."""
        return self[:_HALF].hex()

    @property
    def seal(self) -> bytes:
        """32 octets that the cache is not given."""
        return SecretBytes(self[_HALF:])

    def __repr__(self) -> str:
        return REDACTED


def client_hash_key(
    client_id: str, method: ClientAuthMethod, credential: Any, secret: str
) -> bytes:
    """Derive what a client hashes with from all that makes it this client.

    A client with another credential must not find what this one cached: it might not have
    been given it.

    Args:
        client_id: the application's id.
        method: how it authenticates.
        credential: its secret or private key; ``None`` for a public application.
        secret: the newest of its session secrets, or an empty string.
    """
    key = blake2b(secret.encode("utf-8", "surrogatepass"), person=_PERSON).digest()
    return SecretBytes(
        _keyed(key, _encoded((client_id, method, *_texts_of(credential))))
    )


def cache_key(hash_key: bytes, fields: Iterable[str | None]) -> CacheKey:
    """Hash the fields of one grant.

    Args:
        hash_key: the client's.
        fields: every input that shapes the answer, always in the same order.
    """
    return CacheKey(_keyed(hash_key, _encoded(fields)))


def _keyed(key: bytes, octets: bytes) -> bytes:
    return blake2b(octets, key=key, person=_PERSON).digest()


def _encoded(fields: Iterable[str | None]) -> bytes:
    return "".join(
        ["-," if each is None else f"{len(each)}:{each}," for each in fields]
    ).encode("utf-8", "surrogatepass")


def _texts_of(credential: Any) -> tuple[str | None, ...]:
    if isinstance(credential, Mapping):
        return tuple(
            str(each)
            for name in sorted(credential)
            for each in (name, credential[name])
        )
    if isinstance(credential, bytes):
        return (credential.hex(),)
    return (credential,)


_VERSION = b"auth0-tx tokens 1"
_VECTOR_BYTES = 12


def seal_entry(key: bytes, payload: bytes, random: str) -> bytes:
    """Encrypt *payload*, with an initialization vector made of *random*, never given before."""
    aead, _ = _cipher()
    vector = blake2b(random.encode(), digest_size=_VECTOR_BYTES).digest()
    octets: bytes = vector + aead(key).encrypt(vector, payload, _VERSION)
    return octets


def open_entry(key: bytes, octets: bytes) -> bytes | None:
    """Decrypt what :func:`seal_entry` gave; ``None`` for everything else, whatever it is."""
    aead, failures = _cipher()
    vector, rest = octets[:_VECTOR_BYTES], octets[_VECTOR_BYTES:]
    try:
        return SecretBytes(aead(key).decrypt(vector, rest, _VERSION))
    except failures:
        return None


@cache
def _cipher() -> tuple[Any, tuple[type[Exception], ...]]:
    """Give the cipher, and how it fails."""
    # Not at the top: a cache in memory has no need of it.
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    # Too short to be anything is a ValueError.
    return AESGCM, (InvalidTag, ValueError)
