"""Events as log records: for an application that has a log and no metrics yet.

    client = ServerClient(..., on_event=log_event)

Success is logged at DEBUG, failure at WARNING.  A record has the event's fields as
``record.auth0_tx``, for a formatter that writes JSON.
"""

from __future__ import annotations

import logging

import attrs

from ..events import CacheFailed, Event, ExchangeRetried

# By the beginning of the event's name; all others are about the tenant's documents.
_LOGGERS = {"Cache": "cache", "Session": "session", "Exchange": "exchange"}


def log_event(event: Event) -> None:
    """Log *event* to ``auth0_tx.exchange``, ``.cache``, ``.session`` or ``.tenant``.

    Args:
        event: what a client passes to its *on_event*.
    """
    name = type(event).__name__
    subject = next(
        (subject for start, subject in _LOGGERS.items() if name.startswith(start)),
        "tenant",
    )
    failed = (
        isinstance(event, CacheFailed | ExchangeRetried)
        or getattr(event, "code", None) is not None
    )
    logger = logging.getLogger(f"auth0_tx.{subject}")
    level = logging.WARNING if failed else logging.DEBUG
    if logger.isEnabledFor(level):
        fields = attrs.asdict(event)
        text = " ".join(f"{key}={value}" for key, value in fields.items())
        logger.log(
            level, "%s %s", name, text, extra={"auth0_tx": {"event": name, **fields}}
        )
