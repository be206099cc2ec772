"""URLs that a browser is sent to: Auth0's logout, and another application's login."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.wire.redirects import (
    build_logout_url,
    build_session_transfer_redirect,
    check_web_url,
    name_refusal,
    read_session_transfer,
    session_transfer_audience,
)
from auth0_tx.errors import (
    CustomTokenExchangeError,
    InvalidInputError,
    InvalidResponseError,
    RateLimitError,
    RefusedError,
)
from auth0_tx.session_values import SessionTransferToken
from auth0_tx.token_types import TokenType
from auth0_tx.values import TokenExchangeResponse
from tests.core.exposure import collect_texts

DOMAIN = "tenant.us.auth0.com"
NEEDLE = "needle-of-the-transfer.token/+"
TARGET = "https://target.example.com/initiate-login"
TOKEN = SessionTransferToken(
    session_transfer_token=NEEDLE,
    issued_token_type=TokenType.SESSION_TRANSFER_TOKEN,
    token_type="N_A",
    expires_in=60,
)


def build_response(**changes: Any) -> TokenExchangeResponse:
    """Return a response with a session transfer token, and with *changes*."""
    members = {
        "access_token": NEEDLE,
        "token_type": "N_A",
        "expires_in": 60,
        "issued_token_type": "urn:auth0:params:oauth:token-type:session_transfer_token",
        **changes,
    }
    return TokenExchangeResponse(**members)


def test_logout() -> None:
    """The browser is sent to the tenant's own endpoint, for this application."""
    expected = "https://tenant.us.auth0.com/v2/logout?client_id=the-client"

    assert expected == build_logout_url(DOMAIN, "the-client", None)


@pytest.mark.parametrize(
    ("domain", "start"),
    [
        ("localhost:3443", "https://localhost:3443/v2/logout?"),
        ("http://localhost:3080", "http://localhost:3080/v2/logout?"),
        ("[::1]:3443", "https://[::1]:3443/v2/logout?"),
    ],
)
def test_logout_domain(domain: str, start: str) -> None:
    """A tenant on this machine has the same endpoint."""
    assert build_logout_url(domain, "the-client", None).startswith(start)


@pytest.mark.parametrize(
    "return_to",
    [
        "https://app.example.com/",
        "https://app.example.com",
        "http://localhost:8000/bye?a=1&b=%20#top",
        "https://app.example.com:8443/?next=https://other.example.com/@x",
        "https://[2001:db8::1]:8443/",
    ],
)
def test_logout_return(return_to: str) -> None:
    """The URL to return to arrives unchanged."""
    url = build_logout_url(DOMAIN, "a client & more", return_to)

    assert [("client_id", "a client & more"), ("returnTo", return_to)] == parse_qsl(
        urlsplit(url).query
    )


OTHER_URLS = [
    "",
    " ",
    "/bye",
    "bye",
    "//app.example.com/",
    "https:",
    "https://",
    "https:///bye",
    "https:app.example.com",
    "ftp://app.example.com/",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://app.example.com@evil.example/",
    "https://user:password@app.example.com/",
    "https://@app.example.com/",
    "https://app.example.com\\@evil.example/",
    "https:\\\\app.example.com",
    "https://app.example.com/\\evil",
    "https://app.example.com/ x",
    " https://app.example.com/",
    "https://app.example.com/\r\nSet-Cookie: a=b",
    "https://app.example.com/\t",
    "https://app.example.com:0/",
    "https://app.example.com:99999/",
    "https://app.example.com:x/",
    "https://[::1",
    "https://[::1].evil.example/",
    "https://[::1]x:80/",
    "https://äpp.example.com/",
    "https://app&example.com/",
    "https://app.example.com/" + "x" * 4_096,
]


@pytest.mark.parametrize(
    "return_to", [*OTHER_URLS, 7, b"https://app.example.com/", ["x"]], ids=ascii
)
def test_logout_return_refused(return_to: Any) -> None:
    """Anything but a plain URL of the web is refused, and not quoted."""
    with pytest.raises(InvalidInputError, match=r"^invalid_argument: return_to must"):
        build_logout_url(DOMAIN, "the-client", return_to)


