"""Which failures are sent again, how soon, and how often."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.wire.retries import (
    Repeatability,
    RetryState,
    delay_before_next,
    refusal_key,
)
from auth0_tx.errors import (
    AmbiguousError,
    BlockedError,
    ClientClosedError,
    CustomTokenExchangeError,
    DiscoveryError,
    InvalidResponseError,
    MfaRequiredError,
    NotSentError,
    RateLimitError,
    RefusedError,
)
from auth0_tx.errors import CustomTokenExchangeErrorCode as Code
from auth0_tx.values import RetryPolicy

DOMAIN = "tenant.us.auth0.com"
NOW = 1_000.0
POLICY = RetryPolicy()


def find_delay(
    error: CustomTokenExchangeError,
    policy: RetryPolicy = POLICY,
    repeatability: Repeatability = "once",
    **changes: Any,
) -> float | None:
    """Return the delay after the first attempt of a call with ten seconds left."""
    arguments = {"attempt": 1, "remaining": 10.0, "random": 0.5, **changes}
    return delay_before_next(policy, error, repeatability=repeatability, **arguments)


NOT_SENT = NotSentError(retry_safe=True)
BUSY = RateLimitError(status=429, retry_safe=True)


def build_limit(seconds: float | None) -> RateLimitError:
    """Return a rate limit that asks to wait *seconds*."""
    return RateLimitError(status=429, retry_safe=True, retry_after=seconds)


@pytest.mark.parametrize(
    ("attempt", "error", "seconds"),
    [
        (1, NOT_SENT, 0.05),
        (2, NOT_SENT, 0.1),
        (3, NOT_SENT, 0.2),
        (6, NOT_SENT, 1.6),
        (7, NOT_SENT, 2.5),
        (900, NOT_SENT, 2.5),
        (5_000, NOT_SENT, 2.5),
        (1, BUSY, 0.5),
        (2, BUSY, 1.0),
        (4, BUSY, 2.5),
    ],
)
def test_backoff(attempt: int, error: CustomTokenExchangeError, seconds: float) -> None:
    """The wait is random below a bound that doubles, up to the longest."""
    policy = RetryPolicy(attempts=10_000)

    assert seconds == find_delay(error, policy, attempt=attempt)


@given(
    st.floats(0, 1, exclude_max=True),
    st.integers(1, 10_000),
    st.sampled_from([NOT_SENT, BUSY]),
)
def test_jitter(random: float, attempt: int, error: CustomTokenExchangeError) -> None:
    """Full jitter: any wait below the bound, and never more than the longest."""
    seconds = find_delay(
        error, RetryPolicy(attempts=20_000), attempt=attempt, random=random
    )

    assert seconds is not None
    assert 0 <= seconds <= POLICY.longest_delay


@pytest.mark.parametrize(
    ("seconds", "remaining", "expected"),
    [
        (0.0, 10.0, 0.25),
        (1.0, 10.0, 1.25),
        (4.5, 10.0, 4.75),
        (4.75, 10.0, 4.875),
        (5.0, 10.0, 5.0),
        (5.1, 10.0, None),
        (86_400.0, 10.0, None),
        (3.0, 3.0, None),
        (3.0, 3.25, 3.125),
        (0.0, 0.0, None),
        (0.0, -1.0, None),
    ],
)
def test_wait_of_the_server(
    seconds: float, remaining: float, expected: float | None
) -> None:
    """A wait that the server names is kept in full, or the call stops: it must fit.

    Its end is spread, for less time where neither the longest delay nor the deadline leaves
    more.
    """
    assert expected == find_delay(build_limit(seconds), remaining=remaining)


@pytest.mark.parametrize(
    ("wait", "longest"), [(1.0, 1.5), (8.0, 8.8), (30.0, 33.0), (600.0, 605.0)]
)
def test_spread_after_a_wait(wait: float, longest: float) -> None:
    """Those who were told the same wait come back one after the other, and never earlier."""
    policy = RetryPolicy(longest_delay=86_400.0)
    randoms = [number / 1_000 for number in range(1_000)]
    delays = [
        find_delay(build_limit(wait), policy, remaining=9_999.0, random=random) or 0.0
        for random in randoms
    ]

    assert wait == delays[0]
    assert longest == pytest.approx(delays[-1], abs=(longest - wait) / 500)
    assert sorted(set(delays)) == delays


@given(
    st.floats(0, 86_400),
    st.floats(-1, 1e6),
    st.floats(0, 86_400),
    st.floats(0, 1, exclude_max=True),
)
def test_a_wait_of_the_server_is_never_cut_short(
    wait: float, remaining: float, longest: float, random: float
) -> None:
    """It is kept in full wherever it fits, spread or not, and the spread fits as well."""
    policy = RetryPolicy(longest_delay=longest)
    delay = find_delay(build_limit(wait), policy, remaining=remaining, random=random)

    assert (wait <= longest and wait < remaining) is (delay is not None)
    if delay is not None:
        assert wait <= delay <= min(longest, remaining)


@pytest.mark.parametrize(
    ("attempts", "attempt", "again"),
    [
        (1, 1, False),
        (2, 1, True),
        (2, 2, False),
        (3, 2, True),
        (3, 3, False),
        (3, 9, False),
    ],
)
def test_attempts(attempts: int, attempt: int, again: bool) -> None:
    """There are as many attempts as the policy says, the first included."""
    result = find_delay(NOT_SENT, RetryPolicy(attempts=attempts), attempt=attempt)

    assert again is (result is not None)


BLOCKED = BlockedError(code="too_many_attempts", status=429)
LIMIT_500 = RateLimitError(status=500)
SWITCH_503 = RetryPolicy(retry_503=True)
SWITCH_429 = RetryPolicy(retry_429=False)
ROWS: list[tuple[str, CustomTokenExchangeError, RetryPolicy, bool, bool]] = [
    ("not sent", NotSentError(), POLICY, True, True),
    ("no time to connect", NotSentError(code=Code.TIMEOUT), POLICY, True, True),
    ("certificate", NotSentError(code=Code.TLS_FAILED), POLICY, False, False),
    ("408", RefusedError(status=408), POLICY, True, True),
    ("425", RefusedError(status=425), POLICY, True, True),
    ("429", BUSY, POLICY, True, True),
    ("429, switched off", BUSY, SWITCH_429, False, False),
    ("blocked", BLOCKED, POLICY, False, False),
    (
        "blocked with a wait",
        BlockedError(status=429, retry_after=1),
        POLICY,
        False,
        False,
    ),
    ("global limit as 500", LIMIT_500, POLICY, False, False),
    ("lost", AmbiguousError(), POLICY, False, True),
    ("timed out", AmbiguousError(code=Code.TIMEOUT), POLICY, False, True),
    ("500", RefusedError(status=500), POLICY, False, True),
    ("502", RefusedError(status=502), POLICY, False, True),
    ("504", RefusedError(status=504), POLICY, False, True),
    ("504 without JSON", AmbiguousError(status=504), POLICY, False, True),
    ("501", RefusedError(status=501), POLICY, False, False),
    ("503", RefusedError(status=503), POLICY, False, True),
    ("503 with a wait", RefusedError(status=503, retry_after=1), POLICY, False, True),
    ("503, switched on", RefusedError(status=503), SWITCH_503, False, True),
    ("503 with both", RefusedError(status=503, retry_after=1), SWITCH_503, True, True),
    (
        "503 lost, with both",
        AmbiguousError(status=503, retry_after=1),
        SWITCH_503,
        True,
        True,
    ),
    ("broken 200", InvalidResponseError(status=200), POLICY, False, True),
    ("redirect", InvalidResponseError(status=302), POLICY, False, False),
    ("204", InvalidResponseError(status=204), POLICY, False, False),
    ("400", RefusedError(status=400), POLICY, False, False),
    ("401", RefusedError(status=401), POLICY, False, False),
    ("mfa", MfaRequiredError(status=403), POLICY, False, False),
    ("no such document", DiscoveryError(status=404), POLICY, False, False),
    ("closed", ClientClosedError(), POLICY, False, False),
]


@pytest.mark.parametrize(
    ("error", "policy", "once", "reusable"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_what_is_sent_again(
    error: CustomTokenExchangeError, policy: RetryPolicy, once: bool, reusable: bool
) -> None:
    """A request that may have taken effect is sent again only if it may do so twice."""
    assert once is (find_delay(error, policy, "once") is not None)
    assert reusable is (find_delay(error, policy, "reusable") is not None)


def test_broken_answer_twice() -> None:
    """A broken answer is worth one more try and no second."""
    broken = InvalidResponseError(status=200)

    assert find_delay(broken, repeatability="reusable", attempt=1) is not None
    assert find_delay(broken, repeatability="reusable", attempt=2) is None


def test_outage() -> None:
    """In a full outage a client retries ten times and then no more."""
    state = RetryState(POLICY)

    assert 10 == sum(state.pay_for_retry(NOT_SENT) for _ in range(10_000))


def test_outage_of_timeouts() -> None:
    """A retry after a timeout costs twice as much."""
    state = RetryState(POLICY)
    late = AmbiguousError(code=Code.TIMEOUT)

    assert 5 == sum(state.pay_for_retry(late) for _ in range(10_000))


def test_successes_pay() -> None:
    """Five successes pay for a retry, and the budget has an upper bound."""
    state = RetryState(RetryPolicy(budget=5))
    for _ in range(1_000):
        state.record_success()

    assert [True, False] == [state.pay_for_retry(NOT_SENT) for _ in range(2)]
    for _ in range(4):
        state.record_success()
    assert not state.pay_for_retry(NOT_SENT)
    state.record_success()
    assert state.pay_for_retry(NOT_SENT)


def test_no_budget() -> None:
    """A budget of 0 turns the budget off."""
    state = RetryState(RetryPolicy(budget=0))
    state.record_success()

    assert all(state.pay_for_retry(NOT_SENT) for _ in range(1_000))


@given(st.lists(st.sampled_from(["success", "retry", "timeout"]), max_size=300))
def test_retries_stay_in_proportion(history: list[str]) -> None:
    """Whatever happens, retries are at most a fifth of the successes, and ten."""
    state = RetryState(POLICY)
    successes = retries = 0
    for event in history:
        if event == "success":
            successes += 1
            state.record_success()
        else:
            code = Code.TIMEOUT if event == "timeout" else None
            retries += state.pay_for_retry(NotSentError(code=code))
        assert retries <= successes / 5 + 10
        assert 0 <= state.budget <= POLICY.budget


def fail_fast(**changes: Any) -> RetryState:
    """Return the state of a client that fails fast."""
    return RetryState(RetryPolicy(fail_fast=True, **changes))


def test_wait_for_all() -> None:
    """While a wait lasts, calls to that domain fail with what is left of it."""
    state = fail_fast()
    state.record_failure(DOMAIN, build_limit(30.0), NOW, 0.0)
    error = state.find_closure(DOMAIN, NOW + 10)

    assert isinstance(error, RateLimitError)
    assert (20.0, True, 429) == (error.retry_after, error.retry_safe, error.status)
    assert state.find_closure("other.auth0.com", NOW + 10) is None


def test_one_probe() -> None:
    """When the wait is over one call goes through, and the others wait for its outcome."""
    state = fail_fast()
    state.record_failure(DOMAIN, build_limit(30.0), NOW, 0.0)
    through = [state.find_closure(DOMAIN, NOW + 30) is None for _ in range(100)]

    assert [True, *[False] * 99] == through
    state.reopen(DOMAIN)
    assert state.find_closure(DOMAIN, NOW + 30) is None
    assert state.find_closure(DOMAIN, NOW + 30) is None


def test_processes_do_not_probe_in_the_same_instant() -> None:
    """A wait for all calls ends at a random time after the server's, and never before."""
    ends = []
    for random in (0.0, 0.5, 0.999):
        state = fail_fast()
        state.record_failure(DOMAIN, build_limit(30.0), NOW, random)
        closure = state.find_closure(DOMAIN, NOW)
        assert closure is not None
        ends.append(closure.retry_after)

    assert [30.0, 31.5, pytest.approx(32.997)] == ends


