"""Seeded schedules of faults at a real TLS server, met by many callers at once.

    python -m tests.e2e.faults.chaos --schedules 500 --seed 7

A schedule is one client and one server whose connections each have a plan of their own (see
``chaos_wire``).  Callers make exchanges in rounds: threads in the blocking world, tasks on
asyncio or uvloop in the other, some of which are cancelled.  Between two rounds the server
does things to the connections at rest.  At last it does everything rightly.

What must hold, whatever happens:

1. A subject token that is good for one use reaches the server once, unless the server said
   that it had not acted on it.
2. A call ends within its deadline and a tenth.
3. A call ends with tokens or with a documented error, and the error is true: what the server
   received is not ``NotSentError``, what it issued is not a refusal, and nothing that may
   have taken effect is safe to retry.
4. Nobody gets another's token.
5. Nothing is left behind: no descriptor, no thread, no task, no place among the connections,
   and no run that others wait for.

It ends with 1 if one of them did not hold.  ``--first N --schedules 1`` plays one schedule
again.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import tempfile
import threading
import time
import traceback
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, evolve, field, frozen

from auth0_tx import (
    AmbiguousError,
    CustomTokenExchangeError,
    CustomTokenExchangeOptions,
    DiscoveryError,
    InvalidResponseError,
    NotSentError,
    RefusedError,
    RetryPolicy,
    TokenExchangeResponse,
)
from auth0_tx.caches import MemoryTokenCache
from tests.e2e.faults.callers import AsyncCaller, BlockingCaller, Caller, options
from tests.e2e.faults.chaos_wire import Arrival, ChaosServer
from tests.e2e.faults.wire_certificates import Certificates
from tests.e2e.faults.wire_keys import ACTOR_OPTIONS, Signer
from tests.e2e.faults.worlds import AsyncWorld, BlockingWorld, World

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop
}
# There is no uvloop for a Python that is new, nor for Windows.
with suppress(ImportError):
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop

AT_ONCE = 10
"""Schedules that are played at the same time: most of them wait most of the time."""

_DOCUMENTED = (
    AmbiguousError,
    DiscoveryError,
    InvalidResponseError,
    NotSentError,
    RefusedError,
)
_DROWSY = 0.005
"""Seconds that a thread may oversleep before it counts as the machine's doing."""

_PATIENCE = 5.0


@frozen(kw_only=True)
class Schedule:
    """One client, one server, and what happens to them.

    Attributes:
        seed: What everything is drawn from.
        loop: The kind of event loop; empty in the blocking world.
        is_given: Whether the client is on a session of the application's.
        is_observed: Whether that session has a trace configuration, which sees requests.
        timeout: Of the client.
        most: How many requests it has on the wire at once.
        callers: How many calls are made at the same time.
        rounds: How often.
        retry: The client's policy.
        is_cached: Whether tokens are cached, and callers share them.
    """

    seed: str
    loop: str
    is_given: bool
    timeout: float
    most: int
    callers: int
    rounds: int
    retry: RetryPolicy
    is_cached: bool
    is_observed: bool

    @property
    def world(self) -> World:
        """Return the world that it is played in."""
        if not self.loop:
            return BlockingWorld()
        return AsyncWorld(LOOPS[self.loop], is_observed=self.is_observed)


def draw_schedule(seed: int, number: int, world: str, wire: str) -> Schedule:
    """Return the schedule with a number, which *seed* decides."""
    name = f"{seed}/{world}/{number}"
    chance = Random(name)
    loop = "" if world == "blocking" else chance.choice(list(LOOPS))
    is_given = chance.random() < 0.4 if wire == "both" else wire == "given"
    return Schedule(
        seed=name,
        loop=loop,
        is_given=is_given,
        timeout=chance.choice((1.0, 1.5, 2.0)),
        most=chance.choice((2, 4, 8)),
        callers=chance.randint(4, 12),
        rounds=chance.randint(2, 4),
        retry=RetryPolicy(
            attempts=chance.choice((1, 3, 3, 4)),
            transient_delay=0.02,
            throttled_delay=0.05,
            longest_delay=1.1,
            retry_503=chance.random() < 0.5,
            budget=chance.choice((0, 50)),
            fail_fast=chance.random() < 0.2,
            blocked_seconds=0.3,
            remember_refusals_seconds=chance.choice((0.0, 60.0)),
        ),
        is_cached=chance.random() < 0.25,
        is_observed=is_given and chance.random() < 0.5,
    )


