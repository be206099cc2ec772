"""Ending in order when told to: as by Ctrl-C, so by SIGTERM and SIGHUP."""

from __future__ import annotations

import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

_NAMES = ("SIGTERM", "SIGHUP")


class Terminated(KeyboardInterrupt):
    """The process was told to end; what is open is closed on the way out."""


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise `Terminated` where a signal would end the process without clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours: list[signal.Signals] = []
    for name in _NAMES:
        number = getattr(signal, name, None)
        # One that is ignored, as under nohup, stays ignored.
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminate)
            ours.append(number)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def run_coroutine(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* on a loop of its own, cancelled where a signal tells us to end.

    An error raised by a signal's handler comes up in whatever callback the loop runs just
    then, and may be lost there: so it is raised here, once the loop is closed.

    Raises:
        Terminated: the process was told to end.
    """
    import asyncio

    # An interrupt is asyncio's own to handle, and it does so in this way.
    numbers = [number for number in signal.valid_signals() if _is_ours(number)]
    told: list[None] = []

    async def watched() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def end() -> None:
            told.append(None)
            task.cancel()

        try:
            for number in numbers:
                # Windows has loops that know no signals.
                with suppress(NotImplementedError):
                    loop.add_signal_handler(number, end)
            return await main
        finally:
            for number in numbers:
                with suppress(NotImplementedError):
                    loop.remove_signal_handler(number)
                signal.signal(number, _terminate)

    try:
        return asyncio.run(watched())
    except asyncio.CancelledError:
        if not told:
            raise
    raise Terminated


def _is_ours(number: int) -> bool:
    return signal.getsignal(number) is _terminate
