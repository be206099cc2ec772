"""Single flight among tasks: one run for all, whoever is cancelled, fails or is late."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from auth0_tx import MfaRequiredError, NotSentError, RefusedError
from auth0_tx.core.effects import Flow, Share
from auth0_tx.shells.task_flights import TaskFlights

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
        self.count = self.cancelled = 0
        self.go = asyncio.Event()

    async def __call__(self, flow: Flow[Any]) -> Any:
        """Run once."""
        flow.close()
        ending = self._endings[min(self.count, len(self._endings) - 1)]
        self.count += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(ending, BaseException):
            raise ending
        return ending


async def start(
    flights: TaskFlights, runs: Runs, count: int = FOLLOWERS + 1
) -> list[asyncio.Task[Any]]:
    """Have so many tasks wish for the same; the first one leads."""
    tasks = [asyncio.create_task(flights.share(share(), runs)) for _ in range(count)]
    while not runs.count:
        await asyncio.sleep(0)
    return tasks


async def test_one_run_for_all() -> None:
    """All get what one run brought, and nothing is kept of it."""
    flights, runs = TaskFlights(), Runs("a document")
    tasks = await start(flights, runs)
    runs.go.set()

    assert ["a document"] * (FOLLOWERS + 1) == await asyncio.gather(*tasks)
    assert 1 == runs.count
    assert {} == flights._flights


async def test_a_run_that_fails() -> None:
    """One of those who waited tries again; only the one who led learns of the failure."""
    flights, runs = TaskFlights(), Runs(RefusedError("no"), "a document")
    tasks = await start(flights, runs)
    runs.go.set()
    led, *followed = await asyncio.gather(*tasks, return_exceptions=True)

    assert RefusedError is type(led)
    assert ["a document"] * FOLLOWERS == followed
    assert 2 == runs.count


async def test_runs_that_all_fail() -> None:
    """The second failure is everyone's, and each has an error of its own."""
    flights, runs = TaskFlights(), Runs(RefusedError("no"))
    tasks = await start(flights, runs)
    runs.go.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert 2 == runs.count
    assert [RefusedError] * (FOLLOWERS + 1) == [type(outcome) for outcome in outcomes]
    assert FOLLOWERS + 1 == len(set(map(id, outcomes)))


async def test_a_failure_that_is_not_ours() -> None:
    """What is no error of the library's is a bug, and is raised as it is."""
    bug = ZeroDivisionError("a bug")
    flights, runs = TaskFlights(), Runs(bug)
    runs.go.set()
    with pytest.raises(ZeroDivisionError) as caught:
        await flights.share(share(), runs)

    assert bug is caught.value


async def test_a_leader_that_is_cancelled() -> None:
    """The run goes on for those who wait for it though who began it is cancelled."""
    flights, runs = TaskFlights(), Runs("a document")
    leader, *others = await start(flights, runs)
    leader.cancel()
    await asyncio.wait({leader})
    runs.go.set()

    assert ["a document"] * FOLLOWERS == await asyncio.gather(*others)
    assert leader.cancelled()
    assert (1, 0) == (runs.count, runs.cancelled)


async def test_all_cancelled() -> None:
    """The run ends with the last who waits for it, and has ended when that one goes on."""
    flights, runs = TaskFlights(), Runs("a document")
    tasks = await start(flights, runs)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

    assert (1, 1) == (runs.count, runs.cancelled)
    assert {} == flights._flights


async def test_who_comes_while_a_run_is_being_cancelled() -> None:
    """A newcomer to a run that nobody else waits for any more starts another."""
    flights, runs = TaskFlights(), Runs("a document")
    (leader,) = await start(flights, runs, 1)
    leader.cancel()
    newcomer = asyncio.create_task(flights.share(share(), runs))
    runs_before = runs.count
    await asyncio.wait({leader})
    while runs.count == runs_before and not newcomer.done():
        await asyncio.sleep(0)
    runs.go.set()

    assert "a document" == await newcomer


async def test_cancelled_twice() -> None:
    """Who is cancelled again while the run ends goes at once, and another may follow."""
    flights, ends = TaskFlights(), asyncio.Event()

    async def reluctant(flow: Flow[Any]) -> str:
        flow.close()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await ends.wait()
            raise
        return "never"

    task = asyncio.create_task(flights.share(share(), reluctant))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    runs = Runs("a document")
    runs.go.set()
    next_one = asyncio.create_task(flights.share(share(), runs))
    await asyncio.sleep(0.01)
    ends.set()

    assert task.cancelled()
    assert "a document" == await next_one