@frozen
class Call:
    """One call that somebody makes.

    Attributes:
        subject: The part of the subject token that names it.
        options: Of the exchange.
        cancelled_after: Seconds after which its task is cancelled, if it is.
    """

    subject: str
    options: CustomTokenExchangeOptions
    cancelled_after: float | None = None

    @property
    def is_one_use(self) -> bool:
        """Return whether the token may be good for one use."""
        return not self.options.subject_token_reusable


@define
class Ending:
    """How a call ended.

    Attributes:
        call: The call.
        began: When it was made, on the monotonic clock.
        ended: When it ended.
        tokens: What it brought.
        error: What it raised.
    """

    call: Call
    began: float = field(factory=time.monotonic)
    ended: float = 0.0
    tokens: TokenExchangeResponse | None = None
    error: BaseException | None = None

    @property
    def name(self) -> str:
        """Return what kind of end it was."""
        return "tokens" if self.error is None else type(self.error).__name__


@contextmanager
def _note_end(call: Call) -> Iterator[Ending]:
    ending = Ending(call)
    try:
        yield ending
    except Exception as error:
        ending.error = error
    finally:
        ending.ended = time.monotonic()


class LagMeter:
    """Notes when this process did not get to run: that is not the library's delay."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._lags: list[tuple[float, float]] = []
        self._thread = threading.Thread(target=self._measure, daemon=True)
        self._thread.start()

    def _measure(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            time.sleep(_DROWSY)
            ended = time.monotonic()
            if (late := ended - began - _DROWSY) > _DROWSY:
                self._lags.append((ended, late))

    def sum_lags(self, began: float, ended: float) -> float:
        """Return for how long the process stood still between two moments."""
        return sum(late for at, late in list(self._lags) if began <= at <= ended + 0.05)

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()


@define
class Tally:
    """What was played, and what was found.

    Attributes:
        schedules: How many.
        endings: How many calls ended in which way.
        arrivals: How often a subject token reached the server.
        longest: The longest call, in times of its deadline.
        acts: What the servers did.
        findings: What did not hold.
    """

    schedules: int = 0
    endings: Counter[str] = field(factory=Counter)
    arrivals: int = 0
    longest: float = 0.0
    acts: Counter[str] = field(factory=Counter)
    findings: list[str] = field(factory=list)


class Play:
    """One schedule, as it is played."""

    def __init__(
        self,
        schedule: Schedule,
        certificates: Certificates,
        signer: Signer,
        lags: LagMeter,
    ) -> None:
        self._schedule = schedule
        self._chance = Random(f"calls of {schedule.seed}")
        self._lags = lags
        self._numbers = iter(range(10**6))
        self._stack = ExitStack()
        self.findings: list[str] = []
        self.endings: list[Ending] = []
        self.server = ChaosServer(
            certificates.good(),
            schedule.seed,
            signer,
            is_brisk=schedule.is_given and not schedule.loop,
            begins_tls=schedule.is_given and schedule.loop == "uvloop",
        )
        self._stack.callback(self.server.stop)
        keywords: dict[str, Any] = {
            "timeout": schedule.timeout,
            "max_connections": schedule.most,
            "retry": schedule.retry,
            "own_session": schedule.is_given,
        }
        if schedule.is_cached:
            keywords["token_cache"] = MemoryTokenCache()
        self._caller: Caller = schedule.world.caller(
            self.server.domain, certificates.ca_file, **keywords
        )

    def run(self) -> None:
        """Play all rounds, judge how the calls ended, and end everything."""
        schedule, chance = self._schedule, self._chance
        with self._stack:
            try:
                for _ in range(schedule.rounds):
                    self._play_round()
                    self._caller.rest(0.03)
                    self.server.disturb_resting()
                    # An event loop that stands still has not seen what happened.
                    self._caller.rest(chance.choice((0.0, 0.03)))
                self._judge()
                self._make_calm()
                self._find_tasks()
            finally:
                if schedule.is_given:
                    # Lets go of what the session's own connector still waits for.
                    self.server.drop_connections()
                    self._caller.rest(0.05)
                self._caller.close()

    def _find(self, finding: str) -> None:
        schedule = self._schedule
        wire = "given" if schedule.is_given else "own"
        wire = "observed" if schedule.is_observed else wire
        self.findings.append(
            f"{schedule.seed} ({schedule.loop or 'threads'}, {wire} session): {finding}"
        )

    def _tell(self, call: Call) -> str:
        """Return what the server knows of *call*."""
        history = {
            arrival.connection: self.server.history[arrival.connection]
            for arrival in self.server.arrivals
            if arrival.subject == call.subject
        }
        kind = "one use" if call.is_one_use else "reusable"
        return f"{call.subject} ({kind}), connections: {history}"

    def _play_round(self) -> None:
        chance = self._chance
        if self._schedule.is_cached:
            # Two callers share each token.
            count = (self._schedule.callers + 1) // 2
            calls = [self._draw_call(is_shared=True) for _ in range(count)] * 2
        else:
            calls = [self._draw_call() for _ in range(self._schedule.callers)]
        if chance.random() < 0.1:
            # Nobody listens when the round begins.
            self.server.go_down()
            timer = threading.Timer(0.15, self.server.come_up)
            timer.start()
            self.endings += self._perform(calls)
            timer.join()
        else:
            self.endings += self._perform(calls)

    def _draw_call(self, *, is_shared: bool = False) -> Call:
        chance = self._chance
        subject = f"user.{next(self._numbers)}"
        padding = "x" * chance.choice((8, 8, 8, 2_000, 40_000))
        changes: dict[str, Any] = dict(ACTOR_OPTIONS) if chance.random() < 0.2 else {}
        is_cancelled = bool(self._schedule.loop) and chance.random() < 0.08
        return Call(
            subject,
            options(
                subject_token=f"{subject}-{padding}",
                subject_token_reusable=is_shared or chance.random() < 0.4,
                **changes,
            ),
            chance.random() * self._schedule.timeout if is_cancelled else None,
        )

    def _perform(self, calls: Sequence[Call]) -> list[Ending]:
        """Make all calls at the same time."""
        caller = self._caller
        if isinstance(caller, BlockingCaller):
            client = caller.client

            def make_call(call: Call) -> Ending:
                with _note_end(call) as ending:
                    ending.tokens = client.custom_token_exchange(call.options)
                return ending

            with ThreadPoolExecutor(len(calls)) as pool:
                return list(pool.map(make_call, calls))
        assert isinstance(caller, AsyncCaller)
        async_client = caller.client

        async def make_async_call(call: Call) -> Ending:
            with _note_end(call) as ending:
                async with asyncio.timeout(call.cancelled_after):
                    ending.tokens = await async_client.custom_token_exchange(
                        call.options
                    )
            return ending

        async def make_calls() -> list[Ending]:
            return await asyncio.gather(*map(make_async_call, calls))

        return caller.run(make_calls())

    # -- what must hold ----------------------------------------------------------------

    def _judge(self) -> None:
        """Compare how the calls ended with what the server knows."""
        arrivals: dict[str, list[Arrival]] = {}
        for arrival in self.server.arrivals:
            arrivals.setdefault(arrival.subject, []).append(arrival)
        for ending in self.endings:
            arrived = arrivals.get(ending.call.subject, [])
            self._judge_sends(ending.call, arrived)
            self._judge_time(ending)
            self._judge_ending(ending, arrived)

    def _judge_sends(self, call: Call, arrived: list[Arrival]) -> None:
        if call.is_one_use and not all(each.invites for each in arrived[:-1]):
            self._find(f"sent again: {self._tell(call)}")
        if (
            len(arrived) > self._schedule.retry.attempts
            and not self._schedule.is_cached
        ):
            self._find(f"sent {len(arrived)} times: {self._tell(call)}")

    def _judge_time(self, ending: Ending) -> None:
        took = ending.ended - ending.began
        lag = self._lags.sum_lags(ending.began, ending.ended)
        # Where the machine stood still, the call and what it waited for did.
        if took > 1.1 * self._schedule.timeout + 2 * lag:
            self._find(
                f"took {took:.3f} of {self._schedule.timeout} s (the machine stood still "
                f"for {lag:.3f} s): {ending.error!r}, {self._tell(ending.call)}"
            )

    def _judge_ending(self, ending: Ending, arrived: list[Arrival]) -> None:
        call, error = ending.call, ending.error
        if error is None:
            assert ending.tokens is not None
            token = str(ending.tokens.access_token)
            if token != f"for-{call.options.subject_token}":
                self._find(f"{call.subject} got the token {token[:40]!r}")
            return
        if isinstance(error, TimeoutError) and call.cancelled_after is not None:
            return
        if not isinstance(error, _DOCUMENTED):
            self._find(f"{error!r}: {self._tell(call)}")
            return
        assert isinstance(error, CustomTokenExchangeError)
        if not self._is_true(error, call, arrived):
            self._find(f"untrue: {error!r} {error.phase}, {self._tell(call)}")

    def _is_true(
        self, error: CustomTokenExchangeError, call: Call, arrived: list[Arrival]
    ) -> bool:
        """Return whether *error* says nothing but what the server knows."""
        acted = [each for each in arrived if not each.invites]
        issued = [each for each in arrived if each.issued]
        # Of those who share a token, one may send it after another's call has failed.
        is_unsent = isinstance(error, (NotSentError, DiscoveryError))
        if is_unsent and acted and not self._schedule.is_cached:
            return False
        if isinstance(error, RefusedError) and issued and call.is_one_use:
            return False
        if error.retry_safe and issued and call.is_one_use:
            return False
        told = {each.status for each in arrived}
        # A wait or a refusal that this client met before is told again, unsent; to one of
        # those who share a token, though another has sent it.
        is_unacted = not acted or self._schedule.is_cached
        is_told_again = isinstance(error, RefusedError) and is_unacted
        if error.phase != "discover" and error.status is not None:
            # The head was answered before the body was read.
            return error.status in told or is_told_again or error.status == 429
        return True

    def _make_calm(self) -> None:
        """Have the server do everything rightly, and see that all places are there."""
        self.server.is_calm = True
        self._caller.rest(0.05)
        until = time.monotonic() + _PATIENCE
        while (ending := self._perform([self._draw_plain_call()])[0]).error is not None:
            # A wait that the server asked for, or that a probe is given, may not be over.
            if time.monotonic() > until:
                self._find(
                    f"does not recover: {ending.error!r}, {self._tell(ending.call)}"
                )
                return
            self._caller.rest(0.1)
        # A machine that is busy may make a call late, and no more than that.
        for _ in range(3):
            failures = self._fill_all_places()
            if not failures:
                return
            self._caller.rest(0.2)
        for failure in failures:
            self._find(failure)

    def _fill_all_places(self) -> list[str]:
        """Make as many calls as there are places, which are granted when all are there."""
        most = self._schedule.most
        self.server.gather(most, within=0.8 * self._schedule.timeout)
        calls = [self._draw_plain_call() for _ in range(most)]
        failures = []
        for ending in self._perform(calls):
            tells = self._tell(ending.call)
            if ending.error is not None or ending.tokens is None:
                failures.append(f"does not recover: {ending.error!r}, {tells}")
            elif ending.tokens.act is None:
                failures.append(f"has no keys: {ending.tokens.act_error!r}, {tells}")
        assert self.server.gathering is not None
        if self.server.gathering.broken:
            failures.append(f"not all of {most} places are there any more")
        return failures

    def _draw_plain_call(self) -> Call:
        call = self._draw_call()
        return evolve(
            call,
            options=evolve(call.options, subject_token_reusable=False, **ACTOR_OPTIONS),
            cancelled_after=None,
        )

    def _find_tasks(self) -> None:
        caller = self._caller
        if not isinstance(caller, AsyncCaller):
            return

        async def find_others() -> set[str]:
            until = time.monotonic() + _PATIENCE
            while True:
                others = asyncio.all_tasks() - {asyncio.current_task()}
                if not others or time.monotonic() > until:
                    return {str(task) for task in others}
                await asyncio.sleep(0.02)

        for task in caller.run(find_others()):
            self._find(f"left behind: {task}")


# -- many schedules ----------------------------------------------------------------------


def list_descriptors() -> set[str]:
    """Return what this process has open."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.add(f"{name}: {os.readlink(f'/proc/self/fd/{name}')}")
    return found


