"""What the token endpoint's answers mean, and which of them mean nothing."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import attrs
import pytest
from exposure import exposed
from hypothesis import given
from hypothesis import strategies as st
from world import NOW, SECRETS, TOKENS, answer, refusal

from auth0_tx.core.effects import Response
from auth0_tx.core.wire.replies import TokenRequestInfo, read_token_response
from auth0_tx.errors import (
    AmbiguousError,
    BlockedError,
    CustomTokenExchangeError,
    InvalidResponseError,
    MfaRequiredError,
    RateLimitError,
    RefusedError,
)
from auth0_tx.errors import CustomTokenExchangeErrorCode as Code
from auth0_tx.secret import SecretStr
from auth0_tx.token_types import TokenType
from auth0_tx.values import TokenExchangeResponse

ASKED = TokenRequestInfo(
    "openid read:data",
    "urn:acme:legacy-token",
    secrets=[
        SECRETS["subject_token"],
        SECRETS["actor_token"],
        SECRETS["client_secret"],
    ],
)
REUSABLE = attrs.evolve(ASKED, reusable=True)
TOKEN = SECRETS["access_token"]


def read(response: Response, asked: TokenRequestInfo = ASKED) -> TokenExchangeResponse:
    """Read an answer that holds."""
    result = read_token_response(response, asked, NOW)
    assert isinstance(result, TokenExchangeResponse), result
    return result


def failure(
    response: Response, asked: TokenRequestInfo = ASKED
) -> CustomTokenExchangeError:
    """Read an answer that does not."""
    result = read_token_response(response, asked, NOW)
    assert isinstance(result, CustomTokenExchangeError), result
    return result


def test_tokens() -> None:
    """Every member of a token response has its place."""
    response = read(
        answer(
            {
                **TOKENS,
                "scope": "openid",
                "id_token": "a.b.c",
                "refresh_token": SECRETS["refresh_token"],
                "more": {"of": ["this"]},
            }
        )
    )

    assert (
        TokenExchangeResponse(
            access_token=TOKEN,
            token_type="Bearer",
            expires_in=86_400,
            scope="openid",
            issued_token_type=TokenType.ACCESS_TOKEN,
            id_token="a.b.c",
            refresh_token=SECRETS["refresh_token"],
        )
        == response
    )


def test_least_tokens() -> None:
    """A token and its type are enough; the scope is then the one asked for."""
    response = read(answer({"access_token": TOKEN, "token_type": "bearer"}))

    assert (TOKEN, "bearer") == (response.access_token, response.token_type)
    assert "openid read:data" == response.scope
    assert (None, None, None, None) == (
        response.expires_in,
        response.issued_token_type,
        response.id_token,
        response.refresh_token,
    )


def test_null_is_absent() -> None:
    """A member that is null is a member that is not there."""
    names = ("expires_in", "scope", "issued_token_type", "id_token", "refresh_token")
    response = read(answer({**TOKENS, **dict.fromkeys(names)}))

    assert "openid read:data" == response.scope
    assert (None, None) == (response.expires_in, response.id_token)


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
def test_bearer(kind: str) -> None:
    """A token type is read in any case (RFC 6749 section 5.1)."""
    assert kind == read(answer({**TOKENS, "token_type": kind})).token_type


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        " application/json ",
    ],
)
def test_media_type(media_type: str) -> None:
    """JSON may name its character set."""
    assert TOKEN == read(answer(content_type=media_type)).access_token


def test_identity_encoding() -> None:
    """A body that says it is not compressed is read."""
    assert TOKEN == read(answer(content_encoding=" Identity ")).access_token


def test_session_transfer_token() -> None:
    """A token that is no access token says N_A, and what it is (RFC 8693 section 2.2.1)."""
    kind = TokenType.SESSION_TRANSFER_TOKEN
    members = {**TOKENS, "token_type": "N_A", "issued_token_type": kind}

    assert ("N_A", kind) == (
        read(answer(members)).token_type,
        read(answer(members)).issued_token_type,
    )


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (1, 1),
        (2**31 - 1, 2**31 - 1),
        ("3600", 3600),
        ("0060", 60),
        ("2147483647", 2**31 - 1),
    ],
)
def test_lifetime(given: Any, seconds: int) -> None:
    """A lifetime is a whole number of seconds, in quotes or without."""
    assert seconds == read(answer({**TOKENS, "expires_in": given})).expires_in


LIFETIMES = [
    -5,
    0,
    True,
    False,
    3600.5,
    1e30,
    2**31,
    "",
    "-1",
    "1.5",
    " 1",
    "٣",
    "9" * 11,
]
MEMBERS: dict[str, list[Any]] = {
    "access_token": [
        None,
        "",
        " ",
        "a b",
        "a\r\nb",
        "a\x00",
        "tökén",
        1,
        ["a"],
        {"a": 1},
        True,
    ],
    "token_type": [None, 1, "mac", "DPoP", "", "N_A", ["Bearer"], "Bearer "],
    "expires_in": [*LIFETIMES, [3600], {"s": 1}],
    "id_token": [1, "", "a b", ["a"], "a\n"],
    "refresh_token": [{"a": 1}, "", " ", "ü", False],
    "scope": [["a"], 1, "a\nb", "\u202e", {"a": 1}],
    "issued_token_type": [1, ["urn"], "urn:\x00"],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in MEMBERS.items() for value in values],
    ids=repr,
)
def test_bad_member(name: str, value: Any) -> None:
    """A member that is not what it must be spoils the answer, whose tokens may exist."""
    error = failure(answer({**TOKENS, name: value}))

    assert isinstance(error, InvalidResponseError)
    assert (Code.INVALID_RESPONSE, 200, True, False, "reply") == (
        error.code,
        error.status,
        error.tokens_issued,
        error.retry_safe,
        error.phase,
    )
    assert error.message.startswith(name)


@pytest.mark.parametrize("name", ["access_token", "token_type"])
def test_missing_member(name: str) -> None:
    """An answer without a token, or without its type, is no token response."""
    members = {key: value for key, value in TOKENS.items() if key != name}

    assert f"{name} is missing" in failure(answer(members)).message


def body(text: str) -> bytes:
    """Give a body in which *text* is the value of an extra member."""
    return f'{{"access_token":"{TOKEN}","token_type":"Bearer","x":{text}}}'.encode()


NOT_JSON = {
    "empty": b"",
    "html": b"<!doctype html><title>hello</title>",
    "truncated": body("1")[:-3],
    "invalid-utf8": body('"\xff"').replace(b"\xc3\xbf", b"\xff"),
    "utf16": body("1").decode().encode("utf-16"),
    "utf32": body("1").decode().encode("utf-32-le"),
    "bom": b"\xef\xbb\xbf" + body("1"),
    "duplicate": body('1,"access_token":"other"'),
    "nested-duplicate": body('{"a":1,"a":2}'),
    "nan": body("NaN"),
    "infinity": body("-Infinity"),
    "1e400": body("1e400"),
    "deep": body("[" * 100_000 + "]" * 100_000),
    "long-integer": body("9" * 5_000),
    "lone-surrogate": body('"\\ud800"'),
    "trailing": body("1") + b"x",
    "single-quotes": b"{'access_token': 'x'}",
}
NOT_OBJECTS = [b"[]", b"null", b'"text"', b"5", b"true"]


@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_not_json(content: bytes) -> None:
    """What two parsers could read in two ways is not read at all."""
    error = failure(answer(content))

    assert isinstance(error, InvalidResponseError)
    assert "the body is not JSON" in error.message
    assert TOKEN not in str(error)


@pytest.mark.parametrize("content", NOT_OBJECTS)
def test_not_an_object(content: bytes) -> None:
    """A token response is an object."""
    assert "not a JSON object" in failure(answer(content)).message


@pytest.mark.parametrize(
    ("media_type", "said"),
    [
        ("text/html", "text/html, not application/json"),
        ("application/problem+json", "application/problem+json, not"),
        ("text/secret-of-the-server", "the media type is not application/json"),
        ("", "missing"),
    ],
)
def test_other_media_type(media_type: str, said: str) -> None:
    """Tokens that come as something else than JSON are not taken, nor the type repeated."""
    error = failure(answer(content_type=media_type))

    assert said in error.message
    assert "secret" not in str(error)


def test_no_media_type() -> None:
    """An answer that does not say what it is is not taken."""
    assert "missing" in failure(Response(200, [], b"{}")).message


@pytest.mark.parametrize("status", [201, 202, 204, 206])
def test_other_success(status: int) -> None:
    """Tokens come with 200 and no other status, and may have been issued all the same."""
    error = failure(answer(status=status))

    assert isinstance(error, InvalidResponseError)
    assert (status, True) == (error.status, error.tokens_issued)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_redirect(status: int) -> None:
    """A redirect is refused; nothing was issued, and asking again leads to the same."""
    error = failure(
        answer(status=status, location="https://evil.example.com"), REUSABLE
    )

    assert isinstance(error, InvalidResponseError)
    assert "redirect" in error.message
    assert (False, False) == (error.tokens_issued, error.retry_safe)
    assert "evil" not in str(error)


@pytest.mark.parametrize(
    "encoding", ["gzip", "br", "deflate", "zstd", "identity, gzip"]
)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_compressed(status: int, encoding: str) -> None:
    """A body that is compressed, though none may be, is not inflated."""
    error = failure(answer(status=status, content_encoding=encoding))

    assert "compressed" in error.message


def test_oversized() -> None:
    """A body that passed the limit is not read."""
    error = failure(attrs.evolve(answer(), oversized=True))

    assert "larger than any token response" in error.message


@pytest.mark.parametrize("reusable", [False, True])
def test_broken_success_of_a_reusable_token(reusable: bool) -> None:
    """A broken 200 spent its token, unless the token may be spent twice."""
    error = failure(answer(b""), attrs.evolve(ASKED, reusable=reusable))

    assert reusable is error.retry_safe


def test_error_in_a_success() -> None:
    """A 200 that says error, and brings no token, is a refusal."""
    error = failure(answer({"error": "access_denied", "error_description": "no"}))

    assert isinstance(error, RefusedError)
    assert ("access_denied", 200, False) == (
        error.code,
        error.status,
        error.tokens_issued,
    )


def test_token_beside_an_error() -> None:
    """A 200 with a token is a token response, whatever else it says."""
    assert TOKEN == read(answer({**TOKENS, "error": "x"})).access_token


REFUSALS: list[tuple[int, str, type[RefusedError], bool]] = [
    (400, "invalid_grant", RefusedError, False),
    (400, "invalid_request", RefusedError, False),
    (400, "use_dpop_nonce", RefusedError, False),
    (401, "invalid_client", RefusedError, False),
    (401, "access_denied", RefusedError, False),
    (403, "access_denied", RefusedError, False),
    (403, "unauthorized_client", RefusedError, False),
    (403, "mfa_required", MfaRequiredError, False),
    (401, "mfa_required", MfaRequiredError, False),
    (408, "timeout", RefusedError, True),
    (425, "too_early", RefusedError, True),
    (429, "too_many_requests", RateLimitError, True),
    (429, "Rate limit reached", RateLimitError, True),
    (429, "access_denied", RateLimitError, True),
    (429, "too_many_attempts", BlockedError, False),
    (403, "too_many_attempts", BlockedError, False),
    (500, "server_error", RefusedError, False),
    (500, "mfa_required", RefusedError, False),
    (503, "temporarily_unavailable", RefusedError, False),
    (400, "my_own code: #7", RefusedError, False),
    (400, "x" * 1_024, RefusedError, False),
]


@pytest.mark.parametrize(("status", "code", "kind", "safe"), REFUSALS)
def test_refusal(status: int, code: str, kind: type[RefusedError], safe: bool) -> None:
    """A refusal keeps the server's code and words, and says what may be done."""
    error = failure(refusal(status, code, "The reason."))

    assert kind is type(error)
    assert (code, "The reason.", status) == (error.code, error.message, error.status)
    assert (safe, False, "reply") == (
        error.retry_safe,
        error.tokens_issued,
        error.phase,
    )


