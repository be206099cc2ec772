"""The steps in which a reply reaches its client: inert, for a connection to run."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, frozen

from .http1 import WireReply
from .http_messages import ReceivedRequest, Reply


@frozen
class Write:
    """Send these bytes."""

    data: bytes = field(repr=False)


@frozen
class Pause:
    """Wait this many seconds, or until the tenant stops."""

    seconds: float


@frozen
class Close:
    """Close the connection in order."""


@frozen
class Reset:
    """Close the connection with a TCP reset."""


@frozen
class Hold:
    """Keep the connection open and silent until the client leaves."""


Step = Write | Pause | Close | Reset | Hold


@frozen
class Exchange:
    """One request and the two ways to answer it.

    Args:
        request: What was received.
        process: Let the tenant decide its reply; this is what has side effects.
        serialize: Turn a reply into bytes fit for this connection.
    """

    request: ReceivedRequest
    process: Callable[[], Reply]
    serialize: Callable[[Reply], WireReply]
