"""Processes: a client that was used and then inherited, and one that is sent."""

from __future__ import annotations

import asyncio
import copy
import json
import multiprocessing
import pickle
import ssl
import threading
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
import requests
from joserfc.jwk import ECKey

from auth0_tx import (
    AsyncServerClient,
    ConfigurationError,
    CustomTokenExchangeOptions,
    ServerClient,
)
from auth0_tx.events import Event, ExchangeRetried
from auth0_tx.shells.thread_gate import Visit
from tests.e2e.concurrency.children import (
    FORKS,
    in_forks,
    own_answers,
    own_async_answers,
    use_inherited,
    use_own,
)
from tests.e2e.concurrency.volume import METADATA, TOKEN, VolumeIssuer, in_threads

CHILDREN, EXCHANGES = 8, 50
Fork = Callable[[], int]


@pytest.fixture(params=FORKS)
def fork(request: pytest.FixtureRequest) -> Fork:
    """Each way to fork: with Python's fork hooks, and without."""
    return FORKS[request.param]


def test_children_connect_anew(issuer: VolumeIssuer, fork: Fork) -> None:
    """8 children of a parent that used its client get own answers, on no socket of its."""
    with ServerClient(**issuer.settings()) as client:
        in_threads(4, lambda thread: own_answers(client, f"parent-{thread}", 10))
        answers = in_forks(
            CHILDREN,
            lambda child: own_answers(client, f"child{child}", EXCHANGES),
            fork,
        )
        afterwards = own_answers(client, "parent-again", 10)

    record = issuer.record()
    ports = [record.ports(f"child{child}-") for child in range(CHILDREN)]
    assert [EXCHANGES] * CHILDREN == answers
    assert 10 == afterwards
    assert [1] * CHILDREN == [len(own_ports) for own_ports in ports]
    assert set() == record.ports("parent").intersection(*ports)
    assert record.ports("parent-again-") <= record.ports("parent-")


def test_children_of_an_idle_loop_connect_anew(
    issuer: VolumeIssuer, fork: Fork
) -> None:
    """The same of an asyncio client whose loop stands still at the fork."""
    loop = asyncio.new_event_loop()
    client = AsyncServerClient(**issuer.settings(max_connections=5))
    loop.run_until_complete(own_async_answers(client, "parent", 20))

    answers = in_forks(
        CHILDREN,
        lambda child: asyncio.run(
            own_async_answers(client, f"child{child}", EXCHANGES)
        ),
        fork,
    )
    afterwards = loop.run_until_complete(own_async_answers(client, "parent-again", 10))
    loop.run_until_complete(client.aclose())
    loop.close()

    record = issuer.record()
    assert [EXCHANGES] * CHILDREN == answers
    assert 10 == afterwards
    assert set() == record.ports("parent") & record.ports("child")
    assert record.ports("parent-again-") <= record.ports("parent-")


def test_children_of_a_session_connect_anew(issuer: VolumeIssuer, fork: Fork) -> None:
    """The same of a requests.Session of the application's, which its parent goes on using."""
    with requests.Session() as session:
        session.verify, session.trust_env = issuer.ca_file, False
        client = ServerClient(**issuer.settings(verify=True), session=session)
        own_answers(client, "parent", 1)
        answers = in_forks(
            CHILDREN,
            lambda child: own_answers(client, f"child{child}", EXCHANGES),
            fork,
        )
        afterwards = own_answers(client, "parent-again", 10)

    record = issuer.record()
    assert [EXCHANGES] * CHILDREN == answers
    assert 10 == afterwards
    assert set() == record.ports("parent") & record.ports("child")
    assert record.ports("parent-again-") == record.ports("parent-")


@pytest.mark.parametrize("own_session", [False, True], ids=["ours", "own session"])
def test_a_loop_is_not_inherited(
    issuer: VolumeIssuer, own_session: bool, fork: Fork
) -> None:
    """A child that goes on with its parent's loop is told so, and takes none of its sockets."""
    loop = asyncio.new_event_loop()

    async def make() -> tuple[AsyncServerClient, aiohttp.ClientSession | None]:
        if not own_session:
            return AsyncServerClient(**issuer.settings()), None
        context = ssl.create_default_context(cafile=issuer.ca_file)
        connector = aiohttp.TCPConnector(ssl=context)
        session = aiohttp.ClientSession(connector=connector)
        return AsyncServerClient(
            **issuer.settings(verify=True), session=session
        ), session

    client, session = loop.run_until_complete(make())
    loop.run_until_complete(own_async_answers(client, "parent", 5))

    def go_on(child: int) -> str:
        try:
            loop.run_until_complete(own_async_answers(client, f"child{child}", 5))
        except ConfigurationError as error:
            return error.message
        return "went on"

    told = in_forks(2, go_on, fork)
    afterwards = loop.run_until_complete(own_async_answers(client, "parent-again", 5))
    loop.run_until_complete(client.aclose())
    if session is not None:
        loop.run_until_complete(session.close())
    loop.close()

    record = issuer.record()
    assert ["this event loop was inherited"] * 2 == [message[:29] for message in told]
    assert set() == record.ports("child")
    assert 5 == afterwards
    assert record.ports("parent-again-") <= record.ports("parent-")


