"""A store that fails when it is told to: before a command takes effect, or after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

When: TypeAlias = Literal["before", "after"]
Choose: TypeAlias = Callable[[int, str], When | None]
"""Says for the n-th command, counted from 1, and its name whether and when it fails."""


class StoreBroken(Exception):
    """The error of a store's own, which no caller of the library may see."""


class FailingStore:
    """Passes commands on to a store, counts them, and fails some.

    Attributes:
        inner: the store.
        commands: the names of the commands from the last plan until it was healed; ``set`` is
            ``set new`` where no value is expected.
    """

    def __init__(self, inner: Any, *, awaits: bool) -> None:
        self.inner = inner
        self.commands: list[str] = []
        self._awaits = awaits
        self._choose: Choose | None = None

    def plan(self, choose: Choose) -> None:
        """Count from the next command on, and fail the commands that *choose* says."""
        self.commands, self._choose = [], choose

    def heal(self) -> None:
        """Fail no more commands, and count none."""
        self._choose = None

    def get(self, key: str) -> Any:
        return self._pass_on("get", self.inner.get, key)

    def set(self, key: str, value: bytes, *, ttl: float, expected: bytes | None) -> Any:
        name = "set new" if expected is None else "set"
        return self._pass_on(
            name, self.inner.set, key, value, ttl=ttl, expected=expected
        )

    def delete(self, key: str, *, expected: bytes | None = None) -> Any:
        return self._pass_on("delete", self.inner.delete, key, expected=expected)

    def add_to_index(self, label: str, key: str, *, ttl: float) -> Any:
        return self._pass_on(
            "add_to_index", self.inner.add_to_index, label, key, ttl=ttl
        )

    def read_index(self, label: str) -> Any:
        return self._pass_on("read_index", self.inner.read_index, label)

    def remove_from_index(self, label: str, keys: Any) -> Any:
        return self._pass_on(
            "remove_from_index", self.inner.remove_from_index, label, keys
        )

    def _pass_on(
        self, name: str, command: Callable[..., Any], *arguments: Any, **named: Any
    ) -> Any:
        when: When | None = None
        if self._choose is not None:
            self.commands.append(name)
            when = self._choose(len(self.commands), name)
        if self._awaits:
            return _await(when, name, command, *arguments, **named)
        _fail_if(when == "before", name)
        result = command(*arguments, **named)
        _fail_if(when == "after", name)
        return result


async def _await(
    when: When | None, name: str, command: Callable[..., Any], *args: Any, **named: Any
) -> Any:
    _fail_if(when == "before", name)
    result = await command(*args, **named)
    _fail_if(when == "after", name)
    return result


def _fail_if(is_due: bool, name: str) -> None:
    if is_due:
        raise StoreBroken(f"the store failed to {name}")
