"""A session store that fails at one of its commands, before or after it took effect."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal, TypeVar

from tests.core.browser import PaperStore

T = TypeVar("T")

When = Literal["before", "after"]


class FaultyStore(PaperStore):
    """A dictionary as a store, which counts its commands and fails at some of them.

    Attributes:
        log: the commands since the last :meth:`plan`, failed ones too.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.log: list[str] = []
        self._numbers: Collection[int] = ()
        self._when: When = "before"
        self._delay: Callable[[], object] = lambda: None

    def plan(
        self,
        *numbers: int,
        when: When = "before",
        delay: Callable[[], object] = lambda: None,
    ) -> None:
        """Count from 0 again, and fail at the commands with these numbers.

        Args:
            numbers: which commands fail.
            when: whether they fail before or after they took effect.
            delay: called before each failure, to let time pass.
        """
        self.log, self._numbers, self._when, self._delay = [], numbers, when, delay

    def _run(self, name: str, command: Callable[[], T]) -> T:
        number = len(self.log)
        self.log.append(name)
        if number not in self._numbers:
            return command()
        if self._when == "after":
            command()
        self._delay()
        raise ConnectionError(f"the store failed {self._when} {name}")

    def get(self, key: str) -> bytes | None:
        return self._run("get", lambda: PaperStore.get(self, key))

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        return self._run(
            "set",
            lambda: PaperStore.set(self, key, value, ttl=ttl, expected=expected),
        )

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        self._run("delete", lambda: PaperStore.delete(self, key, expected=expected))

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None:
        self._run(
            "add_to_index", lambda: PaperStore.add_to_index(self, label, key, ttl=ttl)
        )

    def read_index(self, label: str) -> list[str]:
        return self._run("read_index", lambda: PaperStore.read_index(self, label))

    def remove_from_index(self, label: str, keys: Collection[str]) -> None:
        self._run(
            "remove_from_index",
            lambda: PaperStore.remove_from_index(self, label, keys),
        )
