"""The token for an API: kept while it lasts, replaced once, and never for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from auth0_tx.caches import MemoryTokenCache
from auth0_tx.core.context import Context
from auth0_tx.core.effects import Flow, Invoke, Response
from auth0_tx.core.flows.api_tokens import (
    ApiToken,
    ExchangedTokens,
    OptionsSource,
    check_options,
    make_on_behalf_of_source,
)
from auth0_tx.errors import (
    AmbiguousError,
    BlockedError,
    ConfigurationError,
    InvalidInputError,
    InvalidResponseError,
    NotSentError,
    RateLimitError,
    RefusedError,
)
from auth0_tx.values import RetryPolicy
from tests.core.stepping import World
from tests.core.world import (
    SECRETS,
    TOKENS,
    Clock,
    build_client,
    build_options,
    build_refusal,
    build_response,
    fail,
    play,
)

_NO_RETRY = RetryPolicy(attempts=1)


def issue(token: str, **changes: Any) -> Response:
    """Return a response with an access token."""
    return build_response({**TOKENS, "access_token": token, **changes})


def keep(options: Any = None, **changes: Any) -> ExchangedTokens:
    """Return the tokens of an exchange that may be repeated."""
    options = options or build_options(subject_token_reusable=True, **changes)
    return ExchangedTokens(OptionsSource(options, None))


def obtain(
    context: Context, tokens: ExchangedTokens, *replies: Any, refused: str | None = None
) -> str:
    """Return the access token that is attached now."""
    return play(tokens.obtain(context, refused), *replies)[0].access_token


def hand_out(*tokens: str) -> Callable[[], Any]:
    """Return a function that returns options with each token in turn."""
    left = list(tokens)
    return lambda: build_options(subject_token=left.pop(0))


def test_kept() -> None:
    """One exchange serves until shortly before the token ends."""
    clock = Clock()
    context, tokens = build_client(clock), keep()

    assert None is tokens.find_current(context)
    assert "one" == obtain(context, tokens, issue("one", expires_in=1_000))
    clock.wait(969)
    assert "one" == obtain(context, tokens)
    assert "one" == getattr(tokens.find_current(context), "access_token", None)
    clock.wait(1)
    assert None is tokens.find_current(context)
    assert "two" == obtain(context, tokens, issue("two"))


def test_short_life() -> None:
    """Of a token that lasts for a minute, the margin takes a fifth and not the half."""
    clock = Clock()
    context, tokens = build_client(clock), keep()
    obtain(context, tokens, issue("one", expires_in=60))
    clock.wait(47)

    assert "one" == obtain(context, tokens)
    clock.wait(1)
    assert "two" == obtain(context, tokens, issue("two"))


def test_lifetime_unknown() -> None:
    """A token of no known end is kept until the API refuses it."""
    clock = Clock()
    context, tokens = build_client(clock), keep()
    obtain(context, tokens, issue("one", expires_in=None))
    clock.wait(1e6)

    assert "one" == obtain(context, tokens)
    assert "two" == obtain(context, tokens, issue("two"), refused="one")


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_clock_set(jump: float) -> None:
    """A clock that is set back does not make a token last longer; set on, it ends sooner."""
    clock, monotonic = Clock(), Clock(0.0)
    context, tokens = build_client(clock, monotonic), keep()
    obtain(context, tokens, issue("one", expires_in=1_000))
    clock.wait(jump)
    monotonic.wait(969)

    assert (jump > 0) == (tokens.find_current(context) is None)
    monotonic.wait(1)
    assert None is tokens.find_current(context)


def test_clock_ahead() -> None:
    """A token that had ended before it came, by this machine's clock, is used until a 401."""
    clock = Clock()
    context, tokens = build_client(clock), keep()
    token = ApiToken("x")

    assert token.has_time_left(context)
    # exp is 1, in 1970.
    ended = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9."
    assert ended == obtain(context, tokens, issue(ended, expires_in=None))
    assert ended == obtain(context, tokens)