@contextmanager
def watch_leaks(findings: list[str]) -> Iterator[None]:
    """Note descriptors and threads that the block leaves, and errors that nobody saw."""
    gc.collect()
    descriptors, threads = list_descriptors(), set(threading.enumerate())
    raised: list[str] = []
    hooks = sys.unraisablehook, threading.excepthook
    sys.unraisablehook = lambda told: raised.append(
        f"{told.exc_value!r} in {told.object!r}"
    )
    threading.excepthook = lambda told: raised.append(
        "in a thread: " + "".join(traceback.format_exception(told.exc_value))
    )
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield
            gc.collect()
    finally:
        sys.unraisablehook, threading.excepthook = hooks
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        left = list_descriptors() - descriptors
        running = {t for t in set(threading.enumerate()) - threads if t.is_alive()}
        if not left and not running:
            break
        time.sleep(0.02)
    findings += [f"descriptor left behind: {each}" for each in left]
    findings += [f"thread left behind: {each}" for each in running]
    findings += [
        f"warning: {each.message}{_find_origin(each)}"
        for each in warned
        if not _is_of_python(str(each.message))
    ]
    findings += raised


def _is_of_python(warning: str) -> bool:
    """Return whether it is about a socket that Python's own ssl leaves to be freed.

    Up to 3.13 it does so where a connection was reset before TLS begins, and nobody else
    has the socket by then.  It is freed with the exception.
    """
    return warning.startswith("unclosed <ssl.SSLSocket") and "raddr" not in warning