def test_server_error_of_a_reusable_token() -> None:
    """A server's failure is worth another try where the token may be used twice."""
    assert failure(refusal(500, "server_error"), REUSABLE).retry_safe
    assert not failure(refusal(400, "invalid_grant"), REUSABLE).retry_safe


@pytest.mark.parametrize("reusable", [False, True])
def test_global_limit(reusable: bool) -> None:
    """Auth0's global limit is a rate limit, though it comes as a 500 access_denied."""
    asked = attrs.evolve(ASKED, reusable=reusable)
    error = failure(
        refusal(500, "access_denied", "Global limit has been reached"), asked
    )

    assert isinstance(error, RateLimitError)
    assert ("access_denied", 500, reusable) == (
        error.code,
        error.status,
        error.retry_safe,
    )


def test_management_shape() -> None:
    """The Management API's shape has its code, and its words, elsewhere."""
    error = failure(
        answer(
            {
                "statusCode": 429,
                "error": "Too Many Requests",
                "message": "Global limit has been reached",
                "errorCode": "too_many_requests",
            },
            429,
        )
    )

    assert isinstance(error, RateLimitError)
    assert ("too_many_requests", "Global limit has been reached") == (
        error.code,
        error.message,
    )


@pytest.mark.parametrize(
    "code",
    [None, 1, ["a"], {"a": 1}, True, "", "x" * 10_240, "a\nb", "ü", 'a"b', "a\\b"],
)
def test_code_that_is_none(code: Any) -> None:
    """An error that is no code leaves a code of ours."""
    error = failure(answer({"error": code}, 400))

    assert Code.TOKEN_EXCHANGE_FAILED is error.code
    assert "the server gave no reason" == error.message
    assert Code.RATE_LIMITED is failure(answer({"error": code}, 429)).code


