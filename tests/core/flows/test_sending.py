"""Retries seen from outside: sends counted, waits listed, proofs renewed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import attrs
import pytest
from joserfc import jwt

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Emit, Flow, Response, Send, Share, Sleep
from auth0_tx.core.flows.exchange import custom_token_exchange, get_token_on_behalf_of
from auth0_tx.core.flows.given_tokens import refresh
from auth0_tx.core.flows.tenant_documents import load_metadata
from auth0_tx.core.wire.answer_times import AnswerTime
from auth0_tx.errors import (
    AmbiguousError,
    BlockedError,
    CustomTokenExchangeError,
    NotSentError,
    RateLimitError,
)
from auth0_tx.errors import CustomTokenExchangeErrorCode as Code
from auth0_tx.events import ExchangeRetried
from auth0_tx.values import RetryPolicy
from tests.core.vectors_tokens import P256
from tests.core.world import (
    DOMAIN,
    SECRETS,
    Clock,
    EffectLog,
    Reply,
    begin_call,
    build_client,
    build_options,
    build_refusal,
    build_response,
    fail,
    list_kinds,
    play,
    start,
)

BUSY = build_response(b"", 429, retry_after="3")
REFUSED = NotSentError("no connection could be made", retry_safe=True)
LOST = AmbiguousError("the connection ended before the answer was whole")
ONCE = RetryPolicy(attempts=1)


def count_sends(asked: EffectLog) -> int:
    """Count the requests that were sent."""
    return len(asked.requests)


def repeat_response(reply: Response | Exception) -> Reply:
    """Answer every request in the same way."""
    return lambda request: reply


def test_waits_as_told(context: Context, clock: Clock) -> None:
    """A 429 is retried some time after the seconds its Retry-After names."""
    _, asked = play(
        start(custom_token_exchange, context, build_options()),
        BUSY,
        build_response(),
        clock=clock,
    )

    assert [Send, Sleep, Send] == list_kinds(asked)
    assert 3.25 == asked[1].seconds


def test_connects_again(context: Context, clock: Clock) -> None:
    """A connection that fails is made again after a short random wait."""
    flow = start(custom_token_exchange, context, build_options())
    _, asked = play(flow, REFUSED, REFUSED, build_response(), clock=clock)

    assert [Send, Sleep, Send, Sleep, Send] == list_kinds(asked)
    assert [0.05, 0.1] == asked.waits


def test_gives_up(context: Context, clock: Clock) -> None:
    """The last attempt's failure is the one the caller sees."""
    last = NotSentError("third", retry_safe=True)
    flow = start(custom_token_exchange, context, build_options())
    error, asked = fail(flow, REFUSED, REFUSED, last, clock=clock)

    assert last is error
    assert 3 == count_sends(asked)


@pytest.mark.parametrize(
    "first",
    [
        LOST,
        build_response(b"half an answer"),
        build_refusal(500, "server_error"),
        build_response(b"", 503),
    ],
    ids=["lost", "broken", "500", "503"],
)
def test_what_was_sent_is_not_reported_as_unsent(
    context: Context, clock: Clock, first: Response | Exception
) -> None:
    """If a reusable token may have been exchanged, a later attempt's failure hides nothing."""
    options = build_options(subject_token_reusable=True)
    late = NotSentError("no time", Code.TIMEOUT, retry_safe=True)
    once = fail(
        start(custom_token_exchange, build_client(clock, retry=ONCE), options), first
    )
    error, asked = fail(
        start(custom_token_exchange, context, options),
        first,
        REFUSED,
        late,
        clock=clock,
    )

    assert 3 == count_sends(asked)
    assert once[0].args == error.args
    assert error.retry_safe


def test_what_was_not_acted_on_hides_nothing(context: Context, clock: Clock) -> None:
    """After a 429, a connection that fails is the error: nothing was exchanged."""
    flow = start(custom_token_exchange, context, build_options())
    error, _ = fail(flow, build_response(b"", 429), REFUSED, REFUSED, clock=clock)

    assert REFUSED is error


