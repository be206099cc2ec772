"""A base class for tasks that exchange tokens."""

from __future__ import annotations

from typing import Any

from celery import Task

from ...errors import Auth0Error
from .arguments import check_arguments


class TokenExchangeTask(Task):  # type: ignore[misc]
    """Try a task again after an error of this library's, if and when that does no harm.

    An error that says ``retry_safe`` is tried again: after the seconds that the server asked
    for, where it did, else after Celery's backoff.  One that does not is the task's failure
    at once, also where ``autoretry_for`` names it: a subject token may be spent.

    Give the client that the task uses ``retry=RetryPolicy(attempts=1)``, so that a worker
    waits for nobody, and the message does.

    Attributes:
        allow_tokens: whether the task may be sent tokens as arguments, which the broker and
            everybody who reads it then has.
        max_retries: as in Celery, and so are those that follow.
    """

    abstract = True
    allow_tokens = False
    autoretry_for: tuple[type[BaseException], ...] = (Auth0Error,)
    max_retries: int | None = 5
    retry_backoff: bool | int = True
    retry_backoff_max = 600
    retry_jitter = True

    def apply_async(
        self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any
    ) -> Any:
        """Send the task, unless an argument holds what looks like a token.

        Raises:
            InvalidInputError: one does; nothing was sent.
        """
        if not self.allow_tokens:
            check_arguments(args, kwargs, options)
        return super().apply_async(args, kwargs, *rest, **options)

    def retry(
        self,
        args: Any = None,
        kwargs: Any = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: Any = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Any:
        """Try the task again, at the time that the error asks for.

        Raises:
            Auth0Error: *exc* itself, where trying again could do harm.
        """
        if isinstance(exc, Auth0Error):
            if not exc.retry_safe:
                raise exc
            if exc.retry_after is not None:
                eta, countdown = None, exc.retry_after
        return super().retry(
            args,
            kwargs,
            exc,
            throw,
            eta=eta,
            countdown=countdown,
            max_retries=max_retries,
            **options,
        )
