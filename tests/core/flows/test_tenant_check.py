"""The check of a tenant: its documents fetched anew, and reported on."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_tx.core.flows.tenant_documents import check_tenant, prepare
from auth0_tx.errors import DiscoveryError, NotSentError, SigningKeyError
from auth0_tx.results import TenantCheck
from auth0_tx.values import RetryPolicy
from tests.core.id_tokens import build_jwks_response
from tests.core.world import (
    DISCOVERY_URL,
    DOCUMENT,
    DOMAIN,
    ISSUER,
    JWKS_URI,
    NOW,
    Clock,
    build_client,
    build_response,
    fail,
    play,
)

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
"""The time that the clock of the tests has."""

NO_RETRIES = RetryPolicy(attempts=1)


def test_healthy_tenant() -> None:
    """The issuer, the usable keys and the clocks' difference are reported."""
    context = build_client(Clock(NOW + 2.5), knows_metadata=False)
    check, asked = play(
        check_tenant(context),
        build_response(DOCUMENT, date=DATE),
        build_jwks_response("key-1", "key-2"),
    )

    assert TenantCheck(issuer=ISSUER, signing_keys=2, clock_skew=2.5) == check
    assert [DISCOVERY_URL, JWKS_URI] == [request.url for request in asked.requests]


def test_caches_are_not_used() -> None:
    """Cached documents are fetched all the same, and stay as they are."""
    context = build_client(Clock(), knows_metadata=False)
    play(prepare(context), build_response(DOCUMENT), build_jwks_response("key-1"))
    cached = context.metadata.get(DOMAIN), context.key_sets.get(JWKS_URI)
    error, asked = fail(check_tenant(context), build_response(b"", 404))

    assert isinstance(error, DiscoveryError)
    assert [DISCOVERY_URL] == [request.url for request in asked.requests]
    assert cached == (context.metadata.get(DOMAIN), context.key_sets.get(JWKS_URI))


def test_resolver() -> None:
    """The domain resolver gets the caller's options, and its tenant is checked."""
    context = build_client(
        Clock(), knows_metadata=False, domain=lambda options: options["tenant"]
    )
    check, _ = play(
        check_tenant(context, {"tenant": DOMAIN}),
        build_response(DOCUMENT),
        build_jwks_response("key-1"),
    )

    assert ISSUER == check.issuer


@pytest.mark.parametrize("date", [None, "yesterday", "Tue, 14 Nov 2023 22:13:20 +0100"])
def test_no_date(date: str | None) -> None:
    """Without a valid date of the tenant, the clocks are not compared."""
    context = build_client(Clock(), knows_metadata=False)
    headers = {} if date is None else {"date": date}
    check, _ = play(
        check_tenant(context),
        build_response(DOCUMENT, **headers),
        build_jwks_response("key-1"),
    )

    assert check.clock_skew is None


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (build_response({"keys": "none"}), "is not an object with a list of keys"),
        (build_response({"keys": []}), "no usable key"),
        (build_response(b"", 500), "cannot be fetched"),
        (lambda _: NotSentError("no connection"), "no connection"),
    ],
    ids=["malformed", "empty", "status", "unreachable"],
)
def test_keys_fail(reply: Any, message: str) -> None:
    """Keys that cannot be had do not hide what the metadata says."""
    context = build_client(Clock(), knows_metadata=False, retry=NO_RETRIES)
    check, _ = play(check_tenant(context), build_response(DOCUMENT, date=DATE), reply)

    assert (ISSUER, 0, 0.0) == (check.issuer, check.signing_keys, check.clock_skew)
    assert isinstance(check.keys_error, SigningKeyError)
    assert message in check.keys_error.message
    assert check.keys_error.__traceback__ is None


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (
            build_response({**DOCUMENT, "issuer": "https://other.example/"}),
            DiscoveryError,
        ),
        (build_response(b"<html>"), DiscoveryError),
        (lambda _: NotSentError("no connection"), NotSentError),
    ],
    ids=["other-issuer", "html", "unreachable"],
)
def test_metadata_fails(reply: Any, error: type[Exception]) -> None:
    """Without valid metadata the check raises, and asks for no keys."""
    context = build_client(Clock(), knows_metadata=False, retry=NO_RETRIES)
    raised, asked = fail(check_tenant(context), reply)

    assert isinstance(raised, error)
    assert JWKS_URI not in [request.url for request in asked.requests]
