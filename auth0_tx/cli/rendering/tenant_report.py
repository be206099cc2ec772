"""What `tenant` says of a tenant that runs: where it is, and how to use it."""

from __future__ import annotations

from typing import Any

import attrs

from .plain import json_text, printable, rows, value_text
from .style import Style

AUDIENCE = "https://api.example.com"
SCOPE = "openid read:data"
SUBJECT_TOKEN_TYPE = "urn:acme:legacy-token"


@attrs.frozen(kw_only=True)
class ConnectionFacts:
    """All that a client needs to use a local tenant; its secrets are good for it alone.

    Attributes:
        issuer: its URL, with its trailing slash.
        domain: what a client's ``domain`` takes.
        ca_file: what a client's ``verify`` takes; None where it serves plain HTTP.
        client_id: the default application's.
        client_secret: its secret.
        subject_token: a fresh token of the legacy system.
    """

    issuer: str
    domain: str
    ca_file: str | None
    client_id: str
    client_secret: str = attrs.field(repr=False)
    subject_token: str = attrs.field(repr=False)


def facts_members(facts: ConnectionFacts) -> dict[str, Any]:
    """Give what ``--json`` says of the tenant."""
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


def facts_text(facts: ConnectionFacts, style: Style) -> str:
    """Set out the facts, and below them code to paste: all that follows the rule."""
    members = {name: value for name, value in facts_members(facts).items() if value}
    return "\n".join(
        [
            style.strong("A local Auth0 tenant is running"),
            *rows(
                [(name, value_text(value)) for name, value in members.items()], style
            ),
            "",
            style.strong("Paste into Python"),
            style.faint(style.rule * 72),
            style.code(snippet(facts)),
        ]
    )


def snippet(facts: ConnectionFacts) -> str:
    """Write a program that exchanges the token, blocking and then async.

    It is also good for an interactive interpreter, which takes an empty line for the
    end of a block and of nothing else.
    """
    verify = (
        "" if facts.ca_file is None else f'\n    "verify": {json_text(facts.ca_file)},'
    )
    return f"""\
import asyncio
from auth0_tx import AsyncServerClient, CustomTokenExchangeOptions, ServerClient

tenant = {{
    "domain": {json_text(facts.domain)},
    "client_id": {json_text(facts.client_id)},
    "client_secret": {json_text(facts.client_secret)},{verify}
}}
options = CustomTokenExchangeOptions(
    subject_token={json_text(facts.subject_token)},
    subject_token_type={json_text(SUBJECT_TOKEN_TYPE)},
    audience={json_text(AUDIENCE)},
    scope={json_text(SCOPE)},
)

# Blocking
with ServerClient(**tenant) as client:
    print(client.custom_token_exchange(options))

# Async
async def main():
    async with AsyncServerClient(**tenant) as client:
        print(await client.custom_token_exchange(options))

asyncio.run(main())"""


def log_line(method: str, path: str, status: int, error: object) -> str:
    """Say how a request was answered.

    Args:
        method: the request's method.
        path: its path, without the query.
        status: the answer's status.
        error: the answer's ``error`` code, where it has one.
    """
    code = f" {error}" if isinstance(error, str) else ""
    return printable(f"{method} {path} {status}{code}")
