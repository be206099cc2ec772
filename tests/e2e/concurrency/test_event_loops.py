"""An asyncio client belongs to no event loop: one after another, or two at once."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import ssl
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import aiohttp
import pytest

from auth0_tx import AsyncServerClient, ClientClosedError, ConfigurationError
from tests.e2e.concurrency.children import own_async_answers
from tests.e2e.concurrency.interrupted_loops import ROUNDS
from tests.e2e.concurrency.many_loops import LOOPS
from tests.e2e.concurrency.volume import (
    METADATA,
    TOKEN,
    VolumeIssuer,
    in_threads,
    options,
)


def test_a_loop_for_each_task(issuer: VolumeIssuer) -> None:
    """asyncio.run, a hundred times on one client, leaves nothing open and warns of nothing."""
    program = Path(__file__).with_name("many_loops.py")
    done = subprocess.run(
        [
            *(sys.executable, "-X", "dev", "-W", "error", str(program)),
            json.dumps(issuer.settings()),
        ],
        env={
            **os.environ,
            "PYTHONASYNCIODEBUG": "1",
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert "" == done.stderr
    found = json.loads(done.stdout)
    assert [2] * LOOPS == found["answers"]
    assert 0 == found["growth"]
    assert 0 == found["states"]
    assert 0 == issuer.record().open


def test_loops_that_are_interrupted(issuer: VolumeIssuer) -> None:
    """SIGINT ends an exchange with KeyboardInterrupt alone, and the next loop has its answers."""
    issuer.tell(delay={METADATA: 0.05, TOKEN: 0.05})
    program = Path(__file__).with_name("interrupted_loops.py")
    done = subprocess.run(
        [
            *(sys.executable, "-W", "always::ResourceWarning", str(program)),
            json.dumps(issuer.settings(timeout=10.0)),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "" == done.stderr
    found = json.loads(done.stdout)
    assert {"KeyboardInterrupt"} == set(found["ends"])
    assert [1] * ROUNDS == found["answers"]
    assert 0 == found["growth"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_loops_that_are_only_closed(issuer: VolumeIssuer) -> None:
    """A loop that is closed without being shut down is forgotten when the next one comes."""
    client = AsyncServerClient(**issuer.settings())
    answers = []
    for number in range(5):
        loop = asyncio.new_event_loop()
        answers.append(
            loop.run_until_complete(own_async_answers(client, f"loop{number}", 2))
        )
        loop.close()
        del loop
    answers.append(asyncio.run(own_async_answers(client, "last", 2)))
    with warnings.catch_warnings():
        # Python closes the sockets of a loop that did not.
        warnings.simplefilter("ignore")
        gc.collect()

    assert [2] * 6 == answers
    assert {} == client._transport._states
    assert 0 == issuer.record().open


def test_loops_share_what_was_learnt(issuer: VolumeIssuer) -> None:
    """The tenant's metadata, once fetched under one loop, is known under the next."""
    client = AsyncServerClient(**issuer.settings())
    for number in range(3):
        asyncio.run(own_async_answers(client, f"loop{number}", 1))

    assert 1 == issuer.record().count(METADATA)


def test_two_loops_at_once(issuer: VolumeIssuer) -> None:
    """Loops in different threads use one client together, each on sockets of its own."""
    client = AsyncServerClient(**issuer.settings(max_connections=5))
    answers = in_threads(
        4,
        lambda thread: asyncio.run(own_async_answers(client, f"loop{thread}", 200)),
    )

    record = issuer.record()
    ports = [record.ports(f"loop{thread}-") for thread in range(4)]
    assert [200] * 4 == answers
    assert sum(map(len, ports)) == len(set().union(*ports))
    assert max(map(len, ports)) <= 5


def test_close_under_one_of_two_loops(issuer: VolumeIssuer) -> None:
    """A client closed under one loop ends its use under the other, which closes its own."""
    client = AsyncServerClient(**issuer.settings())
    started = threading.Event()

    async def use_until_closed() -> str:
        while True:
            try:
                await client.custom_token_exchange(options("subject"))
            except ClientClosedError as error:
                return str(error.code)
            started.set()

    async def close() -> str:
        await client.custom_token_exchange(options("subject"))
        started.wait()
        await client.aclose()
        return "closed"

    outcomes = in_threads(
        2, lambda thread: asyncio.run(close() if thread else use_until_closed())
    )

    assert ["client_closed", "closed"] == outcomes
    assert {} == client._transport._states


def test_a_session_belongs_to_its_loop(issuer: VolumeIssuer) -> None:
    """With the application's own session, another loop is told what to do instead."""

    async def with_session() -> AsyncServerClient:
        context = ssl.create_default_context(cafile=issuer.ca_file)
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session:
            client = AsyncServerClient(**issuer.settings(verify=True), session=session)
            await client.custom_token_exchange(options("subject"))
        return client

    client = asyncio.run(with_session())

    with pytest.raises(ConfigurationError, match="another event loop; make the client"):
        asyncio.run(own_async_answers(client, "elsewhere", 1))


async def test_a_session_that_was_closed(issuer: VolumeIssuer) -> None:
    """A session that the application has closed is told of as such."""
    async with aiohttp.ClientSession() as session:
        client = AsyncServerClient(**issuer.settings(verify=True), session=session)

    with pytest.raises(ClientClosedError, match="session is closed"):
        await client.custom_token_exchange(options("subject"))
