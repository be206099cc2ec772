"""The public API as users write it: read by mypy and pyright, never run.

A line that must not type-check carries an ignore for exactly that error, and unused ignores
are errors themselves, so the file proves which calls pass and which fail.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from typing import Annotated, Any, Protocol, assert_type

import aiohttp
import redis
import redis.asyncio
import requests
from fastapi import APIRouter, Depends, FastAPI, Request, Response

from auth0_tx import (
    AccessTokenSet,
    AsyncBulkExchange,
    AsyncServerClient,
    Auth0Error,
    BackchannelLogoutError,
    BulkExchange,
    BulkExchangeResult,
    BulkStoppedError,
    CachePolicy,
    CustomTokenExchangeError,
    CustomTokenExchangeErrorCode,
    CustomTokenExchangeOptions,
    LoginRefusedError,
    LoginRequiredError,
    LoginWithCustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeResult,
    MfaRequiredError,
    RateLimitError,
    RetryPolicy,
    ServerClient,
    SessionData,
    SessionError,
    SessionPolicy,
    SessionTransferToken,
    StoreError,
    TokenExchangeResponse,
    TokenSet,
    TokenType,
    UserClaims,
    WrongAudienceError,
    actor_chain,
    build_session_transfer_redirect,
)
from auth0_tx.caches import MemoryTokenCache, RedisTokenCache
from auth0_tx.events import (
    AuditEvent,
    CookieProblem,
    Event,
    ExchangeFinished,
    SessionCookieRefused,
    SessionsEnded,
)
from auth0_tx.integrations.asgi import SessionCommitMiddleware
from auth0_tx.integrations.celery import (
    SubjectTokenVault,
    TokenExchangeTask,
    prepare_workers,
    refuse_tokens,
)
from auth0_tx.integrations.django import (
    DjangoCacheVault,
    DjangoDatabaseStore,
    DjangoDatabaseVault,
    DjangoRequestAuth0,
    alogin,
    alogout,
    auth0_of,
    get_client,
)
from auth0_tx.integrations.django import login as django_login
from auth0_tx.integrations.django import logout as django_logout
from auth0_tx.integrations.django.context_processors import TemplateAuth0
from auth0_tx.integrations.django.decorators import (
    auth0_login_required,
    scopes_required,
)
from auth0_tx.integrations.django.mixins import ScopesRequiredMixin
from auth0_tx.integrations.django.rest_framework import ClaimsUser, HasScopes
from auth0_tx.integrations.django.views import LoginView
from auth0_tx.integrations.fastapi import (
    AccessToken,
    Auth0,
    CurrentUser,
    OnBehalfOf,
    RequiredUser,
    auth0_lifespan,
    auth0_router,
    handle_errors,
    login_required,
    refuse_cross_origin,
    require_user,
)
from auth0_tx.integrations.starlette import auth0_of as auth0_of_asgi
from auth0_tx.stores import (
    AsyncStateStore,
    CookieStore,
    MemoryStore,
    RedisStore,
    StateStore,
)
from auth0_tx.tenant import Tenant


def blocking() -> str:
    options = CustomTokenExchangeOptions(
        subject_token="legacy",
        subject_token_type="urn:acme:legacy-token",
        audience="https://api.example.com",
        scope="openid",
        actor_token="actor",
        actor_token_type=TokenType.ID_TOKEN,
        organization="org_abc1234",
        authorization_params={"device": "kiosk-7"},
        subject_token_reusable=True,
    )
    with ServerClient(
        domain="tenant.us.auth0.com",
        client_id="id",
        client_secret="secret",
        secret=["newest", "older"],
        retry=RetryPolicy(attempts=2),
        timeout=5,
        session=requests.Session(),
    ) as client:
        response: TokenExchangeResponse = client.custom_token_exchange(options)
    lifetime: int | None = response.expires_in
    assert_type(response.expires_at, int | None)
    act: dict[str, Any] | None = response.act
    for actor in actor_chain(act):
        print(actor["sub"], lifetime)
    return response.access_token


async def awaiting() -> str:
    async with AsyncServerClient(
        domain="tenant.us.auth0.com",
        client_id="id",
        client_assertion_signing_key={"kty": "RSA"},
        client_assertion_signing_alg="PS256",
        verify=ssl.create_default_context(),
        session=aiohttp.ClientSession(),
    ) as client:
        response = await client.custom_token_exchange(
            CustomTokenExchangeOptions(subject_token="t", subject_token_type="urn:a:b"),
            {"request": object()},
        )
    return response.access_token


def errors(client: ServerClient, options: CustomTokenExchangeOptions) -> float | None:
    try:
        client.custom_token_exchange(options)
    except MfaRequiredError as error:
        token: str | None = error.mfa_token
        print(token)
    except RateLimitError as error:
        return error.retry_after
    except CustomTokenExchangeError as error:
        if error.code == CustomTokenExchangeErrorCode.INVALID_TOKEN_FORMAT:
            status: int | None = error.status
            print(status, error.retry_safe, error.correlation_id, error.hint)
    return None


def events(event: Event) -> None:
    if isinstance(event, ExchangeFinished):
        seconds: float = event.seconds
        print(seconds)
    elif isinstance(event, AuditEvent):
        whose: tuple[str | None, str | None] = event.subject, event.session
        outcome: tuple[str | None, str | None] = event.code, event.correlation_id
        where: tuple[str, str] = event.domain, event.client_id
        print(whose, outcome, where)
        if isinstance(event, SessionCookieRefused):
            reason: CookieProblem = event.reason
            print(reason)
        elif isinstance(event, SessionsEnded):
            sessions: int = event.sessions
            print(sessions)


def tenant_of(store_options: Mapping[str, Any] | None) -> str:
    return "tenant.us.auth0.com"


async def tenant_of_async(store_options: Mapping[str, Any] | None) -> str:
    return "tenant.us.auth0.com"


class FileStore:
    """A custom store for the blocking client."""

    def get(self, key: str) -> bytes | None:
        return None

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        return True

    def delete(self, key: str, *, expected: bytes | None = None) -> None: ...

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None: ...

    def read_index(self, label: str) -> list[str]:
        return []

    def remove_from_index(self, label: str, keys: Collection[str]) -> None: ...


class AsyncFileStore:
    """A custom store for the async client."""

    async def get(self, key: str) -> bytes | None:
        return None

    async def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        return True

    async def delete(self, key: str, *, expected: bytes | None = None) -> int:
        return 1

    async def add_to_index(self, label: str, key: str, *, ttl: float) -> None: ...

    async def read_index(self, label: str) -> Collection[str]:
        return []

    async def remove_from_index(self, label: str, keys: Collection[str]) -> int:
        return 0


class HalfAStore:
    """A store without ``read_index``, which back-channel logout needs."""

    def get(self, key: str) -> bytes | None:
        return None

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        return True

    def delete(self, key: str, *, expected: bytes | None = None) -> None: ...

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None: ...


def tier_of(claims: Mapping[str, Any]) -> str:
    """Read a claim of the application's own."""
    tier: str = claims["https://acme.example/tier"]
    return tier


