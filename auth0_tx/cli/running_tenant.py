"""A local tenant that reports each request it answers, and the line to log for it.

The module imports the tenant, and with it a server and certificates, so commands import it
when they run and not before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ..tenant import ReceivedRequest, Reply, Tenant
from .failures import system_failure
from .rendering.text import make_printable

OnReply: TypeAlias = Callable[[ReceivedRequest, Reply], None]


class ReportingTenant(Tenant):
    """A tenant that calls *on_reply* with each request and its reply.

    Args:
        on_reply: called from the thread that answers the request, before the client has
            the reply. So a report is there when the client's call returns.
        settings: the tenant's own keywords.
    """

    def __init__(self, on_reply: OnReply, **settings: Any) -> None:
        self._on_reply = on_reply
        super().__init__(**settings)

    def respond(self, request: ReceivedRequest) -> Reply:
        """Return the reply to *request*, after reporting it."""
        reply = super().respond(request)
        self._on_reply(request, reply)
        return reply


def start_tenant(on_reply: OnReply, **settings: Any) -> Tenant:
    """Start a tenant that reports its requests; the caller closes it.

    Raises:
        CommandError: this machine cannot run it, or not at the given port.
    """
    try:
        return ReportingTenant(on_reply, **settings).start()
    except OSError as error:
        hint = "leave out --port to use any free port" if settings.get("port") else None
        raise system_failure("cannot start the local tenant", error, hint) from None


def format_request(request: ReceivedRequest, reply: Reply) -> str:
    """Say in one line how a request was answered.

    Neither the query nor the body is in it: they may contain tokens.
    """
    code = _read_error_code(reply)
    error = f" {code}" if isinstance(code, str) else ""
    return make_printable(f"{request.method} {request.path} {reply.status}{error}")


def _read_error_code(reply: Reply) -> object:
    if reply.status < 400:
        return None
    try:
        return reply.members.get("error")
    except ValueError:
        # An injected fault may answer with HTML.
        return None
