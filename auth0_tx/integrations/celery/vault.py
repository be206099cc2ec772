"""A vault for subject tokens: a task is given a handle, and takes the token once.

What is in Redis is sealed with a key that the handle is part of, under a hash of the handle.
So neither Redis nor the broker has a token, and each alone is of no use.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING, Any

from ...core.session.seal import Sealer, sealer
from ...errors import Auth0Error, ConfigurationError, InvalidInputError, StoreError
from ...secret import SecretStr, Unpicklable, conceal
from ...stores.redis_commands import commands_for, is_done, value_of
from .handles import is_handle, new_handle

if TYPE_CHECKING:
    import redis
    import redis.asyncio

# GETDEL is of Redis 6.2.
_TAKE = """
local value = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return value
"""


class _Vault(Unpicklable):
    """What both vaults have in common: keys, sealing, and what is refused."""

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
        is_async, self._command = commands_for(redis, prefix, timeout)
        if is_async != self._awaits:
            name = "AsyncSubjectTokenVault" if is_async else "SubjectTokenVault"
            raise ConfigurationError(f"that redis is for {name}", parameter="redis")
        self._secrets = [secret] if isinstance(secret, str) else list(secret or [""])
        self._prefix, self._ttl = prefix, _checked(ttl)

    _awaits = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}(prefix={self._prefix!r})"

    def _stored(self, handle: str, token: str, ends_at: float) -> tuple[Any, ...]:
        lasts = ceil((ends_at - time.time()) * 1000)
        payload = json.dumps([token, ends_at]).encode()
        value = self._sealer(handle).seal(payload)
        return is_done, "SET", self._key(handle), value, "PX", max(lasts, 1)

    def _opened(self, handle: str, value: object) -> tuple[SecretStr, float]:
        opened = None
        if isinstance(value, bytes):
            opened = self._sealer(handle).open(value.decode("ascii", "replace"))
        if opened is not None:
            token, ends_at = json.loads(opened.payload)
            if time.time() < ends_at:
                return SecretStr(token), ends_at
        raise InvalidInputError(
            "handle is unknown, has expired, or was taken before", parameter="handle"
        )

    def _sealer(self, handle: str) -> Sealer:
        return sealer(self._secrets, "vault", handle.encode())

    def _key(self, handle: str) -> str:
        return self._prefix + sha256(handle.encode()).hexdigest()


class SubjectTokenVault(_Vault):
    """Keep subject tokens for tasks, each to be taken once.

    Args:
        redis: a ``redis.Redis``, of which the settings are used.
        secret: what seals beside the handles, or several, newest first; the same for all
            who put and take.
        prefix: what all keys begin with.
        ttl: seconds that a token is kept.
        timeout: seconds after which a command has failed.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    def put(self, token: str, *, ttl: float | None = None) -> str:
        """Keep *token*; give the handle to take it by.

        Args:
            token: the subject token.
            ttl: seconds that it is kept, where not as long as others.

        Raises:
            InvalidInputError: *token* or *ttl* is no such thing.
            StoreError: Redis failed; nothing is kept.
        """
        token, handle = _token(token), new_handle()
        ends_at = time.time() + (self._ttl if ttl is None else _checked(ttl))
        self._asked(*self._stored(handle, token, ends_at))
        return handle

    def take(self, handle: str) -> str:
        """Give the token of *handle*, which is good for nothing from then on.

        Raises:
            InvalidInputError: there is none, or none any more.
            StoreError: Redis failed; whether it was taken is unknown.
        """
        return self._taken(handle)[0]

    @contextmanager
    def lend(self, handle: str) -> Iterator[str]:
        """Give the token of *handle* for a block, and take it back where it is not spent.

        When the block ends by an error that is ``retry_safe``, the handle is good again for
        the time that it had left, so that a task which is tried again has its token.

        Raises:
            InvalidInputError: there is none, or none any more.
            StoreError: Redis failed.
        """
        token, ends_at = self._taken(handle)
        try:
            yield token
        except Auth0Error as error:
            if error.retry_safe:
                self._asked(*self._stored(handle, token, ends_at))
            raise

    def _taken(self, handle: str) -> tuple[SecretStr, float]:
        _check_handle(handle)
        value = self._asked(value_of, "EVAL", _TAKE, 1, self._key(handle))
        return self._opened(handle, value)

    def _asked(self, read: Callable[[Any], Any], *command: Any) -> Any:
        try:
            return self._command(read, *command)
        except Exception as error:
            kind = type(error).__name__
        # What failed may hold what was sent.
        raise _failed(kind)


class AsyncSubjectTokenVault(_Vault):
    """The same over ``redis.asyncio.Redis``, for who sends tasks from an event loop.

    Args:
        redis: a ``redis.asyncio.Redis``, whose connections are used, and which you close.
        secret: what seals beside the handles, or several, newest first; the same for all
            who put and take.
        prefix: what all keys begin with.
        ttl: seconds that a token is kept.
        timeout: seconds after which a command has failed.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    _awaits = True

    async def put(self, token: str, *, ttl: float | None = None) -> str:
        """Keep *token*; give the handle to take it by.

        Args:
            token: the subject token.
            ttl: seconds that it is kept, where not as long as others.

        Raises:
            InvalidInputError: *token* or *ttl* is no such thing.
            StoreError: Redis failed; nothing is kept.
        """
        token, handle = _token(token), new_handle()
        ends_at = time.time() + (self._ttl if ttl is None else _checked(ttl))
        await self._asked(*self._stored(handle, token, ends_at))
        return handle

    async def take(self, handle: str) -> str:
        """Give the token of *handle*, which is good for nothing from then on.

        Raises:
            InvalidInputError: there is none, or none any more.
            StoreError: Redis failed; whether it was taken is unknown.
        """
        return (await self._taken(handle))[0]

    @asynccontextmanager
    async def lend(self, handle: str) -> AsyncIterator[str]:
        """Give the token of *handle* for a block, and take it back where it is not spent.

        When the block ends by an error that is ``retry_safe``, the handle is good again for
        the time that it had left.

        Raises:
            InvalidInputError: there is none, or none any more.
            StoreError: Redis failed.
        """
        token, ends_at = await self._taken(handle)
        try:
            yield token
        except Auth0Error as error:
            if error.retry_safe:
                await self._asked(*self._stored(handle, token, ends_at))
            raise

    async def _taken(self, handle: str) -> tuple[SecretStr, float]:
        _check_handle(handle)
        value = await self._asked(value_of, "EVAL", _TAKE, 1, self._key(handle))
        return self._opened(handle, value)

    async def _asked(self, read: Callable[[Any], Any], *command: Any) -> Any:
        try:
            return await self._command(read, *command)
        except Exception as error:
            kind = type(error).__name__
        raise _failed(kind)


def _failed(kind: str) -> StoreError:
    return StoreError(f"the vault failed: {kind}", retry_safe=True)


def _check_handle(handle: object) -> None:
    if not is_handle(handle):
        del handle
        raise InvalidInputError("handle must be one of a vault's", parameter="handle")


def _token(token: object) -> SecretStr:
    if isinstance(token, str) and token.strip():
        return SecretStr(token)
    del token
    raise InvalidInputError(
        "token must be text with something in it", parameter="token"
    )


def _checked(ttl: object) -> float:
    if type(ttl) not in (int, float) or not 0 < ttl < 10**8:  # type: ignore[operator]
        raise InvalidInputError(
            "ttl must be a positive number of seconds", parameter="ttl"
        )
    return float(ttl)  # type: ignore[arg-type]
