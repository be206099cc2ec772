"""Sessions of Auth0's own SDK: which ones are taken over, and that others are refused.

The cookies are sealed by another implementation here; that the SDK's are the same is
proved with the SDK itself, among the tests of whole clients.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.session.legacy import (
    LEGACY_COOKIE,
    MOST_CHUNKS,
    read_legacy_session,
)
from auth0_tx.core.session.state import is_session, read_session, write_session
from auth0_tx.values import SessionPolicy
from tests.core.legacy_cookies import (
    CHUNK,
    DOMAIN,
    ISSUER,
    NOW,
    SECRET,
    THEIRS,
    TOKEN_SET,
    seal_state,
    split_cookies,
)

POLICY = SessionPolicy()

OURS: dict[str, Any] = {
    "user": {"sub": "auth0|alice", "name": "Alice", "iss": ISSUER},
    "id_token": "id.token.1",
    "refresh_token": "rt-1",
    "token_sets": [
        {
            **TOKEN_SET,
            "aud": None,
            "requested_scope": TOKEN_SET["scope"],
            "issued_at": NOW - 1_000,
        }
    ],
    "domain": DOMAIN,
    "internal": {
        "id": "id-1",
        "audience": "https://api.example.com",
        "scopes": {"https://api.example.com": "openid read:data"},
        "sid": "sid-1",
        "created_at": NOW - 1_000,
        "used_at": NOW,
        "expires_at": NOW - 1_000 + 259_200,
    },
}


class Member(Enum):
    """The mark of a missing member, whose name is the same in every process."""

    MISSING = "missing"


MISSING = Member.MISSING


def read(cookies: dict[str, str], **changes: Any) -> dict[str, Any] | None:
    """Return the session read from *cookies*."""
    given = {
        "domain": DOMAIN,
        "now": NOW,
        "policy": POLICY,
        "session_id": "id-1",
        **changes,
    }
    return read_legacy_session(cookies, given.pop("secret", SECRET), **given)


def encode_claims(claims: dict[str, Any]) -> str:
    """Return a JWT, unsigned, with *claims*."""
    return f"h.{urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.s"


def take_over(**members: Any) -> dict[str, Any] | None:
    """Return the session read from the SDK's, with *members* set, or left out if MISSING."""
    state = {k: v for k, v in {**THEIRS, **members}.items() if v is not MISSING}
    return read(split_cookies(seal_state(state)))


def test_taken_over() -> None:
    """A session of the SDK becomes one of ours, as if it had just been used."""
    session = take_over()

    assert OURS == session
    assert OURS == read_session(write_session(session))


def test_prints_no_token() -> None:
    """The tokens of a session that was taken over do not print."""
    shown = repr(take_over())

    assert "Alice" in shown
    for token in ("id.token.1", "rt-1", "at-1"):
        assert token not in shown


def test_single_cookie() -> None:
    """A session in one cookie without a number is read too."""
    assert OURS == read({LEGACY_COOKIE: seal_state(THEIRS)})


def test_no_cookie() -> None:
    """A browser without the SDK's cookies has no session."""
    assert read({}) is None
    assert read({"other": "x", f"{LEGACY_COOKIE}_1": seal_state(THEIRS)}) is None


def make_long(length: int) -> str:
    """Return a sealed session of at least *length* characters."""
    return seal_state({**THEIRS, "x": "x" * length})


def test_chunks() -> None:
    """A session in several cookies is read, in whatever order they come."""
    cookies = split_cookies(make_long(10_000))
    assert len(cookies) > 2

    assert OURS == read(cookies)
    assert OURS == read(dict(reversed(cookies.items())))


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_lost_chunk(lost: int) -> None:
    """A session that lost one of its cookies is refused (F1)."""
    cookies = split_cookies(make_long(10_000))
    del cookies[f"{LEGACY_COOKIE}_{lost}"]

    assert read(cookies) is None


def test_mixed_chunks() -> None:
    """Swapped chunks, or chunks of two sessions, are refused (F1)."""
    one, two = split_cookies(make_long(10_000)), split_cookies(make_long(10_000))
    first, second = f"{LEGACY_COOKIE}_0", f"{LEGACY_COOKIE}_1"

    assert read({**one, first: two[first]}) is None
    assert read({**one, first: one[second], second: one[first]}) is None


def test_stale_chunks() -> None:
    """Cookies left from a longer session are ignored (D31)."""
    assert OURS == read(
        {**split_cookies(make_long(10_000)), **split_cookies(seal_state(THEIRS))}
    )


def test_other_names() -> None:
    """Cookies whose names only begin alike are ignored (D31)."""
    cookies = {
        **split_cookies(seal_state(THEIRS)),
        f"{LEGACY_COOKIE}_theme": "dark",
        f"{LEGACY_COOKIE}_01": "x",
        f"{LEGACY_COOKIE}_-1": "x",
        f"{LEGACY_COOKIE}s": "x",
    }

    assert OURS == read(cookies)
    assert read({f"{LEGACY_COOKIE}_00": seal_state(THEIRS)}) is None


