"""The application's own session: its connections are used, and none of its habits."""

from __future__ import annotations

import base64
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from auth0_tx import (
    AmbiguousError,
    DiscoveryError,
    InvalidResponseError,
    NotSentError,
    RateLimitError,
    RefusedError,
)
from auth0_tx import CustomTokenExchangeErrorCode as Code
from auth0_tx.events import MetadataFetched
from tests.e2e.faults import wire_greetings as greet
from tests.e2e.faults.callers import CLIENT_SECRET, QUICK, BlockingCaller, Caller
from tests.e2e.faults.fault_cases import (
    ANOTHER,
    Case,
    check,
    check_silent,
    check_unpoisoned,
    ids,
    play,
)
from tests.e2e.faults.wire_behaviours import (
    after,
    answers,
    bombs,
    breaks_tls,
    chunks_cut,
    closes,
    document,
    floods,
    grants,
    last_document,
    late,
    redirects,
    resets,
    says,
    stops_after,
    with_headers,
)
from tests.e2e.faults.wire_certificates import Certificates
from tests.e2e.faults.wire_greetings import goes_down
from tests.e2e.faults.wire_http import head
from tests.e2e.faults.wire_server import DISCOVERY, Script, WireServer
from tests.e2e.faults.worlds import world_over_each_wire

__all__ = ["world_over_each_wire"]

OWN: dict[str, Any] = {"own_session": True}
LOST: dict[str, Any] = {
    "error": AmbiguousError,
    "code": Code.CONNECTION_LOST,
    "keywords": OWN,
}
REFUSED_200: dict[str, Any] = {
    "error": InvalidResponseError,
    "code": Code.INVALID_RESPONSE,
    "status": 200,
    "tokens_issued": True,
    "keywords": OWN,
}
OURS = "Basic " + base64.b64encode(f"client:{CLIENT_SECRET}".encode()).decode()
MOST_MEMORY = 4 * 1024 * 1024

