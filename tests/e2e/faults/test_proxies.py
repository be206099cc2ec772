"""Proxies: none unless one is asked for, and then nothing leaves without a tunnel."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Callable, Iterator

import aiohttp
import pytest
import requests

from auth0_tx import AmbiguousError, ConfigurationError, NotSentError
from tests.e2e.faults import wire_greetings as greet
from tests.e2e.faults import wire_proxy as act
from tests.e2e.faults.callers import AsyncCaller, BlockingCaller, Caller, Outcome
from tests.e2e.faults.fault_cases import check_silent, check_unpoisoned
from tests.e2e.faults.wire_behaviours import GRANT, last_document, metadata, resets
from tests.e2e.faults.wire_certificates import Certificates
from tests.e2e.faults.wire_http import WireRequest, json_answer
from tests.e2e.faults.wire_proxy import Behaviour, Proxy
from tests.e2e.faults.wire_server import Script, WireServer
from tests.e2e.faults.worlds import World, world_over_each_wire

__all__ = ["world_over_each_wire"]

ATTEMPTS = 3


@pytest.fixture
def new_proxy() -> Iterator[Callable[..., Proxy]]:
    """A factory of proxies."""
    made: list[Proxy] = []

    def new(*script: Behaviour, tls: ssl.SSLContext | None = None) -> Proxy:
        made.append(Proxy(*script or (act.tunnels,), tls=tls))
        return made[-1]

    yield new
    for proxy in made:
        proxy.stop()


@pytest.fixture
def proxy(new_proxy: Callable[..., Proxy]) -> Proxy:
    """A proxy that opens every tunnel."""
    return new_proxy()


def check_not_sent(server: WireServer, outcome: Outcome, code: str) -> None:
    """Assert that the grant did not leave, and that the error says so."""
    assert (NotSentError, code, None, True) == outcome.summary
    assert outcome.error is not None
    assert "send" == outcome.error.phase
    check_silent(outcome.error)
    assert [] == server.posts


def test_environments_proxy_is_ignored(
    server: WireServer,
    proxy: Proxy,
    new_caller: Callable[..., Caller],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy named in the environment is not used unless the client trusts that."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    outcome = new_caller().exchange()

    assert outcome.error is None
    assert [] == proxy.connects


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_environments_proxy_is_used_when_trusted(
    name: str,
    server: WireServer,
    proxy: Proxy,
    new_caller: Callable[..., Caller],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With trust_env=True the environment's proxy opens the way."""
    monkeypatch.setenv(name, proxy.url)
    outcome = new_caller(trust_env=True).exchange()

    assert outcome.error is None
    assert ["CONNECT"] == [request.method for request in proxy.connects]
    assert f"localhost:{server.port}" == proxy.connects[0].path


