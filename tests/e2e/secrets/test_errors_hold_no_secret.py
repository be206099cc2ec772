"""Every error, made for real in both worlds, holds none of the secrets it is about."""

from __future__ import annotations

import json
import traceback

import pytest
from joserfc.jwk import RSAKey

from auth0_tx import Auth0Error, RefusedError
from auth0_tx.tenant import Application, Tenant
from tests.e2e.secrets.error_cases import CASES, PRIVATE, RETURNED, Case, subjects
from tests.e2e.secrets.exposure_walk import everything_in
from tests.e2e.secrets.two_worlds import (
    WORLDS,
    World,
    exchange,
    options_of,
    settings_of,
)
from tests.secret_needles import Needles


@pytest.fixture
def tenant(auth0_tenant: Tenant, needles: Needles) -> Tenant:
    """A tenant with a subject token that the cases share."""
    subjects[auth0_tenant] = auth0_tenant.subject_token("auth0|alice")
    needles.add(PRIVATE, name="the private key")
    return auth0_tenant


def error_of(case: Case, world: World, tenant: Tenant) -> Auth0Error:
    """Return the error that the case ends in, raised or as ``act_error``."""
    settings = settings_of(tenant, **case.settings(tenant))
    options = options_of(tenant, **case.options(tenant))
    case.prepare(tenant)
    try:
        response = exchange(world, settings, options, closed=case.closed)
    except Auth0Error as error:
        return error
    assert response.act_error is not None
    return response.act_error


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", CASES)
def test_raised(tenant: Tenant, needles: Needles, name: str, world: World) -> None:
    """An error that is raised shows no secret, in no place, and holds nothing foreign."""
    error = error_of(CASES[name], world, tenant)

    assert CASES[name].error is type(error)
    assert [] == [place for place, text in everything_in(error) if needles.find(text)]
    assert (None, None) == (error.__cause__, error.__context__)
    assert_passed_no_library(error)
    assert_restored(error)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", RETURNED)
def test_returned(tenant: Tenant, needles: Needles, name: str, world: World) -> None:
    """An error that comes beside the tokens shows no secret either."""
    error = error_of(RETURNED[name], world, tenant)

    assert RETURNED[name].error is type(error)
    assert [] == [place for place, text in everything_in(error) if needles.find(text)]
    assert (None, None) == (error.__cause__, error.__context__)
    assert_restored(error)


@pytest.mark.parametrize("world", WORLDS)
def test_private_key_jwt(tenant: Tenant, needles: Needles, world: World) -> None:
    """Neither a private key nor what it signed shows in a refusal."""
    key, other = (RSAKey.generate_key(2048, private=True) for _ in range(2))
    tenant.applications.add(
        Application(
            "signing",
            token_endpoint_auth_method="private_key_jwt",
            credentials=[other.as_pem(private=False)],
        )
    )
    settings = settings_of(
        tenant,
        client_id="signing",
        client_secret=None,
        client_assertion_signing_key=key.as_pem(private=True),
    )
    with pytest.raises(RefusedError) as caught:
        exchange(world, settings, options_of(tenant))

    assert [] == [
        place for place, text in everything_in(caught.value) if needles.find(text)
    ]


def assert_passed_no_library(error: Auth0Error) -> None:
    """No frame of an HTTP library is in the traceback: its locals are the request."""
    files = [
        frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    libraries = ("/requests/", "/urllib3/", "/aiohttp/", "/http/client")
    assert [] == [file for file in files if any(name in file for name in libraries)]


def assert_restored(error: Auth0Error) -> None:
    """Its arguments are its whole state, and go through JSON, as in a Celery result."""
    restored = type(error)(*json.loads(json.dumps(error.args)))
    assert (str(error), error.args) == (str(restored), restored.args)
