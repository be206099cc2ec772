"""A scripted server for each test, and a client of either world to meet it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.faults.callers import Caller
from tests.e2e.faults.wire_behaviours import document, grants, no_keys, not_found
from tests.e2e.faults.wire_certificates import Certificates
from tests.e2e.faults.wire_server import WireServer
from tests.e2e.faults.worlds import WORLDS, World

pytest.register_assert_rewrite("fault_cases")

# The environment must say nothing that a test did not make it say.
_VARIABLES = [
    *(f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")),
    *(f"{scheme}_PROXY" for scheme in ("HTTP", "HTTPS", "ALL", "NO")),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC"),
]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates, good and bad, made once."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module", autouse=True)
def bare_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No proxy, no CA bundle and no netrc but a test's own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _VARIABLES:
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home directory of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def new_server(certificates: Certificates) -> Iterator[Callable[..., WireServer]]:
    """A factory of servers that do everything rightly until told otherwise."""
    made: list[WireServer] = []

    def new(*, tls: bool = True) -> WireServer:
        server = WireServer(
            certificates.good() if tls else None,
            token=grants,
            discovery=document,
            jwks=no_keys,
            elsewhere=not_found,
        )
        made.append(server)
        return server

    yield new
    for server in made:
        server.stop()


@pytest.fixture
def server(new_server: Callable[..., WireServer]) -> WireServer:
    """A server over TLS."""
    return new_server()


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    """Each of the two worlds."""
    return WORLDS[request.param]


@pytest.fixture
def new_caller(
    world: World, server: WireServer, certificates: Certificates
) -> Iterator[Callable[..., Caller]]:
    """A factory of clients of `server`, which trust its authority."""
    made: list[Caller] = []

    def new(**keywords: Any) -> Caller:
        domain = keywords.pop("domain", server.domain)
        verify = keywords.pop("verify", certificates.ca_file)
        made.append(world.caller(domain, verify, **keywords))
        return made[-1]

    yield new
    for caller in made:
        caller.close()


@pytest.fixture
def caller(new_caller: Callable[..., Caller]) -> Caller:
    """A client of `server` with time to spare."""
    return new_caller()
