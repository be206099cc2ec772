"""Tasks in real workers, over real brokers: each its own token, and none in any message."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from typing import Any

import kombu
import pytest
from celery import chain, chord, group
from celery.exceptions import ChordError, SoftTimeLimitExceeded

from auth0_tx import BlockedError, InvalidInputError, RateLimitError, RefusedError
from auth0_tx.tenant import User, faults
from tests.integrations.celery.conftest import Worker

PREFORK = ("--pool", "prefork", "--concurrency", "2")
THREADS = ("--pool", "threads", "--concurrency", "4")
POOLS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "prefork over RabbitMQ": ("amqp_url", PREFORK, "fork"),
    "prefork over Redis": ("redis_url", PREFORK, "fork"),
    "threads over Redis": ("redis_url", THREADS, "fork"),
    "spawned over Redis": ("redis_url", PREFORK, "spawn"),
}


@pytest.fixture(scope="module", params=POOLS)
def worker(
    request: pytest.FixtureRequest, worker_on: Callable[..., Any]
) -> Iterator[Worker]:
    """Return a worker of each kind."""
    broker, pool, method = POOLS[request.param]
    url = request.getfixturevalue(broker)
    with worker_on(url, *pool, start_method=method) as worker:
        for number in range(12):
            worker.tenant.users.add(User(f"auth0|user_{number}"))
        yield worker


def put(worker: Worker, user: str = "auth0|alice") -> tuple[str, str]:
    """Put a user's token into the vault; give it and its handle."""
    token = worker.tenant.subject_token(user)
    return token, worker.module.vault.put(token)


def sends(worker: Worker) -> int:
    """Return the number of exchanges at the tenant."""
    return worker.tenant.count("/oauth/token")


def test_own_answers(worker: Worker) -> None:
    """Many tasks at once each have the token of their own user, also on event loops."""
    before = sends(worker)
    handles = [put(worker, f"auth0|user_{number}")[1] for number in range(12)]
    tasks = (worker.module.exchange, worker.module.exchange_async)
    job = group(tasks[number % 2].s(handle) for number, handle in enumerate(handles))
    results = job.apply_async().get(timeout=60)

    assert 12 == len({whose for _, whose in results})
    assert 12 == sends(worker) - before


def test_429_is_one_retry(worker: Worker) -> None:
    """After a 429 the task is tried again once, not before the time that it asks for."""
    worker.tenant.clear()
    worker.tenant.inject(
        faults.status(
            429,
            '{"error": "too_many_requests"}',
            {"Retry-After": "2", "Content-Type": "application/json"},
        ),
        path="/oauth/token",
        times=1,
    )
    result = worker.module.exchange.delay(put(worker)[1])
    result.get(timeout=60)
    first, second = (
        request.received_at
        for request in worker.tenant.requests
        if request.path == "/oauth/token"
    )

    assert 2 == sends(worker)
    # Spread over a second, and a worker looks for what is due each second.
    assert 2.0 <= second - first < 7.0


def test_429_for_too_long(worker: Worker) -> None:
    """A server that asks for an hour fails the task at once: no broker holds a message so long."""
    worker.tenant.clear()
    worker.tenant.inject(
        faults.status(429, headers={"Retry-After": "3600"}), path="/oauth/token"
    )
    result = worker.module.exchange.delay(put(worker)[1])
    with pytest.raises(RateLimitError) as limited:
        result.get(timeout=30)

    assert limited.value.retry_after is not None
    assert limited.value.retry_after > 3_000
    assert 1 == sends(worker)


def test_block_is_final(worker: Worker) -> None:
    """A blocked IP address is not tried again, even if the server names a time."""
    worker.tenant.clear()
    worker.tenant.inject(
        faults.status(
            429,
            '{"error": "too_many_attempts"}',
            {"Retry-After": "1", "Content-Type": "application/json"},
        ),
        path="/oauth/token",
    )
    with pytest.raises(BlockedError):
        worker.module.exchange.delay(put(worker)[1]).get(timeout=30)

    assert 1 == sends(worker)


@pytest.mark.parametrize("task", ["exchange", "exchange_eagerly"])
def test_refusal_is_final(worker: Worker, task: str) -> None:
    """An error that is not safe to retry is not, whatever the task says about retries."""
    worker.tenant.clear()
    handle = worker.module.vault.put("nobody's token")
    result = getattr(worker.module, task).delay(handle)
    with pytest.raises(RefusedError) as refused:
        result.get(timeout=60)

    assert "invalid_request" == refused.value.code
    assert 400 == refused.value.status
    assert not refused.value.retry_safe
    assert 1 == sends(worker)