def test_lost_probe() -> None:
    """A probe whose outcome is never reported is followed by another."""
    state = fail_fast()
    state.record_failure(DOMAIN, build_limit(30.0), NOW, 0.0)

    assert state.find_closure(DOMAIN, NOW + 30) is None
    assert state.find_closure(DOMAIN, NOW + 34.9) is not None
    assert state.find_closure(DOMAIN, NOW + 35) is None


def test_probe_without_delays() -> None:
    """A probe has at least a second, even if the policy knows no delays."""
    state = fail_fast(longest_delay=0.0)
    state.record_failure(DOMAIN, build_limit(30.0), NOW, 0.0)
    times = (30.0, 30.9, 31.0)

    assert [True, False, True] == [
        state.find_closure(DOMAIN, NOW + seconds) is None for seconds in times
    ]


def test_probe_limited_again() -> None:
    """A probe that meets the limit again renews the wait."""
    state = fail_fast()
    state.record_failure(DOMAIN, build_limit(30.0), NOW, 0.0)
    state.find_closure(DOMAIN, NOW + 30)
    state.record_failure(DOMAIN, build_limit(60.0), NOW + 31, 0.0)
    error = state.find_closure(DOMAIN, NOW + 32)

    assert error is not None
    assert 59.0 == error.retry_after


