"""One driver for each world: the only code that blocks or awaits on a flow's behalf.

A driver performs what a flow asks for and sends the reply back in, or throws the failure in
where it happened.  It always closes the flow.

Interrupts are thrown in too: ``KeyboardInterrupt``, a cancelled task, gevent's timeouts, and what
a signal handler raises, at an effect or between two of them.  A flow that holds a lock can then
give it back with an effect, and the interrupt goes on.  The effects of such a clean-up take no
longer than the store's own timeout, and a second interrupt ends it.  Only ``GeneratorExit``
passes around the flow: it means that no more effects can be performed.

Postponed flows begin when the call's own flow has ended, with its result or with an error of the
library.  In asyncio they get a task of their own.  A thread runs them before it returns: after a
fork, under uWSGI and on AWS Lambda, another thread may stand still, and hold up whoever waits
for it.

A *world* is what a driver needs of a client: how to send, how to share a run among callers,
whom to tell of events, and whether the client is closed.  Time, chance and ids come from
here too: the core takes them as arguments.
"""

from __future__ import annotations

import inspect
import logging
import os
import random
import secrets
import time
from collections.abc import Callable, Coroutine
from functools import partial
from importlib import import_module
from inspect import GEN_CLOSED, getgeneratorstate
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, assert_never

import attrs

from ..clocks import read_monotonic, read_time
from ..core.configuration import Settings
from ..core.context import Context
from ..core.effects import (
    Accompany,
    Begin,
    Effect,
    Emit,
    Flow,
    Invoke,
    Postpone,
    Response,
    Send,
    Share,
    Sleep,
    Warn,
)
from ..errors import Auth0Error, ConfigurationError
from .failures import client_closed_error, crowded_error

if TYPE_CHECKING:
    import threading

    from ..core.session.cookies import Cookies
    from ..events import Event

    # It imports asyncio, which a blocking client must not pay for.
    from .loop_limits import Gate

T = TypeVar("T")

# Types of which nothing can be awaited.  ``isawaitable`` takes ten times as long to say so.
_PLAIN = frozenset({bytes, str, bool, type(None)})

# What a call of the blocking world does when it has its answer, and the threads it waits for.
_Postponed: TypeAlias = "list[Postpone | threading.Thread]"

# Seconds that a call which has its answer waits for the threads that it began.
_LONGEST_WAIT = 1.0

_PACKAGE = __name__.partition(".")[0]

_SESSION_FLOWS = ("access_tokens", "login", "logout", "session", "session_transfer")

log: logging.Logger = logging.getLogger("auth0_tx")
# Whether anything is shown, and where, is the application's to say.
log.addHandler(logging.NullHandler())


@attrs.define(eq=False, repr=False)
class BlockingWorld:
    """The parts of a client that the blocking driver needs.

    Attributes:
        send: puts a request on the wire, and returns the whole answer.
        share: runs a flow, with what it is given to run one, once for all threads that ask.
        on_event: the application's subscriber.
        is_closed: whether the client was closed.
    """

    send: Callable[[Send], Response]
    share: Callable[[Share[Any], Callable[[Flow[Any]], Any]], Any]
    on_event: Callable[[Event], object] | None
    is_closed: bool = False


@attrs.define(eq=False, repr=False)
class AsyncWorld:
    """The parts of a client that the asyncio driver needs.

    Attributes:
        send: puts a request on the wire, and returns the whole answer.
        share: runs a flow, with what it is given to run one, once for all tasks that ask.
        on_event: the application's subscriber.
        begin: begins what nobody waits for, in a task of its own.
        timeout: seconds that a call may take.
        find_call_gate: returns the gate that a call passes before it begins; ``None`` if no
            call of the client does.
        is_closed: whether the client was closed.
    """

    send: Callable[[Send], Coroutine[Any, Any, Response]]
    share: Callable[
        [Share[Any], Callable[[Flow[Any]], Coroutine[Any, Any, Any]]],
        Coroutine[Any, Any, Any],
    ]
    on_event: Callable[[Event], object] | None
    begin: Callable[[Coroutine[Any, Any, None]], None]
    timeout: float = 0.0
    find_call_gate: Callable[[], Gate] | None = None
    is_closed: bool = False


def make_context(settings: Settings, cookies: Cookies | None) -> Context:
    """Return what a client's flows share, on the system's clocks and randomness."""
    _load_flows(settings)
    return Context(
        settings,
        settings.clock or read_time,
        read_monotonic,
        # Of the system: workers that were forked without Python's hooks share the state of
        # ``random``, and would come back from a wait in the same instant.
        random.SystemRandom().random,
        _make_id,
        _make_secret,
        os.urandom(32),
        cookies,
    )