def sessions(client: ServerClient, store_options: dict[str, Any]) -> str:
    options = LoginWithCustomTokenExchangeOptions(
        subject_token="legacy",
        subject_token_type="urn:acme:legacy-token",
        scope="offline_access",
    )
    try:
        result: LoginWithCustomTokenExchangeResult = (
            client.login_with_custom_token_exchange(options, store_options)
        )
    except StoreError as error:
        response: TokenExchangeResponse | None = error.response
        print(response)
        raise
    state: SessionData = result.state_data
    assert_type(client.session_cookie, str | None)
    user: UserClaims | None = client.get_user(store_options)
    session: SessionData | None = client.get_session(store_options)
    if user is not None and session is not None:
        print(state, session, [actor["sub"] for actor in actor_chain(user.get("act"))])
        assert_type(user["sub"], str)
        assert_type(user.get("email"), str | None)
        assert_type(session["user"], UserClaims)
        assert_type(session["refresh_token"], str | None)
        token_set: TokenSet = session["token_sets"][0]
        assert_type(token_set["expires_at"], int | None)
        assert_type(token_set["aud"], list[str] | None)
        assert_type(token_set["issued_at"], int)
        # A claim that an Action of the application adds has no name in the type.
        print(user.get("https://acme.example/tier"), tier_of(user))
    try:
        token: str = client.get_access_token(
            store_options,
            audience="https://api.example.com",
            scope="read:data",
            subject_token_supplier=lambda: options,
        )
    except WrongAudienceError as error:
        issued: TokenExchangeResponse | None = error.response
        print(issued)
        raise
    except LoginRequiredError as error:
        login_again: SessionError = error
        raise login_again from None
    except LoginRefusedError as error:
        refused: CustomTokenExchangeError = error
        raise refused from None
    url: str = client.logout(store_options, return_to="https://a.example", revoke=False)
    return token + url


