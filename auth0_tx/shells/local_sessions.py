"""Sessions without a login at Auth0, begun through a client of either world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..core.configuration import StoreOptions
from ..core.flows.local_session import begin_local_session
from ..session_values import LoginWithCustomTokenExchangeResult
from .drivers import run, run_async

if TYPE_CHECKING:
    from .aiohttp_shell import AsyncShell
    from .requests_shell import BlockingShell


def begin_session(
    client: BlockingShell,
    claims: Mapping[str, Any],
    access_tokens: Mapping[str | None, str | None],
    expires_in: int,
    store_options: StoreOptions | None,
) -> LoginWithCustomTokenExchangeResult:
    """Begin a session through a blocking client, as ``begin_local_session`` describes."""
    flow = begin_local_session(
        client._context, claims, access_tokens, expires_in, store_options
    )
    return run(flow, client._world)


async def begin_session_async(
    client: AsyncShell,
    claims: Mapping[str, Any],
    access_tokens: Mapping[str | None, str | None],
    expires_in: int,
    store_options: StoreOptions | None,
) -> LoginWithCustomTokenExchangeResult:
    """Begin a session through an asyncio client, as ``begin_local_session`` describes."""
    flow = begin_local_session(
        client._context, claims, access_tokens, expires_in, store_options
    )
    return await run_async(flow, client._world)
