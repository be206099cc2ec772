"""The content of sessions: lifetimes, tokens that join and leave, and reading it back."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.session.state import (
    ceiling_problem,
    conceal_tokens,
    create_state,
    find_scope,
    find_token,
    id_token_expiry,
    is_alive,
    is_session,
    merge_tokens,
    note_use,
    read_session,
    seconds_left,
    with_user,
    without_refresh_token,
    write_session,
)
from auth0_tx.core.session.store import Application, index_labels
from auth0_tx.secret import SecretStr
from auth0_tx.values import SessionPolicy, TokenExchangeResponse

NOW = 1_700_000_000.5
AT = 1_700_000_000
POLICY = SessionPolicy(idle_seconds=1_000, absolute_seconds=10_000)
API = "https://api.example.com"
CLAIMS: dict[str, Any] = {
    "iss": "https://tenant.us.auth0.com/",
    "aud": "the-client",
    "sub": "auth0|alice",
    "name": "Alicë",
    "act": {"sub": "auth0|agent"},
    "at_hash": "h",
    "c_hash": "h",
    "nonce": "n",
}
USER = {k: v for k, v in CLAIMS.items() if k not in ("at_hash", "c_hash", "nonce")}


def response(access_token: str = "at-1", **members: Any) -> TokenExchangeResponse:
    """Return tokens as the server issues them, with *members* set."""
    given = {
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "openid read:data",
        "id_token": "id.token.1",
        "refresh_token": "rt-1",
        **members,
    }
    return TokenExchangeResponse(access_token=access_token, **given)


def session(
    issued: TokenExchangeResponse | None = None,
    claims: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return the session of a user who has just logged in."""
    given: dict[str, Any] = {
        "audience": None,
        "scope": "openid read:data",
        "domain": "tenant.us.auth0.com",
        "now": NOW,
        "policy": POLICY,
        "session_id": "id-1",
        **changes,
    }
    return create_state(issued or response(), claims or CLAIMS, **given)


def merge(
    state: dict[str, Any], issued: TokenExchangeResponse, **changes: Any
) -> dict[str, Any]:
    """Return a session that new tokens have joined."""
    given = {"audience": None, "scope": None, "now": NOW, **changes}
    return merge_tokens(state, issued, **given)


def list_tokens(state: dict[str, Any]) -> list[str]:
    """Return the access tokens in a session, in order."""
    return [str(token_set["access_token"]) for token_set in state["token_sets"]]


def test_new_session() -> None:
    """A session has the shape that users of Auth0's own SDK know."""
    assert {
        "user": USER,
        "id_token": "id.token.1",
        "refresh_token": "rt-1",
        "token_sets": [
            {
                "audience": "default",
                "access_token": "at-1",
                "scope": "openid read:data",
                "requested_scope": "openid read:data",
                "expires_at": AT + 600,
            }
        ],
        "domain": "tenant.us.auth0.com",
        "internal": {
            "audience": "default",
            "sid": "id-1",
            "created_at": AT,
            "used_at": AT,
            "expires_at": AT + 10_000,
        },
    } == session()


def test_what_was_sent() -> None:
    """A token is labelled with the audience and the scope that were sent (D13)."""
    made = session(response(scope=None), audience=API, scope="openid x")["token_sets"]

    assert [(API, None, "openid x")] == [
        (token_set["audience"], token_set["scope"], token_set["requested_scope"])
        for token_set in made
    ]


@pytest.mark.parametrize(
    ("sid", "named"),
    [("sid-1", "sid-1"), ("", "id-1"), (None, "id-1"), (7, "id-1"), (["s"], "id-1")],
)
def test_sid(sid: object, named: str) -> None:
    """A session has the ``sid`` that Auth0 gave it, or else one of ours."""
    assert named == session(claims={**CLAIMS, "sid": sid})["internal"]["sid"]


def test_no_lifetime() -> None:
    """A token without a lifetime is good until an API refuses it."""
    state = session(response(expires_in=None))

    assert state["token_sets"][0]["expires_at"] is None
    assert "at-1" == find_token(state, None, None, NOW + 10**9)