def token_sets(
    client: ServerClient, store_options: dict[str, Any]
) -> tuple[str, int | None]:
    found: AccessTokenSet = client.get_token_set(
        store_options, "https://api.example.com", subject_token_supplier=None
    )
    assert_type(found.scope, str | None)
    assert_type(found.audience, str | None)
    assert_type(found.token_type, str)
    return found.access_token, found.expires_at


async def kept_tokens(client: AsyncServerClient, kept: str) -> str:
    try:
        response: TokenExchangeResponse = await client.refresh(
            kept, audience="https://api.example.com", scope="read:data"
        )
    except WrongAudienceError as error:
        issued = error.response
        return kept if issued is None else issued.refresh_token or kept
    await client.revoke_refresh_token(response.refresh_token or kept)
    return response.access_token


def kept_tokens_blocking(client: ServerClient, kept: str) -> str:
    client.revoke_refresh_token(kept, {"request": object()})
    return client.refresh(kept, "https://api.example.com", None, None).access_token


def ended_elsewhere(client: ServerClient, logout_token: str) -> int:
    try:
        client.handle_backchannel_logout(logout_token)
    except BackchannelLogoutError:
        return 400
    except Auth0Error as error:
        return 503 if error.retry_safe else 500
    count: int = client.end_sessions(sub="auth0|alice")
    print(count)
    return 200


async def supplier() -> CustomTokenExchangeOptions:
    return CustomTokenExchangeOptions(subject_token="t", subject_token_type="urn:a:b")


async def awaiting_sessions(
    client: AsyncServerClient, store_options: Mapping[str, Any]
) -> str:
    result = await client.login_with_custom_token_exchange(
        LoginWithCustomTokenExchangeOptions(
            subject_token="t", subject_token_type="urn:a:b"
        ),
        store_options,
    )
    assert_type(client.session_cookie, str | None)
    user: UserClaims | None = await client.get_user(store_options)
    session: SessionData | None = await client.get_session(store_options)
    print(result.state_data["user"], user, session)
    token: str = await client.get_access_token(
        store_options, "https://api.example.com", subject_token_supplier=supplier
    )
    await client.handle_backchannel_logout("logout token")
    count: int = await client.end_sessions(sub="auth0|alice", store_options={})
    print(count)
    return token + await client.logout(store_options)


def transferred(client: ServerClient, store_options: dict[str, Any]) -> str:
    token: SessionTransferToken = client.request_session_transfer_token(
        "customer",
        "urn:acme:legacy-token",
        actor_token="agent",
        actor_token_type=TokenType.ID_TOKEN,
        store_options=store_options,
    )
    return build_session_transfer_redirect(
        "https://shop.example.com/login", token, organization="org_abc1234"
    )


def keys_of(store: StateStore) -> Collection[str]:
    return store.read_index("label")


async def keys_of_async(store: AsyncStateStore) -> Collection[str]:
    return await store.read_index("label")


