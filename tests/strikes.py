"""Exceptions at each wait of a call, as a signal handler or a cancellation raises them.

A first run of the call records where it waits: each line from which a function of C is called
that may block.  and from where.  The call is then made once more for each of them, and the exception is raised
there instead of the wait::

    for place, error in strike_each_wait(call, TimeLimit):
        ...

It is as a signal's exception, which Python raises when such a function returns, and needs no
time to strike.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable, Coroutine, Generator, Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple

from tests.secret_places import PACKAGE

# Of sockets, TLS, names, clocks, locks, queues and selectors.
_WAITS = frozenset(
    {
        *("connect", "recv_into", "recv", "send", "sendall", "read", "write"),
        *("do_handshake", "getaddrinfo", "sleep", "acquire", "poll", "select"),
    }
)
_OF_MODULES = frozenset(
    {"_socket", "_ssl", "_thread", "_queue", "select", "socket", "ssl", "time"}
)


class Wait(NamedTuple):
    """A wait: the function of C, and the stack from which it is called."""

    function: str
    stack: tuple[tuple[CodeType, int], ...]

    def __str__(self) -> str:
        code, line = self.stack[0]
        return f"{self.function} at {code.co_filename}:{line}"


def strike_each_wait(
    call: Callable[[], object],
    error: type[BaseException],
) -> Iterator[tuple[Wait, BaseException | None]]:
    """Make *call* once for each of its waits, and raise *error* there.

    Yields:
        The wait, and what the call raised; ``None`` if it took no notice.
    """
    places: dict[Wait, None] = {}
    _run(call, lambda wait: places.setdefault(wait))
    for place in filter(_is_within_call, places):
        yield place, _run(call, _Striker(place, error))


def cancel_each_wait(
    start: Callable[[], Coroutine[Any, Any, Any]],
) -> Iterator[tuple[int, BaseException | None]]:
    """Run what *start* returns once for each of its suspensions, and cancel it there.

    Yields:
        The suspension's number, and what the coroutine raised.
    """
    for number in itertools.count():
        cancelled = _CancelledAt(start(), number)
        try:
            asyncio.run(cancelled.run())
        except BaseException as error:
            yield number, error
        else:
            yield number, None
        if not cancelled.is_reached:
            return


def _run(
    call: Callable[[], object], notice: Callable[[Wait], object]
) -> BaseException | None:
    def look(frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call" and _may_wait(frame.f_code, argument):
            notice(Wait(argument.__qualname__, tuple(_list_stack(frame))))

    sys.setprofile(look)
    try:
        call()
    except BaseException as error:
        return error
    finally:
        sys.setprofile(None)
    return None


def _may_wait(caller: CodeType, function: Any) -> bool:
    if function.__name__ not in _WAITS:
        return False
    # Without a socket beneath, TLS in memory never waits.
    if caller.co_qualname.startswith("SSLObject."):
        return False
    # Of the standard library's locks, those that wait for an event: all others are held for
    # an instant, and a ``with`` releases one whose ``acquire`` did not run.
    if function.__name__ == "acquire":
        return caller.co_name == "wait" or caller.co_filename.startswith(PACKAGE)
    owner = getattr(function, "__self__", None)
    module = function.__module__ or type(owner).__module__
    return module in _OF_MODULES


def _is_within_call(wait: Wait) -> bool:
    """Return whether a wait is the call's, and not one of ``asyncio.run`` as it ends."""
    return all(code.co_qualname != "Runner.close" for code, _ in wait.stack)


def _list_stack(frame: FrameType | None) -> Iterator[tuple[CodeType, int]]:
    while frame is not None and frame.f_code is not _run.__code__:
        yield frame.f_code, frame.f_lineno
        frame = frame.f_back


class _Striker:
    """Raises at the first time that a wait is reached."""

    def __init__(self, place: Wait, error: type[BaseException]) -> None:
        self._place = place
        self._error = error
        self._is_done = False

    def __call__(self, wait: Wait) -> None:
        if wait == self._place and not self._is_done:
            self._is_done = True
            raise self._error


class _CancelledAt:
    """A coroutine that is cancelled at one of its suspensions.

    The exception is thrown in by the awaiting generator, as a task does it.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], number: int) -> None:
        self._coroutine = coroutine
        self._number = number
        self.is_reached = False

    async def run(self) -> None:
        """Await the coroutine, up to its suspension."""
        await self

    def __await__(self) -> Generator[Any, Any, None]:
        error: BaseException | None = None
        for number in itertools.count():
            try:
                if error is None:
                    future = self._coroutine.send(None)
                else:
                    future = self._coroutine.throw(error)
            except StopIteration:
                return
            error = None
            if number == self._number:
                self.is_reached = True
                # Nobody waits for it any more.
                if future is not None:
                    future._asyncio_future_blocking = False
                    future.cancel()
                error = asyncio.CancelledError()
            else:
                yield future
