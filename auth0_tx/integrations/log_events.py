"""Events as log records: for an application that has a log and no metrics yet.

    client = ServerClient(..., on_event=log_event)

Success is logged at DEBUG, failure at WARNING.  Audit events go to ``auth0_tx.audit``, at INFO,
or at WARNING if something failed or was refused.  A cookie that is not a session stays at INFO:
browsers send old ones for days.  A record has the event's fields as ``record.auth0_tx``, for a
formatter that writes JSON.
"""

from __future__ import annotations

import logging

import attrs

from ..events import (
    AuditEvent,
    CacheFailed,
    Event,
    ExchangeRetried,
    SessionCookieRefused,
)

# By the beginning of the event's name; all others are about the tenant's documents.
_LOGGERS = {"Cache": "cache", "Exchange": "exchange"}


def log_event(event: Event) -> None:
    """Log *event* to ``auth0_tx.audit``, ``.exchange``, ``.cache`` or ``.tenant``.

    Args:
        event: what a client passes to its *on_event*.
    """
    name = type(event).__name__
    subject = next(
        (subject for start, subject in _LOGGERS.items() if name.startswith(start)),
        "audit" if isinstance(event, AuditEvent) else "tenant",
    )
    failed = not isinstance(event, SessionCookieRefused) and (
        isinstance(event, CacheFailed | ExchangeRetried)
        or getattr(event, "code", None) is not None
    )
    logger = logging.getLogger(f"auth0_tx.{subject}")
    # An audit's records must not be lost to the level that most applications have.
    level = logging.INFO if subject == "audit" else logging.DEBUG
    level = logging.WARNING if failed else level
    if logger.isEnabledFor(level):
        fields = attrs.asdict(event)
        text = " ".join(f"{key}={value}" for key, value in fields.items())
        logger.log(
            level, "%s %s", name, text, extra={"auth0_tx": {"event": name, **fields}}
        )
