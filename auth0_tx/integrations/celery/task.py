"""Tasks that exchange tokens, and the workers that run them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery import Task, signals

from ...client import ServerClient
from ...errors import Auth0Error
from .arguments import check_arguments

log: logging.Logger = logging.getLogger("auth0_tx.celery")

if TYPE_CHECKING:
    # Generic only in celery-types; the oldest Celery that we support has no Task[...].
    _Task = Task[Any, Any]
else:
    _Task = Task


class TokenExchangeTask(_Task):
    """A task that is tried again after an error of this library, if that does no harm.

    An error that is ``retry_safe`` is tried again: after the seconds that the server asked
    for, or else after Celery's backoff.  Any other error fails the task at once, even if
    ``autoretry_for`` names it, because a subject token may be spent.

    Give the task's client ``retry=RetryPolicy(attempts=1)``, so that the message waits and
    the worker does not.

    Attributes:
        allow_tokens: whether the task may be sent tokens as arguments, which the broker and
            everybody who can read it then has.
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
            InvalidInputError: an argument does; nothing was sent.
        """
        if not self.allow_tokens:
            check_arguments(args, kwargs, options)
        return super().apply_async(args, kwargs, *rest, **options)

    def retry(
        self,
        args: Any = None,
        kwargs: Any = None,
        exc: Exception | None = None,
        throw: bool = True,
        eta: Any = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Any:
        """Try the task again, at the time that the error asks for.

        Raises:
            Auth0Error: *exc* itself, if trying again could do harm.
        """
        if isinstance(exc, Auth0Error):
            if not exc.retry_safe:
                raise exc
            if exc.retry_after is not None:
                # Celery takes *eta* over *countdown*, so its own must go.
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


def prepare_workers(client: ServerClient) -> None:
    """Fetch the tenant's documents when a worker process starts; close *client* when it ends.

    A client does not need it: each process, forked or spawned, makes its own connections.  If
    the tenant cannot be reached at the start, that is logged, and tasks are tried again later.

    Args:
        client: the client that the tasks use, with one domain.
    """

    def prepare(**_: Any) -> None:
        try:
            client.prepare()
        except Auth0Error as error:
            log.warning("could not prepare the client: %s", error)

    def close(**_: Any) -> None:
        client.close()

    # In the parent too: its children inherit the documents that it has fetched.
    for signal in (signals.worker_init, signals.worker_process_init):
        signal.connect(prepare, weak=False)
    for signal in (signals.worker_process_shutdown, signals.worker_shutdown):
        signal.connect(close, weak=False)
