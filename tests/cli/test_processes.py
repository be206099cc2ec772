"""The command in processes of its own, as users run it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from auth0_tx.tenant import Tenant, faults
from tests.cli.command_runs import (
    Outcome,
    at,
    jwt,
    python,
    run,
    start,
    words_for,
)

HEAVY = ("aiohttp", "requests", "joserfc", "authlib", "cryptography", "asyncio", "rich")


@contextmanager
def serve(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `auth0-tx tenant`; yield the process and the first line it wrote."""
    process = start("tenant", *words)
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


def end(process: subprocess.Popen[str], number: signal.Signals) -> Outcome:
    """Send a signal, and return how the process ended."""
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    return Outcome(process.returncode, out, err)


def test_demo() -> None:
    """`auth0-tx demo` runs in a fresh process, and writes to standard output alone."""
    outcome = run("demo")

    assert (0, "") == (outcome.status, outcome.err)
    assert outcome.out.startswith("auth0-tx: one token in")


def test_help_imports_little() -> None:
    """Help loads no HTTP, JOSE or asyncio library, so that it shows at once."""
    outcome = python(
        "-c",
        "import sys; from auth0_tx.cli import main; main(['--help']); "
        "print(sorted(set(sys.modules)), file=sys.stderr)",
    )

    assert "usage: auth0-tx" in outcome.out
    assert [] == [name for name in HEAVY if f"'{name}'" in outcome.err]


def test_inspect_imports_little() -> None:
    """`inspect` loads none of them either."""
    outcome = python(
        "-c",
        "import sys; from auth0_tx.cli import main; main(['inspect', '--json']); "
        "print(sorted(set(sys.modules)), file=sys.stderr)",
        stdin=jwt({"sub": "auth0|alice"}),
    )

    assert "JWT" == outcome.members["kind"]
    assert [] == [name for name in HEAVY if f"'{name}'" in outcome.err]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_tenant_snippet_and_end(number: signal.Signals) -> None:
    """The printed snippet works when pasted, and a signal ends the tenant cleanly."""
    with serve() as (process, _):
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "asyncio.run(main())\n":
            lines.append(process.stdout.readline())
        rule = next(i for i, line in enumerate(lines) if line.startswith("─"))
        snippet = "".join(lines[rule + 1 :])
        facts = dict(line.split() for line in lines[:rule] if line.startswith("  "))
        interactive = number == signal.SIGINT
        pasted = python("-i" if interactive else "-", stdin=snippet)
        ending = end(process, number)

    assert 2 == pasted.out.count("TokenExchangeResponse(access_token=<redacted>")
    assert "Error" not in pasted.err
    assert (0, "") == (ending.status, ending.out)
    assert [
        "Press Ctrl-C to stop the tenant. Its requests are listed below.",
        *["GET /.well-known/openid-configuration 200", "POST /oauth/token 200"] * 2,
    ] == ending.err.splitlines()
    assert not Path(facts["ca_file"]).parent.exists()


def test_tenant_as_json(tmp_path: Path) -> None:
    """`tenant --json` writes one line of facts, which lead `exchange` to success."""
    ca_file = tmp_path / "ca.pem"
    with serve("--json", "--ca-file", str(ca_file)) as (process, line):
        facts: dict[str, Any] = json.loads(line)
        outcome = run(
            *("exchange", "--json", "--verify", facts["ca_file"]),
            *("--domain", facts["domain"], "--client-id", facts["client_id"]),
            *("--subject-token-type", facts["subject_token_type"]),
            *("--subject-token-file", "-", "--audience", facts["audience"]),
            stdin=facts["subject_token"] + "\n",
            environ={"AUTH0_CLIENT_SECRET": facts["client_secret"]},
        )
        ending = end(process, signal.SIGTERM)

    assert (0, "", "Bearer") == (
        outcome.status,
        outcome.err,
        outcome.members["token_type"],
    )
    assert [] == outcome.shown(facts["subject_token"], facts["client_secret"])
    assert (0, "") == (ending.status, ending.out)


