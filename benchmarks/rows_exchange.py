"""The exchange itself, beside one written by hand, and the noise of the machine."""

from __future__ import annotations

import asyncio

from .bench import Bench
from .by_hand import Aiohttp, Requests
from .measure import paired
from .ours import Async, Blocking
from .report import Row, ratio_row


def control(bench: Bench) -> list[Row]:
    """The same code against itself: how far from 1.00 is noise."""
    by_hand = Requests(bench)
    blocking = paired(
        by_hand.burst, by_hand.burst, count=25, rounds=bench.scaled(40, 2)
    )
    with asyncio.Runner() as runner:
        other = Aiohttp(bench, runner.get_loop())
        concurrent = paired(
            other.concurrent, other.concurrent, count=100, rounds=bench.scaled(40, 2)
        )
        other.close()
    return [
        ratio_row("control: hand-written requests over itself", blocking),
        ratio_row("control: hand-written aiohttp over itself, 100 at once", concurrent),
    ]


def blocking(bench: Bench) -> list[Row]:
    """``ServerClient`` over ``Session.post(url, data=dict).json()``."""
    ours, theirs = Blocking(bench), Requests(bench)
    measured = paired(ours.burst, theirs.burst, count=25, rounds=bench.scaled(80, 2))
    ours.close()
    return [ratio_row("blocking exchange over hand-written requests", measured, 0.70)]


def asynchronous(bench: Bench) -> list[Row]:
    """``AsyncServerClient`` over ``session.post(url, data=dict)``."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        ours, theirs = Async(bench, loop), Aiohttp(bench, loop)
        serial = paired(ours.burst, theirs.burst, count=25, rounds=bench.scaled(80, 2))
        concurrent = paired(
            ours.concurrent, theirs.concurrent, count=100, rounds=bench.scaled(60, 2)
        )
        ours.close()
        theirs.close()
    return [
        ratio_row("async exchange over hand-written aiohttp, serial", serial, 0.88),
        ratio_row("the same, 100 at once", concurrent, 0.88),
    ]
