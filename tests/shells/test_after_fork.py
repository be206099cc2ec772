"""What a child must not inherit is renewed in it, for as long as it lives."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from auth0_tx.shells import after_fork


class Holder:
    """Something that holds sockets or locks."""

    def __init__(self) -> None:
        self.renewals = 0

    def renew(self) -> None:
        """Start over."""
        self.renewals += 1


def test_renewal_in_a_child() -> None:
    """A child renews what it inherited; the parent does not."""
    holder = Holder()
    after_fork.register_renewable(holder)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, bytes([holder.renewals]))
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, "rb") as pipe:
        renewals = pipe.read()

    assert b"\x01" == renewals
    assert 0 == holder.renewals


def test_renewal_of_all() -> None:
    """Every holder that still lives is renewed once."""
    holders = [Holder() for _ in range(3)]
    for holder in holders:
        after_fork.register_renewable(holder)
    after_fork._renew_all()

    assert [1, 1, 1] == [holder.renewals for holder in holders]


def test_renewal_of_the_others() -> None:
    """A holder whose renewal fails keeps none of the others from theirs."""

    class Failing(Holder):
        def renew(self) -> None:
            super().renew()
            raise ZeroDivisionError

    holders = [Failing() if number % 2 else Holder() for number in range(5)]
    for holder in holders:
        after_fork.register_renewable(holder)

    with pytest.raises(ZeroDivisionError):
        after_fork._renew_all()
    assert [1] * 5 == [holder.renewals for holder in holders]


def test_holders_are_not_kept() -> None:
    """What nobody else holds is not held to be renewed."""
    before = len(after_fork._holders)
    after_fork.register_renewable(Holder())
    gc.collect()

    assert before >= len(after_fork._holders)


def test_renewal_in_a_child_without_hooks() -> None:
    """A child whose fork ran no Python hooks renews at its first check, and only then."""
    holder = Holder()
    after_fork.register_renewable(holder)
    after_fork.renew_if_forked()
    reader, writer = os.pipe()
    child = ctypes.PyDLL(None).fork()
    if not child:
        before = holder.renewals
        after_fork.renew_if_forked()
        after_fork.renew_if_forked()
        os.write(writer, bytes([before, holder.renewals]))
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, "rb") as pipe:
        renewals = pipe.read()

    assert b"\x00\x01" == renewals
    assert 0 == holder.renewals


@pytest.fixture
def unrenewed_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process look like a child that was forked and has not started over."""
    monkeypatch.setattr(after_fork, "process_id", os.getpid() + 1)
    monkeypatch.setattr(after_fork, "_locks", {os.getpid() + 1: threading.Lock()})
    # A thread of the parent was renewing when the child was forked.
    after_fork._locks[os.getpid() + 1].acquire()


@pytest.mark.usefixtures("unrenewed_child")
def test_threads_wait_for_the_renewal() -> None:
    """No thread of a child goes on before everything is renewed, which happens once."""

    class Slow(Holder):
        def renew(self) -> None:
            time.sleep(0.05)
            super().renew()

    holder = Slow()
    after_fork.register_renewable(holder)

    def check(_: int) -> int:
        after_fork.renew_if_forked()
        return holder.renewals

    with ThreadPoolExecutor(8) as threads:
        assert [1] * 8 == list(threads.map(check, range(8)))


@pytest.mark.usefixtures("unrenewed_child")
def test_a_renewal_that_fails_is_tried_again() -> None:
    """While a holder cannot start over, each check fails: nothing inherited is used."""

    class Failing(Holder):
        def renew(self) -> None:
            super().renew()
            if self.renewals < 3:
                raise ZeroDivisionError

    holder = Failing()
    after_fork.register_renewable(holder)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            after_fork.renew_if_forked()
    after_fork.renew_if_forked()
    after_fork.renew_if_forked()
    assert 3 == holder.renewals