def test_idle_lifetime() -> None:
    """A session ends when nobody has used it for the idle time, and not before."""
    state = session()

    assert is_alive(state, AT + 999.9, POLICY)
    assert not is_alive(state, AT + 1_000, POLICY)


def test_absolute_lifetime() -> None:
    """A session ends at its absolute lifetime, however often it is used."""
    state, now = session(), float(AT)
    while now < AT + 9_900:
        now += 300
        state = note_use(state, now, POLICY) or state

    assert is_alive(state, AT + 9_999, POLICY)
    assert not is_alive(state, AT + 10_000, POLICY)


@pytest.mark.parametrize("ceiling", [AT + 300, AT + 300.7])
def test_ceiling(ceiling: float) -> None:
    """A session ends when the user's identity provider ends it, if that is sooner (D4)."""
    state = session(claims={**CLAIMS, "session_expiry": ceiling})

    assert is_alive(state, AT + 299, POLICY)
    assert not is_alive(state, AT + 300, POLICY)


def test_late_ceiling() -> None:
    """A ceiling beyond the absolute lifetime does not lengthen a session."""
    state = session(claims={**CLAIMS, "session_expiry": 10**300})

    assert AT + 10_000 == state["internal"]["expires_at"]


def test_no_ceiling_problem() -> None:
    """A ceiling in the future, or none, is no problem."""
    assert ceiling_problem(CLAIMS, NOW) is None
    assert ceiling_problem({"session_expiry": AT + 1}, NOW) is None
    assert ceiling_problem({"session_expiry": NOW + 0.1}, NOW) is None


@pytest.mark.parametrize("ceiling", [None, "soon", True, [AT], {}], ids=repr)
def test_other_ceiling(ceiling: object) -> None:
    """A ceiling that isn't a date is a problem, and isn't ignored."""
    assert "session_expiry is not a date in seconds since 1970" == ceiling_problem(
        {"session_expiry": ceiling}, NOW
    )


@pytest.mark.parametrize("ceiling", [NOW, AT, AT - 1_000, 0, -5])
def test_past_ceiling(ceiling: float) -> None:
    """A ceiling in the past is a problem (D4)."""
    assert "session_expiry has passed" == ceiling_problem(
        {"session_expiry": ceiling}, NOW
    )


def test_replay() -> None:
    """An expired session stays expired when it is sent again (F5)."""
    replayed = read_session(write_session(session()))

    assert replayed is not None
    assert is_alive(replayed, AT + 999, POLICY)
    assert not is_alive(replayed, AT + 1_001, POLICY)


def test_shorter_policy() -> None:
    """A shorter policy ends sessions that began under a longer one."""
    state = session(policy=SessionPolicy(absolute_seconds=10**6))
    shorter = SessionPolicy(absolute_seconds=500)

    assert is_alive(state, AT + 499, shorter)
    assert not is_alive(state, AT + 500, shorter)


def test_touched() -> None:
    """A use is noted once in a tenth of the idle time, as each note is a write."""
    state = session()
    noted = note_use(state, AT + 100.5, POLICY)

    assert note_use(state, AT + 99.9, POLICY) is None
    assert note_use(state, AT - 500, POLICY) is None
    assert noted == {**state, "internal": {**state["internal"], "used_at": AT + 100}}


def test_seconds_left() -> None:
    """A session is stored until the first of its limits."""
    state = session()
    used = {**state, "internal": {**state["internal"], "used_at": AT + 9_500}}

    assert 1_000 == seconds_left(state, AT, POLICY)
    assert 500 == seconds_left(used, AT + 9_500, POLICY)
    assert 1 == seconds_left(state, AT + 5_000, POLICY)


def test_find_token() -> None:
    """A token is found by its audience, or without one if none was requested (D11)."""
    state = merge(session(), response("at-2"), audience=API)

    assert "at-1" == find_token(state, None, None, NOW)
    assert "at-1" == find_token(state, "default", None, NOW)
    assert "at-2" == find_token(state, API, None, NOW)
    assert find_token(state, API + "/", None, NOW) is None


