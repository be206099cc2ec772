"""When a failed request is sent again: how soon, or not at all.

A grant may take effect although its response never arrives, and a subject token may be
good for one use.  So failures fall into classes, by what is known to have happened:

* **Not sent.**  No byte of the request reached the server: sent again, unless TLS failed.
* **Not acted on.**  408, 425 and 429 say so (RFC 9110 section 15.5.9, RFC 8470 section
  5.2, RFC 6585 section 4): sent again, a 429 if the policy allows.
* **Perhaps acted on.**  A lost connection, a timeout, a 5xx, a broken 200: sent again only
  if the request is ``reusable``.  A 503 counts as not acted on if it has ``Retry-After``
  and the policy says to trust that.
* **Refused.**  The same request would be refused again: never sent again.

A retry waits as long as the server asks and a random time more, because all who were told
to wait would otherwise come back in the same instant.  If the server names no wait, it is a
random time below a bound that doubles.  A wait must fit into the policy's longest delay and
the call's deadline; a longer one is for the caller to schedule.

Three things outlive a call, one small :class:`RetryState` for each client and process:

* a **budget**, a token bucket that successes fill and retries drain, so that an outage is
  not answered with a multiple of the usual load;
* with ``fail_fast``, the **waits** of each domain (a circuit breaker): calls fail at once
  until the server's wait is over, then a single probe finds out how things are;
* **refusals** of subject tokens: Auth0 throttles an IP address that keeps sending bad ones,
  which would shut out every user behind it.

Time and chance are arguments.
"""

from __future__ import annotations

import hmac
import math
from typing import Literal, TypeAlias

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
"""Whether a request may take effect twice.

``once``: the grant may spend its token.  ``reusable``: its token may be used again.
``refresh``: sent once at most, even if a 503 asks to wait, because a refresh token that is
used twice may revoke its whole family (RFC 9700 section 4.14.2).
"""

# In successes: retries are at most a fifth of them.  A retry after a timeout costs double,
# because it is the one that holds a connection, and a worker, for longest.
_RETRY_COST = 5
_TIMEOUT_COST = 10
# A caller in a loop sends the same few tokens; the bound is against one that varies them.
_MAX_REFUSALS = 1_024
# Those who were told to wait come back within a share of the wait after its end, and within
# no less and no more than so many seconds.  A tenant's limiter lets a few through in a second.
_SPREAD = 0.1
_SHORTEST_SPREAD = 0.5
_LONGEST_SPREAD = 5.0
# 501 and 505 are about the request, and another try would not change them.
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
    """Return the seconds to wait before the next attempt, or ``None`` to stop.

    Args:
        policy: the client's policy.
        error: how the attempt failed.
        attempt: the number of attempts made so far, from 1.
        repeatability: whether the request may take effect twice.
        remaining: seconds until the deadline of the call.
        random: a random number, at least 0 and less than 1.
    """
    if attempt >= policy.attempts or not _may_resend(
        policy, error, attempt, repeatability
    ):
        return None
    wait = error.retry_after
    if wait is not None:
        # A wait that the server asks for is never cut short: an early retry would be refused,
        # and counted.  If it does not fit, the error tells the caller how long it is.
        if wait > policy.longest_delay or wait >= remaining:
            return None
        return _spread(wait, random, min(policy.longest_delay, remaining))
    throttled = isinstance(error, RateLimitError)
    base = policy.throttled_delay if throttled else policy.transient_delay
    # Full jitter: callers that failed together must not come back together.
    # 2.0**64 is longer than any longest delay; 2.0**1024 would overflow.
    doubled = base * 2.0 ** min(attempt - 1, 64)
    delay = random * min(doubled, policy.longest_delay)
    return delay if delay < remaining else None


def _spread(wait: float, random: float, longest: float = math.inf) -> float:
    """Return a random time from *wait* to somewhat more, and to *longest* at the most."""
    spread = min(max(_SPREAD * wait, _SHORTEST_SPREAD), _LONGEST_SPREAD)
    return wait + random * min(spread, longest - wait)


def _may_resend(
    policy: RetryPolicy,
    error: CustomTokenExchangeError,
    attempt: int,
    repeatability: Repeatability,
) -> bool:
    if isinstance(error, NotSentError):
        # A certificate that is not trusted now is not trusted in a second either.
        return error.code != Code.TLS_FAILED
    # Each further attempt prolongs a block, whatever wait it names.
    if isinstance(error, BlockedError):
        return False
    if isinstance(error, RateLimitError) and error.status == 429:
        return policy.retry_429
    # RFC 9110 section 15.5.9 and RFC 8470 section 5.2: the client may repeat the request.
    if isinstance(error, RefusedError) and error.status in (408, 425):
        return True
    if error.status == 503:
        # RFC 9110 section 15.6.4: overloaded, or down for maintenance.  That it names a wait
        # makes it likely that the server itself answered, before it acted.
        is_invited = policy.retry_503 and error.retry_after is not None
        return (is_invited and repeatability == "once") or repeatability == "reusable"
    if repeatability != "reusable":
        return False
    if isinstance(error, InvalidResponseError):
        # A broken response once may be a broken connection; twice, it is the server.
        return error.status == 200 and attempt == 1
    if isinstance(error, AmbiguousError):
        return True
    # A rate limit with status 500 is Auth0's global one, which does not say when it ends.
    return error.status in _SERVER_FAULTS and not isinstance(error, RateLimitError)


