"""A client in use, behind one face in both worlds.

A caller makes exchanges one after another and says how each ended; it never raises what
the library raised.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import aiohttp
import requests
from attrs import define, field, frozen

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeError,
    CustomTokenExchangeOptions,
    RetryPolicy,
    ServerClient,
    TokenExchangeResponse,
)
from auth0_tx.events import Event, ExchangeRetried

T = TypeVar("T")

SUBJECT, CLIENT_SECRET = "subject-0123456789", "client-secret-0123456789"
SUBJECT_TYPE = "urn:acme:legacy-token"
QUICK = RetryPolicy(transient_delay=0.01, throttled_delay=0.01)
PATIENCE = 5.0
"""Seconds: far more than any case takes that is not about time."""


@frozen
class Outcome:
    """How one exchange ended.

    Attributes:
        tokens: What it brought, or None.
        error: What it raised, or None.
        seconds: How long it took.
        retries: How often it was sent again.
    """

    tokens: TokenExchangeResponse | None
    error: CustomTokenExchangeError | None
    seconds: float
    retries: int

    @property
    def access_token(self) -> str | None:
        """Return the access token, as plain text."""
        return str(self.tokens.access_token) if self.tokens else None

    @property
    def summary(self) -> tuple[type | None, str | None, int | None, bool | None]:
        """Return what kind of end it was: error, code, status and retry_safe."""
        error = self.error
        if error is None:
            return None, None, None, None
        return type(error), str(error.code), error.status, error.retry_safe


class Caller(Protocol):
    """Someone who holds one client."""

    def exchange(self, **options: Any) -> Outcome:
        """Make one exchange."""
        ...

    def exchange_at_once(self, count: int, **options: Any) -> list[Outcome]:
        """Make so many exchanges at the same time."""
        ...

    @property
    def session_is_open(self) -> bool:
        """Return whether the application's own session still works."""
        ...

    def rest(self, seconds: float) -> None:
        """Let time pass, as between the requests of a service."""
        ...

    def close_client(self) -> None:
        """Close the client alone."""
        ...

    def close(self) -> None:
        """Close the client, and the session where there is one."""
        ...


def options(**changes: Any) -> CustomTokenExchangeOptions:
    """Return an exchange that succeeds, with *changes*."""
    defaults = {"subject_token": SUBJECT, "subject_token_type": SUBJECT_TYPE}
    return CustomTokenExchangeOptions(**{**defaults, **changes})


def _keywords(domain: str, given: dict[str, Any]) -> dict[str, Any]:
    defaults = {
        "domain": domain,
        "client_id": "client",
        "client_secret": CLIENT_SECRET,
        "retry": QUICK,
        "timeout": PATIENCE,
    }
    if "client_assertion_signing_key" in given:
        del defaults["client_secret"]
    return {**defaults, **given}


@frozen
class _Counter:
    """Counts retries, and passes events on to whoever else wants them."""

    events: list[Event] = field(factory=list)
    then: Callable[[Event], object] | None = None

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if self.then is not None:
            self.then(event)

    def retries(self) -> int:
        """Return how many there were since the last look."""
        count = sum(isinstance(event, ExchangeRetried) for event in self.events)
        self.events.clear()
        return count


@contextmanager
def _note_end(counter: _Counter) -> Iterator[_End]:
    """Note how an exchange in the block ends."""
    end, started = _End(), time.monotonic()
    try:
        yield end
    except CustomTokenExchangeError as error:
        end.error = error
    seconds = time.monotonic() - started
    end.outcome = Outcome(end.tokens, end.error, seconds, counter.retries())


@define
class _End:
    tokens: TokenExchangeResponse | None = None
    error: CustomTokenExchangeError | None = None
    outcome: Outcome | None = None

    @property
    def whole(self) -> Outcome:
        """Return the outcome, which the end of the block has made."""
        assert self.outcome is not None
        return self.outcome


class BlockingCaller:
    """A caller in a thread."""

    def __init__(self, domain: str, keywords: dict[str, Any]) -> None:
        self._counter = _Counter(then=keywords.pop("on_event", None))
        self.session: requests.Session | None = keywords.get("session")
        self.client = ServerClient(
            **_keywords(domain, keywords), on_event=self._counter
        )

    def exchange(self, **changes: Any) -> Outcome:
        """Make one exchange."""
        with _note_end(self._counter) as end:
            end.tokens = self.client.custom_token_exchange(options(**changes))
        return end.whole

    def exchange_at_once(self, count: int, **changes: Any) -> list[Outcome]:
        """Make so many exchanges, each in a thread."""
        with ThreadPoolExecutor(count) as pool:
            made = [pool.submit(self.exchange, **changes) for _ in range(count)]
            return [future.result() for future in made]

    @property
    def session_is_open(self) -> bool:
        """Return whether the session can still reach a server it reached before."""
        assert self.session is not None
        pools = self.session.get_adapter("https://").poolmanager.pools  # type: ignore[attr-defined]
        return len(pools) > 0

    def rest(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def close_client(self) -> None:
        """Close the client alone."""
        self.client.close()

    def close(self) -> None:
        """Close the client, and the session where the test made one."""
        self.close_client()
        if self.session is not None:
            self.session.close()


class AsyncCaller:
    """A caller on an event loop of its own, which lives as long as the caller."""

    def __init__(
        self,
        domain: str,
        keywords: dict[str, Any],
        session: Callable[[], aiohttp.ClientSession] | None = None,
        new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self._counter = _Counter(then=keywords.pop("on_event", None))
        self._runner = asyncio.Runner(loop_factory=new_loop)
        self.session = self.run(_make(session)) if session else keywords.get("session")
        keywords["session"] = self.session
        self.client = AsyncServerClient(
            **_keywords(domain, keywords), on_event=self._counter
        )

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run *coroutine* on the caller's loop."""
        return self._runner.run(coroutine)

    def exchange(self, **changes: Any) -> Outcome:
        """Make one exchange."""
        return self.run(self.exchange_here(**changes))

    async def exchange_here(self, **changes: Any) -> Outcome:
        """Make one exchange, on the loop that runs."""
        with _note_end(self._counter) as end:
            end.tokens = await self.client.custom_token_exchange(options(**changes))
        return end.whole

    def exchange_at_once(self, count: int, **changes: Any) -> list[Outcome]:
        """Make so many exchanges, each in a task."""

        async def together() -> list[Outcome]:
            return await asyncio.gather(
                *(self.exchange_here(**changes) for _ in range(count))
            )

        return self.run(together())

    @property
    def session_is_open(self) -> bool:
        """Return whether the session, and its connector, are open."""
        assert self.session is not None
        return not self.session.closed

    def rest(self, seconds: float) -> None:
        """Let time pass, the loop running."""
        self.run(asyncio.sleep(seconds))

    def close_client(self) -> None:
        """Close the client alone."""
        self.run(self.client.aclose())

    def close(self) -> None:
        """Close the client, the session where the test made one, and the loop."""
        self.close_client()
        if self.session is not None:
            self.run(self.session.close())
        self._runner.close()


async def _make(session: Callable[[], aiohttp.ClientSession]) -> aiohttp.ClientSession:
    return session()