class Exchanger(Protocol):
    """A protocol of the application, so that a test can replace the client."""

    def custom_token_exchange(
        self, options: CustomTokenExchangeOptions
    ) -> TokenExchangeResponse: ...


def protocols(client: ServerClient) -> Exchanger:
    return client


def embedded(tenant: Tenant) -> ServerClient:
    """Connect to the embedded tenant."""
    return ServerClient(
        domain=tenant.domain,
        client_id=tenant.client_id,
        client_secret=tenant.client_secret,
        verify=tenant.ca_file,
    )


resolver: Callable[[Mapping[str, Any] | None], str] = tenant_of
ServerClient(domain=resolver, client_id="id", client_secret="s", on_event=events)
AsyncServerClient(domain=tenant_of, client_id="id", client_secret="s")
ServerClient(domain="d", client_id="id", audit_identifiers="clear")
ServerClient(domain="d", client_id="id", audit_identifiers="plain")  # type: ignore[arg-type]
ServerClient(domain="d", client_id="id", discovery="deferred")
ServerClient(domain="d", client_id="id", discovery="never")  # type: ignore[arg-type]
AsyncServerClient(domain=tenant_of_async, client_id="id", client_secret="s")

# The blocking client cannot await what it is handed.
ServerClient(domain=tenant_of_async, client_id="id")  # type: ignore[arg-type]
# Neither client can use the session of the other one's HTTP library.
ServerClient(domain="d", client_id="id", session=aiohttp.ClientSession())  # type: ignore[arg-type]
AsyncServerClient(domain="d", client_id="id", session=requests.Session())  # type: ignore[arg-type]
# An unknown authentication method; a misspelt option; a missing option.
ServerClient(domain="d", client_id="id", client_auth="basic")  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token="t", subject_token_typ="u")  # type: ignore[call-arg]
CustomTokenExchangeOptions(subject_token="t")  # type: ignore[call-arg]

# Stores: both kinds, custom ones, and cookies.
for store in (MemoryStore(), RedisStore(redis.Redis()), CookieStore(), FileStore()):
    ServerClient(domain="d", client_id="id", secret=["new", "old"], state_store=store)
AsyncServerClient(domain="d", client_id="id", state_store=AsyncFileStore())
AsyncServerClient(domain="d", client_id="id", state_store=FileStore())
AsyncServerClient(
    domain="d",
    client_id="id",
    state_store=RedisStore(redis.asyncio.Redis(), prefix="shop:", timeout=0.5),
    session_policy=SessionPolicy(
        idle_seconds=3600,
        cookie_same_site="strict",
        store_failure="no_session",
        max_sessions=5,
    ),
    legacy_secret="theirs",
)
keys_of(MemoryStore())
keys_of(FileStore())

# The blocking client cannot await a store, or a supplier.
ServerClient(domain="d", client_id="id", state_store=AsyncFileStore())  # type: ignore[arg-type]
ServerClient(domain="d", client_id="id").get_access_token(
    subject_token_supplier=supplier  # type: ignore[arg-type]
)
# A store without one method; a store that must be awaited.
ServerClient(domain="d", client_id="id", state_store=HalfAStore())  # type: ignore[arg-type]
keys_of(AsyncFileStore())  # type: ignore[arg-type]
# The options of an exchange without a login; a misspelt policy.
ServerClient(domain="d", client_id="id").login_with_custom_token_exchange(
    CustomTokenExchangeOptions(subject_token="t", subject_token_type="u")  # type: ignore[arg-type]
)
SessionPolicy(cookie_same_site="Lax")  # type: ignore[arg-type]
SessionPolicy(idle=3600)  # type: ignore[call-arg]
# The redirect takes a session transfer token, not an access token.
build_session_transfer_redirect("https://a.example", "token")  # type: ignore[arg-type]
RedisStore("redis://localhost")  # type: ignore[arg-type]
CookieStore(chunks=2)  # type: ignore[call-arg]
SessionCommitMiddleware()  # type: ignore[call-arg]


