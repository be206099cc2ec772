"""What `exchange` says: the tokens that came back, and who acts."""

from __future__ import annotations

from ...events import ExchangeRetried
from ...values import TokenExchangeResponse
from .actor_tree import actor_tree
from .plain import printable
from .redaction import response_rows
from .style import Style
from .token_reading import read_token


def exchange_text(
    response: TokenExchangeResponse,
    *,
    domain: str,
    seconds: float,
    show_tokens: bool,
    style: Style,
) -> str:
    """Set out an exchange that succeeded.

    Args:
        response: what came back.
        domain: the tenant's.
        seconds: how long it took.
        show_tokens: whether the tokens are shown, or described.
        style: how to set off the lines.
    """
    title = f"Exchanged at {printable(domain)} in {milliseconds(seconds)}"
    lines = [
        style.strong(title),
        *response_rows(response, style, show_tokens=show_tokens),
    ]
    if response.act is not None:
        heading = "Who acts, by the verified ID token"
        subject = subject_of(response)
        lines += ["", style.strong(heading), *actor_tree(response.act, subject, style)]
    if not show_tokens:
        lines += ["", style.faint("Tokens are described; --show-tokens shows them.")]
    return "\n".join(lines)


def retry_line(event: ExchangeRetried) -> str:
    """Say that an attempt failed and another follows."""
    status = f" (HTTP {event.status})" if event.status is not None else ""
    return printable(
        f"attempt {event.attempt} failed: {event.code}{status}; "
        f"the next follows in {event.delay:.1f} s"
    )


def milliseconds(seconds: float) -> str:
    """Write a time that was measured."""
    return f"{seconds * 1000:.0f} ms"


def subject_of(response: TokenExchangeResponse) -> object:
    """Give the ``sub`` of the ID token, None without one.

    It is verified where *response* has an ``act``, which comes of that alone.
    """
    claims = read_token(response.id_token or "").claims or {}
    return claims.get("sub")
