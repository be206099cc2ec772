"""A vault for subject tokens: a task gets a handle, and takes the token with it, once.

A handle is 256 random bits.  Redis has the token under a hash of the handle, sealed with a key
that is derived from the handle (and from *secret*, if there is one).  So Redis cannot open what
it has, the broker has only the handle, and neither is of use alone.

Each operation is one command.  :class:`_Vault` makes the commands and reads the replies, which
is all there is to decide; the two public classes send them, blocking or awaiting.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from ...core.configuration import check_secret, list_secrets
from ...core.session.seal import sealer
from ...errors import Auth0Error, ConfigurationError, InvalidInputError, StoreError
from ...secret import SecretStr, Unpicklable, conceal
from ...stores.redis_commands import is_done, prepare_commands, read_value

if TYPE_CHECKING:
    import redis
    import redis.asyncio

# One step, so that only one of several takers gets the token.  GETDEL is newer: Redis 6.2.
_TAKE = """
local value = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return value
"""

_PREFIX = "txv_"
_match_handle = re.compile(r"txv_[A-Za-z0-9_-]{43}").fullmatch


def new_handle() -> str:
    """Return a new handle: 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def is_handle(value: object) -> bool:
    """Return whether *value* has the form of a handle."""
    return isinstance(value, str) and _match_handle(value) is not None


class _Entry(NamedTuple):
    """A token in the vault, and when it expires (epoch seconds)."""

    token: SecretStr
    ends_at: float


class _Vault(Unpicklable):
    """The commands and replies of both vaults."""

    _awaits = False

    def __init__(
        self,
        redis: redis.Redis | redis.asyncio.Redis,
        *,
        secret: str | Sequence[str] | None = None,
        prefix: str = "auth0_tx:vault:",
        ttl: float = 3_600.0,
        timeout: float = 1.0,
    ) -> None:
        secret = conceal(secret)
        is_async, self._command = prepare_commands(redis, prefix, timeout)
        if is_async != self._awaits:
            found, vault = (
                ("redis.asyncio.Redis", "AsyncSubjectTokenVault")
                if is_async
                else ("redis.Redis", "SubjectTokenVault")
            )
            raise ConfigurationError(
                f"redis is a {found}: use {vault}", parameter="redis"
            )
        problem = check_secret(secret)
        if problem is not None:
            raise problem.configuration_error()
        # Without one, the handle alone makes the key: 256 bits that Redis does not have.
        self._sealer = sealer(list_secrets(secret) or ("",), "vault")
        self._prefix, self._ttl = prefix, _check_ttl(ttl)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(prefix={self._prefix!r})"

    def _make_entry(self, token: object, ttl: float | None) -> _Entry:
        """Return a new entry for *token*.

        Raises:
            InvalidInputError: *token* or *ttl* breaks a rule.
        """
        lasts = self._ttl if ttl is None else _check_ttl(ttl)
        return _Entry(_check_token(token), time.time() + lasts)

    def _put_command(self, handle: str, entry: _Entry) -> tuple[Any, ...]:
        """Return the command that stores *entry* for the time that it has left."""
        milliseconds = ceil((entry.ends_at - time.time()) * 1000)
        # The end is sealed, too: whoever can write to Redis cannot make a token last longer.
        value = self._sealer.seal(json.dumps(entry).encode(), handle.encode())
        return is_done, "SET", self._key(handle), value, "PX", max(milliseconds, 1)

    def _take_command(self, handle: str) -> tuple[Any, ...]:
        """Return the command that reads and deletes the entry of *handle*.

        Raises:
            InvalidInputError: *handle* does not have the form of a handle.
        """
        if not is_handle(handle):
            # It may be the token itself, passed by mistake: none in the frame that raises.
            del handle
            raise InvalidInputError(
                "handle is not from a vault (expected txv_...)", parameter="handle"
            )
        return read_value, "EVAL", _TAKE, 1, self._key(handle)

    def _open(self, handle: str, value: object) -> _Entry:
        """Return the entry that Redis had for *handle*.

        Raises:
            InvalidInputError: it had none, or one that has expired or does not open.
        """
        opened = None
        if isinstance(value, bytes):
            sealed = value.decode("ascii", "replace")
            opened = self._sealer.open(sealed, handle.encode())
        if opened is not None:
            token, ends_at = json.loads(opened.payload)
            if time.time() < ends_at:
                return _Entry(SecretStr(token), ends_at)
        raise InvalidInputError(
            "handle is unknown, has expired, or was taken before", parameter="handle"
        )

    def _key(self, handle: str) -> str:
        return self._prefix + sha256(handle.encode()).hexdigest()