def test_no_token_anywhere(worker: Worker, redis_url: str) -> None:
    """Neither the broker, nor results, nor the worker's log at DEBUG, have a token's bytes."""
    import redis

    tokens, handles = zip(*(put(worker) for _ in range(3)), strict=True)
    results = [worker.module.exchange.delay(handle) for handle in handles]
    for result in results:
        result.get(timeout=60)
    refused = worker.module.exchange.delay(handles[0])
    with pytest.raises(InvalidInputError, match="was taken before"):
        refused.get(timeout=60)
    kept = b""
    with redis.Redis.from_url(redis_url) as connection:
        for result in (*results, refused):
            kept += connection.get(f"celery-task-meta-{result.id}") or b""  # type: ignore[operator]
    written = worker.output().encode()
    issued = [tokens["access_token"].encode() for tokens in _list_issued_tokens(worker)]

    assert kept
    assert handles[0].encode() in kept
    for needle in (*map(str.encode, tokens), *issued):
        for part in needle.split(b"."):
            assert part not in kept
            assert part not in written
    assert worker.tenant.client_secret is not None
    assert worker.tenant.client_secret.encode() not in kept + written


def _list_issued_tokens(worker: Worker) -> list[dict[str, str]]:
    """Exchange in this process: what the tenant issues now begins as what it issued before."""
    from auth0_tx import ServerClient

    with ServerClient(**worker.told["settings"]) as client:
        response = client.custom_token_exchange(
            worker.module.options(worker.tenant.subject_token("auth0|alice"))
        )
    # Its header is public, and so are the first parts of an opaque one.
    return [{"access_token": response.access_token}]


def test_waiting_message(worker: Worker) -> None:
    """A message that waits in the broker has the handle, and neither token nor secret."""
    app = worker.app
    token, handle = put(worker)
    queue = f"{worker.told['queue']}-waiting"
    worker.module.exchange.apply_async((handle,), queue=queue)
    with app.connection_for_read() as connection:
        waiting = kombu.Queue(queue)(connection.channel())
        message = waiting.get(no_ack=True)
        held = pickle.dumps((message.body, message.headers, message.properties))
        waiting.delete()

    assert handle.encode() in held
    assert token.encode() not in held


def test_ready_before_the_first_task(worker: Worker) -> None:
    """A worker has the tenant's documents before any task asks for them."""
    worker.tenant.clear()
    worker.module.exchange.delay(put(worker)[1]).get(timeout=60)

    assert 0 == worker.tenant.count("/.well-known/openid-configuration")
    assert 0 == worker.tenant.count("/.well-known/jwks.json")


def test_workers_of_prefork(worker: Worker) -> None:
    """Tasks run in the processes of the pool, and not in this one."""
    import os

    results = [worker.module.exchange.delay(put(worker)[1]) for _ in range(8)]
    pids = {result.get(timeout=60)[0] for result in results}

    assert os.getpid() not in pids


def test_lease_survives_an_outage(worker: Worker) -> None:
    """A token whose exchange did not leave is there when the task is tried again."""
    worker.tenant.clear()
    started = time.monotonic()
    worker.tenant.inject(faults.status(429, headers={"Retry-After": "1"}), times=2)
    result = worker.module.exchange.delay(put(worker)[1])
    result.get(timeout=60)

    assert 3 == sends(worker)
    assert time.monotonic() - started >= 2


@pytest.mark.parametrize(
    "way", ["return", "raise", "state", "send", "replace", "retry", "own retry"]
)
def test_leaks(worker: Worker, redis_url: str, way: str) -> None:
    """A task that lets a token out fails with the place, and stores no byte of the token."""
    import redis

    module = worker.module
    task = module.leak_by_retry if way == "own retry" else module.leak
    result = task.delay(way)
    with pytest.raises(InvalidInputError) as refused:
        result.get(timeout=60)
    with redis.Redis.from_url(redis_url) as connection:
        kept = connection.get(f"celery-task-meta-{result.id}") or b""

    assert refused.value.parameter
    assert kept
    assert module.JWT.encode() not in kept  # type: ignore[operator]
    assert module.JWT not in str(refused.value)