@pytest.mark.parametrize("code", list(Code), ids=str)
def test_code_of_ours(code: Code) -> None:
    """A server's code that is also one of ours is the member of the enum."""
    assert code is failure(refusal(400, str(code))).code


@pytest.mark.parametrize("description", [None, 5, ["a"], {"a": 1}, False])
def test_description_that_is_none(description: Any) -> None:
    """Words that are no text are not shown."""
    members = {"error": "x", "error_description": description}

    assert "the server gave no reason" == failure(answer(members, 400)).message


def test_description_is_cleaned() -> None:
    """Words are cut short, and what does not print becomes a space."""
    long = failure(refusal(400, "x", "a" * 10_000)).message
    dirty = failure(refusal(400, "x", "a\r\n\x1b[31m\u202eb\x00")).message

    assert "a" * 255 + "…" == long
    assert "a   [31m b " == dirty


@pytest.mark.parametrize("length", [255, 256])
def test_longest_description(length: int) -> None:
    """Words that fit are whole."""
    assert "a" * length == failure(refusal(400, "x", "a" * length)).message


@pytest.mark.parametrize("spell", [str, quote, quote_plus], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ["subject_token", "actor_token", "client_secret"])
@pytest.mark.parametrize("place", ["error", "error_description", "message", "header"])
def test_echo_is_scrubbed(place: str, name: str, spell: Any) -> None:
    """A secret that the server echoes is nowhere in the error."""
    echo = f"bad {spell(SECRETS[name])} given"
    members = {"error": "invalid_request", place: echo}
    error = failure(
        answer(members, 400, x_request_id=echo if place == "header" else "1")
    )

    assert spell(SECRETS[name]) not in exposed(error)
    if place in ("error_description", "message"):
        assert "bad <redacted> given" == error.message


