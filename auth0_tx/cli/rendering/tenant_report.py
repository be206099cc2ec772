"""A running local tenant as text and as JSON: its settings, and code that uses them.

The secrets in it are shown: they are good for this one tenant on loopback, and the reader
needs them. They are still hidden from ``repr``, as all secrets are.
"""

from __future__ import annotations

from typing import Any

import attrs

from .style import Style
from .text import format_json, format_rows, format_value

AUDIENCE = "https://api.example.com"
SCOPE = "openid read:data"
SUBJECT_TOKEN_TYPE = "urn:acme:legacy-token"


@attrs.frozen(kw_only=True)
class ConnectionFacts:
    """The facts that a client needs to use a local tenant.

    Attributes:
        issuer: its URL, with the trailing slash.
        domain: the value for a client's ``domain``.
        ca_file: the value for a client's ``verify``; ``None`` if it serves plain HTTP.
        client_id: the default application's client ID.
        client_secret: the default application's secret.
        subject_token: a fresh token of the legacy system.
    """

    issuer: str
    domain: str
    ca_file: str | None
    client_id: str
    client_secret: str = attrs.field(repr=False)
    subject_token: str = attrs.field(repr=False)


def facts_to_json(facts: ConnectionFacts) -> dict[str, Any]:
    """Return what ``--json`` shows of the tenant."""
    return {
        "issuer": facts.issuer,
        "domain": facts.domain,
        "ca_file": facts.ca_file,
        "client_id": facts.client_id,
        "client_secret": str(facts.client_secret),
        "subject_token": str(facts.subject_token),
        "subject_token_type": SUBJECT_TOKEN_TYPE,
        "audience": AUDIENCE,
    }


def format_facts(facts: ConnectionFacts, style: Style) -> str:
    """Format the facts, and below a rule code to paste: it is all that follows the rule."""
    members = {name: value for name, value in facts_to_json(facts).items() if value}
    return "\n".join(
        [
            style.strong("A local Auth0 tenant is running"),
            *format_rows(
                [(name, format_value(value)) for name, value in members.items()], style
            ),
            "",
            style.strong("Paste into Python"),
            style.faint(style.rule * 72),
            style.highlight(write_snippet(facts)),
        ]
    )


def write_snippet(facts: ConnectionFacts) -> str:
    """Write a program that exchanges the token, blocking and then async.

    It can also be pasted into an interactive interpreter: that ends a block at an empty
    line and nowhere else, so each block has one after it and none within.
    """
    # A JSON string is a Python literal too, whatever characters a path contains.
    verify = (
        ""
        if facts.ca_file is None
        else f'\n    "verify": {format_json(facts.ca_file)},'
    )
    return f"""\
import asyncio
from auth0_tx import AsyncServerClient, CustomTokenExchangeOptions, ServerClient

tenant = {{
    "domain": {format_json(facts.domain)},
    "client_id": {format_json(facts.client_id)},
    "client_secret": {format_json(facts.client_secret)},{verify}
}}
options = CustomTokenExchangeOptions(
    subject_token={format_json(facts.subject_token)},
    subject_token_type={format_json(SUBJECT_TOKEN_TYPE)},
    audience={format_json(AUDIENCE)},
    scope={format_json(SCOPE)},
)

# Blocking
with ServerClient(**tenant) as client:
    print(client.custom_token_exchange(options))

# Async
async def main():
    async with AsyncServerClient(**tenant) as client:
        print(await client.custom_token_exchange(options))

asyncio.run(main())"""
