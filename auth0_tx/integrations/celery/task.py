"""Tasks that exchange tokens, and the workers that run them."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from celery import Task, signals

from ...client import ServerClient
from ...errors import Auth0Error, BlockedError, ConfigurationError, InvalidInputError
from ...shells.requests_shell import close_idle_connections
from .refusal import check_retry, find_refusal

log: logging.Logger = logging.getLogger("auth0_tx.celery")

if TYPE_CHECKING:
    # Generic only in celery-types; the oldest Celery that we support has no Task[...].
    _Task = Task[Any, Any]
else:
    _Task = Task


class TokenExchangeTask(_Task):
    """A task that is tried again after an error of this library, if that does no harm.

    An error that is ``retry_safe`` is tried again: not before the time that the server asked
    for, or else after Celery's backoff.  Any other error fails the task at once, even if
    ``autoretry_for`` names it, because a subject token may be spent.  So does one whose time
    is further away than *max_retry_after*, and the block of an IP address (``BlockedError``),
    which retries prolong.

    Give the task's client ``retry=RetryPolicy(attempts=1)``, so that the message waits and
    the worker does not.

    Attributes:
        allow_tokens: whether the task may be sent tokens as arguments, which the broker and
            everybody who can read it then has, and may return them.
        max_retry_after: the most seconds that a message waits because a server asks for it.
            A message that waits is unacknowledged: RabbitMQ closes a channel after 30 minutes
            of that, and Redis delivers the message again after an hour.
        max_retries: as in Celery, and so are those that follow.
    """

    abstract = True
    allow_tokens = False
    max_retry_after: float = 600.0
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
        refusal = self._find_refusal(args, kwargs, options)
        if refusal is not None:
            args = kwargs = rest = None  # type: ignore[assignment]
            options.clear()
            raise refusal
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
        """Try the task again, not before the time that the error asks for.

        Raises:
            Auth0Error: *exc* itself, if trying again could do harm, or if the server asks for
                more time than *max_retry_after*.
            InvalidInputError: an argument holds what looks like a token.
        """
        if isinstance(exc, Auth0Error):
            if not exc.retry_safe or isinstance(exc, BlockedError):
                raise exc
            if exc.retry_after is not None:
                if exc.retry_after > self.max_retry_after:
                    raise exc
                # Celery takes *eta* over *countdown*, so its own must go.
                eta, countdown = None, _spread_delay(exc.retry_after)
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

    def signature_from_request(self, *rest: Any, **options: Any) -> Any:
        """Return the signature of the task's next try, as Celery's :meth:`retry` needs it.

        Raises:
            InvalidInputError: an argument holds what looks like a token.
        """
        return check_retry(
            super().signature_from_request(*rest, **options), self._is_allowed
        )

    def _find_refusal(
        self, args: Any, kwargs: Any, options: dict[str, Any]
    ) -> InvalidInputError | None:
        if self.allow_tokens:
            args = kwargs = None
        serializer = options.get("serializer") or self.serializer
        return find_refusal(
            args,
            kwargs,
            options,
            as_pickle=serializer != "json",
            is_allowed=self._is_allowed,
        )

    def _is_allowed(self, name: str) -> bool:
        return bool(getattr(self.app.tasks.get(name), "allow_tokens", False))


def _spread_delay(seconds: float) -> float:
    """Return a delay of *seconds* or somewhat more.

    All the tasks that were told to wait would otherwise come back in the same instant.  A
    worker looks for what is due once a second, so less than a second spreads nothing.
    """
    # Not a secret: the module need not be unpredictable.
    return seconds + random.uniform(0, max(1.0, seconds / 5))  # noqa: S311


def prepare_workers(*clients: ServerClient | Callable[[], ServerClient]) -> None:
    """Fetch the tenants' documents when a worker process starts; close *clients* when it ends.

    Clients do not need it: each process, forked or spawned, makes its own connections.  If a
    tenant cannot be reached at the start, that is logged, and tasks are tried again later.
    A client is closed when the last task of its process has ended.  A worker that ends within
    a process that goes on, as Celery's ``start_worker`` for tests, only closes connections.

    Args:
        clients: the clients that the tasks use, each with one domain.  A function that returns
            one, such as Django's ``get_client``, is called when a process starts.

    Raises:
        ConfigurationError: there are none, or one is neither a client nor a function.
    """
    if not clients:
        raise ConfigurationError("prepare_workers needs a client", parameter="clients")
    for client in clients:
        if not isinstance(client, ServerClient) and not callable(client):
            raise ConfigurationError(
                "each of clients must be a ServerClient, or a function that returns one",
                parameter="clients",
            )

    def find(client: ServerClient | Callable[[], ServerClient]) -> ServerClient:
        return client if isinstance(client, ServerClient) else client()

    def prepare(**_: Any) -> None:
        for client in clients:
            try:
                find(client).prepare()
            except Auth0Error as error:
                log.warning("could not prepare the client: %s", error)

    def close(**_: Any) -> None:
        for client in clients:
            find(client).close()

    def close_connections(**_: Any) -> None:
        for client in clients:
            close_idle_connections(find(client))

    # In the parent too: its children inherit the documents that it has fetched.
    for signal in (signals.worker_init, signals.worker_process_init):
        signal.connect(prepare, weak=False)
    signals.worker_process_shutdown.connect(close, weak=False)
    signals.worker_shutdown.connect(close_connections, weak=False)
