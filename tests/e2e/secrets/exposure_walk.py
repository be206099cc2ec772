"""The text that an error reporter would send: each frame's locals, leaf by leaf."""

from __future__ import annotations

import pprint
import traceback
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from tests.secret_places import is_watched, iterate_error

_DEEPEST = 8


def everything_in(error: BaseException) -> Iterator[tuple[str, str]]:
    """Return each place that an error exposes, with the text that is there."""
    yield from iterate_error(error)
    yield "formatted", "".join(traceback.format_exception(error))
    captured = traceback.TracebackException.from_exception(error, capture_locals=False)
    yield "captured", "".join(captured.format())
    yield "pretty-printed", pprint.pformat(vars(error))
    for frame, line in traceback.walk_tb(error.__traceback__):
        if is_watched(frame):
            name = f"{frame.f_code.co_filename}:{line}"
            yield name, pprint.pformat(frame.f_locals)
            for variable, value in frame.f_locals.items():
                yield from walk(value, f"{name} {variable}")


def walk(value: Any, path: str, deepest: int = _DEEPEST) -> Iterator[tuple[str, str]]:
    """Walk into containers; any other object shows what its repr does."""
    yield path, repr(value)
    if deepest == 0 or isinstance(value, (str, bytes)):
        return
    if isinstance(value, Mapping):
        for name, element in value.items():
            yield from walk(name, f"{path} key", deepest - 1)
            yield from walk(element, f"{path}[{name!r}]", deepest - 1)
    elif isinstance(value, (Sequence, Set)):
        for element in value:
            yield from walk(element, f"{path}[…]", deepest - 1)
