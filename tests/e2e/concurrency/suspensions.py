"""Cancelling a task at each place where it, or a task of its making, waits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Literal, TypeVar

T = TypeVar("T")

Moment = Literal["waiting", "woken"]
"""While it waits, or in the instant between what it waits for and its own next step."""


class CancelAt:
    """Run a coroutine, and cancel it where its tasks wait for the *number*-th time.

    Attributes:
        came: whether it waited so often.
    """

    def __init__(self, number: int, moment: Moment) -> None:
        self._left = number
        self._moment = moment
        self._task: asyncio.Task[Any] | None = None
        self.came = False

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T | None:
        """Return what the coroutine returned, or ``None`` where it was cancelled."""
        loop = asyncio.get_running_loop()
        loop.set_task_factory(self._factory)
        try:
            self._task = loop.create_task(coroutine)
            await asyncio.wait({self._task})
        finally:
            loop.set_task_factory(None)
        return None if self._task.cancelled() else self._task.result()

    def _factory(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **keywords: Any
    ) -> asyncio.Task[Any]:
        return asyncio.Task(_Watched(coroutine, self), loop=loop, **keywords)

    def waits_for(self, future: asyncio.Future[Any] | None) -> None:
        """Note that one of the tasks waits."""
        self._left -= 1
        if self._left:
            return
        self.came = True
        if self._moment == "woken" and future is not None:
            # Called before the waiting task is, as it was added before.
            future.add_done_callback(self._cancel)
        else:
            asyncio.get_running_loop().call_soon(self._cancel)

    def _cancel(self, _: object = None) -> None:
        assert self._task is not None
        self._task.cancel()


class _Watched(Coroutine[Any, Any, T]):
    """A coroutine that tells each time it waits."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], watcher: CancelAt) -> None:
        self._coroutine = coroutine
        self._watcher = watcher

    def send(self, value: Any) -> Any:
        """Take a step."""
        future = self._coroutine.send(value)
        self._watcher.waits_for(future)
        return future

    def throw(self, *failure: Any) -> Any:
        """Take a step with a failure."""
        future = self._coroutine.throw(*failure)
        self._watcher.waits_for(future)
        return future

    def close(self) -> None:
        """Take no more steps."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        raise NotImplementedError("a task takes its steps by send")
