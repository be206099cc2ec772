"""Exchanges while the interpreter ends, when no thread can be started any more."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from auth0_tx.tenant import Tenant

PROGRAM = """
import asyncio, atexit, json, sys
from auth0_tx import (
    AsyncServerClient, Auth0Error, CustomTokenExchangeOptions, ServerClient
)

told = json.loads(sys.argv[1])
is_async = told["world"] == "async"
client = (AsyncServerClient if is_async else ServerClient)(**told["settings"])
options = CustomTokenExchangeOptions(
    subject_token=told["token"], subject_token_type="urn:acme:legacy-token"
)


def run(method, *arguments):
    return asyncio.run(method(*arguments)) if is_async else method(*arguments)


def exchange_late():
    try:
        run(client.custom_token_exchange, options)
    except Auth0Error as error:
        print(type(error).__name__)
    else:
        print("exchanged")


atexit.register(exchange_late)
if told["is_warm"]:
    run(client.prepare)
"""


@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("world", ["blocking", "async"])
def test_exchange_at_exit(auth0_tenant: Tenant, world: str, is_warm: bool) -> None:
    """It succeeds, or fails with an error that says that nothing was sent."""
    told = {
        "world": world,
        "is_warm": is_warm,
        "settings": auth0_tenant.client_settings,
        "token": auth0_tenant.subject_token("auth0|alice"),
    }

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(told)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    outcome = done.stdout.strip()
    assert outcome in ("exchanged", "NotSentError")
    assert (outcome == "exchanged") == (auth0_tenant.count("/oauth/token") == 1)
