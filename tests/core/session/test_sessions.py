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
    add_access_token,
    ceiling_problem,
    conceal_tokens,
    create_state,
    file_tokens,
    find_token_set,
    has_fresh_id_token,
    is_alive,
    is_session,
    note_use,
    read_id_token_dates,
    read_session,
    renew_user,
    replace_refresh_token,
    seconds_left,
    select_user_claims,
    without_refresh_token,
    write_session,
)
from auth0_tx.core.session.store import Application, index_labels
from auth0_tx.values import SessionPolicy, TokenExchangeResponse

NOW = 1_700_000_000.5
AT = 1_700_000_000
POLICY = SessionPolicy(idle_seconds=1_000, absolute_seconds=10_000)
API = "https://api.example.com"
ISSUER = "https://tenant.us.auth0.com/"
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
    """Return a session that a new access token has joined."""
    given = {"audience": None, "scope": None, "now": NOW, **changes}
    return add_access_token(state, issued, **given)


def find_token(
    state: dict[str, Any],
    audience: str | None,
    scope: str | None,
    now: float,
    margin: float = 0.0,
) -> str | None:
    """Return the access token that is found, if one is."""
    found = find_token_set(state, audience, scope, now, margin)
    return None if found is None else str(found["access_token"])


def access_token(audience: object = ..., **claims: Any) -> str:
    """Return an access token that is a JWT, unsigned, for *audience*."""
    return id_token({"aud": audience, **claims} if audience is not ... else claims)


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
                "aud": None,
                "access_token": "at-1",
                "scope": "openid read:data",
                "requested_scope": "openid read:data",
                "issued_at": AT,
                "expires_at": AT + 600,
            }
        ],
        "domain": "tenant.us.auth0.com",
        "internal": {
            "id": "id-1",
            "audience": "default",
            "scopes": {"default": "openid read:data"},
            "sid": "id-1",
            "created_at": AT,
            "used_at": NOW,
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
    """A session ends when nobody has used it for the idle time, and not before.

    Whole seconds would take up to one from it: all of it, where it is one second.
    """
    state = session()

    assert is_alive(state, NOW + 999.9, POLICY)
    assert not is_alive(state, NOW + 1_000, POLICY)


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
    assert noted == {**state, "internal": {**state["internal"], "used_at": AT + 100.5}}


def test_seconds_left() -> None:
    """A session is stored until the first of its limits."""
    state = session()
    used = {**state, "internal": {**state["internal"], "used_at": AT + 9_500}}

    assert 1_000 == seconds_left(state, NOW, POLICY)
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
    assert find_token(state, None, None, AT + 540, margin) is None
    assert "at-1" == find_token(state, None, None, AT + 539.9, margin)


def test_margin_of_a_short_life() -> None:
    """The margin is at most a fifth of a token's lifetime."""
    state = session(response(expires_in=45))

    assert "at-1" == find_token(state, None, None, AT + 35.9, 60)
    assert find_token(state, None, None, AT + 36, 60) is None


def test_find_token_past_others() -> None:
    """A token that has expired does not hide one that has not."""
    state = session()
    state["token_sets"] = [
        {**state["token_sets"][0], "expires_at": AT - 1},
        {**state["token_sets"][0], "access_token": "at-2"},
    ]

    assert "at-2" == find_token(state, None, None, NOW)


@pytest.mark.parametrize(
    ("expiries", "found"),
    [
        ((AT + 9, AT + 30, AT + 20), 1),
        ((None, AT + 9), 1),
        ((AT + 9, None), 0),
        ((AT + 9, AT + 9), 1),
        ((None, None), 1),
    ],
    ids=str,
)
def test_longest(expiries: tuple[int | None, ...], found: int) -> None:
    """Of several that serve, the one that is known to last longest is taken; else the newest."""
    state = session()
    (first,) = state["token_sets"]
    state["token_sets"] = [
        {**first, "access_token": f"at-{number}", "expires_at": expires}
        for number, expires in enumerate(expiries)
    ]

    assert f"at-{found}" == find_token(state, None, None, NOW)


def test_narrow_scope_is_not_for_all() -> None:
    """A token with less scope than usual does not serve callers who name none."""
    state = session(scope="openid read:data write:data")
    later = merge(
        state,
        response("at-2", scope="read:data", expires_in=9_000),
        scope="read:data",
    )
    expired = {**later, "token_sets": later["token_sets"][1:]}

    assert ["at-1", "at-2"] == list_tokens(later)
    assert "at-2" == find_token(later, None, "read:data", NOW)
    assert "at-1" == find_token(later, None, None, NOW)
    assert find_token(expired, None, None, NOW) is None


def test_usual_scope_of_another_audience() -> None:
    """What an audience gets unasked is what a request without a scope brought."""
    state = merge(session(), response("at-2", scope="a b"), audience=API, scope="a b")
    known = merge(state, response("at-3", scope="a"), audience=API)
    narrow = merge(known, response("at-4", scope="b"), audience=API, scope="b")

    assert "scopes" in state["internal"]
    assert API not in state["internal"]["scopes"]
    assert find_token(state, API, None, NOW) is None
    assert "a" == known["internal"]["scopes"][API] == narrow["internal"]["scopes"][API]
    assert find_token(known, API, None, NOW) is not None
    assert "at-4" == find_token(narrow, API, "b", NOW)
    assert "at-4" != find_token(narrow, API, None, NOW)


def test_unknown_scope_is_not_replaced_by_less() -> None:
    """A token with less scope does not replace one of unknown scope, which serves all."""
    state = session(response(scope=None), scope=None)
    later = merge(state, response("at-2", scope="x"), scope="x")

    assert ["at-1", "at-2"] == list_tokens(later)
    assert "at-1" == find_token(later, None, None, NOW)


# What a token is: the audience and the expiry that it names.


def test_token_that_names_its_audience() -> None:
    """The audience and expiry that a token names are kept beside what was asked for."""
    token = access_token([API, f"{ISSUER}userinfo"], exp=AT + 300.7)
    (made,) = session(response(token), audience=API)["token_sets"]

    assert (API, [API, f"{ISSUER}userinfo"]) == (made["audience"], made["aud"])
    assert AT + 300 == made["expires_at"]


@pytest.mark.parametrize(
    ("expires_in", "exp", "expires_at"),
    [
        (600, AT + 900, AT + 600),
        (600, AT + 300, AT + 300),
        (None, AT + 300, AT + 300),
        (600, ..., AT + 600),
        (600, "soon", AT + 600),
        (None, ..., None),
    ],
)
def test_expiry(expires_in: int | None, exp: object, expires_at: int | None) -> None:
    """A token expires at the first of what the answer and the token say."""
    claims = {} if exp is ... else {"exp": exp}
    state = session(response(access_token(**claims), expires_in=expires_in))

    assert expires_at == state["token_sets"][0]["expires_at"]


OTHER = "https://other.example.com"
USERINFO = "https://tenant.us.auth0.com/userinfo"


@pytest.mark.parametrize(
    ("login", "asked", "named", "filed"),
    [
        (API, None, ..., API),
        (API, OTHER, ..., OTHER),
        (API, OTHER, 7, OTHER),
        (API, OTHER, [], OTHER),
        (API, OTHER, OTHER, OTHER),
        (API, OTHER, [USERINFO, OTHER, API], OTHER),
        (API, OTHER, [API, USERINFO], API),
        (API, None, OTHER, OTHER),
        (API, OTHER, [USERINFO, "urn:third"], "urn:third"),
        (API, OTHER, USERINFO, USERINFO),
        (None, None, API, "default"),
        (None, "default", API, "default"),
        (None, OTHER, ["urn:first"], "default"),
        (None, OTHER, API, API),
        (API, "default", API, "default"),
    ],
    ids=str,
)
def test_filing(
    login: str | None, asked: str | None, named: object, filed: str
) -> None:
    """A token is kept under an audience that it names, whatever was asked for."""
    state = session(response(access_token(login or "urn:first")), audience=login)
    issued = response(access_token(named))
    new = file_tokens(state, issued, audience=asked, scope="x", now=NOW)
    later = merge(state, issued, audience=asked, scope="x")

    assert filed == new["audience"]
    assert new == later["token_sets"][-1]


def test_filing_at_login() -> None:
    """A login's token for another API than was asked for does not serve that one."""
    state = session(response(access_token(OTHER)), audience=API)

    assert [OTHER] == [each["audience"] for each in state["token_sets"]]
    assert find_token(state, None, None, NOW) is None
    assert find_token(state, API, None, NOW) is None
    assert find_token(state, OTHER, None, NOW) is not None


def test_scope_of_another_audience() -> None:
    """A scope asked for one API is not counted for the API that the token is for."""
    state = session(response(access_token(API), scope="openid"), audience=API)
    issued = response(access_token(API), scope="openid")
    later = merge(state, issued, audience=OTHER, scope="bills")

    assert find_token(later, API, "bills", NOW) is None
    assert find_token(later, API, "openid", NOW) is not None


def test_scope_that_is_left_out() -> None:
    """Without a scope in request and answer it is what the audience gets unasked."""
    state = merge(session(), response("at-2", scope=None))
    other = merge(session(), response("at-2", scope=None), audience=API)
    asked = merge(session(), response("at-2", scope=None), scope="openid")

    assert "openid read:data" == state["token_sets"][-1]["scope"]
    assert other["token_sets"][-1]["scope"] is None
    assert find_token(other, API, "openid", NOW) is None
    assert "openid" == asked["token_sets"][-1]["requested_scope"]


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


def test_refresh_token() -> None:
    """A new refresh token takes the place of the one that was spent for it, and no other."""
    state = session()

    assert "rt-2" == replace_refresh_token(state, "rt-1", "rt-2")["refresh_token"]
    assert state == replace_refresh_token(state, "rt-1", None)
    assert state == replace_refresh_token(state, "rt-0", "rt-2")


def test_merged_is_use() -> None:
    """Adding tokens counts as a use of the session, and changes no other limit."""
    state = session()
    later = merge(state, response("at-2"), now=NOW + 700)
    earlier = merge(later, response("at-3"), now=NOW)

    assert later["internal"] == {**state["internal"], "used_at": NOW + 700}
    assert NOW + 700 == earlier["internal"]["used_at"]


def id_token(payload: object) -> str:
    """Return an ID token, unsigned, with *payload*."""
    octets = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return f"head.{urlsafe_b64encode(octets).rstrip(b'=').decode()}.signature"


def test_id_token_dates() -> None:
    """The dates of the session's ID token are read from the token."""
    for exp in (AT, AT + 0.5):
        state = session(response(id_token=id_token({"iat": AT - 9, "exp": exp})))
        assert (AT - 9, exp) == read_id_token_dates(state)


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
        id_token({"exp": AT}),
        id_token({"iat": AT, "exp": None}),
        id_token({"iat": "now", "exp": AT}),
        id_token({"iat": AT, "exp": 10**400}),
        id_token([]),
        id_token(7),
        id_token(b"\xff"),
        id_token(b"[" * 100_000),
    ],
    ids=lambda text: str(text)[:20],
)
def test_no_id_token_dates(text: str | None) -> None:
    """A missing ID token, or one without dates, has expired."""
    state = session(response(id_token=text))

    assert (0, 0) == read_id_token_dates(state)
    assert not has_fresh_id_token(state, NOW)


