"""Trust: nothing secret goes to a server that a session, context or adapter did not verify.

Each row of the tables arranges for a server to be believed without proof, by one of the ways
that an application has: its session, a context, an adapter or connector, the environment, or
a change of these after the client was made or a connection was pooled.  The servers are real,
and what counts is what they received.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from requests.adapters import HTTPAdapter

from auth0_tx import (
    AsyncServerClient,
    ConfigurationError,
    NotSentError,
    ServerClient,
)
from tests.e2e.faults import wire_greetings as greet
from tests.e2e.faults.callers import (
    CLIENT_SECRET,
    SUBJECT,
    AsyncCaller,
    BlockingCaller,
    Caller,
    options,
)
from tests.e2e.faults.wire_certificates import Certificates
from tests.e2e.faults.wire_server import Script, WireServer
from tests.e2e.faults.worlds import World

pytestmark = pytest.mark.filterwarnings(
    # Where a test itself talks to a server without proof.
    "ignore::urllib3.exceptions.InsecureRequestWarning",
    "ignore:ssl.TLSVersion.TLSv1 is deprecated:DeprecationWarning",
)

REFUSED = (ConfigurationError, "invalid_configuration", None, False)
TLS_FAILED = (NotSentError, "tls_failed", None, False)
GRANTED = (None, None, None, None)


@pytest.fixture
def impostor(
    new_server: Callable[..., WireServer], certificates: Certificates
) -> WireServer:
    """A server that nobody vouches for."""
    server = new_server()
    server.greeting = Script(greet.shows(certificates.self_signed()))
    return server


@pytest.fixture
def stand_in(
    new_server: Callable[..., WireServer], certificates: Certificates
) -> WireServer:
    """A server with a certificate of the authority's, but for another name."""
    server = new_server()
    server.greeting = Script(greet.shows(certificates.wrong_host()))
    return server


def check_nothing_secret(server: WireServer) -> None:
    """Assert that *server* received neither the client's secret nor a token."""
    received = b"".join(
        repr(request.headers).encode() + request.body for request in server.requests
    )

    assert [] == server.posts
    assert CLIENT_SECRET.encode() not in received
    assert SUBJECT.encode() not in received


def make_context(certificates: Certificates, **settings: Any) -> ssl.SSLContext:
    """Return a context that trusts the authority, with *settings* changed."""
    context = ssl.create_default_context(cafile=certificates.ca_file)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


UNVERIFYING: dict[str, Any] = {"check_hostname": False, "verify_mode": ssl.CERT_NONE}
NAMELESS: dict[str, Any] = {"check_hostname": False}
OLD: dict[str, Any] = {"minimum_version": ssl.TLSVersion.TLSv1}


# -- blocking: an application's requests.Session ------------------------------------------


class ContextAdapter(HTTPAdapter):
    """An adapter with a context of its own, as requests' documentation shows it."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools with the settings."""
        super().init_poolmanager(*args, **kwargs, **self._settings)


class UnverifyingAdapter(HTTPAdapter):
    """An adapter that turns verification off whatever the session says."""

    def send(self, *args: Any, **kwargs: Any) -> Any:
        """Send without verification."""
        return super().send(*args, **{**kwargs, "verify": False})


class LaxAdapter(HTTPAdapter):
    """An adapter that changes its pools after they were checked."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        super().__init__()

    def cert_verify(self, conn: Any, *args: Any, **kwargs: Any) -> None:
        """Change the pool."""
        super().cert_verify(conn, *args, **kwargs)
        vars(conn).update(self.changes)


def with_verify(value: object) -> Callable[[requests.Session], None]:
    """Return a change of a session's *verify*."""
    return lambda session: setattr(session, "verify", value)


def with_adapter(make: Callable[[], HTTPAdapter]) -> Callable[[requests.Session], None]:
    """Return a change of a session's adapter."""
    return lambda session: session.mount("https://", make())


def with_adapter_for_host(session: requests.Session) -> None:
    """Mount the adapter where only the token endpoint's requests go."""
    session.mount("https://localhost", UnverifyingAdapter())


