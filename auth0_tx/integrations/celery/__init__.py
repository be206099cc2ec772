"""Token exchange in Celery tasks: what is tried again, and what never is in a message.

A broker, a result backend and a worker's log keep what tasks are given, so a task is given a
handle of a vault's, and no token.  Clients are safe to inherit through prefork, and need
nothing of this to work.
"""

from __future__ import annotations

try:
    import celery as _celery
except ImportError:
    from ...errors import ConfigurationError

    raise ConfigurationError(
        "celery is not installed: pip install 'auth0-tx[celery]'", parameter="celery"
    ) from None

from .arguments import refuse_tokens
from .task import TokenExchangeTask
from .vault import AsyncSubjectTokenVault, SubjectTokenVault
from .workers import prepare_workers

del _celery

__all__ = [
    "AsyncSubjectTokenVault",
    "SubjectTokenVault",
    "TokenExchangeTask",
    "prepare_workers",
    "refuse_tokens",
]
