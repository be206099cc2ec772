"""Two applications that share everything: neither touches the other's sessions."""

from __future__ import annotations

from itertools import count
from typing import Any

import attrs
import pytest

from auth0_tx.core.context import CachedDocument, Context
from auth0_tx.core.flows.access_tokens import get_access_token
from auth0_tx.core.flows.logout import handle_backchannel_logout, logout
from auth0_tx.core.flows.session import get_user
from auth0_tx.core.session.cookies import CookieStore
from auth0_tx.errors import BackchannelLogoutError, LoginRequiredError
from tests.core.browser import (
    COOKIE,
    SECRET,
    Browser,
    PaperStore,
    build_session_client,
    log_in,
    read_session,
)
from tests.core.flows.test_backchannel_logout import sign_logout_token
from tests.core.world import DOMAIN, METADATA, SECRETS, Clock, fail, play

OTHER_DOMAIN = "other.eu.auth0.com"
OTHER_ISSUER = f"https://{OTHER_DOMAIN}/"
OFFLINE = {"refresh_token": SECRETS["refresh_token"], "expires_in": 30}


@pytest.fixture(params=["cookies", "store", "store without a secret"])
def shared(request: pytest.FixtureRequest, clock: Clock) -> dict[str, Any]:
    """The keywords that both clients have."""
    store = PaperStore(clock)
    return {
        "cookies": {"secret": SECRET},
        "store": {"secret": SECRET, "state_store": store},
        "store without a secret": {"secret": None, "state_store": store},
    }[request.param]


@attrs.frozen
class Other:
    """The claims and the keywords of the second application."""

    keywords: dict[str, Any]
    claims: dict[str, Any]


OTHERS = {
    "another application": Other({"client_id": "another"}, {"aud": "another"}),
    "another tenant": Other({"domain": OTHER_DOMAIN}, {"iss": OTHER_ISSUER}),
    "another tenant of a resolver": Other(
        {"domain": lambda _: OTHER_DOMAIN}, {"iss": OTHER_ISSUER}
    ),
    "parts that add up": Other({"client_id": "client"}, {"aud": "client"}),
}


@pytest.fixture(params=OTHERS)
def other(request: pytest.FixtureRequest) -> Other:
    """The second application."""
    return OTHERS[request.param]


@pytest.fixture
def context(clock: Clock, shared: dict[str, Any]) -> Context:
    """The client of the first application."""
    return build_session_client(clock, **shared)


@pytest.fixture
def another(clock: Clock, shared: dict[str, Any], other: Other) -> Context:
    """The client of the second application."""
    context = build_session_client(clock, **shared, **other.keywords)
    metadata = METADATA._replace(domain=OTHER_DOMAIN, issuer=OTHER_ISSUER)
    document = CachedDocument(metadata, clock.now, clock.now + 1e9)
    context.metadata.add(OTHER_DOMAIN, document)
    # In the tests ids are numbers, and these must not be those of the first client.
    numbers = count(1_000)
    return attrs.evolve(context, new_secret=lambda: f"{next(numbers):043}")


def sign_other_token(other: Other) -> str:
    """Sign a logout token for the second application that looks like one for the first."""
    return sign_logout_token(**other.claims)


def test_nobody_reads(context: Context, another: Context) -> None:
    """The other application has no session, whatever of it the browser sends."""
    browser = Browser()
    log_in(context, browser, OFFLINE)
    visitor = browser.copy()

    assert play(get_user(another, visitor.request()))[0] is None
    error, asked = fail(get_access_token(another, visitor.request()))
    assert isinstance(error, LoginRequiredError)
    assert [] == asked.requests
    assert read_session(context, browser) is not None


def test_nobody_ends(context: Context, another: Context) -> None:
    """A logout from the other application ends nothing, and revokes nothing."""
    browser = Browser()
    log_in(context, browser, OFFLINE)
    _, asked = play(logout(another, browser.copy().request()))

    assert [] == asked.requests
    assert read_session(context, browser) is not None


def test_nobody_replaces(context: Context, another: Context, other: Other) -> None:
    """A login to the other application in the same browser leaves the stored session."""
    browser = Browser()
    log_in(context, browser)
    visitor = browser.copy()
    log_in(another, visitor, **other.claims)

    assert read_session(another, visitor) is not None
    assert read_session(context, visitor) is None
    assert read_session(context, browser) is not None


