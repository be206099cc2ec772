"""Answers that ask to wait, or to stay away: heard, within the deadline and no further."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from auth0_tx import (
    AmbiguousError,
    BlockedError,
    RateLimitError,
    RefusedError,
    RetryPolicy,
)
from auth0_tx import CustomTokenExchangeErrorCode as Code
from tests.e2e.faults.callers import QUICK, Caller
from tests.e2e.faults.fault_cases import (
    ANOTHER,
    Case,
    check,
    check_silent,
    check_unpoisoned,
    ids,
    play,
)
from tests.e2e.faults.wire_behaviours import answers, grants, has_body, late
from tests.e2e.faults.wire_server import Behaviour, Script, WireServer

NOON = 1_700_000_000  # Tue, 14 Nov 2023 22:13:20 GMT
DAY = 86_400
ATTEMPTS = QUICK.attempts
AT_NOON: dict[str, Any] = {"clock": lambda: float(NOON)}
BUSY = {"error": "too_many_requests", "error_description": "Rate limit exceeded."}
THREE = "\N{ARABIC-INDIC DIGIT THREE}".encode().decode("latin-1")


def busy(*headers: tuple[str, str]) -> Behaviour:
    """Answer that there are too many requests."""
    return answers(429, BUSY, *headers)


def make_limited_case(
    name: str, wait: float | None, *headers: tuple[str, str], sends: int = 1
) -> Case:
    """Make a case of a rate limit that is the caller's to sit out."""
    return Case(
        name=name,
        plays=(busy(*headers),),
        error=RateLimitError,
        code="too_many_requests",
        status=429,
        retry_safe=True,
        retry_after=wait,
        sends=sends,
        keywords=AT_NOON,
        lasts=(0.0, 0.9),
    )


def make_retried_case(
    name: str, *headers: tuple[str, str], seconds: float = 0.0
) -> Case:
    """Make a case of a rate limit that is sat out here."""
    return Case(
        name=name,
        plays=(busy(*headers), grants),
        sends=2,
        keywords=AT_NOON,
        lasts=(seconds, seconds + 1.5),
    )


def after(value: str) -> tuple[str, str]:
    """Name a time to wait."""
    return "Retry-After", value


def reset(value: object) -> tuple[str, str]:
    """Name when the limit ends, as Auth0 does."""
    return "x-ratelimit-reset", str(value)


WAITS: list[Case] = [
    make_retried_case("a second", after("1"), seconds=1.0),
    make_retried_case("no time at all", after("0")),
    make_retried_case("a date in the past", after("Tue, 14 Nov 2023 22:13:19 GMT")),
    make_limited_case("a minute", 60.0, after("60")),
    make_limited_case("a date", 3600.0, after("Tue, 14 Nov 2023 23:13:20 GMT")),
    make_limited_case(
        "a date of RFC 850", 3600.0, after("Tuesday, 14-Nov-23 23:13:20 GMT")
    ),
    make_limited_case("a date of asctime", 3600.0, after("Tue Nov 14 23:13:20 2023")),
    make_limited_case("30,000 years", float(DAY), after("1000000000000")),
    make_limited_case("a reset", 30.0, reset(NOON + 30)),
    make_limited_case(
        "a reset by a clock two days fast", float(DAY), reset(NOON + 2 * DAY)
    ),
    make_limited_case("both", 60.0, after("60"), reset(NOON + 30)),
    make_retried_case("a reset by a clock a day slow", reset(NOON - DAY)),
    *(
        make_limited_case(f"not a time {value!a}", None, after(value), sends=ATTEMPTS)
        for value in ("soon", "-5", "1e3", "1.5", THREE, "1, 2", "", "9" * 400 + "x")
    ),
    make_limited_case("two times", None, after("1"), after("2"), sends=ATTEMPTS),
    make_limited_case("not a reset", None, reset("soon"), sends=ATTEMPTS),
    make_limited_case("nothing", None, sends=ATTEMPTS),
]

BLOCKED = {"error": "too_many_attempts", "error_description": "suspicious behavior"}
GLOBAL = {
    "error": "access_denied",
    "error_description": "Global limit has been reached",
}
FAILED = {"error": "server_error", "error_description": "unhandled exception"}
REUSABLE = {"subject_token_reusable": True}
PAGE = (b"<html></html>", "text/html")
OUTAGE: dict[str, Any] = {"error": AmbiguousError, "code": Code.TOKEN_EXCHANGE_FAILED}