def test_end_in_the_token() -> None:
    """Where the server names no lifetime, the token's own end counts."""
    clock = Clock(1_000.0)
    context, tokens = build_client(clock), keep()
    lasting = "eyJhbGciOiJub25lIn0.eyJleHAiOjIwMDB9."  # exp is 2000
    obtain(context, tokens, issue(lasting, expires_in=None))
    clock.wait(969)

    assert lasting == obtain(context, tokens)
    clock.wait(1)
    assert "two" == obtain(context, tokens, issue("two"))


def test_old_token_serves_while_the_exchange_fails() -> None:
    """In its last seconds a token is attached though no other can be had."""
    clock = Clock()
    context, tokens = build_client(clock), keep()
    obtain(context, tokens, issue("one", expires_in=1_000))
    clock.wait(980)

    no = build_refusal(403, "access_denied")
    assert "one" == obtain(context, tokens, no)
    # Not asked about by each request.
    assert "one" == obtain(context, tokens)
    clock.wait(20)
    error, _ = fail(tokens.obtain(context))
    assert isinstance(error, RefusedError)


def test_rest_after_an_outage() -> None:
    """An outage is not asked about by each request either, while the old token lasts."""
    clock = Clock()
    context, tokens = build_client(clock, retry=_NO_RETRY), keep()
    obtain(context, tokens, issue("one", expires_in=1_000))
    clock.wait(975)

    lost = NotSentError("no", retry_safe=True)
    assert "one" == obtain(context, tokens, lost)
    assert "one" == obtain(context, tokens)
    clock.wait(5)
    assert "two" == obtain(context, tokens, issue("two"))


def test_refused() -> None:
    """A token that the API refused is replaced, by one exchange for all who were refused."""
    context, tokens = build_client(Clock()), keep()
    obtain(context, tokens, issue("one"))

    assert "two" == obtain(context, tokens, issue("two"), refused="one")
    assert "two" == obtain(context, tokens, refused="one")
    assert "two" == obtain(context, tokens)


def test_always_refused() -> None:
    """While the API refuses each token, there is a pause between two exchanges."""
    clock = Clock()
    context, tokens = build_client(clock), keep()
    obtain(context, tokens, issue("one"))
    obtain(context, tokens, issue("two"), refused="one")

    assert "two" == obtain(context, tokens, refused="two")
    clock.wait(30)
    assert "three" == obtain(context, tokens, issue("three"), refused="two")
    clock.wait(59)
    assert "three" == obtain(context, tokens, refused="three")
    clock.wait(1)
    assert "four" == obtain(context, tokens, issue("four"), refused="three")


def test_pause_is_of_the_exchange() -> None:
    """The pause holds for another object that exchanges the same for the same API."""
    context = build_client(Clock(), token_cache=MemoryTokenCache())
    first, second = keep(), keep()
    obtain(context, first, issue("one"))
    obtain(context, first, issue("two"), refused="one")

    assert "two" == obtain(context, second)
    assert "two" == obtain(context, second, refused="two")
    assert "other" == obtain(
        context, keep(audience="https://b.example"), issue("other")
    )


def test_refused_token_in_the_cache() -> None:
    """A refused token is not taken from the client's cache, and leaves it."""
    context = build_client(Clock(), token_cache=MemoryTokenCache(), on_event=print)
    tokens = keep()
    obtain(context, tokens, issue("one"))

    assert "two" == obtain(context, tokens, issue("two"), refused="one")
    assert "two" == obtain(context, keep())


def test_one_use() -> None:
    """A token that may be good for one use is exchanged once."""
    clock = Clock()
    context, tokens = build_client(clock), keep(build_options())
    obtain(context, tokens, issue("one", expires_in=1_000))

    # Nothing could replace it, so it is good to the last second, and a 401 stands.
    clock.wait(999)
    assert "one" == obtain(context, tokens)
    assert "one" == obtain(context, tokens, refused="one")
    clock.wait(1)
    error, asked = fail(tokens.obtain(context))
    assert isinstance(error, InvalidInputError)
    assert "options" == error.parameter
    assert "function" in (error.hint or "")
    assert [] == asked.requests


