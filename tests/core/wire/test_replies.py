"""The token endpoint's responses: tokens, refusals, and those that cannot be read."""

from __future__ import annotations

import gzip
import json
from typing import Any
from urllib.parse import quote, quote_plus

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from tests.core.exposure import collect_texts
from tests.core.world import NOW, SECRETS, TOKENS, build_refusal, build_response

REQUEST_INFO = TokenRequestInfo(
    "openid read:data",
    "urn:acme:legacy-token",
    secrets=[
        SECRETS["subject_token"],
        SECRETS["actor_token"],
        SECRETS["client_secret"],
    ],
)
REUSABLE = attrs.evolve(REQUEST_INFO, reusable=True)
TOKEN = SECRETS["access_token"]


def read_tokens(
    response: Response, request_info: TokenRequestInfo = REQUEST_INFO
) -> TokenExchangeResponse:
    """Read a response that brings tokens."""
    result = read_token_response(response, request_info, lambda: NOW)
    assert isinstance(result, TokenExchangeResponse), result
    return result


def read_error(
    response: Response, request_info: TokenRequestInfo = REQUEST_INFO
) -> CustomTokenExchangeError:
    """Read a response that brings none; return the error."""
    result = read_token_response(response, request_info, lambda: NOW)
    assert isinstance(result, CustomTokenExchangeError), result
    return result


def test_tokens() -> None:
    """Every member of a token response has its place."""
    response = read_tokens(
        build_response(
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
            expires_at=int(NOW) + 86_400,
        )
        == response
    )


def test_least_tokens() -> None:
    """A token and its type are enough; the scope is then the requested one."""
    response = read_tokens(
        build_response({"access_token": TOKEN, "token_type": "bearer"})
    )

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
    response = read_tokens(build_response({**TOKENS, **dict.fromkeys(names)}))

    assert "openid read:data" == response.scope
    assert (None, None) == (response.expires_in, response.id_token)


@pytest.mark.parametrize("name", ["issued_token_type", "id_token", "refresh_token"])
def test_empty_is_absent(name: str) -> None:
    """An optional member that is an empty text is a member that is not there."""
    tokens = {"access_token": TOKEN, "token_type": "Bearer"}

    assert read_tokens(build_response({**tokens, name: ""})) == (
        read_tokens(build_response(tokens))
    )


def test_empty_scope() -> None:
    """An empty scope says that nothing was granted, and isn't the requested scope."""
    assert "" == read_tokens(build_response({**TOKENS, "scope": ""})).scope


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
def test_bearer(kind: str) -> None:
    """A token type is read in any case (RFC 6749 section 5.1)."""
    assert (
        kind == read_tokens(build_response({**TOKENS, "token_type": kind})).token_type
    )


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
    assert TOKEN == read_tokens(build_response(content_type=media_type)).access_token


def test_identity_encoding() -> None:
    """A body that says it is not compressed is read."""
    assert (
        TOKEN == read_tokens(build_response(content_encoding=" Identity ")).access_token
    )


def test_session_transfer_token() -> None:
    """A token that is not an access token has the type N_A (RFC 8693 section 2.2.1)."""
    kind = TokenType.SESSION_TRANSFER_TOKEN
    members = {**TOKENS, "token_type": "N_A", "issued_token_type": kind}

    assert ("N_A", kind) == (
        read_tokens(build_response(members)).token_type,
        read_tokens(build_response(members)).issued_token_type,
    )


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1, 1),
        (2**31 - 1, 2**31 - 1),
        ("3600", 3600),
        ("0060", 60),
        ("2147483647", 2**31 - 1),
        (3600.0, 3600),
        (1.0, 1),
        (2**31 - 1.0, 2**31 - 1),
    ],
)
def test_lifetime(value: Any, seconds: int) -> None:
    """A lifetime is a whole number of seconds, in quotes, with a point or without."""
    assert (
        seconds
        == read_tokens(build_response({**TOKENS, "expires_in": value})).expires_in
    )


