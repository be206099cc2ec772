"""When a failed request is sent again: how soon, or not at all.

Time and chance are arguments.  The state that outlives a call (a budget, a wait that the
server asked for, refusals remembered) is one small value for each client and process.
"""

from __future__ import annotations

import hmac
from typing import Literal, TypeAlias

import attrs

from ...bounded import ExpiringDict
from ...errors import (
    AmbiguousError,
    BlockedError,
    CustomTokenExchangeError,
    InvalidResponseError,
    MfaRequiredError,
    NotSentError,
    RateLimitError,
    RefusedError,
    TransportError,
)
from ...errors import CustomTokenExchangeErrorCode as Code
from ...values import RetryPolicy

Repeatability: TypeAlias = Literal["once", "reusable", "refresh"]
"""Whether a request may take effect twice: a grant that may spend its token, or not.

A refresh token that is sent twice may end its whole family, so *refresh* is once at the most.
"""

_RETRY_COST = 5
_TIMEOUT_COST = 10
_MOST_REFUSALS = 1_024
_SERVER_FAULTS = frozenset({500, 502, 504})


def delay_before_next(
    policy: RetryPolicy,
    error: CustomTokenExchangeError,
    *,
    attempt: int,
    repeatability: Repeatability,
    remaining: float,
    random: float,
) -> float | None:
    """Give the seconds to wait before the next attempt, or ``None`` to stop.

    Args:
        policy: what the client was configured with.
        error: how the attempt failed.
        attempt: how many attempts were made, from 1.
        repeatability: whether the request may take effect twice.
        remaining: seconds until the deadline of the call.
        random: at least 0, less than 1: the jitter.
    """
    if attempt >= policy.attempts or not _may_resend(
        policy, error, attempt, repeatability
    ):
        return None
    if error.retry_after is not None:
        delay = error.retry_after
    else:
        throttled = isinstance(error, RateLimitError)
        base = policy.throttled_delay if throttled else policy.transient_delay
        # Full jitter: callers that failed together must not come back together.
        # 2.0**64 is longer than any longest delay; 2.0**1024 would be no number.
        doubled = base * 2.0 ** min(attempt - 1, 64)
        delay = random * min(doubled, policy.longest_delay)
    # A wait that is too long to sit out is the caller's to schedule.
    return delay if delay <= policy.longest_delay and delay < remaining else None


def _may_resend(
    policy: RetryPolicy,
    error: CustomTokenExchangeError,
    attempt: int,
    repeatability: Repeatability,
) -> bool:
    if isinstance(error, NotSentError):
        # A certificate does not get better by asking again.
        return error.code != Code.TLS_FAILED
    if isinstance(error, BlockedError):
        return False
    if isinstance(error, RateLimitError) and error.status == 429:
        return policy.retry_429
    if isinstance(error, RefusedError) and error.status in (408, 425):
        return True
    if error.status == 503:
        asked_to = policy.retry_503 and error.retry_after is not None
        return (asked_to and repeatability == "once") or repeatability == "reusable"
    if repeatability != "reusable":
        return False
    if isinstance(error, InvalidResponseError):
        # A broken answer once may be a broken connection; twice, it is the server.
        return error.status == 200 and attempt == 1
    if isinstance(error, AmbiguousError):
        return True
    return error.status in _SERVER_FAULTS and not isinstance(error, RateLimitError)


