"""A server that takes its time: the call ends at its deadline, whatever still comes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from tests.e2e.faults.fault_cases import ANOTHER, AT_DEADLINE, check_silent
from tests.e2e.faults.slow_cases import CASES, Played, Slow, play_all
from tests.e2e.faults.wire_certificates import Certificates
from tests.e2e.faults.worlds import OBSERVED, WORLDS
from tests.observed_requests import observe_requests


@pytest.fixture(scope="module")
def three_addresses() -> Iterator[None]:
    """Every name has three addresses, which all lead to one host."""
    resolve = socket.getaddrinfo

    def thrice(*args: Any, **kwargs: Any) -> list[Any]:
        return [*resolve(*args, **kwargs)] * 3

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", thrice)
        yield


@pytest.fixture(scope="module", params=[*WORLDS, *OBSERVED])
def all_played(
    request: pytest.FixtureRequest, certificates: Certificates, three_addresses: None
) -> dict[str, Played]:
    """What became of every case, in each of the worlds, on each way to the wire."""
    with observe_requests() if request.param in OBSERVED else nullcontext():
        return play_all({**WORLDS, **OBSERVED}[request.param], certificates)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_call_ends_at_its_deadline(case: Slow, all_played: dict[str, Played]) -> None:
    """Whatever takes its time, the call ends when its own is up, and says what is known."""
    played = all_played[case.name]
    outcome, error = played.outcome, played.outcome.error

    assert (case.error, "timeout", None, case.safe) == outcome.summary
    assert AT_DEADLINE[0] <= outcome.seconds <= AT_DEADLINE[1]
    assert case.sends == played.posts
    assert error is not None
    assert case.phase == error.phase
    assert error.tokens_issued is False
    check_silent(error)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_call_leaves_nothing_behind(case: Slow, all_played: dict[str, Played]) -> None:
    """The connection ends with the call, and the next one gets an answer of its own."""
    played = all_played[case.name]

    assert "own session" in case.name or played.let_go
    assert played.reconnected
    assert f"for-{ANOTHER}" == played.another
