"""``/oauth/revoke``: which tokens end, and how little it says (RFC 7009)."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import HTTPSConnection
from urllib.parse import urlencode

import pytest

from auth0_tx.tenant import Application, Reply, Tenant
from tests.tenant.tenant_caller import FORM, Caller, read_refusal

PATH = "/oauth/revoke"


def revoke(caller: Caller, token: str | None, **changes: str | None) -> Reply:
    """Revoke ``token``, with ``changes`` to the form; None leaves a name out."""
    form = {
        "client_id": caller.tenant.client_id,
        "client_secret": caller.tenant.client_secret,
        "token": token,
        **changes,
    }
    sent = {name: value for name, value in form.items() if value is not None}
    return caller.post(urlencode(sent).encode(), path=PATH)


def test_revocation_ends_the_family(caller: Caller) -> None:
    """A revoked token is unknown from then on, and so are those it descends from."""
    first = caller.issue_refresh_token()
    second = caller.refresh(first).members["refresh_token"]
    other = caller.issue_refresh_token()
    reply = revoke(caller, second)

    assert (200, b"") == (reply.status, reply.body)
    assert ("srrt", "auth0|alice") == (
        caller.tenant.logs[-1].type,
        caller.tenant.logs[-1].user_id,
    )
    for token in (first, second):
        assert (403, "invalid_grant") == read_refusal(caller.refresh(token))[:2]
    assert 200 == caller.refresh(other).status


@pytest.mark.parametrize("hint", [None, "refresh_token", "access_token", "nonsense"])
def test_hint_decides_nothing(caller: Caller, hint: str | None) -> None:
    """A token_type_hint is no more than that."""
    token = caller.issue_refresh_token()

    assert 200 == revoke(caller, token, token_type_hint=hint).status
    assert 403 == caller.refresh(token).status


def test_unknown_token(caller: Caller) -> None:
    """An unknown token, and one revoked before, are as good as revoked."""
    token = caller.issue_refresh_token()
    replies = [revoke(caller, value) for value in ("unknown", token, token)]

    assert {(200, b"")} == {(reply.status, reply.body) for reply in replies}
    assert 1 == [entry.type for entry in caller.tenant.logs].count("srrt")


def test_access_tokens_cannot_be_revoked(caller: Caller) -> None:
    """An access token is answered like an unknown one, and stays good."""
    token = caller.exchange(scope="openid").members["access_token"]

    assert 200 == revoke(caller, token).status
    headers = {"Authorization": f"Bearer {token}"}
    assert 200 == caller.get("/userinfo", headers=headers).status


def test_of_another_client(caller: Caller) -> None:
    """Another client's revocation says nothing and does nothing."""
    caller.tenant.applications.add(Application("other", "secret"))
    token = caller.issue_refresh_token()
    reply = revoke(caller, token, client_id="other", client_secret="secret")

    assert (200, b"") == (reply.status, reply.body)
    assert 200 == caller.refresh(token).status


def test_client_must_prove_itself(caller: Caller) -> None:
    """A client that does not authenticate is refused, and a public one need not."""
    token = caller.issue_refresh_token()

    assert 401 == revoke(caller, token, client_secret="wrong").status
    assert 401 == revoke(caller, token, client_secret=None).status
    assert 200 == caller.refresh(token).status
    caller.tenant.applications.add(
        Application("spa", token_endpoint_auth_method="none")
    )
    of_spa = caller.issue_refresh_token(client_id="spa", client_secret="")
    assert 200 == revoke(caller, of_spa, client_id="spa", client_secret=None).status
    assert of_spa not in caller.tenant.refresh_tokens


def test_malformed(caller: Caller) -> None:
    """A revocation without a token, or of no form, is an invalid request."""
    assert (400, "invalid_request") == read_refusal(revoke(caller, None))[:2]
    assert (400, "invalid_request") == read_refusal(
        caller.post(b"<x/>", {}, path=PATH)
    )[:2]


def test_over_the_wire(served: Tenant, connect: Callable[..., HTTPSConnection]) -> None:
    """A client finds the endpoint by discovery, and may send JSON."""
    connection = connect()
    connection.request("GET", "/.well-known/openid-configuration")
    endpoint = json.loads(connection.getresponse().read())["revocation_endpoint"]
    token = Caller(served).issue_refresh_token()
    body = {
        "client_id": served.client_id,
        "client_secret": served.client_secret,
        "token": token,
    }
    connection.request(
        "POST", PATH, json.dumps(body), {**FORM, "content-type": "application/json"}
    )
    response = connection.getresponse()

    assert f"{served.issuer}oauth/revoke" == endpoint
    assert (200, b"") == (response.status, response.read())
    assert (0, 1) == (len(served.refresh_tokens), served.count(PATH))
