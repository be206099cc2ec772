"""Reporting to an audit: the events that say what became of a login session, and whose it was.

Every flow reports through here, so all events agree on what they have.  Without a subscriber
nothing is computed.

An event is made of what the library knows by itself: a verified ``sub``, the id that the
library gave the session, the code of an error.  A browser or a forger of tokens chooses none
of it, and each text is bounded.  No event has a token, a cookie's value or an error's message:
the last may quote what an application passed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from ...errors import Auth0Error
from ...events import AuditEvent
from ..context import Call
from ..effects import Emit, Flow
from ..session.pseudonyms import make_pseudonym

T = TypeVar("T")

_LONGEST_CODE = 128
"""Characters.  A server chooses its codes, and one may have a thousand."""

_LONGEST_IDENTIFIER = 255
"""Characters, as many as a ``sub`` may have (OpenID Connect Core section 2)."""


def report(
    call: Call,
    kind: type[AuditEvent],
    *,
    state: Mapping[str, Any] | None = None,
    subject: str | None = None,
    error: Auth0Error | None = None,
    started: float | None = None,
    **fields: Any,
) -> Flow[None]:
    """Emit an audit event, if there is a subscriber.

    Args:
        call: the call that it happened in.
        kind: the class of the event.
        state: the session that it is about, if it is known.
        subject: the user that it is about, where there is no session to read it from.
        error: how it failed; ``None`` if it did not.
        started: when it began, on the context's monotonic clock, if it took time.
        fields: the fields that the event has besides.
    """
    settings = call.settings
    if settings.on_event is None:
        return
    # The session's own domain comes last: it may be of another tenant than the call.
    domain, session_id = settings.domain or call.domain or "", None
    if state is not None:
        domain = domain or state["domain"]
        subject, session_id = state["user"]["sub"], state["internal"]["id"]
    if started is not None:
        fields["seconds"] = call.context.monotonic() - started
    if error is not None:
        fields["code"] = str(error.code)[:_LONGEST_CODE]
        fields["correlation_id"] = error.correlation_id
    yield from Emit(
        kind(
            domain=domain,
            client_id=settings.client_id,
            subject=_identify(call, "subject", domain, subject),
            session=_identify(call, "session", domain, session_id),
            **fields,
        )
    )


def run_reported(
    call: Call,
    kind: type[AuditEvent],
    flow: Flow[T],
    describe: Callable[[T], Mapping[str, Any] | None],
    **known: Any,
) -> Flow[T]:
    """Run a flow, and report whether it succeeded.

    Args:
        call: the call that the flow is a part of.
        kind: the class of the event.
        flow: the flow.
        describe: returns what else :func:`report` takes, for a result of the flow, or
            ``None`` if a result is not worth an event.
        known: what it takes whether the flow succeeds or not, less what *describe* returns.
    """
    # The frame of this flow would be one more in each traceback, and each step one more call.
    if call.settings.on_event is None:
        return (yield from flow)
    started = call.context.monotonic()
    try:
        result = yield from flow
    except Auth0Error as error:
        failure = error
    else:
        details = describe(result)
        if details is not None:
            yield from report(call, kind, started=started, **{**known, **details})
        return result
    # Outside the handler, so that an error in here would not have this one as its context.
    yield from report(call, kind, error=failure, started=started, **known)
    try:
        raise failure
    finally:
        # Or the frame keeps the error that keeps the frame, and what both refer to.
        del failure


def _identify(
    call: Call,
    kind: Literal["subject", "session"],
    domain: str,
    identifier: str | None,
) -> str | None:
    """Return how an event names a user or a session."""
    if identifier is None:
        return None
    if call.settings.audit_identifiers == "clear":
        return identifier[:_LONGEST_IDENTIFIER]
    # A public application without a secret has no key: its pseudonyms last as long as the
    # process, which is better than ones that anybody can make.
    key = call.settings.pseudonym_key or call.context.process_key
    return make_pseudonym(key, kind, domain, identifier)
