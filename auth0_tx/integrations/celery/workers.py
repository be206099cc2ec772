"""What a worker may do when it starts, and when it ends.

A client needs none of it: each process, forked or spawned, makes its own connections.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import signals

from ...client import ServerClient
from ...errors import Auth0Error

log: logging.Logger = logging.getLogger("auth0_tx.celery")


def prepare_workers(client: ServerClient) -> None:
    """Have every worker process fetch the tenant's documents as it starts, and clean up.

    A tenant that cannot be reached then is logged: tasks will find out, and be tried again.

    Args:
        client: the one that tasks use, of one domain; it is closed when its process ends.
    """

    def warm(**_: Any) -> None:
        try:
            client.prepare()
        except Auth0Error as error:
            log.warning("the client could not get ready: %s", error)

    def close(**_: Any) -> None:
        client.close()

    # In the parent too: what it has fetched, its children inherit.
    for signal in (signals.worker_init, signals.worker_process_init):
        signal.connect(warm, weak=False)
    for signal in (signals.worker_process_shutdown, signals.worker_shutdown):
        signal.connect(close, weak=False)
