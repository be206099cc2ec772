"""What was sent and what came back, with every secret described in place of shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...core.jose.claims import actor_chain
from ...values import TokenExchangeResponse
from ..failures import error_members
from .plain import printable, rows, value_text
from .style import Style
from .times import duration
from .token_reading import description

TOKENS = ("access_token", "id_token", "refresh_token")

# All else in a form may be a secret: a credential, a token, an Action's own parameter.
_SHOWN = frozenset(
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


def redacted(name: str, value: str) -> str:
    """Give a parameter's value, or what stands for it where it may be a secret."""
    if name in _SHOWN:
        return value
    if name.endswith(("_token", "_assertion")):
        return f"<redacted: {description(value)}>"
    return "<redacted>"


def form_rows(
    form: Iterable[tuple[str, str]], style: Style, indent: int = 2
) -> list[str]:
    """Set out the parameters of a request, in the order they were sent."""
    return rows(
        [
            (
                name,
                value_text(value)
                if name in _SHOWN
                else style.faint(redacted(name, value)),
            )
            for name, value in form
        ],
        style,
        indent,
    )


def response_rows(
    response: TokenExchangeResponse,
    style: Style,
    *,
    show_tokens: bool = False,
    indent: int = 2,
) -> list[str]:
    """Set out the tokens that came back; the acting party is for a tree to show."""
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
        if name in TOKENS:
            text = printable(value) if show_tokens else style.faint(_described(value))
        elif name == "expires_in":
            text = f"{value}  {style.faint(duration(value))}"
        else:
            text = value_text(value)
        pairs.append((name, text))
    if response.act_error is not None:
        error = response.act_error
        pairs.append(("act", style.warning(printable(f"not known: {error.message}"))))
        if error.hint:
            pairs.append(("", style.warning(printable(f"hint: {error.hint}"))))
    return rows(pairs, style, indent)


def response_members(
    response: TokenExchangeResponse, *, show_tokens: bool = False
) -> dict[str, Any]:
    """Give what ``--json`` says of a response, by the names of RFC 8693 2.2.1."""

    def token(value: str | None) -> str | None:
        if value is None or show_tokens:
            return value
        return _described(value)

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
        "act_error": None if error is None else error_members(error),
    }


def _described(token: str) -> str:
    return f"<redacted: {description(token)}>"