def test_find_token_by_scope() -> None:
    """A token serves callers that need no more scope than was granted or requested."""
    state = session(
        response(scope="openid read:data"), scope="openid read:data offline_access"
    )

    for scope in (None, "", "openid", "read:data  openid", "offline_access"):
        assert "at-1" == find_token(state, None, scope, NOW)
    for scope in ("write:data", "openid write:data", "read", "OPENID"):
        assert find_token(state, None, scope, NOW) is None


def test_find_token_without_scope() -> None:
    """A token without a known scope serves only callers that need none (D12)."""
    state = session(response(scope=None), scope=None)

    assert "at-1" == find_token(state, None, None, NOW)
    assert find_token(state, None, "openid", NOW) is None


def test_find_token_in_time() -> None:
    """A token is good until its expiry; callers add their own margin."""
    state, margin = session(), 60

    assert "at-1" == find_token(state, None, None, AT + 599.9)
    assert find_token(state, None, None, AT + 600) is None
    assert find_token(state, None, None, AT + 540 + margin) is None
    assert "at-1" == find_token(state, None, None, AT + 539 + margin)


def test_find_token_past_others() -> None:
    """A token that has expired does not hide one that has not."""
    state = session()
    state["token_sets"] = [
        {**state["token_sets"][0], "expires_at": AT - 1},
        {**state["token_sets"][0], "access_token": "at-2"},
    ]

    assert "at-2" == find_token(state, None, None, NOW)


def test_found_token_does_not_print() -> None:
    """A found token does not print."""
    assert isinstance(find_token(session(), None, None, NOW), SecretStr)


def test_replaced() -> None:
    """New tokens replace those for the same audience and the same scope, or less."""
    state = session(scope="openid")
    same = merge(state, response("at-2"), scope="openid")
    more = merge(state, response("at-2", scope="openid read:data x"), scope="openid")

    assert ["at-2"] == list_tokens(same) == list_tokens(more)


def test_kept_beside() -> None:
    """New tokens for another audience, or with less scope, join the old ones."""
    state = session()

    assert ["at-1", "at-2"] == list_tokens(merge(state, response("at-2"), audience=API))
    assert ["at-1", "at-2"] == list_tokens(
        merge(state, response("at-2", scope="openid"), scope="openid")
    )


def test_merged_without_audience_or_scope() -> None:
    """Tokens of a refresh without audience and scope are found without them (D11, D12)."""
    state = session(response(scope=None), scope=None)
    for number in range(3):
        state = merge(state, response(f"at-{number}", scope=None))

    assert ["at-2"] == list_tokens(state)
    assert "at-2" == find_token(state, None, None, NOW)


def test_expired_dropped() -> None:
    """Expired tokens leave when new ones join."""
    state = merge(session(), response("at-2", expires_in=None), audience=API)
    later = merge(state, response("at-3"), audience="https://b", now=AT + 600.0)

    assert ["at-2", "at-3"] == list_tokens(later)


def test_missing_tokens_kept() -> None:
    """A response without refresh token or ID token keeps the old ones (D12)."""
    bare = merge(session(), response("at-2", refresh_token=None, id_token=None))
    whole = merge(session(), response("at-2", refresh_token="rt-2", id_token="i.2"))

    assert ("rt-1", "id.token.1") == (bare["refresh_token"], bare["id_token"])
    assert ("rt-2", "i.2") == (whole["refresh_token"], whole["id_token"])


def test_merged_is_use() -> None:
    """Adding tokens counts as a use of the session, and changes no other limit."""
    state = session()
    later = merge(state, response("at-2"), now=NOW + 700)

    assert later["internal"] == {**state["internal"], "used_at": AT + 700}


def test_scope_of() -> None:
    """The scope of an audience's tokens is found, to be requested again."""
    state = merge(session(), response("at-2", scope=None), audience=API)

    assert "openid read:data" == find_scope(state, None) == find_scope(state, "default")
    assert find_scope(state, API) is None
    assert find_scope(state, "https://other.example.com") is None