@pytest.mark.parametrize("world", [(), ("--async",)], ids=["blocking", "async"])
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_exchange_is_interrupted(
    tenant: Tenant, number: signal.Signals, status: int, world: tuple[str, ...]
) -> None:
    """An exchange that hangs ends at a signal, without a traceback."""
    tenant.inject(faults.silence(), path="/oauth/token")
    process = start(*words_for(tenant, *world, "--timeout", "60"), environ=at(tenant))
    while not tenant.count("/oauth/token"):
        assert process.poll() is None
    outcome = end(process, number)

    assert (status, "", "") == (outcome.status, outcome.out, outcome.err)


def test_signal_in_any_callback() -> None:
    """A signal that comes while a callback runs ends the run, and is not lost in it."""
    outcome = python(
        "-c",
        """
import asyncio, os, signal
from auth0_tx.cli.signals import Terminated, exit_on_signals, run_coroutine

async def main():
    loop = asyncio.get_running_loop()
    # What a callback raises, the loop logs; what a lost task raises, nobody hears.
    loop.call_soon(os.kill, os.getpid(), signal.SIGTERM)
    lost = asyncio.create_task(asyncio.to_thread(os.kill, os.getpid(), signal.SIGTERM))
    try:
        await asyncio.sleep(30)
    finally:
        print("closed")

with exit_on_signals():
    before = signal.getsignal(signal.SIGTERM)
    try:
        run_coroutine(main())
    except Terminated:
        print("terminated", before is signal.getsignal(signal.SIGTERM))
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 5)
    except Terminated:
        print("terminated again")
""",
    )

    assert (0, "closed\nterminated True\nterminated again\n", "") == (
        outcome.status,
        outcome.out,
        outcome.err,
    )


def test_secret_is_not_in_a_refusal(tenant: Tenant) -> None:
    """A refused exchange shows nothing of its secrets on either stream."""
    environ = at(tenant)
    forged = jwt({"sub": "auth0|alice"})
    environ["AUTH0_TX_SUBJECT_TOKEN"] = forged
    outcome = run(*words_for(tenant, "--json"), environ=environ)

    assert (1, []) == (
        outcome.status,
        outcome.shown(forged, environ["AUTH0_CLIENT_SECRET"]),
    )
    assert "Traceback" not in outcome.err


def test_reader_that_leaves(tmp_path: Path) -> None:
    """A reader that leaves early, as `head` does, is not reported as an error."""
    token = tmp_path / "token"
    token.write_text(jwt({"sub": "x" * 700_000}))
    process = start("inspect", str(token))
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()

    assert (1, "") == (process.wait(timeout=30), err)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk() -> None:
    """A full disk is reported in one line."""
    with open("/dev/full", "w") as full:
        finished = subprocess.run(
            [sys.executable, "-m", "auth0_tx.cli", "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        inspected = subprocess.run(
            [sys.executable, "-m", "auth0_tx.cli", "inspect"],
            input=jwt({}),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    message = "auth0-tx: system error: No space left on device\n"
    assert (1, message) == (finished.returncode, finished.stderr)
    assert (1, message) == (inspected.returncode, inspected.stderr)


def test_closed_output() -> None:
    """Closed standard streams do not cause a traceback."""
    outcome = python(
        "-c",
        "import os, subprocess, sys; os.close(0); os.close(1); "
        "os.execv(sys.executable, [sys.executable, '-m', 'auth0_tx.cli', 'inspect'])",
    )

    assert (2, "") == (outcome.status, outcome.out)
    assert "Traceback" not in outcome.err


def test_entry_points_agree() -> None:
    """The module and the declared entry point are one program."""
    declared = (Path(__file__).parents[2] / "setup.cfg").read_text()

    assert "auth0-tx = auth0_tx.cli:main" in declared
    assert run("--version").out.startswith("auth0-tx ")
