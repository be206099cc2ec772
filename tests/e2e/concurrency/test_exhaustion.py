"""Processes that have no descriptor left, or no thread: nothing is sent, and later calls work."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import patch

import pytest

from auth0_tx import AsyncServerClient, NotSentError, ServerClient
from auth0_tx.shells.companions import companion_thread
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant
from tests.e2e.concurrency.volume import TOKEN, VolumeIssuer, options
from tests.e2e.sessions.logins import AUDIENCE, log_in, make_settings

no_thread = patch.object(
    threading.Thread, "start", side_effect=RuntimeError("can't start new thread")
)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@pytest.mark.parametrize("world", ["blocking", "async"])
def test_no_descriptor(issuer: VolumeIssuer, world: str) -> None:
    """A call without a descriptor for it sends nothing, and the next one has its answer."""
    program = Path(__file__).with_name("without_descriptors.py")
    done = subprocess.run(
        [
            sys.executable,
            str(program),
            world,
            json.dumps(issuer.settings(timeout=10.0)),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "" == done.stderr
    found = json.loads(done.stdout)
    refused, exchanged = "NotSentError connection_failed True", "for.during"
    for state in ("cold", "prepared"):
        assert [0, refused, "for.after"] == found[state][0]
        assert {refused, exchanged} == {during for _, during, _ in found[state]}
    # A connection that is kept needs no descriptor.
    assert {exchanged} == {during for _, during, _ in found["warm"]}
    everything = [row for rows in found.values() for row in rows]
    assert {"for.after"} == {after for _, _, after in everything}
    sent = [request for request in issuer.record().requests if request[2] == "during"]
    assert [during for _, during, _ in everything].count(exchanged) == len(sent)


@pytest.mark.parametrize("is_prepared", [False, True])
def test_no_thread_for_the_resolver(issuer: VolumeIssuer, is_prepared: bool) -> None:
    """A call whose name lookup gets no thread sends nothing, and the next one has its answer."""
    client = AsyncServerClient(**issuer.settings())
    if is_prepared:
        asyncio.run(client.prepare())

    async def exchange_twice() -> tuple[NotSentError, str]:
        async with client:
            with no_thread, pytest.raises(NotSentError) as caught:
                await client.custom_token_exchange(options("during"))
            after = await client.custom_token_exchange(options("after"))
            return caught.value, str(after.access_token)

    error, after = asyncio.run(exchange_twice())

    assert ("connection_failed", True) == (error.code, error.retry_safe)
    assert "for.after" == after
    assert 1 == issuer.record().count(TOKEN)


def test_no_thread_for_a_companion(
    auth0_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session is refreshed without the thread that would renew its lock."""
    start, refused = threading.Thread.start, list[str]()

    def start_others(thread: threading.Thread) -> None:
        # The tenant serves each connection in a thread.
        if thread.name.startswith("auth0_tx"):
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    settings = make_settings(auth0_tenant, state_store=MemoryStore())
    with ServerClient(**settings) as client:
        browser = log_in(client, auth0_tenant)
        with monkeypatch.context() as patched:
            patched.setattr(companion_thread, "_thread", None)
            patched.setattr(threading.Thread, "start", start_others)
            before = auth0_tenant.count("/oauth/token")
            client.get_access_token(browser.request(), AUDIENCE)
            refreshes = auth0_tenant.count("/oauth/token") - before
        user = client.get_user(browser.request())

    assert ["auth0_tx companions"] == refused
    assert user is not None
    assert 1 == refreshes
