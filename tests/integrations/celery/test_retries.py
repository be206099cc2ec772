"""When a task is tried again, and when at the earliest."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Retry

from auth0_tx import (
    Auth0Error,
    BlockedError,
    NotSentError,
    RateLimitError,
    RefusedError,
)
from auth0_tx.integrations.celery import TokenExchangeTask


@pytest.fixture
def app() -> Any:
    """Return an application that runs its tasks at once."""
    app = Celery("tests", broker="memory://", backend="cache+memory://")
    yield app
    app.close()


def attempts(
    app: Celery, *errors: BaseException, **options: Any
) -> tuple[Any, list[Any]]:
    """Run a task that fails with one of *errors* after another; return its end and the countdowns."""
    left, countdowns = list(errors), []

    class Noting(TokenExchangeTask):
        abstract = True

        def signature_from_request(self, *args: Any, **kwargs: Any) -> Any:
            countdowns.append(kwargs.get("countdown"))
            return super().signature_from_request(*args, **kwargs)

    @app.task(shared=False, base=Noting, name=f"failing-{token_hex(4)}", **options)
    def failing() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return failing.apply(), countdowns


def test_asked_delay(app: Celery) -> None:
    """A retry comes when the server asked for it, never sooner, and spread a little."""
    error = RateLimitError("wait", retry_safe=True, retry_after=20.0)
    result, countdowns = attempts(app, *[error] * 5)

    assert "done" == result.result
    assert all(20.0 <= countdown <= 24.0 for countdown in countdowns)
    assert 5 == len(set(countdowns))


@pytest.mark.parametrize(
    ("seconds", "options"),
    [(601.0, {}), (86_400.0, {}), (31.0, {"max_retry_after": 30})],
)
def test_too_long(app: Celery, seconds: float, options: dict[str, Any]) -> None:
    """A server that asks for too much time fails the task at once."""
    error = RateLimitError("wait", retry_safe=True, retry_after=seconds)
    result, countdowns = attempts(app, error, **options)

    assert (error, []) == (result.result, countdowns)


def test_backoff(app: Celery) -> None:
    """Without such a time, Celery's own backoff says when."""
    error = NotSentError("no connection", retry_safe=True)
    result, countdowns = attempts(app, error, error, retry_jitter=False)

    assert ("done", [1, 2]) == (result.result, countdowns)


@pytest.mark.parametrize("autoretry_for", [None, (Exception,)], ids=["ours", "all"])
@pytest.mark.parametrize(
    "error",
    [
        RefusedError("no"),
        BlockedError("no", retry_after=9.0),
        BlockedError("no", retry_safe=True),
    ],
    ids=["refused", "blocked", "blocked for a time"],
)
def test_final(app: Celery, error: Auth0Error, autoretry_for: Any) -> None:
    """An error that is not ``retry_safe`` is final, whatever ``autoretry_for`` has."""
    options = {} if autoretry_for is None else {"autoretry_for": autoretry_for}
    result, countdowns = attempts(app, error, **options)

    assert (error, []) == (result.result, countdowns)


def test_others(app: Celery) -> None:
    """Other libraries' errors are left to the task's own settings."""
    once, _ = attempts(app, OSError("gone"))
    again, _ = attempts(app, OSError("gone"), autoretry_for=(OSError,))

    assert isinstance(once.result, OSError)
    assert "done" == again.result


def test_most_retries(app: Celery) -> None:
    """After ``max_retries`` the error is the task's result."""
    error = NotSentError("no connection", retry_safe=True)
    result, countdowns = attempts(app, *[error] * 9, max_retries=2)

    assert isinstance(result.result, NotSentError)
    # The last is asked for, and refused by Celery.
    assert 3 == len(countdowns)


def test_own_retry(app: Celery) -> None:
    """A task that calls ``retry`` itself follows the same rules."""

    @app.task(shared=False, bind=True, base=TokenExchangeTask, name="own")
    def own(self: Any) -> None:
        raise self.retry(exc=RefusedError("no"), countdown=1)

    assert isinstance(own.apply().result, RefusedError)
    assert not isinstance(own.apply().result, Retry)
