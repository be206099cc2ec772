"""Exchanges through a token cache: what is asked of the world, and what is not."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from world import (
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

from auth0_tx.caches import MemoryTokenCache
from auth0_tx.core.cache.token_cache import CacheState
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

NO = build_refusal(400, "invalid_request", "The token is spent.")
LOST = NotSentError("no connection", retry_safe=True)
ONCE = RetryPolicy(attempts=1)


class SharedCache:
    """A cache that others than this client have, too; it fails when it is told to."""

    def __init__(self, clock: Clock) -> None:
        self.values: dict[str, tuple[bytes, float]] = {}
        self.locks: dict[str, tuple[bytes, float]] = {}
        self.failure: Exception | None = None
        self.asked: list[str] = []
        self._clock = clock

    def get(self, key: str) -> bytes | None:
        self._ask("get")
        value, ends = self.values.get(key, (None, 0.0))
        return value if self._clock() < ends else None

    def set(self, key: str, value: bytes, *, ttl: float) -> None:
        self._ask("set")
        self.values[key] = value, self._clock() + ttl

    def lock(self, key: str, owner: bytes, *, ttl: float) -> bool:
        self._ask("lock")
        _, ends = self.locks.get(key, (b"", 0.0))
        if self._clock() < ends:
            return False
        self.locks[key] = owner, self._clock() + ttl
        return True

    def unlock(self, key: str, owner: bytes) -> None:
        self._ask("unlock")
        if self.locks.get(key, (b"", 0.0))[0] == owner:
            del self.locks[key]

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def clock() -> Clock:
    """Give time that passes when it is told to."""
    return Clock()


@pytest.fixture(params=["memory", "shared"])
def cache(request: pytest.FixtureRequest, clock: Clock) -> Any:
    """Give a cache of either kind."""
    return MemoryTokenCache() if request.param == "memory" else SharedCache(clock)


def exchange(
    context: Context, *replies: Any, clock: Clock | None = None, **changes: Any
) -> tuple[TokenExchangeResponse, EffectLog]:
    """Exchange a token; give the response, and what was asked for."""
    flow = start(custom_token_exchange, context, build_options(**changes))
    return play(flow, *replies, clock=clock)


def tokens(name: str, **more: Any) -> Any:
    """Give an answer with the access token *name*."""
    return build_response({**TOKENS, "access_token": name, **more})


def test_hit(clock: Clock, cache: Any) -> None:
    """A token is exchanged once while its answer lasts, and told to last from then."""
    context = build_client(clock, token_cache=cache)
    first, asked = exchange(context, tokens("one"))
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
    exchange(context, tokens("one"))
    _, hit = exchange(context)

    assert [] == hit


def test_end(clock: Clock, cache: Any) -> None:
    """When the answer has ended, the token is exchanged again."""
    context = build_client(
        clock, token_cache=cache, cache_policy=CachePolicy(max_age=50)
    )
    exchange(context, tokens("one"))
    clock.wait(50)
    again, _ = exchange(context, tokens("two"))

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
        exchange(context, tokens("one"), **changes)
    clock.wait(60)
    again, _ = exchange(context, tokens("two"), subject_token=jwt)

    assert "two" == again.access_token
    # With an actor that cannot be told, nothing is cached.
    exchange(context, tokens("one"), **actor)
    exchange(context, tokens("one"), **actor)


def test_users(clock: Clock, cache: Any) -> None:
    """Another user's token, or anything else that is other, is another exchange."""
    context = build_client(clock, token_cache=cache)
    one, _ = exchange(context, tokens("one"), subject_token="token-of-alice")
    two, _ = exchange(context, tokens("two"), subject_token="token-of-bob")
    three, _ = exchange(
        context, tokens("three"), subject_token="token-of-bob", scope="read:data"
    )

    assert ["one", "two", "three"] == [each.access_token for each in (one, two, three)]
    assert "two" == exchange(context, subject_token="token-of-bob")[0].access_token