SESSIONS: dict[str, Callable[[requests.Session], None]] = {
    "verify=False": with_verify(False),
    "verify=None": with_verify(None),
    "verify=''": with_verify(""),
    "verify=0": with_verify(0),
    "verify=1": with_verify(1),
    "verify of no file": with_verify("/no/such/bundle.pem"),
    "adapter that sends unverified": with_adapter(UnverifyingAdapter),
    "adapter that sends unverified, for the host": with_adapter_for_host,
    "adapter that changes its pool": with_adapter(
        lambda: LaxAdapter(cert_reqs="CERT_NONE", ca_certs=None)
    ),
    "context without verification": with_adapter(
        lambda: ContextAdapter(ssl_context=unverifying_context())
    ),
}
LAX_NAMES: dict[str, Callable[[requests.Session], None]] = {
    "assert_hostname=False in the pools": with_adapter(
        lambda: ContextAdapter(assert_hostname=False)
    ),
    "assert_hostname=False later": with_adapter(
        lambda: LaxAdapter(assert_hostname=False)
    ),
    "another name": with_adapter(
        lambda: LaxAdapter(assert_hostname="elsewhere.example")
    ),
    "server_hostname of another": with_adapter(
        lambda: ContextAdapter(server_hostname="elsewhere.example")
    ),
}