LIFETIMES = [
    -5,
    0,
    True,
    False,
    3600.5,
    0.0,
    -0.0,
    -60.0,
    0.5,
    1e30,
    2.0**31,
    2**31,
    "",
    "-1",
    "1.5",
    "60.0",
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
    "id_token": [1, "a b", ["a"], "a\n"],
    "refresh_token": [{"a": 1}, " ", "ü", False],
    "scope": [["a"], 1, "a\nb", "\u202e", {"a": 1}],
    "issued_token_type": [1, ["urn"], "urn:\x00"],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in MEMBERS.items() for value in values],
    ids=repr,
)
def test_bad_member(name: str, value: Any) -> None:
    """A malformed member makes the response invalid, though tokens were issued."""
    error = read_error(build_response({**TOKENS, name: value}))

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
    """A response without a token, or without its type, is not a token response."""
    members = {key: value for key, value in TOKENS.items() if key != name}

    assert f"{name} is missing" in read_error(build_response(members)).message


def build_body(text: str) -> bytes:
    """Return a body in which *text* is the value of an extra member."""
    return f'{{"access_token":"{TOKEN}","token_type":"Bearer","x":{text}}}'.encode()


NOT_JSON = {
    "empty": b"",
    "html": b"<!doctype html><title>hello</title>",
    "truncated": build_body("1")[:-3],
    "invalid-utf8": build_body('"\xff"').replace(b"\xc3\xbf", b"\xff"),
    "utf16": build_body("1").decode().encode("utf-16"),
    "utf32": build_body("1").decode().encode("utf-32-le"),
    "bom": b"\xef\xbb\xbf" + build_body("1"),
    "duplicate": build_body('1,"access_token":"other"'),
    "nested-duplicate": build_body('{"a":1,"a":2}'),
    "nan": build_body("NaN"),
    "infinity": build_body("-Infinity"),
    "1e400": build_body("1e400"),
    "deep": build_body("[" * 100_000 + "]" * 100_000),
    "long-integer": build_body("9" * 5_000),
    "lone-surrogate": build_body('"\\ud800"'),
    "trailing": build_body("1") + b"x",
    "single-quotes": b"{'access_token': 'x'}",
}
NOT_OBJECTS = [b"[]", b"null", b'"text"', b"5", b"true"]


@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_not_json(content: bytes) -> None:
    """A body that two parsers could read differently is not read at all."""
    error = read_error(build_response(content))

    assert isinstance(error, InvalidResponseError)
    assert "the body is not JSON" in error.message
    assert TOKEN not in str(error)


@pytest.mark.parametrize("content", NOT_OBJECTS)
def test_not_an_object(content: bytes) -> None:
    """A token response is an object."""
    assert "not a JSON object" in read_error(build_response(content)).message


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
    """Tokens in another format than JSON are refused, without quoting the media type."""
    error = read_error(build_response(content_type=media_type))

    assert said in error.message
    assert "secret" not in str(error)


def test_no_media_type() -> None:
    """A response without a media type is refused."""
    assert "missing" in read_error(Response(200, [], b"{}")).message


@pytest.mark.parametrize("status", [201, 202, 204, 206])
def test_other_success(status: int) -> None:
    """Tokens come with 200 and no other status, and may have been issued all the same."""
    error = read_error(build_response(status=status))

    assert isinstance(error, InvalidResponseError)
    assert (status, True) == (error.status, error.tokens_issued)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_redirect(status: int) -> None:
    """A redirect is refused; nothing was issued, and asking again leads to the same."""
    error = read_error(
        build_response(status=status, location="https://evil.example.com"), REUSABLE
    )

    assert isinstance(error, InvalidResponseError)
    assert "redirect" in error.message
    assert (False, False) == (error.tokens_issued, error.retry_safe)
    assert "evil" not in str(error)


@pytest.mark.parametrize(
    "encoding", ["gzip", "br", "deflate", "zstd", "identity, gzip"]
)
@pytest.mark.parametrize("status", [200, 400])
def test_compressed(status: int, encoding: str) -> None:
    """A body that is compressed, though none may be, is not inflated."""
    body = gzip.compress(json.dumps(TOKENS).encode())
    error = read_error(build_response(body, status, content_encoding=encoding))

    expected = InvalidResponseError if status == 200 else RefusedError
    assert expected is type(error)
    assert "compressed" in error.message


