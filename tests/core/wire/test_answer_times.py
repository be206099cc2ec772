"""The measure of answer times: up at once, down with the answers, never above its bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.wire.answer_times import AnswerTime

NOW = 1_000.0
LONGEST = 5.0


def note_all(answers: list[float], seconds_between: float = 0.0) -> AnswerTime:
    """Return the measure after *answers* that came one after the other."""
    answer_time = AnswerTime()
    for number, seconds in enumerate(answers):
        answer_time.note(seconds, NOW + number * seconds_between)
    return answer_time


def test_nothing_is_known_at_first() -> None:
    """Before the first answer every grant is sent."""
    assert 0.0 == AnswerTime().find_floor(LONGEST)


def test_it_rises_at_once() -> None:
    """One slow answer may be the first of many: the next grant has time for it, and half more."""
    assert 1.5 == note_all([0.1, 0.2, 1.0]).find_floor(LONGEST)


def test_growing_answers() -> None:
    """While answers take longer and longer, each grant has had time for the last one."""
    answer_time = AnswerTime()
    for number in range(1, 100):
        answer_time.note(number / 50, NOW)
        assert 1.5 * number / 50 == pytest.approx(answer_time.find_floor(LONGEST))


def test_it_falls_in_a_crowd() -> None:
    """A few hundred quick answers make up for a slow beginning, however fast they come."""
    crowd = note_all([3.0] * 100 + [0.1] * 300, 0.001)

    assert 0.1 == pytest.approx(crowd.seconds, rel=0.5)


def test_it_falls_in_ten_seconds_of_few_answers() -> None:
    """An answer every second makes up for a slow one in about ten seconds."""
    few = note_all([3.0] + [0.1] * 10, 1.0)

    assert 0.5 < few.seconds < 1.5


def test_one_quick_answer_changes_little() -> None:
    """A quick answer right after a slow one does not say that the next is quick."""
    assert 0.95 < note_all([1.0, 0.001]).seconds < 1.0


def test_after_a_pause() -> None:
    """A pause alone changes nothing; the first answer after it says how things are now."""
    answer_time = note_all([2.0])
    assert 3.0 == answer_time.find_floor(LONGEST)

    answer_time.note(0.1, NOW + 3_600.0)
    assert 0.1 == pytest.approx(answer_time.seconds)


def test_never_more_than_is_allowed() -> None:
    """Whatever an answer took, a call that has just begun has the time that is asked for."""
    assert LONGEST == note_all([86_400.0]).find_floor(LONGEST)


def test_a_clock_that_goes_back() -> None:
    """A moment before the last one counts as none at all."""
    answer_time = note_all([2.0])
    answer_time.note(1.0, NOW - 86_400.0)

    assert 1.9 < answer_time.seconds < 2.0
    assert 0.5 == note_all([0.5, -3.0]).find_floor(0.5)


@given(
    st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), max_size=50),
    st.floats(0, 1e6),
)
def test_any_answers(answers: list[tuple[float, float]], longest: float) -> None:
    """Whatever the clock does, the floor is from 0 to its bound, and no measure too high."""
    answer_time = AnswerTime()
    for seconds, now in answers:
        answer_time.note(seconds, now)

    assert 0.0 <= answer_time.find_floor(longest) <= longest
    assert answer_time.seconds <= max([0.0, *(seconds for seconds, _ in answers)])
