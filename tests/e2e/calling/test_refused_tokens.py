"""On a 401 of the API one more exchange, one more request, and no more than that."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auth0_tx.caches import MemoryTokenCache
from auth0_tx.tenant import Tenant
from tests.e2e.calling.api_server import ApiAnswer, ApiRequest, ApiServer, refuse
from tests.e2e.calling.callers import ApiCaller
from tests.e2e.calling.conftest import count_exchanges, for_exchange, make_options

TYPE = "urn:acme:legacy-token"


def refuse_first_token() -> Callable[[ApiRequest], ApiAnswer]:
    """Answer the first token that is seen with 401, however often it comes."""
    seen: list[str | None] = []
    lock = threading.Lock()

    def answer(request: ApiRequest) -> ApiAnswer:
        with lock:
            seen.append(request.token)
            return ApiAnswer(401 if request.token == seen[0] else 200, body=b"x")

    return answer


def test_once_more(caller: ApiCaller, api: ApiServer, tenant: Tenant) -> None:
    """The request is sent again with the token of another exchange, on the same connection."""
    api.answer = refuse_first_token()
    answer = caller.call("POST", f"{api.origin}/v1/orders?a=b", data=b"the body")

    first, second = api.requests
    assert 200 == answer.status
    assert ("/v1/orders?a=b", b"the body") == (second.path, second.body)
    assert first.token != second.token
    assert first.connection == second.connection
    assert 2 == count_exchanges(tenant)


def test_new_token_stays(caller: ApiCaller, api: ApiServer, tenant: Tenant) -> None:
    """Requests that follow carry the new token."""
    api.answer = refuse_first_token()
    for _ in range(3):
        caller.call("GET", f"{api.origin}/v1/orders")

    assert 4 == len(api.tokens)
    assert 2 == len({*api.tokens}) == count_exchanges(tenant)


def test_always_refused(caller: ApiCaller, api: ApiServer, tenant: Tenant) -> None:
    """An API that refuses every token costs one more exchange, and not one for each request."""
    api.answer = lambda request: ApiAnswer(401, body=b"who?")
    answers = [caller.call("GET", f"{api.origin}/v1/orders") for _ in range(5)]

    assert [(401, b"who?")] * 5 == [(answer.status, answer.body) for answer in answers]
    assert 6 == len(api.requests)
    assert 2 == count_exchanges(tenant)


@pytest.mark.parametrize(
    "challenge",
    ['Basic realm="proxy"', 'Bearer realm="api", error="insufficient_scope"'],
)
def test_other_challenges(
    caller: ApiCaller, api: ApiServer, tenant: Tenant, challenge: str
) -> None:
    """A 401 that another token cannot help is returned as it is."""
    api.answer = refuse(times=9, WWW_Authenticate=challenge)
    answer = caller.call("GET", f"{api.origin}/v1/orders")

    assert 401 == answer.status
    assert 1 == len(api.requests) == count_exchanges(tenant)


def test_storm(caller: ApiCaller, api: ApiServer, tenant: Tenant) -> None:
    """Of many requests that are refused at once, one exchanges for all."""
    caller.call("GET", f"{api.origin}/v1/orders")
    (first,) = api.tokens
    # Nobody is answered before all have sent the old token.
    gathered = threading.Barrier(20)

    def answer(request: ApiRequest) -> ApiAnswer:
        if request.token != first:
            return ApiAnswer()
        gathered.wait(20)
        return ApiAnswer(401)

    api.answer = answer
    answers = caller.call_at_once([f"{api.origin}/v1/{n}" for n in range(20)])

    assert [200] * 20 == [answer.status for answer in answers]
    assert 2 == len({*api.tokens}) == count_exchanges(tenant)


def test_crowd_at_start(caller: ApiCaller, api: ApiServer, tenant: Tenant) -> None:
    """Of many requests that need the first token, one exchanges for all."""
    caller.call_at_once([f"{api.origin}/v1/{n}" for n in range(20)])

    assert 1 == len({*api.tokens}) == count_exchanges(tenant)


def test_cached_token(
    new_caller: Callable[..., Any], api: ApiServer, tenant: Tenant
) -> None:
    """A refused token is not taken from the client's cache again."""
    caller = new_caller(token_cache=MemoryTokenCache())
    options = make_options(tenant)
    caller.auth = for_exchange(caller, options, api)
    api.answer = refuse_first_token()
    answer = caller.call("GET", f"{api.origin}/v1/orders")
    # Another object finds the token that the first one got.
    caller.auth = for_exchange(caller, options, api)
    caller.call("GET", f"{api.origin}/v1/orders")

    assert 200 == answer.status
    assert api.tokens[1] == api.tokens[2]
    assert 2 == count_exchanges(tenant)


