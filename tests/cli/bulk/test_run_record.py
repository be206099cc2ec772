"""The record of a bulk run: what a later run learns from it, wherever the first one ended."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from auth0_tx.cli.bulk.line_file import LineFile
from auth0_tx.cli.bulk.run_record import Header, RowState, RunRecord
from auth0_tx.cli.failures import CommandError

ROWS = 5
OK = {"id": None, "outcome": "ok", "access_token": "at"}
FAILED = {"id": None, "outcome": "error", "retry_safe": False}
SAFE = {"id": None, "outcome": "error", "retry_safe": True}


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The path of the results, which are not there yet."""
    return str(tmp_path / "results.jsonl")


def make_header(digest: str = "d1", **settings: object) -> Header:
    """Return the header of a run over five rows."""
    return Header.make(ROWS, digest, {"--domain": "a.auth0.com", **settings})


def is_safe(members: Mapping[str, Any]) -> bool:
    """Return whether an outcome allows to send its row again."""
    return members["retry_safe"] is True


def begin(path: str, *numbers: int, done: Mapping[int, Any] | None = None) -> None:
    """Run until a kill: begin rows, and end some of them."""
    with RunRecord.open(path, make_header(), resume=False) as record:
        for number in numbers:
            record.note_begun(number)
        for number, members in (done or {}).items():
            record.note_outcome(number, members)


def resume(path: str, **changes: Any) -> RunRecord:
    """Open the record of a run to resume."""
    return RunRecord.open(path, make_header(), resume=True, **changes)


def list_states(record: RunRecord) -> list[str]:
    """Return the state of each row."""
    return [record.get_state(number).name for number in range(1, ROWS + 1)]


def list_rows(path: str) -> list[int]:
    """Return the rows that have a line in the results, in the order of the lines."""
    return [json.loads(line)["row"] for line in Path(path).read_text().splitlines()]


def fail(path: str, header: Header | None = None, *, resume: bool = True) -> str:
    """Return the message of the error that opening the record ends with."""
    with pytest.raises(CommandError) as caught:
        RunRecord.open(path, header or make_header(), resume=resume)
    return caught.value.message


def test_states_after_a_kill(path: str) -> None:
    """A row with an outcome is done, one that is only begun is told apart from a new one."""
    begin(path, 1, 2, 3, done={2: OK, 1: FAILED})
    with resume(path) as record:
        assert ["ERROR", "OK", "BEGUN", "NEW", "NEW"] == list_states(record)
        assert [2, 1, 1, 1, 0] == [record.count(state) for state in RowState]


def test_note_is_on_disk_before_it_returns(path: str) -> None:
    """Another process finds a note, and an outcome, as soon as the call has returned."""
    with RunRecord.open(path, make_header(), resume=False) as record:
        record.note_begun(4)
        assert "4" == Path(path + ".begun").read_text().splitlines()[-1]
        record.note_outcome(4, OK)

        assert {"row": 4, **OK} == json.loads(Path(path).read_text())


