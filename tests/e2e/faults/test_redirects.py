"""A redirect of the token endpoint: refused, so that no secret travels with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from auth0_tx import InvalidResponseError
from tests.e2e.faults.callers import Caller
from tests.e2e.faults.fault_cases import check_silent, check_unpoisoned
from tests.e2e.faults.wire_behaviours import redirects
from tests.e2e.faults.wire_server import DISCOVERY, Script, WireServer
from tests.e2e.faults.worlds import world_over_each_wire

__all__ = ["world_over_each_wire"]


@pytest.fixture(params=["same host", "another host", "http", "nowhere"])
def target(
    request: pytest.FixtureRequest,
    server: WireServer,
    new_server: Callable[..., WireServer],
) -> tuple[WireServer, str]:
    """Where a redirect leads: a server, and the location that names it."""
    if request.param == "same host":
        return server, f"{server.issuer}elsewhere"
    if request.param == "nowhere":
        return server, "//"
    other = new_server(tls=request.param != "http")
    return other, f"{other.issuer}elsewhere"


@pytest.mark.parametrize("reusable", [False, True], ids=["one-time", "reusable"])
@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_redirect_is_refused(
    status: int,
    reusable: bool,
    target: tuple[WireServer, str],
    server: WireServer,
    caller: Caller,
) -> None:
    """A redirect is an error after one send, and its target receives nothing."""
    led_to, location = target
    server.token = Script(redirects(status, location))
    outcome = caller.exchange(subject_token_reusable=reusable)
    elsewhere = [request for request in led_to.requests if request.path == "/elsewhere"]

    assert (InvalidResponseError, "invalid_response", status, False) == outcome.summary
    assert outcome.error is not None
    assert "redirect" in outcome.error.message
    assert outcome.error.tokens_issued is False
    check_silent(outcome.error)
    assert 1 == len(server.posts)
    assert [] == elsewhere
    assert led_to is server or [] == led_to.wires
    check_unpoisoned(server, caller)


def test_redirect_of_the_metadata_is_refused(
    server: WireServer, new_server: Callable[..., WireServer], caller: Caller
) -> None:
    """Metadata that has moved is not looked for where it is said to be."""
    other = new_server()
    server.discovery = Script(redirects(302, other.issuer + DISCOVERY[1:]))
    outcome = caller.exchange()

    assert outcome.error is not None
    assert "discovery_failed" == outcome.error.code
    assert [] == other.wires
    assert [] == server.posts