def _find_origin(warned: warnings.WarningMessage) -> str:
    """Return where what was not closed was made, under ``python -X tracemalloc=20``."""
    made = tracemalloc.get_object_traceback(warned.source) if warned.source else None
    return "\n".join(("", *made.format())) if made else ""


def play_schedules(
    schedules: Sequence[Schedule], at_once: int = AT_ONCE, told: bool = False
) -> Tally:
    """Play schedules, so many at the same time, and see that nothing is left behind."""
    for new_loop in LOOPS.values():
        # libuv makes one pipe for the whole process with the first loop.
        new_loop().close()
    tally = Tally()
    signer = Signer("chaos")
    lags = LagMeter()
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates(Path(folder))
        certificates.good()
        for at in range(0, len(schedules), at_once):
            batch = schedules[at : at + at_once]
            left: list[str] = []
            with watch_leaks(left), ThreadPoolExecutor(len(batch)) as pool:
                plays = [Play(each, certificates, signer, lags) for each in batch]
                list(pool.map(Play.run, plays))
            seeds = f"{batch[0].seed} to {batch[-1].seed}"
            tally.findings += [f"{seeds}: {each}" for each in left]
            for schedule, play in zip(batch, plays, strict=True):
                _add(tally, schedule, play)
            if told:
                print(
                    f"  {tally.schedules} schedules, {len(tally.findings)} findings",
                    flush=True,
                )
    lags.stop()
    return tally