@pytest.mark.parametrize(("lifetime", "margin"), [(600, 60), (45, 9), (300, 60)])
def test_fresh_id_token(lifetime: int, margin: int) -> None:
    """An ID token is fresh until a margin before it expires, at most a fifth of its life."""
    dates = {"iat": AT, "exp": AT + lifetime}
    state, end = session(response(id_token=id_token(dates))), AT + lifetime

    assert has_fresh_id_token(state, end - margin - 0.1, 60)
    assert not has_fresh_id_token(state, end - margin, 60)
    assert has_fresh_id_token(state, end - 0.1)
    assert not has_fresh_id_token(state, end)


def renew(state: dict[str, Any], takes_actor: bool = False, **claims: Any) -> Any:
    """Return a session with a newer ID token of its user."""
    said = {"sub": "auth0|alice", "name": "Alice B.", "at_hash": "h2", **claims}
    return renew_user(state, "i.2", said, policy=POLICY, takes_actor=takes_actor)


def test_newer_user() -> None:
    """A newer ID token replaces the user, without the claims about the token."""
    state = session(claims={"sub": "auth0|alice", "email": "old"})

    assert {
        **state,
        "id_token": "i.2",
        "user": {"sub": "auth0|alice", "name": "Alice B."},
    } == renew(state)