def caches(connection: redis.Redis) -> ServerClient:
    """Keep exchanged tokens in memory, or in Redis."""
    ServerClient(
        domain="t.auth0.com",
        client_id="c",
        client_secret="s",
        token_cache=MemoryTokenCache(max_entries=5),
        cache_policy=CachePolicy(max_age=60, failure="raise"),
    )
    ServerClient(
        domain="t.auth0.com",
        client_id="c",
        client_secret="s",
        token_cache=object(),  # type: ignore[arg-type]
    )
    return ServerClient(
        domain="t.auth0.com",
        client_id="c",
        client_secret="s",
        token_cache=RedisTokenCache(connection),
    )


def on_behalf_of(client: ServerClient) -> str:
    """Exchange a token that came in."""
    client.get_token_on_behalf_of("token")  # type: ignore[call-arg]
    return client.get_token_on_behalf_of("token", "https://api", "a b").access_token


async def on_behalf_of_async(client: AsyncServerClient) -> TokenExchangeResponse:
    """Exchange a token that came in."""
    return await client.get_token_on_behalf_of("token", audience="https://api")


def asgi_hosts(client: AsyncServerClient, app: FastAPI) -> None:
    """Declare dependencies of FastAPI, and protect endpoints of Starlette."""
    auth0_lifespan(client)
    auth0_lifespan(lambda: client, clients={"orders": client})
    auth0_lifespan(ServerClient(domain="d", client_id="id"))  # type: ignore[arg-type]
    RequiredUser(SessionPolicy(), scopes=["read"], audience="https://api", client="a")
    RequiredUser(scope=["read"])  # type: ignore[call-arg]
    AccessToken("https://api", "read", client="orders")
    OnBehalfOf("https://api", client="orders")
    assert_type(auth0_router(), APIRouter)
    handle_errors(app, login_url="/login")

    @app.get("/")
    async def endpoint(
        user: CurrentUser,
        auth0: Auth0,
        token: Annotated[str, Depends(AccessToken())],
    ) -> None:
        assert_type(user, UserClaims | None)
        assert_type(await auth0.get_access_token(), str)
        print(token)

    @login_required
    async def page(request: Request) -> Response:
        refuse_cross_origin(request, ["https://login.example.com"])
        await require_user(request, scopes="read:data")
        user = await require_user(request, scopes=["read"])
        assert_type(user, UserClaims)
        assert_type(
            await auth0_of_asgi(request, "orders").get_user(), UserClaims | None
        )
        return Response(user["sub"])

    @login_required(scopes=["read"], audience="https://api")
    def page_in_thread(request: Request) -> Response:
        return Response()

    page()  # type: ignore[call-arg]
    print(page_in_thread)


def django_vaults(token: str) -> None:
    """Keep subject tokens for tasks."""
    for vault in (DjangoCacheVault("default"), DjangoDatabaseVault(secret="s")):
        assert_type(vault.put(token, ttl=60), str)
        assert_type(vault.take("txv_"), str)
        with vault.lend("txv_") as lent:
            assert_type(lent, str)
    DjangoDatabaseVault(7)  # type: ignore[arg-type]
    DjangoDatabaseStore("default").clear_expired()
    DjangoDatabaseStore(7)  # type: ignore[arg-type]


def django_clients(request: object) -> None:
    """Find the clients of a Django project by their names."""
    assert_type(get_client(), ServerClient)
    assert_type(get_client("orders"), ServerClient)
    bound: DjangoRequestAuth0 = auth0_of(request)
    assert_type(auth0_of(request, "orders").user, UserClaims | None)
    auth0_of(request, 7)  # type: ignore[arg-type]
    print(bound.client)


async def django_logins(
    request: object, options: LoginWithCustomTokenExchangeOptions
) -> None:
    """Log in and out of Django, in both worlds."""
    print(django_login(request, options).pk, (await alogin(request, options)).pk)
    assert_type(django_logout(request, return_to="https://a.example"), str)
    assert_type(await alogout(request), str)
    django_login(request)  # type: ignore[call-arg]
    await alogout(request, "https://a.example")  # type: ignore[call-arg]


