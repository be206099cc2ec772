"""An exchange from end to end: what is asked of the outside world, and in which order."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import parse_qs

import pytest

from auth0_tx.core.context import Context
from auth0_tx.core.effects import Emit, Invoke, Request, Response, Send, Share
from auth0_tx.core.flows.exchange import custom_token_exchange
from auth0_tx.core.wire.grants import TOKEN_EXCHANGE
from auth0_tx.errors import (
    BlockedError,
    ClientClosedError,
    CustomTokenExchangeError,
    DiscoveryError,
    InvalidInputError,
    NotSentError,
    RateLimitError,
    RefusedError,
)
from auth0_tx.events import ExchangeFinished, ExchangeStarted, MetadataFetched
from auth0_tx.values import RetryPolicy, TokenExchangeResponse
from tests.core.id_tokens import sign_id_token
from tests.core.world import (
    DISCOVERY_URL,
    DOCUMENT,
    DOMAIN,
    NOW,
    SECRETS,
    TOKEN_ENDPOINT,
    TOKENS,
    Clock,
    EffectLog,
    build_client,
    build_options,
    build_refusal,
    build_response,
    fail,
    list_kinds,
    play,
    start,
)

NO = build_refusal(400, "invalid_request", "The token is spent.")
BUSY = build_response(b"", 429, retry_after="30")


def parse_form(request: Request) -> dict[str, list[str]]:
    """Read a request's form."""
    return parse_qs((request.body or b"").decode(), strict_parsing=True)


def exchange(context: Context, *replies: Any, **changes: Any) -> TokenExchangeResponse:
    """Exchange a token; return the response."""
    return play(
        start(custom_token_exchange, context, build_options(**changes)), *replies
    )[0]


def exchange_in_vain(
    context: Context, *replies: Any, **changes: Any
) -> tuple[CustomTokenExchangeError, EffectLog]:
    """Exchange a token, which must fail; return the error and the effects."""
    return fail(
        start(custom_token_exchange, context, build_options(**changes)), *replies
    )


def test_exchange(context: Context) -> None:
    """The subject token is posted under the grant of RFC 8693, and tokens come back."""
    response, asked = play(
        start(
            custom_token_exchange,
            context,
            build_options(audience="https://api.example.com"),
        ),
        build_response(),
    )

    assert (TOKENS["access_token"], "Bearer", 86_400) == (
        response.access_token,
        response.token_type,
        response.expires_in,
    )
    assert [Send] == list_kinds(asked)
    assert ("POST", TOKEN_ENDPOINT) == (asked.requests[0].method, asked.requests[0].url)
    assert {
        "grant_type": [TOKEN_EXCHANGE],
        "subject_token": [SECRETS["subject_token"]],
        "subject_token_type": ["urn:acme:legacy-token"],
        "audience": ["https://api.example.com"],
        "client_id": ["the-client"],
        "client_secret": [SECRETS["client_secret"]],
    } == parse_form(asked.requests[0])


def test_first_exchange(cold: Context) -> None:
    """The first exchange finds out where the token endpoint is; the next one knows."""
    elsewhere = f"{TOKEN_ENDPOINT}/v2"
    document = build_response({**DOCUMENT, "token_endpoint": elsewhere})
    _, first = play(
        start(custom_token_exchange, cold, build_options()), document, build_response()
    )
    _, second = play(
        start(custom_token_exchange, cold, build_options()), build_response()
    )

    assert [Share, Send, Send] == list_kinds(first)
    assert [DISCOVERY_URL, elsewhere] == [request.url for request in first.requests]
    assert [elsewhere] == [request.url for request in second.requests]


def test_granted_scope(context: Context) -> None:
    """The scope is the one granted, or the one asked for where no other is named."""
    assert "a b" == exchange(context, build_response(), scope="a b").scope
    assert (
        "a"
        == exchange(
            context, build_response({**TOKENS, "scope": "a"}), scope="a b"
        ).scope
    )
    assert exchange(context, build_response()).scope is None


@pytest.mark.parametrize(
    ("members", "left"),
    [
        ({"expires_in": 600}, 600),
        ({"expires_in": ..., "access_token": sign_id_token(exp=int(NOW) + 300)}, 300),
        ({"expires_in": ..., "access_token": sign_id_token(exp=...)}, None),
        ({"expires_in": ...}, None),
    ],
    ids=["named", "in the token", "not in the token", "opaque"],
)
def test_end_of_a_token(
    context: Context, members: dict[str, Any], left: int | None
) -> None:
    """A response says when its token expires, if the server or the token does."""
    tokens = {k: v for k, v in {**TOKENS, **members}.items() if v is not ...}
    response, _ = play(
        custom_token_exchange(context, build_options()), build_response(tokens)
    )

    assert response.expires_at == (None if left is None else int(NOW) + left)


