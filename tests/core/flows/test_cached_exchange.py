"""Exchanges through a token cache: what is asked of the world, and what is not."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from auth0_tx.caches import MemoryTokenCache
from auth0_tx.core.cache.cache_state import CacheState
from auth0_tx.core.context import Context
from auth0_tx.core.effects import Flow, Invoke, Share, Sleep, Warn
from auth0_tx.core.flows.cached_exchange import SharedOutcome
from auth0_tx.core.flows.exchange import custom_token_exchange
from auth0_tx.errors import (
    ConfigurationError,
    CustomTokenExchangeError,
    InvalidInputError,
    MfaRequiredError,
    NotSentError,
    RefusedError,
    StoreError,
)
from auth0_tx.events import CacheFailed, CacheHit, CacheJoined, CacheMissed
from auth0_tx.values import CachePolicy, RetryPolicy, TokenExchangeResponse
from tests.core.world import (
    NOW,
    SECRETS,
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
LOST = NotSentError("no connection", retry_safe=True)
ONCE = RetryPolicy(attempts=1)


class SharedCache:
    """A cache shared with other clients, which fails on demand."""

    def __init__(self, clock: Clock) -> None:
        self.values: dict[str, tuple[bytes, float]] = {}
        self.locks: dict[str, tuple[bytes, float]] = {}
        self.failure: Exception | None = None
        self.asked: list[str] = []
        self._clock = clock

    def get(self, key: str) -> bytes | None:
        self._note_call("get")
        value, ends = self.values.get(key, (None, 0.0))
        return value if self._clock() < ends else None

    def set(self, key: str, value: bytes, *, ttl: float) -> None:
        self._note_call("set")
        self.values[key] = value, self._clock() + ttl

    def lock(self, key: str, owner: bytes, *, ttl: float) -> bool:
        self._note_call("lock")
        _, ends = self.locks.get(key, (b"", 0.0))
        if self._clock() < ends:
            return False
        self.locks[key] = owner, self._clock() + ttl
        return True

    def unlock(self, key: str, owner: bytes) -> None:
        self._note_call("unlock")
        if self.locks.get(key, (b"", 0.0))[0] == owner:
            del self.locks[key]

    def _note_call(self, what: str) -> None:
        self.asked.append(what)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def clock() -> Clock:
    """Time that passes only when it is told to."""
    return Clock()


@pytest.fixture(params=["memory", "shared"])
def cache(request: pytest.FixtureRequest, clock: Clock) -> Any:
    """A cache of either kind."""
    return MemoryTokenCache() if request.param == "memory" else SharedCache(clock)


def exchange(
    context: Context, *replies: Any, clock: Clock | None = None, **changes: Any
) -> tuple[TokenExchangeResponse, EffectLog]:
    """Exchange a token; return the response and the effects."""
    flow = start(custom_token_exchange, context, build_options(**changes))
    return play(flow, *replies, clock=clock)


def build_tokens(name: str, **more: Any) -> Any:
    """Build a response with the access token *name*."""
    return build_response({**TOKENS, "access_token": name, **more})


def test_hit(clock: Clock, cache: Any) -> None:
    """A token is exchanged once while its answer lasts, and told to last from then."""
    context = build_client(clock, token_cache=cache)
    first, asked = exchange(context, build_tokens("one"))
    clock.wait(100)
    second, hit = exchange(context)

    assert 1 == len(asked.requests)
    assert ("one", 86_400) == (first.access_token, first.expires_in)
    assert ("one", 86_300) == (second.access_token, second.expires_in)
    assert [] == hit.requests
    assert not {Share, Sleep} & set(list_kinds(hit))


def test_nothing_is_asked(clock: Clock) -> None:
    """A hit in memory asks nothing of the world."""
    context = build_client(clock, token_cache=MemoryTokenCache())
    exchange(context, build_tokens("one"))
    _, hit = exchange(context)

    assert [] == hit


def test_end(clock: Clock, cache: Any) -> None:
    """When the answer has ended, the token is exchanged again."""
    context = build_client(
        clock, token_cache=cache, cache_policy=CachePolicy(max_age=50)
    )
    exchange(context, build_tokens("one"))
    clock.wait(50)
    again, _ = exchange(context, build_tokens("two"))

    assert "two" == again.access_token


def test_subject_token_ends(clock: Clock, cache: Any) -> None:
    """No answer outlives the JWT that was exchanged, or its actor's."""
    claims = urlsafe_b64encode(json.dumps({"exp": NOW + 60}).encode()).rstrip(b"=")
    jwt = f"e30.{claims.decode()}.c2ln"
    context = build_client(clock, token_cache=cache)
    actor = {"actor_token": jwt, "actor_token_type": "urn:acme:agent"}
    for changes in (
        {"subject_token": jwt},
        {"organization": "org_a", "subject_token": jwt},
    ):
        exchange(context, build_tokens("one"), **changes)
    clock.wait(60)
    again, _ = exchange(context, build_tokens("two"), subject_token=jwt)

    assert "two" == again.access_token
    # With an actor that cannot be told, nothing is cached.
    exchange(context, build_tokens("one"), **actor)
    exchange(context, build_tokens("one"), **actor)


