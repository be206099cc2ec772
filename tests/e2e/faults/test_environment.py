"""What the machine says in files and variables: not heard, unless it is asked for."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
import requests
import urllib3

from auth0_tx import NotSentError
from tests.e2e.faults.callers import CLIENT_SECRET, AsyncCaller, Caller
from tests.e2e.faults.wire_behaviours import grants, with_headers
from tests.e2e.faults.wire_certificates import Certificates
from tests.e2e.faults.wire_server import Script, WireServer
from tests.e2e.faults.worlds import World

NETRC = "machine localhost login other-user password other-password\n"
BUNDLES = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"]
OURS = "Basic " + base64.b64encode(f"client:{CLIENT_SECRET}".encode()).decode()


@pytest.fixture(params=["home", "variable"])
def netrc(
    request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials for the host in ~/.netrc, or where NETRC says."""
    path = home / (".netrc" if request.param == "home" else "credentials")
    path.write_text(NETRC)
    path.chmod(0o600)
    if request.param == "variable":
        monkeypatch.setenv("NETRC", str(path))


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("own_session", [False, True], ids=["ours", "own session"])
@pytest.mark.parametrize("trust_env", [False, True])
@pytest.mark.parametrize(
    ("method", "authorization"),
    [("client_secret_basic", OURS), ("client_secret_post", None)],
)
def test_netrc_changes_nothing(
    method: str,
    authorization: str | None,
    trust_env: bool,
    own_session: bool,
    server: WireServer,
    new_caller: Callable[..., Caller],
) -> None:
    """The Authorization header is the client's own, and there is none without its own."""
    caller = new_caller(
        client_auth=method, trust_env=trust_env, own_session=own_session
    )
    outcome = caller.exchange()

    assert outcome.error is None
    assert authorization == server.posts[0].header("authorization")
    assert server.requests[0].header("authorization") is None


@pytest.mark.parametrize("name", BUNDLES)
def test_environments_bundle_is_ignored(
    name: str,
    server: WireServer,
    new_caller: Callable[..., Caller],
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bundle that would vouch for the server does not, named in the environment only."""
    monkeypatch.setenv(name, certificates.ca_file)
    outcome = new_caller(verify=True).exchange()

    assert (NotSentError, "tls_failed", None, False) == outcome.summary
    assert [] == server.requests


@pytest.mark.parametrize("name", BUNDLES)
def test_environments_bundle_is_used_when_trusted(
    name: str,
    server: WireServer,
    new_caller: Callable[..., Caller],
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With trust_env=True the environment's bundle stands in for the public CAs."""
    monkeypatch.setenv(name, certificates.ca_file)
    outcome = new_caller(verify=True, trust_env=True).exchange()

    assert outcome.error is None


@pytest.mark.parametrize("trust_env", [False, True])
@pytest.mark.parametrize("name", BUNDLES)
def test_explicit_bundle_wins(
    name: str,
    trust_env: bool,
    new_caller: Callable[..., Caller],
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bundle that the client names is used, whatever the environment says."""
    monkeypatch.setenv(name, certificates.stranger_ca_file)
    outcome = new_caller(trust_env=trust_env).exchange()

    assert outcome.error is None


def test_cookies_are_never_sent_back(server: WireServer, caller: Caller) -> None:
    """A cookie of the token endpoint is not kept."""
    cookies = [("Set-Cookie", "did=1; Path=/"), ("Set-Cookie", "cf=2; Path=/; Secure")]
    server.token = Script(with_headers(cookies), grants)
    first, second = caller.exchange(), caller.exchange()

    assert first.error is None
    assert second.error is None
    assert [None, None] == [request.header("cookie") for request in server.posts]


def test_other_sessions_laxity_is_not_ours(
    world: World,
    server: WireServer,
    new_caller: Callable[..., Caller],
    certificates: Certificates,
) -> None:
    """A session elsewhere in the process that verifies nothing changes nothing here."""
    before = new_caller(verify=certificates.stranger_ca_file)
    lax_visit(world, before, server.issuer)
    after = new_caller(verify=certificates.stranger_ca_file)

    for caller in (before, after):
        assert (NotSentError, "tls_failed", None, False) == caller.exchange().summary
    assert [] == server.posts


def lax_visit(world: World, caller: Caller, url: str) -> None:
    """Visit *url* through the world's own library, verifying nothing."""
    if not isinstance(caller, AsyncCaller):
        with pytest.warns(urllib3.exceptions.InsecureRequestWarning):
            requests.get(url, verify=False, timeout=5.0)
        return

    async def visit() -> None:
        connector = aiohttp.TCPConnector(ssl=False)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(url) as answer,
        ):
            await answer.read()

    caller.run(visit())


@pytest.mark.parametrize("flaw", ["no hostname", "no certificate"])
def test_context_that_verifies_nothing_is_refused(
    flaw: str, new_caller: Callable[..., Caller]
) -> None:
    """Verification cannot be turned off, not by a context of the application's either."""
    context = ssl.create_default_context()
    context.check_hostname = False
    if flaw == "no certificate":
        context.verify_mode = ssl.CERT_NONE

    with pytest.raises(ValueError, match="verify"):
        new_caller(verify=context)