def test_retries_turned_off(clock: Clock) -> None:
    """With one attempt nothing is sent again."""
    context = build_client(clock, retry=RetryPolicy(attempts=1))
    _, asked = fail(start(custom_token_exchange, context, build_options()), REFUSED)

    assert [Send] == list_kinds(asked)


TLS = NotSentError("TLS: not acceptable", Code.TLS_FAILED)
NO_TIME = NotSentError("no time", Code.TIMEOUT, retry_safe=True)
LATE = AmbiguousError("late", Code.TIMEOUT)
GLOBAL_LIMIT = build_refusal(500, "access_denied", "Global limit has been reached")
TOO_MANY = build_refusal(429, "too_many_attempts")

# (name, what always comes back, sends with a token for one use, with a reusable one,
# and of a document)
ROWS: list[tuple[str, Response | Exception, int, int, int]] = [
    ("no connection", REFUSED, 3, 3, 3),
    ("no time to connect", NO_TIME, 3, 3, 3),
    ("certificate", TLS, 1, 1, 1),
    ("408", build_response(b"", 408), 3, 3, 3),
    ("425", build_refusal(425, "too_early"), 3, 3, 3),
    ("429", build_refusal(429, "too_many_requests"), 3, 3, 3),
    ("429 without JSON", build_response(b"<html>", 429), 3, 3, 3),
    ("429 with a long wait", build_response(b"", 429, retry_after="6"), 1, 1, 1),
    ("503", build_response(b"", 503), 1, 3, 3),
    ("503 with a wait", build_response(b"", 503, retry_after="1"), 1, 3, 3),
    ("503 with JSON", build_refusal(503, "temporarily_unavailable"), 1, 3, 3),
    ("reset", LOST, 1, 3, 3),
    ("silence", LATE, 1, 3, 3),
    ("500", build_refusal(500, "server_error"), 1, 3, 3),
    ("500 without JSON", build_response(b"", 500), 1, 3, 3),
    ("502", build_response(b"<html>", 502), 1, 3, 3),
    ("504", build_response(b"", 504), 1, 3, 3),
    ("global limit", GLOBAL_LIMIT, 1, 1, 3),
    ("broken 200", build_response(b'{"access_token": "a'), 1, 2, 2),
    ("HTML 200", build_response(b"<html>", content_type="text/html"), 1, 2, 2),
    ("404", build_response(b"", 404), 1, 1, 1),
    ("400", build_refusal(400, "invalid_grant"), 1, 1, 1),
    ("401", build_refusal(401, "invalid_client"), 1, 1, 1),
    ("403", build_refusal(403, "access_denied"), 1, 1, 1),
    ("mfa", build_refusal(403, "mfa_required"), 1, 1, 1),
    ("blocked", TOO_MANY, 1, 1, 3),
    ("nonce", build_refusal(400, "use_dpop_nonce"), 1, 1, 1),
    ("redirect", build_response(b"", 307, location="https://evil.com"), 1, 1, 1),
]


