"""A local tenant that tells of each request it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ..tenant import ReceivedRequest, Reply, Tenant
from .failures import of_system

Told: TypeAlias = Callable[[ReceivedRequest, Reply], None]


class LoggedTenant(Tenant):
    """Do as a tenant does, and tell.

    Args:
        told: called with each request and its reply, from the thread that answers it.
        settings: the tenant's own keywords.
    """

    def __init__(self, told: Told, **settings: Any) -> None:
        self._told = told
        super().__init__(**settings)

    def respond(self, request: ReceivedRequest) -> Reply:
        """Return the reply to *request*, having told of it."""
        reply = super().respond(request)
        self._told(request, reply)
        return reply


def started_tenant(told: Told, **settings: Any) -> Tenant:
    """Start a tenant that tells of its requests; the caller closes it.

    Raises:
        UsageError: this machine cannot run it, or not at the port asked for.
    """
    try:
        return LoggedTenant(told, **settings).start()
    except OSError as error:
        hint = "leave --port out for one that is free" if settings.get("port") else None
        failure = of_system("the local tenant cannot start", error, hint)
    raise failure


def error_code(reply: Reply) -> object:
    """Give the ``error`` of a reply that refuses, or None."""
    if reply.status < 400:
        return None
    try:
        return reply.members.get("error")
    except ValueError:
        return None
