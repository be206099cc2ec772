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

A run that would lose something by ending at once is run by :func:`run_stoppable`. Its first
signal only asks it to stop, and it ends by itself when it is ready. A second one, from an
impatient user or a supervisor, ends it as above.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeVar

import attrs

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


@attrs.define
class StopSignal:
    """The signal that asked a run to stop.

    Attributes:
        number: the signal, or ``None`` as long as there was none.
        stop: called on the event loop when it arrives; set by the run.
    """

    number: int | None = None
    stop: Callable[[], None] = lambda: None

    @property
    def status(self) -> int:
        """The exit status of a run that it stopped."""
        return 130 if self.number == signal.SIGINT else 143

    def receive(self, number: int) -> None:
        """Ask the run to stop, or end it if it was asked before.

        Raises:
            KeyboardInterrupt: this is the second signal, and it is Ctrl-C.
            Terminated: this is the second signal, and it is another one.
        """
        if self.number is None:
            self.number = number
            self.stop()
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            raise Terminated


def run_stoppable(main: Callable[[StopSignal], Coroutine[Any, Any, T]]) -> T:
    """Run *main* on a new event loop; the first signal asks it to stop, the second ends it.

    Args:
        main: is passed the signal, sets its ``stop``, and returns when it is ready.

    Raises:
        KeyboardInterrupt: there was a second signal, Ctrl-C.
        Terminated: there was a second signal, another one.
    """
    import asyncio

    numbers = [number for number in signal.valid_signals() if _is_ours(number)]
    in_main_thread = threading.current_thread() is threading.main_thread()
    # A shell that starts a command in the background has it ignore Ctrl-C.
    if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)

    async def run_main() -> T:
        loop, received = asyncio.get_running_loop(), StopSignal()

        def receive_soon(number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(received.receive, number)

        before = {number: signal.getsignal(number) for number in numbers}
        try:
            for number in numbers:
                try:
                    # What the callback raises ends the loop.
                    loop.add_signal_handler(number, received.receive, number)
                except NotImplementedError:
                    # A loop of Windows.
                    signal.signal(number, receive_soon)
            return await main(received)
        finally:
            for number, handler in before.items():
                with suppress(NotImplementedError):
                    loop.remove_signal_handler(number)
                signal.signal(number, handler)

    return asyncio.run(run_main())


def _is_ours(number: int) -> bool:
    return signal.getsignal(number) is _raise_terminated
