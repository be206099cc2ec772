"""`auth0-tx exchange-many` in a process of its own, and the signals that end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from auth0_tx.cli.signals import StopSignal, Terminated
from auth0_tx.tenant import Tenant, faults
from tests.cli.command_runs import LEGACY, at, start

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")

ROWS = 20


@contextmanager
def exchange(
    tenant: Tenant, folder: Path, *words: str, stderr: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """Run the command over a file of tokens."""
    path = folder / "tokens.csv"
    if not path.exists():
        tokens = [tenant.subject_token("auth0|alice") for _ in range(ROWS)]
        assert ROWS == len(set(tokens))
        path.write_text("\n".join(["subject_token", *tokens, ""]))
    assert tenant.ca_file is not None
    process = start(
        *("exchange-many", str(path), "--out", str(folder / "results.jsonl")),
        *("--verify", tenant.ca_file, "--subject-token-type", LEGACY),
        *("--concurrency", "4", *words),
        environ=at(tenant),
        stderr=stderr,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_requests(tenant: Tenant, count: int) -> None:
    """Wait until the tenant has received so many exchanges."""
    deadline = time.monotonic() + 30
    while tenant.count("/oauth/token") < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def read_outcomes(folder: Path) -> dict[int, str]:
    """Return the outcome of each row that has one."""
    lines = (folder / "results.jsonl").read_text().splitlines()
    outcomes = {line["row"]: line["outcome"] for line in map(json.loads, lines)}
    assert len(outcomes) == len(lines)
    return outcomes


def list_begun(folder: Path) -> set[int]:
    """Return the rows that the journal notes as begun."""
    _, *notes = (folder / "results.jsonl.begun").read_text().splitlines()
    return {int(note) for note in notes}


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)],
)
def test_status(number: int, status: int) -> None:
    """The exit status says which signal asked the run to stop."""
    received = StopSignal()
    received.receive(number)

    assert (number, status) == (received.number, received.status)
    with pytest.raises(KeyboardInterrupt) as caught:
        received.receive(number)
    assert (status == 143) == isinstance(caught.value, Terminated)


def test_signal_lets_rows_in_flight_end(tenant: Tenant, tmp_path: Path) -> None:
    """After a signal the rows in flight get their outcomes; a resumed run sends the rest."""
    tenant.inject(faults.latency(0.1), times=None)
    with exchange(tenant, tmp_path) as process:
        wait_for_requests(tenant, 6)
        process.terminate()
        out, err = process.communicate(timeout=30)
    begun, outcomes = list_begun(tmp_path), read_outcomes(tmp_path)

    assert 143 == process.returncode
    assert begun == set(outcomes)
    assert {"ok"} == set(outcomes.values())
    assert len(begun) < ROWS
    assert "stopping: waiting for the rows in flight\n" == err
    assert "--resume exchanges the rows that are left." in out
    with exchange(tenant, tmp_path, "--resume") as process:
        process.communicate(timeout=30)
    assert 0 == process.returncode
    assert dict.fromkeys(range(1, ROWS + 1), "ok") == read_outcomes(tmp_path)
    assert ROWS == tenant.count("/oauth/token")


def test_terminal_that_is_closed(tenant: Tenant, tmp_path: Path) -> None:
    """If the terminal goes away, the run stops as at any signal, and has written everything."""
    tenant.inject(faults.latency(0.1), times=None)
    terminal, stderr = os.openpty()
    with exchange(tenant, tmp_path, stderr=stderr) as process:
        os.close(stderr)
        wait_for_requests(tenant, 4)
        os.close(terminal)
        process.send_signal(signal.SIGHUP)
        out, _ = process.communicate(timeout=30)
    begun, outcomes = list_begun(tmp_path), read_outcomes(tmp_path)

    assert 143 == process.returncode
    assert begun == set(outcomes)
    assert len(begun) < ROWS
    assert "--resume exchanges the rows that are left." in out


def test_second_signal_ends_at_once(tenant: Tenant, tmp_path: Path) -> None:
    """After a second signal nothing is waited for; the rows in flight are ambiguous."""
    tenant.inject(faults.silence(), times=4)
    with exchange(tenant, tmp_path, "--timeout", "300") as process:
        # The first row goes alone for a second.
        wait_for_requests(tenant, 4)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "stopping: waiting for the rows in flight\n" == process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (130, "", "") == (process.returncode, out, err)
    assert {} == read_outcomes(tmp_path)
    with exchange(tenant, tmp_path, "--resume", "--timeout", "300") as process:
        process.communicate(timeout=30)
    outcomes = read_outcomes(tmp_path)

    assert 1 == process.returncode
    assert [1, 2, 3, 4] == [n for n, outcome in outcomes.items() if outcome != "ok"]
    assert {"ambiguous"} == {outcomes[number] for number in (1, 2, 3, 4)}
    assert ROWS == tenant.count("/oauth/token")
