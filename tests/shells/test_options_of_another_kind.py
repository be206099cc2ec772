"""Options that are none are refused without being shown."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

import pytest

from auth0_tx import AsyncServerClient, InvalidInputError, ServerClient

KEYWORDS: dict[str, Any] = {
    "domain": "tenant.example.com",
    "client_id": "client",
    "client_secret": "client-secret-of-this-test",
}
TOKEN = "subject-token-of-this-test"


def refuse_blocking(options: Any) -> InvalidInputError:
    """Have the blocking client refuse *options*."""
    with ServerClient(**KEYWORDS) as client:
        try:
            client.custom_token_exchange(options)
        except InvalidInputError as error:
            return error
    raise AssertionError("the options were taken")


def refuse_async(options: Any) -> InvalidInputError:
    """Have the asyncio client refuse *options*."""

    async def refuse() -> InvalidInputError:
        async with AsyncServerClient(**KEYWORDS) as client:
            try:
                await client.custom_token_exchange(options)
            except InvalidInputError as error:
                return error
        raise AssertionError("the options were taken")

    return asyncio.run(refuse())


@pytest.mark.parametrize("refuse", [refuse_blocking, refuse_async])
@pytest.mark.parametrize(
    "options",
    [
        {"subject_token": TOKEN, "subject_token_type": "urn:acme:legacy-token"},
        TOKEN,
        [TOKEN],
    ],
    ids=["mapping", "token", "list"],
)
def test_other_options_do_not_show(refuse: Any, options: Any) -> None:
    """A mapping or a bare token in place of options is refused, and in no frame of ours."""
    error = refuse(options)
    ours = [
        repr(frame.f_locals)
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if "/auth0_tx/" in frame.f_code.co_filename
    ]

    assert "options" == error.parameter
    assert 1 == len(ours)
    assert [] == [text for text in [str(error), *ours] if TOKEN in text]
