"""Answers that are whole but not what they must be: never read for more than they are."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from typing import Any

import pytest

from auth0_tx import CustomTokenExchangeErrorCode as Code
from auth0_tx import InvalidResponseError, MfaRequiredError, RefusedError, TokenType
from tests.e2e.faults.callers import CLIENT_SECRET, SUBJECT, Caller
from tests.e2e.faults.fault_cases import Case, check, check_unpoisoned, ids, play
from tests.e2e.faults.wire_behaviours import GRANT, answers, has_body, says
from tests.e2e.faults.wire_http import head
from tests.e2e.faults.wire_server import Script, WireServer
from tests.e2e.faults.worlds import world_over_each_wire

__all__ = ["world_over_each_wire"]

TEXT = json.dumps({"access_token": f"for-{SUBJECT}", **GRANT})
GOOD = TEXT.encode()
PAGE = b"<!DOCTYPE html><html><title>Oops!</title></html>"
BROKEN: dict[str, Any] = {
    "error": InvalidResponseError,
    "code": Code.INVALID_RESPONSE,
    "status": 200,
    "tokens_issued": True,
}


def make_broken_case(
    name: str, body: bytes, media_type: str | None = "application/json"
) -> Case:
    """Make a case of a 200 that is no token response."""
    return Case(name=name, plays=(has_body(200, body, media_type),), **BROKEN)


def make_accepted_case(name: str, body: bytes, media_type: str) -> Case:
    """Make a case of a 200 that is one."""
    return Case(name=name, plays=(has_body(200, body, media_type),))


def change_members(**members: Any) -> bytes:
    """Return a token response with other members; ``...`` leaves one out."""
    all_of_them = {**json.loads(GOOD), **members}
    kept = {name: value for name, value in all_of_them.items() if value is not ...}
    return json.dumps(kept).encode()


def with_member(member: str) -> bytes:
    """Return a token response with one member more, as it is written."""
    return GOOD[:-1] + b", " + member.encode() + b"}"


BODIES = [
    make_accepted_case("plain", GOOD, "application/json"),
    make_accepted_case("charset", GOOD, "Application/JSON; charset=utf-8"),
    make_accepted_case(
        "lower case bearer", GOOD.replace(b"Bearer", b"bearer"), "application/json"
    ),
    make_broken_case("problem+json", GOOD, "application/problem+json"),
    make_broken_case("JSON as HTML", GOOD, "text/html"),
    make_broken_case("no media type", GOOD, None),
    make_broken_case("HTML", PAGE, "text/html"),
    make_broken_case("HTML as JSON", PAGE),
    make_broken_case("empty", b""),
    make_broken_case("truncated JSON", GOOD[:-5]),
    make_broken_case("array", b"[" + GOOD + b"]"),
    make_broken_case("null", b"null"),
    make_broken_case("string", b'"' + SUBJECT.encode() + b'"'),
    make_broken_case("number", b"42"),
    make_broken_case("invalid UTF-8", GOOD.replace(b"Bearer", b"B\xffarer")),
    make_broken_case("UTF-16", TEXT.encode("utf-16")),
    make_broken_case("byte order mark", codecs.BOM_UTF8 + GOOD),
    make_broken_case("two of a name", GOOD[:-1] + b', "access_token": "other"}'),
    make_broken_case("nested too deep", b"[" * 100_000),
    make_broken_case("two of a name, nested", with_member('"x": {"a": 1, "a": 2}')),
    make_broken_case("NaN", with_member('"x": NaN')),
    make_broken_case("Infinity", with_member('"x": -Infinity')),
    make_broken_case("1e400", with_member('"x": 1e400')),
    make_broken_case("5,000 digits", with_member('"x": ' + "9" * 5_000)),
    make_broken_case("lone surrogate", with_member(r'"x": "\ud800"')),
    make_accepted_case(
        "more members", with_member('"x": {"y": [1, null]}'), "application/json"
    ),
    *(
        make_broken_case(
            f"access_token {value!r:.30}", change_members(access_token=value)
        )
        for value in (None, "", " ", "a b", 1, ["t"], "a\r\nb", "a\0", "\u00e9")
    ),
    make_broken_case("no token", json.dumps(GRANT).encode()),
    make_broken_case("no token_type", change_members(token_type=...)),
    *(
        make_broken_case(f"token_type {value!r}", change_members(token_type=value))
        for value in (1, None, "mac", "N_A")
    ),
    make_accepted_case(
        "no expires_in", change_members(expires_in=...), "application/json"
    ),
    make_accepted_case(
        "quoted expires_in", change_members(expires_in="3600"), "application/json"
    ),
    *(
        make_broken_case(f"expires_in {value!r}", change_members(expires_in=value))
        for value in (-5, 0, True, 3600.5, 1e30, "1e3", [3600])
    ),
    *(
        make_broken_case(f"{name} {value!r}", change_members(**{name: value}))
        for name, value in (
            ("scope", ["a"]),
            ("id_token", 1),
            ("refresh_token", {"a": 1}),
            ("issued_token_type", 1),
        )
    ),
    make_accepted_case(
        "session transfer token",
        change_members(
            token_type="N_A", issued_token_type=TokenType.SESSION_TRANSFER_TOKEN
        ),
        "application/json",
    ),
    make_broken_case("DPoP unasked", GOOD.replace(b"Bearer", b"DPoP")),
]

STATUSES = [
    Case(
        name=f"{status} with a grant",
        plays=(has_body(status, GOOD),),
        **{**BROKEN, "status": status},
    )
    for status in (201, 202, 203, 206)
] + [
    Case(
        name="204",
        plays=(says(head(204)),),
        **{**BROKEN, "status": 204},
    ),
    Case(
        name="400 in HTML",
        plays=(has_body(400, PAGE, "text/html"),),
        error=RefusedError,
        code=Code.TOKEN_EXCHANGE_FAILED,
        status=400,
    ),
    Case(
        name="200 with an error",
        plays=(answers(200, {"error": "invalid_grant"}),),
        error=RefusedError,
        code="invalid_grant",
        status=200,
    ),
]

REFUSALS = [
    Case(
        name=f"{status} {code}",
        plays=(answers(status, {"error": code, "error_description": "no"}),),
        error=error,
        code=code,
        status=status,
        options={"subject_token_reusable": reusable},
    )
    for status, code, error in (
        (400, "invalid_grant", RefusedError),
        (400, "invalid_request", RefusedError),
        (401, "invalid_client", RefusedError),
        (401, "access_denied", RefusedError),
        (403, "access_denied", RefusedError),
        (403, "mfa_required", MfaRequiredError),
    )
    for reusable in (False, True)
]

NAMELESS = [
    Case(
        name=f"400 with error {name}",
        plays=(answers(400, {"error": value, "error_description": "no"}),),
        error=RefusedError,
        code=Code.TOKEN_EXCHANGE_FAILED,
        status=400,
    )
    for name, value in {
        "number": 7,
        "list": ["invalid_grant"],
        "of 10 KB": "x" * 10_000,
        "in controls": "a\r\nb\0",
    }.items()
]

CASES = BODIES + STATUSES + REFUSALS + NAMELESS


@pytest.mark.parametrize("case", CASES, ids=ids(CASES))
def test_answer_is_read_for_what_it_is(
    case: Case, server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """A whole answer that is no token response is an error after one send."""
    caller, outcome = play(case, server, new_caller)

    check(case, server, outcome)
    check_unpoisoned(server, caller)


def test_refusal_that_repeats_a_secret_is_cleaned(
    server: WireServer, new_caller: Callable[..., Caller]
) -> None:
    """What the server repeats of the request does not come back in the error."""
    words = f"bad token {SUBJECT} of {CLIENT_SECRET}"
    case = Case(
        name="echo",
        plays=(answers(400, {"error": SUBJECT, "error_description": words}),),
        error=RefusedError,
        code=Code.TOKEN_EXCHANGE_FAILED,
        status=400,
    )
    _, outcome = play(case, server, new_caller)

    check(case, server, outcome)
    assert outcome.error is not None
    assert outcome.error.message.startswith("bad token <redacted>")


def test_words_of_a_refusal_are_cleaned_and_cut(
    server: WireServer, caller: Caller
) -> None:
    """What the server says is shown on one line, and no more of it than a line."""
    words = "first\r\nsecond\x1b[31m\0" + "x" * 10_000
    server.token = Script(
        answers(400, {"error": "invalid_grant", "error_description": words})
    )
    error = caller.exchange().error

    assert error is not None
    assert error.message.startswith("first  second [31m xxx")
    assert 256 == len(error.message)
    assert error.message.isprintable()


def test_second_factor_keeps_its_token_out_of_sight(
    server: WireServer, caller: Caller
) -> None:
    """The MFA token is there for the MFA API, and in no word of the error."""
    token = "mfa-token-0123456789"
    members = {"error": "mfa_required", "error_description": "no", "mfa_token": token}
    server.token = Script(answers(403, members))
    error = caller.exchange().error

    assert isinstance(error, MfaRequiredError)
    assert token == error.mfa_token
    for text in (str(error), repr(error), repr(error.args), repr(vars(error))):
        assert token not in text
