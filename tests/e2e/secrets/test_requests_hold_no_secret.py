"""Secrets go in the body, or in the Authorization header; nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc.jwk import RSAKey

from auth0_tx.tenant import Application, Tenant
from tests.e2e.secrets.two_worlds import (
    WORLDS,
    World,
    exchange,
    options_of,
    settings_of,
)
from tests.secret_needles import Needles

KEY = RSAKey.generate_key(2048, private=True)

METHODS: dict[str, dict[str, Any]] = {
    "client_secret_post": {},
    "client_secret_basic": {"client_auth": "client_secret_basic"},
    "private_key_jwt": {
        "client_id": "signing",
        "client_secret": None,
        "client_assertion_signing_key": KEY.as_pem(private=True),
    },
    "none": {"client_id": "public", "client_secret": None, "client_auth": "none"},
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("method", METHODS)
def test_where_secrets_are(
    auth0_tenant: Tenant, needles: Needles, method: str, world: World
) -> None:
    """No URL and no header but Authorization carries a secret, by any authentication."""
    auth0_tenant.applications.add(
        Application(
            "signing",
            token_endpoint_auth_method="private_key_jwt",
            credentials=[KEY.as_pem(private=False)],
        )
    )
    auth0_tenant.applications.add(
        Application("public", token_endpoint_auth_method="none")
    )
    exchange(
        world, settings_of(auth0_tenant, **METHODS[method]), options_of(auth0_tenant)
    )

    paths = [request.path for request in auth0_tenant.requests]
    places = [
        place
        for request in auth0_tenant.requests
        for place, text in {
            "query": request.query,
            "path": request.path,
            **{f"header {name}": value for name, value in request.headers.items()},
        }.items()
        if needles.find(text)
    ]
    in_bodies = [
        request.path
        for request in auth0_tenant.requests
        if needles.find(str(request.form))
    ]
    basic = method == "client_secret_basic"
    assert ["/oauth/token"] == in_bodies
    assert (["header authorization"] if basic else []) == places
    assert {""} == {request.query for request in auth0_tenant.requests}
    assert 3 == len(paths)