FAILURES: list[Case] = [
    *(
        Case(
            name=f"blocked {'reusable' if options else 'one-time'}",
            plays=(answers(429, BLOCKED, after("1")), grants),
            error=BlockedError,
            code="too_many_attempts",
            status=429,
            retry_after=1.0,
            options=options,
            lasts=(0.0, 0.9),
        )
        for options in ({}, REUSABLE)
    ),
    *(
        Case(
            name=f"{status} page",
            plays=(has_body(status, *PAGE),),
            status=status,
            **OUTAGE,
        )
        for status in (500, 502, 503, 504, 520, 599)
    ),
    *(
        Case(
            name=f"{status} refusal",
            plays=(answers(status, FAILED),),
            error=RefusedError,
            code="server_error",
            status=status,
        )
        for status in (500, 502, 503, 504)
    ),
    Case(
        name="503 without a word",
        plays=(has_body(503, b""), grants),
        status=503,
        **OUTAGE,
    ),
    Case(
        name="503 that names a time",
        plays=(answers(503, {}, after("0")), grants),
        error=RefusedError,
        code=Code.TOKEN_EXCHANGE_FAILED,
        status=503,
        retry_after=0.0,
    ),
    Case(
        name="global limit as 500",
        plays=(answers(500, GLOBAL), grants),
        error=RateLimitError,
        code="access_denied",
        status=500,
    ),
    Case(
        name="global limit as 500, reusable",
        plays=(answers(500, GLOBAL), grants),
        error=RateLimitError,
        code="access_denied",
        status=500,
        retry_safe=True,
        options=REUSABLE,
    ),
    Case(
        name="429 in words",
        plays=(has_body(429, b"Too many requests", "text/plain"),),
        error=RateLimitError,
        code=Code.RATE_LIMITED,
        status=429,
        retry_safe=True,
        sends=ATTEMPTS,
    ),
    Case(
        name="429 without retries",
        plays=(busy(), grants),
        error=RateLimitError,
        code="too_many_requests",
        status=429,
        retry_safe=True,
        keywords={"retry": RetryPolicy(retry_429=False)},
    ),
]

CASES = WAITS + FAILURES


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_wait_is_heard(
    case: Case, server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A wait is sat out where it is short, and otherwise told; it is never guessed."""
    caller, outcome = play(case, server, new_caller)

    check(case, server, outcome)
    check_unpoisoned(server, caller)


def test_wait_past_the_deadline_is_not_begun(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A wait that would end after the deadline is the caller's, at once."""
    case = Case(
        name="late",
        plays=(busy(after("2")), grants),
        error=RateLimitError,
        code="too_many_requests",
        status=429,
        retry_safe=True,
        retry_after=2.0,
        keywords={"timeout": 1.0},
        lasts=(0.0, 0.9),
    )
    _, outcome = play(case, server, new_caller)

    check(case, server, outcome)


WAITS_FOR_ALL: dict[str, tuple[Behaviour, type, float, bool]] = {
    "429": (busy(after("60")), RateLimitError, 60.0, True),
    "503": (answers(503, {}, after("60")), RefusedError, 60.0, True),
    "blocked": (answers(429, BLOCKED), BlockedError, 600.0, False),
}


@pytest.mark.parametrize("name", WAITS_FOR_ALL)
def test_wait_holds_for_every_call(
    name: str, server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """With fail_fast, calls within a wait are refused here and told what is left of it."""
    behaviour, error, seconds, safe = WAITS_FOR_ALL[name]
    server.token = Script(behaviour, grants)
    caller = new_caller(retry=RetryPolicy(fail_fast=True))
    first = caller.exchange()
    later = [caller.exchange(subject_token=f"{n}-{ANOTHER}") for n in range(3)]

    assert first.error is not None
    assert 1 == len(server.posts)
    for outcome in later:
        assert error is type(outcome.error)
        assert outcome.error is not None
        assert safe is outcome.error.retry_safe
        assert outcome.error.retry_after is not None
        # The wait ends up to five seconds after the server's, at random.
        assert seconds - 5.0 < outcome.error.retry_after < seconds + 5.0
        check_silent(outcome.error)


def test_wait_that_is_over_is_probed_by_one_call(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """With fail_fast, one of those who come after a wait is sent, and its end opens the way."""
    policy = RetryPolicy(attempts=1, fail_fast=True)
    server.token = Script(busy(after("1")), late(0.5), grants)
    caller = new_caller(retry=policy)
    caller.exchange()
    # Half a second more: the end of the wait is spread.
    caller.rest(1.6)
    outcomes = caller.exchange_at_once(4)
    probed = len(server.posts)
    afterwards = caller.exchange()

    assert [None] == [outcome.error for outcome in outcomes if outcome.error is None]
    assert 3 == sum(isinstance(outcome.error, RateLimitError) for outcome in outcomes)
    assert 2 == probed
    assert afterwards.error is None


def test_refused_token_is_remembered(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """With remember_refusals_seconds, a token that was refused is refused here, for its time."""
    denied = answers(400, {"error": "invalid_grant", "error_description": "no"})
    server.token = Script(denied, grants)
    caller = new_caller(retry=RetryPolicy(remember_refusals_seconds=1.0))
    looped = [caller.exchange() for _ in range(5)]
    other = caller.exchange(subject_token=ANOTHER)
    sent = len(server.posts)
    caller.rest(1.1)
    again = caller.exchange()

    refused = (RefusedError, "invalid_grant", 400, False)
    assert [refused] * 5 == [outcome.summary for outcome in looped]
    assert other.error is None
    assert 2 == sent
    assert again.error is None


def test_nothing_is_refused_here_unasked(server: WireServer, caller: Caller) -> None:
    """Without these switches every call is sent, whatever became of those before it."""
    denied = answers(400, {"error": "invalid_grant"})
    server.token = Script(denied, denied, answers(429, BLOCKED), grants)
    outcomes = [caller.exchange() for _ in range(4)]

    assert [False, False, False, True] == [
        outcome.error is None for outcome in outcomes
    ]
    assert 4 == len(server.posts)
