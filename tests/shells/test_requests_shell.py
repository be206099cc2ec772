"""The blocking shell: a request whole out, a reply whole in, a failure in our words."""

from __future__ import annotations

import ssl
from typing import Any

import attrs
import pytest
import requests
import responses

from auth0_tx import (
    AmbiguousError,
    ConfigurationError,
    NotSentError,
    RetryPolicy,
    ServerClient,
)
from auth0_tx.shells.requests_transport import RequestsTransport
from auth0_tx.shells.tls import Trust
from tests.shells.exchange_on_paper import (
    COMMON_HEADERS,
    EXPECTED,
    FORM,
    FORM_HEADERS,
    METADATA,
    METADATA_URL,
    OPTIONS,
    SETTINGS,
    TOKEN_URL,
    TOKENS,
)


@pytest.fixture
def replies(requests_replies: responses.RequestsMock) -> responses.RequestsMock:
    """A tenant that publishes its metadata."""
    requests_replies.get(METADATA_URL, json=METADATA)
    return requests_replies


def test_request_and_reply(replies: responses.RequestsMock) -> None:
    """What leaves is the grant and its headers, nothing else; what comes back is the tokens."""
    replies.post(TOKEN_URL, body=TOKENS, content_type="application/json")
    with ServerClient(**SETTINGS) as client:
        response = client.custom_token_exchange(OPTIONS)

    discovery, grant = (call.request for call in replies.calls)
    assert ("GET", METADATA_URL, None) == (
        discovery.method,
        discovery.url,
        discovery.body,
    )
    assert COMMON_HEADERS == dict(discovery.headers)
    assert ("POST", TOKEN_URL, FORM) == (grant.method, grant.url, grant.body)
    assert {**FORM_HEADERS, "Content-Length": str(len(FORM))} == dict(grant.headers)
    assert EXPECTED.items() <= attrs.asdict(response).items()


@pytest.mark.parametrize(
    ("failure", "error", "code"),
    [
        (requests.ConnectTimeout("c"), NotSentError, "timeout"),
        (
            requests.exceptions.SSLError(ssl.SSLCertVerificationError(1, "expired")),
            NotSentError,
            "tls_failed",
        ),
        (requests.ReadTimeout("r"), AmbiguousError, "timeout"),
        (requests.ConnectionError("e"), AmbiguousError, "connection_lost"),
        (
            requests.exceptions.ChunkedEncodingError("e"),
            AmbiguousError,
            "connection_lost",
        ),
    ],
)
def test_failure(
    replies: responses.RequestsMock,
    failure: Exception,
    error: type[Exception],
    code: str,
) -> None:
    """A failure of the library's, on the application's session, is told in our words."""
    replies.post(TOKEN_URL, body=failure)
    with (
        requests.Session() as session,
        ServerClient(
            **SETTINGS, session=session, retry=RetryPolicy(attempts=1)
        ) as client,
        pytest.raises(error) as caught,
    ):
        client.custom_token_exchange(OPTIONS)

    assert code == caught.value.code  # type: ignore[attr-defined]
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


class CountsCloses(requests.Session):
    """A session of the application's own."""

    closed = 0

    def close(self) -> None:
        """Count it."""
        self.closed += 1
        super().close()


def test_the_applications_session(replies: responses.RequestsMock) -> None:
    """The application's session is used with its own ways to connect, and left open."""
    replies.post(TOKEN_URL, body=TOKENS, content_type="application/json")
    session = CountsCloses()
    session.headers["X-Of-The-Application"] = "not sent"
    with ServerClient(**SETTINGS, session=session) as client:
        client.custom_token_exchange(OPTIONS)

    assert 0 == session.closed
    assert 2 == len(replies.calls)
    assert FORM_HEADERS.items() <= dict(replies.calls[1].request.headers).items()
    assert "X-Of-The-Application" not in replies.calls[1].request.headers


def test_its_own_connections(replies: responses.RequestsMock) -> None:
    """Connections that the client made are closed with it."""
    replies.post(TOKEN_URL, body=TOKENS, content_type="application/json")
    with ServerClient(**SETTINGS) as client:
        client.custom_token_exchange(OPTIONS)
        adapter: Any = client._transport._adapter
        adapter.get_connection_with_tls_context(
            requests.Request("GET", TOKEN_URL).prepare(), True
        )
        pools = adapter.poolmanager.pools
        before = len(pools)

    assert (1, 0) == (before, len(pools))


@pytest.mark.parametrize("session", ["a session", object(), requests])
def test_what_is_no_session(session: Any) -> None:
    """What is no requests.Session is refused when the client is made."""
    with pytest.raises(ConfigurationError, match=r"requests\.Session") as caught:
        ServerClient(**SETTINGS, session=session)

    assert "session" == caught.value.parameter


def test_a_transport_that_never_connected() -> None:
    """There is nothing to close before the first request."""
    transport = RequestsTransport(None, Trust(True, False), None, False, 1)
    transport.close()

    assert transport._adapter is None
