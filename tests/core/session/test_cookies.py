"""The cookies of a session: their names, their chunks, and the fields that set them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx.core.session.cookies import (
    CookieStore,
    SetCookie,
    cookie_name,
    format_set_cookie,
    join,
    list_session_cookies,
    parse_cookie_name,
    parse_cookies,
    split,
    vary_on_cookies,
)

NAME = "__Host-auth0_tx"
SMALL = CookieStore(longest_chunk=4, most_chunks=3)
SEALED = st.text("ABCxyz019-_.", min_size=1, max_size=40)

# What other code of the same site may call its cookies.
FOREIGN = [
    "auth0_tx",
    "auth0_tx.theme",
    "auth0_tx_session_theme",
    "__Host-auth0_tx.",
    "__Host-auth0_tx.theme",
    "__Host-auth0_tx.0.theme",
    "__Host-auth0_tx._0",
    "__Host-auth0_tx.-1",
    "__Host-auth0_tx.+1",
    "__Host-auth0_tx. 1",
    "__Host-auth0_tx.1.0",
    "__Host-auth0_tx.\u0661",
    "__Host-auth0_tx.²",
    "__Host-auth0_tx.100000",
    "__Host-auth0_tx_0",
    "__Host-auth0_tx0",
    "__host-auth0_tx.0",
    "\udcff",
    "",
]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param(";;;=;==;", {}, id="nothing"),
        pytest.param(f"{NAME}=a; theme=dark", {NAME: "a", "theme": "dark"}, id="two"),
        pytest.param(f"{NAME}=a;b=c", {NAME: "a", "b": "c"}, id="no space"),
        pytest.param(f"\t {NAME} \t=\t a \t", {NAME: "a"}, id="space and tab"),
        pytest.param(f"{NAME}=", {NAME: ""}, id="no value"),
        pytest.param(NAME, {}, id="no equals sign"),
        pytest.param(f"={NAME}=a", {}, id="no name"),
        pytest.param(f"{NAME}=a=b==", {NAME: "a=b=="}, id="equals signs"),
        pytest.param(f'{NAME}="a"', {NAME: '"a"'}, id="quotes"),
        pytest.param(
            f'a="b; {NAME}=x"', {"a": '"b', NAME: 'x"'}, id="a semicolon in quotes"
        ),
        pytest.param(f"a=b, {NAME}=x", {"a": f"b, {NAME}=x"}, id="comma"),
        pytest.param(f"{NAME}=%41", {NAME: "%41"}, id="percent"),
        *(
            pytest.param(
                f"{space}{NAME}=x", {f"{space}{NAME}": "x"}, id=f"U+{ord(space):04X}"
            )
            for space in "\x00\x0b\x0c\x1c\x1f\x85\xa0\u2000\u3000\ufeff"
        ),
        pytest.param(f"\xe2\x80\x80{NAME}=x", {f"\xe2\x80\x80{NAME}": "x"}, id="raw"),
        pytest.param(
            f"{NAME.lower()}=x; {NAME.upper()}=y; {NAME}=a",
            {NAME.lower(): "x", NAME.upper(): "y", NAME: "a"},
            id="another case",
        ),
        pytest.param(
            f"{NAME}=a; {NAME}=b; c=d", {"c": "d"}, id="a prefixed name twice"
        ),
        pytest.param(f"{NAME}=a; {NAME}=a; {NAME}=a", {}, id="thrice, the same"),
        pytest.param("__Secure-a=1; __Secure-a=2", {}, id="another prefix"),
        pytest.param("a=1; a=2", {"a": "1"}, id="a plain name twice"),
    ],
)
def test_reads_what_a_browser_wrote(field: str, expected: dict[str, str]) -> None:
    """A field is split at semicolons; names are exact, and nothing else is undone."""
    cookies = parse_cookies(field)

    assert expected == cookies
    assert all("redacted" in repr(value) for value in cookies.values())


@given(
    st.text() | st.lists(st.sampled_from([NAME, "=", ";", " ", ",", '"'])).map("".join)
)
def test_reads_any_field(field: str) -> None:
    """Whatever a field holds, names and values are parts of it, without semicolons."""
    for name, value in parse_cookies(field).items():
        assert name in field
        assert value in field
        assert ";" not in name + value
        assert "=" not in name


@given(SEALED, st.integers(1, 50), st.integers(1, 60))
def test_joins_what_was_split(text: str, size: int, most: int) -> None:
    """A split text can be joined again, unless it takes too many cookies."""
    store = CookieStore(longest_chunk=size, most_chunks=most)

    chunks = split(NAME, text, store)

    assert (len(text) > size * most) is (chunks is None)
    if chunks is not None:
        assert text == join(NAME, chunks, store)
        assert [] == [chunk for chunk in chunks.values() if len(chunk) > size]
        assert list(chunks) == list_session_cookies(NAME, chunks, most=most)


@given(SEALED, st.dictionaries(st.sampled_from(FOREIGN), st.text()))
def test_what_is_not_ours_changes_nothing(text: str, others: dict[str, str]) -> None:
    """Cookies whose names only begin like ours are neither joined nor deleted."""
    store = CookieStore(longest_chunk=4, most_chunks=10)
    chunks = split(NAME, text, store)
    assert chunks is not None

    cookies = {**others, **chunks}

    assert text == join(NAME, cookies, store)
    assert list(chunks) == list_session_cookies(NAME, cookies, most=10)


@given(st.dictionaries(st.text() | st.just(NAME) | st.just(f"{NAME}.0"), st.text()))
def test_any_cookies_can_be_read(cookies: dict[str, str]) -> None:
    """Any cookies are joined to some text or to ``None``, and nothing is raised."""
    found = join(NAME, cookies, SMALL)

    assert found is None or isinstance(found, str)
    assert set(list_session_cookies(NAME, cookies)) <= set(cookies)


def test_one_cookie_where_one_will_do() -> None:
    """A text that just fits is one cookie, without a number."""
    assert {NAME: "1234"} == split(NAME, "1234", SMALL)


def test_several_cookies_are_numbered() -> None:
    """A longer text is several cookies, numbered from 0."""
    expected = {f"{NAME}.0": "1234", f"{NAME}.1": "5678", f"{NAME}.2": "9"}

    assert expected == split(NAME, "123456789", SMALL)


@pytest.mark.parametrize(
    ("length", "fits"), [(12, True), (13, False), (131_072, False)], ids=str
)
def test_cookies_are_bounded(length: int, fits: bool) -> None:
    """A text that takes more cookies than allowed isn't split at all."""
    assert fits is (split(NAME, "x" * length, SMALL) is not None)


