"""The lock of a stored session: one refresh at a time, as long as its holder needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import attrs
import pytest

from auth0_tx.core.effects import Invoke, Request, Response, Send
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.core.flows.session_keeper import Session
from auth0_tx.core.flows.session_lock import SessionLock
from auth0_tx.core.flows.stored_sessions import StoredSessions
from auth0_tx.core.session.lock import LOCK_SECONDS, split_mark
from auth0_tx.errors import AmbiguousError, LoginRequiredError, NotSentError, StoreError
from auth0_tx.errors import CustomTokenExchangeErrorCode as Code
from auth0_tx.stores import MemoryStore
from auth0_tx.values import RetryPolicy
from tests.core.browser import (
    Browser,
    LateStore,
    build_session_client,
    log_in,
    read_session,
)
from tests.core.id_tokens import build_jwks_response, sign_id_token
from tests.core.stepping import Process, Run, World
from tests.core.world import TOKEN_ENDPOINT, Clock, build_refusal, build_response

ONCE = RetryPolicy(attempts=1)


class Server:
    """Issues numbered tokens; each refresh token is good for one use.

    Attributes:
        sent: the refresh tokens that it was sent.
        seconds: how long an answer takes.
        overlaps: whether it takes a refresh token again, as within Auth0's overlap period.
        has_id_tokens: whether an ID token comes with each refresh.
        issued: how many refresh tokens it issued.
        answers: what it answers instead, in turn.
    """

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.seconds = 0.1
        self.overlaps = self.has_id_tokens = False
        self.issued = 0
        self.answers: list[Response | BaseException] = []

    def __call__(self, request: Request) -> Response | BaseException:
        """Answer a refresh."""
        if request.url != TOKEN_ENDPOINT:
            return build_jwks_response("key-1")
        form = dict(parse_qsl((request.body or b"").decode()))
        self.sent.append(form["refresh_token"])
        if self.answers:
            return self.answers.pop(0)
        if self.sent.count(form["refresh_token"]) > 1 and not self.overlaps:
            return build_refusal(403, "invalid_grant")
        number = len(self.sent) + 1
        self.issued += 1
        members = {"id_token": sign_id_token()} if self.has_id_tokens else {}
        return build_response(
            {
                **members,
                "access_token": f"a-{number}",
                "refresh_token": f"r-{number}",
                "token_type": "Bearer",
                "expires_in": 3_600,
            }
        )


@attrs.define(eq=False)
class Site:
    """A user who is logged in at several processes that share a store."""

    clock: Clock
    server: Server
    store: LateStore
    world: World
    browser: Browser
    processes: list[Process]

    @property
    def key(self) -> str:
        """The key of the session."""
        (key,) = self.store.list_sessions()
        return key

    @property
    def mark(self) -> bytes:
        """The mark that is stored behind the session."""
        return split_mark(self.store.values[self.key][0])[1]

    def ask(self, number: int = 0, **wanted: Any) -> Run:
        """Ask for a token in a process."""
        process = self.processes[number]
        request = self.browser.request()
        return process.start(get_access_token(process.context, request, **wanted))

    def read(self) -> dict[str, Any]:
        """Return the session, as another process sees it."""
        session = read_session(self.processes[-1].context, self.browser)
        assert session is not None
        return session


@pytest.fixture
def site(clock: Clock) -> Site:
    """A session whose access token has expired, and three processes."""
    server, store, browser = Server(), LateStore(clock), Browser()
    world = World(clock, server, lambda: server.seconds)
    processes = [
        world.add(
            build_session_client(clock, state_store=store, retry=ONCE, timeout=10.0)
        )
        for _ in range(3)
    ]
    for number, process in enumerate(processes):
        _name_locks(process, f"process-{number}")
    log_in(processes[0].context, browser, {"refresh_token": "r-1", "expires_in": 60})
    clock.wait(60)
    store.calls.clear()
    return Site(clock, server, store, world, browser, processes)


def _name_locks(process: Process, name: str) -> None:
    new_id, context = process.context.new_id, process.context
    process.context = attrs.evolve(context, new_id=lambda: f"{name}-{new_id()}")


def is_sending(run: Run) -> bool:
    """Return whether the request of a run's flight is under way."""
    return any(
        isinstance(other.effect, Send) and other.wakes_at > other.process.world.clock()
        for other in run.process.runs
    )


def test_commands(site: Site) -> None:
    """A refresh takes three commands: read, lock, and save with unlock in one."""
    run = site.ask()
    site.world.finish()

    assert ("a-2", b"") == (run.result, site.mark)
    assert ["get", "set", "set"] == site.store.calls
    assert "r-2" == site.read()["refresh_token"]


