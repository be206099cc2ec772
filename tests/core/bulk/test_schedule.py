"""The schedule of a bulk exchange, stepped by hand."""

from __future__ import annotations

import pytest

from auth0_tx import (
    BulkStoppedError,
    ConfigurationError,
    InvalidInputError,
    NotSentError,
    RefusedError,
)
from auth0_tx.core.bulk.schedule import (
    LONGEST_PAUSE,
    MOST_REFUSALS,
    End,
    Wait,
    is_shared_by_all,
)
from auth0_tx.errors import ClientClosedError, MfaRequiredError
from tests.core.bulk.rows import BLOCKED, TOKENS, Player, build_limited


def open_player(rows: int = 10, concurrency: int = 3) -> Player:
    """Return a player whose first row is answered, so that the others need not wait for it."""
    player = Player(rows, concurrency)
    player.advance()
    player.end(0)
    player.take_all()
    player.advance()
    return player


def test_first_row_goes_alone() -> None:
    """Until the first answer, or for a second, one row is in flight."""
    player = Player(rows=10)

    assert Wait(1.0) == player.advance()
    assert [0] == [*player.in_flight]

    player.now += 1.0
    player.advance()

    assert [0, 1, 2] == [*player.in_flight]


def test_places_bound_what_is_read() -> None:
    """No more rows are read than there are places."""
    player = open_player()

    assert [1, 2, 3] == [*player.in_flight]
    assert 6 == player.left


def test_place_is_free_when_the_consumer_is_back() -> None:
    """A result keeps its place until the consumer has come back."""
    player = open_player()
    player.end(2)

    assert Wait() == player.advance()
    assert [1, 3] == [*player.in_flight]

    assert [2] == player.take_all()
    player.advance()

    assert [1, 3, 4] == [*player.in_flight]


def test_end() -> None:
    """It ends when the input has ended and nothing is in flight."""
    player = open_player(rows=2)
    assert Wait() == player.advance()
    player.end(1)

    assert End() == player.advance()
    assert [1] == player.take_all()
    assert None is player.schedule.make_failure()


def test_refused_row_is_sent_again_first() -> None:
    """After the pause, the rows that were refused go before any that was not read."""
    player = open_player()
    player.end(2, build_limited(retry_after=10.0))
    player.end(1)
    player.take_all()

    # Looked at again before it is over.
    assert Wait(5.0) == player.advance()
    assert 6 == player.left

    player.now += 10.0
    # The server's wait and a little more, so that processes do not come back together.
    assert Wait(0.5) == player.advance()

    player.now += 0.5
    player.advance()

    assert 2 in player.in_flight
    assert [] == player.results


@pytest.mark.parametrize(
    "error",
    [
        BLOCKED,
        RefusedError("no", "invalid_client", 401),
        RefusedError("Unauthorized", "access_denied", 401),
        RefusedError("Grant type not allowed", "unauthorized_client", 403),
        ConfigurationError("async function"),
        ClientClosedError("closed"),
        build_limited(retry_after=LONGEST_PAUSE + 1),
    ],
    ids=lambda error: f"{type(error).__name__}-{error.status}",
)
def test_stop_for_all(error: RefusedError) -> None:
    """A failure that every row would share stops, and names the first row not read."""
    player = open_player()
    player.end(2, error)

    assert Wait() == player.advance()
    assert [1, 3] == [*player.in_flight]
    assert [error] == [result.error for result in player.results]

    player.end(1)
    player.end(3)
    assert End() == player.advance()
    failure = player.schedule.make_failure()

    assert isinstance(failure, BulkStoppedError)
    assert (4, error.code, error.status, error.retry_after) == (
        failure.next_index,
        failure.code,
        failure.status,
        failure.retry_after,
    )
    assert 6 == player.left


@pytest.mark.parametrize("code", ["rate_limited", "store_failed"])
def test_reason_behind_a_pace_that_stops(code: str) -> None:
    """A block is the reason, though a row that the shared pace held back ended before it."""
    player = open_player()
    held_back = NotSentError("not sent: the processes have to wait", code)
    player.end(2, held_back)
    player.end(1, BLOCKED)
    player.end(3, held_back)
    player.advance()
    failure = player.schedule.make_failure()

    assert isinstance(failure, BulkStoppedError)
    assert (BLOCKED.code, BLOCKED.status) == (failure.code, failure.status)


