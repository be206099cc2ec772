"""The key of cached tokens: a keyed hash of every input that shapes the answer.

The encoding is injective: each field is written with its length, so that no two sets of
fields give the same octets, and one that is absent is not one that is empty.  Under the key
that a cache sees nothing can be looked up but by who has the very token; what is cached is
sealed with the other half of the hash, so that it opens for the same inputs and no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from ..secret import REDACTED, SecretBytes
from .client_auth import ClientAuthMethod

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


def in_any_order(scope: str | None) -> str | None:
    """Give a scope as the set that it is (RFC 6749 section 3.3: the order does not matter)."""
    if scope is None or " " not in scope:
        return scope
    return " ".join(sorted(set(scope.split(" "))))


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
