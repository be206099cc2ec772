"""The client's keywords, as a framework's settings name them."""

from __future__ import annotations

import inspect

from ..core.configuration import configure


def client_keywords() -> frozenset[str]:
    """Give the keywords that both clients take, as ``configure`` has them."""
    return frozenset(inspect.signature(configure).parameters)
