"""Who may call the token endpoint, and how they prove it."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest

from auth0_tx.tenant import Application, Reply, Tenant
from tests.tenant.tenant_caller import FORM, Caller, read_refusal

FAILED = (401, "invalid_client", "Client authentication failed")


def build_basic_header(client_id: str, secret: str) -> dict[str, str]:
    """Return the headers of client_secret_basic (RFC 6749 2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {
        **FORM,
        "authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
    }


def exchange_with_headers(
    caller: Caller, headers: dict[str, str], **changes: Any
) -> Reply:
    """Exchange with ``headers`` and no credentials in the body."""
    form = caller.build_form(**{"client_id": None, "client_secret": None, **changes})
    return caller.post(urlencode(form).encode(), headers)


def test_secret_in_the_body_or_in_a_header(caller: Caller) -> None:
    """The default application may send its secret either way."""
    headers = build_basic_header(caller.tenant.client_id, caller.tenant.client_secret)

    assert 200 == caller.exchange().status
    assert 200 == exchange_with_headers(caller, headers).status
    same = {"client_id": caller.tenant.client_id}
    assert 200 == exchange_with_headers(caller, headers, **same).status


def test_basic_credentials_are_form_decoded(caller: Caller) -> None:
    """Odd characters survive a Basic header, as both halves are form-encoded."""
    caller.tenant.applications.add(Application("id:ü %", "se cret+%:ß"))

    assert (
        200
        == exchange_with_headers(
            caller, build_basic_header("id:ü %", "se cret+%:ß")
        ).status
    )


def test_wrong_secret(caller: Caller) -> None:
    """A wrong secret is refused in Auth0's words; in a header, with a challenge."""
    body = caller.exchange(client_secret="wrong")
    header = exchange_with_headers(
        caller, build_basic_header(caller.tenant.client_id, "wrong")
    )

    assert (
        (401, "access_denied", "Unauthorized")
        == read_refusal(body)
        == read_refusal(header)
    )
    assert "WWW-Authenticate" not in dict(body.headers)
    assert dict(header.headers)["WWW-Authenticate"].startswith("Basic ")


def test_unknown_client(caller: Caller) -> None:
    """An unknown client_id is refused."""
    assert FAILED == read_refusal(caller.exchange(client_id="nobody"))


def test_client_id_is_required(caller: Caller) -> None:
    """A request from nobody at all is told what is missing."""
    assert (
        "Missing required parameter: client_id"
        == read_refusal(caller.exchange(client_id=None, client_secret=None))[2]
    )


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no-colon").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic " + base64.b64encode(b"%ff:x").decode(),
        "Bearer abc",
    ],
)
def test_malformed_authorization(caller: Caller, value: str) -> None:
    """An Authorization header without Basic credentials is refused."""
    assert FAILED == read_refusal(
        exchange_with_headers(caller, {**FORM, "authorization": value})
    )


def test_two_methods_at_once(caller: Caller) -> None:
    """A header and a secret in the body together are refused, though both are right."""
    tenant = caller.tenant
    reply = exchange_with_headers(
        caller,
        build_basic_header(tenant.client_id, tenant.client_secret),
        client_secret=tenant.client_secret,
    )

    assert (400, "invalid_request") == read_refusal(reply)[:2]


def test_client_id_must_agree(caller: Caller) -> None:
    """A client_id in the body other than the header's is refused."""
    headers = build_basic_header(caller.tenant.client_id, caller.tenant.client_secret)

    assert FAILED == read_refusal(
        exchange_with_headers(caller, headers, client_id="other")
    )


@pytest.mark.parametrize(
    ("method", "post", "in_header", "alone"),
    [
        ("client_secret_post", 200, 401, 401),
        ("client_secret_basic", 401, 200, 401),
        ("none", 401, 401, 200),
        (None, 200, 200, 401),
    ],
)
def test_method_is_enforced(
    caller: Caller, method: Any, post: int, in_header: int, alone: int
) -> None:
    """An application authenticates by its own method, and by no other."""
    caller.tenant.applications.add(
        Application("app", "secret", token_endpoint_auth_method=method)
    )
    statuses = [
        caller.exchange(client_id="app", client_secret="secret").status,
        exchange_with_headers(caller, build_basic_header("app", "secret")).status,
        caller.exchange(client_id="app", client_secret=None).status,
    ]

    assert [post, in_header, alone] == statuses


def test_trusted_forwarded_address(tenant: Tenant) -> None:
    """The forwarded address counts for an application that is trusted with it."""
    caller = Caller(tenant)
    body = urlencode(caller.build_form()).encode()
    headers = {**FORM, "auth0-forwarded-for": "203.0.113.7"}
    caller.post(body, headers)
    tenant.applications.change(tenant.client_id, trust_forwarded_for=True)
    caller.post(body, headers)

    assert ["127.0.0.1", "203.0.113.7"] == [entry.ip for entry in tenant.logs]
