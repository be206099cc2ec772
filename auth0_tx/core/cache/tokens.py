"""Cached tokens: their key, their seal, and how long they serve.

The key is a keyed hash of every input that shapes the response.  The encoding is injective:
each field is written with its length, so that no two sets of fields give the same bytes, and
an absent field isn't an empty one.  The hash has two halves.  One is the key that the cache
sees; without the very token nobody can compute it, so nothing can be looked up, and nobody
can tell whose entry it is.  The other half seals the entry, so an entry opens for the same
inputs and no others, even if the cache mixes up two of them.

How long tokens serve is decided once, when they are cached (``make_cached_tokens``): until
shortly before they expire, and no longer than the tokens that were exchanged for them.
Tokens that may be requested again are renewed early, by one caller, at a moment that differs
from entry to entry.  A response from the cache says how long it lasts from now.

Time and chance are arguments here.
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

# Made once: ``json.dumps`` with arguments makes an encoder for each call.  ``raw_decode``
# does not look for text after the value: what was sealed has none.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_decode = json.JSONDecoder().raw_decode

_RENEWED_PART = 0.2
"""The part of its lifetime, at the end, in which a short-lived token may be renewed.
Without it, a token that lasts less than ``renew_seconds`` would be renewed at each call."""

_JITTER = 0.5
"""The part of the time for renewal by which the renewal of two entries may differ.  Tokens
that were cached together, as after a deployment, are not renewed together."""


_LONGEST_SKEW = 60.0
"""Seconds by which the clock of the process that stored an entry may be ahead of ours."""


@attrs.define(kw_only=True, eq=False)
class CachedTokens(Unpicklable):
    """The tokens of one exchange, and how long they serve other callers.

    Attributes:
        response: the tokens, as they were last returned.
        lifetime: seconds for which they were issued.
        stored_at: epoch seconds at which they were issued.
        renew_at: epoch seconds from which one caller renews them.
        ends_at: epoch seconds from which they are no longer returned.
    """

    response: TokenExchangeResponse
    lifetime: int
    stored_at: float
    renew_at: float
    ends_at: float

    def is_good(self, now: float) -> bool:
        """Return whether they may be returned.

        A clock that was set back makes them useless: nobody knows how long they last.  But
        the clocks of two processes that share a cache are never quite the same.
        """
        return self.stored_at - _LONGEST_SKEW <= now < self.ends_at

    def to_response(self, now: float) -> TokenExchangeResponse:
        """Return the tokens, with the seconds that they last from *now*."""
        left = _count_seconds_left(self.lifetime, self.stored_at, now)
        response = self.response
        # Responses are immutable, so callers within the same second share one.
        if response.expires_in != left:
            response = self.response = attrs.evolve(response, expires_in=left)
        return own_copy(response)


def make_cached_tokens(
    response: TokenExchangeResponse,
    policy: CachePolicy,
    *,
    tokens_end: float,
    renewable: bool,
    now: float,
    random: float,
) -> CachedTokens | None:
    """Return what is cached of a response, or ``None`` if it must not be cached.

    Args:
        response: the response.
        policy: the application's cache policy.
        tokens_end: epoch seconds at which the first of the exchanged tokens expires.
        renewable: whether the same tokens may be exchanged again.
        now: epoch seconds.
        random: at least 0, less than 1: the jitter.
    """
    # ``act_error``: the next exchange may succeed where the verification of the actor failed.
    if not is_shareable(response) or response.act_error is not None:
        return None
    # Without a lifetime nobody knows when the token ends, and a cached one would be refused
    # by the API, again and again.
    if response.expires_in is None:
        return None
    ends = min(
        now + response.expires_in - policy.margin_seconds,
        now + (policy.max_age if policy.max_age is not None else inf),
        # An exchange must not extend what a user may do beyond the token it started from.
        tokens_end,
    )
    if ends <= now:
        return None
    # Renewing may not begin earlier than a fifth before the end, nor all at once.
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
    """Return a response that no other caller can change.

    Everything in a response is immutable but its claims and its errors.
    """
    act, error = response.act, response.act_error
    if act is None and error is None:
        return response
    return attrs.evolve(
        response,
        # Claims came from JSON, and through JSON is faster than ``copy.deepcopy``.
        act=None if act is None else _decode(_encode(act))[0],
        act_error=None if error is None else error.evolve(),
    )


def is_shareable(response: TokenExchangeResponse) -> bool:
    """Return whether a response may serve more than one caller.

    A refresh token that rotates is spent by the first of two callers that use it.  A token
    that isn't a bearer token may be good for one use, or bound to a key.
    """
    return response.refresh_token is None and response.token_type.lower() == "bearer"


def write_tokens(tokens: CachedTokens) -> bytes:
    """Return tokens as JSON, to be sealed."""
    response = tokens.response
    # A list without names: both ends are this library, and ``_VERSION`` tells versions apart.
    value = (
        # JSON has no infinity (RFC 8259 section 6).
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
        response.expires_at,
    )
    return SecretBytes(_encode(value).encode("utf-8", "surrogatepass"))


def read_tokens(payload: bytes, now: float) -> CachedTokens | None:
    """Return the tokens that :func:`write_tokens` wrote, or ``None`` for anything else.

    The payload was sealed, so only this library can have written it, though possibly in
    another version: the number of values is checked, and the values are not.

    Args:
        payload: the opened entry.
        now: epoch seconds at which the tokens are returned.
    """
    try:
        (renew_at, stored_at, ends_at, lifetime, *values), _ = _decode(
            payload.decode("utf-8", "surrogatepass")
        )
        access_token, token_type, scope, kind, id_token, act, expires_at = values
    except (ValueError, TypeError, RecursionError):
        return None
    return CachedTokens(
        response=TokenExchangeResponse(
            access_token=access_token,
            token_type=token_type,
            expires_in=_count_seconds_left(lifetime, stored_at, now),
            scope=scope,
            issued_token_type=kind,
            id_token=id_token,
            act=act,
            expires_at=expires_at,
        ),
        lifetime=lifetime,
        stored_at=stored_at,
        renew_at=inf if renew_at is None else renew_at,
        ends_at=ends_at,
    )


def _count_seconds_left(lifetime: int, stored_at: float, now: float) -> int:
    """Return how long tokens last: never for longer than they were issued for."""
    return lifetime - max(0, int(now - stored_at))


_HALF = 32
_PERSON = b"auth0-tx tokens"


class CacheKey(bytes):
    """The key of an entry, and what seals it: 64 bytes, which do not print."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The key that the cache sees."""
        return self[:_HALF].hex()

    @property
    def seal(self) -> bytes:
        """32 bytes that the cache never sees."""
        return SecretBytes(self[_HALF:])

    def __repr__(self) -> str:
        return REDACTED


