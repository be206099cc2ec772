"""Events as log records."""

from __future__ import annotations

import logging
from typing import Any, get_args

import pytest

from auth0_tx.events import (
    AuditEvent,
    BackchannelLogoutFinished,
    CacheFailed,
    CacheHit,
    Event,
    ExchangeFinished,
    ExchangeRetried,
    KeysFetched,
    LoginFinished,
    LogoutFinished,
    LogoutTokenRefused,
    SessionCookieRefused,
    SessionRotated,
    SessionsEnded,
)
from auth0_tx.integrations.log_events import log_event

WHO: dict[str, Any] = {"domain": "d", "client_id": "c"}
RECORDS: list[tuple[Event, str, int]] = [
    (ExchangeFinished(domain="d", seconds=0.5), "exchange", logging.DEBUG),
    (ExchangeFinished(domain="d", seconds=0.5, code="no"), "exchange", logging.WARNING),
    (
        ExchangeRetried(domain="d", attempt=1, code="c", status=None, delay=0.1),
        "exchange",
        logging.WARNING,
    ),
    (CacheHit(domain="d"), "cache", logging.DEBUG),
    (CacheFailed(kind="TimeoutError"), "cache", logging.WARNING),
    (LoginFinished(**WHO, seconds=1), "audit", logging.INFO),
    (LoginFinished(**WHO, seconds=1, code="no"), "audit", logging.WARNING),
    (SessionRotated(**WHO, by="exchange", seconds=1), "audit", logging.INFO),
    (
        SessionRotated(**WHO, by="exchange", seconds=1, code="c"),
        "audit",
        logging.WARNING,
    ),
    (LogoutFinished(**WHO, seconds=1), "audit", logging.INFO),
    (BackchannelLogoutFinished(**WHO, sessions=2, seconds=1), "audit", logging.INFO),
    (
        LogoutTokenRefused(**WHO, code="no", reason="invalid", rule="r"),
        "audit",
        logging.WARNING,
    ),
    (SessionCookieRefused(**WHO, code="no", reason="expired"), "audit", logging.INFO),
    (
        SessionsEnded(**WHO, by="max_sessions", sessions=1, seconds=1),
        "audit",
        logging.INFO,
    ),
    (KeysFetched(domain="d", seconds=1.0), "tenant", logging.DEBUG),
]


@pytest.mark.parametrize(("event", "logger", "level"), RECORDS, ids=range(len(RECORDS)))
def test_record(
    caplog: pytest.LogCaptureFixture, event: Event, logger: str, level: int
) -> None:
    """An event is one record, of its logger and level, with its fields for a formatter."""
    with caplog.at_level(logging.DEBUG, "auth0_tx"):
        log_event(event)
    (record,) = caplog.records

    assert (f"auth0_tx.{logger}", level) == (record.name, record.levelno)
    assert record.getMessage().startswith(f"{type(event).__name__} ")
    assert type(event).__name__ == record.auth0_tx["event"]  # type: ignore[attr-defined]


def test_audited() -> None:
    """No audit event is forgotten."""
    kinds = {kind for kind in get_args(Event) if issubclass(kind, AuditEvent)}

    assert kinds <= {type(event) for event, _, _ in RECORDS}


def test_not_wanted(caplog: pytest.LogCaptureFixture) -> None:
    """What the application's level leaves out is not written."""
    with caplog.at_level(logging.WARNING, "auth0_tx"):
        log_event(CacheHit(domain="d"))

    assert [] == caplog.records