@given(st.text())
def test_any_web_url(text: str) -> None:
    """Any text is a URL of the web or breaks a rule, and nothing else is raised."""
    rule = check_web_url(text)

    assert rule is None or rule.startswith("must be an absolute URL")
    assert rule is not None or text.lower().startswith(("http://", "https://"))


@pytest.mark.parametrize(
    ("domain", "audience"),
    [
        ("tenant.us.auth0.com", "urn:tenant.us.auth0.com:session_transfer"),
        ("localhost:3443", "urn:localhost:3443:session_transfer"),
        ("http://localhost:3080", "urn:localhost:3080:session_transfer"),
    ],
)
def test_audience(domain: str, audience: str) -> None:
    """The audience names the tenant's domain, without a scheme."""
    assert audience == session_transfer_audience(domain)


def test_token() -> None:
    """The response's access token is the session transfer token."""
    assert TOKEN == read_session_transfer(build_response())


def test_scope_and_lifetime() -> None:
    """The granted scope and lifetime come along, if the server states them."""
    token = read_session_transfer(build_response(scope="openid", expires_in=None))

    assert isinstance(token, SessionTransferToken)
    assert ("openid", None) == (token.scope, token.expires_in)


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "urn:ietf:params:oauth:token-type:access_token",
        "urn:auth0:params:oauth:token-type:session_transfer_token ",
        "URN:auth0:params:oauth:token-type:session_transfer_token",
    ],
)
def test_other_token(kind: str | None) -> None:
    """A token of any other type is not passed off as one that logs in once."""
    error = read_session_transfer(build_response(issued_token_type=kind))

    assert isinstance(error, InvalidResponseError)
    assert error.tokens_issued
    assert NEEDLE not in collect_texts(error)


def build_refusal(message: str, code: str = "invalid_request") -> RefusedError:
    """Return a refusal that Auth0 has described with *message*."""
    return RefusedError(message, code, 400)


def test_no_actor_set() -> None:
    """A profile whose Action sets no actor gets a code of its own, and a hint."""
    named = name_refusal(
        build_refusal(
            "setActor is required when requesting a session transfer token via token "
            "exchange."
        )
    )

    assert "setactor_required" == named.code
    assert 400 == named.status
    assert named.hint is not None


def test_disabled() -> None:
    """A tenant that may not issue such tokens gets a code of its own."""
    named = name_refusal(
        build_refusal("Session Transfer Tokens cannot be requested on this tenant.")
    )

    assert "session_transfer_disabled" == named.code


@pytest.mark.parametrize(
    "error",
    [
        build_refusal("the subject_token is missing"),
        build_refusal("setActor is required", "setactor_required"),
        build_refusal("setActor is required", "access_denied"),
        build_refusal("a session transfer token is needed here"),
        RateLimitError("setActor is required", "too_many_requests", 429),
        InvalidResponseError("setActor is required", "invalid_request"),
    ],
    ids=repr,
)
def test_other_refusals(error: CustomTokenExchangeError) -> None:
    """A refusal that has a code of its own, or another reason, stays as it is."""
    assert error is name_refusal(error)


def build(url: str, **keywords: Any) -> str:
    """Build a redirect to *url*; return it as plain text."""
    return str(build_session_transfer_redirect(url, TOKEN, **keywords))


def parse_query(url: str) -> list[tuple[str, str]]:
    """Return the parameters of *url*, those without a value too."""
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


def test_redirect() -> None:
    """The token arrives unchanged, at the URL that was named."""
    url = build(TARGET)

    assert url.startswith(f"{TARGET}?session_transfer_token=")
    assert [("session_transfer_token", NEEDLE)] == parse_query(url)