def test_users(clock: Clock, cache: Any) -> None:
    """Another user's token, or anything else that is other, is another exchange."""
    context = build_client(clock, token_cache=cache)
    one, _ = exchange(context, build_tokens("one"), subject_token="token-of-alice")
    two, _ = exchange(context, build_tokens("two"), subject_token="token-of-bob")
    three, _ = exchange(
        context, build_tokens("three"), subject_token="token-of-bob", scope="read:data"
    )

    assert ["one", "two", "three"] == [
        response.access_token for response in (one, two, three)
    ]
    assert "two" == exchange(context, subject_token="token-of-bob")[0].access_token


def test_clients_share(clock: Clock, cache: Any) -> None:
    """Clients with the same credentials share a cache, and one with others does not."""
    exchange(build_client(clock, token_cache=cache), build_tokens("one"))
    same, _ = exchange(build_client(clock, token_cache=cache))
    context = build_client(
        clock, token_cache=cache, client_secret="a-wrong-client-secret"
    )
    _, asked = fail(start(custom_token_exchange, context, build_options()), NO)

    assert "one" == same.access_token
    assert 1 == len(asked.requests)


def test_domains(clock: Clock, cache: Any) -> None:
    """Tokens of one tenant are not returned for another."""
    domains = iter(["one.auth0.com", "two.auth0.com"])
    context = build_client(clock, token_cache=cache, domain=lambda _: next(domains))

    def respond(request: Any) -> Any:
        host = request.url.split("/")[2]
        issuer = f"https://{host}/"
        document = {
            "issuer": issuer,
            "token_endpoint": f"{issuer}oauth/token",
            "jwks_uri": f"{issuer}jwks",
        }
        return (
            build_response(document)
            if "well-known" in request.url
            else build_tokens(host)
        )

    given = [exchange(context, respond)[0].access_token for _ in range(2)]

    assert ["one.auth0.com", "two.auth0.com"] == given


def test_input_is_checked(clock: Clock, cache: Any) -> None:
    """Options that break a rule are refused, whether the cache could have them or not."""
    context = build_client(clock, token_cache=cache)
    error, asked = fail(
        start(custom_token_exchange, context, build_options(subject_token=" "))
    )

    assert isinstance(error, InvalidInputError)
    assert [] == asked


def test_failures_are_not_cached(clock: Clock, cache: Any) -> None:
    """A refusal is of the call that met it; the next one is sent."""
    context = build_client(clock, token_cache=cache)
    error, _ = fail(start(custom_token_exchange, context, build_options()), NO)
    again, _ = exchange(context, build_tokens("one"))

    assert isinstance(error, RefusedError)
    assert "one" == again.access_token