@auth0_login_required
def django_view(request: object, number: int) -> str:
    """Return something for a user."""
    auth0_of(request).require_scopes("read:orders", audience="https://api")
    return auth0_of(request).require_user()["sub"]


@auth0_login_required(login_url="/in")
@scopes_required("read:orders", audience="https://api")
async def async_django_view(request: object) -> str:
    """Return something for a user with a scope."""
    await auth0_of(request).arequire_scopes("read:orders")
    user: UserClaims = await auth0_of(request).arequire_user()
    return user["sub"]


class DjangoView(ScopesRequiredMixin):
    """A view that needs a scope."""

    required_scopes = ("read:orders",)


class KioskLogin(LoginView):
    """A login with options of its own."""

    subject_token_type = "urn:acme:kiosk-token"

    def get_options(self, subject_token: str) -> LoginWithCustomTokenExchangeOptions:
        """Return the options of the exchange."""
        assert_type(
            super().get_options(subject_token), LoginWithCustomTokenExchangeOptions
        )
        return super().get_options(subject_token)


def celery_workers(client: ServerClient, app: Any) -> None:
    """Clients, and functions that return them, are prepared; messages are searched."""
    assert_type(refuse_tokens(app), None)
    prepare_workers(client)
    prepare_workers(client, lambda: client)
    prepare_workers("client")  # type: ignore[arg-type]
    assert_type(TokenExchangeTask.max_retry_after, float)
    vault = SubjectTokenVault(redis.Redis(), secret="s")
    assert_type(vault.put("token"), str)
    SubjectTokenVault(redis.Redis())  # type: ignore[call-arg]


def django_template(auth0: TemplateAuth0) -> None:
    """Read what a template reads."""
    assert_type(auth0.is_logged_in, bool)
    assert_type(auth0.user, UserClaims | None)


def rest_framework(user: ClaimsUser) -> None:
    """Read a user of claims, and make a permission class."""
    assert_type(user.claims, UserClaims)
    assert_type(user.pk, str)
    assert_type(HasScopes.of("read:orders", audience="https://api"), type[HasScopes])
    HasScopes.of(7)  # type: ignore[arg-type]


def decorated_views() -> None:
    """A decorator keeps the view's own type."""
    assert_type(django_view(None, 1), str)
    django_view(None, "1")  # type: ignore[arg-type]
    scopes_required(7)  # type: ignore[arg-type]


def exchange_many_blocking(
    client: ServerClient, rows: list[CustomTokenExchangeOptions]
) -> None:
    """Exchange many tokens, from any iterable."""
    results = client.exchange_many(rows)
    assert_type(results, BulkExchange)
    iterator: Iterator[BulkExchangeResult] = results
    for result in iterator:
        assert_type(result, BulkExchangeResult)
        assert_type(result.index, int)
        assert_type(result.response, TokenExchangeResponse | None)
        assert_type(result.error, CustomTokenExchangeError | None)
    try:
        with client.exchange_many(
            (row for row in rows), concurrency=10, rate=0.5, store_options={}
        ) as entered:
            assert_type(entered, BulkExchange)
            assert_type(entered.stop(), None)
    except BulkStoppedError as error:
        assert_type(error.next_index, int)
        assert_type(error.retry_after, float | None)
    results.close()


async def exchange_many_async(
    client: AsyncServerClient,
    rows: list[CustomTokenExchangeOptions],
    stream: AsyncIterator[CustomTokenExchangeOptions],
) -> None:
    """Exchange many tokens, from an ordinary or an asynchronous iterable."""
    results = client.exchange_many(rows)
    assert_type(results, AsyncBulkExchange)
    iterator: AsyncIterator[BulkExchangeResult] = results
    assert_type(await anext(iterator), BulkExchangeResult)
    async with client.exchange_many(stream, rate=15) as entered:
        assert_type(entered, AsyncBulkExchange)
        async for result in entered:
            assert_type(result.error, CustomTokenExchangeError | None)
        entered.stop()
    await results.aclose()
