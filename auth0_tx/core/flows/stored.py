"""Calling a session store: whatever it raises is one error of ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...errors import Auth0Error, StoreError
from ..context import Context
from ..effects import Call, Flow
from ..session.store import AsyncStateStore, StateStore

_AT_ONCE = 0.25
"""Seconds within which a write must have failed to be tried again: what was issued must not
be lost to one bad moment, nor a caller wait twice for a store that hangs."""


def stored(function: Callable[..., Any], *arguments: Any, **named: Any) -> Flow[Any]:
    """Call a method of a store.

    Raises:
        StoreError: it failed.  What it raised may hold what it was given, so neither its
            words nor the error itself go on.
    """
    try:
        return (yield from Call(partial(function, *arguments, **named)))
    except Auth0Error:
        raise
    except Exception as error:
        kind = type(error).__name__
    raise StoreError(f"the session store failed: {kind}", retry_safe=True)


def stored_value(
    context: Context,
    store: StateStore | AsyncStateStore,
    key: str,
    value: bytes,
    *,
    ttl: float,
    expected: bytes | None,
) -> Flow[bool]:
    """Store a value where *expected* is what is there; try once more where that fails at once.

    Raises:
        StoreError: it could not be stored.
    """
    started = context.monotonic()
    write = partial(stored, store.set, key, value, ttl=ttl, expected=expected)
    try:
        return bool((yield from write()))
    except StoreError as error:
        failure = error
    if context.monotonic() - started >= _AT_ONCE:
        raise failure
    if (yield from write()):
        return True
    # The try before may have been taken although its answer was lost.
    return bool(value == (yield from stored(store.get, key)))