def client_hash_key(
    client_id: str, method: ClientAuthMethod, credential: Any, secret: str
) -> bytes:
    """Return the key of a client's hashes, derived from all that makes it this client.

    A client with another credential must not find what this one cached: Auth0 might have
    refused it.

    Args:
        client_id: the application's client id.
        method: how it authenticates.
        credential: its secret or private key; ``None`` for a public application.
        secret: the newest of its session secrets, or an empty string.
    """
    key = blake2b(secret.encode("utf-8", "surrogatepass"), person=_PERSON).digest()
    return SecretBytes(
        _hash_with_key(
            key, _encode_fields((client_id, method, *_list_texts(credential)))
        )
    )


def cache_key(hash_key: bytes, fields: Iterable[str | None]) -> CacheKey:
    """Return the key of one grant: the hash of its fields.

    Args:
        hash_key: the client's, from :func:`client_hash_key`.
        fields: every input that shapes the response, always in the same order.
    """
    return CacheKey(_hash_with_key(hash_key, _encode_fields(fields)))


def _hash_with_key(key: bytes, octets: bytes) -> bytes:
    # Keyed BLAKE2 is a MAC (RFC 7693 section 2.9): 64 bytes in the time of HMAC-SHA-256.
    return blake2b(octets, key=key, person=_PERSON).digest()


def _encode_fields(fields: Iterable[str | None]) -> bytes:
    # Netstrings, and "-" for an absent field, which cannot be mistaken for a length.
    return SecretBytes(
        "".join(
            ["-," if field is None else f"{len(field)}:{field}," for field in fields]
        ).encode("utf-8", "surrogatepass")
    )


def _list_texts(credential: Any) -> tuple[str | None, ...]:
    if isinstance(credential, Mapping):
        # A JWK is the same key in any order of its members.
        return tuple(
            str(text)
            for name in sorted(credential)
            for text in (name, credential[name])
        )
    if isinstance(credential, bytes):
        return (credential.hex(),)
    return (credential,)


# Covered by the tag: an entry of another version does not open, and is exchanged anew.
_VERSION = b"auth0-tx tokens 1"
_VECTOR_BYTES = 12


def seal_entry(key: bytes, payload: bytes, random: str) -> bytes:
    """Return *payload* encrypted, with a vector made of *random*, which must be new."""
    aead, _ = _load_cipher()
    # AES-GCM breaks if one vector is used twice under a key.  A key belongs to one entry and
    # seals it once per renewal, so 96 random bits are far from repeating.
    vector = blake2b(random.encode(), digest_size=_VECTOR_BYTES).digest()
    octets: bytes = vector + aead(key).encrypt(vector, payload, _VERSION)
    return octets


def open_entry(key: bytes, octets: bytes) -> bytes | None:
    """Return what :func:`seal_entry` sealed, or ``None`` for anything else."""
    aead, failures = _load_cipher()
    vector, rest = octets[:_VECTOR_BYTES], octets[_VECTOR_BYTES:]
    try:
        return SecretBytes(aead(key).decrypt(vector, rest, _VERSION))
    except failures:
        return None


@cache
def _load_cipher() -> tuple[Any, tuple[type[Exception], ...]]:
    """Return the cipher, and the errors by which it refuses."""
    # Not at the top: a cache in memory does not need it, and the import takes about 20 ms.
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    # An entry too short to have a vector is a ValueError.
    return AESGCM, (InvalidTag, ValueError)