def test_deadline_and_limit(context: Context, clock: Clock) -> None:
    """The grant has the call's deadline, and its answer a limit."""
    _, [send] = play(
        start(custom_token_exchange, context, build_options()), build_response()
    )

    assert isinstance(send, Send)
    assert (clock.now + 10.0, 262_144) == (send.deadline, send.limit)


def test_checked_before_anything(clock: Clock) -> None:
    """A call is refused by its own checks before it asks anything of the world."""
    error, asked = exchange_in_vain(
        build_client(clock, domain=lambda found: DOMAIN), subject_token=""
    )

    assert ("subject_token", []) == (error.parameter, asked)


def test_encoded_when_sent(context: Context) -> None:
    """A call that waits for a connection holds no encoded form: it is made when it is sent."""
    sent = next(start(custom_token_exchange, context, build_options()))

    assert sent.prepare().body == sent.prepare().body
    assert sent.prepare().body is not sent.prepare().body


def test_deadline_covers_the_resolver(clock: Clock) -> None:
    """The time that a resolver takes counts towards the call's deadline."""

    def resolve_slowly(found: Any) -> str:
        clock.wait(4)
        return DOMAIN

    began = clock.now
    context = build_client(clock, domain=resolve_slowly)
    flow = start(custom_token_exchange, context, build_options())
    _, asked = play(flow, build_response(DOCUMENT), build_response())
    deadlines = [
        effect.deadline for effect in asked if isinstance(effect, (Send, Share))
    ]

    assert [began + 10, began + 9, began + 10] == deadlines


@pytest.mark.parametrize(
    "changes",
    [
        {"subject_token": "Bearer x"},
        {"subject_token_type": "urn:auth0:x"},
        {"actor_token": "x"},
        {"authorization_params": {"client_id": "x"}},
    ],
    ids=repr,
)
def test_bad_input(cold: Context, changes: dict[str, Any]) -> None:
    """Bad input is refused before anything is asked of the outside world."""
    error, asked = exchange_in_vain(cold, **changes)

    assert isinstance(error, InvalidInputError)
    assert [] == asked


def test_untrusted_metadata(cold: Context) -> None:
    """No grant goes to a tenant whose metadata is another's."""
    error, asked = exchange_in_vain(
        cold, build_response({**DOCUMENT, "issuer": "https://evil.com/"})
    )

    assert isinstance(error, DiscoveryError)
    assert [DISCOVERY_URL] == [request.url for request in asked.requests]


def test_resolver(clock: Clock) -> None:
    """A resolver is called with the store options of each call."""
    seen = []

    def resolve(found: Any) -> str:
        seen.append(found)
        return DOMAIN

    context = build_client(clock, domain=resolve)
    store_options = {"request": object()}
    flow = start(custom_token_exchange, context, build_options(), store_options)
    _, asked = play(flow, build_response(DOCUMENT), build_response())

    assert [Invoke, Share, Send, Send] == list_kinds(asked)
    assert [store_options] == seen
    assert seen[0] is store_options


def test_resolver_that_is_told_a_bad_domain(clock: Clock) -> None:
    """A domain that a resolver must not give ends the call before anything is sent."""
    context = build_client(clock, domain=lambda found: "localhost:3443")
    error, asked = exchange_in_vain(context)

    assert isinstance(error, InvalidInputError)
    assert [Invoke] == list_kinds(asked)


def test_closed(context: Context, cold: Context) -> None:
    """A client that is closed during the call says so, at whatever step."""
    closed = ClientClosedError("the client is closed")

    assert closed is exchange_in_vain(context, closed)[0]
    assert ClientClosedError is type(
        exchange_in_vain(cold, ClientClosedError("closed"))[0]
    )


def test_events(clock: Clock) -> None:
    """The subscriber is told when an exchange starts, and how it ended."""
    context = build_client(clock, knows_metadata=False, on_event=print)

    def respond_slowly(request: Request) -> Response:
        clock.wait(1)
        return build_response(DOCUMENT if request.method == "GET" else TOKENS)

    changes = {"audience": "https://api.example.com", **ACTOR}
    flow = start(custom_token_exchange, context, build_options(**changes))
    _, asked = play(flow, respond_slowly)

    assert [Emit, Share, Send, Emit, Send, Emit] == list_kinds(asked)
    assert [
        ExchangeStarted(
            domain=DOMAIN,
            subject_token_type="urn:acme:legacy-token",
            audience="https://api.example.com",
            actor=True,
        ),
        MetadataFetched(domain=DOMAIN, seconds=1.0),
        ExchangeFinished(domain=DOMAIN, seconds=2.0),
    ] == asked.events
    assert "needle" not in repr(asked.events)


