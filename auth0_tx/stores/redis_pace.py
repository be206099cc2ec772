"""A pace in Redis: one rate of bulk exchanges for all processes that share it."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from ..core.wire.problems import MOST_RATE, Problem, check_number
from ..errors import ConfigurationError
from ..secret import Unpicklable
from .redis_commands import prepare_commands, read_nothing

if TYPE_CHECKING:
    import redis
    import redis.asyncio

# Moments are microseconds of the server's clock: those of its clients may differ.  They are
# written with '%.0f', as Lua would write so large a number with too few digits.
#
# A turn that was booked holds, unless a pause has begun meanwhile that covers it.  Otherwise the
# next free moment is booked, but not if that is further away than the row would wait: such turns
# would be nobody's, and the processes that come back later would find them taken.
_TAKE_TURN = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, booked = tonumber(ARGV[1]), tonumber(ARGV[2])
local longest = tonumber(ARGV[3])
local paused = tonumber(redis.call('HGET', KEYS[1], 'paused') or 0)
local turn = booked
if booked == 0 or booked < paused then
  local free = tonumber(redis.call('HGET', KEYS[1], 'free') or 0)
  turn = math.max(now, paused, free)
  if turn - now <= longest then
    redis.call('HSET', KEYS[1], 'free', string.format('%.0f', turn + interval))
    redis.call('PEXPIRE', KEYS[1], string.format('%.0f', (turn - now) / 1000 + 3600000))
  end
end
return {string.format('%.0f', turn - now), string.format('%.0f', turn)}
"""
# Whoever has a turn before its end books another one then, after all others.
_PAUSE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ends = now + tonumber(ARGV[1])
if ends > tonumber(redis.call('HGET', KEYS[1], 'paused') or 0) then
  redis.call('HSET', KEYS[1], 'paused', string.format('%.0f', ends))
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', (ends - now) / 1000 + 3600000))
end
return 1
"""


class RedisPace(Unpicklable):
    """Share one pace of bulk exchanges among processes, through Redis 5 or later, or Valkey.

    Give it to ``exchange_many``, in all processes with the same Redis, *name* and *rate*.  They
    then start at most *rate* exchanges a second together, and a 429 that one of them gets pauses
    all of them.  The clock is the server's.

    Give it a ``redis.asyncio.Redis`` for ``AsyncServerClient``, or a ``redis.Redis`` for
    ``ServerClient``, and close it yourself.  It is used as ``RedisStore`` uses it.

    Args:
        redis: the client; ``decode_responses`` makes no difference.
        rate: the most exchanges to start in a second, by all processes together.
        name: the name of the pace, one for each tenant.
        longest_wait: the most seconds that a row waits for its turn.  When a turn is further
            away, as after a block of the source address, it is not booked, and ``exchange_many``
            stops when the rows that have a turn are sent.
        prefix: the beginning of the key.
        timeout: seconds after which a command has failed; ``exchange_many`` stops then.

    Raises:
        ConfigurationError: an argument breaks a rule.
    """

    def __init__(
        self,
        redis: redis.Redis | redis.asyncio.Redis,
        *,
        rate: float,
        name: str = "default",
        longest_wait: float = 900.0,
        prefix: str = "auth0_tx:pace:",
        timeout: float = 1.0,
    ) -> None:
        self._is_async, self._send = prepare_commands(redis, prefix, timeout)
        if not isinstance(name, str) or not name:
            raise ConfigurationError(
                "name must be a non-empty string", parameter="name"
            )
        self._key = prefix + name
        self._microseconds = ceil(1e6 / _to_number(rate, "rate", MOST_RATE))
        self.longest_wait: float = _to_number(longest_wait, "longest_wait", 1e8)

    def __repr__(self) -> str:
        return f"RedisPace({self._key!r})"

    # Each returns what ``SharedPace`` says; over an asyncio client, an awaitable of it.

    def take_turn(self, booked: int) -> Any:
        """Book a turn, or confirm the one that was *booked*; 0 for none."""
        numbers = self._microseconds, booked, ceil(self.longest_wait * 1e6)
        return self._send(_read_turn, "EVAL", _TAKE_TURN, 1, self._key, *numbers)

    def pause(self, seconds: float) -> Any:
        """Let nobody have a turn for *seconds*."""
        microseconds = ceil(seconds * 1e6)
        return self._send(read_nothing, "EVAL", _PAUSE, 1, self._key, microseconds)


def _read_turn(reply: Any) -> tuple[float, int]:
    microseconds, booked = map(int, reply)
    return microseconds / 1e6, booked


def _to_number(value: float, name: str, most: float) -> float:
    rule = check_number(value, most)
    if rule is not None:
        raise Problem(name, rule).configuration_error()
    return float(value)