@pytest.mark.parametrize(
    ("scope", "more"),
    [
        ("openid offline_access", {"refresh_token": SECRETS["refresh_token"]}),
        (None, {"refresh_token": SECRETS["refresh_token"]}),
        (None, {"expires_in": None}),
    ],
    ids=["asked-for", "unasked", "no-lifetime"],
)
def test_one_callers(
    clock: Clock, cache: Any, scope: str | None, more: dict[str, Any]
) -> None:
    """A response meant for one caller, as with a refresh token, is not given to the next."""
    context = build_client(clock, token_cache=cache)
    one, _ = exchange(context, build_tokens("one", **more), scope=scope)
    two, _ = exchange(context, build_tokens("two", **more), scope=scope)

    assert ["one", "two"] == [one.access_token, two.access_token]


def test_nothing_readable(clock: Clock) -> None:
    """A shared cache has neither the tokens, nor anything to look them up by."""
    cache = SharedCache(clock)
    context = build_client(clock, token_cache=cache)
    exchange(context, build_response())
    held = repr(cache.values) + repr(cache.locks)

    for text in SECRETS.values():
        assert text not in held
        assert text.encode().hex() not in held


def test_mixed_up(clock: Clock) -> None:
    """An entry that a cache gives under another key does not open."""
    cache = SharedCache(clock)
    context = build_client(clock, token_cache=cache)
    exchange(context, build_tokens("alice's"), subject_token="token-of-alice")
    exchange(context, build_tokens("bob's"), subject_token="token-of-bob")
    values = list(cache.values.values())
    cache.values = dict(zip(cache.values, reversed(values), strict=True))
    again, _ = exchange(context, build_tokens("new"), subject_token="token-of-bob")

    assert "new" == again.access_token


# Renewal.


def build_renewing_client(clock: Clock, cache: Any, **keywords: Any) -> Context:
    """Return a client that has cached a token which is now due to be renewed."""
    policy = CachePolicy(margin_seconds=0, renew_seconds=100)
    context = build_client(
        clock, token_cache=cache, cache_policy=policy, retry=ONCE, **keywords
    )
    exchange(
        context, build_tokens("old", expires_in=1_000), subject_token_reusable=True
    )
    clock.wait(930)
    return context


def test_renewal(clock: Clock, cache: Any) -> None:
    """One caller renews tokens that end soon, and gets the new ones; so do all after it."""
    context = build_renewing_client(clock, cache)
    new, _ = exchange(context, build_tokens("new"), subject_token_reusable=True)
    after, _ = exchange(context, subject_token_reusable=True)

    assert ["new", "new"] == [new.access_token, after.access_token]


def test_others_meanwhile(clock: Clock, cache: Any) -> None:
    """While one renews, the others get the tokens that are still good."""
    context = build_renewing_client(clock, cache)
    meanwhile: list[Any] = []

    def respond_slowly(_: Any) -> Any:
        meanwhile.append(exchange(context, subject_token_reusable=True)[0])
        return build_tokens("new")

    exchange(context, respond_slowly, subject_token_reusable=True)

    assert [("old", 70)] == [
        (response.access_token, response.expires_in) for response in meanwhile
    ]


def test_renewal_fails(clock: Clock, cache: Any) -> None:
    """A failed renewal returns the tokens that are still good; the next calls don't try for a while."""
    context = build_renewing_client(clock, cache)
    given, asked = exchange(context, LOST, subject_token_reusable=True)
    after, _ = exchange(context, subject_token_reusable=True)
    clock.wait(30)
    again, _ = exchange(context, build_tokens("new"), subject_token_reusable=True)

    assert 1 == len(asked.requests)
    assert ["old", "old", "new"] == [
        response.access_token for response in (given, after, again)
    ]


def test_renewal_too_late(clock: Clock, cache: Any) -> None:
    """A renewal that fails when the old answer has ended by then is a failure."""
    context = build_renewing_client(clock, cache)

    def respond_slowly(_: Any) -> Any:
        clock.wait(100)
        return LOST

    error, _ = fail(
        start(
            custom_token_exchange, context, build_options(subject_token_reusable=True)
        ),
        respond_slowly,
    )

    assert isinstance(error, NotSentError)


def test_renewal_refused(clock: Clock, cache: Any) -> None:
    """When the server says no, nobody is given the old answer any more."""
    context = build_renewing_client(clock, cache)
    flow = start(
        custom_token_exchange, context, build_options(subject_token_reusable=True)
    )
    error, _ = fail(flow, NO)
    again, _ = exchange(context, build_tokens("new"), subject_token_reusable=True)

    assert isinstance(error, RefusedError)
    assert "new" == again.access_token


