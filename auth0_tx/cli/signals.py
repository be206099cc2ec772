"""Ending in order on SIGTERM and SIGHUP, as on Ctrl-C.

Theory of operation. By default SIGTERM and SIGHUP end the process at once: no ``finally``
runs, so a local tenant would leave its folder of certificates behind. Python already turns
SIGINT (Ctrl-C) into KeyboardInterrupt in the main thread; :func:`exit_on_signals` does the
same for the other two, with :class:`Terminated`. It leaves alone:

- a signal that is ignored, since ``nohup`` ignores SIGHUP so that the program goes on;
- a signal that somebody else handles, as a host that calls ``main`` may do;
- everything in any thread but the main one, where Python refuses to set handlers.

Under asyncio that is not enough. A handler's exception surfaces in whatever callback the
loop happens to run. The loop logs what a callback raises, and nobody sees what a task
raises that nobody awaits: either way the signal would be lost. So :func:`run_coroutine`
cancels the main task from the loop's own signal handler, which is how asyncio handles
Ctrl-C as well, and raises ``Terminated`` once the loop is closed.
"""

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
    """A signal asked the process to end; what is open is closed on the way out.

    As a KeyboardInterrupt it passes by ``except Exception``, and commands end on it as they
    do on Ctrl-C.
    """


def _raise_terminated(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Raise `Terminated` where a signal would end the process without clean-up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    replaced: list[signal.Signals] = []
    for name in _NAMES:
        # Windows has no SIGHUP.
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _raise_terminated)
            replaced.append(number)
    try:
        yield
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)


def run_coroutine(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* on a new event loop, and cancel it if a signal asks us to end.

    Raises:
        Terminated: a signal asked the process to end.
    """
    import asyncio

    # SIGINT is not among them: asyncio.run() handles it itself.
    numbers = [number for number in signal.valid_signals() if _is_ours(number)]
    is_terminated = False

    async def run_cancellable() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            nonlocal is_terminated
            is_terminated = True
            task.cancel()

        try:
            for number in numbers:
                # Windows' loops do not implement signal handlers.
                with suppress(NotImplementedError):
                    loop.add_signal_handler(number, cancel)
            return await main
        finally:
            for number in numbers:
                with suppress(NotImplementedError):
                    loop.remove_signal_handler(number)
                # The loop leaves the signal at its default, and the run is not over yet.
                signal.signal(number, _raise_terminated)

    try:
        return asyncio.run(run_cancellable())
    except asyncio.CancelledError:
        if is_terminated:
            raise Terminated from None
        raise


def _is_ours(number: int) -> bool:
    return signal.getsignal(number) is _raise_terminated
