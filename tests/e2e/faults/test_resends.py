"""What may be sent again: each kind of failure, by what it may have done, counted."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

import pytest
from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from joserfc import jws

from auth0_tx import NotSentError, RetryPolicy
from auth0_tx.events import MetadataFetched
from tests.e2e.faults import wire_greetings as greet
from tests.e2e.faults.callers import SUBJECT, Caller
from tests.e2e.faults.wire_behaviours import (
    answers,
    body_until_close,
    chunks_cut,
    closes,
    document,
    grants,
    grants_in_gzip,
    has_body,
    last_document,
    redirects,
    resets,
    stops_after,
    stops_in_error,
)
from tests.e2e.faults.wire_certificates import Certificates
from tests.e2e.faults.wire_server import DISCOVERY, Behaviour, Script, WireServer

ATTEMPTS = 3
PAGE = b"<html></html>", "text/html"
RETRY_AFTER = ("Retry-After", "0")
BUSY = {"error": "too_many_requests"}
BLOCKED = {"error": "too_many_attempts"}
GLOBAL = {
    "error": "access_denied",
    "error_description": "Global limit has been reached",
}
FAST: dict[str, Any] = {"transient_delay": 0.01, "throttled_delay": 0.01}


@frozen
class Row:
    """A failure, after which the server is well, and how often each kind is sent.

    Args:
        failure: What the server does the first time.
        one_time: Sends of a token that may be good for one use.
        reusable: Sends of a token that is good for several.
        document: Sends of a GET for the tenant's metadata; None where it has none.
        policy: What the client is told of retries.
    """

    failure: Behaviour
    one_time: int
    reusable: int
    document: int | None
    policy: dict[str, Any] = field(factory=dict)


ROWS = {
    "408": Row(answers(408, {}), 2, 2, 2),
    "425": Row(answers(425, {}), 2, 2, 2),
    "429": Row(answers(429, BUSY), 2, 2, 2),
    "429 switched off": Row(answers(429, BUSY), 1, 1, 1, {"retry_429": False}),
    "429 blocked": Row(answers(429, BLOCKED), 1, 1, None),
    "503": Row(has_body(503, *PAGE), 1, 2, 2),
    "503 with a time": Row(answers(503, {}, RETRY_AFTER), 1, 2, 2),
    "503 switched on": Row(answers(503, {}, RETRY_AFTER), 2, 2, 2, {"retry_503": True}),
    "503 without a time": Row(answers(503, {}), 1, 2, 2, {"retry_503": True}),
    "reset": Row(resets, 1, 2, 2),
    "closed": Row(closes, 1, 2, 2),
    "reset in the head": Row(stops_after(9, reset=True), 1, 2, None),
    "closed in the body": Row(stops_after(-9, reset=False), 1, 2, None),
    "chunks cut": Row(chunks_cut, 1, 2, None),
    "429 cut off": Row(stops_in_error(429), 2, 2, 2),
    "400 cut off": Row(stops_in_error(400), 1, 1, 1),
    "503 cut off": Row(stops_in_error(503), 2, 2, 2, {"retry_503": True}),
    "500": Row(has_body(500, *PAGE), 1, 2, 2),
    "502": Row(has_body(502, *PAGE), 1, 2, 2),
    "504": Row(has_body(504, *PAGE), 1, 2, 2),
    "500 refusal": Row(answers(500, {"error": "server_error"}), 1, 2, 2),
    "500 global limit": Row(answers(500, GLOBAL), 1, 1, 2),
    "200 truncated": Row(body_until_close, 1, 2, 2),
    "200 page": Row(has_body(200, *PAGE), 1, 2, 2),
    "200 compressed": Row(grants_in_gzip, 1, 2, None),
    "201": Row(answers(201, {}), 1, 1, 1),
    "400": Row(answers(400, {"error": "invalid_grant"}), 1, 1, 1),
    "401": Row(answers(401, {"error": "invalid_client"}), 1, 1, 1),
    "403": Row(answers(403, {"error": "mfa_required"}), 1, 1, 1),
    "404 page": Row(has_body(404, *PAGE), 1, 1, 1),
    "redirect": Row(redirects(307, "https://localhost:1/"), 1, 1, 1),
    "attempts of one": Row(resets, 1, 1, 1, {"attempts": 1}),
}

DOCUMENTS = {name: row for name, row in ROWS.items() if row.document is not None}


@pytest.mark.parametrize("reusable", [False, True], ids=["one-time", "reusable"])
@pytest.mark.parametrize("name", ROWS)
def test_grant_is_sent_as_often_as_its_failure_allows(
    name: str, reusable: bool, server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A grant that may have taken effect is sent once, unless its token is reusable."""
    row = ROWS[name]
    expected = row.reusable if reusable else row.one_time
    server.discovery, server.token = Script(last_document), Script(row.failure, grants)
    caller = new_caller(retry=RetryPolicy(**{**FAST, **row.policy}))
    outcome = caller.exchange(subject_token_reusable=reusable)

    assert expected == len(server.posts)
    assert expected - 1 == outcome.retries
    assert (expected == 2) == (outcome.error is None)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_metadata_is_asked_for_as_often_as_its_failure_allows(
    name: str, server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A GET is sent again after all that may pass, and then the grant is sent once."""
    row = ROWS[name]
    server.discovery = Script(row.failure, document)
    caller = new_caller(retry=RetryPolicy(**{**FAST, **row.policy}))
    outcome = caller.exchange()

    assert row.document == len(server.at(DISCOVERY))
    assert (row.document == 2) == (outcome.error is None)
    assert (1 if row.document == 2 else 0) == len(server.posts)


@pytest.mark.parametrize("reusable", [False, True], ids=["one-time", "reusable"])
def test_unsent_grant_is_sent_once(
    reusable: bool, server: WireServer, caller: Caller
) -> None:
    """A grant that could not leave twice leaves once, whatever its token is."""
    server.discovery = Script(last_document)
    server.greeting = Script(greet.rightly, greet.resets, greet.closes, greet.rightly)
    outcome = caller.exchange(subject_token_reusable=reusable)

    assert outcome.error is None
    assert 2 == outcome.retries
    assert 1 == len(server.posts)


def resolves_nothing(server: WireServer, stack: ExitStack) -> None:
    """Find no name any more."""
    patch = stack.enter_context(pytest.MonkeyPatch.context())

    def nowhere(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    patch.setattr(socket, "getaddrinfo", nowhere)


def goes_down(server: WireServer, stack: ExitStack) -> None:
    """Refuse every connection."""
    server.go_down()


def lets_nobody_in(server: WireServer, stack: ExitStack) -> None:
    """Leave every connection waiting."""
    server.go_down()
    queue = stack.enter_context(closing(greet.FullQueue()))
    queue.fill(server.port)


def cuts_handshakes(server: WireServer, stack: ExitStack) -> None:
    """Reset every connection at the client's hello."""
    server.greeting = Script(greet.resets)


UNSENT = [resolves_nothing, goes_down, lets_nobody_in, cuts_handshakes]


@pytest.mark.parametrize("what", ["one-time", "reusable", "document"])
@pytest.mark.parametrize("fault", UNSENT, ids=lambda fault: fault.__name__)
def test_what_cannot_leave_is_tried_as_often_as_the_policy_says(
    fault: Callable[[WireServer, ExitStack], None],
    what: str,
    server: WireServer,
    new_caller: Callable[..., Caller],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where there is no connection each kind of request is tried again, and none is sent."""
    for transport in ("aiohttp_transport", "requests_transport"):
        monkeypatch.setattr(f"auth0_tx.shells.{transport}.LONGEST_CONNECT", 0.2)
    with ExitStack() as stack:

        def begin(event: object) -> None:
            if isinstance(event, MetadataFetched) and event.code is None:
                fault(server, stack)

        server.discovery = Script(last_document)
        # The asyncio client's own connector remembers what name leads where.
        caller = new_caller(own_session=fault is resolves_nothing, on_event=begin)
        if what == "document":
            fault(server, stack)
        outcome = caller.exchange(subject_token_reusable=what == "reusable")

    assert outcome.error is not None
    assert NotSentError is type(outcome.error)
    assert ("discover" if what == "document" else "send") == outcome.error.phase
    assert outcome.error.retry_safe is True
    assert ATTEMPTS - 1 == outcome.retries
    assert [] == server.posts


def test_certificate_does_not_get_better_by_asking(
    server: WireServer, caller: Caller, certificates: Certificates
) -> None:
    """A certificate that was refused is not looked at twice, even for a reusable token."""
    expired = greet.shows(certificates.out_of_date())
    server.discovery = Script(last_document)
    server.greeting = Script(greet.rightly, expired, greet.rightly)
    outcome = caller.exchange(subject_token_reusable=True)

    assert outcome.error is not None
    assert 0 == outcome.retries
    assert [] == server.posts


@pytest.mark.parametrize("attempts", [1, 2, 3, 5])
def test_attempts_end(
    attempts: int, server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A failure that lasts is met as often as the policy says, and no oftener."""
    server.token = Script(resets)
    caller = new_caller(retry=RetryPolicy(attempts=attempts, **FAST))
    outcome = caller.exchange(subject_token_reusable=True)

    assert outcome.error is not None
    assert outcome.error.retry_safe is True
    assert attempts == len(server.posts)


def test_malformed_answer_is_asked_for_again_once(
    server: WireServer, caller: Caller
) -> None:
    """A second broken answer is the server's way, and not worth a third send."""
    server.token = Script(has_body(200, *PAGE), has_body(200, *PAGE), grants)
    outcome = caller.exchange(subject_token_reusable=True)

    assert outcome.error is not None
    assert 2 == len(server.posts)


def test_failures_of_different_kinds_add_up(server: WireServer, caller: Caller) -> None:
    """The attempts are those of the call, whatever each of them met."""
    server.token = Script(resets, has_body(502, *PAGE), answers(429, BUSY), grants)
    outcome = caller.exchange(subject_token_reusable=True)

    assert outcome.error is not None
    assert ATTEMPTS == len(server.posts)


def test_outage_costs_a_budget_and_then_one_send_a_call(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """Ten retries are all that a process spends on an outage; then each call is one send."""
    server.token = Script(resets)
    caller = new_caller(retry=RetryPolicy(transient_delay=0.0))
    for _ in range(20):
        caller.exchange(subject_token_reusable=True)

    assert 20 + 10 == len(server.posts)


def test_successes_pay_for_retries(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """Once the budget is spent, five successes buy one retry, and a retry that works none."""
    caller = new_caller(retry=RetryPolicy(transient_delay=0.0, attempts=2, budget=5))
    server.token = Script(resets, resets)
    caller.exchange(subject_token_reusable=True)
    server.token = Script(*[grants] * 4, resets)
    after_four = [caller.exchange(subject_token_reusable=True) for _ in range(5)]
    server.token = Script(grants, resets, grants)
    after_five = [caller.exchange(subject_token_reusable=True) for _ in range(2)]

    assert [0] * 5 == [outcome.retries for outcome in after_four]
    assert after_four[-1].error is not None
    assert [0, 1] == [outcome.retries for outcome in after_five]
    assert after_five[-1].error is None


def test_each_send_is_signed_anew(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A grant sent again has the same parameters and an assertion of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    server.token = Script(resets, has_body(503, *PAGE), grants)
    caller = new_caller(
        client_assertion_signing_key=pem, client_assertion_signing_alg="ES256"
    )
    outcome = caller.exchange(subject_token_reusable=True)
    forms = [post.form for post in server.posts]
    assertions = [form.pop("client_assertion") for form in forms]
    ids = {jws.extract_compact(assertion.encode()).payload for assertion in assertions}

    assert f"for-{SUBJECT}" == outcome.access_token
    assert ATTEMPTS == len(forms)
    assert forms[0] == forms[1] == forms[2]
    assert ATTEMPTS == len(set(assertions))
    assert ATTEMPTS == len(ids)