@pytest.mark.parametrize(
    ("outcome", "opens"),
    [
        (RefusedError(code="invalid_grant", status=400), True),
        (MfaRequiredError(status=403), True),
        (NOT_SENT, False),
        (AmbiguousError(), False),
        (RateLimitError(status=429), False),
    ],
)
def test_probe_refused(outcome: CustomTokenExchangeError, opens: bool) -> None:
    """A probe that is refused on its merits has shown that the limit is over."""
    state = fail_fast()
    state.record_failure(DOMAIN, build_limit(30.0), NOW, 0.0)
    state.find_closure(DOMAIN, NOW + 30)
    state.record_failure(DOMAIN, outcome, NOW + 31, 0.0)

    assert opens is (state.find_closure(DOMAIN, NOW + 31) is None)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(BLOCKED, 600.0), (BlockedError(status=429, retry_after=60.0), 60.0)],
)
def test_blocked_for_all(error: BlockedError, seconds: float) -> None:
    """A block of the source IP holds for its time, and trying again is not safe."""
    state = fail_fast()
    state.record_failure(DOMAIN, error, NOW, 0.0)
    kept = state.find_closure(DOMAIN, NOW)

    assert isinstance(kept, BlockedError)
    assert (seconds, False) == (kept.retry_after, kept.retry_safe)
    assert state.find_closure(DOMAIN, NOW + seconds) is None


