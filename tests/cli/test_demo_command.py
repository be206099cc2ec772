"""`auth0-tx demo`, run in this process, and its text."""

from __future__ import annotations

import re

import attrs
import pytest

from auth0_tx import RefusedError, TokenExchangeResponse
from auth0_tx.cli import running_tenant
from auth0_tx.cli.rendering.demo_report import Demonstration, Exchange, format_demo
from auth0_tx.cli.rendering.style import Style
from auth0_tx.events import ExchangeFinished, KeysFetched, MetadataFetched
from tests.cli.command_runs import InProcess, jwt

NOW = 1_700_000_000
ACT = {"sub": "agent|copilot", "act": {"sub": "auth0|support_agent"}}
CLAIMS = {"sub": "auth0|alice", "act": ACT}
ACCESS_TOKEN = jwt(CLAIMS)
ID_TOKEN = jwt(CLAIMS | {"exp": NOW + 36_000})


def exchange(act: dict[str, object] | None = ACT) -> Exchange:
    """Return one exchange, as the demo records it."""
    return Exchange(
        client="ServerClient",
        world="blocking",
        form=(("scope", "openid"), ("client_secret", "needle")),
        size=1_024,
        status=200,
        response=TokenExchangeResponse(
            access_token=ACCESS_TOKEN,
            token_type="Bearer",
            id_token=ID_TOKEN,
            act=act,
        ),
        events=(
            MetadataFetched(domain="d", seconds=0.01),
            KeysFetched(domain="d", seconds=0.002),
            ExchangeFinished(domain="d", seconds=0.03),
        ),
    )


DEMONSTRATION = Demonstration(
    issuer="https://localhost:8443/",
    blocking=exchange(),
    asynchronous=attrs.evolve(exchange(), client="AsyncServerClient", world="asyncio"),
    same_request=True,
    refused_type="urn:ietf:params:oauth:token-type:access_token",
    refusal=RefusedError(
        "it is reserved", "invalid_request", 400, hint="send another."
    ),
    now=NOW,
)


def test_text() -> None:
    """The demo shows what was sent, what came back, who acts, and a refusal."""
    shown = format_demo(DEMONSTRATION, Style())

    assert (
        f"""\
auth0-tx: one token in, Auth0's tokens out (RFC 8693)
An agent, acting for a support engineer who acts for auth0|alice,
at a local Auth0 tenant: https://localhost:8443/

1  ServerClient  {"─" * 51}  blocking
  Sent  POST /oauth/token
    scope          openid
    client_secret  <redacted>

  Received  HTTP 200; discovery 10 ms, signing keys 2 ms, total 30 ms
    access_token  <redacted: JWT, {len(ACCESS_TOKEN)} characters>
    token_type    Bearer
    id_token      <redacted: JWT, {len(ID_TOKEN)} characters>

  ID token  verified by the client
    sub  auth0|alice
    act  {{"sub": "agent|copilot", "act": {{"sub": "auth0|support_agent"}}}}
    exp  1700036000  expires in 10 hours, 2023-11-15 08:13:20 UTC

  Access token  for its API to verify
    sub  auth0|alice
    act  {{"sub": "agent|copilot", "act": {{"sub": "auth0|support_agent"}}}}

  Actors
    agent|copilot           current actor
    └─ auth0|support_agent  earlier actor
       └─ auth0|alice       subject

2  AsyncServerClient  {"─" * 47}  asyncio
  sent      1,024 bytes, the same as above
  received  HTTP 200; discovery 10 ms, signing keys 2 ms, total 30 ms
  actors    agent|copilot, for auth0|support_agent, as above

3  A refusal  {"─" * 17}  urn:ietf:params:oauth:token-type:access_token
  RefusedError
    code        invalid_request
    message     it is reserved
    status      400
    phase       reply
    retry_safe  False
    hint        send another.

Next: auth0-tx tenant runs a local tenant for your own code."""
        == shown
    )


def test_text_is_true() -> None:
    """If the worlds differed, or the actor was not verified, the text would say so."""
    other = exchange({"sub": "auth0|bob"})
    differing = attrs.evolve(DEMONSTRATION, asynchronous=other, same_request=False)
    unverified = attrs.evolve(DEMONSTRATION, blocking=exchange(None))

    assert "1,024 bytes, not the same as above" in format_demo(differing, Style())
    assert "actors    auth0|bob\n" in format_demo(differing, Style())
    assert "ID token  not verified" in format_demo(unverified, Style())
    assert "none that the client verified" in format_demo(unverified, Style())


def test_demo(command: InProcess) -> None:
    """The demo runs end to end, and shows no token."""
    outcome = command("demo")

    assert (0, "") == (outcome.status, outcome.err)
    assert "ID token  verified by the client" in outcome.out
    assert re.search(r"sent +\d+ bytes, the same as above\n", outcome.out)
    assert "actors    agent|copilot, for auth0|support_agent, as above" in outcome.out
    assert "hint        Auth0 keeps urn:ietf token types" in outcome.out
    assert "eyJ" not in outcome.out
    assert "\x1b" not in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 79


def test_demo_on_a_terminal(command: InProcess) -> None:
    """On a terminal the demo is in colour, unless NO_COLOR is set."""
    painted = command("demo", terminal=True)
    plain = command("demo", terminal=True, environ={"NO_COLOR": "1"})

    assert "\x1b[32mverified by the client\x1b[0m" in painted.out
    assert "\x1b" not in plain.out


def test_demo_as_json(command: InProcess) -> None:
    """As JSON the demo is one object with all that the text has."""
    outcome = command("demo", "--json")
    members = outcome.members
    first, second = members["exchanges"]

    assert (0, 1) == (outcome.status, outcome.out.count("\n"))
    assert ["ServerClient", "AsyncServerClient"] == [first["client"], second["client"]]
    assert {
        "grant_type",
        "subject_token",
        "subject_token_type",
        "actor_token",
        "actor_token_type",
        "audience",
        "scope",
        "client_id",
        "client_secret",
    } == {name for name, _ in first["sent"]}
    assert first["sent"] == second["sent"]
    assert members["same_request"] is True
    assert ACT == first["id_token"]["claims"]["act"] == second["received"]["act"]
    assert (True, False) == (
        first["id_token"]["verified"],
        first["access_token"]["verified"],
    )
    assert ("invalid_request", 400) == (
        members["refusal"]["code"],
        members["refusal"]["status"],
    )
    assert "eyJ" not in outcome.out


def test_no_sockets(command: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that cannot run the tenant gets an error in one line."""

    def start(self: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(running_tenant.ReportingTenant, "start", start)
    outcome = command("demo", "--json")

    assert (1, "system") == (outcome.status, outcome.members["error"]["code"])
    assert (
        "auth0-tx demo: cannot start the local tenant: Operation not permitted\n"
        == outcome.err
    )
