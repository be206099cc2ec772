"""How long calls take over a distance: the server is a round trip of 80 ms away, or 400 ms.

- *rest*: a call after 62 seconds without one, over the same by hand on a session that is kept.
- *start*: the first exchange of a client, in round trips, with discovery first and by convention;
  plain, and with an ID token that is verified.  The TLS context is made before.  Round trips
  are long there, so that the work of a busy machine between them counts for little.
- *hour*: requests for documents in an hour of verified calls a minute apart, on a clock of ours.
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from statistics import quantiles
from typing import Any
from urllib.parse import urlencode

import aiohttp
import requests

from auth0_tx import AsyncServerClient, ServerClient

from .bench import Bench
from .by_hand import FORM
from .ours import build_options
from .report import Row
from .tokens import CLIENT_ID, CLIENT_SECRET

ROUND_TRIP = 0.08
LONG_ROUND_TRIP = 0.4
REST = 62.0
ACTOR = {
    "actor_token": "legacy-session-of-an-agent",
    "actor_token_type": "urn:acme:legacy-token",
}
KINDS = {
    "discovery first": ("first", {}),
    "discovery first, verified": ("first", ACTOR),
    "by convention": ("deferred", {}),
    "by convention, verified": ("deferred", ACTOR),
}
REACH = {"by convention": 3.1, "by convention, verified": 3.1}
_BY_HAND = "by hand, with a known endpoint"
BEFORE = {"by convention": "4.05", "by convention, verified": "5.1"}
_CONTEXT: dict[str, ssl.SSLContext] = {}


def _keywords(bench: Bench, **more: Any) -> dict[str, Any]:
    # A context that is there already: to read 140 CAs takes as long as a round trip.
    context = _CONTEXT.setdefault(
        bench.ca_file, ssl.create_default_context(cafile=bench.ca_file)
    )
    return {
        "domain": bench.domain,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "verify": context,
        **more,
    }


def _time(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _describe(seconds: list[float], unit: float, name: str) -> tuple[float, str]:
    """Return the median, and the quartiles as text, in units of so many seconds."""
    low, middle, high = quantiles(seconds, n=4, method="inclusive")
    shown = (
        f"quartiles {low / unit:.2f} and {high / unit:.2f} {name}, of {len(seconds)}"
    )
    return middle, shown


class _AgingClock:
    """The system's clock, moved on."""

    def __init__(self) -> None:
        self.age = 0.0

    def __call__(self) -> float:
        return time.time() + self.age


class Worlds:
    """Clients of both worlds, and the same by hand, all at the same distance."""

    def __init__(self, bench: Bench, loop: asyncio.AbstractEventLoop) -> None:
        self.bench = bench
        self._loop = loop
        self._by_hand: list[aiohttp.ClientSession] = []

    def close_by_hand(self) -> None:
        """Close the sessions by hand."""
        for session in self._by_hand:
            self.do(session.close())

    def do(self, awaitable: Awaitable[Any]) -> Any:
        """Wait on the loop."""
        return self._loop.run_until_complete(awaitable)

    def open_by_hand(self) -> dict[str, Callable[[], object]]:
        """Return exchanges by hand, each on a session that it keeps."""
        session = requests.Session()
        url, ca_file = self.bench.token_endpoint, self.bench.ca_file
        context = ssl.create_default_context(cafile=ca_file)

        async def open_session() -> aiohttp.ClientSession:
            # Its own limit of 15 seconds at rest would not be what a careful hand leaves.
            connector = aiohttp.TCPConnector(ssl=context, keepalive_timeout=300)
            return aiohttp.ClientSession(connector=connector)

        by_aiohttp: aiohttp.ClientSession = self.do(open_session())
        self._by_hand += [by_aiohttp]

        async def exchange() -> None:
            async with by_aiohttp.post(url, data=dict(FORM)) as response:
                assert (await response.json())["access_token"]

        def post() -> None:
            answer = session.post(url, data=dict(FORM), verify=ca_file).json()
            assert answer["access_token"]

        return {"blocking": post, "async": lambda: self.do(exchange())}

    def begin_by_hand(self, context: ssl.SSLContext) -> dict[str, Callable[[], object]]:
        """Return first exchanges by hand, with nothing but the request on the wire."""
        url, domain = self.bench.token_endpoint, self.bench.domain

        async def exchange() -> None:
            connector = aiohttp.TCPConnector(ssl=context)
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.post(url, data=dict(FORM)) as response,
            ):
                assert (await response.json())["access_token"]

        def post() -> None:
            connection = http.client.HTTPSConnection(domain, context=context)
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", "/oauth/token", urlencode(FORM), headers)
            assert b"access_token" in connection.getresponse().read()
            connection.close()

        return {"blocking": post, "async": lambda: self.do(exchange())}

    def open_ours(
        self, discovery: str, options: dict[str, Any], **more: Any
    ) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
        """Return exchanges of a client, and its end, for each world."""
        keywords = _keywords(self.bench, **more)
        if discovery != "first":
            keywords["discovery"] = discovery
        blocking = ServerClient(**keywords)
        by_tasks = AsyncServerClient(**keywords)

        def check(answer: Any) -> None:
            assert answer.act_error is None
            assert not options or answer.act

        return {
            "blocking": (
                lambda: check(blocking.custom_token_exchange(build_options(**options))),
                blocking.close,
            ),
            "async": (
                lambda: check(
                    self.do(by_tasks.custom_token_exchange(build_options(**options)))
                ),
                lambda: self.do(by_tasks.aclose()),
            ),
        }


