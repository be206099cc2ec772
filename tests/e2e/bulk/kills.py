"""`auth0-tx exchange-many` killed on the way and resumed: no row is lost, and none sent twice.

A file of tokens goes through the command.  The command is killed (SIGKILL) at random moments,
and resumed, until the file is done.  The issuer counts each subject token that it receives.
Then:

- each row has exactly one line in the results;
- no subject token was received twice;
- a row that is ok has the token that was issued for it;
- the others were in flight at a kill, and are told as ambiguous: for each kill at most as many
  as the concurrency.

Run it with the rows of a real import::

    python -m tests.e2e.bulk.kills --rows 100000 --kills 3 --runs 2
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from tests.e2e.concurrency.volume import TOKEN, VolumeIssuer, volume_issuer

CONCURRENCY = 50
# As long as tokens are.
_PADDING = "x" * 600
_SIGKILLED = -signal.SIGKILL


@attrs.frozen
class Report:
    """What became of the rows.

    Attributes:
        rows: how many there were.
        kills: how often the command was killed.
        outcomes: how many rows had which outcome.
        sent: how many different subject tokens the issuer received.
        sent_twice: those that it received more than once.
        missing: rows without a line in the results.
        repeated: rows with more than one.
        mixed_up: rows that are ok, with the token of another row.
        silent: rows that have another outcome than ambiguous although the issuer did not
            receive them, or that are ok although it did not.
        seconds: how long it took, with the starts of the command.
        peak_memory: the most bytes that one of its processes occupied; 0 if this system
            does not say.
        status: how the last process ended.
    """

    rows: int
    kills: int
    outcomes: dict[str, int]
    sent: int
    sent_twice: list[str]
    missing: list[int]
    repeated: list[int]
    mixed_up: list[int]
    silent: list[int]
    seconds: float
    peak_memory: int
    status: int

    @property
    def problems(self) -> list[str]:
        """What is not as it should be."""
        ambiguous = self.outcomes.get("ambiguous", 0)
        checks = {
            f"sent twice: {self.sent_twice[:5]}": self.sent_twice,
            f"without a result: {self.missing[:5]}": self.missing,
            f"with two results: {self.repeated[:5]}": self.repeated,
            f"with another row's token: {self.mixed_up[:5]}": self.mixed_up,
            f"ok, but not received: {self.silent[:5]}": self.silent,
            f"outcomes: {self.outcomes}": set(self.outcomes) - {"ok", "ambiguous"},
            f"too many are ambiguous: {ambiguous}": ambiguous
            > self.kills * CONCURRENCY,
            f"exit status {self.status}": self.status != (1 if ambiguous else 0),
        }
        return [problem for problem, found in checks.items() if found]


def name_token(number: int) -> str:
    """Return the subject token of a row."""
    return f"row-{number}-{_PADDING}"


def write_input(path: Path, rows: int) -> None:
    """Write the file of tokens."""
    with path.open("w") as file:
        file.write("subject_token,id\n")
        for number in range(1, rows + 1):
            file.write(f"{name_token(number)},user-{number}\n")


@attrs.define
class Command:
    """The command, and what it writes."""

    issuer: VolumeIssuer
    input: Path
    out: Path
    concurrency: int = CONCURRENCY
    peak_memory: int = 0

    def start(self) -> subprocess.Popen[bytes]:
        """Start it in a process of its own."""
        words = [
            *("exchange-many", str(self.input), "--out", str(self.out), "--resume"),
            *("--verify", self.issuer.ca_file, "--subject-token-type", "urn:acme:old"),
            *("--concurrency", str(self.concurrency), "--timeout", "60", "--json"),
        ]
        settings = self.issuer.settings()
        return subprocess.Popen(
            [sys.executable, "-m", "auth0_tx.cli", *words],
            env={
                **os.environ,
                "AUTH0_DOMAIN": settings["domain"],
                "AUTH0_CLIENT_ID": settings["client_id"],
                "AUTH0_CLIENT_SECRET": settings["client_secret"],
            },
            stdout=subprocess.DEVNULL,
        )

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for its end, watch its memory, and return its exit status."""
        while process.poll() is None:
            self.note_memory(process)
            time.sleep(0.01)
        return process.returncode

    def note_memory(self, process: subprocess.Popen[bytes]) -> None:
        """Note the most that the process has occupied so far."""
        # Not ru_maxrss, which begins with the memory of the process that forks it.
        with suppress(OSError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            for line in status.splitlines():
                if line.startswith("VmHWM:"):
                    peak = int(line.split()[1]) * 1024
                    self.peak_memory = max(self.peak_memory, peak)

    def follow_results(self) -> Iterator[int]:
        """Yield how many results there are, whenever it is asked."""
        position = count = 0
        while True:
            if self.out.exists():
                with self.out.open("rb") as file:
                    file.seek(position)
                    while block := file.read(1 << 20):
                        position += len(block)
                        count += block.count(b"\n")
            yield count


def run_with_kills(
    issuer: VolumeIssuer, folder: Path, rows: int, kills: int, seed: int = 0
) -> Report:
    """Run the command over *rows* rows, and kill it *kills* times."""
    chance = random.Random(seed)
    command = Command(issuer, folder / "tokens.csv", folder / "results.jsonl")
    write_input(command.input, rows)
    issuer.tell(clear=True)
    started = time.monotonic()
    # One kill in each part of the file, but for the last part.
    moments = [
        int(rows * (part + chance.uniform(0.3, 0.95)) / (kills + 1))
        for part in range(kills)
    ]
    counts = command.follow_results()
    done_kills = 0
    for moment in moments:
        process = command.start()
        while process.poll() is None and next(counts) < moment:
            command.note_memory(process)
            time.sleep(0.005)
        process.kill()
        done_kills += command.wait(process) == _SIGKILLED
    status = command.wait(command.start())
    return _report(command, rows, done_kills, time.monotonic() - started, status)


def _report(
    command: Command, rows: int, kills: int, seconds: float, status: int
) -> Report:
    received = Counter(
        subject
        for path, _, subject, _ in command.issuer.record().requests
        if path == TOKEN
    )
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in command.out.read_text().splitlines()
    ]
    by_row = Counter(line["row"] for line in lines)
    ok = [line for line in lines if line["outcome"] == "ok"]
    return Report(
        rows=rows,
        kills=kills,
        outcomes=dict(Counter(line["outcome"] for line in lines)),
        sent=len(received),
        sent_twice=[subject[:20] for subject, times in received.items() if times > 1],
        missing=[number for number in range(1, rows + 1) if not by_row[number]],
        repeated=[number for number, times in by_row.items() if times > 1],
        mixed_up=[
            line["row"]
            for line in ok
            if (line["access_token"], line["id"])
            != (f"for.{name_token(line['row'])}", f"user-{line['row']}")
        ],
        silent=[line["row"] for line in ok if not received[name_token(line["row"])]],
        seconds=seconds,
        peak_memory=command.peak_memory,
        status=status,
    )


def main() -> int:
    """Run the script; return its exit status."""
    parser = argparse.ArgumentParser(description="Kill and resume exchange-many.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    problems: list[str] = []
    with volume_issuer() as issuer:
        for number in range(arguments.runs):
            with tempfile.TemporaryDirectory() as folder:
                report = run_with_kills(
                    issuer,
                    Path(folder),
                    arguments.rows,
                    arguments.kills,
                    arguments.seed + number,
                )
            problems += report.problems
            print(
                f"run {number + 1}: {report.rows:,} rows in {report.seconds:.0f} s "
                f"({report.rows / report.seconds:.0f} rows/s), {report.kills} kills, "
                f"outcomes {report.outcomes}, received {report.sent:,}, "
                f"sent twice {len(report.sent_twice)}, "
                f"peak memory {report.peak_memory / 2**20:.0f} MiB",
                flush=True,
            )
    for problem in problems:
        print(f"PROBLEM: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