ACTOR = {"actor_token": SECRETS["actor_token"], "actor_token_type": "urn:acme:service"}


def test_events_of_a_refusal(clock: Clock) -> None:
    """The subscriber is told the code and status of a failure."""
    context = build_client(clock, on_event=print)
    error, asked = exchange_in_vain(context, NO)

    assert isinstance(error, RefusedError)
    assert [
        ExchangeStarted(
            domain=DOMAIN,
            subject_token_type="urn:acme:legacy-token",
            audience=None,
            actor=False,
        ),
        ExchangeFinished(
            domain=DOMAIN, seconds=0.0, code="invalid_request", status=400
        ),
    ] == asked.events


class TimeLimit(BaseException):
    """Raised by a signal handler."""


@pytest.mark.parametrize("steps", range(1, 4))
def test_events_of_an_interrupt(clock: Clock, steps: int) -> None:
    """The subscriber is told the end of an exchange that an interrupt cuts off anywhere."""
    flow = custom_token_exchange(
        build_client(clock, on_event=print), build_options(audience="a")
    )
    replies = iter([None, None, build_response()])
    performed = [flow.send(next(replies)) for _ in range(steps)]
    last = flow.throw(TimeLimit())

    assert [Emit, Send, Emit][:steps] == list_kinds(performed)
    finished = ExchangeFinished(domain=DOMAIN, seconds=0.0, code="TimeLimit")
    assert finished == last.event
    with pytest.raises(TimeLimit):
        flow.send(None)


def test_events_of_an_abandoned_flow(clock: Clock) -> None:
    """A flow that is closed asks for nothing more: there is nobody to perform it."""
    flow = custom_token_exchange(
        build_client(clock, on_event=print), build_options(audience="a")
    )
    next(flow)
    flow.close()

    with pytest.raises(StopIteration):
        next(flow)


def test_refusal_hints(context: Context) -> None:
    """A refusal whose cause is known says what to do."""
    kind = "urn:ietf:params:oauth:token-type:access_token"
    error, _ = exchange_in_vain(context, NO, subject_token_type=kind)

    assert "Token Exchange Profile" in (error.hint or "")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("subject_token", {}),
        ("actor_token", ACTOR),
        ("client_secret", {}),
        ("refresh_token", {"authorization_params": {"x": SECRETS["refresh_token"]}}),
    ],
)
def test_echo(context: Context, name: str, changes: dict[str, Any]) -> None:
    """A secret of the call that the server echoes does not reach the error."""
    echo = build_refusal(400, "invalid_request", f"bad token {SECRETS[name]}")
    error, _ = exchange_in_vain(context, echo, **changes)

    assert "bad token <redacted>" == error.message


def test_echo_of_the_header(clock: Clock) -> None:
    """Credentials that were sent in the header, and come back, are scrubbed too."""
    context = build_client(
        clock, client_auth="client_secret_basic", client_secret="p:q r"
    )
    sent = b64encode(b"the-client:p%3Aq+r").decode()
    error, asked = exchange_in_vain(
        context, build_refusal(400, "x", f"bad header Basic {sent}")
    )

    assert f"Basic {sent}" == asked.requests[0].headers["Authorization"]
    assert "bad header Basic <redacted>" == error.message


def test_echo_without_a_secret(clock: Clock) -> None:
    """A public client has no secret that could be echoed."""
    context = build_client(clock, client_auth="none")
    error, _ = exchange_in_vain(context, NO)

    assert "The token is spent." == error.message


def test_fail_fast(clock: Clock) -> None:
    """After a rate limit that names a time, calls fail here until one may try."""
    context = build_client(clock, retry=RetryPolicy(fail_fast=True))
    first, asked = exchange_in_vain(context, BUSY)
    clock.wait(10)
    second, none = exchange_in_vain(context)

    assert ([Send], []) == (list_kinds(asked), none)
    assert isinstance(first, RateLimitError)
    assert isinstance(second, RateLimitError)
    assert (30.0, 21.5) == (first.retry_after, second.retry_after)

    clock.wait(21.5)
    probe = start(custom_token_exchange, context, build_options())
    send = next(probe)
    waiting, none = exchange_in_vain(context)
    with pytest.raises(StopIteration):
        probe.send(build_response())

    assert isinstance(send, Send)
    assert isinstance(waiting, RateLimitError)
    assert [] == none
    assert all(exchange(context, build_response()) for _ in range(3))