def test_block_that_is_not_kept() -> None:
    """A policy may set the time of a block to zero."""
    state = fail_fast(blocked_seconds=0.0)
    state.record_failure(DOMAIN, BLOCKED, NOW, 0.0)

    assert state.find_closure(DOMAIN, NOW) is None


@pytest.mark.parametrize(
    "error",
    [
        NOT_SENT,
        AmbiguousError(status=502, retry_after=30.0),
        RefusedError(status=400, retry_after=30.0),
        RateLimitError(status=429),
        RateLimitError(status=429, retry_after=0.0),
        RefusedError(status=503),
    ],
    ids=repr,
)
def test_nothing_to_wait_for(error: CustomTokenExchangeError) -> None:
    """A failure that names no wait stops no other call."""
    state = fail_fast()
    state.record_failure(DOMAIN, error, NOW, 0.0)

    assert state.find_closure(DOMAIN, NOW) is None


def test_unavailable_for_all() -> None:
    """A call that was never sent does not say that it may have taken effect."""
    state = fail_fast()
    lost = AmbiguousError(
        "lost", Code.TOKEN_EXCHANGE_FAILED, 503, retry_after=30.0, correlation_id="c"
    )
    state.record_failure(DOMAIN, lost, NOW, 0.0)
    error = state.find_closure(DOMAIN, NOW)

    assert isinstance(error, NotSentError)
    assert (503, 30.0, True, "c") == (
        error.status,
        error.retry_after,
        error.retry_safe,
        error.correlation_id,
    )
    assert "unknown" not in error.message


