"""Whose token it is, how long it is kept, and what becomes of it in other processes and loops."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import pytest
import requests

from auth0_tx import (
    AsyncServerClient,
    ClientClosedError,
    ConfigurationError,
    InvalidInputError,
    LoginRequiredError,
    NotSentError,
    RefusedError,
    ServerClient,
)
from auth0_tx.calling import ApiAuth, AsyncApiAuth
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Api, Application, Certificates, Tenant
from tests.e2e.calling.api_server import ApiAnswer, ApiRequest, ApiServer, refuse
from tests.e2e.calling.callers import ApiCaller, close_session
from tests.e2e.calling.conftest import (
    TYPE,
    count_exchanges,
    for_exchange,
    make_options,
)
from tests.e2e.concurrency.children import in_forks
from tests.e2e.sessions.logins import AUDIENCE, SECRET, Browser, build_login_options

Factory = Callable[..., Any]


class MovableClock:
    """The system's clock, moved."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def test_renewed_in_time(new_caller: Factory, api: ApiServer, tenant: Tenant) -> None:
    """A token that is about to expire is replaced before it is sent."""
    clock = MovableClock()
    caller = new_caller(clock=clock)
    caller.auth = for_exchange(caller, make_options(tenant), api)
    url = f"{api.origin}/v1/orders"
    caller.call("GET", url)
    clock.ahead = 86_400 - 60
    caller.call("GET", url)
    clock.ahead = 86_400 - 20
    caller.call("GET", url)

    first, second, third = api.tokens
    assert first == second != third
    assert 2 == count_exchanges(tenant)


def test_one_use(new_caller: Factory, api: ApiServer, tenant: Tenant) -> None:
    """A subject token that may be good for one use is sent once, whatever happens after."""
    clock = MovableClock()
    caller = new_caller(clock=clock)
    options = make_options(tenant, subject_token_reusable=False)
    caller.auth = for_exchange(caller, options, api)
    url = f"{api.origin}/v1/orders"
    caller.call("GET", url)
    api.answer = refuse()
    refused = caller.call("GET", url)
    clock.ahead = 86_400
    with pytest.raises(InvalidInputError, match="exchanged already") as spent:
        caller.call("GET", url)

    assert 401 == refused.status
    assert "options" == spent.value.parameter
    assert 1 == count_exchanges(tenant)
    assert 2 == len(api.requests)


def test_function(new_caller: Factory, api: ApiServer, tenant: Tenant) -> None:
    """A function that returns fresh options is called for each exchange."""
    caller, called = new_caller(), []

    def read_options() -> Any:
        called.append(1)
        return make_options(tenant, subject_token_reusable=False)

    caller.auth = for_exchange(caller, read_options, api)
    api.answer = refuse()
    answer = caller.call("GET", f"{api.origin}/v1/orders")

    assert 200 == answer.status
    assert 2 == len(called) == count_exchanges(tenant)


async def test_async_function(
    api: ApiServer, tenant: Tenant, certificates: Certificates
) -> None:
    """In asyncio the function may be async."""

    async def read_options() -> Any:
        await asyncio.sleep(0)
        return make_options(tenant)

    async with AsyncServerClient(**tenant.client_settings) as client:
        auth = AsyncApiAuth.for_exchange(client, read_options, base_url=api.origin)
        connector = aiohttp.TCPConnector(ssl=trust(certificates))
        session = aiohttp.ClientSession(connector=connector, middlewares=(auth,))
        async with session.get(api.origin) as response:
            assert 200 == response.status
        await close_session(session)
    assert None not in api.tokens


def test_async_function_in_threads(tenant: Tenant) -> None:
    """An async function is of no use to the blocking world, which says so."""

    async def read_options() -> Any:
        return make_options(tenant)

    with ServerClient(**tenant.client_settings) as client:
        read: Any = read_options
        auth = ApiAuth.for_exchange(client, read, base_url="https://api.example.com")
        with pytest.raises(ConfigurationError, match="AsyncServerClient"):
            requests.get("https://api.example.com", auth=auth, timeout=1)