CASES = [
    Case(name="grant", plays=(grants,), keywords=OWN),
    Case(name="reset before any byte", plays=(resets,), **LOST),
    Case(name="closed before any byte", plays=(closes,), **LOST),
    Case(name="body cut short", plays=(stops_after(-12, reset=False),), **LOST),
    Case(name="chunks cut", plays=(chunks_cut,), **LOST),
    Case(name="TLS broken off", plays=(breaks_tls,), **LOST),
    Case(name="200 MiB with a length", plays=(floods("length"),), **REFUSED_200),
    Case(name="200 MiB in chunks", plays=(floods("chunks"),), **REFUSED_200),
    Case(name="gzip bomb", plays=(bombs("gzip"),), **REFUSED_200),
    Case(name="deflate bomb", plays=(bombs("deflate"),), **REFUSED_200),
]


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_own_session_fails_as_ours_does(
    case: Case, server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """The faults that matter most end the same way on the application's session."""
    tracemalloc.start()
    caller, outcome = play(case, server, new_caller)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    check(case, server, outcome)
    check_unpoisoned(server, caller)
    assert MOST_MEMORY > peak
    # Lets go of what the session's own connector still waits for.
    server.drop_connections()
    caller.rest(0.05)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_own_session_follows_no_redirect(
    status: int,
    server: WireServer,
    new_server: Callable[..., WireServer],
    new_caller: Callable[..., Caller],
) -> None:
    """A redirect is refused on the application's session too."""
    other = new_server()
    server.token = Script(redirects(status, f"{other.issuer}elsewhere"))
    outcome = new_caller(**OWN).exchange()

    assert (InvalidResponseError, "invalid_response", status, False) == outcome.summary
    assert [] == other.wires


def test_own_session_stays_open(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """Closing the client leaves the application's session, and its connections, open."""
    caller = new_caller(**OWN)
    caller.exchange()
    caller.close_client()

    assert caller.session_is_open
    assert server.wires[0].is_open


def test_own_session_that_blocks_gets_its_connections_back(
    server: WireServer, certificates: Certificates
) -> None:
    """A pool that lends one connection lends it again after each answer that is too much."""
    session = requests.Session()
    session.verify = str(certificates.ca_file)
    session.mount("https://", HTTPAdapter(pool_maxsize=1, pool_block=True))
    with session:
        caller = BlockingCaller(server.domain, {"session": session})
        interim = says(head(103))
        server.token = Script(floods("length"), interim, chunks_cut, grants)
        outcomes = [caller.exchange() for _ in range(4)]
        caller.close_client()

    errors = [InvalidResponseError, AmbiguousError, AmbiguousError, None]
    assert errors == [outcome.summary[0] for outcome in outcomes]


def test_own_sessions_certificates_count(
    server: WireServer,
    new_caller: Callable[..., Caller],
    certificates: Certificates,
) -> None:
    """The application's session says whom to trust."""
    trusted = new_caller(**OWN).exchange()
    distrusted = new_caller(**OWN, verify=certificates.stranger_ca_file).exchange()

    assert trusted.error is None
    assert (NotSentError, "tls_failed", None, False) == distrusted.summary


def test_own_session_that_is_refused_sent_nothing(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A refused connection is an unsent request on the application's session too."""
    server.discovery = Script(goes_down)
    outcome = new_caller(**OWN).exchange()

    assert (NotSentError, "connection_failed", None, True) == outcome.summary
    assert 2 == outcome.retries


def test_own_session_without_a_name_sent_nothing(
    server: WireServer,
    new_caller: Callable[..., Caller],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that does not resolve any more is an unsent request, and not ambiguous."""

    def fail_to_resolve(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def after_discovery(event: object) -> None:
        if isinstance(event, MetadataFetched):
            monkeypatch.setattr(socket, "getaddrinfo", fail_to_resolve)

    server.discovery = Script(last_document)
    outcome = new_caller(**OWN, on_event=after_discovery).exchange()
    monkeypatch.undo()

    assert (NotSentError, "connection_failed", None, True) == outcome.summary
    assert outcome.error is not None
    assert "send" == outcome.error.phase
    check_silent(outcome.error)
    assert [] == server.posts


@pytest.mark.parametrize(
    ("method", "authorization"),
    [("client_secret_basic", OURS), ("client_secret_post", None)],
)
def test_own_sessions_baggage_stays_behind(
    method: str,
    authorization: str | None,
    server: WireServer,
    new_caller: Callable[..., Caller],
    home: Path,
) -> None:
    """Headers, credentials, cookies and netrc of the application do not go with a grant."""
    netrc = home / ".netrc"
    netrc.write_text("machine localhost login netrc-user password netrc-password\n")
    netrc.chmod(0o600)
    server.token = Script(with_headers([("Set-Cookie", "did=1; Path=/")]), grants)
    caller = new_caller(**OWN, laden=True, client_auth=method)
    first, second = caller.exchange(), caller.exchange()

    assert first.error is None
    assert second.error is None
    for post in server.posts:
        assert authorization == post.header("authorization")
        assert post.header("cookie") is None
        assert post.header("x-application") is None
        assert "auth0-tx" in (post.header("user-agent") or "")


def test_own_sessions_hooks_do_not_judge_the_answer(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A session that raises for every 4xx does not hide what the server said."""
    busy = answers(429, {"error": "too_many_requests"}, ("Retry-After", "60"))
    denied = answers(400, {"error": "invalid_request", "error_description": "no"})
    server.token = Script(denied, busy)
    caller = new_caller(**OWN, laden=True)
    first, second = caller.exchange(), caller.exchange()

    assert (RefusedError, "invalid_request", 400, False) == first.summary
    assert (RateLimitError, "too_many_requests", 429, True) == second.summary


FAILURES = {"reset": resets, "503": answers(503, {}, ("Retry-After", "0"))}


@pytest.mark.parametrize("reusable", [False, True], ids=["one-time", "reusable"])
@pytest.mark.parametrize("name", FAILURES)
def test_own_sessions_retries_do_not_multiply_ours(
    name: str, reusable: bool, server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A session that sends everything again sends a grant as often as the policy says."""
    server.token = Script(FAILURES[name])
    caller = new_caller(**OWN, laden=True)
    outcome = caller.exchange(subject_token_reusable=reusable)

    assert outcome.error is not None
    assert (QUICK.attempts if reusable else 1) == len(server.posts)
    assert len(server.posts) - 1 == outcome.retries


def test_own_sessions_retries_do_not_outwait_the_call(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A session that sits out every Retry-After does not sit out one of ours."""
    server.discovery = Script(answers(429, {}, ("Retry-After", "3")), document)
    outcome = new_caller(**OWN, laden=True, timeout=2.0).exchange()

    assert (DiscoveryError, "discovery_failed", 429, True) == outcome.summary
    assert 1 == len(server.at(DISCOVERY))
    assert outcome.seconds < 1.0


def test_own_session_never_gives_an_answer_to_the_next_call(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """What follows an interim answer is never the next call's."""
    hints = head(103, (("Link", "</style.css>; rel=preload"),))
    server.token = Script(after(hints, 0.2), late(0.3))
    caller = new_caller(**OWN)
    first, second = caller.exchange(), caller.exchange(subject_token=ANOTHER)

    assert f"for-{ANOTHER}" == second.access_token
    # requests takes the 103 for the answer, so that the grant is lost, not given away.
    lost = (AmbiguousError, "connection_lost", None, False)
    assert first.summary in (lost, (None, None, None, None))


def test_own_session_behind_a_server_that_cannot_prove_itself(
    server: WireServer, new_caller: Callable[..., Caller], certificates: Certificates
) -> None:
    """A certificate that ran out ends it before the request, without another try."""
    server.discovery = Script(last_document)
    server.greeting = Script(greet.rightly, greet.shows(certificates.out_of_date()))
    outcome = new_caller(**OWN).exchange()

    assert (NotSentError, "tls_failed", None, False) == outcome.summary
    assert 2 == len(server.wires)
