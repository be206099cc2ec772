"""Single flight among threads: one run for all, whoever is interrupted, fails or is late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from auth0_tx import NotSentError, RefusedError
from auth0_tx.core.effects import Flow, Share
from auth0_tx.shells.flights import ThreadFlights

FOLLOWERS = 32


def flow() -> Flow[None]:
    """Do nothing: what is run is the test's to say."""
    yield


def share(key: str = "key", seconds: float = 60.0) -> Share[Any]:
    """Wish for what *key* brings."""
    return Share(key, flow, time.monotonic() + seconds)


class Runs:
    """What is run: each run waits for its turn, then ends as it was told."""

    def __init__(self, *endings: object) -> None:
        self._endings = list(endings)
        self.count = 0
        self.go = threading.Event()

    def __call__(self, flow: Flow[Any]) -> Any:
        """Run once."""
        flow.close()
        ending = self._endings[min(self.count, len(self._endings) - 1)]
        self.count += 1
        self.go.wait()
        if isinstance(ending, BaseException):
            raise ending
        return ending


def outcome(call: Callable[[], Any]) -> Any:
    """Return what a call returned or raised."""
    try:
        return call()
    except (RefusedError, NotSentError, KeyboardInterrupt) as error:
        return error


def until_wait(bell: Any, count: int) -> None:
    """Return when so many threads wait for *bell*."""
    while len(bell._cond._waiters) < count:
        time.sleep(0.001)


def fly(runs: Runs, followers: int = FOLLOWERS) -> tuple[Any, list[Any]]:
    """Have one thread lead and others follow; give how it ended for it, and for them."""
    flights = ThreadFlights()

    def follow() -> Any:
        return outcome(lambda: flights.share(share(), runs))

    with ThreadPoolExecutor(followers + 1) as pool:
        leader = pool.submit(outcome, lambda: flights.share(share(), runs))
        while not runs.count:
            time.sleep(0.001)
        others = [pool.submit(follow) for _ in range(followers)]
        until_wait(flights._flights["key"].done, followers)
        runs.go.set()
        return leader.result(), [other.result() for other in others]


def test_one_run_for_all() -> None:
    """All get what one run brought."""
    runs = Runs("a document")
    led, followed = fly(runs)

    assert "a document" == led
    assert ["a document"] * FOLLOWERS == followed
    assert 1 == runs.count


def test_a_run_that_fails() -> None:
    """One of those who waited tries again; only the one who led learns of the failure."""
    failure = RefusedError("no")
    runs = Runs(failure, "a document")
    led, followed = fly(runs)

    assert failure is led
    assert ["a document"] * FOLLOWERS == followed
    assert 2 == runs.count


def test_runs_that_all_fail() -> None:
    """The second failure is everyone's, however late they hear of it, and each has its own."""
    runs = Runs(RefusedError("no", hint="wait"))
    led, followed = fly(runs)

    assert 2 == runs.count
    assert {str(led)} == set(map(str, followed))
    # The leader of the second run raises what it met; the others raise a copy each.
    assert FOLLOWERS == len(set(map(id, followed)))


def test_late_to_hear_of_a_failure() -> None:
    """Who hears of a failure when the second run has ended too shares how that ended."""
    flights = ThreadFlights()
    first, leads = flights._join_or_lead("key", None)
    first.failure = RefusedError("no")
    del flights._flights["key"]
    second, leads_too = flights._join_or_lead("key", first)
    second.failure = RefusedError("no")
    del flights._flights["key"]

    assert (True, True) == (leads, leads_too)
    assert (second, False) == flights._join_or_lead("key", first)


def test_a_leader_that_is_interrupted() -> None:
    """Those who waited for a thread that was interrupted go on without it."""
    interrupt = KeyboardInterrupt()
    runs = Runs(interrupt, "a document")
    led, followed = fly(runs)

    assert interrupt is led
    assert ["a document"] * FOLLOWERS == followed
    assert 2 == runs.count


def test_who_waits_keeps_its_own_deadline() -> None:
    """A thread waits for another's run no longer than it has time itself."""
    flights, runs = ThreadFlights(), Runs("a document")
    with ThreadPoolExecutor(1) as pool:
        leader = pool.submit(flights.share, share(), runs)
        while not runs.count:
            time.sleep(0.001)
        with pytest.raises(NotSentError) as caught:
            flights.share(share(seconds=0.05), runs)
        runs.go.set()

        assert "timeout" == caught.value.code
        assert "a document" == leader.result()
        assert 1 == runs.count


def test_keys_fly_apart() -> None:
    """What has different keys is run apart; what comes after a run is run anew."""
    flights, runs = ThreadFlights(), Runs(1, 2, 3)
    runs.go.set()

    assert [1, 2, 3] == [flights.share(share(key), runs) for key in ("a", "b", "a")]


def test_renewal() -> None:
    """Renewed, it knows of no flight, and its lock is free though it was held."""
    flights, runs = ThreadFlights(), Runs("a document")
    runs.go.set()
    flights._join_or_lead("key", None)
    flights._lock.acquire()
    flights.renew()

    assert "a document" == flights.share(share(), runs)


def test_notes_of_the_leader() -> None:
    """Notes that a leader's caller adds to its error are not in the others' errors."""
    flights, runs = ThreadFlights(), Runs(RefusedError("no"), RefusedError("no"))

    def lead() -> Any:
        error = outcome(lambda: flights.share(share(), runs))
        error.add_note("the request of Alice")
        return error

    with ThreadPoolExecutor(FOLLOWERS + 1) as pool:
        leader = pool.submit(lead)
        while not runs.count:
            time.sleep(0.001)
        others = [pool.submit(lead) for _ in range(FOLLOWERS)]
        until_wait(flights._flights["key"].done, FOLLOWERS)
        runs.go.set()
        errors = [leader.result(), *(other.result() for other in others)]

    assert [["the request of Alice"]] * (FOLLOWERS + 1) == [
        error.__notes__ for error in errors
    ]