@pytest.mark.parametrize("own_session", [False, True], ids=["ours", "own session"])
def test_a_child_closes_nothing_of_its_parent(
    issuer: VolumeIssuer, own_session: bool, fork: Fork
) -> None:
    """A child that closes an inherited client before using it leaves its parent's as it is."""
    loop = asyncio.new_event_loop()
    session = requests.Session() if own_session else None
    if session is not None:
        session.verify = issuer.ca_file
    client = ServerClient(
        **issuer.settings(verify=True, session=session)
        if own_session
        else issuer.settings()
    )
    async_client = AsyncServerClient(**issuer.settings())
    own_answers(client, "parent-", 1)
    loop.run_until_complete(own_async_answers(async_client, "async-parent-", 1))

    def close(_: int) -> str:
        client.close()
        loop.run_until_complete(async_client.aclose())
        return "closed"

    told = in_forks(2, close, fork)
    own_answers(client, "parent-", 1)
    loop.run_until_complete(own_async_answers(async_client, "async-parent-", 1))
    client.close()
    loop.run_until_complete(async_client.aclose())
    loop.close()

    record = issuer.record()
    assert ["closed"] * 2 == told
    assert 1 == len(record.ports("parent-"))
    assert 1 == len(record.ports("async-parent-"))


@pytest.mark.parametrize("own_session", [False, True], ids=["ours", "own session"])
def test_threads_of_a_child_connect_anew(
    issuer: VolumeIssuer, own_session: bool, fork: Fork
) -> None:
    """Many threads of a child that use an inherited client at once all get own answers."""
    with requests.Session() as session:
        session.verify, session.trust_env = issuer.ca_file, False
        settings = (
            issuer.settings(verify=True, session=session)
            if own_session
            else issuer.settings()
        )
        with ServerClient(**settings) as client:
            # Not in threads: one that ends at the fork may hold a lock of OpenSSL's, which
            # every new thread of the child then waits for.
            own_answers(client, "parent", 5)
            answers = in_forks(
                4,
                lambda child: in_threads(
                    8, lambda thread: own_answers(client, f"child{child}-{thread}", 10)
                ),
                fork,
            )

    record = issuer.record()
    assert [[10] * 8] * 4 == answers
    assert set() == record.ports("parent") & record.ports("child")


async def test_children_of_a_running_loop_connect_anew(issuer: VolumeIssuer) -> None:
    """The same where the fork happens inside of a running loop."""
    async with AsyncServerClient(**issuer.settings()) as client:
        await own_async_answers(client, "parent", 20)
        answers = in_forks(
            2, lambda child: asyncio.run(own_async_answers(client, f"child{child}", 20))
        )
        afterwards = await own_async_answers(client, "parent-again", 10)

    record = issuer.record()
    assert [20, 20] == answers
    assert 10 == afterwards
    assert set() == record.ports("parent") & record.ports("child")


def test_fork_while_a_thread_holds_every_place(
    issuer: VolumeIssuer, fork: Fork
) -> None:
    """A child works though, at the fork, another thread held all the client has."""
    with ServerClient(**issuer.settings(max_connections=2)) as client:
        own_answers(client, "parent", 1)
        held, done = threading.Event(), threading.Event()
        transport, gate = client._transport, client._transport._gate
        visits = [Visit(0.0), Visit(0.0)]

        def open_slowly() -> None:
            held.set()
            done.wait()

        def hold() -> None:
            assert [True, True] == [gate.enter(visit) for visit in visits]
            transport._openings.run_once("adapter", open_slowly, 0.0, AssertionError)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()
        answers = in_forks(
            2, lambda child: own_answers(client, f"child{child}", 5), fork
        )
        done.set()
        holder.join()

    assert [5, 5] == answers