UNREADABLE: dict[str, tuple[bytes, str]] = {
    "gzip": (gzip.compress(b'{"error":"x"}'), "gzip"),
    "half of a gzip": (gzip.compress(b'{"error":"x"}')[:-9], "gzip"),
    "garbage": (bytes(range(256)), ""),
    "a page": (b"<html>busy</html>", ""),
    "half of a JSON": (b'{"error":"x"', ""),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize("oversized", [False, True])
@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RefusedError),
        (403, RefusedError),
        (408, RefusedError),
        (413, RefusedError),
        (425, RefusedError),
        (429, RateLimitError),
        (500, AmbiguousError),
        (503, AmbiguousError),
    ],
)
def test_the_status_comes_before_the_body(
    status: int, kind: type[CustomTokenExchangeError], name: str, oversized: bool
) -> None:
    """No body of an error's hides its status, or the wait that the server asks for."""
    body, encoding = UNREADABLE[name]
    response = attrs.evolve(
        build_response(body, status, content_encoding=encoding, retry_after="7"),
        oversized=oversized,
    )
    error = read_error(response)

    assert (kind, status, 7.0) == (type(error), error.status, error.retry_after)
    assert (status in (408, 425, 429)) is error.retry_safe


@pytest.mark.parametrize("status", [429, 503])
def test_an_oversized_body_is_not_read(status: int) -> None:
    """A body that was cut at the limit is not searched for a code."""
    response = build_refusal(status, "too_many_attempts")
    error = read_error(attrs.evolve(response, oversized=True))

    assert "too_many_attempts" != error.code
    assert not isinstance(error, BlockedError)


@pytest.mark.parametrize("encoding", ["gzip", "utf-8", "", "identity"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (408, RefusedError),
        (425, RefusedError),
        (429, RateLimitError),
        (500, AmbiguousError),
        (503, AmbiguousError),
    ],
)
def test_compressed_error(status: int, kind: type[Exception], encoding: str) -> None:
    """The status of an error says what happened, even if its body cannot be read."""
    body = gzip.compress(b'{"error":"invalid_grant"}')
    error = read_error(
        build_response(body, status, content_encoding=encoding, retry_after="2")
    )

    assert kind is type(error)
    assert (status, 2.0) == (error.status, error.retry_after)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "UTF-8", "", "none", "gzip", "identity, gzip", "\n"]
)
def test_encoding_that_is_none(encoding: str) -> None:
    """A body that reads as JSON is not compressed, whatever its header says."""
    tokens = read_tokens(build_response(content_encoding=encoding))
    refused = read_error(
        build_response({"error": "invalid_grant"}, 403, content_encoding=encoding)
    )

    assert TOKEN == tokens.access_token
    assert "invalid_grant" == refused.code


def test_oversized() -> None:
    """A body that passed the limit is not read."""
    error = read_error(attrs.evolve(build_response(), oversized=True))

    assert "longer than 262,144 bytes" in error.message


@pytest.mark.parametrize("reusable", [False, True])
def test_broken_success_of_a_reusable_token(reusable: bool) -> None:
    """A broken 200 spent its token, unless the token may be spent twice."""
    error = read_error(
        build_response(b""), attrs.evolve(REQUEST_INFO, reusable=reusable)
    )

    assert reusable is error.retry_safe


def test_error_in_a_success() -> None:
    """A 200 with an error and without a token is a refusal."""
    error = read_error(
        build_response({"error": "access_denied", "error_description": "no"})
    )

    assert isinstance(error, RefusedError)
    assert ("access_denied", 200, False) == (
        error.code,
        error.status,
        error.tokens_issued,
    )


def test_token_beside_an_error() -> None:
    """A 200 with a token is a token response, whatever else it has."""
    assert TOKEN == read_tokens(build_response({**TOKENS, "error": "x"})).access_token


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
    """A refusal has the server's code and description, and says if a retry is safe."""
    error = read_error(build_refusal(status, code, "The reason."))

    assert kind is type(error)
    assert (code, "The reason.", status) == (error.code, error.message, error.status)
    assert (safe, False, "reply") == (
        error.retry_safe,
        error.tokens_issued,
        error.phase,
    )


def test_server_error_of_a_reusable_token() -> None:
    """A server's failure is safe to retry if the token may be used twice."""
    assert read_error(build_refusal(500, "server_error"), REUSABLE).retry_safe
    assert not read_error(build_refusal(400, "invalid_grant"), REUSABLE).retry_safe