def unverifying_context() -> ssl.SSLContext:
    """Return a context that believes everybody."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.fixture
def session(certificates: Certificates) -> Iterator[requests.Session]:
    """A session that trusts the authority, and nothing of the environment."""
    with requests.Session() as session:
        session.verify, session.trust_env = certificates.ca_file, False
        yield session


@pytest.mark.parametrize("when", ["before the client", "after the client"])
@pytest.mark.parametrize("name", SESSIONS)
def test_session_that_does_not_verify(
    name: str, when: str, session: requests.Session, impostor: WireServer
) -> None:
    """A session that verifies nothing is refused when the client is made, or at a call."""
    if when == "before the client":
        SESSIONS[name](session)
        summary = try_blocking(impostor, session)
    else:
        caller = BlockingCaller(impostor.domain, {"session": session})
        SESSIONS[name](session)
        summary = caller.exchange().summary

    assert REFUSED == summary
    assert [] == impostor.requests


@pytest.mark.parametrize("name", LAX_NAMES)
def test_session_that_compares_no_names(
    name: str, session: requests.Session, stand_in: WireServer
) -> None:
    """A certificate for another name proves nothing, whatever an adapter compares it with."""
    LAX_NAMES[name](session)

    assert REFUSED == try_blocking(stand_in, session)
    check_nothing_secret(stand_in)
    assert [] == stand_in.requests


def try_blocking(server: WireServer, session: requests.Session) -> Any:
    """Return how it ends to make a client on *session*, and an exchange."""
    try:
        caller = BlockingCaller(server.domain, {"session": session})
    except ConfigurationError as error:
        return type(error), str(error.code), error.status, error.retry_safe
    return caller.exchange().summary


@pytest.mark.parametrize("verify", [False, None, ""])
def test_pooled_connection_without_proof_is_not_taken(
    verify: Any, session: requests.Session, impostor: WireServer
) -> None:
    """A connection that the application made unverified is left, though it rests in the pool."""
    caller = BlockingCaller(impostor.domain, {"session": session})
    trusted, session.verify = session.verify, verify
    session.get(impostor.issuer, timeout=5.0)
    session.verify = trusted
    outcome = caller.exchange()

    assert TLS_FAILED == outcome.summary
    check_nothing_secret(impostor)


def test_pooled_connection_of_another_name_is_not_taken(
    session: requests.Session, stand_in: WireServer
) -> None:
    """The same where the application did not compare the name."""
    caller = BlockingCaller(stand_in.domain, {"session": session})
    adapter = LaxAdapter(assert_hostname=False)
    session.mount("https://", adapter)
    session.get(stand_in.issuer, timeout=5.0)
    adapter.changes = {"assert_hostname": None}
    outcome = caller.exchange()

    assert TLS_FAILED == outcome.summary
    check_nothing_secret(stand_in)


def test_verified_connection_is_shared_with_the_session(
    session: requests.Session, server: WireServer
) -> None:
    """Verified connections go from the application to the client, and back."""
    session.get(server.issuer, timeout=5.0)
    outcome = BlockingCaller(server.domain, {"session": session}).exchange()
    session.get(server.issuer, timeout=5.0)

    assert GRANTED == outcome.summary
    assert 1 == len(server.wires)


@pytest.mark.parametrize("algorithm", ["sha256", "sha1", "md5"])
def test_fingerprint_of_a_session(
    algorithm: str, session: requests.Session, server: WireServer
) -> None:
    """A certificate pinned by SHA-256 proves the server; weaker digests are refused."""
    pin = hashlib.new(algorithm, fetch_certificate(server)).hexdigest()
    session.mount("https://", ContextAdapter(assert_fingerprint=pin))
    summary = try_blocking(server, session)

    assert (GRANTED if algorithm == "sha256" else REFUSED) == summary
    assert (1 if algorithm == "sha256" else 0) == len(server.posts)


def fetch_certificate(server: WireServer) -> bytes:
    """Return the certificate that *server* shows."""
    with (
        socket.create_connection(("localhost", server.port)) as plain,
        unverifying_context().wrap_socket(plain) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


class HandmadeAdapter(requests.adapters.BaseAdapter):
    """An adapter that connects in a way of its own, as those do that play responses."""

    def __init__(self, real: HTTPAdapter) -> None:
        super().__init__()
        self.real, self.verified = real, []  # type: ignore[var-annotated]

    def send(self, *args: Any, **kwargs: Any) -> Any:
        """Note whether to verify."""
        self.verified.append(kwargs["verify"])
        return self.real.send(*args, **kwargs)

    def close(self) -> None:
        """Close the real one."""
        self.real.close()


def test_adapter_of_another_kind(
    session: requests.Session, server: WireServer, certificates: Certificates
) -> None:
    """An adapter that nobody can look into is told to verify."""
    adapter = HandmadeAdapter(HTTPAdapter())
    session.mount("https://", adapter)

    assert GRANTED == try_blocking(server, session)
    assert [certificates.ca_file] * 2 == adapter.verified


# -- asyncio: an application's aiohttp.ClientSession ---------------------------------------


class LaxConnector(aiohttp.TCPConnector):
    """A connector whose connections are not what its setting says."""

    def _get_ssl_context(self, req: Any) -> ssl.SSLContext:
        return unverifying_context()


class OtherNameConnector(aiohttp.TCPConnector):
    """A connector that compares another name."""

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
        req.server_hostname = "elsewhere.example"
        return await super()._create_connection(req, traces, timeout)


CONNECTORS: dict[str, Any] = {
    "ssl=False": lambda _: aiohttp.TCPConnector(ssl=False),
    "context without verification": lambda certificates: aiohttp.TCPConnector(
        ssl=make_context(certificates, **UNVERIFYING)
    ),
    "context without names": lambda certificates: aiohttp.TCPConnector(
        ssl=make_context(certificates, **NAMELESS)
    ),
    "old context": lambda certificates: aiohttp.TCPConnector(
        ssl=make_context(certificates, **OLD)
    ),
    "connector with a will of its own": lambda certificates: LaxConnector(
        ssl=make_context(certificates)
    ),
}


def make_async(
    server: WireServer, connector: Callable[[], aiohttp.BaseConnector]
) -> AsyncCaller:
    """Return a caller on a session with *connector*."""
    return AsyncCaller(
        server.domain, {}, lambda: aiohttp.ClientSession(connector=connector())
    )


@pytest.fixture
def closing() -> Iterator[list[AsyncCaller]]:
    """Callers that are closed at the end."""
    callers: list[AsyncCaller] = []
    yield callers
    for caller in callers:
        caller.close()


@pytest.mark.parametrize("name", CONNECTORS)
async def test_connector_that_does_not_verify(
    name: str, impostor: WireServer, certificates: Certificates
) -> None:
    """A connector that verifies nothing is refused when the client is made, or at a call."""
    async with aiohttp.ClientSession(
        connector=CONNECTORS[name](certificates)
    ) as session:
        with pytest.raises(ConfigurationError) as caught:
            await AsyncServerClient(
                domain=impostor.domain,
                client_id="client",
                client_secret=CLIENT_SECRET,
                session=session,
            ).custom_token_exchange(options())

    assert "session" == caught.value.parameter
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)
    assert [] == impostor.requests


@pytest.mark.parametrize("setting", [False, None, "unverifying", "nameless"])
def test_connector_that_is_changed_later(
    setting: Any,
    impostor: WireServer,
    certificates: Certificates,
    closing: list[AsyncCaller],
) -> None:
    """A connector that stops verifying after the client was made is refused at a call."""
    caller = make_async(
        impostor, lambda: aiohttp.TCPConnector(ssl=make_context(certificates))
    )
    closing.append(caller)
    connector: Any = caller.session.connector  # type: ignore[union-attr]
    if setting == "unverifying":
        change(connector._ssl, UNVERIFYING)
    elif setting == "nameless":
        change(connector._ssl, NAMELESS)
    else:
        connector._ssl = setting

    assert REFUSED == caller.exchange().summary
    assert [] == impostor.requests


def change(context: ssl.SSLContext, settings: dict[str, Any]) -> None:
    """Change the settings of *context*."""
    for name, value in settings.items():
        setattr(context, name, value)


@pytest.mark.parametrize("how", ["setting", "context"])
def test_connection_pooled_by_a_connector_without_proof(
    how: str,
    impostor: WireServer,
    certificates: Certificates,
    closing: list[AsyncCaller],
) -> None:
    """A connection that the application made unverified is closed when it leaves the pool."""
    caller = make_async(
        impostor, lambda: aiohttp.TCPConnector(ssl=make_context(certificates))
    )
    closing.append(caller)
    connector: Any = caller.session.connector  # type: ignore[union-attr]
    given = connector._ssl
    if how == "setting":
        connector._ssl = False
    else:
        change(given, UNVERIFYING)
    caller.run(visit(caller, impostor.issuer))
    connector._ssl = given
    change(given, {"verify_mode": ssl.CERT_REQUIRED, "check_hostname": True})

    assert TLS_FAILED == caller.exchange().summary
    check_nothing_secret(impostor)
    assert 1 == len(impostor.requests)


async def visit(caller: AsyncCaller, url: str) -> None:
    """Fetch *url* by the application's own session."""
    assert caller.session is not None
    async with caller.session.get(url) as answer:
        await answer.read()