def test_commands_of_a_failure(site: Site) -> None:
    """A refresh that fails releases the lock by one command."""
    site.server.answers = [AmbiguousError("the answer was lost")]
    run = site.ask()
    site.world.finish()

    assert isinstance(run.error, AmbiguousError)
    assert b"" == site.mark
    assert ["get", "set", "set"] == site.store.calls


def test_whole_deadline(site: Site) -> None:
    """A refresh has the whole time of its call."""
    run = site.ask()
    deadline = site.clock() + 10.0
    site.world.finish()
    sends = [each for each in list_performed(site) if isinstance(each, Send)]

    assert "a-2" == run.result
    assert [deadline] == [send.deadline for send in sends]


def list_performed(site: Site) -> list[Any]:
    """Return the effects of all runs under way, and of those they shared."""
    return [
        effect
        for process in site.world.processes
        for run in process.every_run
        for effect in run.performed
    ]


def test_wait_for_another_process(site: Site) -> None:
    """Who waits reads, writes nothing, and gets what the holder brings."""
    site.server.seconds = 8.0
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    site.store.calls.clear()
    others = [site.ask(1), site.ask(2), site.ask(2)]
    site.world.finish()

    assert ["a-2"] * 4 == [run.result for run in (first, *others)]
    assert ["r-1"] == site.server.sent
    # Eight renewals, or seven, and the save.
    assert 8 <= site.store.calls.count("set") <= 9
    assert b"" == site.mark


def test_holder_that_fails(site: Site) -> None:
    """If the holder fails, who waits refreshes at once."""
    site.server.answers = [AmbiguousError("the answer was lost")]
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    second, started = site.ask(1), site.clock()
    site.world.finish()

    assert isinstance(first.error, AmbiguousError)
    # The refresh token was sent before, and this server takes that for theft.
    assert ["r-1", "r-1"] == site.server.sent
    assert isinstance(second.error, LoginRequiredError)
    assert site.clock() - started < 0.5


def test_deadline_of_who_waits(site: Site) -> None:
    """Who waits for a holder that lives gives up at its own deadline, with nothing sent."""
    site.server.seconds = 9.9
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    hasty = site.processes[1]
    object.__setattr__(
        hasty.context, "settings", attrs.evolve(hasty.context.settings, timeout=3.0)
    )
    second, started = site.ask(1), site.clock()
    site.world.run_until(lambda: second.has_ended)
    waited = site.clock() - started
    site.world.finish()

    assert isinstance(second.error, NotSentError)
    assert (True, "timeout") == (second.error.retry_safe, second.error.code)
    assert 3.0 <= waited < 3.1
    assert ("a-2", ["r-1"]) == (first.result, site.server.sent)


def test_holder_that_died(site: Site) -> None:
    """A holder that was killed is succeeded after four seconds of the waiter's clock."""
    first = site.ask(0)
    site.server.overlaps = True
    site.world.run_until(lambda: is_sending(first))
    site.processes[0].kill()
    second, started = site.ask(1), site.clock()
    site.world.finish()

    assert "a-3" == second.result
    assert LOCK_SECONDS <= site.clock() - started < LOCK_SECONDS + 0.5
    assert b"" == site.mark
    assert "r-3" == site.read()["refresh_token"]


def test_short_calls_after_a_holder_that_died(site: Site) -> None:
    """Calls that each wait for less than four seconds succeed it, too, as one long call would."""
    first = site.ask(0)
    site.server.overlaps = True
    site.world.run_until(lambda: is_sending(first))
    site.processes[0].kill()
    hasty = site.processes[1]
    object.__setattr__(
        hasty.context, "settings", attrs.evolve(hasty.context.settings, timeout=1.0)
    )
    started, late = site.clock(), 0
    while (call := site.ask(1)) and (site.world.finish() or call.error is not None):
        assert isinstance(call.error, NotSentError)
        late += 1
        assert late < 10

    assert "a-3" == call.result
    assert 3 == late
    assert LOCK_SECONDS <= site.clock() - started < LOCK_SECONDS + 0.5
    assert b"" == site.mark


def test_lock_of_a_holder_that_died(site: Site) -> None:
    """A mark that a dead holder left hinders nobody else: uses are noted beside it."""
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    site.processes[0].kill()
    mark = site.mark
    site.clock.wait(10_000)
    used_at = site.clock()
    site.read()
    site.clock.wait(1)

    assert mark == site.mark
    assert split_mark(site.store.values[site.key][0])[0] != b""
    (until,) = {until for _, until in site.store.values.values()}
    assert until > used_at + 80_000