def _load_flows(settings: Settings) -> None:
    """Import what a client was configured for; its methods would do so when they are called.

    The first call may be on an event loop, which would stand still meanwhile, or in one of
    many processes that were forked from this one, and each would do it again.
    """
    if settings.state_store is not None:
        for name in _SESSION_FLOWS:
            import_module(f"{_PACKAGE}.core.flows.{name}")
    if settings.token_cache is not None:
        import_module(f"{_PACKAGE}.core.flows.cached_exchange")
    if settings.on_event is not None:
        import_module(f"{_PACKAGE}.events")


def describe_client(client: object) -> str:
    """Return how a client shows itself: its domain and its client id, and no secret."""
    context, kind = getattr(client, "_context", None), type(client).__name__
    # A traceback with locals shows a client whose configuration was refused, too.
    return f"{kind}(refused)" if context is None else context.describe(kind)


def run(
    flow: Flow[T],
    world: BlockingWorld,
    *,
    is_begun: bool = False,
    outer: _Postponed | None = None,
) -> T:
    """Drive *flow* to its end in this thread.

    Args:
        flow: the flow.
        world: performs its effects.
        is_begun: whether it is a part of a flow that has begun, and that may end although
            the client is closed meanwhile.
        outer: what the flow around it has postponed, if it is a part of one.
    """
    failure: BaseException | None = None
    is_interrupted = has_answer = False
    postponed: _Postponed = [] if outer is None else outer
    reply: Any = None
    effect: Effect
    try:
        if not is_begun:
            _check_open(world)
        while True:
            try:
                while True:
                    if failure is None:
                        effect = flow.send(reply)
                    else:
                        effect = flow.throw(failure)
                        failure = None
                    try:
                        # Most effects by far.
                        if isinstance(effect, Send):
                            _check_open(world)
                            reply = world.send(effect)
                        elif isinstance(effect, Invoke):
                            reply = _refuse_awaitable(
                                effect.function(*effect.arguments)
                            )
                        elif isinstance(effect, Emit):
                            _notify(world.on_event, effect.event)
                            reply = None
                        else:
                            reply = _perform(effect, world, postponed)
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        # Thrown in outside the handler, so that what the flow raises next
                        # has no context.
                        failure = error
            except StopIteration as stop:
                result: T = stop.value
                has_answer = True
                return result
            except GeneratorExit:
                raise
            except BaseException as error:
                if is_interrupted or getgeneratorstate(flow) == GEN_CLOSED:
                    # It came out of the flow, which has ended.
                    has_answer = isinstance(error, Auth0Error) and not is_interrupted
                    raise
                # It struck between two steps, and is thrown in at the last one.
                is_interrupted, failure = True, error
    finally:
        failure = None
        flow.close()
        if postponed and has_answer and outer is None:
            _run_postponed(postponed, world)


async def run_in_turn(flow: Flow[T], world: AsyncWorld) -> T:
    """Drive *flow* to its end in this task; in a crowd, begin it when its turn has come."""
    _check_open(world)
    if world.find_call_gate is None:
        return await run_async(flow, world)
    gate = world.find_call_gate()
    if gate.free:
        gate.free -= 1
    else:
        # Here and not in a coroutine of its own: ten thousand who wait are as many frames.
        turn = gate.join(read_monotonic() + world.timeout)
        try:
            if not await turn:
                raise crowded_error()
        except BaseException:
            gate.hand_on(turn)
            raise
    try:
        return await run_async(flow, world)
    finally:
        if gate.is_awaited:
            gate.leave()
        else:
            gate.free += 1


async def run_async(flow: Flow[T], world: AsyncWorld, *, is_begun: bool = False) -> T:
    """Drive *flow* to its end in this task, as ``run`` does in a thread."""
    failure: BaseException | None = None
    is_interrupted = has_answer = False
    postponed: list[Postpone] = []
    reply: Any = None
    effect: Effect
    try:
        if not is_begun:
            _check_open(world)
        while True:
            try:
                while True:
                    if failure is None:
                        effect = flow.send(reply)
                    else:
                        effect = flow.throw(failure)
                        failure = None
                    try:
                        # Most effects by far, and the fewer coroutines they pass the better.
                        if isinstance(effect, Send):
                            _check_open(world)
                            reply = await world.send(effect)
                        elif isinstance(effect, Emit):
                            _notify(world.on_event, effect.event)
                            reply = None
                        else:
                            reply = await _perform_async(effect, world, postponed)
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        # Thrown in outside the handler, so that what the flow raises next
                        # has no context.
                        failure = error
            except StopIteration as stop:
                result: T = stop.value
                has_answer = True
                return result
            except GeneratorExit:
                raise
            except BaseException as error:
                if is_interrupted or getgeneratorstate(flow) == GEN_CLOSED:
                    # It came out of the flow, which has ended.
                    has_answer = isinstance(error, Auth0Error) and not is_interrupted
                    raise
                # It struck between two steps, and is thrown in at the last one.
                is_interrupted, failure = True, error
    finally:
        failure = None
        flow.close()
        if postponed and has_answer:
            world.begin(_run_postponed_async(postponed, world))