def test_clients_share(clock: Clock, cache: Any) -> None:
    """Clients with the same credentials share a cache, and one with others does not."""
    exchange(build_client(clock, token_cache=cache), tokens("one"))
    same, _ = exchange(build_client(clock, token_cache=cache))
    context = build_client(
        clock, token_cache=cache, client_secret="a-wrong-client-secret"
    )
    _, asked = fail(start(custom_token_exchange, context, build_options()), NO)

    assert "one" == same.access_token
    assert 1 == len(asked.requests)


def test_domains(clock: Clock, cache: Any) -> None:
    """What one tenant gave is not given for another."""
    domains = iter(["one.auth0.com", "two.auth0.com"])
    context = build_client(clock, token_cache=cache, domain=lambda _: next(domains))

    def served(request: Any) -> Any:
        host = request.url.split("/")[2]
        issuer = f"https://{host}/"
        document = {
            "issuer": issuer,
            "token_endpoint": f"{issuer}oauth/token",
            "jwks_uri": f"{issuer}jwks",
        }
        return build_response(document) if "well-known" in request.url else tokens(host)

    given = [exchange(context, served)[0].access_token for _ in range(2)]

    assert ["one.auth0.com", "two.auth0.com"] == given


def test_input_is_checked(clock: Clock, cache: Any) -> None:
    """What breaks a rule is refused, whether it could be in the cache or not."""
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
    again, _ = exchange(context, tokens("one"))

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
    """What is one caller's, as a refresh token, is not given to the next."""
    context = build_client(clock, token_cache=cache)
    one, _ = exchange(context, tokens("one", **more), scope=scope)
    two, _ = exchange(context, tokens("two", **more), scope=scope)

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
    exchange(context, tokens("alice's"), subject_token="token-of-alice")
    exchange(context, tokens("bob's"), subject_token="token-of-bob")
    values = list(cache.values.values())
    cache.values = dict(zip(cache.values, reversed(values), strict=True))
    again, _ = exchange(context, tokens("new"), subject_token="token-of-bob")

    assert "new" == again.access_token


# Renewal.


def renewing(clock: Clock, cache: Any, **keywords: Any) -> Context:
    """Give a client that has cached a token which is to be renewed by now."""
    policy = CachePolicy(margin_seconds=0, renew_seconds=100)
    context = build_client(
        clock, token_cache=cache, cache_policy=policy, retry=ONCE, **keywords
    )
    exchange(context, tokens("old", expires_in=1_000), subject_token_reusable=True)
    clock.wait(930)
    return context


def test_renewal(clock: Clock, cache: Any) -> None:
    """One caller renews what ends soon, and is given what is new; so are all after it."""
    context = renewing(clock, cache)
    new, _ = exchange(context, tokens("new"), subject_token_reusable=True)
    after, _ = exchange(context, subject_token_reusable=True)

    assert ["new", "new"] == [new.access_token, after.access_token]


def test_others_meanwhile(clock: Clock, cache: Any) -> None:
    """While one renews, the others are given what is still good."""
    context = renewing(clock, cache)
    meanwhile: list[Any] = []

    def slowly(_: Any) -> Any:
        meanwhile.append(exchange(context, subject_token_reusable=True)[0])
        return tokens("new")

    exchange(context, slowly, subject_token_reusable=True)

    assert [("old", 70)] == [(each.access_token, each.expires_in) for each in meanwhile]


def test_renewal_fails(clock: Clock, cache: Any) -> None:
    """Who renews in vain is given what is still good, and the next do not try for a while."""
    context = renewing(clock, cache)
    given, asked = exchange(context, LOST, subject_token_reusable=True)
    after, _ = exchange(context, subject_token_reusable=True)
    clock.wait(30)
    again, _ = exchange(context, tokens("new"), subject_token_reusable=True)

    assert 1 == len(asked.requests)
    assert ["old", "old", "new"] == [
        each.access_token for each in (given, after, again)
    ]


def test_renewal_too_late(clock: Clock, cache: Any) -> None:
    """A renewal that fails when the old answer has ended by then is a failure."""
    context = renewing(clock, cache)

    def slowly(_: Any) -> Any:
        clock.wait(100)
        return LOST

    error, _ = fail(
        start(
            custom_token_exchange, context, build_options(subject_token_reusable=True)
        ),
        slowly,
    )

    assert isinstance(error, NotSentError)