def test_holder_that_stands_still(site: Site) -> None:
    """A process that stands still for two seconds keeps its lock."""
    site.server.seconds = 3.0
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    second = site.ask(1)
    site.processes[0].stands_until = site.clock() + 2.0
    site.world.finish()

    assert ("a-2", "a-2") == (first.result, second.result)
    assert ["r-1"] == site.server.sent


@pytest.mark.parametrize("seconds", [8.0, 4.6], ids=["saved", "under way"])
def test_holder_that_is_succeeded(site: Site, seconds: float) -> None:
    """What a holder brings that stood still for too long is merged; the newest token stays."""
    site.server.overlaps, site.server.seconds = True, 1.5
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    # Until its successor has saved, or waits for the server.
    site.processes[0].stands_until = site.clock() + seconds
    second = site.ask(1)
    site.world.finish()
    assert (None, None) == (first.error, second.error)

    assert ("a-2", "a-3") == (first.result, second.result)
    # Whoever saves first: the other's was issued for a token that is spent.
    assert ("r-3" if seconds == 8.0 else "r-2") == site.read()["refresh_token"]
    assert b"" == site.mark


def test_refusal_after_a_successor(site: Site) -> None:
    """A holder whose token is refused, as its successor has spent it, gets the successor's."""
    site.server.overlaps = True
    site.server.answers = [build_refusal(403, "invalid_grant")]
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    site.processes[0].stands_until = site.clock() + 8.0
    second = site.ask(1)
    site.world.finish()

    assert ("a-3", "a-3") == (first.result, second.result)
    assert "r-3" == site.read()["refresh_token"]
    assert b"" == site.mark


def test_session_that_ends_meanwhile(site: Site) -> None:
    """A holder that finds the session ended does not bring it back, and renews nothing."""
    site.server.seconds = 5.0
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    site.store.delete(site.key)
    site.store.calls.clear()
    site.world.finish()

    assert "a-2" == first.result
    assert {} == site.store.values
    # One renewal, a look, the save, a look.
    assert ["set", "get", "set", "get"] == site.store.calls


def test_session_that_ends_before_the_lock(site: Site) -> None:
    """Who waits for a session that ends sends nothing."""
    site.server.seconds = 2.0
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    second = site.ask(1)
    site.world.run_until(lambda: "get" in site.store.calls[-2:])
    site.store.delete(site.key)
    site.world.finish()

    assert isinstance(second.error, LoginRequiredError)
    assert ["r-1"] == site.server.sent


def test_write_of_another(site: Site) -> None:
    """A write beside the lock keeps the lock, stays, and does not end renewals."""
    site.server.seconds = 3.5
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    mark = site.mark
    # Notes the use.
    site.clock.wait(10_000)
    for run in site.processes[0].runs:
        run.wakes_at = max(run.wakes_at, site.clock() + 3.5)
    site.read()
    noted, _ = split_mark(site.store.values[site.key][0])

    assert mark == site.mark
    site.world.run_until(lambda: mark != site.mark)
    assert noted == split_mark(site.store.values[site.key][0])[0]
    site.world.finish()
    assert ("a-2", "r-2") == (first.result, site.read()["refresh_token"])


@pytest.mark.parametrize("word", ["failing", "lost"])
def test_renewal_that_fails(site: Site, word: str) -> None:
    """A renewal that fails, before or after it took effect, is made up for by the next."""
    site.server.seconds = 3.5
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    mark = site.mark
    getattr(site.store, word).append("set")
    second = site.ask(1)
    site.world.finish()

    assert ("a-2", "a-2") == (first.result, second.result)
    assert b"" == site.mark != mark
    assert ["r-1"] == site.server.sent


def test_save_after_a_lost_renewal(site: Site) -> None:
    """A save whose beat is out of date, as the renewal's answer was lost, finds its own mark."""
    site.server.seconds = 1.5
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    site.store.lost.append("set")
    site.store.calls.clear()
    site.world.finish()

    assert ("a-2", b"") == (first.result, site.mark)
    # The renewal, the save in vain, a look, the save.
    assert ["set", "set", "get", "set"] == site.store.calls


def begin_renewal(site: Site) -> Run:
    """Return the first renewal of a lock, when its command is about to leave."""
    process = site.processes[0]
    site.world.run_until(lambda: is_sending(process.runs[0]))
    (companion,) = process._companions
    site.clock.now = companion.due
    process.list_ready(site.clock())
    return process.runs[-1]