class RetryState:
    """The lessons of a client's earlier calls in this process, for the next one.

    Attributes:
        policy: the client's policy.
        budget: the successes left to pay for retries with.
        is_calm: whether a success would change nothing here, as in nearly every call, which
            can then do without a look at the rest.
    """

    __slots__ = ("_closed_until", "_refusals", "budget", "is_calm", "policy")

    def __init__(self, policy: RetryPolicy) -> None:
        self.policy: RetryPolicy = policy
        self.budget: int = policy.budget
        self.is_calm: bool = True
        self._closed_until: dict[str, tuple[float, CustomTokenExchangeError]] = {}
        self._refusals: ExpiringDict[bytes, CustomTokenExchangeError] = ExpiringDict(
            _MAX_REFUSALS, policy.remember_refusals_seconds
        )

    def record_success(self) -> None:
        """Add one success to the budget."""
        if self.budget < self.policy.budget:
            self.budget += 1
        self.is_calm = self.budget >= self.policy.budget and not self._closed_until

    def pay_for_retry(self, error: CustomTokenExchangeError) -> bool:
        """Take the price of a retry from the budget; return whether it was there.

        A retry that succeeds is not refunded, so in a partial outage retries stay in
        proportion to successes: at most one in five.
        """
        # A budget of 0 means that the application wants none.
        if self.policy.budget == 0:
            return True
        self.is_calm = False
        cost = _TIMEOUT_COST if error.code == Code.TIMEOUT else _RETRY_COST
        if self.budget < cost:
            return False
        self.budget -= cost
        return True

    def record_failure(
        self, domain: str, error: CustomTokenExchangeError, now: float, random: float
    ) -> None:
        """Note whether calls to *domain* must wait after a failure, or need not any more.

        The wait ends a *random* time after the server's own, so that the processes that were
        told the same do not all send their probe in the same instant.
        """
        if not self.policy.fail_fast:
            return
        limited = isinstance(error, (RateLimitError, BlockedError))
        wait = error.retry_after if limited or error.status == 503 else None
        # Auth0's block of a source IP rarely says how long it lasts.
        if isinstance(error, BlockedError):
            wait = wait or self.policy.blocked_seconds
        if wait:
            until = now + _spread(wait, random)
            self._closed_until[domain] = (until, _copy_for_unsent_calls(error))
            self.is_calm = False
        elif isinstance(error, RefusedError) and not limited:
            # A refusal on the merits: the rate limiter had let the request through.
            self.reopen(domain)

    def find_closure(self, domain: str, now: float) -> CustomTokenExchangeError | None:
        """Return the error to fail with while a wait of *domain* lasts, or ``None``.

        When it is over, the first caller becomes the probe and the wait is extended a little
        for all others, until the probe's own outcome is known.
        """
        closed = self._closed_until.get(domain)
        if closed is None:
            return None
        until, error = closed
        if now < until:
            safe = not isinstance(error, BlockedError)
            return error.evolve(retry_after=until - now, retry_safe=safe)
        # At least a second, so that a probe on a slow network is not joined by the crowd.
        probe = (now + max(self.policy.longest_delay, 1.0), error)
        self._closed_until[domain] = probe
        # A success in another thread may have called it calm just as the wait began.  Then
        # no probe's success would end the wait.
        self.is_calm = False
        return None

    def reopen(self, domain: str) -> None:
        """Forget the wait of *domain*: a call went through."""
        self._closed_until.pop(domain, None)

    def remember_refusal(
        self, key: bytes, error: CustomTokenExchangeError, now: float
    ) -> None:
        """Remember a refusal of one subject token, so that a caller's loop ends here."""
        if self.policy.remember_refusals_seconds > 0 and _is_about_the_token(error):
            self._refusals.add(key, error.evolve(), now)

    def find_refusal(self, key: bytes, now: float) -> CustomTokenExchangeError | None:
        """Return the remembered refusal of *key*, or ``None``."""
        refusal = self._refusals.get(key, now)
        return None if refusal is None else refusal.evolve()


def refusal_key(process_key: bytes, domain: str, form: str) -> bytes:
    """Return a key to remember the refusal of a grant by.

    It is hashed with a key of this process: the memory of a worker holds no list of bad
    tokens, and no hashes that somebody could look up.
    """
    return hmac.digest(process_key, f"{domain}\n{form}".encode(), "sha256")


def _copy_for_unsent_calls(error: CustomTokenExchangeError) -> CustomTokenExchangeError:
    """Copy *error* for calls that fail before they are sent, so never ambiguously."""
    if not isinstance(error, TransportError):
        return error.evolve()
    return NotSentError(
        "not sent: the server has asked all callers to wait",
        error.code,
        error.status,
        correlation_id=error.correlation_id,
    )


def _is_about_the_token(error: CustomTokenExchangeError) -> bool:
    """Return whether the same grant would be refused again: a 4xx error, in general."""
    # Not a limit, which passes; not a second factor, which the user can add; not 401, which
    # is about the client's credentials; not 408 and 425, which were not acted on; and nothing
    # without a code, which may be a gateway's page.
    return (
        isinstance(error, RefusedError)
        and error.code != Code.TOKEN_EXCHANGE_FAILED
        and not isinstance(error, (RateLimitError, BlockedError, MfaRequiredError))
        and error.status is not None
        and 400 <= error.status < 500
        and error.status not in (401, 408, 425)
    )
