"""The demo as text and as JSON: what was sent, what came back, who acts, and a refusal.

The text claims nothing that the run did not show: that both clients sent the same request
is compared byte by byte, and "verified" is printed only for an ID token that the client
verified. A demo that prints success whatever happens would hide the first regression.
"""

from __future__ import annotations

from typing import Any

import attrs

from ...core.jose.claims import actor_chain
from ...errors import Auth0Error
from ...events import Event, ExchangeFinished, KeysFetched, MetadataFetched
from ...values import TokenExchangeResponse
from ..failures import error_to_json
from .exchange_report import (
    format_form,
    format_milliseconds,
    format_response,
    read_subject,
    redact_parameter,
    response_to_json,
)
from .style import Style
from .text import format_rows, format_value, wrap_prose
from .token_reading import ReadToken, read_token
from .token_report import format_actors, format_claims

WIDTH = 78

_REFUSAL_MEMBERS = ("code", "message", "status", "phase", "retry_safe", "hint")


@attrs.frozen(kw_only=True)
class Exchange:
    """One exchange, as seen by the client and by the tenant.

    Attributes:
        client: the name of the client's class.
        world: ``blocking`` or ``asyncio``.
        form: the parameters that the tenant received, in order.
        size: the number of bytes of the body that it received.
        status: the HTTP status of its answer.
        response: what the client returned.
        events: what the client reported to ``on_event``.
    """

    client: str
    world: str
    form: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    size: int
    status: int
    response: TokenExchangeResponse
    events: tuple[Event, ...]

    @property
    def seconds(self) -> float:
        """How long the whole call took."""
        return self._add_seconds(ExchangeFinished)

    @property
    def timing(self) -> str:
        """The duration of each step, in words."""
        parts = (
            ("discovery", self._add_seconds(MetadataFetched)),
            ("signing keys", self._add_seconds(KeysFetched)),
            ("total", self.seconds),
        )
        return ", ".join(
            f"{name} {format_milliseconds(seconds)}" for name, seconds in parts
        )

    def _add_seconds(self, kind: type) -> float:
        return sum(
            getattr(event, "seconds", 0.0)
            for event in self.events
            if isinstance(event, kind)
        )


@attrs.frozen(kw_only=True)
class Demonstration:
    """Everything that the demo did.

    Attributes:
        issuer: the local tenant's issuer.
        blocking: the blocking client's exchange.
        asynchronous: the async client's exchange of the same tokens.
        same_request: whether both sent the same bytes.
        refused_type: the subject token type of the exchange that was refused.
        refusal: the error that it ended with.
        now: epoch seconds.
    """

    issuer: str
    blocking: Exchange
    asynchronous: Exchange
    same_request: bool
    refused_type: str
    refusal: Auth0Error
    now: float


def format_demo(demonstration: Demonstration, style: Style) -> str:
    """Format the demo for reading."""
    first, second = demonstration.blocking, demonstration.asynchronous
    subject = format_value(read_subject(first.response))
    return "\n".join(
        [
            style.strong("auth0-tx: one token in, Auth0's tokens out (RFC 8693)"),
            f"An agent, acting for a support engineer who acts for {subject},",
            f"at a local Auth0 tenant: {demonstration.issuer}",
            "",
            _format_heading(f"1  {first.client}", first.world, style),
            *_format_whole(first, demonstration.now, style),
            "",
            _format_heading(f"2  {second.client}", second.world, style),
            *_format_comparison(demonstration, style),
            "",
            _format_heading("3  A refusal", demonstration.refused_type, style),
            *_format_refusal(demonstration.refusal, style),
            "",
            style.faint("Next: auth0-tx tenant runs a local tenant for your own code."),
        ]
    )


def demo_to_json(demonstration: Demonstration) -> dict[str, Any]:
    """Return what ``--json`` shows of the demo."""
    return {
        "issuer": demonstration.issuer,
        "exchanges": [
            _exchange_to_json(demonstration.blocking),
            _exchange_to_json(demonstration.asynchronous),
        ],
        "same_request": demonstration.same_request,
        "refusal": error_to_json(demonstration.refusal),
    }


def _exchange_to_json(exchange: Exchange) -> dict[str, Any]:
    response = exchange.response
    id_token, access_token = _read_tokens(response)
    return {
        "client": exchange.client,
        "seconds": round(exchange.seconds, 6),
        "sent": [
            [name, redact_parameter(name, value)] for name, value in exchange.form
        ],
        "received": response_to_json(response),
        "id_token": {"verified": _is_verified(response), "claims": id_token.claims},
        "access_token": {"verified": False, "claims": access_token.claims},
    }


def _format_whole(exchange: Exchange, now: float, style: Style) -> list[str]:
    response = exchange.response
    id_token, access_token = _read_tokens(response)
    verified = (
        style.good("verified by the client")
        if _is_verified(response)
        else style.warning("not verified")
    )
    return [
        f"  {style.strong('Sent')}  {style.faint('POST /oauth/token')}",
        *format_form(exchange.form, style, 4),
        "",
        f"  {style.strong('Received')}  {style.faint(_format_answer(exchange))}",
        *format_response(response, style, indent=4),
        "",
        f"  {style.strong('ID token')}  {verified}",
        *format_claims(id_token.claims or {}, now, style, 4),
        "",
        f"  {style.strong('Access token')}  {style.faint('for its API to verify')}",
        *format_claims(access_token.claims or {}, now, style, 4),
        "",
        f"  {style.strong('Actors')}",
        *_format_actors(response, style),
    ]


def _format_actors(response: TokenExchangeResponse, style: Style) -> list[str]:
    if response.act is None:
        return ["    none that the client verified"]
    return format_actors(response.act, read_subject(response), style, 4)


def _format_comparison(demonstration: Demonstration, style: Style) -> list[str]:
    first, second = demonstration.blocking, demonstration.asynchronous
    same = "the same" if demonstration.same_request else "not the same"
    actors = [format_value(actor["sub"]) for actor in actor_chain(second.response.act)]
    as_before = first.response.act == second.response.act
    return format_rows(
        [
            ("sent", f"{second.size:,} bytes, {same} as above"),
            ("received", _format_answer(second)),
            ("actors", f"{', for '.join(actors)}{', as above' if as_before else ''}"),
        ],
        style,
    )


def _format_refusal(error: Auth0Error, style: Style) -> list[str]:
    members = error_to_json(error)
    pairs = [
        pair
        for name in _REFUSAL_MEMBERS
        if members[name] is not None
        for pair in wrap_prose(name, str(members[name]), WIDTH - 16)
    ]
    return [f"  {style.bad(type(error).__name__)}", *format_rows(pairs, style, 4)]


def _format_heading(title: str, aside: str, style: Style) -> str:
    line = style.rule * max(WIDTH - len(title) - len(aside) - 4, 2)
    return f"{style.strong(title)}  {style.faint(f'{line}  {aside}')}"


def _format_answer(exchange: Exchange) -> str:
    return f"HTTP {exchange.status}; {exchange.timing}"


def _read_tokens(response: TokenExchangeResponse) -> tuple[ReadToken, ReadToken]:
    return read_token(response.id_token or ""), read_token(response.access_token)


def _is_verified(response: TokenExchangeResponse) -> bool:
    # The library takes the act from nothing but an ID token that it has verified.
    return response.act is not None