def test_nobody_logs_out_by_token(
    context: Context, another: Context, other: Other
) -> None:
    """A logout token for one application ends its sessions alone, and marks its own id."""
    if isinstance(context.settings.state_store, CookieStore):
        return
    ours, theirs = Browser(), Browser()
    log_in(context, ours, sid="s-1")
    log_in(another, theirs, **other.claims, sid="s-1")
    play(handle_backchannel_logout(another, sign_other_token(other)))

    assert read_session(another, theirs) is None
    assert read_session(context, ours) is not None
    error, _ = fail(handle_backchannel_logout(another, sign_other_token(other)))
    assert isinstance(error, BackchannelLogoutError)

    # The same ``jti``, for the first application.
    play(handle_backchannel_logout(context, sign_logout_token()))

    assert read_session(context, ours) is None


def test_moved_values(clock: Clock, other: Other) -> None:
    """A value that somebody moves to the other application's key does not open there."""
    store = PaperStore(clock)
    context = build_session_client(clock, state_store=store)
    another = build_session_client(clock, state_store=store, **other.keywords)
    browser = Browser()
    log_in(context, browser)
    (key,) = store.list_sessions()
    value = store.values[key]

    store.calls.clear()
    asked_for: list[str] = []
    get = store.get
    store.get = lambda key: asked_for.append(key) or get(key)  # type: ignore[method-assign]
    assert play(get_user(another, browser.request()))[0] is None
    (elsewhere,) = asked_for
    assert elsewhere != key
    store.values[elsewhere] = value

    assert play(get_user(another, browser.request()))[0] is None


class Resolver:
    """An application's resolver, which counts how often it is asked."""

    def __init__(self, domain: str = DOMAIN) -> None:
        self.domain = domain
        self.calls = 0

    def __call__(self, _: Any) -> str:
        self.calls += 1
        return self.domain


STRANGERS = [
    {},
    {"theme": "dark"},
    {f"{COOKIE}x": "A" * 43},
    {f"{COOKIE}.1": "x"},
    {"auth0_tx": "A" * 43},
]


@pytest.mark.parametrize("cookies", STRANGERS, ids=str)
def test_resolver_is_not_asked(
    clock: Clock, shared: dict[str, Any], cookies: dict[str, str]
) -> None:
    """Where the browser sent nothing of ours, the resolver is not asked."""
    resolver = Resolver()
    context = build_session_client(clock, **shared, domain=resolver)

    assert play(get_user(context, Browser(cookies).request()))[0] is None
    assert 0 == resolver.calls


def test_resolver_is_asked_once(clock: Clock, shared: dict[str, Any]) -> None:
    """A call is about one tenant, and asks for it once."""
    resolver = Resolver()
    context = build_session_client(clock, **shared, domain=resolver)
    context.metadata.add(DOMAIN, CachedDocument(METADATA, clock.now, clock.now + 1e9))
    browser = Browser()
    log_in(context, browser)
    for call in (get_user, logout):
        resolver.calls = 0
        assert play(call(context, browser.request()))[0]
        assert 1 == resolver.calls


def test_tenants_of_one_client(clock: Clock, shared: dict[str, Any]) -> None:
    """A session of one tenant is none in another of the same client."""
    resolver = Resolver()
    context = build_session_client(clock, **shared, domain=resolver)
    context.metadata.add(DOMAIN, CachedDocument(METADATA, clock.now, clock.now + 1e9))
    browser = Browser()
    log_in(context, browser)
    resolver.domain = OTHER_DOMAIN

    assert play(get_user(context, browser.copy().request()))[0] is None

    resolver.domain = DOMAIN

    assert play(get_user(context, browser.request()))[0] is not None


def test_many_tenants(clock: Clock) -> None:
    """A client of many tenants keeps what seals for some of them, and serves all."""
    resolver = Resolver()
    context = build_session_client(clock, domain=resolver)
    browser = Browser()
    context.metadata.add(DOMAIN, CachedDocument(METADATA, clock.now, clock.now + 1e9))
    log_in(context, browser)
    for number in range(300):
        resolver.domain = f"t{number}.example.com"
        assert play(get_user(context, browser.copy().request()))[0] is None
    resolver.domain = DOMAIN

    assert len(context.sealers) <= 100
    assert play(get_user(context, browser.request()))[0] is not None


def test_domain_inside(clock: Clock) -> None:
    """A session that names another tenant than its seal is none."""
    context, browser = build_session_client(clock), Browser()
    state = log_in(context, browser)
    (whole,) = context.sealers.values()
    payload = whole.open(browser.cookies[COOKIE])
    assert payload is not None
    moved = payload.payload.replace(DOMAIN.encode(), OTHER_DOMAIN.encode())
    visitor = Browser({COOKIE: whole.seal(moved)})

    assert DOMAIN == state["domain"]
    assert read_session(context, visitor) is None