@pytest.mark.parametrize("seconds", [0.8, 5.0], ids=["slow", "hanging"])
def test_save_during_a_renewal(site: Site, seconds: float) -> None:
    """A save waits a second for the renewal under way, and no other begins meanwhile."""
    site.server.seconds = 1.1
    first = site.ask(0)
    renewal = begin_renewal(site)
    renewal.wakes_at = site.clock() + seconds
    site.store.calls.clear()
    site.world.run_until(lambda: first.has_ended)
    ended = renewal.has_ended
    site.world.finish()

    assert ("a-2", b"") == (first.result, site.mark)
    assert "r-2" == site.read()["refresh_token"]
    if ended:
        # The renewal, then the save, which knows of it.
        assert ["set", "set"] == site.store.calls[:2]
    assert ended is (seconds < 1)


def test_renewal_after_a_save(site: Site) -> None:
    """A renewal that is due when the save has begun changes nothing."""
    site.server.seconds = 0.9
    first = site.ask(0)
    process = site.processes[0]
    site.world.run_until(lambda: is_sending(first))
    (companion,) = process._companions
    site.world.run_until(lambda: isinstance(process.runs[-1].effect, Invoke))
    site.store.calls.clear()
    process._begin_companion(companion)
    renewal = process.every_run[-1]
    site.world.finish()

    assert [] == renewal.performed
    assert ("a-2", ["set"]) == (first.result, site.store.calls)


@pytest.mark.parametrize("times", [1, 2])
def test_lock_whose_answer_is_lost(site: Site, times: int) -> None:
    """A lock that was taken although the answer was lost is taken; otherwise nothing is sent."""
    site.store.lost = ["set"] * times
    first = site.ask(0)
    site.world.finish()

    if times == 1:
        assert "a-2" == first.result
    else:
        assert isinstance(first.error, StoreError)
        assert [] == site.server.sent
    assert b"" == site.mark


def test_lock_that_cannot_be_released(site: Site) -> None:
    """A lock that cannot be released keeps others from nothing for longer than four seconds."""
    site.server.answers = [AmbiguousError("lost")]
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    site.store.failing = ["set", "set"]
    site.world.finish()
    site.server.overlaps = True
    second, started = site.ask(1), site.clock()
    site.world.finish()

    assert isinstance(first.error, AmbiguousError)
    assert "a-3" == second.result
    assert LOCK_SECONDS <= site.clock() - started < LOCK_SECONDS + 0.5


def test_release_after_a_write_of_another(site: Site) -> None:
    """A lock is released although others saved the session meanwhile."""
    site.server.answers = [AmbiguousError("lost")]
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    value, _ = site.store.values[site.key]
    site.clock.wait(10_000)
    site.read()
    site.world.finish()

    assert isinstance(first.error, AmbiguousError)
    assert b"" == site.mark
    assert value != site.store.values[site.key][0]


def test_release_of_a_session_that_is_always_written(site: Site) -> None:
    """A lock that others do not let go of is left, and not tried for ever."""
    site.server.answers = [AmbiguousError("lost")]
    real = site.store.set
    site.store.set = lambda key, value, **named: (  # type: ignore[method-assign]
        b"~" in value and real(key, value, **named)
    )
    first = site.ask(0)
    site.world.finish()

    assert isinstance(first.error, AmbiguousError)
    assert 4 == site.store.calls.count("get")


def test_renewal_of_a_session_that_is_always_written(site: Site) -> None:
    """A renewal that others do not let happen is left, and not tried for ever."""
    site.server.seconds = 1.5
    real = site.store.set
    site.store.set = lambda key, value, **named: (  # type: ignore[method-assign]
        not value.endswith(b".1") and real(key, value, **named)
    )
    first = site.ask(0)
    site.world.finish()

    assert "a-2" == first.result
    assert 4 == site.store.calls.count("get")


def test_store_that_hangs(site: Site) -> None:
    """A store that was slow to fail is not asked to release the lock, too."""

    def hang() -> None:
        site.clock.wait(1.0)

    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    site.store.calls.clear()
    site.store.before["set"], site.store.failing = hang, ["set"]
    site.world.finish()

    assert isinstance(first.error, StoreError)
    assert first.error.tokens_issued
    assert ["set"] == site.store.calls


