"""The application of a soak: several clients over one store, and figures of what happened."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import attrs

from auth0_tx import Auth0Error
from tests.e2e.sessions.soak.calls import (
    Abandoned,
    Interrupted,
    call_in_task,
    call_in_thread,
)
from tests.e2e.sessions.soak.tenant import TenantWatch
from tests.e2e.sessions.visits import close
from tests.stores.failing_store import When

IDLE_SECONDS = 120.0
ABSOLUTE_SECONDS = 240.0
TIMEOUT = 10.0
MEMORY_SECONDS = 60.0
"""For how long a client remembers the outcome of a refresh."""

SLACK = 3.0
"""Seconds that a busy machine may be late, and that whole seconds are rounded by."""

LOST_BY_STORE = 0.01
ABANDONED = 0.04

RESTART_SECONDS = 10.0
"""How often one of the clients is replaced, with all that it remembers."""

failed_commands: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar(
    "failed_commands", default=None
)
"""Where the names of commands go that fail in the call at hand."""


@attrs.define(eq=False)
class Soak:
    """An application with several clients over one store, and figures of what happened.

    Attributes:
        kind: the kind of store.
        is_async: whether its clients are asyncio's.
        make: makes another client.
        watch: what the tenant knows.
        random: the one source of chance.
        pace: seconds between two things that a browser does, on average.
        until: when browsers begin nothing new any more.
        is_cut_in_store: whether a blocking call is interrupted by a command of the store, and
            not at a random instant.
        is_faulty: whether anything fails.
        operations: how many requests there were, by operation and result.
        losses: how many sessions were lost, by cause.
        violations: what must not be.
    """

    kind: str
    is_async: bool
    tenant: Any
    watch: TenantWatch
    make: Callable[[], Any]
    random: Random
    pace: float
    until: float
    pool: ThreadPoolExecutor
    is_cut_in_store: bool
    is_faulty: bool = True
    operations: Counter[str] = attrs.field(factory=Counter)
    losses: Counter[str] = attrs.field(factory=Counter)
    violations: list[str] = attrs.field(factory=list)
    slowest: float = 0.0
    clients: list[Any] = attrs.field(factory=list)
    _number: int = 0

    @property
    def is_in_cookies(self) -> bool:
        """Whether the browser has the whole session."""
        return self.kind == "cookies"

    async def restart_clients(self) -> None:
        """Replace one client after another, as a server does with its workers."""
        while True:
            await asyncio.sleep(RESTART_SECONDS)
            number = self.random.randrange(len(self.clients))
            before, self.clients[number] = self.clients[number], self.make()
            try:
                # A worker that is told to end serves what it has begun.
                await asyncio.sleep(TIMEOUT + SLACK)
            finally:
                await close(before)

    async def close(self) -> None:
        """Close the clients."""
        for client in self.clients:
            await close(client)

    def has_chance(self, part: float) -> bool:
        """Return whether a failure of some probability happens now."""
        return self.is_faulty and self.random.random() < part

    def choose_failure(self, _: int, name: str) -> When | None:
        """Choose whether and when a command of the store fails."""
        if self.is_cut_in_store and self.has_chance(ABANDONED / 4):
            raise Interrupted
        if not self.has_chance(LOST_BY_STORE):
            return None
        failed = failed_commands.get()
        if failed is not None:
            failed.append(name)
        return self.random.choice(("before", "after"))

    def take_number(self) -> int:
        """Return the next number of an end."""
        self._number += 1
        return self._number

    def note_violation(self, text: str) -> None:
        """Note what must not be."""
        self.violations.append(text)

    async def call(
        self, client: Any, method: str, *arguments: Any, **named: Any
    ) -> Any:
        """Call a client's method; it may be abandoned.

        Raises:
            Abandoned: it was.
            Auth0Error: how the method failed.
        """
        after: float | None = None
        if not self.is_cut_in_store and self.has_chance(ABANDONED):
            after = self.random.random() * 0.02
        started = time.monotonic()
        act = getattr(client, method)
        try:
            if self.is_async:
                return await call_in_task(act, after, *arguments, **named)
            context = contextvars.copy_context()
            return await asyncio.get_running_loop().run_in_executor(
                self.pool,
                lambda: context.run(
                    call_in_thread, lambda: act(*arguments, **named), after
                ),
            )
        except (Abandoned, Auth0Error):
            raise
        except Exception as error:
            self.note_violation(f"{method} raised a foreign error: {error!r}")
            raise Abandoned from None
        finally:
            took = time.monotonic() - started
            self.slowest = max(self.slowest, took)
            if took > TIMEOUT + SLACK:
                self.note_violation(f"{method} took {took:.1f} seconds")