def test_no_renewal_of_what_is_spent(clock: Clock, cache: Any) -> None:
    """A subject token that may be good for one use is not sent again early."""
    policy = CachePolicy(margin_seconds=0, renew_seconds=100)
    context = build_client(clock, token_cache=cache, cache_policy=policy)
    exchange(context, build_tokens("old", expires_in=1_000))
    clock.wait(999)

    assert "old" == exchange(context)[0].access_token


# Processes.


def test_lock(clock: Clock) -> None:
    """A cold key is locked, looked up again, filled and freed."""
    cache = SharedCache(clock)
    exchange(build_client(clock, token_cache=cache), build_tokens("one"))

    assert ["get", "lock", "get", "set", "unlock"] == cache.asked
    assert {} == cache.locks


def test_another_process(clock: Clock) -> None:
    """While another process exchanges the same token, a call waits for its outcome."""
    cache = SharedCache(clock)
    ours, theirs = (build_client(clock, token_cache=cache) for _ in range(2))
    waited: list[Any] = []

    def respond_slowly(_: Any) -> Any:
        flow = start(custom_token_exchange, ours, build_options())
        waited.append(play_until_sleep(flow))
        return build_tokens("theirs")

    exchange(theirs, respond_slowly)
    (waiting,) = waited
    given, asked = play(waiting)

    assert "theirs" == given.access_token
    assert [] == asked.requests


def play_until_sleep(flow: Flow[Any]) -> Flow[Any]:
    """Play a flow until it sleeps; return the rest of it."""
    stack, effect = [flow], next(flow)
    while not isinstance(effect, Sleep):
        if isinstance(effect, Share):
            stack.append(effect.flow())
            effect = next(stack[-1])
        else:
            reply = None
            if isinstance(effect, Invoke):
                reply = effect.function(*effect.arguments)
            effect = stack[-1].send(reply)

    def play_rest() -> Flow[Any]:
        leader, waiting = stack[-1], stack[0]
        try:
            shared = yield from resume(leader)
        finally:
            leader.close()
        try:
            waiting.send(shared)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("the flow goes on")

    return play_rest()


def resume(flow: Flow[Any]) -> Flow[Any]:
    try:
        effect = flow.send(None)
        while True:
            effect = flow.send((yield effect))
    except StopIteration as stop:
        return stop.value


def test_dead_owner(clock: Clock) -> None:
    """A process that has died holds the others up for the time of its lock, and no longer."""
    cache = SharedCache(clock)
    context = build_client(clock, token_cache=cache)
    with pytest.raises(GeneratorExit):
        exchange(build_client(clock, token_cache=cache), kill)
    started = clock()
    given, asked = exchange(context, build_tokens("one"), clock=clock)

    assert "one" == given.access_token
    assert 4.9 <= clock() - started <= 5.3
    assert sum(asked.waits) == pytest.approx(clock() - started)


def kill(_: Any) -> Any:
    raise GeneratorExit


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, ZeroDivisionError])
def test_interrupted_leader(clock: Clock, interrupt: type[BaseException]) -> None:
    """A leader that is interrupted unlocks, whatever the interrupt is."""
    cache = SharedCache(clock)

    def fail(_: Any) -> Any:
        raise interrupt

    with pytest.raises(interrupt):
        exchange(build_client(clock, token_cache=cache), fail)

    assert {} == cache.locks


def test_abandoned_leader(clock: Clock) -> None:
    """The next call of a client goes on with the lock of an abandoned one."""
    cache = SharedCache(clock)
    context = build_client(clock, token_cache=cache)
    with pytest.raises(GeneratorExit):
        exchange(context, kill)
    given, asked = exchange(context, build_tokens("one"))

    assert "one" == given.access_token
    assert [] == asked.waits
    assert {} == cache.locks


