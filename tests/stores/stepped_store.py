"""A store whose commands run one by one, in an order that a test chooses."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

_party: contextvars.ContextVar[int | None] = contextvars.ContextVar(
    "party", default=None
)

DEPTH = 5
"""How many choices between two parties are tried both ways."""


class SteppedStore:
    """Passes commands on to a blocking store; the parties of a race take turns at it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._moved = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        command = getattr(self.inner, name)

        async def run(*arguments: Any, **named: Any) -> Any:
            party = _party.get()
            if party is not None:
                turn = asyncio.get_running_loop().create_future()
                self._waiting[party] = turn
                self._moved.set()
                await turn
            return command(*arguments, **named)

        return run

    async def race(
        self, acts: Sequence[Callable[[], Coroutine[Any, Any, Any]]], turns: list[int]
    ) -> tuple[list[Any], list[int]]:
        """Run the acts of two parties, one command at a time.

        Args:
            acts: makes each party's coroutine.
            turns: whose command is next, while both have one.  After the last of them it is
                the first party's, up to the depth; then they alternate, so that none waits
                for ever for the other.

        Returns:
            The results, and each choice that there was: the turns that were taken.
        """
        tasks = {
            asyncio.create_task(self._run_as(party, act)): party
            for party, act in enumerate(acts)
        }
        for task in tasks:
            task.add_done_callback(lambda _: self._moved.set())
        taken: list[int] = []
        while not all(task.done() for task in tasks):
            running = {party for task, party in tasks.items() if not task.done()}
            if not running <= self._waiting.keys():
                await self._wait_for_move()
                continue
            if len(running) > 1:
                position = len(taken)
                party = position % 2
                if position < DEPTH:
                    party = turns[position] if position < len(turns) else 0
                taken.append(party)
            else:
                (party,) = running
            self._waiting.pop(party).set_result(None)
        return [task.result() for task in tasks], taken

    async def _run_as(
        self, party: int, act: Callable[[], Coroutine[Any, Any, Any]]
    ) -> Any:
        _party.set(party)
        return await act()

    async def _wait_for_move(self) -> None:
        await asyncio.wait_for(self._moved.wait(), 10)
        self._moved.clear()


def find_next_turns(taken: list[int]) -> list[int] | None:
    """Return the turns of the race after the one with *taken*, or ``None`` if it was the last."""
    turns = taken[:DEPTH]
    while turns and turns[-1] == 1:
        turns.pop()
    if not turns:
        return None
    turns[-1] = 1
    return turns