def test_fail_fast_over_a_clock_set_back(clock: Clock) -> None:
    """A wait lasts its seconds, whatever becomes of the time of day meanwhile."""
    steady = Clock(0.0)
    context = build_client(clock, steady, retry=RetryPolicy(fail_fast=True))
    exchange_in_vain(context, BUSY)
    clock.wait(-86_400)
    steady.wait(31.5)

    assert exchange(context, build_response(DOCUMENT), build_response()).access_token


def test_fail_fast_after_a_block(clock: Clock) -> None:
    """After a block of the source IP nothing is sent for its time."""
    context = build_client(clock, retry=RetryPolicy(fail_fast=True))
    exchange_in_vain(context, build_refusal(429, "too_many_attempts"))
    clock.wait(601.5)
    error, asked = exchange_in_vain(context)
    clock.wait(1)

    assert isinstance(error, BlockedError)
    assert (1.0, False, []) == (error.retry_after, error.retry_safe, asked)
    assert TOKENS["access_token"] == exchange(context, build_response()).access_token


def test_fail_fast_after_an_outage(clock: Clock) -> None:
    """A call that is refused here was not sent, and says so."""
    context = build_client(clock, retry=RetryPolicy(fail_fast=True))
    exchange_in_vain(context, build_response(b"", 503, retry_after="30"))
    error, asked = exchange_in_vain(context)

    assert NotSentError is type(error)
    assert (503, True, []) == (error.status, error.retry_safe, asked)


def test_fail_fast_by_tenant(clock: Clock) -> None:
    """One tenant's limit is not another's."""
    context = build_client(clock, domain=str, retry=RetryPolicy(fail_fast=True))

    def serve(request: Request) -> Response:
        issuer = request.url.removesuffix(".well-known/openid-configuration")
        names = {
            "issuer": issuer,
            "token_endpoint": f"{issuer}t",
            "jwks_uri": f"{issuer}k",
        }
        if request.method == "GET":
            return build_response(names)
        return BUSY if "a.auth0.com" in request.url else build_response()

    fail(start(custom_token_exchange, context, build_options(), "a.auth0.com"), serve)  # type: ignore[arg-type]
    flow = start(custom_token_exchange, context, build_options(), "b.auth0.com")  # type: ignore[arg-type]

    assert TOKENS["access_token"] == play(flow, serve)[0].access_token


def test_slow_by_default(context: Context) -> None:
    """Unless the policy says so, every call is sent."""
    for _ in range(3):
        assert [Send] == list_kinds(exchange_in_vain(context, NO)[1])
        assert [Send] == list_kinds(exchange_in_vain(context, BUSY)[1])


def test_refusals_remembered(clock: Clock) -> None:
    """A refused token is refused here for its time, and another token is not."""
    context = build_client(clock, retry=RetryPolicy(remember_refusals_seconds=60.0))
    first, _ = exchange_in_vain(context, NO)
    clock.wait(59)
    again, asked = exchange_in_vain(context)
    other, sent = exchange_in_vain(context, NO, subject_token="another-token")

    assert (first.args, []) == (again.args, asked)
    assert first is not again
    assert ("The token is spent.", [Send]) == (other.message, list_kinds(sent))
    clock.wait(1)
    assert TOKENS["access_token"] == exchange(context, build_response()).access_token


@pytest.mark.parametrize(
    "changes",
    [
        {"audience": "https://api.example.com"},
        {"scope": "openid"},
        {"organization": "org_abc"},
        {"subject_token_type": "urn:acme:other"},
        {"authorization_params": {"pin": "1"}},
        ACTOR,
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_refusals_of_another_grant(clock: Clock, changes: dict[str, Any]) -> None:
    """A refusal is of the whole grant: what differs in anything is sent."""
    context = build_client(clock, retry=RetryPolicy(remember_refusals_seconds=60.0))
    exchange_in_vain(context, NO)

    assert [Send] == list_kinds(exchange_in_vain(context, NO, **changes)[1])


def test_failures_not_remembered(clock: Clock) -> None:
    """A failure that is not the token's is sent again."""
    context = build_client(clock, retry=RetryPolicy(remember_refusals_seconds=60.0))
    exchange_in_vain(context, build_response(b"", 503))

    assert TOKENS["access_token"] == exchange(context, build_response()).access_token


def test_refusal_and_limit(clock: Clock) -> None:
    """A client may do both: what is remembered of a token comes first."""
    policy = RetryPolicy(remember_refusals_seconds=60.0, fail_fast=True)
    context = build_client(clock, retry=policy)
    exchange_in_vain(context, NO)
    exchange_in_vain(context, BUSY, subject_token="another-token")

    assert isinstance(exchange_in_vain(context)[0], RefusedError)
    assert "The token is spent." == exchange_in_vain(context)[0].message
    assert isinstance(
        exchange_in_vain(context, subject_token="third-token")[0], RateLimitError
    )
