"""Every method of ``str`` and ``bytes``: a secret's results are equal, and do not print.

The methods are those of the running Python, so a new one that returns text is found.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from auth0_tx.secret import REDACTED, SecretBytes, SecretMapping, SecretStr

# Letters, separators, templates and white space, so that every method finds something to do.
# None makes a ``%r`` or ``%a`` of a template, which are redacted.
_CHARACTERS = "yzAß.-_{}%s \t\n"
texts = st.text(_CHARACTERS, max_size=12)
octets = st.text("yzA.-_{}%s \t\n", max_size=12).map(str.encode)
_indexes = st.integers(-12, 12)
_slices = st.builds(slice, *(st.none() | _indexes,) * 2, st.none() | st.just(2))
_widths = st.integers(0, 20)

Arguments = st.SearchStrategy[tuple[Any, ...]]


def _arguments_of(text: st.SearchStrategy[Any]) -> dict[str, Arguments]:
    """Return the arguments of each method that cannot do without."""
    nothing: Arguments = st.just(())
    one, two = st.tuples(text), st.tuples(text, text)
    return {
        **dict.fromkeys(("__add__", "__contains__", "__mod__", "__rmod__"), one),
        **dict.fromkeys(("count", "find", "index", "rfind", "rindex"), one),
        **dict.fromkeys(("endswith", "startswith", "partition", "rpartition"), one),
        **dict.fromkeys(("removeprefix", "removesuffix"), one),
        **dict.fromkeys(
            ("lstrip", "rstrip", "strip", "split", "rsplit"), nothing | one
        ),
        **dict.fromkeys(("center", "ljust", "rjust", "zfill"), st.tuples(_widths)),
        **dict.fromkeys(("__mul__", "__rmul__"), st.tuples(st.integers(-1, 3))),
        "__getitem__": st.tuples(_indexes | _slices),
        "join": st.tuples(st.lists(text, max_size=3)),
        "replace": two,
        "format": st.tuples(text),
        "format_map": st.tuples(st.just({"y": "z"})),
        "splitlines": st.tuples(st.booleans()),
        "__buffer__": st.just((0,)),
    }


ARGUMENTS = {
    str: {
        **_arguments_of(texts),
        "translate": st.just(({ord("y"): "z", ord("z"): None},)),
    },
    bytes: {
        **_arguments_of(octets),
        "translate": st.just((bytes(reversed(range(256))), b"y")),
        "hex": st.just(()) | st.just(("-", 2)),
    },
}
# The way to ask for the plain text.  The others take no part of the secret: they are static,
# or are given what they work on.
PLAIN = {
    str: {"__str__", "__format__", "maketrans"},
    bytes: {"__bytes__", "__buffer__", "__release_buffer__", "fromhex", "maketrans"},
}
OF_EVERY_OBJECT = set(dir(object))
KINDS: dict[type[Any], tuple[type[Any], st.SearchStrategy[Any]]] = {
    str: (SecretStr, texts),
    bytes: (SecretBytes, octets),
}
METHODS = [
    (plain, name)
    for plain in KINDS
    for name in dir(plain)
    if name not in OF_EVERY_OBJECT and name not in PLAIN[plain]
]


def _call(method: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Return the result, or the class of what was raised."""
    try:
        return method(*arguments)
    except Exception as error:
        return type(error)


def _list_texts(value: Any) -> Iterator[Any]:
    """Yield every text in a result."""
    if isinstance(value, str | bytes):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _list_texts(part)


@pytest.mark.parametrize(
    ("plain", "name"), METHODS, ids=lambda value: getattr(value, "__name__", value)
)
@settings(max_examples=20)
@given(data=st.data())
def test_method(plain: type[Any], name: str, data: st.DataObject) -> None:
    """A method returns what it returns of plain text, wrapped wherever it is text."""
    kind, values = KINDS[plain]
    value = data.draw(values)
    arguments = data.draw(ARGUMENTS[plain].get(name, st.just(())))
    expected = _call(getattr(value, name), arguments)
    if expected is TypeError:
        # Only a template can be at odds with what it is filled with.
        assert name in ("__mod__", "__rmod__"), "ARGUMENTS has none for this method"
    result = _call(getattr(kind(value), name), arguments)
    if name == "__iter__":
        expected, result = list(expected), list(result)

    assert expected == result
    assert [] == [
        text
        for text in _list_texts(result)
        if type(text) not in (SecretStr, SecretBytes)
    ]


