"""Request bodies as name and value pairs, order and repetition kept. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

# Far above what any client sends.
_MOST_PAIRS = 1000


class MalformedBody(ValueError):
    """Raised for a body that is not what its Content-Type says."""


def read_pairs(content_type: str, body: bytes) -> tuple[tuple[str, str], ...]:
    """Return the pairs of a form or JSON *body*.

    Args:
        content_type: The Content-Type header, parameters allowed.
        body: The bytes as received.

    Raises:
        MalformedBody: The type is neither, or the bytes do not follow it.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        if media_type == FORM:
            return tuple(
                parse_qsl(
                    body.decode("ascii"),
                    keep_blank_values=True,
                    errors="strict",
                    max_num_fields=_MOST_PAIRS,
                )
            )
        if media_type == JSON:
            return tuple(_json_pairs(json.loads(body)))
    except (ValueError, RecursionError) as error:
        raise MalformedBody("the body does not follow its Content-Type") from error
    raise MalformedBody("the body is neither a form nor JSON")


def _json_pairs(members: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(members, dict):
        raise ValueError("not an object")
    for name, value in members.items():
        # A list is the JSON spelling of a repeated form parameter.
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, str):
                raise ValueError("not a string")
            one.encode()  # a lone surrogate is no text
            yield name, one