def test_slow_by_default() -> None:
    """Nothing is refused locally unless the policy says so."""
    state = RetryState(POLICY)
    state.record_failure(DOMAIN, build_limit(30.0), NOW, 0.0)
    state.remember_refusal(b"key", RefusedError(status=400), NOW)

    assert state.find_closure(DOMAIN, NOW) is None
    assert state.find_refusal(b"key", NOW) is None


def remember_refusals() -> RetryState:
    """Return the state of a client that remembers refusals for a minute."""
    return RetryState(RetryPolicy(remember_refusals_seconds=60.0))


def test_refusal_is_remembered() -> None:
    """A remembered refusal is returned for its time, as a new error each time."""
    state = remember_refusals()
    refusal = RefusedError("no", "invalid_grant", 400)
    state.remember_refusal(b"key", refusal, NOW)
    again = state.find_refusal(b"key", NOW + 59.9)

    assert isinstance(again, RefusedError)
    assert refusal.args == again.args
    assert again is not state.find_refusal(b"key", NOW)
    assert again is not refusal
    assert state.find_refusal(b"other", NOW) is None
    assert state.find_refusal(b"key", NOW + 60.0) is None
    assert state.find_refusal(b"key", NOW) is None


@pytest.mark.parametrize(
    "error",
    [
        RefusedError(status=401),
        RefusedError(status=408),
        RefusedError(status=425),
        RefusedError(status=500),
        RefusedError(status=200),
        RefusedError(status=400),
        RefusedError("no", "invalid_grant", 401),
        RefusedError("no", "invalid_grant", 408),
        RefusedError(),
        BUSY,
        BLOCKED,
        MfaRequiredError(status=403),
        InvalidResponseError(status=400),
        NOT_SENT,
        AmbiguousError(),
    ],
    ids=lambda error: f"{type(error).__name__}-{error.status}",
)
def test_not_the_token(error: CustomTokenExchangeError) -> None:
    """A failure that is not about the token is not remembered."""
    state = remember_refusals()
    state.remember_refusal(b"key", error, NOW)

    assert state.find_refusal(b"key", NOW) is None


def test_refusals_are_bounded() -> None:
    """The oldest refusals are forgotten before there are too many."""
    state = remember_refusals()
    refusal = RefusedError("no", "invalid_grant", 400)
    for number in range(1_100):
        state.remember_refusal(b"%d" % number, refusal, NOW)

    assert 1_024 == len(state._refusals)
    assert state.find_refusal(b"75", NOW) is None
    assert state.find_refusal(b"76", NOW) is not None
    assert state.find_refusal(b"1099", NOW) is not None


def test_refusal_key() -> None:
    """A refusal is remembered by a keyed hash of the domain and the whole grant."""
    keys = {
        refusal_key(key, domain, form)
        for key in (b"a" * 32, b"b" * 32)
        for domain in ("a.auth0.com", "b.auth0.com")
        for form in ("subject_token=a", "subject_token=b")
    }

    assert 8 == len(keys)
    assert {32} == set(map(len, keys))


def test_calm() -> None:
    """A state is calm while a success would change nothing in it."""
    state = fail_fast()
    assert state.is_calm

    state.pay_for_retry(NOT_SENT)
    assert not state.is_calm
    for _ in range(5):
        state.record_success()
    assert state.is_calm

    state.record_failure(DOMAIN, build_limit(30.0), NOW, 0.0)
    state.record_success()
    assert not state.is_calm
    state.reopen(DOMAIN)
    state.record_success()
    assert state.is_calm


def test_calm_set_by_another_thread() -> None:
    """A success in another thread, as a wait begins, does not keep its probe from ending it."""
    state = fail_fast()
    state.record_failure(DOMAIN, build_limit(30.0), NOW, 0.0)
    # The other thread looked before the wait began, and wrote after it.
    state.is_calm = True

    assert state.find_closure(DOMAIN, NOW + 30) is None
    assert not state.is_calm