def test_disk_has_everything_now_and_then(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first note is on the disk before its row is sent, later ones within a second."""
    synced: list[int] = []
    monkeypatch.setattr("auth0_tx.cli.bulk.line_file.os.fsync", synced.append)
    with RunRecord.open(path, make_header(), resume=False) as record:
        record.note_begun(1)
        record.note_begun(2)
        assert 2 == len(synced)
        monkeypatch.setattr("auth0_tx.cli.bulk.run_record.SYNC_SECONDS", 0.0)
        record._next_sync = 0.0
        record.note_begun(3)
        record.note_begun(4)

        assert 6 == len(synced)


def test_journal_has_no_token(path: str) -> None:
    """The journal has a header and numbers, and no setting in clear."""
    begin(path, 1, done={1: OK})
    header, *notes = Path(path + ".begun").read_text().splitlines()

    assert ["1"] == notes
    assert {"format", "rows", "sha256", "settings"} == set(json.loads(header))
    assert "auth0.com" not in header


def test_outcome_without_a_note_counts(path: str) -> None:
    """A row that was refused before it was begun is done."""
    begin(path, done={2: FAILED})
    with resume(path) as record:
        assert RowState.ERROR is record.get_state(2)


def test_half_a_note_is_a_row_that_was_not_sent(path: str) -> None:
    """A note that was cut off was never followed by a request, so its row is new."""
    begin(path, 1)
    with open(path + ".begun", "a") as file:
        file.write("2")
    with resume(path) as record:
        record.note_begun(3)
        assert ["BEGUN", "NEW", "BEGUN", "NEW", "NEW"] == list_states(record)


def test_half_an_outcome_is_a_row_that_may_have_been_sent(path: str) -> None:
    """An outcome that was cut off is removed; its row was begun, and is not sent again."""
    begin(path, 1, 2, done={1: OK})
    with open(path, "a") as file:
        file.write('{"row": 2, "outcome": "ok", "access_to')
    with resume(path) as record:
        assert RowState.BEGUN is record.get_state(2)
        record.note_outcome(2, OK)

    assert [1, 2] == list_rows(path)


@pytest.mark.parametrize("empty", [(".begun",), (".begun", "")])
def test_kill_before_the_header(path: str, empty: tuple[str, ...]) -> None:
    """A kill between the creation of the files and the header leaves a fresh run."""
    for suffix in empty:
        Path(path + suffix).touch()
    begin(path, 1, done={1: OK})

    assert [1] == list_rows(path)


def test_kill_before_the_results_exist(path: str) -> None:
    """If somebody removed the results, the journal still says which rows were begun."""
    begin(path, 1, 2, done={1: OK})
    Path(path).unlink()
    with resume(path) as record:
        assert ["BEGUN", "BEGUN", "NEW", "NEW", "NEW"] == list_states(record)


def test_resume_without_an_earlier_run(path: str) -> None:
    """A run to resume that never began begins now, so a script may always resume."""
    with resume(path) as record:
        assert ROWS == record.count(RowState.NEW)


def test_begun_run_is_not_begun_again(path: str) -> None:
    """Without --resume, neither results nor a journal of an earlier run are touched."""
    begin(path, 1, done={1: OK})
    message = "the --out file has been begun by an earlier run"

    assert message == fail(path, resume=False)
    Path(path).unlink()
    assert message == fail(path, resume=False)


@pytest.mark.parametrize("resumed", [True, False])
@pytest.mark.parametrize("content", ["", "mine\n"])
def test_foreign_file_is_left_alone(path: str, content: str, resumed: bool) -> None:
    """A file without a journal is somebody else's; no journal is left beside it either."""
    Path(path).write_text(content)

    assert (
        "the --out file exists, and has no journal of an earlier run beside it"
        == fail(path, resume=resumed)
    )
    assert content == Path(path).read_text()
    assert not Path(path + ".begun").exists()


def test_foreign_journal(path: str) -> None:
    """A file in the journal's place that is not a journal ends the run."""
    Path(path + ".begun").write_text("mine\n")

    assert "the journal beside the --out file is not one that auth0-tx wrote" == fail(
        path
    )


@pytest.mark.parametrize("note", ["6", "0", "-1", "x", "true", '{"again": [9]}', "1.0"])
def test_foreign_note(path: str, note: str) -> None:
    """A whole line of the journal that is not a note of a row ends the run."""
    begin(path, 1)
    with open(path + ".begun", "a") as file:
        file.write(f"{note}\n2\n")

    assert "the journal beside the --out file is not one that auth0-tx wrote" == fail(
        path
    )


@pytest.mark.parametrize(
    "line", ["x", "{}", '{"row": 6, "outcome": "ok"}', '{"row": 1, "outcome": "?"}']
)
def test_foreign_result(path: str, line: str) -> None:
    """A whole line of the results that is not a result ends the run."""
    begin(path, 1, done={1: OK})
    with open(path, "a") as file:
        file.write(line + "\n")

    assert "line 2 of the --out file is not a result" == fail(path)


def test_other_input(path: str) -> None:
    """Another input than that of the earlier run is refused."""
    begin(path, 1)

    assert "the input is not the one that the --out file was begun with" == fail(
        path, make_header("d2")
    )


def test_other_settings(path: str) -> None:
    """Other settings are refused, by the names of their options and not by their values."""
    begin(path, 1)
    header = Header.make(ROWS, "d1", {"--domain": "b.auth0.com", "--scope": "openid"})

    assert "the --out file was begun with other values of --domain, --scope" == fail(
        path, header
    )


def test_two_runs_at_once(path: str) -> None:
    """A second run over the same results is refused while the first one lasts."""
    with RunRecord.open(path, make_header(), resume=False):
        assert "another process is writing to the --out file" == fail(path)


def test_rows_to_send_again(path: str) -> None:
    """Rows that may be sent again are new, and their lines leave the results."""
    begin(path, 1, 2, 3, 4, done={1: OK, 2: SAFE, 3: FAILED})
    with resume(path, may_retry=is_safe) as record:
        assert ["OK", "NEW", "ERROR", "BEGUN", "NEW"] == list_states(record)
        assert [1, 3] == list_rows(path)
        record.note_begun(2)
        record.note_outcome(2, OK)
    with resume(path) as record:
        assert ["OK", "OK", "ERROR", "BEGUN", "NEW"] == list_states(record)

    assert [1, 3, 2] == list_rows(path)


def test_kill_before_lines_leave_the_results(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill before the results are replaced leaves each row its outcome."""
    begin(path, 1, 2, done={1: OK, 2: SAFE})
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            resume(path, may_retry=is_safe)
    with resume(path) as record:
        assert ["OK", "ERROR", "NEW", "NEW", "NEW"] == list_states(record)
    with resume(path, may_retry=is_safe) as record:
        assert ["OK", "NEW", "NEW", "NEW", "NEW"] == list_states(record)


def test_no_directory(tmp_path: Path) -> None:
    """A directory that is not there is reported with the system's reason, not the path."""
    assert "cannot write the --out file: No such file or directory" == fail(
        str(tmp_path / "missing" / "results.jsonl")
    )


def test_kill_at_any_byte(tmp_path: Path) -> None:
    """Wherever a kill cuts the two files, a row that was sent is never new afterwards."""
    whole = str(tmp_path / "whole.jsonl")
    begin(whole, 1, 2, 3, done={2: OK, 1: FAILED})
    header, *notes = Path(whole + ".begun").read_bytes().splitlines(keepends=True)
    first, second = Path(whole).read_bytes().splitlines(keepends=True)
    # In the order of the run: the file that is written, and the row that is then sent.
    steps = [
        *((".begun", note, number) for number, note in enumerate(notes, 1)),
        ("", first, 0),
        ("", second, 0),
    ]
    cuts = 0
    for stop, (suffix, line, _) in enumerate(steps):
        for size in range(len(line)):
            contents = {".begun": header, "": b""}
            for earlier, text, _ in steps[:stop]:
                contents[earlier] += text
            contents[suffix] += line[:size]
            path = str(tmp_path / f"cut-{cuts}.jsonl")
            for name, content in contents.items():
                Path(path + name).write_bytes(content)
            sent = {number for _, _, number in steps[:stop] if number}
            with resume(path) as record:
                new = {n for n in range(1, ROWS + 1) if record.get_state(n) == 0}
            assert sent.isdisjoint(new)
            assert set(range(1, ROWS + 1)) == sent | new
            cuts += 1

    assert cuts > 100


def test_full_disk_has_room_for_rows_in_flight(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are in flight when the disk is full get their outcomes, and no other is begun."""
    spare = Path(path + ".spare")
    append = LineFile.append

    def fill(file: LineFile, line: bytes) -> None:
        if spare.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(file, line)

    with RunRecord.open(path, make_header(), resume=False, spare_rows=2) as record:
        size = spare.stat().st_size
        record.note_begun(1)
        record.note_begun(2)
        with monkeypatch.context() as patch:
            patch.setattr(LineFile, "append", fill)
            record.note_outcome(1, OK)
            record.note_outcome(2, OK)
            with pytest.raises(CommandError, match="No space left"):
                record.note_begun(3)

    assert 32_768 == size
    assert [1, 2] == list_rows(path)
    with resume(path) as record:
        assert ["OK", "OK", "NEW", "NEW", "NEW"] == list_states(record)


def test_spare_file_of_a_run_that_was_killed(path: str) -> None:
    """The file that keeps room does not outlast its run, and one that is left is replaced."""
    spare = Path(path + ".spare")
    begin(path, 1)
    spare.write_text("left")
    with resume(path, spare_rows=1):
        assert 16_384 == spare.stat().st_size

    assert not spare.exists()


def test_spare_file_of_somebody_else(path: str) -> None:
    """A file that is not of an earlier run is neither replaced nor removed."""
    spare = Path(path + ".spare")
    spare.write_text("mine")

    assert "is taken" in fail(path, resume=False)
    assert "mine" == spare.read_text()
