"""The pace in Redis: turns that all who share it get one after another."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import pytest
import redis
import redis.asyncio

from auth0_tx import AsyncServerClient, ConfigurationError, ServerClient
from auth0_tx.stores import RedisPace
from tests.stores.both_worlds import close_client, resolve

SETTINGS: dict[str, Any] = {
    "domain": "tenant.auth0.com",
    "client_id": "client",
    "client_secret": "of the client's, sixteen characters",
}


@pytest.fixture
def keywords() -> dict[str, Any]:
    """Return the keywords of a pace that no other test has."""
    return {"rate": 10.0, "prefix": f"auth0_tx-test:{token_hex(8)}:"}


@pytest.fixture
def connection(redis_url: str) -> Any:
    """Return a connection to the Redis of the tests."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.mark.parametrize("kind", [redis.Redis, redis.asyncio.Redis])
async def test_turns_follow_each_other(
    redis_url: str, keywords: dict[str, Any], kind: Any
) -> None:
    """The first turn is at once, and each of the next a tenth of a second after the last."""
    client = kind.from_url(redis_url)
    pace = RedisPace(client, **keywords)
    turns = [await resolve(pace.take_turn(0)) for _ in range(3)]
    await close_client(client)

    booked = [booked for _, booked in turns]
    assert 0.0 == turns[0][0]
    assert [100_000, 100_000] == [
        later - earlier for earlier, later in itertools.pairwise(booked)
    ]
    # As they count down from when each was asked for.
    assert 0.0 < turns[1][0] <= 0.1 < turns[2][0] <= 0.2


def test_booked_turn_holds(connection: Any, keywords: dict[str, Any]) -> None:
    """Whoever comes back with a booked turn keeps it, though others have booked meanwhile."""
    pace = RedisPace(connection, **keywords)
    pace.take_turn(0)
    _, booked = pace.take_turn(0)
    pace.take_turn(0)
    time.sleep(0.12)
    delay, confirmed = pace.take_turn(booked)

    assert booked == confirmed
    assert delay <= 0


def test_pause_moves_a_booked_turn(connection: Any, keywords: dict[str, Any]) -> None:
    """A turn that falls into a pause is booked anew, after its end and after all others."""
    pace = RedisPace(connection, **keywords)
    pace.take_turn(0)
    _, booked = pace.take_turn(0)
    pace.pause(30)
    delays = [pace.take_turn(booked)[0], pace.take_turn(0)[0]]

    assert [30.0, 30.1] == pytest.approx(delays, abs=0.05)


def test_shorter_pause_ends_no_longer_one(
    connection: Any, keywords: dict[str, Any]
) -> None:
    """Of two pauses, the one that ends later counts."""
    pace = RedisPace(connection, **keywords)
    pace.pause(30)
    pace.pause(2)

    assert 30.0 == pytest.approx(pace.take_turn(0)[0], abs=0.05)


def test_turn_that_is_too_far_away_is_not_booked(
    connection: Any, keywords: dict[str, Any]
) -> None:
    """Rows that would have to wait too long take no turns from those that come later."""
    pace = RedisPace(connection, longest_wait=0.25, **keywords)
    delays = [pace.take_turn(0)[0] for _ in range(20)]

    assert max(delays) <= 0.3


def test_idle_time_is_not_saved_up(connection: Any, keywords: dict[str, Any]) -> None:
    """After a time without rows they go no faster than at the rate."""
    pace = RedisPace(connection, **keywords)
    pace.take_turn(0)
    time.sleep(0.35)
    delays = [pace.take_turn(0)[0] for _ in range(2)]

    assert 0.0 == delays[0]
    assert delays[1] > 0.05


def test_no_two_have_the_same_turn(connection: Any, keywords: dict[str, Any]) -> None:
    """Threads that ask at once get turns that are all different, without a gap."""
    pace = RedisPace(connection, **{**keywords, "rate": 1000.0})
    with ThreadPoolExecutor(16) as threads:
        turns = list(threads.map(lambda _: pace.take_turn(0)[1], range(200)))

    assert 200 == len(set(turns))


def test_several_processes(redis_url: str, keywords: dict[str, Any]) -> None:
    """Processes share the turns: together they get no more of them than the rate."""
    program = f"""if True:
        import redis
        from auth0_tx.stores import RedisPace
        pace = RedisPace(redis.Redis.from_url({redis_url!r}), **{keywords!r})
        print([pace.take_turn(0)[1] for _ in range(20)])
    """
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    turns = sorted(
        turn for process in processes for turn in eval(process.communicate()[0])
    )

    assert 60 == len(turns)
    assert min(later - sooner for sooner, later in itertools.pairwise(turns)) >= 100_000


def test_names_are_kept_apart(connection: Any, keywords: dict[str, Any]) -> None:
    """Two paces with different names do not wait for each other."""
    RedisPace(connection, name="one", **keywords).pause(30)

    assert 0.0 == RedisPace(connection, name="other", **keywords).take_turn(0)[0]


def test_key_ends_by_itself(connection: Any, keywords: dict[str, Any]) -> None:
    """Nothing stays in Redis for longer than an hour after the last turn."""
    pace = RedisPace(connection, **keywords)
    pace.take_turn(0)
    key = keywords["prefix"] + "default"

    assert 3_590 < connection.ttl(key) <= 3_601
    pace.pause(600)
    assert 4_190 < connection.ttl(key) <= 4_201


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        *(("rate", value) for value in (0, -1, True, "4", float("nan"), 10**400, 1e7)),
        *(("longest_wait", value) for value in (0, None, float("inf"))),
        *(("name", value) for value in ("", None, 7)),
    ],
)
def test_bad_arguments(
    connection: Any, keywords: dict[str, Any], parameter: str, value: object
) -> None:
    """An argument that breaks a rule is refused by its name."""
    with pytest.raises(ConfigurationError) as refused:
        RedisPace(connection, **{**keywords, parameter: value})

    assert parameter == refused.value.parameter


def test_pace_of_the_other_world(redis_url: str, keywords: dict[str, Any]) -> None:
    """A pace that would block the loop, or could not be awaited, is refused at once."""
    paces = [
        RedisPace(kind.from_url(redis_url), **keywords)
        for kind in (redis.Redis, redis.asyncio.Redis)
    ]

    async def begin() -> None:
        AsyncServerClient(**SETTINGS).exchange_many([], pace=paces[0])

    with pytest.raises(ConfigurationError, match="pace") as blocking:
        asyncio.run(begin())
    with pytest.raises(ConfigurationError, match="pace") as awaited:
        ServerClient(**SETTINGS).exchange_many([], pace=paces[1])

    assert ["pace", "pace"] == [
        blocking.value.parameter,
        awaited.value.parameter,
    ]


class OwnAsyncPace:
    """A pace of the application's own, whose methods must be awaited."""

    longest_wait = 1.0

    async def take_turn(self, booked: int) -> tuple[float, int]:
        """Let each row go at once."""
        return 0.0, booked

    async def pause(self, seconds: float) -> None:
        """Do nothing."""


def test_own_pace_of_the_other_world() -> None:
    """An own pace that must be awaited is refused by the blocking client's call itself."""
    with pytest.raises(ConfigurationError, match="pace is async") as refused:
        ServerClient(**SETTINGS).exchange_many([], pace=OwnAsyncPace())

    assert "pace" == refused.value.parameter
