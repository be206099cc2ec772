"""A search of every frame that runs, line by line: what an interruption there would show.

A signal's exception, a cancellation or a time limit may strike at any line of a call, and an
error tracker then shows the locals of every frame on the stack.  No number of interrupted
calls tries them all, so the tracer looks at the locals as each line begins, in frames of the
library and of every library below it::

    with FrameTracer(needles) as tracer:
        client.custom_token_exchange(options)

    assert [] == tracer.found

Frames of the tests and of the local tenant, which stands for Auth0, are left out, and so is
what they call in the standard library.
"""

from __future__ import annotations

import asyncio
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from linecache import getline
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NamedTuple
from unittest.mock import patch

import aiohttp
from _pytest._io.saferepr import saferepr_unlimited

from tests.secret_needles import Needles
from tests.secret_places import PACKAGE, is_not_from_tests

_CHANGING = (list, dict, set, bytearray)
_STANDARD = (sysconfig.get_path("stdlib"), "<frozen ")
_CALLBACKS = asyncio.events.__file__
_TESTS = str(Path(__file__).parent) + "/"
# Of the tenant's attrs classes, whose methods are in no file.
_OF_THE_TENANT = "methods auth0_tx.tenant."
_INSTALLED = sysconfig.get_path("purelib") + "/"
# Its ``repr`` reads the headers, and keeps that there are none yet.
_unfinished = patch.object(aiohttp.ClientResponse, "__repr__", object.__repr__)


class Place(NamedTuple):
    """A local that showed a secret, in a function of a file."""

    file: str
    function: str
    local: str


class FrameTracer:
    """Looks at the locals of each line that runs in this thread, and in those it starts.

    Attributes:
        found: each place where a secret was seen, once.
    """

    def __init__(self, needles: Needles) -> None:
        self.found: list[Place] = []
        self._needles = needles
        self._texts: dict[str, bool] = {}

    def __enter__(self) -> FrameTracer:
        self._before = sys.gettrace()
        _unfinished.start()
        threading.settrace(self._begin)
        sys.settrace(self._begin)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.settrace(self._before)
        threading.settrace(self._before)  # type: ignore[arg-type]
        _unfinished.stop()

    def _begin(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._follow() if _is_searched(frame) else None

    def _follow(self) -> Callable[[FrameType, str, Any], Any]:
        seen: dict[str, object] = {}

        def look(frame: FrameType, event: str, argument: Any) -> Any:
            if "conceal(" in getline(frame.f_code.co_filename, frame.f_lineno):
                # This line wraps an argument, and cannot come before itself.
                return look
            for name, value in frame.f_locals.items():
                if seen.get(name) is value and not isinstance(value, _CHANGING):
                    continue
                seen[name] = value
                if self._shows(value):
                    self._note(frame, name)
            return look

        return look

    def _shows(self, value: object) -> bool:
        text = saferepr_unlimited(value)
        if text not in self._texts:
            self._texts[text] = self._needles.find(text) is not None
        return self._texts[text]

    def _note(self, frame: FrameType, name: str) -> None:
        code = frame.f_code
        place = Place(_shorten(code.co_filename), code.co_qualname, name)
        if place not in self.found:
            self.found.append(place)


def _is_searched(frame: FrameType) -> bool:
    """Return whether a frame is the library's, or runs on its behalf.

    Other libraries do what their nearest caller asks, and a loop's callbacks what was begun
    earlier, which nobody else does here.
    """
    if frame.f_code.co_name == "<module>":
        return False
    for outer in _iterate_outer(frame):
        file = outer.f_code.co_filename
        if file == _CALLBACKS:
            return True
        if file.startswith((PACKAGE, _TESTS)) or _OF_THE_TENANT in file:
            return is_not_from_tests(outer) and _OF_THE_TENANT not in file
    return False


def _iterate_outer(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _shorten(file: str) -> str:
    # The installed first: an environment may lie within the project's folder.
    for start in (_INSTALLED, str(Path(PACKAGE).parent) + "/", _STANDARD[0] + "/"):
        file = file.removeprefix(start)
    return file