async def test_who_waits_keeps_its_own_deadline() -> None:
    """A task waits for another's run no longer than it has time itself."""
    flights, runs = TaskFlights(), Runs("a document")
    (leader,) = await start(flights, runs, 1)
    with pytest.raises(NotSentError) as caught:
        await flights.share(share(seconds=0.05), runs)
    runs.go.set()

    assert "timeout" == caught.value.code
    assert "a document" == await leader
    assert (1, 0) == (runs.count, runs.cancelled)


async def test_a_run_that_nobody_has_time_for() -> None:
    """A run that lasts beyond the last deadline is ended, and not begun again."""
    flights, runs = TaskFlights(), Runs("a document")
    with pytest.raises(NotSentError) as caught:
        await flights.share(share(seconds=0.05), runs)

    assert "timeout" == caught.value.code
    assert (1, 1) == (runs.count, runs.cancelled)
    assert {} == flights._flights


async def test_the_leaders_error() -> None:
    """The leader's error has all that the run's has, a second factor's token among it."""
    flights = TaskFlights()
    runs = Runs(MfaRequiredError("more").with_mfa("the-mfa-token", {"challenge": []}))
    runs.go.set()
    with pytest.raises(MfaRequiredError) as caught:
        await flights.share(share(), runs)

    assert "the-mfa-token" == caught.value.mfa_token
    assert {"challenge": []} == caught.value.mfa_requirements


def lasting(seconds: float = 60.0) -> Share[Any]:
    """Wish for what a run brings that outlives its callers."""
    return Share("key", flow, time.monotonic() + seconds, outlives_callers=True)


async def abandon(flights: TaskFlights, runs: Runs, seconds: float = 60.0) -> None:
    """Begin a run that outlives its callers, and cancel the only one."""
    task = asyncio.create_task(flights.share(lasting(seconds), runs))
    while not runs.count:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_a_run_that_outlives_its_callers() -> None:
    """It goes on when the last caller is cancelled, and the next caller joins it."""
    flights, runs = TaskFlights(), Runs("a document")
    await abandon(flights, runs)
    newcomer = asyncio.create_task(flights.share(lasting(), runs))
    await asyncio.sleep(0)
    runs.go.set()

    assert "a document" == await newcomer
    assert (1, 0) == (runs.count, runs.cancelled)
    assert {} == flights._flights


async def test_a_run_that_ends_for_nobody() -> None:
    """A run whose callers have left is kept until its end, and forgotten then."""
    flights, runs = TaskFlights(), Runs(RefusedError("no"))
    await abandon(flights, runs)
    (flight,) = flights._flights.values()
    runs.go.set()
    await asyncio.wait({flight.task})
    await asyncio.sleep(0)

    assert {} == flights._flights
    assert (1, 0) == (runs.count, runs.cancelled)


async def test_a_run_that_outlives_a_deadline() -> None:
    """A caller whose time is up leaves it to run on."""
    flights, runs = TaskFlights(), Runs("a document")
    with pytest.raises(NotSentError):
        await flights.share(lasting(seconds=0.05), runs)
    newcomer = asyncio.create_task(flights.share(lasting(), runs))
    await asyncio.sleep(0)
    runs.go.set()

    assert "a document" == await newcomer
    assert (1, 0) == (runs.count, runs.cancelled)


async def test_finish() -> None:
    """Finishing waits for what outlives its callers, and for nothing else."""
    flights, runs, others = TaskFlights(), Runs("a document"), Runs("another")
    await abandon(flights, runs)
    other = asyncio.create_task(flights.share(share("other"), others))
    await asyncio.sleep(0)
    finishing = asyncio.create_task(flights.finish())
    await asyncio.sleep(0.01)
    assert not finishing.done()
    runs.go.set()
    await finishing

    assert (1, 0) == (runs.count, runs.cancelled)
    assert not other.done()
    other.cancel()
    await asyncio.wait({other})


async def test_finish_at_the_deadline() -> None:
    """A run that misses its deadline is ended."""
    flights, runs = TaskFlights(), Runs("a document")
    await abandon(flights, runs, seconds=0.05)
    await flights.finish()

    assert (1, 1) == (runs.count, runs.cancelled)
    assert {} == flights._flights


async def test_finish_within_a_run() -> None:
    """A run that finishes the flights itself does not wait for itself."""
    flights = TaskFlights()

    async def finish(flow: Flow[Any]) -> str:
        flow.close()
        await flights.finish()
        return "finished"

    assert "finished" == await flights.share(lasting(), finish)


def test_the_end_of_an_event_loop() -> None:
    """An event loop that ends ends the runs on it, without a word."""
    runs: list[Runs] = []

    async def main() -> None:
        flights, run = TaskFlights(), Runs("a document")
        runs.append(run)
        await abandon(flights, run)

    asyncio.run(main())

    assert [(1, 1)] == [(run.count, run.cancelled) for run in runs]
