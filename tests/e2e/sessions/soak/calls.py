"""Calls that are abandoned: a task that is cancelled, a thread that is interrupted."""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable
from typing import Any


class Interrupted(BaseException):
    """Interrupts a blocking call, as an exception from a signal handler does."""


class Abandoned(Exception):
    """A call that nobody waits for any more."""


async def call_in_task(
    act: Callable[..., Any], after: float | None, *arguments: Any, **named: Any
) -> Any:
    """Await a method in a task, which is cancelled *after* some seconds."""
    task = asyncio.ensure_future(act(*arguments, **named))
    if after is not None:
        asyncio.get_running_loop().call_later(after, task.cancel)
    await asyncio.wait({task})
    if task.cancelled():
        raise Abandoned
    return task.result()


def call_in_thread(act: Callable[[], Any], after: float | None) -> Any:
    """Call a method in this thread, and interrupt it *after* some seconds.

    Raises:
        Abandoned: it was interrupted, by this or by a store.
    """
    if after is None:
        try:
            return act()
        except Interrupted:
            raise Abandoned from None
    lock, is_running, thread = threading.Lock(), [True], threading.get_ident()

    def strike() -> None:
        with lock:
            if is_running:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread), ctypes.py_object(Interrupted)
                )

    timer = threading.Timer(after, strike)
    try:
        timer.start()
        try:
            return act()
        finally:
            with lock:
                is_running.clear()
            # An exception that was set is raised within a few steps: here, and not later.
            for _ in range(100):
                pass
    except Interrupted:
        raise Abandoned from None
    finally:
        timer.cancel()
        timer.join()
