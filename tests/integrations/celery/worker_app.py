"""The Celery application of these tests, for the process that sends and the workers alike."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import redis
from celery import Celery

from auth0_tx import (
    AsyncServerClient,
    BulkExchangeResult,
    CustomTokenExchangeOptions,
    RetryPolicy,
    ServerClient,
)
from auth0_tx.integrations.celery import (
    BulkExchangeTasks,
    SubjectTokenVault,
    TokenExchangeTask,
    prepare_workers,
    refuse_tokens,
)

told: dict[str, Any] = json.loads(os.environ["AUTH0_TX_TEST_WORKER"])
settings: dict[str, Any] = told["settings"]

app = Celery("tests", broker=told["broker"], backend=told["backend"])
app.conf.update(
    task_default_queue=told["queue"],
    broker_connection_retry_on_startup=True,
    result_extended=True,
    task_send_sent_event=True,
    worker_send_task_events=True,
    result_expires=300,
    worker_pool_start_method=told["start_method"],
)
refuse_tokens(app)

client = ServerClient(**settings, retry=RetryPolicy(attempts=1))
async_client = AsyncServerClient(**settings)
vault = SubjectTokenVault(
    redis.Redis.from_url(told["redis"]),
    secret="of the vault, and 32 characters long",
    prefix=told["prefix"],
)
prepare_workers(client)


def options(token: str) -> CustomTokenExchangeOptions:
    """Return the options of an exchange."""
    return CustomTokenExchangeOptions(
        subject_token=token, subject_token_type="urn:acme:legacy-token"
    )


@app.task(shared=False, base=TokenExchangeTask, name="exchange")
def exchange(handle: str) -> list[Any]:
    """Exchange the token of a handle; return the process id, and whose token it is."""
    with vault.lend(handle) as token:
        response = client.custom_token_exchange(options(token))
    return [os.getpid(), hash_token(response.access_token)]


@app.task(shared=False, base=TokenExchangeTask, name="exchange_async")
def exchange_async(handle: str) -> list[Any]:
    """Do the same on the task's own event loop."""

    async def main() -> str:
        with vault.lend(handle) as token:
            response = await async_client.custom_token_exchange(options(token))
        return response.access_token

    return [os.getpid(), hash_token(asyncio.run(main()))]


@app.task(
    shared=False, base=TokenExchangeTask, name="eager", autoretry_for=(Exception,)
)
def exchange_eagerly(handle: str) -> None:
    """Exchange, in a task that is retried after any error."""
    client.custom_token_exchange(options(vault.take(handle)))


@app.task(
    shared=False,
    base=TokenExchangeTask,
    name="late",
    acks_late=True,
    reject_on_worker_lost=True,
)
def exchange_and_die(handle: str) -> None:
    """Take the token of a handle, and take the process down with it."""
    with vault.lend(handle):
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(shared=False, base=TokenExchangeTask, name="hasty", soft_time_limit=1)
def exchange_hastily(handle: str) -> str:
    """Exchange the token of a handle within a second; return the hash of the answer."""
    with vault.lend(handle) as token:
        return hash_token(client.custom_token_exchange(options(token)).access_token)


@app.task(shared=False, base=TokenExchangeTask, name="trusting", allow_tokens=True)
def length(token: str) -> int:
    """Take a token as it is."""
    return len(token)


JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


@app.task(shared=False, bind=True, name="leak")
def leak(self: Any, way: str) -> str:
    """Let a token out, in one way or another."""
    if way == "raise":
        raise ValueError(f"no report with {JWT}")
    if way == "state":
        self.update_state(state="PROGRESS", meta={"token": JWT})
    if way == "send":
        plain.delay(JWT)
    if way == "retry":
        raise self.retry(kwargs={"note": JWT})
    if way == "replace":
        raise self.replace(plain.s(JWT))
    return JWT


@app.task(shared=False, bind=True, base=TokenExchangeTask, name="leak_by_retry")
def leak_by_retry(self: Any, way: str) -> None:
    """Try again, with a token as the argument."""
    raise self.retry(args=(JWT,))


@app.task(shared=False, name="plain")
def plain(value: Any) -> Any:
    """Return the argument."""
    return value


def keep_outcome(key: str, result: BulkExchangeResult) -> None:
    """Write the outcome of a row of a bulk exchange down, or fail as the row's key says."""
    place = told["prefix"] + "outcomes:" + key
    has_failed = outcomes.set(place + ":failed", 1, nx=True, ex=300) is None
    if key.startswith("unkept") and not has_failed:
        raise OSError("the database of the application is down")
    if key.startswith("deadly") and not has_failed:
        os.kill(os.getpid(), signal.SIGKILL)
    error, response = result.error, result.response
    outcome = hash_token(response.access_token) if response else type(error).__name__
    outcomes.rpush(place, outcome)
    outcomes.expire(place, 300)


outcomes: Any = redis.Redis.from_url(told["redis"], decode_responses=True)
bulk = BulkExchangeTasks(
    app,
    keep_outcome,
    client=client,
    redis=redis.Redis.from_url(told["redis"]),
    secret="of the rows, and 32 characters long!",
    rate=told.get("rate", 1_000.0),
    concurrency=5,
    name=told["prefix"] + "bulk",
    prefix=told["prefix"] + "rows:",
    ttl=300,
    abandoned_after=1.0,
)


def hash_token(token: str) -> str:
    """Return the hash of a token, which a message may have."""
    from hashlib import sha256

    return sha256(token.encode()).hexdigest()
