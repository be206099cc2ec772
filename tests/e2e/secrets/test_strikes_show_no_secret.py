"""An exception at each wait of a call: nothing that an error tracker sees shows a secret.

It is raised where a signal handler's is, or a cancellation is thrown in, at every wait there
is, from every stack that leads there.  Searched are the frames that it passed, those of all
libraries included, and what was made of it: arguments, notes, causes and contexts.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest

from tests.e2e.secrets.calls import Calls
from tests.e2e.secrets.test_frames_hold_no_secret import KINDS, calls
from tests.e2e.secrets.two_worlds import WORLDS, World
from tests.observed_requests import observe_requests
from tests.secret_scanner import Interrupted, Scanner, TimeLimit
from tests.strikes import cancel_each_wait, strike_each_wait

__all__ = ["calls"]

MOST_STEPS = 5
"""A login, reads, a refresh and a logout: what follows would wait in the same places."""


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Let go of the sockets that an interrupted call leaves to its frames."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.mark.parametrize(
    ("world", "kind"),
    [
        ("blocking", "client_secret_basic"),
        ("blocking", "session in Redis"),
        ("blocking", "documents that age"),
        ("async", "client_secret_basic"),
    ],
)
def test_signal(calls: Calls, world: World, kind: str, secret_scanner: Scanner) -> None:
    """A signal's exception shows no secret, wherever it strikes."""
    check_signal(calls, world, kind, secret_scanner)


@pytest.mark.parametrize("world", WORLDS)
def test_signal_if_observed(
    calls: Calls, world: World, secret_scanner: Scanner
) -> None:
    """Nor does it in the layers through which requests go that a tracer sees."""
    with observe_requests():
        check_signal(calls, world, "client_secret_basic", secret_scanner)


def check_signal(
    calls: Calls, world: World, kind: str, secret_scanner: Scanner
) -> None:
    """Assert that a signal's exception shows no secret, wherever it strikes."""

    def make() -> None:
        settings, steps = prepared.pop()
        calls.run(settings, steps[:MOST_STEPS])

    # Once before, so that the calls that count wait for no import.
    calls.run(*KINDS[kind](calls))
    error = TimeLimit if world == "blocking" else Interrupted
    functions = set()
    prepared = [KINDS[kind](calls)]
    for wait, raised in strike_each_wait(make, error):
        functions.add(wait.function.rpartition(".")[2])
        if raised is not None:
            secret_scanner.note_interruption(raised)
        prepared.append(KINDS[kind](calls))

    assert [] == secret_scanner.search()
    expected = {
        "blocking": {"getaddrinfo", "connect", "do_handshake", "write", "read"},
        "async": {"poll", "send"},
    }
    assert expected[world] <= functions


@pytest.mark.parametrize("kind", ["client_secret_post", "session in cookies"])
@pytest.mark.parametrize("world", ["async"])
def test_cancellation(calls: Calls, kind: str, secret_scanner: Scanner) -> None:
    """A task that is cancelled shows no secret, whatever it waits for."""
    calls.run(*KINDS[kind](calls))
    ends = []
    for number, raised in cancel_each_wait(
        lambda: calls.run_async(*KINDS[kind](calls))
    ):
        ends.append((number, type(raised).__name__))
        if raised is not None:
            secret_scanner.note_interruption(raised)

    assert [] == secret_scanner.search()
    assert "CancelledError" in dict(ends).values()
    assert "NoneType" == ends[-1][1]
