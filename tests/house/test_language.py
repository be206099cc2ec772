"""The package's language: verbs for functions, plain sentences for everything else.

The rules look for forms, not for meaning: a participle as a function's name, a docstring that
begins with "Give", a sentence that begins with "What", "is no" for "isn't", and a possessive
without its noun, as in "of Auth0's".  Each rule is first tried on a sample that breaks it, so
that a rule which no longer finds anything is noticed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.house.source import get_name, list_modules

# Participles without "-ed" that have been names of functions here, or could be.
IRREGULAR = frozenset(
    {
        *(
            "begun",
            "bound",
            "built",
            "chosen",
            "drawn",
            "found",
            "given",
            "held",
            "kept",
        ),
        *("known", "lent", "lost", "made", "met", "sent", "shown", "spent", "taken"),
        *("told", "written"),
    }
)
NOT_PARTICIPLES = frozenset({"embed", "feed", "need", "seed", "speed"})

RULES = {
    # "There is no session" is plain English, and so is "is no longer valid".
    "is no": re.compile(r"(?<!there )\b(?:is|are|was|were) no\b(?! longer\b)", re.I),
    # A question may begin with "What".
    "headless what": re.compile(r"(?:^|[.:;!?] )What\b(?![^.;]*\?)"),
    # "of Auth0's", "of the store's own", but not "of the store's keys".
    "possessive without a noun": re.compile(
        r"\bof (?:\S+ ){0,3}?[\w`*{}]+(?:'s|s')"
        r"(?=$|[.,;:)!?]| own(?:$|[.,;:)]| (?:and|or)\b)"
        r"| (?:and|or|as|in|that|is|are|was|which|with|for|by|at|on|from|to|of|not|than|may"
        r"|must|has|had)\b)"
    ),
}

# Texts that break a rule, and read well all the same.
ALLOWED: tuple[str, ...] = ()


class Text(NamedTuple):
    """A docstring or another string of a module, with its whitespace made single."""

    line: int
    text: str


def list_texts(source: str) -> Iterator[Text]:
    """Yield every string of a module; ``{}`` stands for the values in an f-string."""
    tree = ast.parse(source)
    pieces = {
        id(piece)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for piece in node.values
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in pieces:
                yield Text(node.lineno, " ".join(text.split()))
            case ast.JoinedStr(values=values):
                parts = [
                    str(part.value) if isinstance(part, ast.Constant) else "{}"
                    for part in values
                ]
                yield Text(node.lineno, " ".join("".join(parts).split()))
            case _:
                pass


def find_breaches(source: str) -> list[str]:
    """Return the sentences of a module that break a rule, each with its line."""
    breaches = []
    for line, text in list_texts(source):
        for allowed in ALLOWED:
            text = text.replace(allowed, "")
        breaches += [
            f"line {line}, {rule}: ...{text[max(0, hit.start() - 30) : hit.end() + 30]}..."
            for rule, pattern in RULES.items()
            for hit in pattern.finditer(text)
        ]
    return breaches


def list_functions(source: str) -> list[str]:
    """Return the names of a module's functions and methods, without properties and dunders."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and not node.name.startswith("__")
        and not any(
            ast.unparse(decorator) == "property" for decorator in node.decorator_list
        )
    ]


def is_participle(name: str) -> bool:
    """Return whether a function's name begins with a past participle."""
    word = name.strip("_").partition("_")[0]
    return word in IRREGULAR or (word.endswith("ed") and word not in NOT_PARTICIPLES)


def find_indirect_docstrings(source: str) -> list[str]:
    """Return the docstrings that begin with "Give" or "Tell" instead of "Return"."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = [
        ast.get_docstring(node) or ""
        for node in ast.walk(ast.parse(source))
        if isinstance(node, documented)
    ]
    return [doc for doc in docs if re.match(r"(?:Give|Tell)s?\b", doc)]


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ('"""What a client knows."""', "headless what"),
        ('"""A key. What is left out stays."""', "headless what"),
        ('"""An object.\n\nAttributes:\n    kind: What it is.\n"""', "headless what"),
        ('"""An answer that is no document."""', "is no"),
        ('raise ValueError(f"{name} is no URL")', "is no"),
        ('"""A type of Auth0\'s."""', "possessive without a noun"),
        ('"""A session of the application\'s own."""', "possessive without a noun"),
        ('x = ("one of " f"{name}\'s")', "possessive without a noun"),
        ('"""Locks of OpenSSL\'s and others."""', "possessive without a noun"),
    ],
)
def test_rules_find_a_planted_breach(source: str, rule: str) -> None:
    """Each rule finds a sample that breaks it."""
    [breach] = find_breaches(source)

    assert f"line 1, {rule}: " in breach


@pytest.mark.parametrize(
    "text",
    [
        "Return ``None`` if there is no session.",
        "The key is no longer valid.",
        "What is a profile? An entry in the tenant.",
        "Return what the server sent.",
        "The cookies of Auth0's own SDK.",
        "The name of the client's class.",
    ],
)
def test_rules_leave_plain_sentences_alone(text: str) -> None:
    """No rule objects to plain English."""
    assert [] == find_breaches(repr(text))


def test_names_and_docstrings_are_told_apart() -> None:
    """A participle and an indirect docstring are found; verbs and properties are not."""
    source = '''
class Store:
    @property
    def failed(self): ...
    def __exit__(self): ...
    def _sent(self):
        """Give the bytes that were sent."""
    async def told_of(self):
        """Tell whether it was told."""
    def read(self):
        """Return the given bytes."""
    def need_lock(self): ...
'''
    functions = list_functions(source)

    assert ["_sent", "told_of"] == [name for name in functions if is_participle(name)]
    assert 2 == len(find_indirect_docstrings(source))


@pytest.mark.parametrize("path", list_modules("core/flows"), ids=get_name)
def test_flows_are_named_by_verbs(path: Path) -> None:
    """A stack trace of a flow reads as a sentence: no function is named by a participle."""
    functions = list_functions(path.read_text())

    assert [] == [name for name in functions if is_participle(name)]


def test_functions_are_named_by_verbs() -> None:
    """At most 2 % of the package's functions are named by a past participle."""
    functions = [
        name for path in list_modules() for name in list_functions(path.read_text())
    ]
    participles = [name for name in functions if is_participle(name)]

    assert len(participles) <= 0.02 * len(functions), participles


@pytest.mark.parametrize("path", list_modules(), ids=get_name)
def test_docstrings_say_what_is_returned(path: Path) -> None:
    """A docstring begins with the verb for what is done: "Return", never "Give" or "Tell"."""
    assert [] == find_indirect_docstrings(path.read_text())


@pytest.mark.parametrize("path", list_modules(), ids=get_name)
def test_sentences_are_plain(path: Path) -> None:
    """Docstrings and messages keep the rules."""
    assert [] == find_breaches(path.read_text())


def test_allowed_sentences_are_still_there() -> None:
    """The list of exceptions stays short: a sentence that was mended leaves it."""
    texts = [
        text for path in list_modules() for _, text in list_texts(path.read_text())
    ]

    assert [] == [
        allowed for allowed in ALLOWED if not any(allowed in text for text in texts)
    ]