def cut_traceback(error: Auth0Error) -> Auth0Error:
    """Return *error* without the frames, and the other errors, of the call that it ends.

    The frames below a client's method are of no use to its caller, and full of tokens.  So
    are those of an error that this one replaced, as when a store fails while a flow notes a
    refusal.  The error that the caller was handling stays: it was caught in the caller's
    frame, and an error of the call in one of the library's frames.
    """
    context = error.__context__
    while context is not None and _was_caught_here(context):
        context = context.__context__
    error.__context__ = context
    return error.with_traceback(None)


def _was_caught_here(error: BaseException) -> bool:
    # The first frame of a traceback is the one that caught the error.
    caught = error.__traceback__
    if caught is None:
        return False
    module = str(caught.tb_frame.f_globals.get("__name__"))
    return module.partition(".")[0] == _PACKAGE


def _check_open(world: BlockingWorld | AsyncWorld) -> None:
    """Refuse a call, a request or a shared run of a client that is closed.

    Work without a connection goes on: a session store must still get the tokens that
    were issued while the client was being closed, or a rotated refresh token is lost and its
    user logged out.
    """
    if world.is_closed:
        raise client_closed_error()


def _run_postponed(postponed: _Postponed, world: BlockingWorld) -> None:
    latest = read_monotonic() + _LONGEST_WAIT
    for item in postponed:
        # Nothing is caught: what a signal handler raises is often an ``Exception``.
        if isinstance(item, Postpone):
            run(item.flow(), world, is_begun=True)
        else:
            # One second for all of them, as they run at the same time.
            item.join(max(latest - read_monotonic(), 0.0))


async def _run_postponed_async(postponed: list[Postpone], world: AsyncWorld) -> None:
    for effect in postponed:
        await _run_beside(effect.flow(), world)


async def _run_beside(flow: Flow[None], world: AsyncWorld) -> None:
    try:
        await run_async(flow, world, is_begun=True)
    except Exception:
        log.exception("a flow beside a call failed")


def _perform(
    effect: Share[Any] | Accompany[Any] | Begin | Postpone | Sleep | Warn,
    world: BlockingWorld,
    postponed: _Postponed,
) -> Any:
    match effect:
        case Share():
            _check_open(world)
            return world.share(effect, partial(run, world=world, outer=postponed))
        case Accompany():
            # Here and not at the top, as below: only the lock of a session needs it.
            from .companions import companion_thread

            run_part = partial(run, world=world, is_begun=True, outer=postponed)
            return companion_thread.accompany(effect, run_part)
        case Begin():
            from .companions import begin_beside

            thread = begin_beside(effect, partial(run, world=world, is_begun=True))
            if thread is not None:
                # It does not outlive the call: a test may take its network away then, and a
                # process may fork.
                postponed.append(thread)
            return None
        case Postpone():
            return postponed.append(effect)
        case Sleep(seconds):
            return time.sleep(seconds)
        case Warn(logger, message):
            return logging.getLogger(logger).warning(message)
        case _:
            assert_never(effect)


async def _perform_async(
    effect: Invoke[Any] | Share[Any] | Accompany[Any] | Begin | Postpone | Sleep | Warn,
    world: AsyncWorld,
    postponed: list[Postpone],
) -> Any:
    match effect:
        case Share():
            _check_open(world)
            return await world.share(effect, partial(run_async, world=world))
        case Accompany():
            from .companions import accompany

            run_part = partial(run_async, world=world, is_begun=True)
            return await accompany(effect, run_part)
        case Begin():
            world.begin(_run_beside(effect.flow(), world))
            return None
        case Postpone():
            return postponed.append(effect)
        case Sleep(seconds):
            # Not at the top: a blocking client must not pay for importing asyncio.
            from asyncio import sleep

            return await sleep(seconds)
        case Invoke(function, arguments):
            reply = function(*arguments)
            if type(reply) in _PLAIN or not inspect.isawaitable(reply):
                return reply
            return await reply
        case Warn(logger, message):
            return logging.getLogger(logger).warning(message)
        case _:
            assert_never(effect)


def _refuse_awaitable(reply: Any) -> Any:
    # What most stores and caches return needs no closer look.
    if type(reply) in _PLAIN or not inspect.isawaitable(reply):
        return reply
    if inspect.iscoroutine(reply):
        reply.close()
    raise ConfigurationError(
        "an async function was given to the blocking client; use AsyncServerClient"
    )


def _notify(on_event: Callable[[Event], object] | None, event: Any) -> None:
    """Call the subscriber.  Its exceptions are logged and don't affect the call."""
    if on_event is None:
        return
    try:
        on_event(event)
    except Exception:
        log.exception("on_event raised for %s", type(event).__name__)


def _make_secret() -> str:
    return secrets.token_urlsafe(32)


def _make_id() -> str:
    # Here and not at the top: only signed assertions need one.
    import uuid

    return uuid.uuid4().hex
