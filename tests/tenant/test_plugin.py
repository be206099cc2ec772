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
