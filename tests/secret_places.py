"""The places where a secret could show: all text of an error and of a log record."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

from _pytest._io.saferepr import saferepr_unlimited

import auth0_tx

PACKAGE = str(Path(auth0_tx.__file__).parent) + "/"
_TESTS = str(Path(__file__).parent) + "/"
# The tenant stands for Auth0, which knows the secrets; it isn't part of a client.
_SERVER = (PACKAGE + "tenant/", PACKAGE + "testing/")
_LIBRARIES = tuple(
    f"/site-packages/{name}/"
    for name in ("aiohttp", "authlib", "joserfc", "requests", "urllib3", "yarl")
)


def iterate_error(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield each place of an error and of its whole chain, with its text."""
    yield from _iterate_chain(error, type(error).__name__, set())
    copied = copy.copy(error)
    yield "a copy", f"{copied!s} {copied!r} {copied.args!r} {vars(copied)!r}"
    # An error that cannot be pickled shows nothing there; another test proves that ours can.
    with suppress(pickle.PicklingError, AttributeError, TypeError):
        yield "a pickle", pickle.dumps(error).decode("latin-1")


def iterate_interruption(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield each place of an error that a signal or a cancellation raised, with its text.

    An error tracker shows every frame that it passed: those of the standard library and of
    the event loop too.
    """
    yield from _iterate_chain(error, type(error).__name__, set(), is_not_from_tests)


def _iterate_chain(
    error: BaseException,
    path: str,
    seen: set[int],
    watches: Callable[[FrameType], bool] | None = None,
) -> Iterator[tuple[str, str]]:
    watches = watches or is_watched
    seen.add(id(error))
    yield f"str of {path}", str(error)
    yield f"repr of {path}", repr(error)
    yield f"args of {path}", repr(error.args)
    yield f"__dict__ of {path}", repr(vars(error))
    yield f"__notes__ of {path}", "\n".join(getattr(error, "__notes__", ()))
    for frame, line in traceback.walk_tb(error.__traceback__):
        if watches(frame):
            name = f"{frame.f_code.co_filename}:{line}"
            for variable, value in frame.f_locals.items():
                yield f"local {variable} of {name}", saferepr_unlimited(value)
    linked = {"__cause__": error.__cause__, "__context__": error.__context__}
    for name, other in linked.items():
        if other is not None and id(other) not in seen:
            yield from _iterate_chain(other, f"{path}.{name}", seen, watches)


def is_from_library(error: BaseException) -> bool:
    """Return whether the library made an error or passed it on; a test may have raised it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return not frames or any(map(is_watched, frames))


def is_watched(frame: FrameType) -> bool:
    """Return whether a frame belongs to the library or one it calls; a test's holds tokens."""
    file = frame.f_code.co_filename
    if file.startswith(PACKAGE):
        return not file.startswith(_SERVER)
    return any(library in file for library in _LIBRARIES)


def is_not_from_tests(frame: FrameType) -> bool:
    """Return whether a frame is neither a test's nor the tenant's, which stands for Auth0."""
    return not frame.f_code.co_filename.startswith((_TESTS, *_SERVER))


def iterate_record(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    """Yield each place of a log record, with its text."""
    place = f"a log record of {record.name}"
    yield place, f"{record.getMessage()} {record.args!r}"
    if record.exc_info and record.exc_info[1] is not None:
        yield from (
            (f"{place}, {where}", text)
            for where, text in _iterate_chain(record.exc_info[1], "exception", set())
        )