def test_function_raises(new_caller: Factory, api: ApiServer, tenant: Tenant) -> None:
    """What the function raises is the caller's, and nothing was sent."""
    caller = new_caller()

    def read_options() -> Any:
        raise LookupError("no token today")

    caller.auth = for_exchange(caller, read_options, api)
    with pytest.raises(LookupError, match="no token today"):
        caller.call("GET", f"{api.origin}/v1/orders")

    assert [] == api.requests


def test_on_behalf_of(new_caller: Factory, api: ApiServer, tenant: Tenant) -> None:
    """A token for another API names its user, and who acts."""
    import base64
    import json

    tenant.apis.add(Api("https://invoices.example.com"))
    tenant.applications.add(
        Application(
            "orders-api",
            "the secret of it",
            resource_server_identifier="https://api.example.com",
        )
    )
    incoming = tenant.access_token("auth0|alice", "https://api.example.com")
    caller = new_caller(client_id="orders-api", client_secret="the secret of it")
    caller.auth = caller.auth_type.on_behalf_of(
        caller.client, incoming, "https://invoices.example.com", base_url=api.origin
    )
    api.answer = refuse()
    answer = caller.call("GET", f"{api.origin}/invoices")
    payload = str(api.tokens[-1]).split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))

    assert 200 == answer.status
    assert ("auth0|alice", {"sub": "orders-api"}) == (claims["sub"], claims["act"])
    assert 2 == count_exchanges(tenant)


def log_in(caller: Any, tenant: Tenant) -> Browser:
    """Log a user in through a caller's client."""
    browser = Browser()
    options = browser.request()
    login = caller.client.login_with_custom_token_exchange(
        build_login_options(tenant, "auth0|alice"), options
    )
    if asyncio.iscoroutine(login):
        caller.run(login)
    browser.take(options)
    return browser


