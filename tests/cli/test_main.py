"""How a run ends: by itself, by a signal, or because nobody reads it."""

from __future__ import annotations

import io
import signal
import sys
import threading
from collections.abc import Callable

import pytest

from auth0_tx.cli import main
from auth0_tx.cli.commands import inspect
from auth0_tx.cli.signals import Terminated, exit_on_signals
from tests.cli.command_runs import InProcess

TERMINATING = [signal.SIGTERM, signal.SIGHUP]


def make_command(error: BaseException) -> Callable[..., int]:
    """Return a command that raises *error*."""

    def run(*_: object) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyboardInterrupt(), 130, ""),
        (Terminated(), 143, ""),
        (BrokenPipeError(32, "Broken pipe"), 1, ""),
        (
            OSError(28, "No space left on device"),
            1,
            "auth0-tx: system error: No space left on device\n",
        ),
    ],
)
def test_end(
    command: InProcess,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: int,
    message: str,
) -> None:
    """An interrupt and a lost reader end quietly, a full disk with a message."""
    monkeypatch.setattr(inspect, "run", make_command(error))
    outcome = command("inspect")

    assert (status, "", message) == (outcome.status, outcome.out, outcome.err)


def test_words_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without words, `main` takes those of the process."""
    monkeypatch.setattr(sys, "argv", ["auth0-tx", "--version"])

    assert 0 == main()
    assert capsys.readouterr().out.startswith("auth0-tx ")


@pytest.mark.parametrize("number", TERMINATING)
def test_signal_is_raised(number: signal.Signals) -> None:
    """A signal that would end the process at once raises instead, for clean-up."""
    before = signal.getsignal(number)
    with pytest.raises(Terminated), exit_on_signals():
        signal.raise_signal(number)

    assert before == signal.getsignal(number)


def test_ignored_signal_stays_ignored() -> None:
    """A signal that is ignored, as under nohup, stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with exit_on_signals():
            signal.raise_signal(signal.SIGHUP)
            during = signal.getsignal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert during is signal.SIG_IGN


def test_system_without_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without SIGHUP handles SIGTERM alone."""
    monkeypatch.delattr(signal, "SIGHUP")
    with pytest.raises(Terminated), exit_on_signals():
        signal.raise_signal(signal.SIGTERM)


def test_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a thread, where Python cannot set handlers, a run goes without them."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(main(["--version"])))
    thread.start()
    thread.join()

    assert [0] == statuses