def _add(tally: Tally, schedule: Schedule, play: Play) -> None:
    tally.schedules += 1
    tally.endings.update(ending.name for ending in play.endings)
    tally.arrivals += len(play.server.arrivals)
    tally.acts.update(act for acts in play.server.history.values() for act in acts)
    tally.findings += play.findings
    for ending in play.endings:
        tally.longest = max(
            tally.longest, (ending.ended - ending.began) / schedule.timeout
        )


def main(arguments: list[str]) -> int:
    """Play schedules; return 1 if something happened that must not."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.faults.chaos")
    parser.add_argument("--schedules", type=int, default=500)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    parser.add_argument("--first", type=int, default=0, help="the first one's number")
    parser.add_argument(
        "--world", choices=("blocking", "asyncio", "both"), default="both"
    )
    parser.add_argument("--wire", choices=("own", "given", "both"), default="both")
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    given = parser.parse_args(arguments)
    # The environment must say nothing of proxies or authorities.
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        os.environ.pop(name, None)
    failed = 0
    for world in ("blocking", "asyncio") if given.world == "both" else [given.world]:
        print(f"{world}, seed {given.seed}", flush=True)
        numbers = range(given.first, given.first + given.schedules)
        began = time.monotonic()
        tally = play_schedules(
            [draw_schedule(given.seed, n, world, given.wire) for n in numbers],
            given.at_once,
            told=True,
        )
        print(
            f"{tally.schedules} schedules in {time.monotonic() - began:.0f} s, "
            f"{tally.endings.total()} calls, {tally.arrivals} grants arrived, "
            f"the longest call took {tally.longest:.2f} of its time"
        )
        for name, count in tally.endings.most_common():
            print(f"  {count:6d} {name}")
        for finding in tally.findings:
            print(f"  FOUND {finding}")
        failed += len(tally.findings)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