def test_organization() -> None:
    """The organization goes along if there is one."""
    assert [("session_transfer_token", NEEDLE), ("organization", "org_a b&c")] == (
        parse_query(build(TARGET, organization="org_a b&c"))
    )


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("?a=1", [("a", "1")]),
        ("?a=%20%26&b", [("a", " &"), ("b", "")]),
        ("?", []),
        ("?a=1&", [("a", "1")]),
        ("?next=https://x.example.com/?y=1", [("next", "https://x.example.com/?y=1")]),
        ("?my_session_transfer_token=1", [("my_session_transfer_token", "1")]),
        ("?a=session_transfer_token=1", [("a", "session_transfer_token=1")]),
        ("?organization=org_b", [("organization", "org_b")]),
    ],
)
def test_query_kept(query: str, kept: list[tuple[str, str]]) -> None:
    """The URL's own parameters stay as they are."""
    url = build(TARGET + query)

    assert url.startswith(TARGET + query)
    assert [*kept, ("session_transfer_token", NEEDLE)] == parse_query(url)


@pytest.mark.parametrize(
    "target",
    [
        "https://target.example.com",
        "https://target.example.com:8443/login",
        "HTTPS://target.example.com/",
        "http://localhost:8000/login",
        "http://127.0.0.1/login",
        "http://[::1]:8000/login",
    ],
)
def test_targets(target: str) -> None:
    """A target is reached over https, or over http on this machine."""
    assert build(target).startswith(target)


@pytest.mark.parametrize(
    "target",
    [
        None,
        7,
        b"https://target.example.com/",
        "",
        "/login",
        "//target.example.com/login",
        "http://target.example.com/",
        "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://[::1].evil.example/",
        "http://0.0.0.0/",
        "http://127.1/",
        "ftp://localhost/",
        "javascript:alert(1)",
        "https://target.example.com@evil.example/",
        "http://localhost@evil.example/",
        "http://localhost\\@evil.example/",
        "https://target.example.com/#top",
        "https://target.example.com/#",
        "https://target.example.com/?a=1#session_transfer_token=",
        "https://target.example.com/ x",
        "https://target.example.com/\r\nLocation: https://evil.example",
        "https://target.example.com/?session_transfer_token=1",
        "https://target.example.com/?a=1&session_transfer_token",
        "https://target.example.com/?session%5Ftransfer%5Ftoken=1",
        "https://target.example.com/?" + "x" * 4_096,
    ],
    ids=repr,
)
def test_other_targets(target: Any) -> None:
    """A URL whose host is not plainly the intended one is refused."""
    with pytest.raises(InvalidInputError, match="target_login_url must") as refused:
        build_session_transfer_redirect(target, TOKEN)

    assert "target_login_url" == refused.value.parameter
    assert NEEDLE not in collect_texts(refused.value)


def test_two_organizations() -> None:
    """An organization that the URL names already is not named once more."""
    with pytest.raises(InvalidInputError, match="parameter organization already"):
        build(f"{TARGET}?organization=org_b", organization="org_a")


@pytest.mark.parametrize("token", [None, NEEDLE, build_response()], ids=type)
def test_other_tokens(token: Any) -> None:
    """Only a session transfer token is handed on."""
    with pytest.raises(InvalidInputError, match=r"^invalid_argument: token must be"):
        build_session_transfer_redirect(TARGET, token)


@pytest.mark.parametrize("organization", ["", " ", "org\n", 7, "ü"], ids=repr)
def test_other_organizations(organization: Any) -> None:
    """An organization is plain text."""
    with pytest.raises(
        InvalidInputError, match=r"^invalid_argument: organization must"
    ):
        build(TARGET, organization=organization)


def test_prints_no_token() -> None:
    """Neither the URL nor the value prints the token."""
    shown = repr(build_session_transfer_redirect(TARGET, TOKEN)) + repr(TOKEN)

    assert "needle" not in shown


@given(st.text(), st.text(min_size=1))
def test_any_text(rest: str, organization: str) -> None:
    """Whatever is behind the host, the token arrives once, or nothing is built."""
    try:
        url = build(f"https://target.example.com{rest}", organization=organization)
    except InvalidInputError:
        return
    arrived = parse_query(url)

    assert 1 == arrived.count(("session_transfer_token", NEEDLE))
    assert 1 == [name for name, _ in arrived].count("session_transfer_token")
    assert ("organization", organization) == arrived[-1]