def test_default_bounds() -> None:
    """By default a cookie fits into 4,096 bytes with its name, and all into 7,000."""
    store = CookieStore()
    longest = split(f"__Secure-{'n' * 64}", "x" * 7_000, store)

    assert longest is not None
    assert 4_096 > max(len(name) + 1 + len(value) for name, value in longest.items())
    assert split(NAME, "x" * 7_001, store) is None


@pytest.mark.parametrize(
    ("cookies", "expected"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({".1": "5678", ".2": "9"}, None, id="the first is missing"),
        pytest.param({".0": "1234", ".2": "9"}, "1234", id="one between is missing"),
        pytest.param(
            {".0": "1234", ".1": "5678"}, "12345678", id="the last is missing"
        ),
        pytest.param(
            {".0": "5678", ".1": "1234", ".2": "9"}, "567812349", id="swapped"
        ),
        pytest.param({".0": "", ".1": ""}, None, id="empty chunks"),
        pytest.param({"": ""}, None, id="empty"),
        pytest.param({"": "", ".0": "1234"}, "1234", id="empty, and a chunk"),
        pytest.param({"": '""', ".0": "1234"}, "1234", id="deleted, and a chunk"),
        pytest.param({".0": "1234", ".1": '""'}, "1234", id="a deleted chunk"),
        pytest.param(
            {"": "whole", ".0": "1234"}, "whole", id="whole, and an old chunk"
        ),
        pytest.param(
            {".0": "a", ".1": "b", ".2": "c", ".3": "old"}, None, id="too many chunks"
        ),
    ],
)
def test_chunks_that_are_not_as_they_were(
    cookies: dict[str, str], expected: str | None
) -> None:
    """Chunks are joined in order up to a gap; the seal refuses the result."""
    sent = {f"{NAME}{suffix}": value for suffix, value in cookies.items()}

    assert expected == join(NAME, sent, SMALL)