def test_file(
    caller: ApiCaller, api: ApiServer, tmp_path: Path, tenant: Tenant
) -> None:
    """A file is sent again from where it began."""
    path = tmp_path / "upload"
    path.write_bytes(b"skipped" + b"x" * 300_000)
    api.answer = refuse_first_token()
    with path.open("rb") as file:
        file.seek(7)
        answer = caller.call("PUT", f"{api.origin}/v1/files", data=file)

    assert 200 == answer.status
    assert [b"x" * 300_000] * 2 == [request.body for request in api.requests]
    assert 2 == count_exchanges(tenant)


def test_bytes_in_memory(caller: ApiCaller, api: ApiServer) -> None:
    """So is a buffer."""
    api.answer = refuse_first_token()
    caller.call("PUT", f"{api.origin}/v1/files", data=io.BytesIO(b"in memory"))

    assert [b"in memory"] * 2 == [request.body for request in api.requests]


def test_generator(caller: ApiCaller, api: ApiServer, tenant: Tenant) -> None:
    """A body that can be sent once is sent once; the next request has the new token."""
    api.answer = refuse_first_token()
    body = caller.stream([b"one", b"two"])
    answer = caller.call("POST", f"{api.origin}/v1/files", data=body)
    after = caller.call("GET", f"{api.origin}/v1/files")

    assert [401, 200] == [answer.status, after.status]
    assert [b"onetwo", b""] == [request.body for request in api.requests]
    assert 2 == count_exchanges(tenant)


def test_answer_before_the_body(
    caller: ApiCaller, api: ApiServer, tmp_path: Path
) -> None:
    """An API may refuse a token before it has read the upload."""
    path = tmp_path / "upload"
    path.write_bytes(b"x" * 200_000)

    def answer(request: ApiRequest) -> ApiAnswer:
        is_first = not api.requests
        return ApiAnswer(401 if is_first else 200, reads_body=not is_first)

    api.answer = answer
    with path.open("rb") as file:
        try:
            answer_ = caller.call("PUT", f"{api.origin}/v1/files", data=file)
        except OSError:
            # The connection was reset under the upload: nothing is known of a 401.
            return

    assert 200 == answer_.status
    assert b"x" * 200_000 == api.requests[-1].body


def test_long_refusal(caller: ApiCaller, api: ApiServer) -> None:
    """A 401 with a long body is left unread, and the request goes by another connection."""
    refused = refuse_first_token()

    def answer(request: ApiRequest) -> ApiAnswer:
        status = refused(request).status
        return ApiAnswer(status, body=b"x" * 5_000_000 if status == 401 else b"ok")

    api.answer = answer
    answers = [caller.call("GET", f"{api.origin}/v1/orders") for _ in range(2)]

    assert [b"ok", b"ok"] == [answer.body for answer in answers]


def test_exchange_fails(caller: ApiCaller, api: ApiServer, tenant: Tenant) -> None:
    """If the exchange after a 401 fails, the caller gets its error."""
    from auth0_tx import RefusedError

    caller.call("GET", f"{api.origin}/v1/orders")
    api.answer = lambda request: ApiAnswer(401)
    tenant.profiles.remove(TYPE)
    with pytest.raises(RefusedError):
        caller.call("GET", f"{api.origin}/v1/orders")
    api.answer = lambda request: ApiAnswer()

    assert 200 == caller.call("GET", f"{api.origin}/v1/orders").status