@pytest.mark.parametrize(
    "reply", [AmbiguousError("lost"), build_refusal(403, "access_denied")]
)
def test_one_use_fails(reply: Any) -> None:
    """If the exchange of such a token failed, its error is the answer from then on."""
    context, tokens = build_client(clock := Clock()), keep(build_options())
    first, _ = fail(tokens.obtain(context), reply)
    clock.wait(1e6)
    second, asked = fail(tokens.obtain(context))

    assert type(first) is type(second)
    assert first is not second
    assert [] == asked.requests


def test_one_use_not_sent() -> None:
    """A token that did not leave is exchanged by the next request."""
    context = build_client(Clock(), retry=_NO_RETRY)
    tokens = keep(build_options())
    fail(tokens.obtain(context), NotSentError("no", retry_safe=True))

    assert "one" == obtain(context, tokens, issue("one"))


def test_one_use_interrupted() -> None:
    """An interrupt leaves nobody knowing whether the token is spent, so it counts as spent."""
    context, tokens = build_client(Clock()), keep(build_options())
    flow = tokens.obtain(context)
    effect = next(flow)
    inner = effect.flow()
    next(inner)
    with pytest.raises(KeyboardInterrupt):
        inner.throw(KeyboardInterrupt())
    flow.close()
    error, asked = fail(tokens.obtain(context))

    assert isinstance(error, InvalidInputError)
    assert [] == asked.requests


def test_function() -> None:
    """A function that returns fresh options is called for each exchange."""
    clock = Clock()
    context = build_client(clock)
    tokens = keep(hand_out("st-1", "st-2", "st-3"))
    obtain(context, tokens, issue("one", expires_in=1_000))
    clock.wait(970)
    obtain(context, tokens, issue("two"))
    _, asked = play(tokens.obtain(context, "two"), issue("three"))

    (request,) = asked.requests
    assert b"subject_token=st-3&" in (request.body or b"")
    assert 1 == sum(isinstance(effect, Invoke) for effect in asked)


def test_function_after_a_refusal() -> None:
    """What a function returns next is another token, so it is exchanged at once."""
    context, tokens = build_client(Clock()), keep(hand_out("st-1", "st-2"))
    fail(tokens.obtain(context), build_refusal(403, "access_denied"))

    assert "one" == obtain(context, tokens, issue("one"))


@pytest.mark.parametrize(
    "options", [None, {"subject_token": "x"}, build_options(subject_token="")]
)
def test_function_returns_something_else(options: Any) -> None:
    """What it returns is checked before anything is sent."""
    context, tokens = build_client(Clock()), keep(lambda: options)
    error, asked = fail(tokens.obtain(context))

    assert isinstance(error, InvalidInputError)
    assert [] == asked.requests


def test_refused_subject_token() -> None:
    """A refused subject token is not sent again by each request: Auth0 would block us."""
    clock = Clock()
    context, tokens = build_client(clock), keep()
    fail(tokens.obtain(context), build_refusal(403, "access_denied"))
    clock.wait(29)
    error, asked = fail(tokens.obtain(context))

    assert isinstance(error, RefusedError)
    assert [] == asked.requests
    clock.wait(1)
    assert "one" == obtain(context, tokens, issue("one"))


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (RateLimitError("no", retry_after=7.0, retry_safe=True), 7),
        (RateLimitError("no", retry_after=86_400.0), 300),
        (RateLimitError("no"), 30),
        (BlockedError("no"), 30),
        (NotSentError("no", retry_safe=True), 0),
    ],
)
def test_pause_after_a_failure(error: Any, seconds: float) -> None:
    """How long a failure is the answer depends on what it says, for a function too."""
    clock = Clock()
    context = build_client(clock, retry=_NO_RETRY)
    tokens = keep(hand_out(*"abcd"))
    fail(tokens.obtain(context), error)
    if seconds:
        clock.wait(seconds - 1)
        remembered, asked = fail(tokens.obtain(context))
        assert (type(error), []) == (type(remembered), asked.requests)
        clock.wait(1)

    assert "one" == obtain(context, tokens, issue("one"))