@pytest.mark.parametrize(
    "error",
    [
        RefusedError("no", "unauthorized_client", 400),
        RefusedError("no", "access_denied", 403),
        RefusedError("no", "server_error", 500),
        MfaRequiredError("more", "mfa_required", 401),
        InvalidInputError("bad row"),
    ],
    ids=lambda error: f"{type(error).__name__}-{error.status}",
)
def test_failures_of_one_row(error: RefusedError) -> None:
    """A failure of one row is its result, and the rest goes on."""
    player = open_player()
    player.end(2, error)

    assert [error] == [result.error for result in player.results]
    assert [2] == player.take_all()
    player.advance()

    assert 4 in player.in_flight


def test_stop_gives_up_what_was_read() -> None:
    """At a stop, rows that wait for a pause to end have their refusal as the result."""
    player = open_player()
    refusal = build_limited(retry_after=10.0)
    player.end(2, refusal)
    player.results += player.schedule.stop(player.now)

    assert [(2, refusal)] == [(r.index, r.error) for r in player.results]

    player.end(1)
    player.end(3, build_limited())

    assert End() == player.advance()
    assert [2, 1, 3] == player.take_all()
    assert None is player.schedule.make_failure()


def test_row_that_comes_after_a_stop() -> None:
    """A row whose read was under way at a stop is a result, unsent."""
    player = open_player(concurrency=1)
    player.end(1)
    player.take_all()
    player.schedule.find_next(player.now)
    player.schedule.stop(player.now)

    assert isinstance(player.advance(), Wait)

    player.read()

    assert End() == player.advance()
    [result] = player.results
    assert isinstance(result.error, NotSentError)
    assert result.error.retry_safe


def test_read_that_hangs_at_a_stop() -> None:
    """A read that is under way at a stop is waited for, but not for long."""
    player = open_player(concurrency=1)
    player.end(1)
    player.take_all()
    player.schedule.find_next(player.now)
    player.schedule.stop(player.now)
    player.now += 1.0

    assert End() == player.advance()


def test_failing_input() -> None:
    """An exception of the input is raised after all rows that were read."""
    player = open_player(concurrency=3)
    player.end(1)
    player.take_all()
    player.schedule.find_next(player.now)
    failure = OSError("disk")
    player.schedule.note_end_of_input(failure)

    assert Wait() == player.advance()
    player.end(2)
    player.end(3)

    assert End() == player.advance()
    assert failure is player.schedule.make_failure()


def test_first_of_two_failures() -> None:
    """The consumer is raised what failed first; each failure says which row it was of."""
    player = open_player(concurrency=3)
    first, second = OSError("first"), OSError("second")
    for index, failure in ((1, first), (2, second)):
        player.schedule.note_failure(player.in_flight.pop(index), failure, player.now)

    assert first is player.schedule.make_failure()
    assert ["raised for row 1 of exchange_many"] == first.__notes__
    assert ["raised for row 2 of exchange_many"] == second.__notes__


def test_most_refusals() -> None:
    """A row that is refused ten times has the tenth refusal as its result."""
    player = open_player(rows=2)
    for _ in range(MOST_REFUSALS):
        player.wait_for_start()
        player.end(1, build_limited())

    assert [1] == player.take_all()
    assert End() == player.advance()


def test_backoff_doubles() -> None:
    """Without a time from the server, each pause is longer than the one before."""
    player = open_player(rows=2)
    pauses = []
    for _ in range(4):
        before = player.now
        player.end(1, build_limited())
        player.wait_for_start()
        pauses.append(player.now - before)
    player.end(1, TOKENS)

    assert [0.75, 1.5, 3.0, 6.0] == pauses


def test_longest_pause() -> None:
    """The longest pause is waited out, although its end is spread."""
    player = Player(10)
    player.advance()
    limited = build_limited(retry_after=LONGEST_PAUSE)
    player.end(0, limited)

    assert isinstance(player.advance(), Wait)
    assert not is_shared_by_all(limited)
    assert not player.schedule.is_stopped


def test_rows_that_may_not_be_sent_again() -> None:
    """With ``retry_429=False`` a refusal is the row's result, and the others pause."""
    player = Player(10)
    player.schedule.sends_again = False
    player.advance()
    player.end(0, build_limited(retry_after=3.0))

    assert [0] == player.take_all()
    assert isinstance(player.advance(), Wait)
    assert {} == player.in_flight

    player.now += 3.5
    player.advance()

    assert [1, 2, 3] == [*player.in_flight]
