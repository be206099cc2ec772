"""A file of whole lines: what a kill and a full disk leave of it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from auth0_tx.cli.bulk.line_file import LineFile


@pytest.fixture
def path(tmp_path: Path) -> str:
    """The path of a file that is not there yet."""
    return str(tmp_path / "lines")


def test_lines_are_added_at_the_end(path: str) -> None:
    """Lines of two openings follow each other."""
    with LineFile.create(path) as file:
        file.append(b"one\n")
    with LineFile.open(path) as file:
        assert [b"one"] == list(file.iterate_lines())
        file.append(b"two\n")

        assert [b"one", b"two"] == list(file.iterate_lines())
        assert 8 == file.size == Path(path).stat().st_size


def test_line_is_in_the_file_at_once(path: str) -> None:
    """A line that was added is the system's, whatever becomes of this process."""
    with LineFile.create(path) as file:
        file.append(b"one\n")

        assert b"one\n" == Path(path).read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_only_the_owner_may_read(path: str) -> None:
    """The file is created for its owner alone, whatever the umask allows."""
    before = os.umask(0)
    try:
        LineFile.create(path).close()
    finally:
        os.umask(before)

    assert 0o600 == stat.S_IMODE(Path(path).stat().st_mode)


def test_nothing_is_overwritten(path: str) -> None:
    """A file that is there is not created again."""
    Path(path).write_text("mine")
    with pytest.raises(FileExistsError):
        LineFile.create(path)

    assert "mine" == Path(path).read_text()


@pytest.mark.parametrize(
    ("content", "repaired"),
    [
        (b"", b""),
        (b"one\n", b"one\n"),
        (b"one\nha", b"one\n"),
        (b"half", b""),
        (b"one\n" + b"x" * 200_000, b"one\n"),
        (b"one\n\0\0\0", b"one\n"),
    ],
    ids=["empty", "whole", "half", "only half", "long half", "zeros"],
)
def test_half_a_line_is_removed(path: str, content: bytes, repaired: bytes) -> None:
    """What a kill has left after the last newline is removed, and no more."""
    Path(path).write_bytes(content)
    with LineFile.open(path) as file:
        assert (content != repaired) == file.repair()
        file.append(b"next\n")

    assert repaired + b"next\n" == Path(path).read_bytes()


def test_write_in_pieces(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that takes only a part is continued."""
    write = os.write
    with LineFile.create(path) as file, monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:2])))
        file.append(b"a line\n")

    assert b"a line\n" == Path(path).read_bytes()


def test_full_disk_leaves_no_half_line(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that does not fit on the disk is taken back; a shorter one may follow."""
    write, pieces = os.write, [3]

    def fill(descriptor: int, data: bytes) -> int:
        if not pieces:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, bytes(data[: pieces.pop()]))

    with LineFile.create(path) as file:
        file.append(b"one\n")
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", fill)
            with pytest.raises(OSError, match="No space left"):
                file.append(b"a long line\n")
        file.append(b"two\n")

    assert b"one\ntwo\n" == Path(path).read_bytes()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such lock")
def test_lock(path: str) -> None:
    """A locked file is not free for another opening until it is closed."""
    with LineFile.create(path) as first, LineFile.open(path) as second:
        assert first.lock()
        assert not second.lock()
        first.close()
        assert second.lock()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_lock_sees_what_its_former_owner_added(path: str) -> None:
    """Whoever waited between opening and locking does not take the file for an empty one."""
    with LineFile.create(path) as former, LineFile.open(path) as later:
        former.lock()
        former.append(b"one\n")
        former.close()

        assert later.lock()
        assert 4 == later.size
