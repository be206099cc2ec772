"""Calling a session store: what it raises becomes ``StoreError``, and a write is tried twice.

A store may raise anything, and its errors may hold its arguments.  One bad moment must not lose
the tokens that were issued.  So a write that fails at once is made once more.  One that fails
slowly is not: no caller should wait twice for a store that hangs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ...errors import Auth0Error, StoreError
from ..context import Context
from ..effects import Flow, Invoke
from ..session.store import AsyncStateStore, StateStore

AT_ONCE = 0.25
"""Seconds within which a write must have failed to be tried again."""


def call_store(
    function: Callable[..., Any], *arguments: Any, **keywords: Any
) -> Flow[Any]:
    """Call a method of a store.

    Raises:
        StoreError: it failed.  The store's own error may hold its arguments, so neither its
            words nor the error itself are passed on.
    """
    try:
        return (yield from Invoke(partial(function, *arguments, **keywords)))
    except Auth0Error:
        raise
    except Exception as error:
        kind = type(error).__name__
    raise StoreError(f"the session store failed: {kind}", retry_safe=True)


def call_repeatable(
    context: Context, function: Callable[..., Any], *arguments: Any, **keywords: Any
) -> Flow[None]:
    """Call a method of a store that may be called again; do so if it fails at once.

    Raises:
        StoreError: it failed twice, or once and slowly.
    """
    yield from _try_twice(
        context, partial(call_store, function, *arguments, **keywords)
    )


def store_value(
    context: Context,
    store: StateStore | AsyncStateStore,
    key: str,
    value: bytes,
    *,
    ttl: float,
    expected: bytes | None,
) -> Flow[bool]:
    """Store a value where *expected* is; try once more if that fails at once.

    Raises:
        StoreError: it could not be stored.
    """
    write = partial(call_store, store.set, key, value, ttl=ttl, expected=expected)
    is_done, is_second = yield from _try_twice(context, write)
    if is_done or not is_second:
        return bool(is_done)
    # The first write may have taken effect although its answer was lost.
    return bool(value == (yield from call_store(store.get, key)))


def _try_twice(
    context: Context, call: Callable[[], Flow[Any]]
) -> Flow[tuple[Any, bool]]:
    """Return the result of a call, and whether it is a second call's.

    Raises:
        StoreError: it failed twice, or once and slowly.
    """
    started = context.monotonic()
    try:
        return (yield from call()), False
    except StoreError:
        # A hanging store is not asked twice: its caller would wait for two timeouts.
        if context.monotonic() - started >= AT_ONCE:
            raise
    # Outside the handler, so that a second failure does not have the first as its context.
    return (yield from call()), True
