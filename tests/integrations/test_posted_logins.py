"""Logins and logouts that are posted: who posts, and what."""

from __future__ import annotations

import pytest

from auth0_tx.integrations.posted_logins import (
    choose_next,
    is_script,
    parse_fields,
    read_fields,
)

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("content_type", "accept", "fetch_mode", "expected"),
    [
        (FORM, "text/html,*/*;q=0.8", "navigate", False),
        (FORM, "text/html,*/*;q=0.8", None, False),
        # A program without a browser, such as curl.
        (FORM, "*/*", None, False),
        (None, None, None, False),
        (FORM, "*/*", "cors", True),
        (FORM, "text/html", "same-origin", True),
        ("application/json", "text/html", "navigate", True),
        ("Application/JSON ; charset=utf-8", None, None, True),
        ("application/jsonlines", None, None, False),
        (FORM, "application/json", None, True),
        (FORM, "application/problem+json, */*", None, True),
        (FORM, "text/html, application/json", None, False),
    ],
)
def test_scripts(
    content_type: str | None,
    accept: str | None,
    fetch_mode: str | None,
    expected: bool,
) -> None:
    """A script posts JSON, asks for JSON, or is said to be one by its browser."""
    found = is_script(content_type=content_type, accept=accept, fetch_mode=fetch_mode)

    assert expected is found


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            b'{"subject_token": "abc", "next": "/a"}',
            {"subject_token": "abc", "next": "/a"},
        ),
        (b'{"subject_token": 7, "next": null}', {}),
        (b'["subject_token"]', {}),
        (b"{", {}),
        (b"\xff", {}),
        (b"", {}),
        (b"[" * 100_000, {}),
    ],
)
def test_bodies(body: bytes, expected: dict[str, str]) -> None:
    """Only the texts of a JSON object are read, and no body is an error."""
    assert expected == parse_fields(body)


def test_fields_do_not_print() -> None:
    """No field shows its value, as one of them is a token."""
    fields = read_fields({"subject_token": "tangerine", "file": object()})

    assert {"subject_token": "tangerine"} == fields
    assert "tangerine" not in f"{fields!r} {fields['subject_token']!r}"


@pytest.mark.parametrize(
    ("posted", "query", "expected"),
    [
        ({"next": "/posted"}, "/query", "/posted"),
        ({"next": ""}, "/query", "/query"),
        ({}, "/query", "/query"),
        ({}, None, "/home"),
        ({"next": "//evil.example"}, "/query", "/home"),
    ],
)
def test_next(posted: dict[str, str], query: str | None, expected: str) -> None:
    """The posted page counts before the one in the query, and only pages of this site do."""
    assert expected == choose_next(posted, query, "/home")
