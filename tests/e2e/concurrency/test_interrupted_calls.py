"""Calls of the blocking client under real signals, at random instants.

An exception out of a signal handler, such as Celery's soft time limit, ends a call wherever it
is: within the library, requests, urllib3, http.client, or a finalizer.  The seeds are fixed, and
the instants vary with the machine.  ``tests/shells/test_interrupted_threads.py`` tries every
instruction of the parts that threads share.
"""

from __future__ import annotations

import gc
import logging
import random
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import attrs
import pytest

from auth0_tx import (
    Auth0Error,
    ServerClient,
)
from auth0_tx.caches import MemoryTokenCache
from auth0_tx.core.cache import token_cache
from auth0_tx.core.flows import cached_exchange, exchange_cache
from auth0_tx.shells import urllib3_wire
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant
from tests.e2e.concurrency.volume import VolumeIssuer, options
from tests.e2e.sessions.logins import AUDIENCE, Browser, log_in, make_settings
from tests.observed_requests import observe_requests
from tests.striking import in_own_thread, strike_everywhere

# A signal may strike in a finalizer, where it is nobody's to see.  A socket that was connecting
# goes with the frames of the interrupt.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)

_PATIENCE = 10.0
"""Seconds after which a call counts as one that hangs: far beyond its deadline."""


class TimeLimit(Exception):
    """Raised by the signal handler, as Celery's soft time limit is."""


class Hangs(BaseException):
    """Raised by the signal handler when it rings once more."""


@attrs.define
class Alarm:
    """A timer whose signal interrupts calls of this thread.

    Attributes:
        struck: how many calls it has ended.
    """

    random: random.Random
    longest: float = 0.004
    struck: int = 0
    _has_rung: bool = False
    _is_armed: bool = False

    def ring(self, *_: object) -> None:
        """Interrupt the call that runs."""
        if not self._is_armed:
            return
        if self._has_rung:
            raise Hangs
        self._has_rung = True
        raise TimeLimit

    def strike(self, call: Callable[..., object], *arguments: object) -> None:
        """Make a call, and interrupt it at a random instant if it has not ended by then."""
        started = time.perf_counter()
        try:
            self._has_rung, self._is_armed = False, True
            signal.setitimer(
                signal.ITIMER_REAL, self.random.uniform(2e-5, self.longest), _PATIENCE
            )
            try:
                call(*arguments)
            finally:
                self._is_armed = False
            # Follows how long calls take, so that most of them are struck.
            took = time.perf_counter() - started
            self.longest = min(0.05, 0.95 * self.longest + 0.055 * took)
        except TimeLimit:
            self.struck += 1
        except Auth0Error:
            # The interrupt was taken for a failure, and the call ended all the same.
            self.struck += self._has_rung
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def watch(self, call: Callable[..., Any], *arguments: object) -> Any:
        """Return what an undisturbed call returns, which must not hang."""
        self._has_rung = self._is_armed = True
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
        try:
            return call(*arguments)
        finally:
            self._is_armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    """The timer, at work for one test."""
    timer = Alarm(random.Random(11))
    # ``logging`` takes a lock in Python code, which is not the library's to mend.
    logging.disable()
    before = signal.signal(signal.SIGALRM, timer.ring)
    yield timer
    logging.disable(logging.NOTSET)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def check_idle(client: ServerClient, places: int) -> None:
    """Check that no place is lost, and that no run is left that nobody leads."""
    assert places == client._transport._gate._free
    assert {} == client._flights._flights
    assert 0 == len(client._transport._gate._line)


@pytest.mark.parametrize("is_observed", [False, True], ids=["direct", "observed"])
def test_later_calls(issuer: VolumeIssuer, alarm: Alarm, is_observed: bool) -> None:
    """Calls on connections that are kept: the next one has its own answer."""
    settings = issuer.settings(max_connections=2, timeout=5.0)
    with (
        observe_requests() if is_observed else nullcontext(),
        ServerClient(**settings) as client,
    ):
        for number in range(700):
            alarm.strike(client.custom_token_exchange, options("struck"))
            check_idle(client, 2)
            subject = f"next-{number}"
            answer = alarm.watch(client.custom_token_exchange, options(subject))
            assert f"for.{subject}" == answer.access_token

    assert alarm.struck > 200


def test_first_calls(issuer: VolumeIssuer, alarm: Alarm) -> None:
    """Calls that fetch the documents, load the CAs and connect."""
    settings = issuer.settings(max_connections=2, timeout=5.0)
    with ServerClient(**settings) as client:
        # An import that is interrupted is Python's to clean up.
        client.custom_token_exchange(options("first", "actor"))
    alarm.longest = 0.03
    for number in range(80):
        with ServerClient(**settings) as client:
            alarm.strike(client.custom_token_exchange, options("struck", "actor"))
            check_idle(client, 2)
            subject = f"next-{number}"
            answer = alarm.watch(client.custom_token_exchange, options(subject))
            assert f"for.{subject}" == answer.access_token

    assert alarm.struck > 20


