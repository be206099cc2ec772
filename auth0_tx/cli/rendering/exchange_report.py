"""An exchange as text and as JSON: what was sent, what came back, and who acts.

Output is copied into tickets and kept in CI logs, so secrets are described and not shown.
Of a request, only the parameters on a list of harmless ones are shown: an Action reads
parameters of its own, and any of them may be a secret. Of a response, the tokens are
described by kind and length, unless the user passes ``--show-tokens``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...core.jose.claims import actor_chain
from ...events import ExchangeRetried
from ...values import TokenExchangeResponse
from ..failures import error_to_json
from .style import Style
from .text import format_rows, format_value, make_printable
from .times import format_duration
from .token_reading import describe_token, read_token
from .token_report import format_actors

_TOKENS = ("access_token", "id_token", "refresh_token")

_HARMLESS = frozenset(
    {
        "grant_type",
        "subject_token_type",
        "actor_token_type",
        "audience",
        "scope",
        "organization",
        "client_id",
        "client_assertion_type",
    }
)


def format_exchange(
    response: TokenExchangeResponse,
    *,
    domain: str,
    seconds: float,
    show_tokens: bool,
    style: Style,
) -> str:
    """Format an exchange that succeeded.

    Args:
        response: what came back.
        domain: the tenant's domain.
        seconds: how long the exchange took.
        show_tokens: whether the tokens are shown, or only described.
        style: how to set off the lines.
    """
    title = f"Exchanged at {make_printable(domain)} in {format_milliseconds(seconds)}"
    lines = [
        style.strong(title),
        *format_response(response, style, show_tokens=show_tokens),
    ]
    if response.act is not None:
        heading = "Actors, from the verified ID token"
        tree = format_actors(response.act, read_subject(response), style)
        lines += ["", style.strong(heading), *tree]
    if not show_tokens:
        lines += ["", style.faint("Tokens are redacted; --show-tokens shows them.")]
    return "\n".join(lines)


def format_retry(event: ExchangeRetried) -> str:
    """Say that an attempt failed and another follows."""
    status = f" (HTTP {event.status})" if event.status is not None else ""
    return make_printable(
        f"attempt {event.attempt} failed: {event.code}{status}; "
        f"retrying in {event.delay:.1f} s"
    )


def format_milliseconds(seconds: float) -> str:
    """Write a time that was measured."""
    return f"{seconds * 1000:.0f} ms"


def read_subject(response: TokenExchangeResponse) -> object:
    """Return the ``sub`` of the ID token, ``None`` without one.

    It is verified if *response* has an ``act``: the library takes that from nothing but
    an ID token that it has verified.
    """
    claims = read_token(response.id_token or "").claims or {}
    return claims.get("sub")


def redact_parameter(name: str, value: str) -> str:
    """Return a form parameter's value, or its description if it may be a secret."""
    if name in _HARMLESS:
        return value
    if name.endswith(("_token", "_assertion")):
        return _redact_token(value)
    return "<redacted>"


def format_form(
    form: Iterable[tuple[str, str]], style: Style, indent: int = 2
) -> list[str]:
    """Format the parameters of a request, in the order they were sent."""
    return format_rows(
        [
            (
                name,
                format_value(value)
                if name in _HARMLESS
                else style.faint(redact_parameter(name, value)),
            )
            for name, value in form
        ],
        style,
        indent,
    )


def format_response(
    response: TokenExchangeResponse,
    style: Style,
    *,
    show_tokens: bool = False,
    indent: int = 2,
) -> list[str]:
    """Format what came back; :func:`format_actors` draws the ``act`` claim."""
    pairs = []
    for name in (
        "access_token",
        "token_type",
        "expires_in",
        "scope",
        "issued_token_type",
        "id_token",
        "refresh_token",
    ):
        value = getattr(response, name)
        if value is None:
            continue
        if name in _TOKENS:
            # A server may issue a token with control characters in it.
            text = (
                make_printable(value)
                if show_tokens
                else style.faint(_redact_token(value))
            )
        elif name == "expires_in":
            text = f"{value}  {style.faint(format_duration(value))}"
        else:
            text = format_value(value)
        pairs.append((name, text))
    if response.act_error is not None:
        error = response.act_error
        reason = make_printable(f"not known: {error.message}")
        pairs.append(("act", style.warning(reason)))
        if error.hint:
            pairs.append(("", style.warning(make_printable(f"hint: {error.hint}"))))
    return format_rows(pairs, style, indent)


def response_to_json(
    response: TokenExchangeResponse, *, show_tokens: bool = False
) -> dict[str, Any]:
    """Return what ``--json`` shows of a response, with the names of RFC 8693 2.2.1."""

    def token(value: str | None) -> str | None:
        return value if value is None or show_tokens else _redact_token(value)

    error = response.act_error
    return {
        "access_token": token(response.access_token),
        "token_type": response.token_type,
        "expires_in": response.expires_in,
        "scope": response.scope,
        "issued_token_type": response.issued_token_type,
        "id_token": token(response.id_token),
        "refresh_token": token(response.refresh_token),
        "act": response.act,
        "actors": list(actor_chain(response.act)),
        "act_error": None if error is None else error_to_json(error),
    }


def _redact_token(token: str) -> str:
    return f"<redacted: {describe_token(token)}>"
