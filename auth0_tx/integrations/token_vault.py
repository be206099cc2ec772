"""A vault for subject tokens: a task gets a handle, and takes the token with it, once.

A handle is 256 random bits.  The vault's place (Redis, a cache, a database) has the token under a
hash of the handle, sealed with a key that is derived from the handle and from *secret*.  So the
place cannot open what it has, the broker has only the handle, and the two together, which may be
one Redis, are of no use without the secret.

:class:`Entries` makes, seals and opens entries, which is all there is to decide.
:class:`BlockingVault` keeps them in a :class:`VaultPlace`, which has to be right about one thing:
of several takers, one gets the value.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from ..clocks import read_time
from ..core.configuration import check_secret, list_secrets
from ..core.session.seal import sealer
from ..errors import Auth0Error, ConfigurationError, InvalidInputError, StoreError
from ..secret import SecretStr, Unpicklable, conceal

_PREFIX = "txv_"
_match_handle = re.compile(r"txv_[A-Za-z0-9_-]{43}").fullmatch


def new_handle() -> str:
    """Return a new handle: 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def is_handle(value: object) -> bool:
    """Return whether *value* has the form of a handle."""
    return isinstance(value, str) and _match_handle(value) is not None


class Entry(NamedTuple):
    """A token in the vault, and when it expires (epoch seconds)."""

    token: SecretStr
    ends_at: float

    @property
    def seconds_left(self) -> float:
        """How long it lasts from now, at least a millisecond."""
        return max(self.ends_at - read_time(), 0.001)


class VaultPlace(Protocol):
    """A place that keeps sealed values under a key, each to be taken once."""

    def put(self, key: str, value: bytes, *, ttl: float) -> Any:
        """Keep *value* under *key*, where nothing is, for *ttl* seconds."""
        ...

    def take(self, key: str) -> Any:
        """Return the value under *key* to one of all who ask, and ``None`` to the others."""
        ...


class Entries(Unpicklable):
    """Makes, seals and opens the entries of a vault.

    Args:
        secret: the secret, or several, newest first.
        ttl: seconds that a token is kept, unless its entry is made for another time.

    Raises:
        ConfigurationError: *secret* breaks a rule.
        InvalidInputError: *ttl* breaks a rule.
    """

    def __init__(self, secret: str | Sequence[str], ttl: float) -> None:
        secret = conceal(secret)
        if secret is None:
            raise ConfigurationError(
                "secret is required: without one, whoever can read a task's message and the "
                "vault's place has the token",
                parameter="secret",
            )
        problem = check_secret(secret)
        if problem is not None:
            raise problem.configuration_error()
        self._sealer = sealer(list_secrets(secret), "vault")
        self._ttl = _check_ttl(ttl)

    def make(self, token: object, ttl: float | None) -> Entry:
        """Return a new entry for *token*.

        Raises:
            InvalidInputError: *token* or *ttl* breaks a rule.
        """
        lasts = self._ttl if ttl is None else _check_ttl(ttl)
        return Entry(_check_token(token), read_time() + lasts)

    def seal(self, handle: str, entry: Entry) -> bytes:
        """Return an entry as it is kept under *handle*."""
        # The end is sealed, too: whoever can write to the place cannot make a token last longer.
        return self._sealer.seal(json.dumps(entry).encode(), handle.encode()).encode()

    def open(self, handle: str, value: object) -> Entry:
        """Return the entry that was kept under *handle*.

        Raises:
            InvalidInputError: there was none, or one that has expired or does not open.
        """
        opened = None
        if isinstance(value, bytes):
            sealed = value.decode("ascii", "replace")
            opened = self._sealer.open(sealed, handle.encode())
        if opened is not None:
            # Concealed at once: the frame's variables may be shown.
            token, ends_at = conceal(json.loads(opened.payload))
            if read_time() < ends_at:
                return Entry(token, ends_at)
        raise InvalidInputError(
            "handle is unknown, has expired, or was taken before", parameter="handle"
        )

    def find_key(self, handle: str) -> str:
        """Return the key that an entry is kept under: a hash of its handle.

        Raises:
            InvalidInputError: *handle* does not have the form of a handle.
        """
        if not is_handle(handle):
            # It may be the token itself, passed by mistake: none in the frame that raises.
            del handle
            raise InvalidInputError(
                "handle is not from a vault (expected txv_...)", parameter="handle"
            )
        return sha256(handle.encode()).hexdigest()


class BlockingVault(Unpicklable):
    """Keep subject tokens for tasks; each can be taken once.

    Args:
        place: where sealed tokens are kept.
        secret: seals tokens, or several secrets, newest first.
        ttl: seconds that a token is kept.
    """

    def __init__(
        self, place: VaultPlace, secret: str | Sequence[str], ttl: float
    ) -> None:
        secret = conceal(secret)
        self._place = place
        self._entries = Entries(secret, ttl)

    def put(self, token: str, *, ttl: float | None = None) -> str:
        """Keep *token*, and return the handle to take it with.

        Args:
            token: the subject token.
            ttl: seconds that it is kept; the vault's *ttl* if it is ``None``.

        Raises:
            InvalidInputError: *token* or *ttl* breaks a rule.
            StoreError: the vault's place failed; nothing is kept.
        """
        token = conceal(token)
        handle, entry = new_handle(), self._entries.make(token, ttl)
        self._put(handle, entry)
        return handle

    def take(self, handle: str) -> str:
        """Return the token of *handle*, which cannot be used again.

        Raises:
            InvalidInputError: the handle is unknown, has expired, or was taken before.
            StoreError: the vault's place failed; the token may have been taken.
        """
        handle = conceal(handle)
        return self._take(handle).token

    @contextmanager
    def lend(self, handle: str) -> Iterator[str]:
        """Lend the token of *handle* to a block, and take it back unless it may be spent.

        If the block ends with an error that is ``retry_safe``, the handle is good again for
        the time that it had left: a task that is tried again still has its token.

        Raises:
            InvalidInputError: the handle is unknown, has expired, or was taken before.
            StoreError: the vault's place failed.
        """
        handle = conceal(handle)
        entry = self._take(handle)
        try:
            yield entry.token
        except Auth0Error as error:
            if error.retry_safe:
                self._put(handle, entry)
            raise

    def _put(self, handle: str, entry: Entry) -> None:
        key, sealed = self._entries.find_key(handle), self._entries.seal(handle, entry)
        _call(lambda: self._place.put(key, sealed, ttl=entry.seconds_left))

    def _take(self, handle: str) -> Entry:
        key = self._entries.find_key(handle)
        return self._entries.open(handle, _call(lambda: self._place.take(key)))


def _call(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except Auth0Error:
        raise
    except Exception as error:
        kind = type(error).__name__
    # Outside of the handler: the place's error may hold what it was given.
    raise make_store_error(kind)


def make_store_error(kind: str) -> StoreError:
    """Return the error for a place that raised an exception of this kind."""
    return StoreError(f"the vault failed: {kind}", retry_safe=True)


def _check_token(token: object) -> SecretStr:
    if isinstance(token, str) and token.strip():
        return SecretStr(token)
    del token
    raise InvalidInputError("token must be a non-empty string", parameter="token")


def _check_ttl(ttl: object) -> float:
    if type(ttl) not in (int, float) or not 0 < ttl < 10**8:  # type: ignore[operator]
        raise InvalidInputError(
            "ttl must be a positive number of seconds", parameter="ttl"
        )
    return float(ttl)  # type: ignore[arg-type]
