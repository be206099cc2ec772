"""Ending in order when told to: as by Ctrl-C, so by SIGTERM and SIGHUP."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

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