@pytest.fixture(params=["cookies", "store"])
def kept(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The keywords of each of the two ways to keep sessions."""
    store = {"state_store": MemoryStore()} if request.param == "store" else {}
    return {"secret": SECRET, **store}


def test_session(
    new_caller: Factory, api: ApiServer, tenant: Tenant, kept: dict[str, Any]
) -> None:
    """A session's token is attached; a 401 refreshes the session, which keeps the new token."""
    caller = new_caller(**kept)
    browser = log_in(caller, tenant)
    options = browser.request()
    caller.auth = caller.auth_type.for_session(
        caller.client, options, base_url=api.origin
    )
    caller.call("GET", api.origin)
    api.answer = refuse()
    answer = caller.call("GET", api.origin)
    browser.take(options)
    # The next request of the browser has an object of its own.
    caller.auth = caller.auth_type.for_session(
        caller.client, browser.request(), base_url=api.origin, audience=AUDIENCE
    )
    caller.call("GET", api.origin)

    login, refused, fresh, kept_token = api.tokens
    assert 200 == answer.status
    assert login == refused != fresh == kept_token
    assert 2 == count_exchanges(tenant)


def test_logged_out(
    new_caller: Factory, api: ApiServer, tenant: Tenant, kept: dict[str, Any]
) -> None:
    """Nothing is sent for a user who has logged out since the object was made."""
    caller = new_caller(**kept)
    options = log_in(caller, tenant).request()
    caller.auth = caller.auth_type.for_session(
        caller.client, options, base_url=api.origin
    )
    caller.call("GET", api.origin)
    logout = caller.client.logout(options)
    if asyncio.iscoroutine(logout):
        caller.run(logout)
    with pytest.raises(LoginRequiredError):
        caller.call("GET", api.origin)

    assert 1 == len(api.requests)


def test_exchange_refused(caller: ApiCaller, api: ApiServer, tenant: Tenant) -> None:
    """The error of the exchange comes out of the call of the API, which gets nothing."""
    tenant.profiles.remove(TYPE)
    for _ in range(3):
        with pytest.raises(RefusedError):
            caller.call("GET", f"{api.origin}/v1/orders")

    assert [] == api.requests
    assert 1 == count_exchanges(tenant)


def test_tenant_down(caller: ApiCaller, api: ApiServer, tenant: Tenant) -> None:
    """A tenant that is down is a ``NotSentError``, as for the client's own methods."""
    tenant.stop()
    with pytest.raises(NotSentError):
        caller.call("GET", f"{api.origin}/v1/orders")

    assert [] == api.requests


def test_client_closed(api: ApiServer, tenant: Tenant) -> None:
    """A closed client exchanges no more."""
    client = ServerClient(**tenant.client_settings)
    auth = ApiAuth.for_exchange(client, make_options(tenant), base_url=api.origin)
    client.close()
    with pytest.raises(ClientClosedError):
        requests.get(api.origin, auth=auth, timeout=5)


@pytest.mark.parametrize("base_url", ["http://api.example.com", "api.example.com"])
def test_base_url(new_caller: Factory, tenant: Tenant, base_url: str) -> None:
    """A base URL that is not https is refused where the object is made."""
    caller = new_caller()
    with pytest.raises(InvalidInputError) as refused:
        caller.auth_type.for_exchange(
            caller.client, make_options(tenant), base_url=base_url
        )

    assert "base_url" == refused.value.parameter


def test_client_of_the_other_world(tenant: Tenant) -> None:
    """A client of the other world, or anything else, is refused by name."""
    options, url = make_options(tenant), "https://api.example.com"
    blocking: Any = ServerClient(**tenant.client_settings)
    awaiting: Any = AsyncServerClient(**tenant.client_settings)
    with pytest.raises(ConfigurationError, match="ServerClient"):
        ApiAuth.for_exchange(awaiting, options, base_url=url)
    with pytest.raises(ConfigurationError, match="AsyncServerClient"):
        AsyncApiAuth.for_session(blocking, {}, base_url=url)
    with pytest.raises(ConfigurationError, match="ServerClient"):
        ApiAuth.on_behalf_of(None, "token", "https://b", base_url=url)  # type: ignore[arg-type]
    blocking.close()


def test_nothing_prints(caller: ApiCaller, api: ApiServer) -> None:
    """The object shows its API and no token, and is neither pickled nor copied."""
    caller.call("GET", f"{api.origin}/v1/orders")

    assert f"{type(caller.auth).__name__}('{api.origin}/v1')" == repr(caller.auth)
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="holds secrets"):
            take(caller.auth)


def test_session_is_not_pickled(api: ApiServer, tenant: Tenant) -> None:
    """Nor does a ``requests.Session`` take it along."""
    with ServerClient(**tenant.client_settings) as client:
        session = requests.Session()
        session.auth = ApiAuth.for_exchange(
            client, make_options(tenant), base_url=api.origin
        )
        with pytest.raises(TypeError, match="holds secrets"):
            pickle.dumps(session)


def test_request_does_not_print(
    api: ApiServer, tenant: Tenant, certificates: Certificates
) -> None:
    """The headers of a request, and of a response's request, show no token."""
    with ServerClient(**tenant.client_settings) as client:
        auth = ApiAuth.for_exchange(client, make_options(tenant), base_url=api.origin)
        response = requests.get(
            api.origin, auth=auth, verify=certificates.ca_file, timeout=5
        )

    assert api.tokens[0] is not None
    assert api.tokens[0] not in repr(vars(response.request))
    assert "<redacted>" in repr(response.request.headers)


@pytest.mark.parametrize("world", ["requests", "aiohttp"])
def test_frames(
    world: str,
    api: ApiServer,
    tenant: Tenant,
    certificates: Certificates,
    needles: Any,
) -> None:
    """An API that hangs up leaves no token in the frames of the HTTP library."""
    from tests.e2e.calling.callers import WORLDS

    caller = WORLDS[world](certificates, **tenant.client_settings)
    caller.auth = for_exchange(caller, make_options(tenant), api)
    caller.call("GET", f"{api.origin}/v1/orders")
    needles.add(api.tokens[0], name="the API's token")
    hang_up = threading.Event()

    def answer(request: ApiRequest) -> ApiAnswer:
        hang_up.set()
        raise ConnectionError

    api.answer = answer
    with pytest.raises((requests.ConnectionError, aiohttp.ClientError)) as lost:
        caller.call("POST", f"{api.origin}/v1/orders", data=b"x")
    caller.close()
    shown = "".join(
        traceback.TracebackException.from_exception(
            lost.value, capture_locals=True
        ).format()
    )

    assert hang_up.is_set()
    assert None is needles.find(shown)