@pytest.mark.parametrize("reusable", [False, True])
def test_global_limit(reusable: bool) -> None:
    """Auth0's global limit is a rate limit, though it comes as a 500 access_denied."""
    request_info = attrs.evolve(REQUEST_INFO, reusable=reusable)
    error = read_error(
        build_refusal(500, "access_denied", "Global limit has been reached"),
        request_info,
    )

    assert isinstance(error, RateLimitError)
    assert ("access_denied", 500, reusable) == (
        error.code,
        error.status,
        error.retry_safe,
    )


def test_management_shape() -> None:
    """The Management API's dialect has code and description in other members."""
    error = read_error(
        build_response(
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
def test_invalid_code(code: Any) -> None:
    """An error that is not a code is replaced by one of ours."""
    error = read_error(build_response({"error": code}, 400))

    assert Code.TOKEN_EXCHANGE_FAILED is error.code
    assert "the server gave no reason" == error.message
    assert Code.RATE_LIMITED is read_error(build_response({"error": code}, 429)).code


@pytest.mark.parametrize("code", list(Code), ids=str)
def test_code_of_ours(code: Code) -> None:
    """A server's code that is also one of ours is the member of the enum."""
    assert code is read_error(build_refusal(400, str(code))).code


@pytest.mark.parametrize("description", [None, 5, ["a"], {"a": 1}, False])
def test_invalid_description(description: Any) -> None:
    """A description that is not text is not shown."""
    members = {"error": "x", "error_description": description}

    assert (
        "the server gave no reason" == read_error(build_response(members, 400)).message
    )


def test_description_is_cleaned() -> None:
    """A description is cut short, and an unprintable character becomes a space."""
    long = read_error(build_refusal(400, "x", "a" * 10_000)).message
    dirty = read_error(build_refusal(400, "x", "a\r\n\x1b[31m\u202eb\x00")).message

    assert "a" * 255 + "…" == long
    assert "a   [31m b " == dirty


@pytest.mark.parametrize("length", [255, 256])
def test_longest_description(length: int) -> None:
    """A description that fits is shown whole."""
    assert "a" * length == read_error(build_refusal(400, "x", "a" * length)).message


@pytest.mark.parametrize("spell", [str, quote, quote_plus], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ["subject_token", "actor_token", "client_secret"])
@pytest.mark.parametrize("place", ["error", "error_description", "message", "header"])
def test_echo_is_redacted(place: str, name: str, spell: Any) -> None:
    """A secret that the server echoes is nowhere in the error."""
    echo = f"bad {spell(SECRETS[name])} given"
    members = {"error": "invalid_request", place: echo}
    error = read_error(
        build_response(members, 400, x_request_id=echo if place == "header" else "1")
    )

    assert spell(SECRETS[name]) not in collect_texts(error)
    if place in ("error_description", "message"):
        assert "bad <redacted> given" == error.message


def test_echo_across_the_cut() -> None:
    """A secret is removed whole, before the description is cut."""
    message = read_error(
        build_refusal(400, "x", "a" * 250 + SECRETS["subject_token"])
    ).message

    assert "needle" not in message


def test_secrets_that_share_a_beginning() -> None:
    """A secret that begins with another is removed whole."""
    request_info = TokenRequestInfo(secrets=["secret", "secret-and-more"])

    assert (
        "<redacted>!"
        == read_error(build_refusal(400, "x", "secret-and-more!"), request_info).message
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
    """Text that looks like a token, or half of one, is removed: an assertion, say."""
    error = read_error(build_refusal(400, "invalid_client", words))

    assert shown == error.message
    assert "aGlkZGVu" not in collect_texts(error)


@pytest.mark.parametrize("place", ["error", "error_description", "header"])
def test_tokens_of_the_refusal_itself(place: str) -> None:
    """A token that a refusal brings is not shown by its own description."""
    token = SECRETS["mfa_token"]
    echo = f"go on with {token}"
    members = {"error": "mfa_required", "mfa_token": token, place: echo}
    error = read_error(
        build_response(members, 403, x_request_id=echo if place == "header" else "1")
    )

    assert token not in str(error)
    assert [] == [arg for arg in error.args if isinstance(arg, str) and token in arg]


def test_short_words_are_not_redacted() -> None:
    """A secret so short that the server may say it by chance is left alone."""
    request_info = TokenRequestInfo(secrets=["token", "secret"])
    error = read_error(build_refusal(400, "x", "bad token and secret"), request_info)

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
    error = read_error(build_response(members, 403))

    assert isinstance(error, MfaRequiredError)
    assert SECRETS["mfa_token"] == error.mfa_token
    assert isinstance(error.mfa_token, SecretStr)
    assert requirements == error.mfa_requirements
    assert SECRETS["mfa_token"] not in collect_texts(error)


@pytest.mark.parametrize("value", [None, 5, ["a"]])
def test_mfa_without_its_token(value: Any) -> None:
    """An invalid mfa_token is left out."""
    members = {"error": "mfa_required", "mfa_token": value, "mfa_requirements": value}
    error = read_error(build_response(members, 403))

    assert isinstance(error, MfaRequiredError)
    assert (None, None) == (error.mfa_token, error.mfa_requirements)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{"])
@pytest.mark.parametrize(
    ("status", "kind", "safe"),
    [
        (429, RateLimitError, True),
        (408, RefusedError, True),
        (425, RefusedError, True),
        (400, RefusedError, False),
        (404, RefusedError, False),
        (500, AmbiguousError, False),
        (502, AmbiguousError, False),
        (503, AmbiguousError, False),
        (504, AmbiguousError, False),
    ],
)
def test_refusal_without_json(
    status: int, kind: type[CustomTokenExchangeError], safe: bool, content: bytes
) -> None:
    """Without JSON, the status says what happened."""
    error = read_error(build_response(content, status, content_type="text/html"))

    assert kind is type(error)
    assert (status, safe, "reply") == (error.status, error.retry_safe, error.phase)


def test_refusal_of_any_media_type() -> None:
    """A refusal is read whatever its media type: nothing in it is believed."""
    error = read_error(
        build_response(
            {"error": "access_denied"}, 403, content_type="application/problem+json"
        )
    )

    assert "access_denied" == error.code


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry_after": "7"}, 7.0),
        (429, {"retry_after": "7", "x_ratelimit_reset": str(int(NOW) + 60)}, 7.0),
        (429, {"x_ratelimit_reset": str(int(NOW) + 60)}, 60.0),
        (429, {"retry_after": "soon", "x_ratelimit_reset": str(int(NOW) + 60)}, 60.0),
        (429, {"x_ratelimit_reset": str(int(NOW) - 86_400)}, None),
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
    error = read_error(build_response(content, status, **headers))

    assert seconds == error.retry_after


def test_repeated_retry_after() -> None:
    """Two Retry-After fields contradict each other, and neither counts."""
    response = Response(429, [("Retry-After", "1"), ("retry-after", "9")], b"")

    assert read_error(response).retry_after is None


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
    """An error has the id by which Auth0's logs know the request."""
    responses = (
        build_response(b"", 500, **headers),
        build_response(b"", 200, **headers),
    )

    for response in (*responses, build_response({"error": "x"}, 400, **headers)):
        assert correlation == read_error(response).correlation_id


def test_request_info_shows_no_secret() -> None:
    """The repr of a request's info does not show its secrets."""
    assert [] == [secret for secret in SECRETS.values() if secret in repr(REQUEST_INFO)]


# Shorter than the suite's search for leaked secrets looks for: Hypothesis likes to try
# texts from the library's own source, which occur in many errors.
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
        st.text() | st.sampled_from(["application/json", "gzip", "utf-8", "9"]),
    ),
)
def test_any_response(status: int, content: bytes, headers: dict[str, str]) -> None:
    """Any response is tokens or an error of ours, and tokens come with 200 only."""
    response = Response(status, list(headers.items()), content)
    result = read_token_response(response, REQUEST_INFO, lambda: NOW)

    if isinstance(result, CustomTokenExchangeError):
        assert str(result)
    else:
        assert isinstance(result, TokenExchangeResponse)
        assert 200 == status


@given(
    lifetime=st.floats()
    | st.integers()
    | st.integers(-5, 2**31 + 5).map(float)
    | st.none()
)
def test_any_lifetime(lifetime: float | None) -> None:
    """A number is a lifetime if it is whole, and stays the number that it is."""
    body = json.dumps({**TOKENS, "expires_in": lifetime}).encode()
    result = read_token_response(build_response(body), REQUEST_INFO, lambda: NOW)

    if isinstance(result, TokenExchangeResponse):
        assert lifetime == result.expires_in
        assert lifetime is None or type(result.expires_in) is int
    else:
        assert lifetime is not None
        assert not (lifetime == lifetime // 1 and 0 < lifetime < 2**31)