def test_fork_while_threads_are_busy(issuer: VolumeIssuer) -> None:
    """Children forked in the middle of exchanges work, and so do the threads."""
    with ServerClient(**issuer.settings(max_connections=3)) as client:
        # Not in the middle of a first handshake, in which OpenSSL sets up what is the
        # whole process's: a child that is forked then may wait for that for ever.
        in_threads(3, lambda thread: own_answers(client, f"parent-{thread}", 1))

        def work(thread: int) -> object:
            if thread:
                return own_answers(client, f"parent-{thread}", 60)
            return in_forks(8, lambda child: own_answers(client, f"child{child}", 5))

        forked, *own = in_threads(7, work)

    record = issuer.record()
    assert [5] * 8 == forked
    assert [60] * 6 == own
    assert set() == record.ports("parent") & record.ports("child")


def test_fork_during_a_discovery(issuer: VolumeIssuer, fork: Fork) -> None:
    """A child does not wait for a discovery that only its parent makes."""
    issuer.tell(delay={METADATA: 1.0})
    with ServerClient(**issuer.settings()) as client:
        thread = threading.Thread(target=own_answers, args=(client, "parent", 1))
        thread.start()
        while not issuer.record().count(METADATA):
            pass
        answers = in_forks(1, lambda _: own_answers(client, "child", 1), fork)
        thread.join()

    record = issuer.record()
    assert [1] == answers
    assert 2 == record.count(METADATA)
    assert 2 == record.count(TOKEN)


def test_children_sign_with_ids_of_their_own(issuer: VolumeIssuer) -> None:
    """No two client assertions of a parent and its children share a jti."""
    key = ECKey.generate_key("P-256", private=True)
    settings = issuer.settings(
        client_secret=None,
        client_assertion_signing_key=key.as_pem(private=True),
        client_assertion_signing_alg="ES256",
    )
    with ServerClient(**settings) as client:
        own_answers(client, "parent", 5)
        in_forks(CHILDREN, lambda child: own_answers(client, f"child{child}", 5))

    record = issuer.record()
    ids = [
        json.loads(urlsafe_b64decode(assertion.split(".")[1] + "=="))["jti"]
        for assertion in record.assertions("parent") + record.assertions("child")
    ]
    assert 5 + 5 * CHILDREN == len(set(ids))


def test_children_wait_by_chances_of_their_own(issuer: VolumeIssuer) -> None:
    """Children that fail together do not come back together."""
    delays: list[float] = []

    def note(event: Event) -> None:
        if isinstance(event, ExchangeRetried):
            delays.append(event.delay)

    def retry(child: int) -> list[float]:
        del delays[:]
        answer = CustomTokenExchangeOptions(
            subject_token=f"fault-unavailable.{child}",
            subject_token_type="urn:acme:legacy-token",
            subject_token_reusable=True,
        )
        with pytest.raises(Exception, match="503"):
            client.custom_token_exchange(answer)
        return list(delays)

    with ServerClient(**issuer.settings(on_event=note)) as client:
        own_answers(client, "parent", 1)
        waits = [wait for child in in_forks(CHILDREN, retry) for wait in child]

    assert 2 * CHILDREN == len(set(waits))


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing(issuer: VolumeIssuer, method: str) -> None:
    """Processes of each start method get own answers; only a fork inherits a client."""
    context: Any = multiprocessing.get_context(method)
    found = context.SimpleQueue()
    with ServerClient(**issuer.settings()) as client:
        own_answers(client, "parent", 5)
        target: Any = use_inherited if method == "fork" else use_own
        given: Any = client if method == "fork" else issuer.settings()
        processes = [
            context.Process(target=target, args=(given, f"child{child}", found))
            for child in range(2)
        ]
        for process in processes:
            process.start()
        answers = [found.get() for _ in processes]
        for process in processes:
            process.join()

    record = issuer.record()
    assert [50, 50] == answers
    assert set() == record.ports("parent") & record.ports("child")


@pytest.mark.parametrize("kind", [ServerClient, AsyncServerClient])
def test_a_client_is_not_sent(issuer: VolumeIssuer, kind: Any) -> None:
    """Pickling or copying a client, or sending it to a process, is refused with the reason."""
    client = kind(**issuer.settings())

    with pytest.raises(TypeError, match="holds secrets and is not pickled or copied"):
        pickle.dumps(client)
    with pytest.raises(TypeError, match="holds secrets and is not pickled or copied"):
        copy.copy(client)
    with pytest.raises(TypeError, match="holds secrets and is not pickled or copied"):
        copy.deepcopy({"client": client})
    with pytest.raises(TypeError, match="holds secrets and is not pickled or copied"):
        multiprocessing.get_context("spawn").Process(
            target=use_inherited, args=(client, "", None)
        ).start()
