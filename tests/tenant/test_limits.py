"""The suspicious-IP throttle and the rate limit."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from auth0_tx.tenant import (
    ActionApi,
    Event,
    Profile,
    RateLimit,
    Reply,
    Tenant,
    Throttle,
)
from auth0_tx.tenant.limits import AttemptThrottle
from tests.tenant.tenant_caller import NOON, Caller, Clock, read_refusal

BLOCKED = (
    429,
    "too_many_attempts",
    "We have detected suspicious login behavior and further attempts will be blocked. "
    "Please contact the administrator.",
)


def test_ten_rejections_block(caller: Caller, clock: Clock) -> None:
    """After ten rejected subject tokens even a good one is refused."""
    for _ in range(10):
        assert 400 == caller.exchange(subject_token="bad").status

    assert BLOCKED == read_refusal(caller.exchange(subject_token="bad"))
    assert BLOCKED == read_refusal(caller.exchange())


def test_an_attempt_comes_back_after_ten_minutes(caller: Caller, clock: Clock) -> None:
    """One attempt is given back every ten minutes."""
    for _ in range(10):
        caller.exchange(subject_token="bad")
    clock.now += 599
    early = caller.exchange(subject_token="bad").status
    clock.now += 1
    given_back = caller.exchange(subject_token="bad").status

    assert [429, 400, 429] == [early, given_back, caller.exchange().status]


def test_denials_do_not_count(caller: Caller) -> None:
    """Only rejected subject tokens count, not denials or other refusals."""

    def action(event: Event, api: ActionApi) -> None:
        api.access.deny("no", "No.")

    caller.tenant.profiles.add(Profile("urn:acme:deny", action))
    for _ in range(20):
        assert 400 == caller.exchange(subject_token_type="urn:acme:deny").status

    assert 200 == caller.exchange().status


def test_addresses_are_counted_apart(caller: Caller) -> None:
    """Another address is not blocked."""
    body = urlencode(caller.build_form(subject_token="bad")).encode()
    for _ in range(10):
        caller.post(body)

    assert 429 == caller.post(body).status
    assert 400 == caller.post(body, client_address=("127.0.0.2", 1)).status


def test_throttle_can_be_off_or_other(new_tenant: Callable[..., Tenant]) -> None:
    """The throttle may be turned off, or given other figures."""
    off = Caller(new_tenant(throttle=None))
    strict = Caller(new_tenant(throttle=Throttle(max_attempts=1)))

    assert {400} == {off.exchange(subject_token="bad").status for _ in range(20)}
    off.tenant.clear()
    assert [400, 429] == [strict.exchange(subject_token="bad").status for _ in range(2)]


def test_clear_gives_attempts_back(caller: Caller) -> None:
    """Clearing the tenant forgets the attempts counted."""
    for _ in range(11):
        caller.exchange(subject_token="bad")
    caller.tenant.clear()

    assert 200 == caller.exchange().status


@pytest.fixture
def limited(new_tenant: Callable[..., Tenant]) -> Callable[..., Caller]:
    """A factory of callers of tenants with a rate limit."""
    return lambda limit: Caller(new_tenant(rate_limit=limit))


def read_header(reply: Reply, name: str) -> str | None:
    """Return a header of ``reply`` by its lower-case name."""
    return {key.lower(): value for key, value in reply.headers}.get(name)


def test_rate_limit(limited: Callable[..., Caller], clock: Clock) -> None:
    """Requests over the limit get 429 until the bucket refills."""
    caller = limited(RateLimit(2, burst=3))
    first = [caller.exchange().status for _ in range(4)]
    clock.now += 0.5

    assert [200, 200, 200, 429] == first
    assert [200, 429] == [caller.exchange().status for _ in range(2)]


def test_rate_limit_headers(limited: Callable[..., Caller]) -> None:
    """Every reply says what is left; reset is an epoch, Retry-After is off."""
    caller = limited(RateLimit(0.1, burst=1))
    admitted, refused = caller.exchange(), caller.exchange()

    assert ("1", "0") == (
        read_header(admitted, "x-ratelimit-limit"),
        read_header(admitted, "x-ratelimit-remaining"),
    )
    assert str(int(NOON) + 10) == read_header(refused, "x-ratelimit-reset")
    assert read_header(refused, "retry-after") is None


def test_retry_after(limited: Callable[..., Caller]) -> None:
    """A rate limit may send Retry-After, in whole seconds."""
    caller = limited(RateLimit(0.1, burst=1, retry_after=True))
    admitted, refused = caller.exchange(), caller.exchange()

    assert read_header(admitted, "retry-after") is None
    assert "10" == read_header(refused, "retry-after")


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("oauth", '"too_many_requests"'),
        ("legacy", '"Rate limit reached"'),
        ("management", '"Global limit has been reached"'),
        ("text", "Too many requests."),
    ],
)
def test_body_styles(limited: Callable[..., Caller], style: str, text: str) -> None:
    """The body of a 429 is one of those seen in the wild."""
    caller = limited(RateLimit(1, burst=1, body_style=style))  # type: ignore[arg-type]
    caller.exchange()
    refused = caller.exchange()

    assert 429 == refused.status
    assert text in refused.body.decode()


def test_burst_defaults_to_a_second() -> None:
    """Unless told otherwise, a second's worth may come at once."""
    assert (4, 1) == (RateLimit(4).size, RateLimit(0.5).size)
    with pytest.raises(ValueError, match="per_second"):
        RateLimit(0)


def test_throttle_forgets_quiet_addresses() -> None:
    """The throttle remembers ten thousand addresses, those seen last."""
    throttle = AttemptThrottle(Throttle(max_attempts=1))
    for number in range(10_001):
        throttle.count_rejection(str(number), NOON)

    assert not throttle.is_blocked("0", NOON)
    assert throttle.is_blocked("1", NOON)