@contextmanager
def _open_worlds(bench: Bench, round_trip: float = ROUND_TRIP) -> Iterator[Worlds]:
    """Open clients of a server that is a round trip away."""
    with (
        Bench(quick=bench.quick, round_trip=round_trip) as distant,
        asyncio.Runner() as runner,
    ):
        worlds = Worlds(distant, runner.get_loop())
        yield worlds
        worlds.close_by_hand()


def measure_rest(bench: Bench) -> list[Row]:
    """Measure calls after a rest, over the same by hand."""
    with _open_worlds(bench) as worlds:
        return _measure_rest(worlds)


def measure_start(bench: Bench) -> list[Row]:
    """Measure first exchanges of a client, in round trips."""
    with _open_worlds(bench, LONG_ROUND_TRIP) as worlds:
        return _measure_start(worlds)


def measure_hour(bench: Bench) -> list[Row]:
    """Count the requests for documents in an hour of verified calls a minute apart."""
    with _open_worlds(bench) as worlds:
        return [
            row
            for world in ("blocking", "async")
            for row in _measure_hour(worlds, world)
        ]


def _measure_rest(worlds: Worlds) -> list[Row]:
    bench = worlds.bench
    rest, rounds = (REST, 5) if not bench.quick else (0.2, 2)
    hands = worlds.open_by_hand()
    control = worlds.open_by_hand()
    ours = worlds.open_ours("first", {})
    sides = {
        **{("by hand", name): call for name, call in hands.items()},
        **{("control", name): call for name, call in control.items()},
        **{("ours", name): call for name, (call, _) in ours.items()},
    }
    seconds: dict[tuple[str, str], list[float]] = {side: [] for side in sides}
    for call in sides.values():
        call()
    for _ in range(rounds):
        worlds.do(asyncio.sleep(rest))
        for name, call in sides.items():
            seconds[name].append(_time(call))
    rows = []
    for world in ("blocking", "async"):
        by_hand, _ = _describe(seconds["by hand", world], 1e-3, "ms")
        targets: tuple[tuple[str, float | None], ...] = (
            ("control", None),
            ("ours", 1.1),
        )
        for side, target in targets:
            middle, shown = _describe(seconds[side, world], 1e-3, "ms")
            ratio = middle / by_hand
            what = "the same by hand over itself" if side == "control" else "a call"
            rows.append(
                Row(
                    f"{what} after {rest:.0f} s of rest, {world}",
                    "" if target is None else f"≤ {target}",
                    f"{ratio:.2f}",
                    None if target is None else ratio <= target,
                    f"{middle * 1e3:.0f} ms over {by_hand * 1e3:.0f} ms; {shown}",
                    "" if target is None else "3.9",
                )
            )
    for _, end in ours.values():
        end()
    return rows


def _measure_start(worlds: Worlds) -> list[Row]:
    rounds = worlds.bench.scale(5, 2)
    seconds: dict[tuple[str, str], list[float]] = {}
    context = ssl.create_default_context(cafile=worlds.bench.ca_file)
    # Once before, so that nothing is imported while the clock runs.
    for turn in range(rounds + 1):
        for world, call in worlds.begin_by_hand(context).items():
            took = _time(call)
            if turn:
                seconds.setdefault((_BY_HAND, world), []).append(took)
        for kind, (discovery, options) in KINDS.items():
            for world, (call, end) in worlds.open_ours(discovery, options).items():
                took = _time(call)
                end()
                if turn:
                    seconds.setdefault((kind, world), []).append(took)
    rows = []
    for (kind, world), taken in seconds.items():
        middle, shown = _describe(taken, LONG_ROUND_TRIP, "round trips")
        trips, reach = middle / LONG_ROUND_TRIP, REACH.get(kind)
        rows.append(
            Row(
                f"first exchange, {kind}, {world}: round trips",
                "" if reach is None else f"≤ {reach}",
                f"{trips:.2f}",
                None if reach is None else trips <= reach,
                shown,
                BEFORE.get(kind, ""),
            )
        )
    return rows


def _measure_hour(worlds: Worlds, world: str) -> list[Row]:
    clock = _AgingClock()
    ours = worlds.open_ours("first", ACTOR, clock=clock)
    call, _ = ours[world]
    worlds.bench.take_counts()
    for _ in range(60):
        call()
        # A refresh by a task has a minute to end.
        worlds.do(asyncio.sleep(ROUND_TRIP * 2))
        clock.age += 60.0
    paths = worlds.bench.take_counts()["paths"]
    for _, end in ours.values():
        end()
    return [
        Row(
            f"an hour of calls a minute apart, {world}: {what} requests",
            f"≤ {most}",
            str(paths.get(path, 0)),
            paths.get(path, 0) <= most,
            "60 verified exchanges",
            "60",
        )
        for what, path, most in (
            ("discovery", "/.well-known/openid-configuration", 2),
            ("JWKS", "/.well-known/jwks.json", 7),
        )
    ]
