"""A user's own failing test, run with --showlocals, shows no secret from our frames."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from joserfc.jwk import ECKey

from tests.secret_needles import Needles

USERS_TEST = '''
import os, pytest
from auth0_tx import *
from auth0_tx.tenant import Tenant, faults

SUBJECT, SECRET = os.environ["A_SUBJECT"], os.environ["A_SECRET"]

@pytest.fixture
def settings(auth0_tenant):
    auth0_tenant.inject(faults.reset(), times=None)
    return dict(domain=auth0_tenant.domain, client_id="local-client",
                verify=auth0_tenant.ca_file)

def options(**changes):
    return CustomTokenExchangeOptions(**{
        "subject_token": SUBJECT, "subject_token_type": "urn:acme:legacy-token",
        "actor_token": SUBJECT, "actor_token_type": "urn:acme:legacy-token",
        "authorization_params": {"hint": SECRET}, **changes})

@pytest.fixture
def given():
    """Made here, so that no frame of the test's own holds them."""
    return lambda **changes: options(**changes)

def secret(text=None):
    return {"client_secret": (text or "") + SECRET}

def test_lost(settings, given):
    with ServerClient(**settings, **secret()) as client:
        client.custom_token_exchange(given())

async def test_lost_async(settings, given):
    async with AsyncServerClient(**settings, **secret()) as client:
        await client.custom_token_exchange(given())

def test_input(settings, given):
    with ServerClient(**settings, **secret()) as client:
        client.custom_token_exchange(given(actor_token=" " + SUBJECT))

def test_configuration(settings):
    ServerClient(**settings, **secret(" "))

def test_key(settings):
    ServerClient(**settings, client_assertion_signing_key=os.environ["A_KEY"])

def test_refused(settings, given, auth0_tenant):
    auth0_tenant.clear()
    with ServerClient(**settings, **secret()) as client:
        client.custom_token_exchange(given())

def test_deep_inside(settings, given, monkeypatch):
    """A bug, of ours or of the user's patch, deep in the transport."""
    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", lambda *a, **k: 1 / 0)
    with ServerClient(**settings, **secret()) as client:
        client.custom_token_exchange(given())
'''


def test_showlocals(tmp_path: Path, needles: Needles) -> None:
    """Every frame of ours is shown with its locals, and none of them is a secret."""
    key = ECKey.generate_key("P-256", private=True).as_pem(private=True).decode()
    environment = {
        "A_SUBJECT": "subject-Yt61!vQz~0pLm8Kd",
        "A_SECRET": "client-Gx93-uWb*7rNe2Hf",
        "A_KEY": key,
    }
    for name, value in environment.items():
        needles.add(value, name=name)
    (tmp_path / "test_users.py").write_text(USERS_TEST)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "test_users.py", "--showlocals", "-vv"),
            *("--tb=long", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider"),
        ],
        cwd=tmp_path,
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "7 failed" in done.stdout
    # Our frames were printed, and so were their locals.
    assert "requests_transport.py" in done.stdout
    assert "<redacted>" in done.stdout
    assert [] == [line for line in done.stdout.splitlines() if needles.find(line)]
    assert needles.find(done.stderr) is None