def test_many_abandoned() -> None:
    """However many calls are abandoned, few are remembered, and none for long."""
    state = CacheState()
    for number in range(1_001):
        state.record_abandoned_lock(f"{number}", b"owner", 5.0)

    assert state.take_over_lock("0", 1.0) is None
    assert b"owner" == state.take_over_lock("1000", 1.0)
    assert state.take_over_lock("1000", 1.0) is None
    state.record_abandoned_lock("late", b"owner", 5.0)
    assert state.take_over_lock("late", 5.0) is None


def test_lock_is_not_to_be_had(clock: Clock) -> None:
    """After half of its time a call does without the lock."""
    cache = SharedCache(clock)
    context = build_client(clock, token_cache=cache, timeout=4.0)
    cache.lock = lambda *_, **__: False  # type: ignore[method-assign]
    given, asked = exchange(context, build_tokens("one"), clock=clock)

    assert "one" == given.access_token
    assert 2.0 <= sum(asked.waits) <= 2.3


def test_failed_leader_unlocks(clock: Clock, cache: Any) -> None:
    """An exchange that fails leaves nothing locked."""
    context = build_client(clock, token_cache=cache, retry=ONCE)
    fail(start(custom_token_exchange, context, build_options()), LOST)
    _, asked = exchange(context, build_tokens("one"), clock=clock)

    assert [] == asked.waits


# A cache that fails.


def test_cache_is_down(clock: Clock) -> None:
    """Exchanges go on without a cache that fails; it is asked again after a few seconds."""
    cache = SharedCache(clock)
    cache.failure = ConnectionError(SECRETS["access_token"])
    context = build_client(clock, token_cache=cache)
    given = [
        exchange(context, build_tokens(name))[0].access_token for name in ("a", "b")
    ]
    asked = len(cache.asked)
    clock.wait(5)
    cache.failure = None
    exchange(context, build_tokens("c"))

    assert ["a", "b"] == given
    assert 1 == asked
    assert "c" == exchange(context)[0].access_token


def test_one_warning_a_minute(clock: Clock) -> None:
    """A cache that is down is warned of once a minute, by the name of the failure alone."""
    cache = SharedCache(clock)
    cache.failure = ConnectionError(SECRETS["access_token"])
    context = build_client(clock, token_cache=cache)
    warnings: list[Warn] = []
    for _ in range(13):
        _, asked = exchange(context, build_response())
        warnings += [effect for effect in asked if isinstance(effect, Warn)]
        clock.wait(5)

    assert 2 == len(warnings)
    assert {
        (
            "auth0_tx.cache",
            "the token cache failed (ConnectionError): exchanges go on without it",
        )
    } == {(warning.logger, warning.message) for warning in warnings}


@pytest.mark.parametrize("method", ["get", "set", "lock", "unlock"])
def test_any_method_fails(clock: Clock, method: str) -> None:
    """Whichever method fails, the caller has its tokens."""
    cache = SharedCache(clock)
    context = build_client(clock, token_cache=cache)

    def raise_error(*_: Any, **__: Any) -> Any:
        raise StoreError("the store is down")

    setattr(cache, method, raise_error)
    given, asked = exchange(context, build_tokens("one"))

    assert "one" == given.access_token
    assert 1 == len([effect for effect in asked if isinstance(effect, Warn)])


def test_raise(clock: Clock) -> None:
    """Where the policy says so, a cache that cannot be read is an error, before any send."""
    cache = SharedCache(clock)
    cache.failure = ConnectionError(SECRETS["access_token"])
    policy = CachePolicy(failure="raise")
    context = build_client(clock, token_cache=cache, cache_policy=policy)
    for _ in range(2):
        error, asked = fail(start(custom_token_exchange, context, build_options()))

        assert isinstance(error, StoreError)
        assert error.retry_safe
        assert [] == asked.requests


def test_issued_tokens_are_kept(clock: Clock) -> None:
    """A cache that cannot be written takes nobody's tokens, whatever the policy says."""
    cache = SharedCache(clock)
    policy = CachePolicy(failure="raise")
    context = build_client(clock, token_cache=cache, cache_policy=policy)

    def raise_error(*_: Any, **__: Any) -> Any:
        raise ConnectionError

    cache.set = cache.unlock = raise_error  # type: ignore[method-assign]

    assert "one" == exchange(context, build_tokens("one"))[0].access_token