def test_renewal_refused(clock: Clock, cache: Any) -> None:
    """When the server says no, nobody is given the old answer any more."""
    context = renewing(clock, cache)
    flow = start(
        custom_token_exchange, context, build_options(subject_token_reusable=True)
    )
    error, _ = fail(flow, NO)
    again, _ = exchange(context, tokens("new"), subject_token_reusable=True)

    assert isinstance(error, RefusedError)
    assert "new" == again.access_token


def test_no_renewal_of_what_is_spent(clock: Clock, cache: Any) -> None:
    """A subject token that may be good for one use is not sent again early."""
    policy = CachePolicy(margin_seconds=0, renew_seconds=100)
    context = build_client(clock, token_cache=cache, cache_policy=policy)
    exchange(context, tokens("old", expires_in=1_000))
    clock.wait(999)

    assert "old" == exchange(context)[0].access_token


# Processes.


def test_lock(clock: Clock) -> None:
    """A cold key is locked, looked up again, filled and freed."""
    cache = SharedCache(clock)
    exchange(build_client(clock, token_cache=cache), tokens("one"))

    assert ["get", "lock", "get", "set", "unlock"] == cache.asked
    assert {} == cache.locks


def test_another_process(clock: Clock) -> None:
    """While another process exchanges the same, one waits for what it brings."""
    cache = SharedCache(clock)
    ours, theirs = (build_client(clock, token_cache=cache) for _ in range(2))
    waited: list[Any] = []

    def slowly(_: Any) -> Any:
        flow = start(custom_token_exchange, ours, build_options())
        waited.append(_until_sleep(flow))
        return tokens("theirs")

    exchange(theirs, slowly)
    (waiting,) = waited
    given, asked = play(waiting)

    assert "theirs" == given.access_token
    assert [] == asked.requests


def _until_sleep(flow: Flow[Any]) -> Flow[Any]:
    """Play a flow until it sleeps; give what is left of it."""
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

    def rest() -> Flow[Any]:
        leader, waiting = stack[-1], stack[0]
        try:
            shared = yield from _continued(leader)
        finally:
            leader.close()
        try:
            waiting.send(shared)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("the flow goes on")

    return rest()


def _continued(flow: Flow[Any]) -> Flow[Any]:
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
    with pytest.raises(KeyboardInterrupt):
        exchange(build_client(clock, token_cache=cache), _killed)
    started = clock()
    given, asked = exchange(context, tokens("one"), clock=clock)

    assert "one" == given.access_token
    assert 4.9 <= clock() - started <= 5.3
    assert sum(asked.waits) == pytest.approx(clock() - started)


def _killed(_: Any) -> Any:
    raise KeyboardInterrupt


def test_cancelled_leader(clock: Clock) -> None:
    """What a cancelled call of the same client has locked, the next one goes on with."""
    cache = SharedCache(clock)
    context = build_client(clock, token_cache=cache)
    with pytest.raises(KeyboardInterrupt):
        exchange(context, _killed)
    given, asked = exchange(context, tokens("one"))

    assert "one" == given.access_token
    assert [] == asked.waits
    assert {} == cache.locks


def test_many_cancelled() -> None:
    """However many calls are cancelled, few are remembered, and none for long."""
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
    given, asked = exchange(context, tokens("one"), clock=clock)

    assert "one" == given.access_token
    assert 2.0 <= sum(asked.waits) <= 2.3


def test_failed_leader_unlocks(clock: Clock, cache: Any) -> None:
    """An exchange that fails leaves nothing locked."""
    context = build_client(clock, token_cache=cache, retry=ONCE)
    fail(start(custom_token_exchange, context, build_options()), LOST)
    _, asked = exchange(context, tokens("one"), clock=clock)

    assert [] == asked.waits


# A cache that fails.


def test_cache_is_down(clock: Clock) -> None:
    """Exchanges go on without a cache that fails; it is asked again after a few seconds."""
    cache = SharedCache(clock)
    cache.failure = ConnectionError(SECRETS["access_token"])
    context = build_client(clock, token_cache=cache)
    given = [exchange(context, tokens(name))[0].access_token for name in ("a", "b")]
    asked = len(cache.asked)
    clock.wait(5)
    cache.failure = None
    exchange(context, tokens("c"))

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
        warnings += [each for each in asked if isinstance(each, Warn)]
        clock.wait(5)

    assert 2 == len(warnings)
    assert {
        Warn(
            "auth0_tx.cache",
            "the token cache failed (ConnectionError): exchanges go on without it",
        )
    } == set(warnings)


