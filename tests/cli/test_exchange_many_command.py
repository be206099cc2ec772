"""`auth0-tx exchange-many`, run in this process against a tenant on a socket."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from auth0_tx.cli.bulk.line_file import LineFile
from auth0_tx.cli.bulk.token_table import TokenTable
from auth0_tx.tenant import ActionApi, Event, Profile, Tenant, faults
from tests.cli.command_runs import InProcess, Outcome, at

BADGE = "urn:acme:badge"
TOKENS = ("badge-alice-0001", "badge-bob-0002", "badge-carol-0003")


def check_badge(event: Event, api: ActionApi) -> None:
    """Accept any badge but those that are revoked or made up."""
    token = event.transaction.subject_token
    if "revoked" in token:
        api.access.deny("badge_revoked", f"no entry for {token[-4:]}")
    elif "made-up" in token:
        api.access.reject_invalid_subject_token("not a badge")
    else:
        api.authentication.set_user_by_id("auth0|alice")


@attrs.frozen
class Bulk:
    """Runs of the command over files in one folder, at one tenant."""

    command: InProcess
    tenant: Tenant
    folder: Path

    @property
    def out(self) -> Path:
        """The results."""
        return self.folder / "results.jsonl"

    @property
    def journal(self) -> Path:
        """The journal beside them."""
        return self.folder / "results.jsonl.begun"

    def write(self, *rows: str, header: str = "subject_token") -> Path:
        """Write the input."""
        path = self.folder / "tokens.csv"
        path.write_text("\n".join([header, *rows, ""]))
        return path

    def __call__(self, *words: str, terminal: bool = False) -> Outcome:
        """Run the command over the input that was written last."""
        assert self.tenant.ca_file is not None
        environ = at(self.tenant)
        del environ["AUTH0_TX_SUBJECT_TOKEN"]
        typed = () if "--no-type" in words else ("--subject-token-type", BADGE)
        return self.command(
            *("exchange-many", str(self.folder / "tokens.csv")),
            *("--out", str(self.out), "--verify", self.tenant.ca_file),
            *typed,
            *(word for word in words if word != "--no-type"),
            environ=environ,
            terminal=terminal,
        )

    def read_results(self) -> list[dict[str, Any]]:
        """Return the lines of the results, by row."""
        lines = map(json.loads, self.out.read_text().splitlines())
        return sorted(lines, key=lambda line: int(line["row"]))

    def read_outcomes(self) -> list[tuple[int, str]]:
        """Return each row that has a line, and its outcome."""
        return [(line["row"], line["outcome"]) for line in self.read_results()]

    def list_sent(self) -> list[str]:
        """Return the subject tokens that the tenant received."""
        return [
            dict(request.form)["subject_token"]
            for request in self.tenant.requests
            if request.path == "/oauth/token"
        ]


@pytest.fixture
def bulk(command: InProcess, tenant: Tenant, tmp_path: Path) -> Bulk:
    """The command, with a profile for badges."""
    tenant.profiles.add(Profile(subject_token_type=BADGE, action=check_badge))
    return Bulk(command, tenant, tmp_path)


def test_each_row_is_exchanged(bulk: Bulk) -> None:
    """Each row is sent once, and has its tokens in the results, which only their owner reads."""
    bulk.write(
        *(f"{token},user {n}" for n, token in enumerate(TOKENS)),
        header="subject_token,id",
    )
    outcome = bulk("--scope", "openid", "--audience", "https://api.example.com")

    assert (0, "") == (outcome.status, outcome.err)
    assert outcome.out.startswith("Exchanged 3 of 3 rows; this run took ")
    assert sorted(TOKENS) == sorted(bulk.list_sent())
    assert [(1, "user 0", "ok"), (2, "user 1", "ok"), (3, "user 2", "ok")] == [
        (line["row"], line["id"], line["outcome"]) for line in bulk.read_results()
    ]
    assert {2} == {line["access_token"].count(".") for line in bulk.read_results()}
    assert {2} == {line["id_token"].count(".") for line in bulk.read_results()}
    assert {int} == {type(line["expires_at"]) for line in bulk.read_results()}
    assert (
        0o600 == bulk.out.stat().st_mode & 0o777 == bulk.journal.stat().st_mode & 0o777
    )


def test_nothing_secret_is_shown(bulk: Bulk) -> None:
    """Neither the screen nor the journal has a token, and the results have no subject token."""
    bulk.write(*TOKENS, "badge-revoked-0004", "Bearer a")
    outcome = bulk("--json", "--errors-to", str(bulk.folder / "errors.csv"))
    issued = [
        line["access_token"] for line in bulk.read_results() if line["outcome"] == "ok"
    ]

    assert 3 == len(issued)
    assert [] == outcome.shown(*TOKENS, *issued, bulk.tenant.client_secret)
    for file in (bulk.out, bulk.journal, bulk.folder / "errors.csv"):
        assert "badge-" not in file.read_text()


def test_columns_and_options(bulk: Bulk) -> None:
    """A cell is sent, and an option where the cell is empty or the column missing."""
    bulk.write(
        f"{TOKENS[0]},https://one.example.com,1",
        f"{TOKENS[1]},,",
        header="subject_token,audience,param.door",
    )
    words = (
        "--audience",
        "https://two.example.com",
        "--param",
        "door=2",
        "--param",
        "b=3",
    )
    bulk(*words, "--concurrency", "1")
    forms = [dict(r.form) for r in bulk.tenant.requests if r.path == "/oauth/token"]

    assert [
        ("https://one.example.com", "1", "3"),
        ("https://two.example.com", "2", "3"),
    ] == [(form["audience"], form["door"], form["b"]) for form in forms]


def test_type_in_a_column(bulk: Bulk) -> None:
    """The type may be in a column; in neither place, it is missing."""
    bulk.write(*TOKENS)
    missing = bulk("--no-type")
    bulk.write(f"{TOKENS[0]},{BADGE}", header="subject_token,subject_token_type")
    given = bulk("--no-type")

    assert (2, 0) == (missing.status, given.status)
    assert "the subject token type is missing" in missing.err


def test_rows_that_fail(bulk: Bulk) -> None:
    """A row that fails has its error in the results; the others are exchanged."""
    bulk.write("badge-revoked-7777", "Bearer a", f"{TOKENS[0]},x", TOKENS[1], '""')
    errors = bulk.folder / "errors.csv"
    outcome = bulk("--errors-to", str(errors))

    assert 1 == outcome.status
    assert [
        (1, "error", "badge_revoked"),
        (2, "error", "invalid_token_format"),
        (3, "error", "invalid_argument"),
        (4, "ok", None),
        (5, "error", "invalid_token_format"),
    ] == [
        (line["row"], line["outcome"], line.get("code")) for line in bulk.read_results()
    ]
    assert 2 == len(bulk.list_sent())
    assert re.search(r"  failed +4\n", outcome.out)
    assert re.search(r"  invalid_token_format +2\n", outcome.out)
    with errors.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"1", "2", "3", "5"} == {row["row"] for row in rows}
    assert "no entry for 7777" in {row["message"] for row in rows}


def test_mistake_in_the_file_sends_nothing(bulk: Bulk) -> None:
    """A file that cannot be read to its end is refused before anything is sent or created."""
    bulk.write(*TOKENS, '"badge-dave-0004')
    outcome = bulk()

    assert (2, "") == (outcome.status, outcome.out)
    assert "the row that begins in line 5 of the input is not valid CSV" in outcome.err
    assert [] == bulk.list_sent()
    assert not bulk.out.exists()
    assert not bulk.journal.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--concurrency", "0"), "--concurrency: must be a whole number, 1 to 9999"),
        (("--rate", "nan"), "--rate: must be a positive number"),
        (("--retry-failed",), "--retry-failed needs --resume"),
        (("--domain", "http://x"), "domain"),
        (("--scope", "a\nb"), "invalid_argument: scope "),
        (("--no-type", "--subject-token-type", "short"), "subject_token_type "),
        (("--subject-token", "x"), "--subject-token is not supported"),
        (("--errors-to", "/nowhere/e.csv"), "cannot write the --errors-to file"),
    ],
)
def test_wrong_arguments(bulk: Bulk, words: tuple[str, ...], message: str) -> None:
    """A wrong argument ends the run with status 2, and leaves no file behind."""
    bulk.write(*TOKENS)
    outcome = bulk(*words)

    assert 2 == outcome.status
    assert message in outcome.err
    assert not bulk.out.exists()
    assert not bulk.journal.exists()


def test_errors_beside_the_results(bulk: Bulk) -> None:
    """The list of failures may not take the place of the results or the journal."""
    bulk.write(*TOKENS)
    for path in (bulk.out, bulk.journal):
        outcome = bulk("--errors-to", str(path))
        assert (2, False) == (outcome.status, path.exists())


def test_input_that_is_not_a_file(bulk: Bulk) -> None:
    """A missing input, and a pipe, which cannot be read twice, are refused."""
    missing = bulk()
    os.mkfifo(bulk.folder / "pipe")
    writer = os.open(bulk.folder / "pipe", os.O_RDWR)
    try:
        (bulk.folder / "tokens.csv").symlink_to(bulk.folder / "pipe")
        pipe = bulk()
    finally:
        os.close(writer)

    assert "cannot read the input: No such file or directory" in missing.err
    assert "the input is not a regular file" in pipe.err
    assert (2, 2) == (missing.status, pipe.status)


def test_results_are_not_overwritten(bulk: Bulk) -> None:
    """Without --resume a second run is refused; with it, a run that is complete sends nothing."""
    bulk.write(*TOKENS)
    bulk()
    again = bulk()
    resumed = bulk("--resume")

    assert (2, 0) == (again.status, resumed.status)
    assert "pass --resume" in again.err
    assert 3 == len(bulk.list_sent())
    assert [(1, "ok"), (2, "ok"), (3, "ok")] == bulk.read_outcomes()


def test_row_that_was_begun_is_ambiguous(bulk: Bulk) -> None:
    """A row that a killed run had begun is told as ambiguous, and is not sent."""
    bulk.write(
        *(f"{token},u{n}" for n, token in enumerate(TOKENS)), header="subject_token,id"
    )
    bulk("--concurrency", "1")
    # As a kill leaves it: row 3 is begun, and has no outcome.
    lines = bulk.out.read_text().splitlines(keepends=True)
    bulk.out.write_text("".join(line for line in lines if json.loads(line)["row"] != 3))
    outcome = bulk("--resume")
    line = bulk.read_results()[2]

    assert 1 == outcome.status
    assert ("ambiguous", "u2", "interrupted", False, True) == (
        line["outcome"],
        line["id"],
        line["code"],
        line["retry_safe"],
        line["tokens_issued"],
    )
    assert 3 == len(bulk.list_sent())
    assert "An ambiguous row may have used up its token." in outcome.out


def test_answer_that_is_lost_is_ambiguous(bulk: Bulk) -> None:
    """A row whose answer was lost on the way is ambiguous too."""
    bulk.write(TOKENS[0])
    bulk.tenant.inject(faults.lost_answer())
    bulk()
    again = bulk("--resume", "--retry-failed")

    assert [(1, "ambiguous")] == bulk.read_outcomes()
    assert (1, 1) == (again.status, len(bulk.list_sent()))


def test_failed_rows_are_sent_again_if_asked(bulk: Bulk) -> None:
    """With --retry-failed, the rows are sent again that are safe to retry, and no others."""
    bulk.write(*TOKENS, "badge-revoked-0004")
    bulk.tenant.inject(faults.handshake_reset(), path=None, times=None)
    bulk("--timeout", "0.3")
    failed = bulk.read_outcomes()
    bulk.tenant.clear()
    resumed = bulk("--resume")
    sent_by_resume = len(bulk.list_sent())
    retried = bulk("--resume", "--retry-failed")
    retried_twice = bulk("--resume", "--retry-failed")

    assert [(number, "error") for number in (1, 2, 3, 4)] == failed
    assert (1, 0, 1, 1) == (
        resumed.status,
        sent_by_resume,
        retried.status,
        retried_twice.status,
    )
    assert [(1, "ok"), (2, "ok"), (3, "ok"), (4, "error")] == bulk.read_outcomes()
    assert 4 == len(bulk.list_sent())
    assert "--resume --retry-failed sends 4 of the failed rows again" in resumed.out
    assert "--retry-failed" not in retried.out


def test_other_input_and_other_tenant(bulk: Bulk) -> None:
    """A run is resumed with the same input and settings only; nothing is sent otherwise."""
    bulk.write(*TOKENS[:2])
    bulk()
    settings = bulk("--resume", "--audience", "https://other.example.com")
    bulk.write(*TOKENS)
    changed = bulk("--resume")

    assert (2, 2) == (settings.status, changed.status)
    assert "begun with other values of --audience" in settings.err
    assert "the input is not the one" in changed.err
    assert 2 == len(bulk.list_sent())


def test_blocked_address_stops_the_run(bulk: Bulk) -> None:
    """A blocked address stops the run; the rows it refused are left, for a resumed run."""
    bulk.write(*(f"made-up-{n}" for n in range(10)), *TOKENS)
    blocked = bulk("--concurrency", "1", "--json")
    sent = len(bulk.list_sent())
    bulk.tenant.clear()
    resumed = bulk("--resume")

    assert (1, "error", "too_many_attempts", 3) == (
        blocked.status,
        blocked.members["stopped_by"],
        blocked.members["error"]["code"],
        blocked.members["left"],
    )
    assert sent < 13
    assert 1 == resumed.status
    assert [(11, "ok"), (12, "ok"), (13, "ok")] == bulk.read_outcomes()[10:]


def test_wrong_secret_stops_the_run(bulk: Bulk, tmp_path: Path) -> None:
    """Wrong credentials stop the run after the first row, which a resumed run sends."""
    bulk.write(*TOKENS)
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-secret-of-this-client")
    stopped = bulk("--client-secret-file", str(wrong))
    sent = len(bulk.list_sent())
    resumed = bulk("--resume")

    assert (1, 0) == (stopped.status, resumed.status)
    assert 1 == sent
    assert "every further row would fail in the same way: Unauthorized" in stopped.err
    assert "--resume exchanges the rows that are left." in stopped.out
    assert [(1, "ok"), (2, "ok"), (3, "ok")] == bulk.read_outcomes()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (429, [(1, "ok")]),
        (503, [(1, "ok"), (2, "error"), (3, "ok")]),
    ],
)
def test_long_wait(bulk: Bulk, code: int, expected: list[tuple[int, str]]) -> None:
    """A rate limit that lasts an hour stops the run; a 503 that names an hour is one row's."""
    bulk.write(*TOKENS)
    answers = [faults.latency(0), faults.status(code, {}, {"Retry-After": "3600"})]
    for answer in answers:
        bulk.tenant.inject(answer)
    bulk("--concurrency", "1", "--timeout", "2")

    assert expected == bulk.read_outcomes()