def test_calls_that_share_an_exchange(issuer: VolumeIssuer, alarm: Alarm) -> None:
    """Threads that wait for an exchange get it although its leader is struck."""
    settings = issuer.settings(
        max_connections=2, timeout=5.0, token_cache=MemoryTokenCache(100)
    )
    answers, rounds = list[str](), 120
    with ServerClient(**settings) as client:
        turn = threading.Barrier(4, timeout=30.0)
        done = threading.Barrier(4, timeout=30.0)

        def follow(_: int) -> None:
            for number in range(rounds):
                turn.wait()
                answer = client.custom_token_exchange(options(f"shared-{number}"))
                answers.append(answer.access_token)
                done.wait()

        followers = [threading.Thread(target=follow, args=(n,)) for n in range(3)]
        for follower in followers:
            follower.start()
        for number in range(rounds):
            turn.wait()
            shared = options(f"shared-{number}")
            alarm.strike(client.custom_token_exchange, shared)
            done.wait()
            check_idle(client, 2)
        for follower in followers:
            follower.join()

    expected = [f"for.shared-{number}" for number in range(rounds) for _ in range(3)]
    assert sorted(expected) == sorted(answers)
    assert alarm.struck > 10


def test_sessions(auth0_tenant: Tenant, alarm: Alarm) -> None:
    """Refreshes of sessions in memory: the user stays logged in, or is told to log in again."""
    settings = make_settings(auth0_tenant, state_store=MemoryStore(), timeout=5.0)
    alarm.longest = 0.01
    outcomes = list[str]()
    with ServerClient(**settings) as client:
        # On a busy machine a refresh waits most of the time, so the others take some rounds.
        while len(outcomes) < 5 or ("token" not in outcomes and len(outcomes) < 60):
            browser: Browser = log_in(client, auth0_tenant)
            alarm.strike(client.get_user, browser.request())
            alarm.longest = 0.01 if len(outcomes) % 2 else 0.001
            alarm.strike(client.get_access_token, browser.request(), AUDIENCE)
            check_idle(client, 100)
            user = alarm.watch(client.get_user, browser.request())
            assert user is None or "sub" in user
            try:
                alarm.watch(client.get_access_token, browser.request(), AUDIENCE)
            except Auth0Error as error:
                outcomes.append(str(error.code))
            else:
                outcomes.append("token")

    # A refresh token may be spent by a refresh whose answer was cut off.
    assert {"token", "invalid_grant"} >= set(outcomes)
    assert outcomes.count("token") >= 1
    assert alarm.struck >= 2


@pytest.mark.parametrize("again", [None, 1, 3])
@in_own_thread
def test_every_instruction_of_the_wire(issuer: VolumeIssuer, again: int | None) -> None:
    """Wherever a request is interrupted, no connection is lost that another call may have."""
    count, held = 0, set[int]()
    with ServerClient(**issuer.settings(max_connections=2, timeout=5.0)) as client:
        client.custom_token_exchange(options("first"))
        adapter: Any = client._transport._adapter
        (pool,) = adapter.poolmanager.pools.values()
        for strike in strike_everywhere(urllib3_wire, again=again):
            count = strike.number
            with strike:
                client.custom_token_exchange(options("struck"))
            check_idle(client, 2)
            idle = [found for found in pool.pool._connections if found is not None]
            # The next call may take it, and nobody may close it then.
            assert not any(found.is_closed for found in idle), count
            assert len(set(map(id, idle))) == len(idle) <= 1, count
            held.add(len(idle))
            subject = f"next-{count}"
            answer = client.custom_token_exchange(options(subject))

            assert f"for.{subject}" == answer.access_token

    assert {0, 1} == held
    assert count > 200


@in_own_thread
def test_lock_of_a_cached_exchange(issuer: VolumeIssuer) -> None:
    """Wherever an exchange under a lock in memory is interrupted, the lock is released."""
    cache, count = MemoryTokenCache(1000), 0
    settings = issuer.settings(max_connections=2, timeout=5.0, token_cache=cache)
    with ServerClient(**settings) as client:
        for strike in strike_everywhere(cached_exchange, exchange_cache, token_cache):
            count = strike.number
            struck = options(f"struck-{count}")
            with strike:
                client.custom_token_exchange(struck)
            check_idle(client, 2)
            # A lock whose flow could ask for nothing more is taken over by the next caller.
            client.custom_token_exchange(struck)

            assert {} == cache._locks, count

    assert count > 200