def test_echo_across_the_cut() -> None:
    """A secret is scrubbed whole before the words are cut."""
    message = failure(refusal(400, "x", "a" * 250 + SECRETS["subject_token"])).message

    assert "needle" not in message


def test_secrets_that_share_a_beginning() -> None:
    """A secret that begins with another is scrubbed whole."""
    asked = TokenRequestInfo(secrets=["secret", "secret-and-more"])

    assert (
        "<redacted>!" == failure(refusal(400, "x", "secret-and-more!"), asked).message
    )


ASSERTION = "eyJhbGciOiJSUzI1NiJ9.eyJqdGkiOiJoaWRkZW4ifQ.c2lnbmF0dXJlLWhpZGRlbg"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (f"bad {ASSERTION} given", "bad <redacted> given"),
        (f"Unexpected token: {ASSERTION[:30]}...", "Unexpected token: <redacted>"),
        (f"'{ASSERTION}.and.more'", "'<redacted>'"),
        ("eyJ is how a JWT begins", "eyJ is how a JWT begins"),
    ],
)
def test_whatever_looks_like_a_token(words: str, shown: str) -> None:
    """A token, or half of one, is scrubbed though nobody knew it: an assertion, say."""
    error = failure(refusal(400, "invalid_client", words))

    assert shown == error.message
    assert "aGlkZGVu" not in exposed(error)


