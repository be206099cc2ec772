"""``/v2/logout``: where a browser may be sent, and what it sees otherwise."""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPSConnection
from urllib.parse import urlencode

import pytest

from auth0_tx.tenant import Application, Reply, Settings, Tenant
from tests.tenant.tenant_caller import Caller

HOME = "http://127.0.0.1:5000/bye"


def log_out(caller: Caller, **query: str) -> Reply:
    """Log out with the parameters of ``query``."""
    return caller.get("/v2/logout", urlencode(query))


def allow(caller: Caller, *urls: str) -> str:
    """Allow the default application to return to ``urls`` and return its client_id."""
    client_id = caller.tenant.client_id
    caller.tenant.applications.change(client_id, allowed_logout_urls=urls)
    return client_id


def read_location(reply: Reply) -> str | None:
    """Return where ``reply`` redirects to."""
    assert (reply.status == 302) == ("Location" in dict(reply.headers))
    return dict(reply.headers).get("Location")


def test_return(caller: Caller) -> None:
    """A browser is sent to an URL that its application allows."""
    client_id = allow(caller, "https://other.example/", HOME)

    assert HOME == read_location(log_out(caller, client_id=client_id, returnTo=HOME))
    assert ("slo", client_id) == (
        caller.tenant.logs[-1].type,
        caller.tenant.logs[-1].client_id,
    )


def test_first_url_is_the_default(caller: Caller) -> None:
    """Without returnTo a browser is sent to the first URL allowed."""
    client_id = allow(caller, HOME, "https://other.example/")

    assert HOME == read_location(log_out(caller, client_id=client_id))


def test_plain_page(caller: Caller) -> None:
    """Where there is nowhere to go, there is a plain page."""
    replies = [log_out(caller), log_out(caller, client_id=allow(caller))]

    assert {(200, b"OK")} == {(reply.status, reply.body) for reply in replies}


@pytest.mark.parametrize(
    "return_to",
    [
        "http://127.0.0.1:5000/bye?next=%2Fa&b=c#top",
        "HTTP://127.0.0.1:5000/bye",
    ],
)
def test_what_does_not_count(caller: Caller, return_to: str) -> None:
    """Neither the query, the fragment nor the case of the scheme is compared."""
    client_id = allow(caller, HOME)

    assert return_to == read_location(
        log_out(caller, client_id=client_id, returnTo=return_to)
    )


@pytest.mark.parametrize(
    "return_to",
    [
        "http://127.0.0.1:5000/Bye",
        "http://127.0.0.1:5000/bye/",
        "http://127.0.0.1:5000",
        "http://127.0.0.1:5001/bye",
        "https://127.0.0.1:5000/bye",
        "http://user@127.0.0.1:5000/bye",
        "http://127.0.0.1:5000@evil.example/bye",
        "//127.0.0.1:5000/bye",
        "/bye",
        "http://127.0.0.1:5000/bye\r\nSet-Cookie: a=b",
        "http://127.0.0.1:5000/bye?<script>é",
        "http://[::1/bye",
        "javascript:alert(1)",
    ],
)
def test_not_allowed(caller: Caller, return_to: str) -> None:
    """An URL not allowed is refused with 400, as plain text, and goes nowhere."""
    client_id = allow(caller, HOME)
    reply = log_out(caller, client_id=client_id, returnTo=return_to)

    assert 400 == reply.status
    assert (("Content-Type", "text/plain; charset=utf-8"),) == reply.headers
    assert reply.body.decode() == (
        f'invalid_request: The "returnTo" querystring parameter "{return_to}" is not '
        'defined as a valid URL in "Allowed Logout URLs".'
    )
    assert "flo" == caller.tenant.logs[-1].type


@pytest.mark.parametrize(
    ("return_to", "status"),
    [
        ("https://a.acme.example/x", 302),
        ("https://A-b.ACME.example/x", 302),
        ("https://acme.example/x", 400),
        ("https://a.b.acme.example/x", 400),
        ("https://evil.example/.acme.example/x", 400),
        ("https://a.acmeXexample/x", 400),
    ],
)
def test_wildcard(caller: Caller, return_to: str, status: int) -> None:
    """An asterisk stands for one subdomain."""
    client_id = allow(caller, "https://*.acme.example/x")

    assert status == log_out(caller, client_id=client_id, returnTo=return_to).status


def test_unknown_client(caller: Caller) -> None:
    """An application that there is not is refused."""
    assert 400 == log_out(caller, client_id="nobody").status


def test_applications_have_their_own(caller: Caller) -> None:
    """One application may not return to where another may."""
    allow(caller, HOME)
    caller.tenant.applications.add(Application("other", "secret"))

    assert 400 == log_out(caller, client_id="other", returnTo=HOME).status
    assert 400 == log_out(caller, returnTo=HOME).status


def test_tenant_has_its_own(new_tenant: Callable[..., Tenant]) -> None:
    """A logout without an application may return to where the tenant says."""
    caller = Caller(new_tenant(settings=Settings(allowed_logout_urls=[HOME])))

    assert HOME == read_location(log_out(caller, returnTo=HOME, federated=""))
    assert 200 == log_out(caller).status
    assert (
        400 == log_out(caller, returnTo=HOME, client_id=caller.tenant.client_id).status
    )


def test_urls_that_cannot_be() -> None:
    """An allowed URL has its scheme, and there are several."""
    with pytest.raises(ValueError, match="scheme"):
        Application("a", "s", allowed_logout_urls=["*.example.com"])
    with pytest.raises(TypeError, match="several strings"):
        Application("a", "s", allowed_logout_urls=HOME)


def test_over_the_wire(served: Tenant, connect: Callable[..., HTTPSConnection]) -> None:
    """A browser's redirect, on a socket; the logout is recorded."""
    client_id = allow(Caller(served), HOME)
    query = urlencode({"client_id": client_id, "returnTo": HOME})
    connection = connect()
    connection.request("GET", f"/v2/logout?{query}")
    response = connection.getresponse()

    assert (302, HOME, b"") == (
        response.status,
        response.getheader("Location"),
        response.read(),
    )
    assert (1, query) == (served.count("/v2/logout"), served.requests[-1].query)
    assert "slo" == served.logs[-1].type
