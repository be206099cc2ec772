"""Session transfer tokens: how they are asked for, taken, refused, and handed on."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from exposure import exposed
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.wire.redirects import (
    build_session_transfer_redirect,
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
from auth0_tx.token_types import TokenType
from auth0_tx.values import SessionTransferToken, TokenExchangeResponse

NEEDLE = "needle-of-the-transfer.token/+"
TARGET = "https://target.example.com/initiate-login"
TOKEN = SessionTransferToken(
    session_transfer_token=NEEDLE,
    issued_token_type=TokenType.SESSION_TRANSFER_TOKEN,
    token_type="N_A",
    expires_in=60,
)


def response(**members: Any) -> TokenExchangeResponse:
    """Give an answer with a session transfer token in it, with *members* set."""
    given = {
        "access_token": NEEDLE,
        "token_type": "N_A",
        "expires_in": 60,
        "issued_token_type": "urn:auth0:params:oauth:token-type:session_transfer_token",
        **members,
    }
    return TokenExchangeResponse(**given)


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


def test_taken() -> None:
    """The token is taken out of the answer's access token, and is called what it is."""
    assert TOKEN == read_session_transfer(response())


def test_scope_taken() -> None:
    """What scope was granted, and for how long, is kept where the server said it."""
    taken = read_session_transfer(response(scope="openid", expires_in=None))

    assert isinstance(taken, SessionTransferToken)
    assert ("openid", None) == (taken.scope, taken.expires_in)


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
    refused = read_session_transfer(response(issued_token_type=kind))

    assert isinstance(refused, InvalidResponseError)
    assert refused.tokens_issued
    assert NEEDLE not in exposed(refused)


def refusal(message: str, code: str = "invalid_request") -> RefusedError:
    """Give Auth0's refusal in words."""
    return RefusedError(message, code, 400)


def test_no_actor_set() -> None:
    """An Action that sets no actor is named, with what to do about it."""
    named = name_refusal(
        refusal(
            "setActor is required when requesting a session transfer token via token "
            "exchange."
        )
    )

    assert "setactor_required" == named.code
    assert 400 == named.status
    assert named.hint is not None


def test_disabled() -> None:
    """A tenant that may not issue such tokens is named."""
    named = name_refusal(
        refusal("Session Transfer Tokens cannot be requested on this tenant.")
    )

    assert "session_transfer_disabled" == named.code


@pytest.mark.parametrize(
    "error",
    [
        refusal("the subject_token is missing"),
        refusal("setActor is required", "setactor_required"),
        refusal("setActor is required", "access_denied"),
        refusal("a session transfer token is needed here"),
        RateLimitError("setActor is required", "too_many_requests", 429),
        InvalidResponseError("setActor is required", "invalid_request"),
    ],
    ids=repr,
)
def test_other_refusals(error: CustomTokenExchangeError) -> None:
    """A refusal that has a code of its own, or another reason, stays as it is."""
    assert error is name_refusal(error)


def built(url: str, **keywords: Any) -> str:
    """Build a redirect to *url*; give it as plain text."""
    return str(build_session_transfer_redirect(url, TOKEN, **keywords))


def query_of(url: str) -> list[tuple[str, str]]:
    """Give the parameters of *url*, those without a value too."""
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


def test_redirect() -> None:
    """The token arrives as it is, at the URL that was named."""
    url = built(TARGET)

    assert url.startswith(f"{TARGET}?session_transfer_token=")
    assert [("session_transfer_token", NEEDLE)] == query_of(url)


def test_organization() -> None:
    """The organization goes along where there is one."""
    assert [("session_transfer_token", NEEDLE), ("organization", "org_a b&c")] == (
        query_of(built(TARGET, organization="org_a b&c"))
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
    """What the URL asks for already is kept as it is."""
    url = built(TARGET + query)

    assert url.startswith(TARGET + query)
    assert [*kept, ("session_transfer_token", NEEDLE)] == query_of(url)


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
    assert built(target).startswith(target)


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
    """A token that logs in goes to no place that was not plainly meant."""
    with pytest.raises(InvalidInputError, match="target_login_url must") as refused:
        build_session_transfer_redirect(target, TOKEN)

    assert "target_login_url" == refused.value.parameter
    assert NEEDLE not in exposed(refused.value)


def test_two_organizations() -> None:
    """An organization that the URL names already is not named once more."""
    with pytest.raises(InvalidInputError, match="parameter organization already"):
        built(f"{TARGET}?organization=org_b", organization="org_a")


@pytest.mark.parametrize("token", [None, NEEDLE, response()], ids=type)
def test_other_tokens(token: Any) -> None:
    """Only what was taken for a session transfer token is handed on."""
    with pytest.raises(InvalidInputError, match=r"^invalid_argument: token must be"):
        build_session_transfer_redirect(TARGET, token)


@pytest.mark.parametrize("organization", ["", " ", "org\n", 7, "ü"], ids=repr)
def test_other_organizations(organization: Any) -> None:
    """An organization is a plain text."""
    with pytest.raises(
        InvalidInputError, match=r"^invalid_argument: organization must"
    ):
        built(TARGET, organization=organization)


def test_prints_no_token() -> None:
    """Neither the URL nor the value shows the token to whoever prints it."""
    shown = repr(build_session_transfer_redirect(TARGET, TOKEN)) + repr(TOKEN)

    assert "needle" not in shown


@given(st.text(), st.text(min_size=1))
def test_any_text(rest: str, organization: str) -> None:
    """Whatever is behind the host, the token arrives once, or nothing is built."""
    try:
        url = built(f"https://target.example.com{rest}", organization=organization)
    except InvalidInputError:
        return
    arrived = query_of(url)

    assert 1 == arrived.count(("session_transfer_token", NEEDLE))
    assert 1 == [name for name, _ in arrived].count("session_transfer_token")
    assert ("organization", organization) == arrived[-1]