@pytest.mark.parametrize("place", ["error", "error_description", "header"])
def test_tokens_of_the_refusal_itself(place: str) -> None:
    """A token that a refusal hands out is not shown by its own words."""
    token = SECRETS["mfa_token"]
    echo = f"go on with {token}"
    members = {"error": "mfa_required", "mfa_token": token, place: echo}
    error = failure(
        answer(members, 403, x_request_id=echo if place == "header" else "1")
    )

    assert token not in str(error)
    assert [] == [arg for arg in error.args if isinstance(arg, str) and token in arg]


def test_short_words_are_not_scrubbed() -> None:
    """A secret so short that the server may say it by chance is left alone."""
    asked = TokenRequestInfo(secrets=["token", "secret"])
    error = failure(refusal(400, "x", "bad token and secret"), asked)

    assert "bad token and <redacted>" == error.message


def test_mfa() -> None:
    """A second factor's token comes with the error, and does not print."""
    requirements = {"challenge": [{"type": "otp"}]}
    members = {
        "error": "mfa_required",
        "error_description": "Multifactor authentication required",
        "mfa_token": SECRETS["mfa_token"],
        "mfa_requirements": requirements,
    }
    error = failure(answer(members, 403))

    assert isinstance(error, MfaRequiredError)
    assert SECRETS["mfa_token"] == error.mfa_token
    assert isinstance(error.mfa_token, SecretStr)
    assert requirements == error.mfa_requirements
    assert SECRETS["mfa_token"] not in exposed(error)