def id_token(payload: object) -> str:
    """Return an ID token, unsigned, with *payload*."""
    octets = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return f"head.{urlsafe_b64encode(octets).rstrip(b'=').decode()}.signature"


def test_id_token_expiry() -> None:
    """The expiry of the session's ID token is read from the token."""
    for exp in (AT, AT + 0.5):
        state = session(response(id_token=id_token({"exp": exp})))
        assert exp == id_token_expiry(state)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "opaque",
        "a.b",
        "a.ü.c",
        "a.!!.c",
        id_token({}),
        id_token({"exp": None}),
        id_token({"exp": "soon"}),
        id_token({"exp": 10**400}),
        id_token([]),
        id_token(7),
        id_token(b"\xff"),
        id_token(b"[" * 100_000),
    ],
    ids=lambda text: str(text)[:20],
)
def test_no_id_token_expiry(text: str | None) -> None:
    """A missing ID token, or one without an expiry, has expired."""
    assert 0 == id_token_expiry(session(response(id_token=text)))


def test_with_user() -> None:
    """A newer ID token replaces the user, without the claims about the token."""
    newer = {"sub": "auth0|alice", "name": "Alice B.", "at_hash": "h2", "nonce": "n2"}

    assert {**session(), "user": {"sub": "auth0|alice", "name": "Alice B."}} == (
        with_user(session(), newer)
    )


def test_without_refresh_token() -> None:
    """A spent refresh token is removed, and the time noted; the rest stays."""
    state = session()
    left = without_refresh_token(state, NOW + 9)

    assert left == {
        **state,
        "refresh_token": None,
        "internal": {**state["internal"], "refresh_lost_at": AT + 9},
    }
    assert "at-1" == find_token(left, None, None, NOW)


def test_nothing_changes() -> None:
    """No function changes the session it is given."""
    state = read_session(write_session(session()))
    assert state is not None
    before = deepcopy({k: v for k, v in state.items() if k != "user"})
    note_use(state, NOW + 500, POLICY)
    merge(state, response("at-2"), now=NOW + 9_999)
    with_user(state, {"sub": "auth0|bob"})
    without_refresh_token(state, NOW)
    conceal_tokens(state)

    assert before == {k: v for k, v in state.items() if k != "user"}
    assert USER == state["user"]


def test_prints_no_token() -> None:
    """The application's copy of a session has the tokens, and does not print them."""
    state = conceal_tokens(
        json.loads(json.dumps(merge(session(), response("at-2"), audience=API)))
    )
    shown = repr(state)

    assert ["at-1", "at-2"] == list_tokens(state)
    assert "Alicë" in shown
    for token in ("at-1", "at-2", "rt-1", "id.token.1"):
        assert token not in shown


def test_exposed_without_tokens() -> None:
    """A missing token stays missing."""
    state = conceal_tokens(session(response(id_token=None, refresh_token=None)))

    assert (None, None) == (state["id_token"], state["refresh_token"])


def test_written_and_read() -> None:
    """A session is read as it was written, and its tokens do not print."""
    state = merge(session(), response("at-2", expires_in=None), audience=API)
    again = read_session(write_session(state))

    assert state == again
    assert "at-1" not in repr(again)
    assert "Alicë".encode() in write_session(state)


def test_half_a_surrogate_pair() -> None:
    """Half a surrogate pair, which JSON allows and UTF-8 does not, is read back unchanged."""
    state = session(claims={**CLAIMS, "name": "\ud800"})

    assert state == read_session(write_session(state))