@pytest.mark.parametrize(
    ("reply", "once", "reusable", "document"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_sends(
    clock: Clock, reply: Response | Exception, once: int, reusable: int, document: int
) -> None:
    """Each failure is sent again as often as what it may have done allows."""
    counted = []
    for flow in (
        start(custom_token_exchange, build_client(clock), build_options()),
        start(
            custom_token_exchange,
            build_client(clock),
            build_options(subject_token_reusable=True),
        ),
        load_metadata(
            begin_call(build_client(clock, knows_metadata=False), clock.now + 10),
            DOMAIN,
        ),
    ):
        _, asked = fail(flow, repeat_response(reply))
        counted.append(count_sends(asked))

    assert [once, reusable, document] == counted


SAFE = {"no connection", "no time to connect", "408", "425"} | {
    "429",
    "429 without JSON",
    "429 with a long wait",
}


@pytest.mark.parametrize(("name", "reply"), [row[:2] for row in ROWS])
def test_retry_safe(context: Context, name: str, reply: Response | Exception) -> None:
    """Only what never reached an Action is safe to send again with a one-time token."""
    error, _ = fail(
        start(custom_token_exchange, context, build_options()), repeat_response(reply)
    )

    assert (name in SAFE) is error.retry_safe


@pytest.mark.parametrize("reply", [LOST, LATE])
def test_lost_answer_of_a_reusable_token(
    clock: Clock, reply: CustomTokenExchangeError
) -> None:
    """A lost answer is safe to ask for again exactly where the token is reusable."""
    for reusable in (False, True):
        flow = start(
            custom_token_exchange,
            build_client(clock),
            build_options(subject_token_reusable=reusable),
        )
        error, _ = fail(flow, repeat_response(reply))
        assert isinstance(error, AmbiguousError)
        assert reusable is error.retry_safe


@pytest.mark.parametrize(
    ("policy", "reply", "sent"),
    [
        (RetryPolicy(retry_429=False), BUSY, 1),
        (RetryPolicy(retry_503=True), build_response(b"", 503, retry_after="1"), 3),
        (RetryPolicy(retry_503=True), build_response(b"", 503), 1),
        (RetryPolicy(attempts=6), REFUSED, 6),
        (RetryPolicy(longest_delay=2.0), BUSY, 1),
    ],
    ids=["no-429", "503", "503-without-wait", "attempts", "short-waits"],
)
def test_switches(clock: Clock, policy: RetryPolicy, reply: Any, sent: int) -> None:
    """The policy's switches do what they say."""
    context = build_client(clock, retry=policy)
    _, asked = fail(
        start(custom_token_exchange, context, build_options()),
        repeat_response(reply),
        clock=clock,
    )

    assert sent == count_sends(asked)


def test_wait_past_the_deadline(clock: Clock) -> None:
    """A wait that would pass the deadline is reported at once and not begun."""
    context = build_client(clock, timeout=3.0)
    error, asked = fail(start(custom_token_exchange, context, build_options()), BUSY)

    assert isinstance(error, RateLimitError)
    assert (3.0, True) == (error.retry_after, error.retry_safe)
    assert [Send] == list_kinds(asked)


def test_one_deadline(context: Context, clock: Clock) -> None:
    """Every attempt has what is left of the one deadline."""
    began = clock.now
    _, asked = fail(
        start(custom_token_exchange, context, build_options()),
        repeat_response(BUSY),
        clock=clock,
    )

    assert {began + 10.0} == {
        effect.deadline for effect in asked if isinstance(effect, Send)
    }


def test_blocked_is_final(context: Context) -> None:
    """A block of the source IP is sent once, without a wait, whatever it names."""
    reply = build_response({"error": "too_many_attempts"}, 429, retry_after="1")
    error, asked = fail(start(custom_token_exchange, context, build_options()), reply)

    assert isinstance(error, BlockedError)
    assert [Send] == list_kinds(asked)


def test_each_attempt_is_signed_anew(clock: Clock) -> None:
    """Each attempt has an assertion with an id, and a time, of its own."""
    context = build_client(
        clock,
        client_assertion_signing_key=P256.as_dict(private=True),
        client_assertion_signing_alg="ES256",
    )
    flow = start(custom_token_exchange, context, build_options())
    _, asked = play(flow, BUSY, BUSY, build_response(), clock=clock)
    bodies = [parse_qs((request.body or b"").decode()) for request in asked.requests]
    claims = [
        jwt.decode(body["client_assertion"][0], P256, algorithms=["ES256"]).claims
        for body in bodies
    ]

    assert ["id-1", "id-2", "id-3"] == [claim["jti"] for claim in claims]
    assert [0, 3, 6] == [claim["iat"] - claims[0]["iat"] for claim in claims]
    assert 1 == len({str(body["subject_token"]) for body in bodies})


def test_retries_are_told(clock: Clock) -> None:
    """The subscriber is told of each retry before its wait."""
    context = build_client(clock, on_event=print)
    flow = start(custom_token_exchange, context, build_options())
    _, asked = play(flow, BUSY, REFUSED, build_response(), clock=clock)

    assert [
        ExchangeRetried(
            domain=DOMAIN, attempt=1, code="rate_limited", status=429, delay=3.25
        ),
        ExchangeRetried(
            domain=DOMAIN, attempt=2, code="connection_failed", status=None, delay=0.1
        ),
    ] == [event for event in asked.events if isinstance(event, ExchangeRetried)]
    assert [Emit, Send, Emit, Sleep, Send, Emit, Sleep, Send, Emit] == list_kinds(asked)


def test_outage(context: Context) -> None:
    """In a full outage a client sends ten times more than it is called, and no more."""
    total = 0
    for _ in range(200):
        _, asked = fail(
            start(custom_token_exchange, context, build_options()),
            repeat_response(REFUSED),
        )
        total += count_sends(asked)

    assert 200 + 10 == total


def test_outage_of_documents(cold: Context, clock: Clock) -> None:
    """The budget covers a tenant's documents too."""
    total = 0
    for _ in range(200):
        _, asked = fail(
            load_metadata(begin_call(cold, clock.now + 10), DOMAIN),
            repeat_response(LOST),
        )
        total += count_sends(asked)

    assert 200 + 10 == total


@pytest.mark.parametrize("period", [2, 3, 5, 10])
def test_partial_outage(context: Context, period: int) -> None:
    """Retries stay a fifth of the successes and ten, however many calls fail at first."""
    successes = retries = number = 0
    for _ in range(1_000):
        number += 1
        replies = [REFUSED] if number % period == 0 else []
        try:
            _, asked = play(
                start(custom_token_exchange, context, build_options()),
                *replies,
                repeat_response(build_response()),
            )
        except NotSentError:
            continue
        successes += 1
        retries += count_sends(asked) - 1
        assert retries <= successes / 5 + 10


def test_no_refund(context: Context) -> None:
    """A retry that succeeds is not given back what it cost."""
    play(
        start(custom_token_exchange, context, build_options()),
        REFUSED,
        build_response(),
    )

    assert 50 - 5 + 1 == context.retries.budget


FORMS: dict[str, Callable[[Context], Flow[Any]]] = {
    "exchange": lambda context: start(custom_token_exchange, context, build_options()),
    "on behalf of a user": lambda context: start(
        get_token_on_behalf_of,
        context,
        access_token=SECRETS["subject_token"],
        audience="https://other.example.com",
    ),
    "refresh": lambda context: start(refresh, context, SECRETS["refresh_token"]),
}


def build_slow_response(seconds: float) -> Response:
    """Return tokens that took some time from the moment the request left."""
    return attrs.evolve(build_response(), seconds=seconds)


def step_to_send(flow: Flow[Any]) -> Send:
    """Play a flow up to its request, into a run that it shares."""
    effect = next(flow)
    while not isinstance(effect, Send):
        assert isinstance(effect, Share)
        flow = effect.flow()
        effect = next(flow)
    return effect


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    ("waited", "is_sent"), [(0.0, True), (6.9, True), (7.1, False), (10.1, False)]
)
def test_no_grant_is_sent_too_late(
    context: Context, clock: Clock, name: str, waited: float, is_sent: bool
) -> None:
    """A grant with less time left than answers lately took is refused, and can be made again."""
    play(FORMS["exchange"](context), build_slow_response(2.0))
    send = step_to_send(FORMS[name](context))
    clock.wait(waited)
    if is_sent:
        request = send.prepare()
        # Half as long again as the answer took: connecting may use up the rest.
        assert request.latest == send.deadline - 3.0
        return
    with pytest.raises(NotSentError) as caught:
        send.prepare()
    error = caught.value

    assert ("timeout", True, "send") == (error.code, error.retry_safe, error.phase)
    assert "exchange_many" in str(error.hint)


def test_a_grant_that_is_too_late_is_given_up(context: Context, clock: Clock) -> None:
    """It is not sent again, and its budget is not used: no wait would leave more time."""
    play(FORMS["exchange"](context), build_slow_response(2.0))
    flow = FORMS["exchange"](context)
    send = next(flow)
    clock.wait(8.0)
    with pytest.raises(NotSentError) as caught:
        send.prepare()

    with pytest.raises(NotSentError) as raised:
        flow.throw(caught.value)
    assert caught.value is raised.value
    assert 50 == context.retries.budget


def test_no_wait_leaves_too_little_time(context: Context, clock: Clock) -> None:
    """A wait is not begun if its end leaves less time than an answer takes."""
    play(FORMS["exchange"](context), build_slow_response(4.0))
    busy = build_response(b"", 429, retry_after="4")
    flow = FORMS["exchange"](context)
    next(flow)
    clock.wait(0.5)
    sleep = flow.send(busy)
    # All that is left beside the floor of five seconds: the spread is cut, not the wait.
    assert isinstance(sleep, Sleep)
    assert sleep.seconds == pytest.approx(4.25)

    flow = FORMS["exchange"](context)
    next(flow)
    clock.wait(1.1)
    with pytest.raises(RateLimitError) as caught:
        flow.send(busy)
    assert 4.0 == caught.value.retry_after


def test_a_new_call_is_sent_however_slow_answers_are(
    context: Context, clock: Clock
) -> None:
    """A lost answer shuts out nobody who does not wait, and the next answer counts again."""
    flow = FORMS["exchange"](context)
    send = next(flow)
    send.prepare()
    clock.wait(10.0)
    with pytest.raises(AmbiguousError):
        flow.throw(LATE)

    late = next(FORMS["exchange"](context))
    clock.wait(5.1)
    with pytest.raises(NotSentError):
        late.prepare()
    for _ in range(3):
        clock.wait(10.0)
        play(FORMS["exchange"](context), build_slow_response(0.1), clock=clock)
    late = next(FORMS["exchange"](context))
    clock.wait(9.8)
    assert late.prepare().latest == pytest.approx(late.deadline - 0.15)


def test_other_failures_take_no_time(context: Context, clock: Clock) -> None:
    """A lost connection says nothing of how long an answer takes."""
    flow = FORMS["exchange"](context)
    next(flow).prepare()
    clock.wait(4.0)
    with pytest.raises(AmbiguousError):
        flow.throw(LOST)
    send = next(FORMS["exchange"](context))
    clock.wait(9.9)

    assert send.prepare().latest == send.deadline


def test_one_tenant_does_not_answer_for_another(clock: Clock) -> None:
    """Each tenant has its own answer times."""
    context = build_client(clock)
    play(FORMS["exchange"](context), build_slow_response(2.0))

    assert ["tenant.us.auth0.com"] == list(context.answer_times)


def test_documents_are_asked_for_at_any_time(cold: Context, clock: Clock) -> None:
    """A document spends nothing, so it is fetched with however little time is left."""
    cold.answer_times.add(DOMAIN, AnswerTime(60.0))
    flow = load_metadata(begin_call(cold, clock.now + 0.01), DOMAIN)
    send = step_to_send(flow)

    assert "GET" == send.prepare().method


def test_what_is_thrown_and_not_ours(context: Context) -> None:
    """An exception that isn't a transport's failure passes through, and nothing is sent again."""
    bug = ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError) as error:
        play(start(custom_token_exchange, context, build_options()), bug)

    assert bug is error.value