def test_too_many_chunks() -> None:
    """More cookies than the SDK ever deletes aren't joined."""
    spare = len(split_cookies(make_long(CHUNK * (MOST_CHUNKS - 1) * 3 // 4 - 1_000)))
    most = split_cookies(make_long(CHUNK * MOST_CHUNKS * 3 // 4 - 1_000))
    more = split_cookies(make_long(CHUNK * (MOST_CHUNKS + 1) * 3 // 4 - 1_000))
    assert [MOST_CHUNKS - 1, MOST_CHUNKS, MOST_CHUNKS + 1] == [
        spare,
        len(most),
        len(more),
    ]

    assert OURS == read(most)
    assert read(more) is None


def test_too_long_cookie() -> None:
    """A cookie longer than the SDK writes is refused."""
    assert read({LEGACY_COOKIE: make_long(5_000)}) is None
    assert read({f"{LEGACY_COOKIE}_0": make_long(5_000)}) is None


def test_wrong_secret() -> None:
    """Another secret opens nothing (F2)."""
    cookies = split_cookies(seal_state(THEIRS))

    assert read(cookies, secret=SECRET + ".") is None
    assert read(cookies, secret="\ud800") is None


def test_every_part() -> None:
    """A cookie with a character changed or missing is refused (F1)."""
    text = seal_state(THEIRS)
    for place in range(0, len(text), 7):
        other = "A" if text[place] != "A" else "B"
        changed = text[:place] + other + text[place + 1 :]
        assert read(split_cookies(changed)) is None
        assert read(split_cookies(text[:place])) is None


def test_short_tag() -> None:
    """A shortened tag is refused (F4)."""
    head, _, tag = seal_state(THEIRS).rpartition(".")

    for length in range(len(tag)):
        assert read(split_cookies(f"{head}.{tag[:length]}")) is None


@pytest.mark.parametrize(
    "header", [{"zip": "DEF"}, {"kid": "a"}, {"typ": "JWT"}], ids=repr
)
def test_other_header(header: dict[str, str]) -> None:
    """A header other than the SDK's is refused: it cannot choose a key or a compression."""
    assert read(split_cookies(seal_state(THEIRS, **header))) is None


@pytest.mark.parametrize(
    "spelling",
    [DOMAIN, f"https://{DOMAIN}", ISSUER, f"{DOMAIN}/", "Tenant.US.Auth0.com", None],
    ids=repr,
)
def test_domain(spelling: str | None) -> None:
    """The SDK notes the domain as configured, and early releases did not note it."""
    assert OURS == take_over(domain=spelling)
    assert OURS == take_over(domain=MISSING)


@pytest.mark.parametrize(
    "domain",
    ["other.us.auth0.com", f"http://{DOMAIN}", "", "x y", 7, [DOMAIN], "localhost"],
    ids=repr,
)
def test_other_domain(domain: object) -> None:
    """A session of another tenant, or of none, is refused."""
    assert take_over(domain=domain) is None


def make_user(**claims: Any) -> dict[str, Any]:
    """Return the SDK's user with *claims* set, or left out if MISSING."""
    members = {**THEIRS["user"], **claims}
    return {name: value for name, value in members.items() if value is not MISSING}


def test_issuer() -> None:
    """The issuer is the tenant's, whether it is noted or follows from the domain."""
    assert OURS == take_over(user=make_user(iss=MISSING))
    assert take_over(user=make_user(iss=MISSING), domain=None) is None
    for issuer in (ISSUER[:-1], "https://other.us.auth0.com/", 7, ""):
        assert take_over(user=make_user(iss=issuer)) is None


@pytest.mark.parametrize(
    "who",
    [
        MISSING,
        None,
        "auth0|alice",
        [],
        {},
        make_user(sub=MISSING),
        make_user(sub=None),
        make_user(sub=""),
        make_user(sub=7),
        make_user(sub=["auth0|alice"]),
    ],
    ids=repr,
)
def test_nobody(who: object) -> None:
    """A session without a user, which the SDK can write, is refused (D14)."""
    assert take_over(user=who) is None


def test_labels() -> None:
    """A token set without audience or scope is read: the SDK writes it after a refresh."""
    session = take_over(
        token_sets=[{**TOKEN_SET, "audience": None, "scope": None}, TOKEN_SET]
    )

    assert session is not None
    assert ["default", "https://api.example.com"] == [
        token_set["audience"] for token_set in session["token_sets"]
    ]
    assert session["token_sets"][0]["scope"] is None


def test_token_of_another_api() -> None:
    """A token set whose token is for another API than its label says is left behind."""
    wrong = {**TOKEN_SET, "access_token": encode_claims({"aud": "urn:other"})}
    right = {
        **TOKEN_SET,
        "access_token": encode_claims({"aud": [TOKEN_SET["audience"]]}),
    }
    unlabelled = {**wrong, "audience": None}
    session = take_over(token_sets=[wrong, right, unlabelled])

    assert session is not None
    assert [
        (TOKEN_SET["audience"], [TOKEN_SET["audience"]]),
        ("default", ["urn:other"]),
    ] == [(each["audience"], each["aud"]) for each in session["token_sets"]]


@pytest.mark.parametrize(
    "token_sets",
    [
        MISSING,
        None,
        {},
        "at-1",
        [None],
        ["at-1"],
        [{}],
        [{**TOKEN_SET, "access_token": None}],
        [{**TOKEN_SET, "audience": 7}],
        [{**TOKEN_SET, "scope": ["openid"]}],
        [{**TOKEN_SET, "expires_at": "soon"}],
        [{**TOKEN_SET, "expires_at": True}],
        [{**TOKEN_SET, "expires_at": 10**30}],
        [TOKEN_SET, {**TOKEN_SET, "expires_at": 1.5}],
    ],
    ids=repr,
)
def test_other_token_sets(token_sets: object) -> None:
    """A session with malformed token sets is refused."""
    assert take_over(token_sets=token_sets) is None


def test_no_tokens() -> None:
    """A session may have a user and no tokens."""
    session = take_over(token_sets=[], id_token=None, refresh_token=MISSING)

    assert session is not None
    assert [[], None, None] == [
        session[name] for name in ("token_sets", "id_token", "refresh_token")
    ]


@pytest.mark.parametrize("name", ["id_token", "refresh_token"])
def test_other_tokens(name: str) -> None:
    """A session whose tokens aren't strings is refused."""
    assert take_over(**{name: 7}) is None


def make_internal(**members: Any) -> dict[str, Any]:
    """Return the SDK's internal data with *members* set, or left out if MISSING."""
    given = {**THEIRS["internal"], **members}
    return {name: value for name, value in given.items() if value is not MISSING}


@pytest.mark.parametrize(
    "noted",
    [
        MISSING,
        None,
        [],
        make_internal(created_at=MISSING),
        make_internal(created_at=None),
        make_internal(created_at=str(NOW)),
        make_internal(created_at=True),
        make_internal(created_at=-1),
        make_internal(created_at=float(NOW)),
        make_internal(created_at=10**400),
        make_internal(created_at=253_402_300_799),
        make_internal(sid=MISSING),
        make_internal(sid=7),
        make_internal(session_expires_at="soon"),
        make_internal(session_expires_at=True),
        make_internal(session_expires_at=-1),
    ],
    ids=lambda noted: "missing" if noted is MISSING else repr(noted)[:60],
)
def test_other_internal(noted: object) -> None:
    """A session without its time of creation has no end, and is refused."""
    assert take_over(internal=noted) is None


@pytest.mark.parametrize("seconds", [60, 7_200])
def test_absolute_lifetime(seconds: int) -> None:
    """A session ends when it would have ended as one of ours from the start."""
    policy = SessionPolicy(absolute_seconds=seconds)
    session = read(split_cookies(seal_state(THEIRS)), policy=policy)

    assert session is not None
    assert NOW - 1_000 + seconds == session["internal"]["expires_at"]


def test_ceiling() -> None:
    """A session ends when the user's identity provider ends it, if that is sooner."""
    for noted, claimed, expected in (
        (NOW + 100, None, NOW + 100),
        # A login by token exchange notes the claim alone (D4).
        (None, NOW + 200, NOW + 200),
        (NOW + 100, NOW + 200, NOW + 100),
        (NOW + 300, NOW + 200, NOW + 200),
        (NOW + 10**6, NOW + 10**6, NOW - 1_000 + 259_200),
        (NOW - 10, None, NOW - 10),
    ):
        session = take_over(
            internal=make_internal(session_expires_at=noted),
            user=make_user(session_expiry=claimed),
        )
        assert session is not None
        assert expected == session["internal"]["expires_at"]
    assert take_over(user=make_user(session_expiry="soon")) is None


PAYLOADS = {
    "nothing": b"",
    "no JSON": b"session",
    "a list": b"[]",
    "null": b"null",
    "a user twice": b'{"user":{},' + json.dumps(THEIRS).encode()[1:],
    "NaN": json.dumps({**THEIRS, "x": float("nan")}).encode(),
    "half a surrogate pair": json.dumps({**THEIRS, "x": "\ud800"}).encode(),
    "not UTF-8": b'{"x":"\xff"}',
    "deep lists": b'{"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "a pickle": b"\x80\x04N.",
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_hostile_payload(payload: bytes) -> None:
    """A sealed payload that isn't a session is refused."""
    assert read(split_cookies(seal_state(payload))) is None


NAMES = st.sampled_from([LEGACY_COOKIE, *(f"{LEGACY_COOKIE}_{n}" for n in range(3))])
GOOD = seal_state(THEIRS)


@given(
    st.dictionaries(NAMES | st.text(), st.text() | st.sampled_from([GOOD, GOOD[:-1]]))
)
def test_any_cookies(cookies: dict[str, str]) -> None:
    """For any cookies there is a session or ``None``, and nothing is raised."""
    assert read(cookies) in (None, OURS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=3) | st.sampled_from([*THEIRS, *TOKEN_SET, "sub"]), inner
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(THEIRS)), JSON))
def test_any_state(members: dict[str, Any]) -> None:
    """Any sealed payload is taken over as a whole or refused, and nothing is raised."""
    session = take_over(**members)

    assert session is None or is_session(session)