@pytest.mark.parametrize("times", [2, 8])
def test_store_that_fails_for_a_moment(site: Site, times: int) -> None:
    """A store that fails for less than half a second does not lose the tokens."""
    first = site.ask(0)
    site.world.run_until(lambda: is_sending(first))
    site.store.failing = ["set"] * times
    site.world.finish()

    assert ("a-2", b"") == (first.result, site.mark)
    assert "r-2" == site.read()["refresh_token"]


def test_store_without_room_for_a_mark(site: Site) -> None:
    """A session that fills its place in the store is refreshed all the same."""
    real = site.store.set

    def store_in_place(key: str, value: bytes, **named: Any) -> bool:
        if b"~" in value:
            raise StoreError("too large", Code.SESSION_TOO_LARGE)
        return real(key, value, **named)

    site.store.set = store_in_place  # type: ignore[method-assign]
    first = site.ask(0)
    site.world.finish()

    assert ("a-2", "r-2") == (first.result, site.read()["refresh_token"])


def test_closed_at_any_effect(clock: Clock) -> None:
    """A flow that is closed asks for nothing any more, wherever it is."""
    number, came = 0, True
    while came:
        number += 1
        site = site_of(Clock(clock()))
        site.server.has_id_tokens = True
        run, _ = _go_to(site, number)
        came = not run.has_ended
        site.store.calls.clear()
        site.server.sent.clear()
        run.close()

        assert [] == site.store.calls == site.server.sent, number

    assert number > 6


def test_closed_while_it_is_released(clock: Clock) -> None:
    """A flow that is closed while it gives a lock back asks for nothing more."""
    store = MemoryStore()
    call = build_session_client(clock, state_store=store).begin_call()
    lock = SessionLock(b"owner", StoredSessions(call, store))
    state = {
        "domain": "tenant.us.auth0.com",
        "internal": {"expires_at": clock.now + 60, "used_at": clock.now},
    }
    lock.held = Session(state, "id", b"sealed~owner.0")
    release = lock.release()

    assert isinstance(next(release), Invoke)
    release.close()

    assert [] == list(release)


class Signal(Exception):
    """What a signal handler raises."""


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, Signal])
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_interrupted_at_any_effect(
    clock: Clock, interrupt: type[BaseException], is_after: bool
) -> None:
    """Wherever a refresh is interrupted, no lock is left and no token that came back is lost."""
    number, came, names, commands = 0, True, set(), 0
    while came:
        number += 1
        site = site_of(Clock(clock()))
        site.server.has_id_tokens = True
        effect = _interrupt_at(site, number, interrupt, is_after)
        came = effect is not None
        names.add(type(effect).__name__)
        commands += isinstance(effect, Invoke)
        # Nobody waits for a dead lock.
        assert b"" == site.mark, number
        # An interrupted thread cannot take the answer that is under way, and it is sent again.
        site.server.overlaps = _is_grant(effect)
        second, started = site.ask(2), site.clock()
        site.world.finish()
        assert second.error is None, (number, effect)
        assert second.result in ("a-2", "a-3"), number
        assert site.clock() - started < 1.0, number
        assert site.read()["refresh_token"] == f"r-{1 + site.server.issued}", number

    assert names >= {"Invoke", "Accompany", "Send", "Share"}
    # At both commands: the one that takes the lock, and the one that saves.
    assert 2 == commands


site_of: Callable[[Clock], Site] = site.__wrapped__  # type: ignore[attr-defined]


def _is_grant(effect: Any) -> bool:
    return isinstance(effect, Send) and effect.prepare().url == TOKEN_ENDPOINT


def _interrupt_at(
    site: Site, number: int, interrupt: type[BaseException], is_after: bool
) -> Any:
    """Interrupt a refresh at its *number*-th step.

    Returns:
        The effect at which it was interrupted, or ``None`` if it ended before.
    """
    run, caller = _go_to(site, number)
    effect = run.effect
    if effect is not None:
        if is_after and isinstance(effect, Invoke):
            effect.function(*effect.arguments)
        run.interrupt(interrupt())
    site.world.finish()
    assert caller.has_ended
    return effect


def _go_to(site: Site, number: int) -> tuple[Run, Run]:
    """Begin a refresh; return its run before its *number*-th step, and the run of the caller."""
    # A process that has no keys yet, so that it fetches them.
    process = site.processes[1]
    caller = site.ask(1)
    site.world.run_until(lambda: len(process.runs) > 1)
    run = process.runs[-1]
    for _ in range(number - 1):
        if run.is_ready(site.clock()):
            run.step()
            continue
        # To wait is a step of its own: after it, the run may be at another effect.
        while not (run.has_ended or run.is_ready(site.clock())):
            site.world.step()
    return run, caller