@pytest.mark.parametrize("value", [None, 5, ["a"]])
def test_mfa_without_its_token(value: Any) -> None:
    """A second factor's token that is none is left out."""
    members = {"error": "mfa_required", "mfa_token": value, "mfa_requirements": value}
    error = failure(answer(members, 403))

    assert isinstance(error, MfaRequiredError)
    assert (None, None) == (error.mfa_token, error.mfa_requirements)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{"])
@pytest.mark.parametrize(
    ("status", "kind", "safe"),
    [
        (429, RateLimitError, True),
        (408, RefusedError, True),
        (425, RefusedError, True),
        (400, InvalidResponseError, False),
        (404, InvalidResponseError, False),
        (500, AmbiguousError, False),
        (502, AmbiguousError, False),
        (503, AmbiguousError, False),
        (504, AmbiguousError, False),
    ],
)
def test_refusal_without_json(
    status: int, kind: type[CustomTokenExchangeError], safe: bool, content: bytes
) -> None:
    """Without words of the server's, its status says what happened."""
    error = failure(answer(content, status, content_type="text/html"))

    assert kind is type(error)
    assert (status, safe, "reply") == (error.status, error.retry_safe, error.phase)


def test_refusal_of_any_media_type() -> None:
    """A refusal is read whatever it says it is: nothing in it is believed."""
    error = failure(
        answer({"error": "access_denied"}, 403, content_type="application/problem+json")
    )

    assert "access_denied" == error.code


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry_after": "7"}, 7.0),
        (429, {"retry_after": "7", "x_ratelimit_reset": str(int(NOW) + 60)}, 7.0),
        (429, {"x_ratelimit_reset": str(int(NOW) + 60)}, 60.0),
        (429, {"retry_after": "soon", "x_ratelimit_reset": str(int(NOW) + 60)}, 60.0),
        (429, {"x_ratelimit_reset": str(int(NOW) - 86_400)}, 0.0),
        (429, {"x_ratelimit_reset": str(int(NOW) + 10**9)}, 86_400.0),
        (429, {"retry_after": "1" + "0" * 12}, 86_400.0),
        (429, {"retry_after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        (429, {"retry_after": "-5"}, None),
        (429, {"retry_after": "1e3"}, None),
        (429, {"retry_after": "٣"}, None),
        (429, {"retry_after": "1, 2"}, None),
        (429, {}, None),
        (503, {"retry_after": "3"}, 3.0),
        (503, {"x_ratelimit_reset": str(int(NOW) + 60)}, None),
        (500, {"retry_after": "3"}, 3.0),
    ],
)
@pytest.mark.parametrize("content", [b"", b'{"error":"x"}'])
def test_waiting_time(
    status: int, headers: dict[str, str], seconds: float | None, content: bytes
) -> None:
    """The wait is Retry-After's, or else, for a rate limit, until its reset."""
    error = failure(answer(content, status, **headers))

    assert seconds == error.retry_after


def test_repeated_retry_after() -> None:
    """Two waits are none: a server that says two things has said nothing."""
    response = Response(429, [("Retry-After", "1"), ("retry-after", "9")], b"")

    assert failure(response).retry_after is None


@pytest.mark.parametrize(
    ("headers", "correlation"),
    [
        ({"x_correlation_id": "c", "x_request_id": "r", "cf_ray": "f"}, "c"),
        ({"x_auth0_requestid": "a", "cf_ray": "f"}, "a"),
        ({"x_request_id": "r", "cf_ray": "f"}, "r"),
        ({"x_correlation_id": "", "cf_ray": "f"}, "f"),
        ({"x_correlation_id": "a\x00b"}, "a b"),
        ({"x_correlation_id": "x" * 500}, "x" * 128),
        ({}, None),
    ],
)
def test_correlation(headers: dict[str, str], correlation: str | None) -> None:
    """An error names the request as Auth0's logs do."""
    responses = (answer(b"", 500, **headers), answer(b"", 200, **headers))

    for response in (*responses, answer({"error": "x"}, 400, **headers)):
        assert correlation == failure(response).correlation_id


def test_asked_shows_no_secret() -> None:
    """What was asked prints without the texts to scrub."""
    assert [] == [secret for secret in SECRETS.values() if secret in repr(ASKED)]


# Shorter than what the suite's search for secrets takes for one: Hypothesis likes to try
# texts out of the library's own source, which are in many an error.
SHORT = st.text(max_size=15)


@given(
    status=st.integers(100, 599),
    content=st.one_of(
        st.binary(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | SHORT,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [*MEMBERS, "error", "error_description", "errorCode"]
                    ),
                    inner,
                )
            ),
        ).map(lambda value: json.dumps(value).encode()),
    ),
    headers=st.dictionaries(
        st.sampled_from(
            ["content-type", "content-encoding", "retry-after", "x-ratelimit-reset"]
        ),
        st.text() | st.just("application/json"),
    ),
)
def test_any_answer(status: int, content: bytes, headers: dict[str, str]) -> None:
    """Any answer is tokens or an error of ours, and tokens come with 200 alone."""
    response = Response(status, list(headers.items()), content)
    result = read_token_response(response, ASKED, NOW)

    if isinstance(result, CustomTokenExchangeError):
        assert str(result)
    else:
        assert isinstance(result, TokenExchangeResponse)
        assert 200 == status
