"""Single flight among threads: one run for all, whoever is interrupted, fails or is late."""

from __future__ import annotations

import linecache
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from auth0_tx import NotSentError, RefusedError
from auth0_tx.core.effects import Flow, Share
from auth0_tx.shells import flights as flights_module
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


def wait_for_waiters(flight: Any, count: int) -> None:
    """Return when so many threads wait for *flight*."""
    while len(flight._waiters) < count:
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
        wait_for_waiters(flights._flights["key"], followers)
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
    flights, runs = ThreadFlights(), Runs(RefusedError("one"), RefusedError("two"))
    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(outcome, lambda: flights.share(share(), runs))
        while not runs.count:
            time.sleep(0.001)
        first = flights._flights["key"]
        follower = pool.submit(outcome, lambda: flights.share(share(), runs))
        wait_for_waiters(first, 1)
        # As if it had waited for the first flight, and slept until now.
        latecomer = _Latecomer(flights, first)
        runs.go.set()
        assert ["one", "two"] == [leader.result().message, follower.result().message]

    assert "two" == outcome(lambda: latecomer.share(share(), runs)).message
    assert 2 == runs.count
    assert {} == flights._flights


class _Latecomer(ThreadFlights):
    """A thread that joined a flight long ago."""

    __slots__ = ("_joined",)

    def __init__(self, flights: ThreadFlights, joined: Any) -> None:
        super().__init__()
        self._flights, self._joined = flights._flights, joined

    def _join(self, key: Any, caller: Any) -> Any:
        return self._joined


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
    """Renewed, it knows of no flight, not even of one whose leader is in the parent."""
    flights, runs = ThreadFlights(), Runs("a document")
    runs.go.set()
    of_the_parent = flights_module._Caller()
    assert flights._join("key", of_the_parent).is_led_by(of_the_parent)
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
        wait_for_waiters(flights._flights["key"], FOLLOWERS)
        runs.go.set()
        errors = [leader.result(), *(other.result() for other in others)]

    assert [["the request of Alice"]] * (FOLLOWERS + 1) == [
        error.__notes__ for error in errors
    ]


class Signal(Exception):
    """What a signal handler raises."""


class Interrupter:
    """Raises an interrupt at the *number*-th line that a module runs in this thread."""

    def __init__(self, number: int, interrupt: BaseException) -> None:
        self._left = number
        self._interrupt = interrupt
        self.came = False

    def __call__(self, frame: Any, event: str, _: Any) -> Any:
        file = frame.f_code.co_filename
        if file != flights_module.__file__:
            return None
        # The interpreter handles no signal at a bare ``try``, which is no instruction.
        if (
            event == "line"
            and linecache.getline(file, frame.f_lineno).strip() != "try:"
        ):
            self._left -= 1
            if self._left == 0:
                self.came = True
                raise self._interrupt
        return self


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, Signal])
@pytest.mark.parametrize("ending", ["a document", RefusedError("no")])
def test_an_interrupt_at_any_line(
    interrupt: type[BaseException], ending: object
) -> None:
    """Wherever a leader is interrupted, those who wait go on, and so do those who come."""

    def follow(flights: ThreadFlights, runs: Runs) -> object:
        found = outcome(lambda: flights.share(share(seconds=5), runs))
        return found if isinstance(found, str) else type(found)

    number, came, outcomes = 0, True, set()
    while came:
        number += 1
        flights = ThreadFlights()
        # The followers' run brings what they wait for, whatever became of the leader's.
        runs = Runs(ending, "a document")
        interrupter = Interrupter(number, interrupt())

        def lead(flights: ThreadFlights, runs: Runs, interrupter: Interrupter) -> None:
            before = sys.gettrace()
            sys.settrace(interrupter)
            try:
                outcomes.add(flights.share(share(), runs))
            except interrupt:
                outcomes.add("interrupted")
            except RefusedError:
                outcomes.add("refused")
            finally:
                sys.settrace(before)

        with ThreadPoolExecutor(3) as pool:
            leader = pool.submit(lead, flights, runs, interrupter)
            while not runs.count and not leader.done():
                time.sleep(0.0001)
            followers = [pool.submit(follow, flights, runs) for _ in range(2)]
            if not leader.done():
                wait_for_waiters(flights._flights["key"], 2)
            runs.go.set()
            leader.result()
            results = [follower.result() for follower in followers]
        came = interrupter.came

        # A follower that leads the first run, as the leader never came so far, has its error.
        assert {"a document", type(ending)} >= set(results), number
        assert {} == flights._flights, number

    assert outcomes >= {"interrupted"}
    assert number > 20
