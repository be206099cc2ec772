"""A bulk exchange: many rows, each a Custom Token Exchange, from one call.

The public function checks its input and returns a plan.  The shells carry it out: they read
the rows, run the flow of each, and tell the plan's schedule what happened.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import partial

import attrs

from ...errors import CustomTokenExchangeError
from ...secret import Unpicklable
from ...values import (
    CustomTokenExchangeOptions,
    TokenExchangeResponse,
)
from ..configuration import StoreOptions
from ..context import Call, Context
from ..effects import Flow, Response
from ..flows.exchange import start_exchange
from ..wire.grants import check_exchange
from ..wire.problems import MOST_RATE, Problem, check_number
from ..wire.reading import read_rate_limit
from .pace import Pace
from .schedule import Row, Schedule
from .shared_pace import SharedPace, tell_pace, wait_for_turn


@attrs.frozen(eq=False)
class BulkPlan(Unpicklable):
    """A bulk exchange that was checked, and has not begun.

    Attributes:
        options: the input.
        schedule: what comes next.
        run_row: makes the flow that sends a row, which is to begin at once.
        monotonic: the clock of the schedule.
        pace: the pace that it shares with others, if it does.
    """

    options: (
        Iterable[CustomTokenExchangeOptions] | AsyncIterable[CustomTokenExchangeOptions]
    ) = attrs.field(repr=False)
    schedule: Schedule
    run_row: Callable[[Row], Flow[TokenExchangeResponse]]
    monotonic: Callable[[], float]
    pace: SharedPace | None = None


def exchange_many(
    context: Context,
    options: Iterable[CustomTokenExchangeOptions]
    | AsyncIterable[CustomTokenExchangeOptions],
    *,
    concurrency: int = 50,
    rate: float | None = None,
    pace: SharedPace | None = None,
    store_options: StoreOptions | None = None,
) -> BulkPlan:
    """Exchange many tokens, and return an iterator over the results as they come.

    Each row is a ``custom_token_exchange``, with its own deadline.  Its result has its index and
    either a response or an error.  Rows are sent as fast as Auth0's rate limit allows: a row that
    is refused with 429 is not a failure, but sent again after the pause that Auth0 asks for.

    The input is read lazily.  A row is read only when it can be sent, and its place is given to
    another one when you come back for the next result.

    Args:
        options: the options of each exchange.
        concurrency: the most exchanges in flight at once; at most the client's
            *max_connections*.
        rate: the most exchanges to start in a second; ``None`` for as many as Auth0 allows.
        pace: a pace that processes share, a ``RedisPace`` of ``auth0_tx.stores``: together they
            start no more exchanges than its rate.
        store_options: handed to the domain resolver if the client has one.

    Returns:
        An iterator over the results, which is a context manager too.  Nothing is read or sent
        before it is asked for the first of them.

    Raises:
        InvalidInputError: an argument breaks a rule; nothing was read.
    """
    problem = (
        _check_options(options)
        or _check_concurrency(concurrency, context.settings.max_connections)
        or _check_rate(rate)
        or _check_pace(pace)
    )
    if problem is not None:
        raise problem.error()
    # A 429 is the schedule's: it pauses all rows, and not this one alone.
    policy = context.settings.retry
    settings = attrs.evolve(
        context.settings, retry=attrs.evolve(policy, retry_429=False)
    )

    def run_row(row: Row) -> Flow[TokenExchangeResponse]:
        call_of_row = partial(context.begin_call, store_options, settings)
        if pace is None:
            return _run_row(context, row, call_of_row)
        return _run_row_in_turn(context, schedule, pace, row, call_of_row)

    own_pace = Pace(None if rate is None else float(rate))
    schedule = Schedule(concurrency, own_pace, context.random, policy.retry_429)
    return BulkPlan(options, schedule, run_row, context.monotonic, pace)


def _run_row(
    context: Context, row: Row, begin_call: Callable[[], Call]
) -> Flow[TokenExchangeResponse]:
    def note_limit(response: Response) -> None:
        row.limit = read_rate_limit(response, context.clock())

    check_exchange(row.options)
    # Its deadline begins now, when it is sent, and not when it was read.
    call = begin_call()
    call.on_answer = note_limit
    return (yield from start_exchange(call, row.options))


def _run_row_in_turn(
    context: Context,
    schedule: Schedule,
    pace: SharedPace,
    row: Row,
    begin_call: Callable[[], Call],
) -> Flow[TokenExchangeResponse]:
    # Before it asks for a turn, which a row that is not sent must not take from others.
    check_exchange(row.options)
    yield from wait_for_turn(context, pace, lambda: schedule.gives_up_turns)
    try:
        return (yield from _run_row(context, row, begin_call))
    except CustomTokenExchangeError as error:
        yield from tell_pace(context, pace, error)
        raise


def _check_options(options: object) -> Problem | None:
    # Text and mappings can be iterated over too, but are one row given in place of many.
    is_many = isinstance(options, (Iterable, AsyncIterable))
    if not is_many or isinstance(options, (str, bytes, Mapping)):
        return Problem("options", "must be an iterable of CustomTokenExchangeOptions")
    return None


def _check_concurrency(concurrency: object, most: int) -> Problem | None:
    if type(concurrency) is not int or concurrency < 1:
        return Problem("concurrency", "must be a whole number, at least 1")
    if concurrency > most:
        return Problem(
            "concurrency", f"must not be above the client's max_connections ({most})"
        )
    return None


def _check_pace(pace: object) -> Problem | None:
    if pace is None or isinstance(pace, SharedPace):
        return None
    return Problem("pace", "must be a RedisPace, or have its methods")


def _check_rate(rate: object) -> Problem | None:
    rule = None if rate is None else check_number(rate, MOST_RATE)
    return None if rule is None else Problem("rate", f"{rule}, or None")
