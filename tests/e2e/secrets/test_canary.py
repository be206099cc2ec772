"""The search for secrets finds one in each place where one could show."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PASSING = ("test_innocent", "test_public", "test_own_error", "test_afterwards")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What came of each planted secret."""
    report = tmp_path_factory.mktemp("canary") / "report.xml"
    planted = Path(__file__).with_name("planted.py")
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", str(planted), "-q", "-W", "always"),
            *("-p", "no:cacheprovider", f"--junitxml={report}"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        check=False,
        timeout=120,
    )
    return {
        case.attrib["name"]: "".join(
            result.attrib.get("message", "") for result in case
        )
        for case in ElementTree.parse(report).iter("testcase")
    }


def test_each_plant_is_found(outcomes: Mapping[str, str]) -> None:
    """Every test that lets a secret show is failed for it."""
    passed = [
        name
        for name, message in outcomes.items()
        if not name.startswith(PASSING) and "a secret shows" not in message
    ]

    assert len(outcomes) > 40
    assert [] == passed


def test_innocent_text_is_let_be(outcomes: Mapping[str, str]) -> None:
    """Short words, types, addresses and what is public anyway are no secrets."""
    innocent = {
        name: message for name, message in outcomes.items() if name.startswith(PASSING)
    }

    assert 7 == len(innocent)
    assert {""} == set(innocent.values())


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("test_error[message]", "a secret (Zk9:p~3x/needle+…) in str of RefusedError"),
        ("test_error[cause]", "RefusedError.__cause__"),
        ("test_error[cause of a context]", "RefusedError.__context__.__cause__"),
        ("test_error[local]", "in local token of "),
        ("test_error[pickle]", "a pickle"),
        ("test_error[copy]", "a copy"),
        ("test_log[asyncio]", "a log record of asyncio"),
        ("test_warning", "a warning"),
        ("test_event[SecretStr]", "in domain of CacheHit"),
        ("test_cookie", "a session cookie ("),
        ("test_interruption[local]", "in local body of /elsewhere/library.py:3"),
        ("test_interruption[argument of the standard library]", "/json/__init__.py:"),
        ("test_url", "a URL"),
        ("test_options", "a subject token ("),
        ("test_private_key", "a private key ("),
    ],
)
def test_what_is_said_of_a_hit(
    outcomes: Mapping[str, str], name: str, place: str
) -> None:
    """A failure names the secret and the place where it shows."""
    assert place in outcomes[name]