class SubjectTokenVault(_Vault):
    """Keep subject tokens for tasks; each can be taken once.

    Args:
        redis: a ``redis.Redis``, used as ``RedisStore`` uses it.
        secret: what seals in addition to the handles, or several, newest first; the same
            for all who put and take.  The newest has 32 characters or more.
        prefix: the beginning of all keys.
        ttl: seconds that a token is kept.
        timeout: seconds after which a command has failed.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    def put(self, token: str, *, ttl: float | None = None) -> str:
        """Keep *token*, and return the handle to take it with.

        Args:
            token: the subject token.
            ttl: seconds that it is kept; the vault's *ttl* if it is ``None``.

        Raises:
            InvalidInputError: *token* or *ttl* breaks a rule.
            StoreError: Redis failed; nothing is kept.
        """
        token = conceal(token)
        handle, entry = new_handle(), self._make_entry(token, ttl)
        self._send(self._put_command(handle, entry))
        return handle

    def take(self, handle: str) -> str:
        """Return the token of *handle*, which cannot be used again.

        Raises:
            InvalidInputError: the handle is unknown, has expired, or was taken before.
            StoreError: Redis failed; the token may have been taken.
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
            StoreError: Redis failed.
        """
        handle = conceal(handle)
        entry = self._take(handle)
        try:
            yield entry.token
        except Auth0Error as error:
            if error.retry_safe:
                self._send(self._put_command(handle, entry))
            raise

    def _take(self, handle: str) -> _Entry:
        return self._open(handle, self._send(self._take_command(handle)))

    def _send(self, command: tuple[Any, ...]) -> Any:
        try:
            return self._command(*command)
        except Exception as error:
            kind = type(error).__name__
        # Outside of the handler: the error of Redis may hold the command, and so the token.
        raise _store_error(kind)


class AsyncSubjectTokenVault(_Vault):
    """A :class:`SubjectTokenVault` over ``redis.asyncio.Redis``, to put from an event loop.

    Args:
        redis: a ``redis.asyncio.Redis``, which you close.
        secret: what seals in addition to the handles, or several, newest first; the same
            for all who put and take.  The newest has 32 characters or more.
        prefix: the beginning of all keys.
        ttl: seconds that a token is kept.
        timeout: seconds after which a command has failed.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    _awaits = True

    async def put(self, token: str, *, ttl: float | None = None) -> str:
        """Keep *token*, and return its handle, as :meth:`SubjectTokenVault.put` does."""
        token = conceal(token)
        handle, entry = new_handle(), self._make_entry(token, ttl)
        await self._send(self._put_command(handle, entry))
        return handle

    async def take(self, handle: str) -> str:
        """Return the token of *handle*, as :meth:`SubjectTokenVault.take` does."""
        handle = conceal(handle)
        return (await self._take(handle)).token

    @asynccontextmanager
    async def lend(self, handle: str) -> AsyncIterator[str]:
        """Lend the token of *handle* to a block, as :meth:`SubjectTokenVault.lend` does."""
        handle = conceal(handle)
        entry = await self._take(handle)
        try:
            yield entry.token
        except Auth0Error as error:
            if error.retry_safe:
                await self._send(self._put_command(handle, entry))
            raise

    async def _take(self, handle: str) -> _Entry:
        return self._open(handle, await self._send(self._take_command(handle)))

    async def _send(self, command: tuple[Any, ...]) -> Any:
        try:
            return await self._command(*command)
        except Exception as error:
            kind = type(error).__name__
        raise _store_error(kind)


def _store_error(kind: str) -> StoreError:
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