@attrs.define(eq=False)
class RetryState:
    """What earlier calls of this client, in this process, mean for the next one.

    Attributes:
        policy: the client's.
        budget: what is left to pay for retries.
        is_calm: whether there is nothing that a success would change: the case of nearly
            every call, which can then go on without a look at anything else here.
    """

    policy: RetryPolicy
    budget: int = attrs.field(init=False)
    is_calm: bool = attrs.field(init=False, default=True)
    _closed_until: dict[str, tuple[float, CustomTokenExchangeError]] = attrs.field(
        init=False, factory=dict
    )
    _refusals: ExpiringDict[bytes, CustomTokenExchangeError] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.budget = self.policy.budget
        self._refusals = ExpiringDict(
            _MOST_REFUSALS, self.policy.remember_refusals_seconds
        )

    def record_success(self) -> None:
        """Let one success pay towards the next retry."""
        if self.budget < self.policy.budget:
            self.budget += 1
        self.is_calm = self.budget >= self.policy.budget and not self._closed_until

    def pay_for_retry(self, error: CustomTokenExchangeError) -> bool:
        """Take the price of a retry from the budget; tell whether it was there.

        A retried success is not refunded, so under a partial outage retries stay in
        proportion to what succeeds.
        """
        if self.policy.budget == 0:
            return True
        self.is_calm = False
        cost = _TIMEOUT_COST if error.code == Code.TIMEOUT else _RETRY_COST
        if self.budget < cost:
            return False
        self.budget -= cost
        return True

    def record_failure(
        self, domain: str, error: CustomTokenExchangeError, now: float
    ) -> None:
        """Learn from a failure whether calls to *domain* must wait, or need not any more."""
        if not self.policy.fail_fast:
            return
        limited = isinstance(error, (RateLimitError, BlockedError))
        wait = error.retry_after if limited or error.status == 503 else None
        if isinstance(error, BlockedError):
            wait = wait or self.policy.blocked_seconds
        if wait:
            self._closed_until[domain] = (now + wait, _for_calls_not_sent(error))
            self.is_calm = False
        elif isinstance(error, RefusedError) and not limited:
            # The limiter let it through, for better or worse.
            self.reopen(domain)

    def find_closure(self, domain: str, now: float) -> CustomTokenExchangeError | None:
        """Give the error to fail with while a wait of *domain* lasts.

        When it is over, the first to ask becomes the probe and the wait is pushed a little
        further for all others, until the probe's own outcome is known.
        """
        closed = self._closed_until.get(domain)
        if closed is None:
            return None
        until, error = closed
        if now < until:
            safe = not isinstance(error, BlockedError)
            return error.evolve(retry_after=until - now, retry_safe=safe)
        probe = (now + max(self.policy.longest_delay, 1.0), error)
        self._closed_until[domain] = probe
        return None

    def reopen(self, domain: str) -> None:
        """Forget the wait of *domain*: a call went through."""
        self._closed_until.pop(domain, None)

    def remember_refusal(
        self, key: bytes, error: CustomTokenExchangeError, now: float
    ) -> None:
        """Keep a refusal of one subject token, so that a looping caller is refused here."""
        if self.policy.remember_refusals_seconds > 0 and _blames_the_token(error):
            self._refusals.add(key, error.evolve(), now)

    def find_refusal(self, key: bytes, now: float) -> CustomTokenExchangeError | None:
        """Give the refusal that *key* met, while it is remembered."""
        refusal = self._refusals.get(key, now)
        return None if refusal is None else refusal.evolve()


def refusal_key(process_key: bytes, domain: str, form: str) -> bytes:
    """Hash a grant, with a key of this process, so that what is kept reveals nothing."""
    return hmac.digest(process_key, f"{domain}\n{form}".encode(), "sha256")


def _for_calls_not_sent(error: CustomTokenExchangeError) -> CustomTokenExchangeError:
    """Copy *error* for calls that are refused here, of which nothing can be ambiguous."""
    if not isinstance(error, TransportError):
        return error.evolve()
    return NotSentError(
        "the server asked every caller to wait",
        error.code,
        error.status,
        correlation_id=error.correlation_id,
    )


def _blames_the_token(error: CustomTokenExchangeError) -> bool:
    """Tell whether the same grant would be refused again: a 4xx OAuth error, in general."""
    return (
        isinstance(error, RefusedError)
        and not isinstance(error, (RateLimitError, BlockedError, MfaRequiredError))
        and error.status is not None
        and 400 <= error.status < 500
        and error.status not in (401, 408, 425)
    )