GOOD = session()
SET = GOOD["token_sets"][0]
BROKEN: dict[str, Any] = {
    "a list": [GOOD],
    "null": None,
    "empty": {},
    **{f"no {name}": {k: v for k, v in GOOD.items() if k != name} for name in GOOD},
    **{
        f"no {name} in internal": {
            **GOOD,
            "internal": {k: v for k, v in GOOD["internal"].items() if k != name},
        }
        for name in GOOD["internal"]
    },
    **{
        f"no {name} in a token set": {
            **GOOD,
            "token_sets": [{k: v for k, v in SET.items() if k != name}],
        }
        for name in SET
        if name != "requested_scope"
    },
    **{f"{name} is a number": {**GOOD, name: 7} for name in GOOD},
    "a user without sub": {**GOOD, "user": {"name": "Alice"}},
    "a sub that is none": {**GOOD, "user": {"sub": None}},
    "a date that is text": {**GOOD, "internal": {**GOOD["internal"], "used_at": "7"}},
    "a date that is true": {**GOOD, "internal": {**GOOD["internal"], "used_at": True}},
    "a date beyond": {**GOOD, "internal": {**GOOD["internal"], "created_at": 10**400}},
    "a date before": {**GOOD, "internal": {**GOOD["internal"], "expires_at": -1}},
    "a token set that is none": {**GOOD, "token_sets": [SET, None]},
    "an expiry that is text": {**GOOD, "token_sets": [{**SET, "expires_at": "7"}]},
    "an expiry beyond": {**GOOD, "token_sets": [{**SET, "expires_at": 10**400}]},
    "a scope that is a list": {**GOOD, "token_sets": [{**SET, "scope": ["openid"]}]},
    "an asked scope": {**GOOD, "token_sets": [{**SET, "requested_scope": 7}]},
    "an audience that is none": {**GOOD, "token_sets": [{**SET, "audience": None}]},
    "an access token that is none": {
        **GOOD,
        "token_sets": [{**SET, "access_token": None}],
    },
}


@pytest.mark.parametrize("state", BROKEN.values(), ids=BROKEN)
def test_no_session(state: object) -> None:
    """Anything but a session of this version is refused."""
    assert not is_session(state)
    assert read_session(json.dumps(state).encode()) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"session",
        b"\xff",
        b"{",
        b'"\\ud8"',
        b"[" * 100_000,
        b"9" * 5_000,
        b"\x80N.",
    ],
    ids=lambda payload: repr(payload[:9]),
)
def test_no_json(payload: bytes) -> None:
    """Anything but JSON is refused, and nothing is raised (F14, F21)."""
    assert read_session(payload) is None


@given(st.binary(max_size=200))
def test_any_octets(payload: bytes) -> None:
    """Random bytes are refused, and nothing is raised."""
    assert read_session(payload) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 2 * AT)
    | st.floats()
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=3) | st.sampled_from([*GOOD["internal"], *SET, "sub"]),
            inner,
        )
    ),
    max_leaves=8,
)


def mutate(good: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return *good* with some members replaced by anything."""
    changes = st.dictionaries(st.sampled_from([*good, "x"]), JSON, max_size=2)
    return changes.map(lambda members: {**good, **members})


STATES = st.builds(
    lambda state, user, internal, sets: {
        **state,
        **({"user": user} if "user" in state else {}),
        "internal": internal,
        "token_sets": sets,
    },
    mutate(GOOD),
    mutate(USER),
    mutate(GOOD["internal"]),
    st.lists(mutate(SET), max_size=2),
)


@given(STATES | mutate(GOOD), st.sampled_from([None, API, "default"]))
def test_any_state(state: dict[str, Any], audience: str | None) -> None:
    """Every function here works on everything that is accepted as a session."""
    read = read_session(json.dumps(state).encode())
    if read is None:
        assert not is_session(state)
        return

    assert write_session(read) == write_session(read_session(write_session(read)) or {})
    is_alive(read, NOW, POLICY)
    id_token_expiry(read)
    for session_state in (
        read,
        note_use(read, NOW + 10**6, POLICY) or read,
        merge(read, response("at-9"), audience=audience),
        with_user(read, CLAIMS),
        without_refresh_token(read, NOW),
    ):
        assert is_session(session_state)
        assert "at-9" not in repr(conceal_tokens(session_state))
        labels = index_labels(Application("https://t/", "the-client"), session_state)
        assert ["index", "index"] == [label.partition(":")[0] for label in labels]
        assert seconds_left(session_state, NOW, POLICY) >= 1
        find_token(session_state, audience, "openid x", NOW)
        find_scope(session_state, audience)
    assert "at-9" in list_tokens(merge(read, response("at-9"), audience=audience))