@pytest.mark.parametrize(("most", "found"), [(0, 3), (2, 3), (8, 3), (9, 4), (20, 4)])
def test_finds_all_that_a_session_left(most: int, found: int) -> None:
    """The whole cookie and the numbers that may be ours are found, and no more than that."""
    sent = [NAME, f"{NAME}.0", f"{NAME}.7", f"{NAME}.8", f"{NAME}.99", *FOREIGN]

    assert sent[:found] == list_session_cookies(NAME, sent, most=most)


def test_made_up_chunks() -> None:
    """However many chunks a visitor makes up, few are found."""
    sent = [f"{NAME}.{number}" for number in range(1_000)]

    assert 8 == len(list_session_cookies(NAME, sent, most=2))


def test_finds_chunks_with_another_mark() -> None:
    """Auth0's own SDK puts an underscore before its numbers."""
    sent = ["_a0_session_0", "_a0_session_theme", "_a0_session_é", "_a0_session.1"]

    assert ["_a0_session_0"] == list_session_cookies("_a0_session", sent, mark="_")


@pytest.mark.parametrize(
    ("expected", "secure", "domain", "path"),
    [
        ("__Host-auth0_tx", True, None, "/"),
        ("__Secure-auth0_tx", True, "example.com", "/"),
        ("__Secure-auth0_tx", True, None, "/app"),
        ("auth0_tx", False, None, "/"),
        ("auth0_tx", False, "example.com", "/app"),
    ],
)
def test_prefix_is_the_strictest_that_holds(
    expected: str, secure: bool, domain: str | None, path: str
) -> None:
    """A name has the strictest prefix that its attributes allow."""
    assert expected == cookie_name("auth0_tx", secure=secure, domain=domain, path=path)


def test_field_of_a_cookie() -> None:
    """A cookie's field has each of its attributes."""
    cookie = SetCookie(name=NAME, value="sealed", max_age=60)

    expected = (
        "__Host-auth0_tx=sealed; Max-Age=60; Path=/; SameSite=Lax; HttpOnly; Secure"
    )
    assert expected == format_set_cookie(cookie)


def test_field_of_a_deleted_cookie() -> None:
    """A cookie is deleted with the attributes it was set with, or browsers keep it."""
    cookie = SetCookie(
        name="auth0_tx",
        value="",
        max_age=0,
        path="/app",
        domain="example.com",
        secure=False,
        same_site="strict",
    )

    expected = (
        "auth0_tx=; Max-Age=0; Path=/app; SameSite=Strict; HttpOnly; Domain=example.com"
    )
    assert expected == format_set_cookie(cookie)


def test_value_does_not_print() -> None:
    """A cookie to set does not show its value."""
    assert "sealed" not in repr(SetCookie(name=NAME, value="sealed", max_age=60))


@pytest.mark.parametrize(
    ("expected", "field"),
    [
        (NAME, f"{NAME}=a=b; Path=/"),
        ("theme", " theme =dark"),
        ("flag", "flag; Secure"),
        ("", "=x"),
    ],
)
def test_name_in_a_field(expected: str, field: str) -> None:
    """A field names its cookie before the first equals sign."""
    assert expected == parse_cookie_name(field)


@pytest.mark.parametrize(
    ("expected", "fields"),
    [
        ("Cookie", []),
        ("Cookie", [""]),
        ("Accept, Cookie", ["Accept"]),
        ("Accept, Origin, Cookie", ["Accept", "Origin"]),
        ("Accept,cookie", ["Accept,cookie"]),
        ("Accept, COOKIE", ["Accept", "COOKIE"]),
        ("X-Cookie, Cookie", ["X-Cookie"]),
        ("*", ["*"]),
    ],
)
def test_vary_names_the_cookies_once(expected: str, fields: list[str]) -> None:
    """``Vary`` keeps what it named and names ``Cookie`` once; an asterisk stays alone."""
    assert expected == vary_on_cookies(fields)
