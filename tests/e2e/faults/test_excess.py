"""An answer that is too much: cut off at the limit, at little cost of memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from auth0_tx import AmbiguousError, DiscoveryError, InvalidResponseError
from auth0_tx import CustomTokenExchangeErrorCode as Code
from tests.e2e.faults.callers import Caller
from tests.e2e.faults.fault_cases import Case, check, check_unpoisoned, ids, play
from tests.e2e.faults.wire_behaviours import (
    BOMB,
    GRANT,
    bombs,
    floods,
    grants_in_gzip,
    has_body,
    metadata,
    says,
    with_headers,
)
from tests.e2e.faults.wire_http import JSON, chunk, head
from tests.e2e.faults.wire_server import Behaviour, Script, WireServer
from tests.e2e.faults.worlds import world_over_each_wire

__all__ = ["world_over_each_wire"]

MOST_MEMORY = 4 * 1024 * 1024
LIMIT, DOCUMENT_LIMIT = 262_144, 524_288

BROKEN_HEAD: dict[str, Any] = {"error": AmbiguousError, "code": Code.CONNECTION_LOST}
REFUSED_200: dict[str, Any] = {
    "error": InvalidResponseError,
    "code": Code.INVALID_RESPONSE,
    "status": 200,
    "tokens_issued": True,
}


def header_of(size: int) -> Behaviour:
    """Grant, with one header as long as that."""
    return with_headers([("X-Long", "x" * size)])


def headers(count: int) -> Behaviour:
    """Grant, with so many more headers."""
    return with_headers([(f"X-{n}", "x") for n in range(count)])


CASES = [
    Case(name="200 MiB with a length", plays=(floods("length"),), **REFUSED_200),
    Case(name="200 MiB in chunks", plays=(floods("chunks"),), **REFUSED_200),
    Case(name="200 MiB until close", plays=(floods("close"),), **REFUSED_200),
    Case(name="gzip bomb", plays=(bombs("gzip"),), **REFUSED_200),
    Case(name="deflate bomb", plays=(bombs("deflate"),), **REFUSED_200),
    Case(name="br", plays=(bombs("br"),), **REFUSED_200),
    Case(name="a grant in gzip", plays=(grants_in_gzip,), **REFUSED_200),
    Case(name="a header of 64 KiB", plays=(header_of(65_536),), **BROKEN_HEAD),
    Case(name="a header of 9 KB", plays=(header_of(9_000),), **BROKEN_HEAD),
    Case(name="a header of 8 KB", plays=(header_of(8_000),)),
    Case(name="10,000 headers", plays=(headers(10_000),), **BROKEN_HEAD),
    Case(name="110 headers", plays=(headers(110),), **BROKEN_HEAD),
    Case(name="90 headers", plays=(headers(90),)),
]


@pytest.fixture
def peak() -> Iterator[Callable[[], int]]:
    """Bytes of Python memory at the worst moment since the test began."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    yield lambda: tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_excess_is_refused_cheaply(
    case: Case,
    server: WireServer,
    new_caller: Callable[..., Caller],
    peak: Callable[[], int],
) -> None:
    """What is too large, or compressed unasked, is refused within 4 MiB of memory."""
    caller, outcome = play(case, server, new_caller)

    assert MOST_MEMORY > peak()
    check(case, server, outcome)
    assert BOMB // 4 > server.wires[-1].sent
    check_unpoisoned(server, caller)
    reused = server.posts[0].connection == server.posts[-1].connection
    assert not (reused and "200 MiB" in case.name)


def answers_padded(members: dict[str, Any], size: int, framing: str) -> Behaviour:
    """Answer with *members* in a body of exactly *size* bytes."""
    body = json.dumps(members).encode().ljust(size)
    if framing == "length":
        return has_body(200, body)
    fields = (JSON, ("Transfer-Encoding", "chunked"))
    return says(head(200, fields) + chunk(body) + chunk(b""))


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_answer_is_read_up_to_its_limit(
    framing: str, server: WireServer, caller: Caller
) -> None:
    """An answer of 256 KiB is one like any other, and a byte more is too much."""
    grant = {"access_token": "at", **GRANT}
    server.token = Script(
        answers_padded(grant, LIMIT, framing), answers_padded(grant, LIMIT + 1, framing)
    )
    within, beyond = caller.exchange(), caller.exchange()

    assert "at" == within.access_token
    assert (InvalidResponseError, "invalid_response", 200, False) == beyond.summary
    assert beyond.error is not None
    assert beyond.error.tokens_issued is True
    check_unpoisoned(server, caller)


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_document_is_read_up_to_its_limit(
    framing: str, server: WireServer, caller: Caller
) -> None:
    """Metadata of 512 KiB is read, and a byte more is too much."""
    members = metadata(server.issuer)
    server.discovery = Script(
        answers_padded(members, DOCUMENT_LIMIT + 1, framing),
        answers_padded(members, DOCUMENT_LIMIT + 1, framing),
        answers_padded(members, DOCUMENT_LIMIT, framing),
    )
    beyond, within = caller.exchange(), caller.exchange()

    assert (DiscoveryError, "discovery_failed", 200, False) == beyond.summary
    assert within.error is None
    assert 1 == len(server.posts)


@pytest.mark.parametrize("own_session", [False, True], ids=["ours", "own session"])
def test_compression_is_never_asked_for(
    own_session: bool, server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """Metadata and grants are asked for as they are, also on the application's session."""
    outcome = new_caller(own_session=own_session, laden=own_session).exchange()

    assert outcome.error is None
    assert ["identity"] * 2 == [
        request.header("accept-encoding") for request in server.requests
    ]