@pytest.mark.parametrize("plain", KINDS)
@given(data=st.data())
def test_operators(plain: type[Any], data: st.DataObject) -> None:
    """On either side of an operator, a secret makes a secret, and changes no result."""
    kind, values = KINDS[plain]
    value, other, times = (
        data.draw(values),
        data.draw(values),
        data.draw(st.integers(0, 3)),
    )
    template = data.draw(st.sampled_from(["%s", "a%sb", "%%", "%5s|"]))
    template = template if plain is str else template.encode()
    secret = kind(value)

    results = {
        "after": (value + other, secret + other),
        "before": (other + value, other + secret),
        "both": (value + value, secret + secret),
        "times": (value * times, secret * times),
        "times, before": (times * value, times * secret),
        "into": (
            _call(lambda: template % value, ()),
            _call(lambda: template % secret, ()),
        ),
        "parts": (list(value), list(secret)),
        "reversed": (list(reversed(value)), list(reversed(secret))),
    }

    assert {} == {name: pair for name, pair in results.items() if pair[0] != pair[1]}
    assert [] == [
        name
        for name, (_, result) in results.items()
        for text in _list_texts(result)
        if type(text) is not kind
    ]


def test_plain() -> None:
    """What asks for the plain text gets it, and so do headers, forms and URLs."""
    token, body = SecretStr("needle"), SecretBytes(b"needle")

    plain = {
        "str": str(token),
        "f-string": f"{token}",
        "f-string with more": f"Bearer {token}",
        "format": format(token, "<8"),
        "str.format": "{}".format(token),  # noqa: UP032 (another way into format)
        "tuple of %": "%s %s" % (token, 1),  # noqa: UP031
        "join": "".join([token]),
        "decode": str(body, "ascii"),
    }
    assert [] == [name for name, text in plain.items() if type(text) is not str]
    assert [] == [name for name, text in plain.items() if "needle" not in text]
    assert (bytes, b"needle") == (type(bytes(body)), bytes(body))
    assert (bytes, b"needle") == (type(bytes(token, "ascii")), bytes(token, "ascii"))


def test_bytes_as_text() -> None:
    """Bytes that are formatted are redacted, as that shows them like ``repr`` does."""
    body = SecretBytes(b"needle")

    assert REDACTED == str(body) == f"{body}" == "%s" % body  # noqa: UP031
    assert 110 == body[0]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize(
    "value",
    [SecretStr("needle"), SecretBytes(b"needle"), SecretMapping({"k": SecretStr("n")})],
    ids=lambda value: type(value).__name__,
)
def test_copies(value: Any, duplicate: Callable[[Any], Any]) -> None:
    """A copy of a secret does not print either."""
    copied = duplicate({"k": value})["k"]

    assert (type(value), value) == (type(copied), copied)
    assert REDACTED == repr(copied)


def test_copy_of_a_mapping() -> None:
    """The copy that a mapping makes of itself does not print."""
    mapping = SecretMapping({"d": "needle"})

    assert (mapping, REDACTED) == (mapping.copy(), repr(mapping.copy()))


def test_other_kinds_of_text() -> None:
    """A subclass with an operator of its own is asked first, as it is by plain text."""
    token = SecretStr("<needle>")

    assert Markup("<b>&lt;needle&gt;") == Markup("<b>") + token
    assert Markup("&lt;needle&gt;<b>") == token + Markup("<b>")
    assert isinstance(token + Markup("<b>"), Markup)


@pytest.mark.parametrize("other", [5, None, ["a"], b"a", 1.5], ids=repr)
def test_refused_operands(other: Any) -> None:
    """An operand that plain text refuses is refused."""
    with pytest.raises(TypeError):
        SecretStr("needle") + other
    with pytest.raises(TypeError):
        other + SecretStr("needle")


def test_what_it_is_added_to() -> None:
    """A list and a ``bytearray`` take a secret's elements, as they take plain text's."""
    elements: list[str] = []
    elements += SecretStr("ab")
    buffer = bytearray(b"a")
    buffer += SecretBytes(b"b")

    assert (["a", "b"], bytearray(b"ab")) == (elements, buffer)


def test_wrong_arguments() -> None:
    """A method that is called wrongly says so as the plain one does."""
    with pytest.raises(TypeError, match="at most 1 argument"):
        SecretStr("needle").strip("a", "b")  # type: ignore[call-arg]
    with pytest.raises(UnicodeEncodeError):
        SecretStr("ß").encode("ascii")


def test_documentation() -> None:
    """A wrapped method has the name and the documentation of the plain one."""
    assert ("strip", str.strip.__doc__) == (
        SecretStr.strip.__name__,
        SecretStr.strip.__doc__,
    )
    assert isinstance(SecretStr("a"), str)
    assert isinstance(SecretMapping(), Mapping)
