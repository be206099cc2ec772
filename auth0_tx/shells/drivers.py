"""One driver for each world: the only code that blocks or awaits on a flow's behalf.

A driver performs what a flow asks for, sends the reply back in or throws the failure in
where it happened, and always closes the flow.  What is no ``Exception`` (an interrupt, a
cancelled task) passes around the flow, whose own clean-up still runs.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar, assert_never

from ..core.effects import (
    Call,
    Effect,
    Emit,
    Flow,
    Response,
    Send,
    Share,
    Sleep,
    Turn,
    Warn,
)
from ..errors import ConfigurationError
from ..events import Event

T = TypeVar("T")

_PLAIN = frozenset({bytes, str, bool, type(None)})

log: logging.Logger = logging.getLogger("auth0_tx")
# Whether anything is shown, and where, is the application's to say.
log.addHandler(logging.NullHandler())


class BlockingWorld(Protocol):
    """What the blocking driver needs of a shell."""

    on_event: Callable[[Event], object] | None

    def send(self, send: Send) -> Response:
        """Put a request on the wire."""
        ...

    def share(self, share: Share[Any]) -> Any:
        """Run a flow once for all who ask for it."""
        ...


class AsyncWorld(Protocol):
    """What the asyncio driver needs of a shell."""

    on_event: Callable[[Event], object] | None

    def send(self, send: Send) -> Coroutine[Any, Any, Response]:
        """Put a request on the wire."""
        ...

    def turn(self, turn: Turn) -> Awaitable[object] | None:
        """Give what to wait for until a call may go on; ``None`` where it may at once."""
        ...

    async def share(self, share: Share[Any]) -> Any:
        """Run a flow once for all who ask for it."""
        ...


def run(flow: Flow[T], world: BlockingWorld) -> T:
    """Drive *flow* to its end in this thread."""
    failure: Exception | None = None
    reply: Any
    effect: Effect
    try:
        effect = next(flow)
        while True:
            try:
                # Most effects by far.
                if isinstance(effect, Send):
                    reply = world.send(effect)
                elif isinstance(effect, Call):
                    reply = _not_awaitable(effect.function(*effect.arguments))
                elif isinstance(effect, Turn):
                    # A thread that waits costs the same wherever it does.
                    reply = None
                elif isinstance(effect, Emit):
                    _tell(world.on_event, effect.event)
                    reply = None
                else:
                    reply = _perform(effect, world)
            except Exception as error:
                failure = error
            else:
                effect = flow.send(reply)
                continue
            # Outside the handler, so that what the flow raises next has no context.
            effect = flow.throw(failure)
            failure = None
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        failure = None
        flow.close()


async def run_async(flow: Flow[T], world: AsyncWorld) -> T:
    """Drive *flow* to its end in this task."""
    failure: Exception | None = None
    reply: Any
    effect: Effect
    try:
        effect = next(flow)
        while True:
            try:
                # Most effects by far, and the fewer coroutines they pass the better.
                if isinstance(effect, Send):
                    reply = await world.send(effect)
                elif isinstance(effect, Turn):
                    # Here, as those who wait are many and each coroutine is one more.
                    turn = world.turn(effect)
                    reply = None if turn is None else await turn
                elif isinstance(effect, Emit):
                    _tell(world.on_event, effect.event)
                    reply = None
                else:
                    reply = await _perform_async(effect, world)
            except Exception as error:
                failure = error
            else:
                effect = flow.send(reply)
                continue
            effect = flow.throw(failure)
            failure = None
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        failure = None
        flow.close()


def _perform(effect: Share[Any] | Sleep | Warn, world: BlockingWorld) -> Any:
    match effect:
        case Share():
            return world.share(effect)
        case Sleep(seconds):
            return time.sleep(seconds)
        case Warn(logger, message):
            return logging.getLogger(logger).warning(message)
        case _:
            assert_never(effect)


async def _perform_async(
    effect: Call[Any] | Share[Any] | Sleep | Warn, world: AsyncWorld
) -> Any:
    match effect:
        case Share():
            return await world.share(effect)
        case Sleep(seconds):
            # Not at the top: a blocking client must not pay for importing asyncio.
            from asyncio import sleep

            return await sleep(seconds)
        case Call(function, arguments):
            reply = function(*arguments)
            if type(reply) in _PLAIN or not inspect.isawaitable(reply):
                return reply
            return await reply
        case Warn(logger, message):
            return logging.getLogger(logger).warning(message)
        case _:
            assert_never(effect)


def _not_awaitable(reply: Any) -> Any:
    # What most stores and caches give needs no closer look.
    if type(reply) in _PLAIN or not inspect.isawaitable(reply):
        return reply
    if inspect.iscoroutine(reply):
        reply.close()
    raise ConfigurationError(
        "an async function was given to the blocking client; use AsyncServerClient"
    )


def _tell(on_event: Callable[[Event], object] | None, event: Any) -> None:
    """Tell the subscriber; its failure is its own, and never the exchange's."""
    if on_event is None:
        return
    try:
        on_event(event)
    except Exception:
        log.exception("on_event raised for %s", type(event).__name__)
