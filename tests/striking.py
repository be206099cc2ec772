"""Interrupts at every instruction of a call, one after the other.

A signal handler may raise between any two instructions, and a test with real signals meets only
some of them.  ``strike_everywhere`` makes a call again and again.  The first time it raises at
the first instruction that the call runs in the modules it is told of, the next time at the
second one, and so on, until the call runs to its end::

    for strike in strike_everywhere(gate_module):
        with strike:
            gate.enter(visit)
        assert gate._free == 1

With *again* a second interrupt strikes while the first one is on its way out.

An exception raised before an instruction that ends an ``except`` block leaves the interpreter
in the belief that the block goes on: later errors have a ``__context__`` of long ago.  So a test
runs in a thread of its own, by ``in_own_thread``.

The interpreter itself handles signals at fewer instructions than these: after a call, at the
start of a function and at a jump backwards, which differs from release to release.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import CodeType, FrameType, ModuleType, TracebackType
from typing import Any, ParamSpec, Self

P = ParamSpec("P")


class Struck(BaseException):
    """What is raised."""


class Strike:
    """A block that is interrupted once, or twice.

    Attributes:
        number: the instruction at which it is.
        has_struck: whether there was such an instruction.
    """

    def __init__(self, files: frozenset[str], number: int, again: int | None) -> None:
        self.number = number
        self.has_struck = False
        self._files = files
        self._left = number
        self._again = again
        self._thread = 0

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        _WATCH.start(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        _WATCH.stop()
        return isinstance(error, Struck)

    def concerns(self, code: CodeType) -> bool:
        """Return whether the instructions of *code* count."""
        return code.co_filename in self._files and threading.get_ident() == self._thread

    def note_instruction(self) -> None:
        """Count an instruction, and strike if it is the one."""
        self._left -= 1
        if self._left == 0:
            self.has_struck = True
            if self._again is not None:
                _WATCH.follow_calls(self)
            raise Struck

    def note_call(self) -> None:
        """Count a call or a return on the way out, and strike if it is the one."""
        if self.has_struck and self._again is not None:
            self._again -= 1
            if self._again == 0:
                raise Struck


class _TraceWatch:
    """Tells of instructions by a trace, which raising ends, and of calls by a profile."""

    def start(self, strike: Strike) -> None:
        def trace(frame: FrameType, event: str, _: object) -> Any:
            if not strike.concerns(frame.f_code):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            if event == "opcode":
                strike.note_instruction()
            return trace

        self._before = sys.gettrace()
        sys.settrace(trace)

    def follow_calls(self, strike: Strike) -> None:
        def profile(frame: FrameType, event: str, _: object) -> None:
            if strike.concerns(frame.f_code):
                strike.note_call()

        sys.setprofile(profile)

    def stop(self) -> None:
        sys.setprofile(None)
        sys.settrace(self._before)


class _MonitoringWatch:
    """The same by ``sys.monitoring``, from Python 3.12 on."""

    _TOOL = 4

    def start(self, strike: Strike) -> None:
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        events = monitoring.events

        def note_instruction(code: CodeType, *_: object) -> Any:
            if not strike.concerns(code):
                return None
            return strike.note_instruction()

        def note_call(code: CodeType, *_: object) -> Any:
            if strike.concerns(code):
                strike.note_call()

        monitoring.use_tool_id(self._TOOL, "strikes")
        monitoring.register_callback(self._TOOL, events.INSTRUCTION, note_instruction)
        for event in (events.PY_START, events.CALL, events.C_RETURN):
            monitoring.register_callback(self._TOOL, event, note_call)
        monitoring.set_events(
            self._TOOL, events.INSTRUCTION | events.PY_START | events.CALL
        )

    def follow_calls(self, strike: Strike) -> None:
        """Do nothing: it does so already."""

    def stop(self) -> None:
        monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        monitoring.set_events(self._TOOL, 0)
        monitoring.free_tool_id(self._TOOL)


_WATCH: _TraceWatch | _MonitoringWatch
if sys.version_info >= (3, 12):
    _WATCH = _MonitoringWatch()
else:
    _WATCH = _TraceWatch()


def in_own_thread(test: Callable[P, None]) -> Callable[P, None]:
    """Run a test in a thread that ends with it."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(test, *args, **kwargs).result()

    return run


def strike_everywhere(
    *modules: ModuleType, again: int | None = None
) -> Iterator[Strike]:
    """Yield blocks to make the call in, until one of them was not interrupted.

    Args:
        *modules: those whose instructions count.
        again: after how many calls and returns to strike once more.
    """
    files, number = frozenset(str(module.__file__) for module in modules), 0
    while True:
        number += 1
        strike = Strike(files, number, again)
        yield strike
        if not strike.has_struck:
            return