@pytest.mark.parametrize("sid", ["sid-2", None, 7])
def test_newer_user_keeps_its_session(sid: object) -> None:
    """A newer ID token changes neither the session's sid nor who acts."""
    acted = session(claims={**CLAIMS, "sid": "sid-1"})
    later = renew(acted, act={"sub": "auth0|other"}, sid=sid)
    unnamed = renew(session(), sid=sid)

    assert ("sid-1", CLAIMS["act"]) == (later["user"]["sid"], later["user"]["act"])
    assert "sid-1" == later["internal"]["sid"]
    assert "sid" not in unnamed["user"]


def test_newer_actor() -> None:
    """Where nobody acted, or the tokens are another exchange's, who acts is taken over."""
    act, plain = {"sub": "auth0|other"}, {"sub": "auth0|alice"}

    assert act == renew(session(claims=plain), act=act)["user"]["act"]
    assert act == renew(session(), takes_actor=True, act=act)["user"]["act"]
    assert "act" not in renew(session(), takes_actor=True)["user"]


@pytest.mark.parametrize(
    ("ceiling", "ends"),
    [
        (AT + 100, AT + 100),
        (AT + 500.9, AT + 500),
        (10**300, AT + 10_000),
        (AT - 100, AT - 100),
        (-5, 0),
    ],
)
def test_newer_ceiling(ceiling: float, ends: int) -> None:
    """A newer ceiling counts, be it sooner or later, up to the absolute lifetime."""
    state = session(claims={**CLAIMS, "session_expiry": AT + 300})
    later = renew(state, session_expiry=ceiling)

    assert ends == later["internal"]["expires_at"]
    assert is_session(later)


