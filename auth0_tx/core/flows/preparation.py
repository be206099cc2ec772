"""Getting ready: what the first call would fetch is there before it."""

from __future__ import annotations

from ..configuration import StoreOptions
from ..context import Context
from ..effects import Flow
from .discovery import domain_for, metadata_for
from .keys import keys_for


def prepare(context: Context, store_options: StoreOptions | None = None) -> Flow[None]:
    """Fetch the tenant's metadata and signing keys, so that no call has to wait for them.

    Nothing needs it: whatever is not there is fetched when it is needed, once for all who
    wait.  A process that is about to serve may call it while it starts.

    Args:
        store_options: handed to the domain resolver, where the client has one.

    Raises:
        CustomTokenExchangeError: the tenant cannot be reached, or its documents do not hold.
    """
    deadline = context.monotonic() + context.settings.timeout
    domain = yield from domain_for(context, store_options)
    metadata = yield from metadata_for(context, domain, deadline)
    yield from keys_for(context, metadata, None, deadline)