def test_not_a_bearer_token() -> None:
    """A token of another type is attached to nothing."""
    context, tokens = build_client(Clock()), keep()
    kind = "urn:auth0:params:oauth:token-type:session_transfer_token"
    answer = issue("one", token_type="N_A", issued_token_type=kind)
    error, _ = fail(tokens.obtain(context), answer)

    assert isinstance(error, InvalidResponseError)
    assert error.tokens_issued
    assert "N_A" in error.message


def test_on_behalf_of() -> None:
    """A user's token is exchanged for each token of the other API."""
    context = build_client(Clock())
    source = make_on_behalf_of_source(
        context, SECRETS["subject_token"], "https://b.example", "read:b", None
    )
    tokens = ExchangedTokens(source)
    obtain(context, tokens, issue("one"))

    assert "two" == obtain(context, tokens, issue("two"), refused="one")
    assert "two" == obtain(context, tokens, refused="two")


def test_checks() -> None:
    """Arguments that break a rule are refused when the object is made."""
    with pytest.raises(InvalidInputError):
        check_options(build_options(subject_token=""))
    with pytest.raises(InvalidInputError):
        check_options({"subject_token": "x"})  # type: ignore[arg-type]
    check_options(lambda: build_options())
    with pytest.raises(ConfigurationError):
        make_on_behalf_of_source(
            build_client(Clock(), client_auth="none"), "t", "https://b", None, None
        )


def exchange_and_count(clock: Clock) -> tuple[World, list[Any]]:
    """Return a world whose server issues tokens by number, and what it was asked."""
    asked: list[Any] = []

    def serve(request: Any) -> Response:
        asked.append(request)
        return issue(f"token-{len(asked)}", expires_in=1_000)

    return World(clock, serve), asked


def run_in_two_loops(
    world: World, clock: Clock, context: Context, flows: list[Flow[ApiToken]]
) -> list[Any]:
    """Run flows that share no flight, as in two event loops, side by side."""
    runs = [world.add(context).start(flow) for flow in flows]
    world.finish()
    return [run.error or run.result.access_token for run in runs]


def test_two_loops() -> None:
    """Loops share no flight, and yet one exchange."""
    clock = Clock()
    (world, asked), context, tokens = (
        exchange_and_count(clock),
        build_client(clock),
        keep(),
    )
    got = run_in_two_loops(
        world, clock, context, [tokens.obtain(context), tokens.obtain(context)]
    )

    assert ["token-1", "token-1"] == got
    assert 1 == len(asked)


def test_the_other_loop_stands_still() -> None:
    """A loop that holds the place for too long costs the others their deadline, no more."""
    clock = Clock()
    (world, asked), context, tokens = (
        exchange_and_count(clock),
        build_client(clock),
        keep(),
    )
    world.latency = lambda: 60.0
    first, second = run_in_two_loops(
        world, clock, context, [tokens.obtain(context), tokens.obtain(context)]
    )

    assert "token-1" == first
    assert isinstance(second, NotSentError)
    assert 1 == len(asked)


def test_others_do_not_wait_for_a_renewal() -> None:
    """While one caller replaces a token that still lasts, the others attach it."""
    clock = Clock()
    (world, _), context, tokens = exchange_and_count(clock), build_client(clock), keep()
    process = world.add(context)
    process.start(tokens.obtain(context))
    world.finish()
    clock.wait(975)
    leader = process.start(tokens.obtain(context))
    world.step()
    other = process.start(tokens.obtain(context))

    assert "token-1" == other.result.access_token
    assert not leader.has_ended
    world.finish()
    assert "token-2" == leader.result.access_token


def test_fork() -> None:
    """A child does not wait for a thread that exchanges in the parent."""
    context, tokens = build_client(Clock()), keep()
    flow = tokens.obtain(context)
    inner = next(flow).flow()
    next(inner)
    tokens.start_over()

    assert "one" == obtain(context, tokens, issue("one"))
    inner.close()
    flow.close()
    assert "one" == obtain(context, tokens)


def test_nothing_prints() -> None:
    """No token is in a representation."""
    context, tokens = build_client(Clock()), keep()
    obtain(context, tokens, issue(SECRETS["access_token"]))

    assert SECRETS["access_token"] not in repr(tokens)
    assert SECRETS["subject_token"] not in repr(tokens)
