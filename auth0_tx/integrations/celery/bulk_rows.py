"""The rows of a bulk exchange by workers, as Redis has them.

Each row is one key, whose value says what state the row is in:

* **sealed**: its options, which are to be sent;
* **begun**: a mark with the moment, from then on until a worker puts back the row or its result,
  or until the mark expires if that worker dies;
* **result**: its result, which the application's function has not kept yet;
* **kept**: a mark that it has.

A row that is in none of these has expired, or its seal isn't ours.  Keys are made from handles,
and values are sealed under them, so a copy of Redis's data holds no token that can be read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Any

import attrs

from ... import errors
from ...errors import Auth0Error, ConfigurationError, InvalidInputError, StoreError
from ...results import BulkExchangeResult
from ...secret import SecretStr, conceal
from ...stores.redis_commands import is_done, prepare_commands
from ...values import (
    CustomTokenExchangeOptions,
    TokenExchangeResponse,
)
from ..token_vault import Entries, Entry, make_store_error, new_handle

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

log: logging.Logger = logging.getLogger("auth0_tx.celery")

# One step, so that of several workers with the same message one begins the row.
_BEGIN = """
local value = redis.call('GET', KEYS[1])
if not value then return {'unknown', ''} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if value == 'kept' then return {'kept', ''} end
local result = string.match(value, '^result:(.*)$')
if result then return {'result', result} end
local begun = string.match(value, '^begun:(%d+)$')
if begun then return {'begun', string.format('%.0f', now - tonumber(begun))} end
redis.call('SET', KEYS[1], 'begun:' .. string.format('%.0f', now), 'PX', ARGV[1])
return {'sealed', value}
"""

# What errors have beside their arguments, and no pickle of them: secrets, which a seal may hold.
_ATTACHED = ("mfa_token", "mfa_requirements", "refresh_token")


class BulkRows:
    """Rows in Redis, one key each: sealed options, or a result, or a mark."""

    def __init__(
        self,
        redis: redis.Redis,
        secret: str | Sequence[str],
        ttl: float,
        prefix: str,
        timeout: float,
    ) -> None:
        secret = conceal(secret)
        is_async, self._send = prepare_commands(redis, prefix, timeout)
        if is_async:
            raise ConfigurationError("redis must be a redis.Redis", parameter="redis")
        self._entries = Entries(secret, ttl)
        self._prefix = prefix
        self._milliseconds = ceil(ttl * 1000)

    def put(self, options: CustomTokenExchangeOptions) -> str:
        """Seal a row; return its handle."""
        handle, entry = new_handle(), self._entries.make(format_options(options), None)
        self.put_back(handle, entry)
        return handle

    def put_back(self, handle: str, entry: Entry, *, is_result: bool = False) -> None:
        """Seal a row, or its result, under the handle that it has."""
        key, sealed = self._find_key(handle), self._entries.seal(handle, entry)
        if is_result:
            sealed = b"result:" + sealed
        milliseconds = ceil(entry.seconds_left * 1000)
        self._ask(is_done, "SET", key, sealed, "PX", milliseconds)

    def begin(self, handle: str) -> tuple[str, Entry | float | None]:
        """Begin a row if it is sealed; return the state that it was in, and what is there."""
        key = self._find_key(handle)
        state, value = self._ask(list, "EVAL", _BEGIN, 1, key, self._milliseconds)
        match state:
            case b"sealed" | b"result":
                try:
                    return state.decode(), self._entries.open(handle, value)
                except InvalidInputError:
                    return "unknown", None
            case b"begun":
                return "begun", int(value) / 1000
            case _:
                return state.decode(), None

    def note_kept(self, handle: str) -> None:
        """Note that the row's result was kept."""
        key = self._find_key(handle)
        try:
            self._ask(is_done, "SET", key, b"kept", "PX", self._milliseconds)
        except StoreError as error:
            # Only if its message is delivered again will anybody ask.
            log.warning(
                "a row of a bulk exchange was kept, which was not noted: %s", error
            )

    def _find_key(self, handle: str) -> str:
        return self._prefix + self._entries.find_key(handle)

    def _ask(self, read: Callable[[Any], Any], *command: Any) -> Any:
        try:
            return self._send(read, *command)
        except Exception as error:
            kind = type(error).__name__
        # Outside of the handler: the error of Redis may hold the command.
        raise make_store_error(kind)


def format_options(options: CustomTokenExchangeOptions) -> SecretStr:
    """Return a row's options as the text that is sealed."""
    fields = attrs.asdict(options, filter=lambda _, value: value is not None)
    if options.authorization_params is not None:
        fields["authorization_params"] = dict(options.authorization_params)
    return SecretStr(json.dumps(fields))


def format_result(result: BulkExchangeResult) -> SecretStr:
    """Return a row's result as the text that is sealed."""
    if result.response is not None:
        fields = attrs.asdict(result.response, recurse=False)
        if result.response.act_error is not None:
            fields["act_error"] = _format_error(result.response.act_error)
        return SecretStr(json.dumps(fields))
    assert result.error is not None
    return SecretStr(json.dumps({"error": _format_error(result.error)}))


def parse_options(text: str) -> CustomTokenExchangeOptions:
    """Return the options that were sealed as *text*."""
    return CustomTokenExchangeOptions(**conceal(json.loads(text)))


def parse_result(text: str) -> BulkExchangeResult:
    """Return the result that was sealed as *text*."""
    members = conceal(json.loads(text))
    if "error" in members:
        return BulkExchangeResult(index=0, error=_parse_error(members["error"]))
    if members["act_error"] is not None:
        members["act_error"] = _parse_error(members["act_error"])
    return BulkExchangeResult(index=0, response=TokenExchangeResponse(**members))


def _format_error(error: Auth0Error) -> list[Any]:
    attached = {
        name: getattr(error, name)
        for name in _ATTACHED
        if getattr(error, name, None) is not None
    }
    return [type(error).__name__, list(error.args), attached]


def _parse_error(fields: list[Any]) -> Any:
    name, arguments, attached = fields
    # The seal says that it is ours.
    error = getattr(errors, name)(*arguments)
    for attribute, value in attached.items():
        setattr(error, attribute, value)
    return error
