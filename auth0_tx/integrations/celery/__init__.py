"""Token exchange in Celery tasks: what is tried again, and what no message may contain.

A broker, a result backend and a worker's log keep the arguments of tasks, so a task is passed
the handle of a token in a vault.  Clients are safe to inherit through prefork.
"""

from __future__ import annotations

try:
    import celery as _celery
except ImportError:
    from ...errors import ConfigurationError

    raise ConfigurationError(
        "celery is not installed: pip install 'auth0-tx[celery]'", parameter="celery"
    ) from None

from .bulk import BulkExchangeTasks
from .refusal import refuse_tokens
from .task import TokenExchangeTask, prepare_workers
from .vault import AsyncSubjectTokenVault, SubjectTokenVault

del _celery

__all__ = [
    "AsyncSubjectTokenVault",
    "BulkExchangeTasks",
    "SubjectTokenVault",
    "TokenExchangeTask",
    "prepare_workers",
    "refuse_tokens",
]
