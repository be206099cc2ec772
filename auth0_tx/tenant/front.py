"""What stands between the sockets and the tenant: it records, and plays faults.

Opens no socket itself; the server hands it requests and performs the steps it yields.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator

from attrs import define

from .delivery import Close, Exchange, Step, Write
from .faults import Fault
from .history import History
from .http1 import WireReply, serialize
from .http_messages import ReceivedRequest, Reply


@define
class _Injected:
    fault: Fault
    path: str | None
    left: int | None


class Front:
    """Record every request, play the fault injected for it, or answer it.

    Args:
        respond: Decide the reply to a request.
        clock: Return the tenant's time in seconds since the epoch.
        history: How many requests to keep.
    """

    def __init__(
        self,
        respond: Callable[[ReceivedRequest], Reply],
        clock: Callable[[], float],
        history: int,
    ) -> None:
        self._respond = respond
        self._clock = clock
        self._requests: History[ReceivedRequest] = History(history)
        self._counts: Counter[str] = Counter()
        self._injected: list[_Injected] = []
        self._lock = threading.Lock()

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """Return the requests kept, oldest first."""
        return self._requests.items

    def count(self, path: str) -> int:
        """Return how many requests of *path* were received."""
        return self._counts[path]

    def inject(self, fault: Fault, path: str | None, times: int | None) -> None:
        """Play *fault* for the next *times* requests of *path*; None: any, for ever."""
        with self._lock:
            self._injected.append(_Injected(fault, path, times))

    def clear(self) -> None:
        """Forget what was received, and the faults not yet played."""
        with self._lock:
            self._injected.clear()
            self._counts.clear()
        self._requests.clear()

    def greet(self) -> Iterator[Step]:
        """Yield the steps to take on a new connection before its TLS handshake."""
        fault = self._next_fault(lambda one: one.fault.greet is not None)
        if fault is not None and fault.greet is not None:
            yield from fault.greet()

    def deliver(self, request: ReceivedRequest, keep_alive: bool) -> Iterator[Step]:
        """Yield the steps that answer *request*."""
        self._requests.append(request)
        with self._lock:
            self._counts[request.path] += 1
        fault = self._next_fault(
            lambda one: (
                one.fault.deliver is not None and one.path in (None, request.path)
            )
        )

        def wire(reply: Reply) -> WireReply:
            return serialize(
                reply,
                now=self._clock(),
                keep_alive=keep_alive,
                head_only=request.method == "HEAD",
            )

        exchange = Exchange(request, lambda: self._respond(request), wire)
        if fault is not None and fault.deliver is not None:
            yield from fault.deliver(exchange)
        else:
            whole = wire(exchange.process())
            yield Write(whole.head + whole.body)
        if not keep_alive:
            yield Close()

    def _next_fault(self, fits: Callable[[_Injected], bool]) -> Fault | None:
        with self._lock:
            chosen = next((one for one in self._injected if fits(one)), None)
            if chosen is None:
                return None
            if chosen.left is not None:
                chosen.left -= 1
                if chosen.left <= 0:
                    self._injected.remove(chosen)
            return chosen.fault
