"""What a case is, and how one is played: the same for every table of this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from auth0_tx import CustomTokenExchangeError
from tests.e2e.faults.callers import CLIENT_SECRET, PATIENCE, SUBJECT, Caller, Outcome
from tests.e2e.faults.wire_behaviours import grants, last_document
from tests.e2e.faults.wire_server import Behaviour, Script, WireServer

DEADLINE = 2.5
"""Seconds a call has in the cases that are about time: a tenth is more than their noise."""

AT_DEADLINE = (0.9 * DEADLINE, 1.1 * DEADLINE)
"""Seconds at which a call ends that has a deadline."""

ANOTHER = "another-0123456789"


@frozen(kw_only=True)
class Case:
    """What the server does with the POSTs of one call, and how the call must end.

    Args:
        name: What the server does, in words.
        plays: What it does with each POST; the last for every later one.
        error: The exact class of the error; None for success.
        code: Its code.
        status: Its status.
        retry_safe: Whether it says that the call may be made again.
        tokens_issued: Whether it says that tokens may have been issued.
        retry_after: What it says of the wait.
        sends: How many POSTs the server received.
        options: Of the exchange.
        keywords: Of the client.
        lasts: The least and most seconds.
    """

    name: str
    plays: tuple[Behaviour, ...]
    error: type[CustomTokenExchangeError] | None = None
    code: str | None = None
    status: int | None = None
    retry_safe: bool | None = None
    tokens_issued: bool = False
    retry_after: float | None = None
    sends: int = 1
    options: Mapping[str, Any] = field(factory=dict)
    keywords: Mapping[str, Any] = field(factory=dict)
    lasts: tuple[float, float] = (0.0, PATIENCE)

    @property
    def summary(self) -> tuple[type | None, str | None, int | None, bool | None]:
        """Return the kind of end it must come to."""
        code = None if self.code is None else str(self.code)
        safe = None if self.error is None else bool(self.retry_safe)
        return self.error, code, self.status, safe


def ids(cases: list[Case]) -> list[str]:
    """Return the cases' names, for pytest."""
    return [case.name.replace(" ", "-") for case in cases]


def play(
    case: Case,
    server: WireServer,
    new_caller: Callable[..., Caller],
    *,
    reused: bool = False,
) -> tuple[Caller, Outcome]:
    """Play *case* on a fresh connection, or on one that has served an exchange."""
    caller = new_caller(**case.keywords)
    if reused:
        caller.exchange()
        server.requests.clear()
    else:
        server.discovery = Script(last_document)
    server.token = Script(*case.plays)
    return caller, caller.exchange(**case.options)


def check(case: Case, server: WireServer, outcome: Outcome) -> None:
    """Assert that *outcome* is how *case* must end."""
    assert case.summary == outcome.summary
    assert case.sends == len(server.posts)
    shortest, longest = case.lasts
    assert shortest <= outcome.seconds <= longest
    if case.error is None:
        assert f"for-{SUBJECT}" == outcome.access_token
        return
    error = outcome.error
    assert error is not None
    assert case.tokens_issued == error.tokens_issued
    assert case.retry_after == error.retry_after
    check_silent(error)


def check_silent(error: CustomTokenExchangeError) -> None:
    """Assert that *error* leads to no secret: neither in words nor by its chain."""
    assert error.__cause__ is None
    assert error.__context__ is None
    for text in (str(error), repr(error), repr(error.args), repr(vars(error))):
        assert SUBJECT not in text
        assert CLIENT_SECRET not in text


def check_unpoisoned(server: WireServer, caller: Caller) -> None:
    """Assert that the next call gets an answer, and its own."""
    server.token = Script(grants)
    outcome = caller.exchange(subject_token=ANOTHER)
    assert f"for-{ANOTHER}" == outcome.access_token
