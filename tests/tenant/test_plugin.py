"""The pytest plugin, as a project that uses it sees it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

USE = """
import ssl, json
from http.client import HTTPSConnection
from auth0_tx.tenant import Tenant

seen = []

def discover(tenant):
    context = ssl.create_default_context(cafile=tenant.ca_file)
    host, _, port = tenant.domain.partition(":")
    connection = HTTPSConnection(host, int(port), context=context)
    connection.request("GET", "/.well-known/openid-configuration")
    document = json.loads(connection.getresponse().read())
    connection.close()
    return document["issuer"]

def test_one(auth0_tenant):
    assert isinstance(auth0_tenant, Tenant)
    assert auth0_tenant.issuer == discover(auth0_tenant)
    assert 1 == len(auth0_tenant.requests)
    seen.append(auth0_tenant)

def test_two(auth0_tenant, auth0_tenant_keys, auth0_tenant_certificates):
    assert auth0_tenant is not seen[0]
    assert auth0_tenant.ca_file == seen[0].ca_file
    assert () == auth0_tenant.requests
    with Tenant(
        keys=auth0_tenant_keys, certificates=auth0_tenant_certificates
    ) as second:
        assert second.issuer == discover(second)
"""


def test_fixtures(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test gets a fresh tenant, with the session's certificate."""
    # Named once: as an installed entry point it would be loaded already.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(USE)
    result = pytester.runpytest_inprocess(
        "-p", "auth0_tx.testing.pytest_plugin", "-W", "error"
    )

    result.assert_outcomes(passed=2)


SETTINGS = """
import pytest
from auth0_tx import CustomTokenExchangeOptions, ServerClient

lifetimes = []

def exchange(tenant, settings):
    with ServerClient(**settings) as client:
        return client.custom_token_exchange(
            CustomTokenExchangeOptions(
                subject_token=tenant.subject_token("auth0|alice"),
                subject_token_type="urn:acme:legacy-token",
            )
        )

def test_settings(auth0_tenant, auth0_client_settings):
    assert auth0_tenant.client_settings == {
        "domain": auth0_tenant.domain,
        "client_id": auth0_tenant.client_id,
        "client_secret": auth0_tenant.client_secret,
        "verify": auth0_tenant.ca_file,
    }
    assert exchange(auth0_tenant, auth0_client_settings).access_token
    assert 1 == auth0_tenant.count("/oauth/token")

def test_clock(auth0_tenant, auth0_client_settings, auth0_clock):
    before = exchange(auth0_tenant, auth0_client_settings).expires_at
    auth0_clock.move(86_400)
    assert 86_400 <= exchange(auth0_tenant, auth0_client_settings).expires_at - before < 86_460
    lifetimes.append(before)

def test_clock_is_reset(auth0_tenant, auth0_client_settings):
    assert exchange(auth0_tenant, auth0_client_settings).expires_at - lifetimes[0] < 60

seen = []

@pytest.fixture(scope="session")
def application(auth0_session_tenant, auth0_session_client_settings):
    seen.append(auth0_session_tenant)
    return auth0_session_client_settings

@pytest.mark.parametrize("number", [1, 2])
def test_session_tenant(application, auth0_session_tenant, number):
    assert [auth0_session_tenant] == seen
    assert 0 == auth0_session_tenant.count("/oauth/token")
    exchange(auth0_session_tenant, application)
    assert 1 == auth0_session_tenant.count("/oauth/token")

def test_clock_of_the_session_tenant(application, auth0_session_tenant, auth0_clock):
    before = exchange(auth0_session_tenant, application).expires_at
    auth0_clock.move(-3_600)
    assert exchange(auth0_session_tenant, application).expires_at < before - 3_000
"""


def test_settings_and_clock(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client has its keywords from a fixture, and a test moves the time of both sides."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(SETTINGS)
    result = pytester.runpytest_subprocess(
        "-p", "auth0_tx.testing.pytest_plugin", "-W", "error"
    )

    result.assert_outcomes(passed=6)


def test_plugin_is_light() -> None:
    """Loading the plugin loads neither the tenant nor any library it needs."""
    program = (
        "import sys; import pytest; before = set(sys.modules);"
        "import auth0_tx.testing.pytest_plugin;"
        "roots = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "assert 'auth0_tx.tenant' not in sys.modules;"
        "assert not roots & {'cryptography', 'joserfc', 'authlib', 'ssl', 'requests',"
        "'aiohttp'}, roots"
    )

    subprocess.run([sys.executable, "-c", program], check=True)