def test_full_disk(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    """If an outcome cannot be written, no further row is sent; a resumed run tells of its row."""
    bulk.write(*TOKENS)
    append = LineFile.append

    def fill(file: LineFile, line: bytes) -> None:
        if b'"row": 2' in line:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(file, line)

    with monkeypatch.context() as patch:
        patch.setattr(LineFile, "append", fill)
        full = bulk("--concurrency", "1")
    sent = len(bulk.list_sent())
    bulk("--resume")

    assert (1, 2) == (full.status, sent)
    assert "cannot write the results: No space left on device" in full.err
    assert [(1, "ok"), (2, "ambiguous"), (3, "ok")] == bulk.read_outcomes()


def test_note_that_cannot_be_written(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that cannot be noted as begun is not sent."""
    bulk.write(*TOKENS)
    append = LineFile.append

    def fill(file: LineFile, line: bytes) -> None:
        if line == b"2\n":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(file, line)

    with monkeypatch.context() as patch:
        patch.setattr(LineFile, "append", fill)
        full = bulk()
    bulk("--resume")

    assert 1 == full.status
    assert "cannot write the journal: No space left on device" in full.err
    assert [(1, "ok"), (2, "ok"), (3, "ok")] == bulk.read_outcomes()
    assert 3 == len(bulk.list_sent())


def test_input_that_changes_meanwhile(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An input that is written to while it is exchanged is reported."""
    path = bulk.write(*TOKENS)
    begin = TokenTable.iterate_rows

    def iterate_and_change(table: TokenTable) -> Any:
        if bulk.out.exists():
            with path.open("a") as file:
                file.write("badge-dave-0004\n")
        return begin(table)

    monkeypatch.setattr(TokenTable, "iterate_rows", iterate_and_change)
    outcome = bulk()

    assert 1 == outcome.status
    assert "the input was changed while it was read" in outcome.err
    assert 3 == len(bulk.list_sent())


def test_json(bulk: Bulk) -> None:
    """With --json the summary is one object."""
    bulk.write(*TOKENS, "badge-revoked-0004")
    outcome = bulk("--json")
    members = outcome.members
    measured = {members.pop("seconds"), members.pop("rows_per_second")}

    assert {
        "rows": 4,
        "ok": 3,
        "failed": 1,
        "ambiguous": 0,
        "left": 0,
        "codes": {"badge_revoked": 1},
        "stopped_by": None,
        "error": None,
    } == members
    assert {float} == set(map(type, measured))


def test_bar_on_a_terminal(bulk: Bulk) -> None:
    """On a terminal a bar is drawn, and erased at the end."""
    bulk.write(*TOKENS)
    outcome = bulk(terminal=True)

    assert "3 rows" in outcome.err
    assert "\x1b[?25h" in outcome.err[-40:]
    assert "Exchanged 3 of 3 rows" in outcome.out


def test_lines_without_a_terminal(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere a line is written now and then."""
    monkeypatch.setattr("auth0_tx.cli.progress.LINE_SECONDS", 0.0)
    bulk.write(*TOKENS)
    outcome = bulk()

    assert outcome.err.startswith("0 of 3 rows, 0.0 rows/s\n")


def test_empty_table(bulk: Bulk) -> None:
    """A table without rows is done at once."""
    bulk.write()
    outcome = bulk()

    assert (0, "") == (outcome.status, bulk.out.read_text())


def test_keywords_of_an_application(bulk: Bulk, tmp_path: Path) -> None:
    """An application's own client is used, whatever number of connections it allows."""
    from auth0_tx.cli import main

    tenant = bulk.tenant
    keywords = {
        "domain": tenant.domain,
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "verify": tenant.ca_file,
        "max_connections": 1,
    }
    path = bulk.write(*TOKENS)
    words = ["exchange-many", str(path), "--subject-token-type", BADGE, "--json"]
    status: Callable[..., int] = main

    assert 0 == status([*words, "--out", str(tmp_path / "a")], keywords)
    assert 0 == status(
        [*words, "--out", str(tmp_path / "b"), "--concurrency", "3"], keywords
    )