def test_connector_of_another_name(
    stand_in: WireServer, certificates: Certificates, closing: list[AsyncCaller]
) -> None:
    """A certificate for another name proves nothing."""
    caller = make_async(
        stand_in, lambda: OtherNameConnector(ssl=make_context(certificates))
    )
    closing.append(caller)

    assert caller.exchange().summary in (REFUSED, TLS_FAILED)
    assert [] == stand_in.requests


@pytest.mark.parametrize("matches", [True, False])
def test_fingerprint_of_a_connector(
    matches: bool,
    server: WireServer,
    impostor: WireServer,
    closing: list[AsyncCaller],
) -> None:
    """A pinned certificate proves the server, on connections from the pool too."""
    pin = hashlib.sha256(fetch_certificate(server)).digest()
    reached = server if matches else impostor
    caller = make_async(reached, aiohttp.TCPConnector)
    closing.append(caller)
    connector: Any = caller.session.connector  # type: ignore[union-attr]
    connector._ssl = False
    caller.run(visit(caller, reached.issuer))
    connector._ssl = aiohttp.Fingerprint(pin)
    outcome = caller.exchange()

    assert (outcome.error is None) == matches
    assert (1 if matches else 0) == len(reached.posts)


def test_connector_without_tls(
    server: WireServer, tmp_path: Path, closing: list[AsyncCaller]
) -> None:
    """A connector that speaks no TLS, as over a Unix socket, gets no secret to carry."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        caller = make_async(server, lambda: aiohttp.UnixConnector(path))
        closing.append(caller)
        outcome = caller.exchange()
        accepted, _ = listener.accept()
        with accepted:
            received = accepted.recv(1)

    assert REFUSED == outcome.summary
    assert b"" == received


# -- both worlds ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [UNVERIFYING, NAMELESS, OLD], ids=["unverifying", "nameless", "old"]
)
def test_context_that_is_changed_later(
    settings: dict[str, Any],
    impostor: WireServer,
    certificates: Certificates,
    new_caller: Callable[..., Caller],
) -> None:
    """A context that stops verifying after the client was made is refused at each call."""
    context = make_context(certificates)
    caller = new_caller(domain=impostor.domain, verify=context)
    change(context, settings)
    outcomes = [caller.exchange().summary for _ in range(2)]

    assert [REFUSED] * 2 == outcomes
    assert [] == impostor.wires


def test_context_that_is_changed_during_a_handshake(
    impostor: WireServer,
    certificates: Certificates,
    new_caller: Callable[..., Caller],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A context that stops verifying while a connection is made is noticed before a request."""
    context = make_context(certificates)
    caller = new_caller(domain=impostor.domain, verify=context)
    resolve = socket.getaddrinfo

    def change_and_resolve(*args: Any, **kwargs: Any) -> Any:
        change(context, UNVERIFYING)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", change_and_resolve)
    outcome = caller.exchange()

    # urllib3 itself sets a context to verify again.
    assert outcome.summary in (REFUSED, TLS_FAILED)
    assert [] == impostor.requests


