"""The secrets that a test uses, and finding them in text: whole, in part, or in disguise.

A text is searched for every secret at once, so that a test of ten thousand tokens costs no
more time to search than one of ten.
"""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

SHORTEST = 16
"""Characters of a secret that make a hit; what is shorter may be a word by chance."""

_MOST_TOKENS = 2_000
_FEWEST_KINDS = 6

# A word of a text: none of the characters that a repr, traceback or log puts around a token.
_word = re.compile(r"""[^\s"'\\,()<>\[\]{}]{16,}""")
_public = re.compile(r"(?:urn:|https?://)")


class Needles:
    """Secrets to look for: some for the whole run, most for one test."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}
        self._passing: dict[str, str] = {}
        self._tokens: set[str] = set()
        self._open: set[str] = set()

    def add(self, *values: object, name: str = "a secret", keep: bool = False) -> None:
        """Look for these values from now on, if they are text that could be secret.

        Args:
            *values: text or bytes; anything else holds nothing to look for.
            name: the name of a hit.
            keep: whether to look for them until the end of the run, not of the test.
        """
        for value in values:
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            if not isinstance(text, str) or text in self._tokens or _public.match(text):
                continue
            if not keep:
                # More tokens of the same kind would leak in the same places, if at all.
                if len(self._tokens) >= _MOST_TOKENS:
                    continue
                self._tokens.add(text)
            fragments = self._kept if keep else self._passing
            fragments.update(dict.fromkeys(_split_secret(text), name))

    def allow(self, *values: object) -> None:
        """Ignore these values for one test, which uses the same text where it isn't secret."""
        for value in values:
            if isinstance(value, str) and not _public.match(value):
                for word in _word.findall(value):
                    self._open.update(_iterate_windows(word))

    def forget(self) -> None:
        """Forget the secrets that were added for one test."""
        self._passing.clear()
        self._tokens.clear()
        self._open.clear()

    def find(self, text: str) -> str | None:
        """Return the name of a secret that *text* holds, with its start, or ``None``."""
        if not self._passing and not self._kept:
            return None
        for word in _word.findall(text):
            for piece in _iterate_windows(word):
                name = self._passing.get(piece) or self._kept.get(piece)
                if name is not None and piece not in self._open:
                    return f"{name} ({piece}…)"
        return None


def _iterate_windows(word: str) -> Iterator[str]:
    return (word[start : start + SHORTEST] for start in range(len(word) - SHORTEST + 1))


def _split_secret(secret: str) -> Iterator[str]:
    """Yield pieces of *secret*: any part of it that is twice as long holds one of them."""
    for form in _encode_secret(str.__str__(secret)):
        # PEM text goes by its lines, as a traceback would print them.
        for word in _word.findall(form):
            starts = (*range(0, len(word) - SHORTEST, SHORTEST), len(word) - SHORTEST)
            for start in starts:
                piece = word[start : start + SHORTEST]
                # "xxxxxxxxxxxxxxxx" is in many a text.
                if len(set(piece)) >= _FEWEST_KINDS and not _public.match(word):
                    yield piece


def _encode_secret(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="", errors="surrogatepass")
    yield quote_plus(secret, errors="surrogatepass")
    octets = secret.encode("utf-8", "surrogatepass")
    for before in range(3):
        # Inside of something longer, three octets may start at any of three places; what
        # depends on its neighbours is cut off.
        padded = bytes(before) + octets
        whole = padded[: len(padded) - len(padded) % 3]
        first = 4 if before else 0
        yield b64encode(whole).decode()[first:]
        yield urlsafe_b64encode(whole).decode()[first:]