def test_leaks_of_many(worker: Worker) -> None:
    """A token is not passed on to the next task either, and nobody waits for ever."""
    leak, plain = worker.module.leak, worker.module.plain
    last = chain(leak.s("return"), plain.s()).apply_async()
    for result in (last.parent, last):
        with pytest.raises(InvalidInputError):
            result.get(timeout=60)
    linked = leak.apply_async(("return",), link=plain.s())
    with pytest.raises(InvalidInputError):
        linked.get(timeout=60)
    job = chord([plain.s(1), leak.s("return")], plain.s()).apply_async()
    with pytest.raises((ChordError, InvalidInputError)) as refused:
        job.get(timeout=60)

    one, other = job.parent.get(timeout=60, propagate=False)
    assert 1 == one
    assert isinstance(other, InvalidInputError)
    assert worker.module.JWT not in str(refused.value)


PLACES = [
    pytest.param(("--pool", "prefork", "--concurrency", "2"), id="prefork"),
    pytest.param(("--pool", "threads", "--concurrency", "2"), id="threads"),
    pytest.param(("--pool", "solo"), id="solo"),
]


@pytest.mark.parametrize("pool", PLACES)
def test_warm_shutdown(
    worker_on: Callable[..., Any], redis_url: str, pool: tuple[str, ...]
) -> None:
    """Tasks that had begun when their worker is told to end still have their client."""
    with worker_on(redis_url, *pool) as worker:
        worker.module.exchange.delay(put(worker)[1]).get(timeout=60)
        worker.tenant.clear()
        count = 1 if "solo" in pool else 2
        worker.tenant.inject(faults.latency(1.5), path="/oauth/token", times=count)
        begun = [worker.module.exchange.delay(put(worker)[1]) for _ in range(count)]
        until = time.monotonic() + 30
        while sends(worker) < count and time.monotonic() < until:
            time.sleep(0.05)
        worker.process.terminate()

        for result in begun:
            assert result.get(timeout=30)
        assert 0 == worker.process.wait(30)


def test_replaced_processes(worker_on: Callable[..., Any], redis_url: str) -> None:
    """A process that takes the place of another has clients of its own."""
    pool = (*PREFORK, "--max-tasks-per-child", "1")
    with worker_on(redis_url, *pool) as worker:
        pids = {
            worker.module.exchange.delay(put(worker)[1]).get(timeout=60)[0]
            for _ in range(4)
        }

    assert 4 == len(pids)


def test_soft_time_limit(worker_on: Callable[..., Any], redis_url: str) -> None:
    """An exchange that a time limit interrupts spends its token, and the next has its own answer."""
    with worker_on(redis_url, "--pool", "prefork", "--concurrency", "1") as worker:
        hasty = worker.module.exchange_hastily
        seen = []
        for number in range(4):
            worker.tenant.users.add(User(f"auth0|user_{number}"))
            if number % 2 == 0:
                worker.tenant.inject(faults.latency(2.5), path="/oauth/token")
            handle = put(worker, f"auth0|user_{number}")[1]
            result = hasty.delay(handle)
            if number % 2 == 0:
                with pytest.raises(SoftTimeLimitExceeded):
                    result.get(timeout=60)
                with pytest.raises(InvalidInputError, match="was taken before"):
                    worker.module.vault.take(handle)
            else:
                seen.append(result.get(timeout=60))

    assert 2 == len(set(seen))


def test_redelivered(worker_on: Callable[..., Any], amqp_url: str) -> None:
    """A task whose process dies is delivered again, and says that its token is gone."""
    with worker_on(amqp_url, "--pool", "prefork", "--concurrency", "1") as worker:
        result = worker.module.exchange_and_die.delay(put(worker)[1])
        with pytest.raises(InvalidInputError, match="was taken before"):
            result.get(timeout=60)


def test_gevent(worker_on: Callable[..., Any], redis_url: str) -> None:
    """Greenlets share a client, and each task has the token of its own user."""
    pytest.importorskip("gevent")
    with worker_on(redis_url, "--pool", "gevent", "--concurrency", "6") as worker:
        for number in range(6):
            worker.tenant.users.add(User(f"auth0|user_{number}"))
        handles = [put(worker, f"auth0|user_{number}")[1] for number in range(6)]
        results = [worker.module.exchange.delay(handle) for handle in handles]

        assert 6 == len({result.get(timeout=60)[1] for result in results})
