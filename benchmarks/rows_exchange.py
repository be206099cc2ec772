"""The exchange itself, beside one written by hand, and the noise of the machine."""

from __future__ import annotations

import asyncio

from .bench import Bench
from .by_hand import Aiohttp, Requests
from .measure import measure_in_turns
from .ours import Async, Blocking
from .report import Row, build_ratio_row


def measure_noise(bench: Bench) -> list[Row]:
    """Measure the same code against itself: the distance from 1.00 is noise."""
    by_hand = Requests(bench)
    blocking = measure_in_turns(
        by_hand.exchange_serially,
        by_hand.exchange_serially,
        count=25,
        rounds=bench.scale(40, 2),
    )
    with asyncio.Runner() as runner:
        other = Aiohttp(bench, runner.get_loop())
        concurrent = measure_in_turns(
            other.exchange_concurrently,
            other.exchange_concurrently,
            count=100,
            rounds=bench.scale(40, 2),
        )
        other.close()
    return [
        build_ratio_row("control: hand-written requests over itself", blocking),
        build_ratio_row(
            "control: hand-written aiohttp over itself, 100 at once", concurrent
        ),
    ]


def measure_blocking(bench: Bench) -> list[Row]:
    """Measure ``ServerClient`` over ``Session.post(url, data=dict).json()``."""
    ours, theirs = Blocking(bench), Requests(bench)
    measured = measure_in_turns(
        ours.exchange_serially,
        theirs.exchange_serially,
        count=25,
        rounds=bench.scale(80, 2),
    )
    ours.close()
    return [
        build_ratio_row(
            "blocking exchange over hand-written requests", measured, 0.50, "0.51-0.58"
        )
    ]


def measure_async(bench: Bench) -> list[Row]:
    """Measure ``AsyncServerClient`` over ``session.post(url, data=dict)``."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        ours, theirs = Async(bench, loop), Aiohttp(bench, loop)
        serial = measure_in_turns(
            ours.exchange_serially,
            theirs.exchange_serially,
            count=25,
            rounds=bench.scale(80, 2),
        )
        concurrent = measure_in_turns(
            ours.exchange_concurrently,
            theirs.exchange_concurrently,
            count=100,
            rounds=bench.scale(60, 2),
        )
        ours.close()
        theirs.close()
    return [
        build_ratio_row(
            "async exchange over hand-written aiohttp, serial", serial, 0.75, "0.97"
        ),
        build_ratio_row("the same, 100 at once", concurrent, 0.75, "1.03"),
    ]
