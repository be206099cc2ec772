"""Readers of ``http.client`` responses that note what came behind a response.

``http.client`` reads a connection through a buffer, and drops the buffer with the response.
Bytes that came in one piece with a response would be lost unseen.  They may begin another
response, and what follows would become the next caller's.  So the buffer is looked at when it is
closed, and a connection that had more to give is not used again.
"""

from __future__ import annotations

import http.client
import io
from functools import cache
from typing import Any, Protocol


class Surplus(Protocol):
    """Where it is noted that bytes came behind a response."""

    has_surplus: bool


class RawReader(io.RawIOBase):
    """The reading end of a connection, which stops when its buffer is looked at."""

    # For a reader whose making an interrupt cut short: it is closed all the same, when it is
    # freed.
    _raw: Any = None
    # Whether no more is read: the buffer above has all that there is.
    _is_at_end = False

    def __init__(self, sock: Any, surplus: Surplus) -> None:
        self._sock = sock
        self._surplus = surplus
        # The socket's own raw reader counts as a user of it, so that it outlives a close.
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read into *buffer*; return how many bytes, and 0 at the end."""
        if self._is_at_end:
            return 0
        self.prepare()
        count: int | None = self._raw.readinto(buffer)
        return count

    def prepare(self) -> None:
        """Make ready for a read that may wait."""

    def note_surplus(self, buffered: io.BufferedReader) -> None:
        """Note whether *buffered* holds bytes that nobody has read, and read no more."""
        self._is_at_end = True
        if buffered.peek():
            self._surplus.has_surplus = True

    def close(self) -> None:
        """Close the file, and not the socket that others use."""
        if not self.closed and self._raw is not None:
            self._raw.close()
        super().close()


class BufferedReader(io.BufferedReader):
    """The buffer above a ``RawReader``, which is looked at when it is closed."""

    def close(self) -> None:
        """Close the file, and note what came behind the response."""
        if not self.closed:
            assert isinstance(self.raw, RawReader)
            # What came behind the response is lost with the buffer.
            self.raw.note_surplus(self)
        super().close()


class _Note:
    has_surplus = False


class _ReadingEnd:
    """A socket as a response sees it, which only makes a file of it."""

    def __init__(self, sock: Any, surplus: Surplus) -> None:
        self._sock = sock
        self._surplus = surplus

    def makefile(self, mode: str) -> io.BufferedReader:
        return BufferedReader(RawReader(self._sock, self._surplus))


class _NotingResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **keywords: Any) -> None:
        # Not the response itself, which would keep itself alive, and with it the socket.
        self.surplus = _Note()
        super().__init__(_ReadingEnd(sock, self.surplus), *args, **keywords)  # type: ignore[arg-type]


@cache
def make_noting(kind: Any) -> Any:
    """Return a class of responses like *kind* whose ``surplus`` says what came behind them."""
    return type(f"Noting{kind.__name__}", (_NotingResponse, kind), {})


def has_surplus(response: Any) -> bool:
    """Return whether bytes came behind a *response* that was read to its end.

    The connections of an application's session may make responses of any class, which tell
    nothing.
    """
    surplus = getattr(response, "surplus", None)
    if not isinstance(surplus, _Note):
        return False
    response.close()
    return surplus.has_surplus