def test_a_mistake_is_told(clock: Clock) -> None:
    """A cache for the other client is reported as a mistake, not as a cache that is down."""
    cache = SharedCache(clock)
    cache.failure = ConfigurationError("an async function was given")
    error, _ = fail(
        start(
            custom_token_exchange,
            build_client(clock, token_cache=cache),
            build_options(),
        )
    )

    assert isinstance(error, ConfigurationError)


# Callers who share.


def start_joining(
    context: Context,
    *outcomes: TokenExchangeResponse | CustomTokenExchangeError,
    **changes: Any,
) -> Flow[Any]:
    """Start a flow whose first attempts to share get the *outcomes* of another call."""
    flow = start(custom_token_exchange, context, build_options(**changes))
    effect = next(flow)
    others = list(outcomes)

    def play_on() -> Flow[Any]:
        nonlocal effect
        try:
            while True:
                if isinstance(effect, Share) and others:
                    effect = flow.send(SharedOutcome("another", others.pop(0)))
                else:
                    effect = flow.send((yield effect))
        except StopIteration as stop:
            return stop.value

    return play_on()


def build_outcome(**changes: Any) -> TokenExchangeResponse:
    """Build the outcome of another call's exchange."""
    return TokenExchangeResponse(access_token="shared", token_type="Bearer", **changes)


def test_joined(clock: Clock, cache: Any) -> None:
    """Who asks while another exchanges the same is given the same."""
    context = build_client(clock, token_cache=cache)
    given, asked = play(start_joining(context, build_outcome(act={"sub": "agent"})))

    assert build_outcome(act={"sub": "agent"}) == given
    assert [] == asked.requests


def test_joined_in_vain(clock: Clock, cache: Any) -> None:
    """Who joined an exchange whose answer is one caller's makes one of its own."""
    context = build_client(clock, token_cache=cache)
    other = build_outcome(refresh_token=SECRETS["refresh_token"])
    given, _ = play(start_joining(context, other), build_tokens("own"))

    assert "own" == given.access_token


def test_shared_failure(clock: Clock, cache: Any) -> None:
    """All who joined share how it failed, each by an error of its own."""
    context = build_client(clock, token_cache=cache)
    shared = MfaRequiredError("needed", "mfa_required", 403)
    shared.with_mfa(SECRETS["mfa_token"], {"challenge": []})
    error, asked = fail(start_joining(context, shared))

    assert error is not shared
    assert isinstance(error, MfaRequiredError)
    assert SECRETS["mfa_token"] == error.mfa_token
    assert [] == asked.requests


def test_safe_failure(clock: Clock, cache: Any) -> None:
    """A harmless failure is tried once more, together; then it fails for everyone."""
    context = build_client(clock, token_cache=cache)
    given, asked = play(start_joining(context, LOST), build_tokens("own"))
    error, _ = fail(start_joining(context, LOST, LOST, subject_token="another"))

    assert "own" == given.access_token
    assert 1 == len(asked.requests)
    assert isinstance(error, CustomTokenExchangeError)


def test_events(clock: Clock, cache: Any) -> None:
    """A subscriber is told of what was missed, given, shared, and of what failed."""
    told: list[Any] = []
    context = build_client(clock, token_cache=cache, on_event=told.append)
    _, missed = exchange(context, build_tokens("one"))
    _, hit = exchange(context)
    _, joined = play(
        start_joining(
            build_client(clock, token_cache=MemoryTokenCache(), on_event=print),
            build_outcome(),
        )
    )
    domain = "tenant.us.auth0.com"

    assert CacheMissed(domain=domain) == missed.events[0]
    assert [CacheHit(domain=domain)] == hit.events
    assert CacheJoined(domain=domain) in joined.events


def test_failure_is_told(clock: Clock) -> None:
    """A subscriber is told of a cache that fails."""
    cache = SharedCache(clock)
    cache.failure = TimeoutError()
    context = build_client(clock, token_cache=cache, on_event=print)
    _, asked = exchange(context, build_response())

    assert CacheFailed(kind="TimeoutError") in asked.events