def test_no_newer_ceiling() -> None:
    """An ID token without a ceiling leaves the one that the session has."""
    state = session(claims={**CLAIMS, "session_expiry": AT + 300})

    assert AT + 300 == renew(state)["internal"]["expires_at"]


@pytest.mark.parametrize("ceiling", [None, "soon", True, [AT], {}], ids=repr)
def test_newer_ceiling_that_is_no_date(ceiling: object) -> None:
    """With a ceiling that isn't a date, the session keeps the user that it had."""
    assert session() == renew(session(), session_expiry=ceiling)


def test_select_user_claims() -> None:
    """The claims of an ID token about itself are not about its user."""
    claims = {"sub": "auth0|alice", "name": "Alice B.", "at_hash": "h2", "nonce": "n2"}

    assert {"sub": "auth0|alice", "name": "Alice B."} == select_user_claims(claims)


def test_without_refresh_token() -> None:
    """A refused refresh token is removed, and the time noted; the rest stays."""
    state = session()
    left = without_refresh_token(state, "rt-1", NOW + 9)

    assert left == {
        **state,
        "refresh_token": None,
        "internal": {**state["internal"], "refresh_lost_at": AT + 9},
    }
    assert "at-1" == find_token(left, None, None, NOW)


def test_without_another_refresh_token() -> None:
    """A refresh token that came in the meantime is not removed."""
    assert session() == without_refresh_token(session(), "rt-0", NOW)


def test_nothing_changes() -> None:
    """No function changes the session it is given."""
    state = read_session(write_session(session()))
    assert state is not None
    before = deepcopy({k: v for k, v in state.items() if k != "user"})
    note_use(state, NOW + 500, POLICY)
    merge(state, response("at-2"), now=NOW + 9_999)
    without_refresh_token(state, "rt-1", NOW)
    replace_refresh_token(state, "rt-1", "rt-2")
    renew(state, act={"sub": "x"}, session_expiry=AT + 1)
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
    "scopes that are a list": {**GOOD, "internal": {**GOOD["internal"], "scopes": []}},
    "a usual scope that is none": {
        **GOOD,
        "internal": {**GOOD["internal"], "scopes": {API: None}},
    },
    "audiences that are text": {**GOOD, "token_sets": [{**SET, "aud": API}]},
    "audiences that are numbers": {**GOOD, "token_sets": [{**SET, "aud": [7]}]},
    "an issue that is half a date": {
        **GOOD,
        "token_sets": [{**SET, "issued_at": AT + 0.5}],
    },
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
    read_id_token_dates(read)
    has_fresh_id_token(read, NOW, 60)
    for session_state in (
        read,
        note_use(read, NOW + 10**6, POLICY) or read,
        merge(read, response("at-9"), audience=audience),
        renew(read, session_expiry=AT),
        replace_refresh_token(read, read["refresh_token"], "rt-9"),
        without_refresh_token(read, read["refresh_token"] or "", NOW),
    ):
        assert is_session(session_state)
        assert "at-9" not in repr(conceal_tokens(session_state))
        labels = index_labels(Application("https://t/", "the-client"), session_state)
        assert ["index", "index"] == [label.partition(":")[0] for label in labels]
        assert seconds_left(session_state, NOW, POLICY) >= 1
        find_token(session_state, audience, "openid x", NOW, 60)
        find_token(session_state, audience, None, NOW, 60)
    assert "at-9" in list_tokens(merge(read, response("at-9"), audience=audience))
