"""Everything that can take its time, and how a call that meets it must end.

The cases of one world are played all at once, as each of them is a second of waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from attrs import field, frozen

from auth0_tx import AmbiguousError, CustomTokenExchangeError, NotSentError
from tests.e2e.faults import wire_greetings as greet
from tests.e2e.faults import wire_proxy as act
from tests.e2e.faults.callers import Outcome
from tests.e2e.faults.fault_cases import ANOTHER, DEADLINE
from tests.e2e.faults.wire_behaviours import (
    document,
    drips_body,
    drips_chunks,
    drips_head,
    falls_silent,
    grants,
    grants_bytewise,
    informs_forever,
    last_document,
    no_keys,
    not_found,
    silence,
)
from tests.e2e.faults.wire_certificates import Certificates
from tests.e2e.faults.wire_server import Behaviour, Greeting, Script, WireServer
from tests.e2e.faults.worlds import World

Arrange = Callable[[WireServer, ExitStack], dict[str, Any]]
"""Makes a server slow; returns the keywords of the client that shall meet it.

What is in the stack is undone before the client calls a second time.
"""


@frozen(kw_only=True)
class Slow:
    """One way to be slow.

    Args:
        name: What takes its time, in words.
        arrange: Makes it so.
        error: The exact class of the error.
        phase: Its phase.
        safe: Its retry_safe.
        sends: How many POSTs the server receives.
        options: Of the exchange.
    """

    name: str
    arrange: Arrange
    error: type[CustomTokenExchangeError] = AmbiguousError
    phase: str = "send"
    safe: bool = False
    sends: int = 1
    options: dict[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Played:
    """What became of one of them.

    Args:
        outcome: How the call ended.
        posts: How many POSTs the server had received by then.
        let_go: Whether the server saw the connection end soon after.
        another: The access token of the next call, to the same server, in order again.
        reconnected: Whether that call made a connection of its own.
    """

    outcome: Outcome
    posts: int
    let_go: bool
    another: str | None
    reconnected: bool


def answers(behaviour: Behaviour, **keywords: Any) -> Arrange:
    """Have the token endpoint do this."""

    def arrange(server: WireServer, stack: ExitStack) -> dict[str, Any]:
        server.token = Script(behaviour, grants)
        return keywords

    return arrange


def greets(greeting: Greeting) -> Arrange:
    """Have the second connection meet this."""

    def arrange(server: WireServer, stack: ExitStack) -> dict[str, Any]:
        server.discovery = Script(last_document)
        server.greeting = Script(greet.rightly, greeting, greet.rightly)
        return {}

    return arrange


def tunnels(behaviour: act.Behaviour) -> Arrange:
    """Have the second tunnel through a proxy meet this."""

    def arrange(server: WireServer, stack: ExitStack) -> dict[str, Any]:
        server.discovery = Script(last_document)
        proxy = act.Proxy(act.tunnels, behaviour, act.tunnels)
        server.afterwards.callback(proxy.stop)
        return {"proxy": proxy.url}

    return arrange


def publishes(behaviour: Behaviour) -> Arrange:
    """Have the metadata come like this."""

    def arrange(server: WireServer, stack: ExitStack) -> dict[str, Any]:
        server.discovery = Script(behaviour, document)
        return {}

    return arrange


def lets_nobody_in(server: WireServer, stack: ExitStack) -> dict[str, Any]:
    """Leave every connection after the first waiting, at each of the host's addresses."""
    queue = greet.FullQueue()
    server.discovery = Script(queue.then())
    stack.callback(server.come_up)
    stack.callback(queue.close)
    return {}


OWN = {"own_session": True}
REUSABLE = {"subject_token_reusable": True}
LATE = 0.8 * DEADLINE
UNSENT: dict[str, Any] = {"error": NotSentError, "safe": True, "sends": 0}
UNKNOWN: dict[str, Any] = {**UNSENT, "phase": "discover"}

CASES = [
    Slow(name="silence", arrange=answers(silence)),
    Slow(name="dripping header", arrange=answers(drips_head(0.05))),
    Slow(name="dripping body", arrange=answers(drips_body(0.05))),
    Slow(name="dripping chunks", arrange=answers(drips_chunks(0.05))),
    Slow(name="a byte each 100 ms", arrange=answers(grants_bytewise(0.1))),
    Slow(name="silence in the body", arrange=answers(falls_silent(LATE))),
    Slow(name="interim answers", arrange=answers(informs_forever)),
    Slow(
        name="silence, reusable", arrange=answers(silence), safe=True, options=REUSABLE
    ),
    Slow(name="silence, own session", arrange=answers(silence, **OWN)),
    Slow(name="body, own session", arrange=answers(drips_body(0.05), **OWN)),
    Slow(name="chunks, own session", arrange=answers(drips_chunks(0.05), **OWN)),
    Slow(
        name="silence in the body, own session",
        arrange=answers(falls_silent(LATE), **OWN),
    ),
    Slow(name="connection", arrange=lets_nobody_in, **UNSENT),
    Slow(name="hanging handshake", arrange=greets(greet.hangs), **UNSENT),
    Slow(name="dripping handshake", arrange=greets(greet.drips), **UNSENT),
    Slow(name="hanging proxy", arrange=tunnels(act.hangs), **UNSENT),
    Slow(name="dripping proxy", arrange=tunnels(act.drips), **UNSENT),
    Slow(name="silent metadata", arrange=publishes(silence), **UNKNOWN),
    Slow(name="dripping metadata", arrange=publishes(drips_body(0.05)), **UNKNOWN),
]


def play_all(world: World, certificates: Certificates) -> dict[str, Played]:
    """Play every case in *world*, all at once."""
    with ThreadPoolExecutor(len(CASES)) as pool:
        played = pool.map(lambda case: _play(case, world, certificates), CASES)
        return {case.name: result for case, result in zip(CASES, played, strict=True)}


def _play(case: Slow, world: World, certificates: Certificates) -> Played:
    with ExitStack() as stack:
        server = WireServer(
            certificates.good(),
            token=grants,
            discovery=document,
            jwks=no_keys,
            elsewhere=not_found,
        )
        stack.callback(server.stop)
        with ExitStack() as scene:
            keywords = {"timeout": DEADLINE, **case.arrange(server, scene)}
            caller = world.caller(server.domain, certificates.ca_file, **keywords)
            stack.callback(caller.close)
            outcome = caller.exchange(**case.options)
            posts, wire = len(server.posts), server.wires[-1]
        caller.rest(0.05)
        let_go = server.wait_for_end(wire, within=1.0)
        another = caller.exchange(subject_token=ANOTHER)
        reconnected = server.wires[-1] is not wire
        server.drop_connections()
        caller.rest(0.05)
        return Played(
            outcome=outcome,
            posts=posts,
            let_go=let_go,
            another=another.access_token,
            reconnected=reconnected,
        )