def test_environments_exception_is_kept(
    proxy: Proxy,
    server: WireServer,
    new_caller: Callable[..., Caller],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """NO_PROXY holds where the environment is trusted."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "localhost")
    outcome = new_caller(trust_env=True).exchange()

    assert outcome.error is None
    assert [] == proxy.connects


@pytest.mark.parametrize("trust_env", [False, True])
def test_explicit_proxy_wins(
    trust_env: bool,
    server: WireServer,
    proxy: Proxy,
    new_proxy: Callable[..., Proxy],
    new_caller: Callable[..., Caller],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proxy that the client names is used, whatever the environment says."""
    other = new_proxy()
    monkeypatch.setenv("HTTPS_PROXY", other.url)
    monkeypatch.setenv("NO_PROXY", "localhost")
    caller = new_caller(proxy=proxy.url, trust_env=trust_env)
    first, second = caller.exchange(), caller.exchange()

    assert first.error is None
    assert second.error is None
    assert 1 == len(proxy.connects)
    assert [] == other.connects


def test_proxys_credentials_go_to_the_proxy_alone(
    server: WireServer, proxy: Proxy, new_caller: Callable[..., Caller]
) -> None:
    """User and password of the proxy's URL are in the CONNECT, and nowhere behind it."""
    url = proxy.url.replace("//", "//user:proxy-password@")
    outcome = new_caller(proxy=url).exchange()
    expected = "Basic " + base64.b64encode(b"user:proxy-password").decode()
    behind = [name for request in server.requests for name, _ in request.headers]

    assert outcome.error is None
    assert expected == proxy.connects[0].header("proxy-authorization")
    assert "proxy-authorization" not in behind
    assert "authorization" not in behind


def test_proxys_credentials_without_a_tunnel(
    new_server: Callable[..., WireServer],
    new_proxy: Callable[..., Proxy],
    new_caller: Callable[..., Caller],
) -> None:
    """Without TLS there is no tunnel, and the proxy gets them with each request."""
    server = new_server(tls=False)
    close = (("Connection", "close"),)

    def stand_in(proxy: Proxy, sock: socket.socket, request: WireRequest) -> None:
        if request.method == "GET":
            members = metadata(server.issuer)
        else:
            members = {"access_token": "at", **GRANT}
        sock.sendall(json_answer(200, members, close))

    proxy = new_proxy(stand_in)
    url = proxy.url.replace("//", "//user:proxy-password@")
    outcome = new_caller(domain=server.domain, proxy=url).exchange()
    expected = "Basic " + base64.b64encode(b"user:proxy-password").decode()

    assert "at" == outcome.access_token
    assert [expected] * 2 == [
        request.header("proxy-authorization") for request in proxy.connects
    ]


@pytest.mark.parametrize("own_session", [False, True], ids=["ours", "own session"])
def test_environments_proxy_without_a_scheme(
    own_session: bool,
    server: WireServer,
    proxy: Proxy,
    new_caller: Callable[..., Caller],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A variable may leave `http://` out, and may have a password."""
    monkeypatch.setenv("HTTPS_PROXY", f"user:proxy-password@localhost:{proxy.port}")
    outcome = new_caller(trust_env=True, own_session=own_session).exchange()
    expected = "Basic " + base64.b64encode(b"user:proxy-password").decode()

    assert outcome.error is None
    assert [expected] == [
        request.header("proxy-authorization") for request in proxy.connects
    ]


@pytest.mark.parametrize("own_session", [False, True], ids=["ours", "own session"])
@pytest.mark.parametrize(
    "value",
    [
        "ftp://user:proxy-password@localhost:{}",
        "http://user:proxy-password@localhost:{}/proxy.pac",
        "user:proxy-password @localhost:{}",
        "http://user:proxy-password@localhost:1{}0",
    ],
)
def test_environments_proxy_that_is_none(
    value: str,
    own_session: bool,
    server: WireServer,
    proxy: Proxy,
    new_caller: Callable[..., Caller],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Anything but an HTTP proxy is refused before a socket is opened, and not quoted."""
    monkeypatch.setenv("HTTPS_PROXY", value.format(proxy.port))
    outcome = new_caller(trust_env=True, own_session=own_session).exchange()

    assert (ConfigurationError, "invalid_configuration", None, False) == outcome.summary
    assert outcome.error is not None
    assert "HTTPS_PROXY must" in outcome.error.message
    check_silent(outcome.error)
    assert "proxy-password" not in str(outcome.error)
    assert [] == proxy.connects
    assert [] == server.wires


def test_environments_socks_proxy(
    server: WireServer,
    proxy: Proxy,
    new_caller: Callable[..., Caller],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SOCKS is refused, and the proxy is not passed by."""
    monkeypatch.setenv("ALL_PROXY", f"socks5h://localhost:{proxy.port}")
    outcome = new_caller(trust_env=True).exchange()

    assert (ConfigurationError, "invalid_configuration", None, False) == outcome.summary
    assert [] == server.wires


@pytest.mark.parametrize("own_session", [False, True], ids=["ours", "own session"])
def test_proxy_that_is_spoken_to_over_tls(
    own_session: bool,
    server: WireServer,
    certificates: Certificates,
    new_proxy: Callable[..., Proxy],
    new_caller: Callable[..., Caller],
) -> None:
    """The client's trust holds for a proxy, too, and its password goes to no impostor."""
    believed = new_proxy(tls=certificates.good())
    impostor = new_proxy(tls=certificates.self_signed())
    url = "https://user:proxy-password@localhost:{}"
    keywords = {"own_session": own_session}
    trusting = new_caller(proxy=url.format(believed.port), **keywords)
    outcomes = [trusting.exchange().error for _ in range(2)]
    refused = new_caller(proxy=url.format(impostor.port), **keywords).exchange()

    assert [None, None] == outcomes
    assert 1 == len(believed.connects)
    assert (NotSentError, "tls_failed", None, False) == refused.summary
    assert [] == impostor.connects


@pytest.mark.parametrize("scheme", ["ftp", "socks5"])
def test_sessions_own_proxy_that_is_none(
    scheme: str,
    world: World,
    server: WireServer,
    proxy: Proxy,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The proxies of an application's session are held to the same rule."""
    monkeypatch.setattr("auth0_tx.shells.requests_trust.find_spec", lambda _: None)
    url = f"{scheme}://user:proxy-password@localhost:{proxy.port}"
    caller: Caller
    if world.name == "blocking":
        session = requests.Session()
        session.verify, session.proxies = certificates.ca_file, {"https": url}
        caller = BlockingCaller(server.domain, {"session": session})
    else:
        caller = AsyncCaller(
            server.domain, {}, lambda: aiohttp.ClientSession(proxy=url)
        )
    outcome = caller.exchange()
    caller.close()

    assert (ConfigurationError, "invalid_configuration", None, False) == outcome.summary
    assert "proxy-password" not in str(outcome.error)
    assert [] == proxy.connects


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
@pytest.mark.parametrize("in_url", [True, False], ids=["in its URL", "beside it"])
def test_credentials_of_a_sessions_own_proxy(
    in_url: bool, server: WireServer, proxy: Proxy, certificates: Certificates
) -> None:
    """The proxy of an application's aiohttp session gets the credentials it was given."""
    url = proxy.url.replace("//", "//user:proxy-password@") if in_url else proxy.url
    auth = None if in_url else aiohttp.BasicAuth("user", "proxy-password")

    def session() -> aiohttp.ClientSession:
        context = ssl.create_default_context(cafile=str(certificates.ca_file))
        connector = aiohttp.TCPConnector(ssl=context)
        return aiohttp.ClientSession(connector=connector, proxy=url, proxy_auth=auth)

    caller = AsyncCaller(server.domain, {}, session)
    outcome = caller.exchange()
    caller.close()
    expected = "Basic " + base64.b64encode(b"user:proxy-password").decode()

    assert outcome.error is None
    assert expected == proxy.connects[0].header("proxy-authorization")


def test_nothing_of_the_grant_is_told_to_the_proxy(
    server: WireServer, proxy: Proxy, new_caller: Callable[..., Caller]
) -> None:
    """The CONNECT has neither the client's authentication nor a body."""
    caller = new_caller(proxy=proxy.url, client_auth="client_secret_basic")
    outcome = caller.exchange()

    assert outcome.error is None
    assert server.posts[0].header("authorization") is not None
    assert proxy.connects[0].header("authorization") is None
    assert b"" == proxy.connects[0].body


@pytest.mark.parametrize("name", ["wants_authentication", "refuses", "closes"])
def test_proxy_that_opens_no_tunnel_means_nothing_was_sent(
    name: str,
    server: WireServer,
    new_proxy: Callable[..., Proxy],
    new_caller: Callable[..., Caller],
) -> None:
    """A tunnel that is refused is an unsent request, tried three times."""
    proxy = new_proxy(act.tunnels, getattr(act, name))
    server.discovery = Script(last_document)
    outcome = new_caller(proxy=proxy.url).exchange()

    check_not_sent(server, outcome, "connection_failed")
    assert 1 + ATTEMPTS == len(proxy.connects)
    assert ATTEMPTS - 1 == outcome.retries


def test_tunnel_that_opens_at_last_gets_one_send(
    server: WireServer,
    new_proxy: Callable[..., Proxy],
    new_caller: Callable[..., Caller],
) -> None:
    """A grant is sent once, after two tunnels that did not open."""
    script = (act.tunnels, act.wants_authentication, act.closes, act.tunnels)
    proxy = new_proxy(*script)
    server.discovery = Script(last_document)
    caller = new_caller(proxy=proxy.url)
    outcome = caller.exchange()

    assert outcome.error is None
    assert 1 == len(server.posts)
    check_unpoisoned(server, caller)


def test_dead_proxy_means_nothing_was_sent(
    server: WireServer, proxy: Proxy, new_caller: Callable[..., Caller]
) -> None:
    """A proxy that nobody runs is an unsent request, and is never gone around."""
    proxy.stop()
    outcome = new_caller(proxy=proxy.url).exchange()

    assert (NotSentError, "connection_failed", None, True) == outcome.summary
    assert [] == server.wires


def test_server_behind_a_proxy_must_prove_itself(
    server: WireServer,
    proxy: Proxy,
    new_caller: Callable[..., Caller],
    certificates: Certificates,
) -> None:
    """A tunnel to a server with another's certificate is closed before the request."""
    server.discovery = Script(last_document)
    server.greeting = Script(greet.rightly, greet.shows(certificates.wrong_host()))
    outcome = new_caller(proxy=proxy.url).exchange()

    assert (NotSentError, "tls_failed", None, False) == outcome.summary
    assert [] == server.posts


def test_answer_lost_behind_a_proxy_is_ambiguous(
    server: WireServer, proxy: Proxy, new_caller: Callable[..., Caller]
) -> None:
    """Once the grant has gone through the tunnel, its loss is as ambiguous as without."""
    server.token = Script(resets)
    outcome = new_caller(proxy=proxy.url).exchange()

    assert (AmbiguousError, "connection_lost", None, False) == outcome.summary
    assert 1 == len(server.posts)
