"""A file to which whole lines are added, one at a time, and which a kill cannot spoil.

Theory of operation. Each line is handed to the system with ``write(2)`` and without a buffer
in this process. The system's copy survives the end of the process, ``SIGKILL`` included;
only a power failure or a crash of the machine can lose it, up to the last
:meth:`LineFile.sync`. Two things can leave half a line at the end:

- The disk is full, or the write fails otherwise. :meth:`LineFile.append` then takes back
  what it has written of the line, and raises.
- The process, or the machine, ends within a write. :meth:`LineFile.repair` removes the half
  line when the file is opened again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self

_BINARY = getattr(os, "O_BINARY", 0)
_ONLY_OWNER = 0o600
_BLOCK = 65_536


class LineFile:
    """A file of lines, open to read them and to add more.

    Args:
        descriptor: the open file; the object closes it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    @classmethod
    def create(cls, path: str) -> Self:
        """Create a file that only its owner may read and write.

        Raises:
            FileExistsError: there is one.
            OSError: it cannot be created.
        """
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | _BINARY
        return cls(os.open(path, flags, _ONLY_OWNER))

    @classmethod
    def open(cls, path: str) -> Self:
        """Open a file that is there.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be opened.
        """
        return cls(os.open(path, os.O_RDWR | os.O_APPEND | _BINARY))

    @property
    def size(self) -> int:
        """The bytes of the file."""
        return self._size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; it may be closed already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def lock(self) -> bool:
        """Keep other processes from locking the file until this one ends or closes it.

        Lines that its former owner has added since the file was opened count from now on.

        Returns:
            Whether it was free. On Windows it always counts as free.

        Raises:
            OSError: the file system has no locks.
        """
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._size = os.fstat(self._descriptor).st_size
        return True

    def append(self, line: bytes) -> None:
        """Add a line, which must end with a newline.

        Raises:
            OSError: it cannot be written; the file is as before.
        """
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(line)

    def iterate_lines(self) -> Iterator[bytes]:
        """Yield the lines from the beginning, without their newlines."""
        with open(self._descriptor, "rb", closefd=False) as file:
            file.seek(0)
            for line in file:
                yield line.removesuffix(b"\n")

    def repair(self) -> bool:
        """Remove half a line from the file's end; return whether there was one.

        Raises:
            OSError: the file cannot be read or cut.
        """
        end = self._find_last_newline() + 1
        if end == self._size:
            return False
        os.ftruncate(self._descriptor, end)
        self._size = end
        return True

    def sync(self) -> None:
        """Wait until the disk has everything.

        Raises:
            OSError: it cannot be written there.
        """
        os.fsync(self._descriptor)

    def _find_last_newline(self) -> int:
        with open(self._descriptor, "rb", closefd=False) as file:
            end = self._size
            while end > 0:
                start = max(end - _BLOCK, 0)
                file.seek(start)
                found = file.read(end - start).rfind(b"\n")
                if found >= 0:
                    return start + found
                end = start
        return -1