@pytest.mark.parametrize("method", ["get", "set", "lock", "unlock"])
def test_any_method_fails(clock: Clock, method: str) -> None:
    """Whichever method fails, the caller has its tokens."""
    cache = SharedCache(clock)
    context = build_client(clock, token_cache=cache)

    def failing(*_: Any, **__: Any) -> Any:
        raise StoreError("the store is down")

    setattr(cache, method, failing)
    given, asked = exchange(context, tokens("one"))

    assert "one" == given.access_token
    assert 1 == len([each for each in asked if isinstance(each, Warn)])


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

    def failing(*_: Any, **__: Any) -> Any:
        raise ConnectionError

    cache.set = cache.unlock = failing  # type: ignore[method-assign]

    assert "one" == exchange(context, tokens("one"))[0].access_token


def test_a_mistake_is_told(clock: Clock) -> None:
    """A cache of the other world is no cache that is down."""
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


def sharing(
    context: Context,
    *outcomes: TokenExchangeResponse | CustomTokenExchangeError,
    **changes: Any,
) -> Flow[Any]:
    """Give a flow whose first wishes to share are met by another's *outcomes*."""
    flow = start(custom_token_exchange, context, build_options(**changes))
    effect = next(flow)
    others = list(outcomes)

    def played() -> Flow[Any]:
        nonlocal effect
        try:
            while True:
                if isinstance(effect, Share) and others:
                    effect = flow.send(SharedOutcome("another", others.pop(0)))
                else:
                    effect = flow.send((yield effect))
        except StopIteration as stop:
            return stop.value

    return played()


def response(**changes: Any) -> TokenExchangeResponse:
    """Give what another call's exchange brought."""
    return TokenExchangeResponse(access_token="shared", token_type="Bearer", **changes)


def test_joined(clock: Clock, cache: Any) -> None:
    """Who asks while another exchanges the same is given the same."""
    context = build_client(clock, token_cache=cache)
    given, asked = play(sharing(context, response(act={"sub": "agent"})))

    assert response(act={"sub": "agent"}) == given
    assert [] == asked.requests


def test_joined_in_vain(clock: Clock, cache: Any) -> None:
    """Who joined an exchange whose answer is one caller's makes one of its own."""
    context = build_client(clock, token_cache=cache)
    other = response(refresh_token=SECRETS["refresh_token"])
    given, _ = play(sharing(context, other), tokens("own"))

    assert "own" == given.access_token


def test_shared_failure(clock: Clock, cache: Any) -> None:
    """All who joined share how it failed, each by an error of its own."""
    context = build_client(clock, token_cache=cache)
    shared = MfaRequiredError("needed", "mfa_required", 403)
    shared.with_mfa(SECRETS["mfa_token"], {"challenge": []})
    error, asked = fail(sharing(context, shared))

    assert error is not shared
    assert isinstance(error, MfaRequiredError)
    assert SECRETS["mfa_token"] == error.mfa_token
    assert [] == asked.requests


def test_safe_failure(clock: Clock, cache: Any) -> None:
    """What failed without harm is tried once more, together; then it is everyone's failure."""
    context = build_client(clock, token_cache=cache)
    given, asked = play(sharing(context, LOST), tokens("own"))
    error, _ = fail(sharing(context, LOST, LOST, subject_token="another"))

    assert "own" == given.access_token
    assert 1 == len(asked.requests)
    assert isinstance(error, CustomTokenExchangeError)


def test_events(clock: Clock, cache: Any) -> None:
    """A subscriber is told of what was missed, given, shared, and of what failed."""
    told: list[Any] = []
    context = build_client(clock, token_cache=cache, on_event=told.append)
    _, missed = exchange(context, tokens("one"))
    _, hit = exchange(context)
    _, joined = play(
        sharing(
            build_client(clock, token_cache=MemoryTokenCache(), on_event=print),
            response(),
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
