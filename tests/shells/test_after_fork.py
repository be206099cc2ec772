"""What a child must not inherit is renewed in it, for as long as it lives."""

from __future__ import annotations

import gc
import os

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
    after_fork.renew_after_fork(holder)
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
        after_fork.renew_after_fork(holder)
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
        after_fork.renew_after_fork(holder)

    with pytest.raises(ZeroDivisionError):
        after_fork._renew_all()
    assert [1] * 5 == [holder.renewals for holder in holders]


def test_holders_are_not_kept() -> None:
    """What nobody else holds is not held to be renewed."""
    before = len(after_fork._inherited)
    after_fork.renew_after_fork(Holder())
    gc.collect()

    assert before >= len(after_fork._inherited)
