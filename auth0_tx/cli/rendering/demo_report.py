"""What `demo` says: what was sent, what came back, who acts, and how a no looks."""

from __future__ import annotations

from typing import Any

import attrs

from ...core.jose.claims import actor_chain
from ...errors import Auth0Error
from ...events import Event, ExchangeFinished, KeysFetched, MetadataFetched
from ...values import TokenExchangeResponse
from ..failures import error_members
from .actor_tree import actor_tree
from .exchange_report import milliseconds, subject_of
from .plain import prose, rows, value_text
from .redaction import form_rows, redacted, response_members, response_rows
from .style import Style
from .token_reading import ReadToken, read_token
from .token_report import claim_rows

WIDTH = 78

_REFUSAL_MEMBERS = ("code", "message", "status", "phase", "retry_safe", "hint")


@attrs.frozen(kw_only=True)
class Exchange:
    """One exchange, as the client and the tenant saw it.

    Attributes:
        client: the name of the client's class.
        world: what it is for, and over what.
        form: the parameters that the tenant received, in order.
        size: the bytes of the body that it received.
        status: the HTTP status it answered with.
        response: what the client gave.
        events: what the client told of it.
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
        """Give how long the whole call took."""
        return self._seconds_of(ExchangeFinished)

    @property
    def timing(self) -> str:
        """Say what took how long."""
        parts = (
            ("discovery", self._seconds_of(MetadataFetched)),
            ("signing keys", self._seconds_of(KeysFetched)),
            ("in all", self.seconds),
        )
        return ", ".join(f"{name} {milliseconds(seconds)}" for name, seconds in parts)

    def _seconds_of(self, kind: type) -> float:
        return sum(
            getattr(event, "seconds", 0.0)
            for event in self.events
            if isinstance(event, kind)
        )


@attrs.frozen(kw_only=True)
class Demonstration:
    """All that the demo did.

    Attributes:
        issuer: the local tenant's.
        blocking: the exchange by the blocking client.
        asynchronous: the same by the async client.
        same_request: whether both sent the same bytes.
        refused_type: the subject token type of the exchange that was refused.
        refusal: how it was.
        now: epoch seconds.
    """

    issuer: str
    blocking: Exchange
    asynchronous: Exchange
    same_request: bool
    refused_type: str
    refusal: Auth0Error
    now: float


def demo_text(demonstration: Demonstration, style: Style) -> str:
    """Set out the demo for reading."""
    first, second = demonstration.blocking, demonstration.asynchronous
    return "\n".join(
        [
            style.strong("auth0-tx: one token in, Auth0's tokens out (RFC 8693)"),
            f"An agent, acting for a support engineer who acts for {_subject(first)},",
            f"at a local Auth0 tenant: {demonstration.issuer}",
            "",
            *_heading(1, first, style),
            *_whole(first, demonstration.now, style),
            "",
            *_heading(2, second, style),
            *_again(demonstration, style),
            "",
            _ruled("3  A refusal", demonstration.refused_type, style),
            *_refusal(demonstration.refusal, style),
            "",
            style.faint(
                "Next: auth0-tx tenant keeps such a tenant running for your code."
            ),
        ]
    )


def demo_members(demonstration: Demonstration) -> dict[str, Any]:
    """Give what ``--json`` says of the demo."""
    return {
        "issuer": demonstration.issuer,
        "exchanges": [
            _exchange_members(demonstration.blocking),
            _exchange_members(demonstration.asynchronous),
        ],
        "same_request": demonstration.same_request,
        "refusal": error_members(demonstration.refusal),
    }


def _exchange_members(exchange: Exchange) -> dict[str, Any]:
    response = exchange.response
    id_token, access_token = _tokens(response)
    return {
        "client": exchange.client,
        "seconds": round(exchange.seconds, 6),
        "sent": [[name, redacted(name, value)] for name, value in exchange.form],
        "received": response_members(response),
        "id_token": {"verified": _is_verified(response), "claims": id_token.claims},
        "access_token": {"verified": False, "claims": access_token.claims},
    }


def _whole(exchange: Exchange, now: float, style: Style) -> list[str]:
    response = exchange.response
    id_token, access_token = _tokens(response)
    verified = (
        style.good("verified by the client")
        if _is_verified(response)
        else style.warning("not verified")
    )
    return [
        f"  {style.strong('Sent')}  {style.faint('POST /oauth/token')}",
        *form_rows(exchange.form, style, 4),
        "",
        f"  {style.strong('Came back')}  {style.faint(_answered(exchange))}",
        *response_rows(response, style, indent=4),
        "",
        f"  {style.strong('ID token')}  {verified}",
        *claim_rows(id_token.claims or {}, now, style, 4),
        "",
        f"  {style.strong('Access token')}  {style.faint('for its API to verify')}",
        *claim_rows(access_token.claims or {}, now, style, 4),
        "",
        f"  {style.strong('Who acts')}",
        *_who(response, style),
    ]


def _who(response: TokenExchangeResponse, style: Style) -> list[str]:
    if response.act is None:
        return ["    nobody but the subject"]
    return actor_tree(response.act, subject_of(response), style, 4)


def _again(demonstration: Demonstration, style: Style) -> list[str]:
    first, second = demonstration.blocking, demonstration.asynchronous
    same = "the same" if demonstration.same_request else "not the same"
    actors = [value_text(actor["sub"]) for actor in actor_chain(second.response.act)]
    as_before = first.response.act == second.response.act
    return rows(
        [
            ("sent", f"{second.size:,} bytes, {same} as above"),
            ("came back", _answered(second)),
            ("who acts", f"{', for '.join(actors)}{', as above' if as_before else ''}"),
        ],
        style,
    )


def _refusal(error: Auth0Error, style: Style) -> list[str]:
    members = error_members(error)
    pairs = [
        pair
        for name in _REFUSAL_MEMBERS
        if members[name] is not None
        for pair in prose(name, str(members[name]), WIDTH - 16)
    ]
    return [f"  {style.bad(type(error).__name__)}", *rows(pairs, style, 4)]


def _heading(number: int, exchange: Exchange, style: Style) -> list[str]:
    return [_ruled(f"{number}  {exchange.client}", exchange.world, style)]


def _ruled(title: str, aside: str, style: Style) -> str:
    line = style.rule * max(WIDTH - len(title) - len(aside) - 4, 2)
    return f"{style.strong(title)}  {style.faint(f'{line}  {aside}')}"


def _answered(exchange: Exchange) -> str:
    return f"HTTP {exchange.status}; {exchange.timing}"


def _tokens(response: TokenExchangeResponse) -> tuple[ReadToken, ReadToken]:
    return read_token(response.id_token or ""), read_token(response.access_token)


def _is_verified(response: TokenExchangeResponse) -> bool:
    # The library gives an act only from an ID token that it has verified.
    return response.act is not None


def _subject(exchange: Exchange) -> str:
    return value_text(subject_of(exchange.response))
