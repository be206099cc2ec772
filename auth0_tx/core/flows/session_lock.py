"""A lock on one stored session, for the processes that share its store.

Its holder may die, so it ends by itself; nothing is done under it that takes longer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...errors import (
    Auth0Error,
    LoginRequiredError,
    NotSentError,
    StoreError,
)
from ...errors import CustomTokenExchangeErrorCode as Code
from ..context import Context
from ..effects import Flow, Sleep
from ..session.cookies import CookieStore
from ..session.store import lock_key
from .session_state import Session, reread
from .stored import stored, stored_value

T = TypeVar("T")

LOCK_SECONDS = 6.0
"""How long a lock lasts whose holder has died."""

_RESERVE = 1.0
"""Seconds of it that are left for writing what was done under it."""

_LOOK_AGAIN = 0.02
"""Seconds, on average, between two looks of who waits."""


def locked(
    context: Context,
    session: Session,
    deadline: float,
    act: Callable[[Session, float], Flow[T]],
) -> Flow[T]:
    """Act on a session as the only one who does.

    Args:
        context: the client's.
        session: the session, as it was read before.
        deadline: when to give up waiting, on the context's monotonic clock.
        act: is given the session as it is by then, and until when it may act.

    Raises:
        LoginRequiredError: the session has ended.
        NotSentError: others held the lock until the deadline.
        StoreError: the store failed.
    """
    store = context.settings.state_store
    assert store is not None
    assert not isinstance(store, CookieStore)
    key, owner = lock_key(session.id), context.new_id().encode()
    while not (
        yield from stored_value(
            context, store, key, owner, ttl=LOCK_SECONDS, expected=None
        )
    ):
        if context.monotonic() >= deadline:
            raise NotSentError(
                "the session was locked until the deadline",
                Code.TIMEOUT,
                retry_safe=True,
            )
        yield from Sleep(_LOOK_AGAIN * (0.5 + context.random()))
    until = min(deadline, context.monotonic() + LOCK_SECONDS - _RESERVE)
    failure: Auth0Error
    try:
        latest = yield from reread(context, session)
        if latest is None:
            raise LoginRequiredError("the session has ended")
        result = yield from act(latest, until)
    except Auth0Error as error:
        failure = error
    else:
        yield from _unlocked(store, key, owner)
        return result
    yield from _unlocked(store, key, owner)
    raise failure


def _unlocked(store: object, key: str, owner: bytes) -> Flow[None]:
    try:
        yield from stored(store.delete, key, expected=owner)  # type: ignore[attr-defined]
    except StoreError:
        # It ends by itself.
        return
