"""Opaque tokens and what they stand for, until they expire or are forgotten."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, Protocol, TypeVar


class Expiring(Protocol):
    """What an opaque token stands for."""

    @property
    def expires_at(self) -> float:
        """Return when it expires, in seconds of the tenant's clock."""
        ...


E = TypeVar("E", bound=Expiring)


class OpaqueTokens(Generic[E]):
    """Hold what the latest *size* tokens stand for; older ones are forgotten.

    Args:
        size: How many.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._tokens: OrderedDict[str, E] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, token: str, meaning: E) -> None:
        """Remember what *token* stands for."""
        with self._lock:
            self._tokens[token] = meaning
            while len(self._tokens) > self._size:
                self._tokens.popitem(last=False)

    def get(self, token: str, now: float) -> E | None:
        """Return what *token* stands for at *now*, or None."""
        with self._lock:
            meaning = self._tokens.get(token)
        return meaning if meaning is not None and now < meaning.expires_at else None

    def take(self, token: str, now: float) -> E | None:
        """Return what *token* stands for at *now*, or None; it is no token any more."""
        with self._lock:
            meaning = self._tokens.pop(token, None)
        return meaning if meaning is not None and now < meaning.expires_at else None