ANONYMOUS, PLAIN = "aNULL:@SECLEVEL=0", "eNULL:@SECLEVEL=0"


@pytest.mark.parametrize("own_session", [False, True], ids=["ours", "own session"])
@pytest.mark.parametrize("ciphers", [ANONYMOUS, PLAIN], ids=["anonymous", "plain"])
def test_ciphers_that_prove_or_hide_nothing(
    ciphers: str,
    own_session: bool,
    world: World,
    server: WireServer,
    certificates: Certificates,
) -> None:
    """A context that checks all has nothing to check with anonymous ciphers."""
    with_ciphers = certificates.good()
    with_ciphers.maximum_version = ssl.TLSVersion.TLSv1_2
    with_ciphers.set_ciphers(ciphers)
    server.greeting = Script(greet.shows(with_ciphers))
    context = make_context(certificates, maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(ciphers)
    caller: Caller
    if not own_session:
        caller = world.caller(server.domain, context)
    elif world.name == "blocking":
        session = requests.Session()
        session.mount("https://", ContextAdapter(ssl_context=context))
        caller = BlockingCaller(server.domain, {"session": session})
    else:
        caller = make_async(server, lambda: aiohttp.TCPConnector(ssl=context))
    outcome = caller.exchange()
    caller.close()

    assert REFUSED == outcome.summary
    assert [] == server.requests


@pytest.mark.parametrize("content", ["", "no certificate"])
def test_session_with_a_bundle_that_is_none(
    content: str, session: requests.Session, server: WireServer, tmp_path: Path
) -> None:
    """A file that is no bundle vouches for nobody, and nothing is sent."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(content)
    session.verify = str(bundle)

    assert TLS_FAILED == try_blocking(server, session)
    assert [] == server.requests


def test_environments_bundle_beside_an_adapters_context(
    server: WireServer, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A context of the application's own stays as it is, whatever the environment names."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificates.ca_file)
    context = ssl.create_default_context(cafile=certificates.stranger_ca_file)
    session = requests.Session()
    session.mount("https://", ContextAdapter(ssl_context=context))
    caller = BlockingCaller(server.domain, {"session": session, "trust_env": True})

    assert TLS_FAILED == caller.exchange().summary


def test_environments_bundle_that_is_none(
    world: World, server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle that the environment names, and that is not there, is reported as such."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    caller: Caller
    if world.name == "blocking":
        session = requests.Session()
        caller = BlockingCaller(server.domain, {"session": session, "trust_env": True})
    else:
        caller = AsyncCaller(server.domain, {"trust_env": True}, aiohttp.ClientSession)
    outcome = caller.exchange()
    caller.close()

    assert REFUSED == outcome.summary


@pytest.mark.parametrize("make_context_of", [False, True], ids=["bundle", "context"])
async def test_verify_beside_a_session(
    make_context_of: bool, certificates: Certificates
) -> None:
    """Both would say whom to trust, so it is one or the other."""
    keywords: dict[str, Any] = {
        "domain": "tenant.us.auth0.com",
        "client_id": "client",
        "client_secret": CLIENT_SECRET,
        "verify": make_context(certificates)
        if make_context_of
        else certificates.ca_file,
    }
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ConfigurationError, match="does not go with session="):
            AsyncServerClient(**keywords, session=session)
    with pytest.raises(ConfigurationError, match="does not go with session="):
        ServerClient(**keywords, session=requests.Session())


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize("trust_env", [False, True])
def test_environments_bundle_beside_a_session(
    name: str,
    trust_env: bool,
    world: World,
    server: WireServer,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A session that trusts the public CAs obeys the environment if the client says so."""
    monkeypatch.setenv(name, certificates.ca_file)
    caller: Caller
    if world.name == "blocking":
        # Its own trust_env is on, as always.
        caller = BlockingCaller(
            server.domain, {"session": requests.Session(), "trust_env": trust_env}
        )
    else:
        caller = AsyncCaller(
            server.domain, {"trust_env": trust_env}, aiohttp.ClientSession
        )
    outcome = caller.exchange()
    again = caller.exchange()
    caller.close()

    assert (GRANTED if trust_env else TLS_FAILED) == outcome.summary
    assert outcome.summary == again.summary
    assert (2 if trust_env else 0) == len(server.posts)


def test_environments_bundle_beside_a_session_with_its_own(
    world: World,
    server: WireServer,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A session's own bundle or context counts more than the environment's."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificates.ca_file)
    caller = world.caller(
        server.domain, certificates.stranger_ca_file, own_session=True, trust_env=True
    )
    outcome = caller.exchange()
    caller.close()

    assert TLS_FAILED == outcome.summary


def test_session_without_tls(
    world: World, new_server: Callable[..., WireServer]
) -> None:
    """For a tenant on this machine over plain http, there is nothing to verify."""
    server = new_server(tls=False)
    caller: Caller
    if world.name == "blocking":
        session = requests.Session()
        session.verify = False
        caller = BlockingCaller(server.domain, {"session": session})
    else:
        caller = make_async(server, lambda: aiohttp.TCPConnector(ssl=False))
    outcome = caller.exchange()
    caller.close()

    assert GRANTED == outcome.summary


@pytest.mark.parametrize("trust_env", [False, True])
def test_keys_are_logged_only_when_asked(
    trust_env: bool,
    server: WireServer,
    new_caller: Callable[..., Caller],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SSLKEYLOGFILE opens all that is sent to its readers: it counts with trust_env alone."""
    log = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    outcome = new_caller(trust_env=trust_env).exchange()

    assert GRANTED == outcome.summary
    assert trust_env == log.exists()
    assert trust_env == ("TRAFFIC_SECRET" in (log.read_text() if trust_env else ""))


def test_context_of_the_application_may_log_keys(
    certificates: Certificates,
    new_caller: Callable[..., Caller],
    tmp_path: Path,
) -> None:
    """A context that the application made logs keys if it says so."""
    log = tmp_path / "keys"
    context = make_context(certificates, keylog_filename=str(log))
    outcome = new_caller(verify=context).exchange()

    assert GRANTED == outcome.summary
    assert "TRAFFIC_SECRET" in log.read_text()
