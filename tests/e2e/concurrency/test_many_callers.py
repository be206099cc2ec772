"""One client and very many callers: each gets its own answer."""

from __future__ import annotations

import asyncio

import pytest

from auth0_tx import AsyncServerClient, InvalidInputError, ServerClient
from auth0_tx.caches import MemoryTokenCache
from auth0_tx.events import Event
from tests.e2e.concurrency.volume import (
    KEYS,
    METADATA,
    TOKEN,
    VolumeIssuer,
    in_tasks,
    in_threads,
    options,
)

THREADS, EXCHANGES, TASKS = 64, 200, 1_000


def test_threads_get_their_own_answers(issuer: VolumeIssuer) -> None:
    """64 threads of 200 exchanges get 12,800 own answers on at most max_connections."""
    with ServerClient(**issuer.settings(max_connections=16)) as client:

        def own_answers(thread: int) -> int:
            subjects = [f"{thread}-{number}" for number in range(EXCHANGES)]
            return sum(
                client.custom_token_exchange(options(subject)).access_token
                == f"for.{subject}"
                for subject in subjects
            )

        answers = in_threads(THREADS, own_answers)

    record = issuer.record()
    assert [EXCHANGES] * THREADS == answers
    assert THREADS * EXCHANGES == record.count(TOKEN)
    assert record.accepted <= 16
    assert 1 == record.count(METADATA)


def test_few_connections_keep_no_thread_out(issuer: VolumeIssuer) -> None:
    """With one connection for 32 busy threads, none waits for more than its turn."""
    order: list[int] = []
    with ServerClient(**issuer.settings(max_connections=1)) as client:

        def work(thread: int) -> None:
            for number in range(8):
                client.custom_token_exchange(options(f"{thread}-{number}"))
                order.append(thread)

        in_threads(32, work)

    halfway = order[: len(order) // 2]
    # Served in turn, each thread has half of its answers by then, give or take one.
    assert set(range(32)) == set(halfway)
    assert max(halfway.count(thread) for thread in range(32)) <= 6


def test_threads_share_the_first_use(issuer: VolumeIssuer) -> None:
    """64 threads that use a new client at once cause one discovery and one key fetch."""
    issuer.tell(delay={METADATA: 0.2, KEYS: 0.2})
    with ServerClient(**issuer.settings()) as client:

        def actor_of(thread: int) -> object:
            answer = client.custom_token_exchange(
                options(f"{thread}", f"actor-{thread}")
            )
            return answer.access_token, answer.act

        answers = in_threads(THREADS, actor_of)

    record = issuer.record()
    assert [(f"for.{n}", {"sub": f"actor-{n}"}) for n in range(THREADS)] == answers
    assert 1 == record.count(METADATA)
    assert 1 == record.count(KEYS)


def test_documents_go_before_the_queue_of_threads(issuer: VolumeIssuer) -> None:
    """Keys that all who wait will need are fetched before the grants that wait."""
    issuer.tell(delay={TOKEN: 0.2})
    with ServerClient(**issuer.settings(max_connections=10)) as client:
        in_threads(
            60,
            lambda thread: client.custom_token_exchange(options(f"{thread}", "actor")),
        )

    assert_keys_came_early(issuer)


async def test_documents_go_before_the_queue_of_tasks(issuer: VolumeIssuer) -> None:
    """The same among tasks."""
    issuer.tell(delay={TOKEN: 0.2})
    async with AsyncServerClient(**issuer.settings(max_connections=10)) as client:
        await in_tasks(
            60, lambda task: client.custom_token_exchange(options(f"{task}", "actor"))
        )

    assert_keys_came_early(issuer)


def assert_keys_came_early(issuer: VolumeIssuer) -> None:
    """They were asked for when the first grants had been answered."""
    paths = [path for path, *_ in issuer.record().requests]

    # Ten at once: some more may have left by the time that the first are read.
    assert 1 == paths.count(KEYS)
    assert paths.index(KEYS) <= 1 + 40


async def test_tasks_get_their_own_answers(issuer: VolumeIssuer) -> None:
    """1,000 tasks on a new client: own answers, few sockets, each document fetched once."""
    async with AsyncServerClient(**issuer.settings(max_connections=50)) as client:

        async def answer(task: int) -> object:
            tokens = await client.custom_token_exchange(
                options(f"{task}", f"actor-{task}")
            )
            return tokens.access_token, tokens.act

        answers = await in_tasks(TASKS, answer)

    record = issuer.record()
    assert [(f"for.{n}", {"sub": f"actor-{n}"}) for n in range(TASKS)] == answers
    assert record.accepted <= 50
    assert 1 == record.count(METADATA)
    assert 1 == record.count(KEYS)
    assert TASKS == record.count(TOKEN)


async def test_a_crowd_keeps_no_other_call_waiting(issuer: VolumeIssuer) -> None:
    """Bad input is refused, and a cached token given, while a crowd waits for one connection."""
    limited = issuer.settings(max_connections=1)
    async with (
        AsyncServerClient(**limited) as client,
        AsyncServerClient(**limited, token_cache=MemoryTokenCache()) as cached,
    ):
        await cached.custom_token_exchange(options("known"))
        await client.custom_token_exchange(options("first"))
        issuer.tell(delay={TOKEN: 0.2})
        crowds = [
            asyncio.gather(
                *(one.custom_token_exchange(options(f"{n}")) for n in range(9))
            )
            for one in (client, cached)
        ]
        await asyncio.sleep(0)
        hit = asyncio.ensure_future(cached.custom_token_exchange(options("known")))
        with pytest.raises(InvalidInputError, match="subject_token"):
            await client.custom_token_exchange(options(""))
        found = await hit
        waiting = [not crowd.done() for crowd in crowds]
        answers = [[a.access_token for a in await crowd] for crowd in crowds]

    assert "for.known" == found.access_token
    assert [True, True] == waiting
    assert [[f"for.{n}" for n in range(9)]] * 2 == answers


async def test_a_crowd_of_first_calls_begins_in_turn(issuer: VolumeIssuer) -> None:
    """On a client that knows nothing yet, no more calls begin than two for each connection."""
    started: list[Event] = []
    issuer.tell(delay={METADATA: 0.2})
    settings = issuer.settings(max_connections=1, on_event=started.append)
    async with AsyncServerClient(**settings) as client:
        crowd = asyncio.gather(
            *(client.custom_token_exchange(options(f"{n}")) for n in range(20))
        )
        await asyncio.sleep(0.05)
        begun = len(started)
        answers = [answer.access_token for answer in await crowd]

    assert 2 == begun
    assert [f"for.{n}" for n in range(20)] == answers