def test_many_threads_and_loops(new_api: Factory, tenant: Tenant) -> None:
    """Loops in several threads share one object, and one exchange."""
    api = new_api(tls=False)
    client = AsyncServerClient(**tenant.client_settings)
    auth = AsyncApiAuth.for_exchange(
        client, make_options(tenant, subject_token_reusable=False), base_url=api.origin
    )
    begin = threading.Barrier(4)

    async def call() -> int:
        session = aiohttp.ClientSession(middlewares=(auth,))
        async with session.get(api.origin) as response:
            status = response.status
        await close_session(session)
        return status

    def run(_: int) -> int:
        begin.wait(20)
        return asyncio.run(call())

    with ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(run, range(4)))

    assert [200] * 4 == statuses
    assert 1 == len({*api.tokens}) == count_exchanges(tenant)


def test_forks(new_api: Factory, tenant: Tenant) -> None:
    """Children use the token that the parent has, and exchange on their own after a 401."""
    # Without TLS: this process must not be inside OpenSSL when it forks.
    api = new_api(tls=False)
    client = ServerClient(**tenant.client_settings)
    auth = ApiAuth.for_exchange(client, make_options(tenant), base_url=api.origin)

    def call(_: int) -> int:
        return requests.get(api.origin, auth=auth, timeout=20).status_code

    call(0)
    (first,) = api.tokens
    api.answer = lambda request: ApiAnswer(401 if request.token == first else 200)
    statuses = in_forks(2, call)
    client.close()

    assert [200, 200] == statuses
    assert 3 == count_exchanges(tenant)


def test_fork_during_an_exchange(new_api: Factory, tenant: Tenant) -> None:
    """A child that was forked while a thread exchanged does not wait for that thread."""
    api = new_api(tls=False)
    client = ServerClient(**tenant.client_settings)
    called, go_on = threading.Event(), threading.Event()

    def read_options() -> Any:
        called.set()
        go_on.wait(20)
        return make_options(tenant)

    auth = ApiAuth.for_exchange(client, read_options, base_url=api.origin)

    def call(_: int) -> int:
        go_on.set()
        return requests.get(api.origin, auth=auth, timeout=20).status_code

    thread = threading.Thread(
        target=lambda: requests.get(api.origin, auth=auth, timeout=20)
    )
    thread.start()
    called.wait(20)
    statuses = in_forks(1, call)
    go_on.set()
    thread.join()
    client.close()

    assert [200] == statuses


def trust(certificates: Certificates) -> Any:
    """Return a TLS context that trusts the tests' certificates."""
    import ssl

    return ssl.create_default_context(cafile=certificates.ca_file)


def test_one_prepared_request_twice(
    api: ApiServer, tenant: Tenant, certificates: Certificates
) -> None:
    """A prepared request that is sent again later goes with a new token if it must."""
    with (
        ServerClient(**tenant.client_settings) as client,
        requests.Session() as session,
    ):
        session.verify = certificates.ca_file
        auth = ApiAuth.for_exchange(client, make_options(tenant), base_url=api.origin)
        prepared = session.prepare_request(
            requests.Request("GET", api.origin, auth=auth)
        )
        session.send(prepared, verify=certificates.ca_file, timeout=5)
        (first,) = api.tokens
        api.answer = lambda request: ApiAnswer(401 if request.token == first else 200)
        statuses = [
            session.send(prepared, verify=certificates.ca_file, timeout=5).status_code
            for _ in range(2)
        ]

    assert [200, 200] == statuses
    assert 2 == count_exchanges(tenant)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment has no say."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
