"""The token goes to the API below its base URL, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from auth0_tx.tenant import Tenant
from tests.e2e.calling.api_server import ApiAnswer, ApiRequest, ApiServer
from tests.e2e.calling.callers import ApiCaller
from tests.e2e.calling.conftest import count_exchanges, for_exchange, make_options


def redirect(to: str, status: int = 307) -> Callable[[ApiRequest], ApiAnswer]:
    """Redirect every request that did not ask for a path with ``here`` in it."""
    return lambda request: (
        ApiAnswer() if "here" in request.path else ApiAnswer(status, {"Location": to})
    )


def test_one_exchange_for_many_requests(
    caller: ApiCaller, api: ApiServer, tenant: Tenant
) -> None:
    """Each request carries the token of one exchange."""
    answers = [caller.call("GET", f"{api.origin}/v1/orders") for _ in range(3)]

    (token,) = {*api.tokens}
    assert [200] * 3 == [answer.status for answer in answers]
    assert token is not None
    assert 1 == count_exchanges(tenant)


def test_header(caller: ApiCaller, api: ApiServer) -> None:
    """A header of the application's own gives way, as with any auth object."""
    caller.call("GET", f"{api.origin}/v1", headers={"Authorization": "Basic eDp5"})

    assert None not in api.tokens


@pytest.mark.parametrize("path", ["/", "/v1evil", "/v2/v1/orders", "/v1/%2e%2e/admin"])
def test_other_paths(
    caller: ApiCaller, api: ApiServer, tenant: Tenant, path: str
) -> None:
    """A request for another path of the same host carries no token, and costs no exchange."""
    caller.call("GET", f"{api.origin}{path}")

    assert [None] == api.tokens
    assert 0 == count_exchanges(tenant)


def test_other_server(
    caller: ApiCaller, api: ApiServer, elsewhere: ApiServer, tenant: Tenant
) -> None:
    """A request to another server carries none either."""
    caller.call("GET", f"{elsewhere.origin}/v1/orders")

    assert [None] == elsewhere.tokens
    assert 0 == count_exchanges(tenant)


def test_redirect_within_the_api(caller: ApiCaller, api: ApiServer) -> None:
    """A redirect to another path of the API carries the token."""
    api.answer = redirect("/v1/here")
    answer = caller.call("POST", f"{api.origin}/v1/orders", data=b"body")

    first, second = api.requests
    assert (200, "/v1/here", b"body") == (answer.status, second.path, second.body)
    assert first.token == second.token is not None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_out_of_the_path(
    caller: ApiCaller, api: ApiServer, status: int
) -> None:
    """A redirect to another path of the host, which may be another API, loses the token."""
    api.answer = redirect("/admin/here", status)
    caller.call("GET", f"{api.origin}/v1/orders")

    assert ["/v1/orders", "/admin/here"] == api.paths
    assert [False, True] == [token is None for token in api.tokens]


@pytest.mark.parametrize("target", ["/v1/../admin/here", "/v1/%2e%2e/admin/here"])
def test_redirect_up(caller: ApiCaller, api: ApiServer, target: str) -> None:
    """A redirect that leads up and out of the path loses the token, however it is spelt."""
    api.answer = redirect(target)
    caller.call("GET", f"{api.origin}/v1/orders")

    assert [False, True] == [token is None for token in api.tokens]


def test_redirect_elsewhere_and_back(
    caller: ApiCaller, api: ApiServer, elsewhere: ApiServer
) -> None:
    """Another server never gets the token."""
    api.answer = redirect(f"{elsewhere.origin}/v1/back")
    elsewhere.answer = redirect(f"{api.origin}/v1/here")
    caller.call("GET", f"{api.origin}/v1/orders")

    assert ["/v1/orders", "/v1/here"] == api.paths
    assert api.tokens[0] is not None
    assert [None] == elsewhere.tokens


def test_redirect_to_plain_http(
    caller: ApiCaller, api: ApiServer, new_api: Callable[..., ApiServer]
) -> None:
    """A redirect that leaves TLS loses the token."""
    plain = new_api(tls=False)
    api.answer = redirect(f"{plain.origin}/v1/here")
    caller.call("GET", f"{api.origin}/v1/orders")

    assert [None] == plain.tokens


def test_answers_of_others(
    caller: ApiCaller, api: ApiServer, elsewhere: ApiServer, tenant: Tenant
) -> None:
    """A 401 of another server that the API redirects to does not cost an exchange."""
    api.answer = redirect(f"{elsewhere.origin}/v1/orders")
    elsewhere.answer = lambda request: ApiAnswer(401)
    answer = caller.call("GET", f"{api.origin}/v1/orders")

    assert 401 == answer.status
    assert [None] == elsewhere.tokens
    assert 1 == count_exchanges(tenant)


def test_http_on_this_machine(
    new_caller: Callable[..., Any],
    new_api: Callable[..., ApiServer],
    tenant: Tenant,
) -> None:
    """An API of the developer's own machine may be called without TLS."""
    caller, plain = new_caller(), new_api(tls=False)
    caller.auth = for_exchange(caller, make_options(tenant), plain)
    caller.call("GET", f"{plain.origin}/v1/orders")

    assert None not in plain.tokens
