"""Sending, and sending again: the one loop that every request goes through."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...errors import AmbiguousError, CustomTokenExchangeError, TransportError
from ...events import ExchangeRetried
from ..context import Context
from ..effects import Emit, Flow, Response, Send, Sleep
from ..wire.retries import Repeatability, delay_before_next

T = TypeVar("T")


def attempted(
    context: Context,
    domain: str,
    send: Send,
    read: Callable[[Response], T | CustomTokenExchangeError],
    effect: Repeatability,
    exchange_id: int = 0,
) -> Flow[T]:
    """Send until an answer reads as a value, or a failure says to stop.

    Args:
        context: the client's.
        domain: whose server it is.
        send: the request; prepared anew for each attempt.
        read: gives a value, or the error that the answer means.
        effect: whether the request may take effect twice.
        exchange_id: what a subscriber knows the exchange by.

    Raises:
        CustomTokenExchangeError: how the last attempt failed.
    """
    attempt = 1
    while True:
        outcome = yield from _attempt(send, read, effect)
        if not isinstance(outcome, CustomTokenExchangeError):
            context.retries.record_success()
            return outcome
        delay = delay_before_next(
            context.settings.retry,
            outcome,
            attempt=attempt,
            effect=effect,
            remaining=send.deadline - context.monotonic(),
            random=context.random(),
        )
        if delay is None or not context.retries.pay_for_retry(outcome):
            raise outcome
        if context.settings.on_event is not None:
            yield from Emit(
                ExchangeRetried(
                    exchange_id=exchange_id,
                    domain=domain,
                    attempt=attempt,
                    code=str(outcome.code),
                    status=outcome.status,
                    delay=delay,
                )
            )
        yield from Sleep(delay)
        attempt += 1


def _attempt(
    send: Send,
    read: Callable[[Response], T | CustomTokenExchangeError],
    effect: Repeatability,
) -> Flow[T | CustomTokenExchangeError]:
    try:
        response = yield from send
    except TransportError as error:
        failure = error
    else:
        return read(response)
    if isinstance(failure, AmbiguousError) and effect == "reusable":
        return failure.evolve(retry_safe=True)
    return failure
