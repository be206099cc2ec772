"""The floors of the dependencies: each is tried, and advisories about them are reported."""

from __future__ import annotations

import configparser
import re

from tests.house.source import ROOT
from tools.audit import list_problems

# They have no floor that matters, or other dependencies need a later release of them.
WITHOUT_PIN = {"packaging", "typing_extensions"}


def read_floors() -> dict[str, str]:
    """Return the lowest release of each dependency that setup.cfg allows."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    lists = [
        settings["options"]["install_requires"],
        *settings["options.extras_require"].values(),
    ]
    lines = [line for text in lists for line in text.split("\n")]
    found = (re.match(r"([a-z0-9_-]+)>=([0-9.]+)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def pad(version: str) -> str:
    """Return *version* with three numbers, as releases have them."""
    return ".".join([*version.split("."), "0", "0"][:3])


def test_floors_are_pinned() -> None:
    """The environment `oldest` tries the floors of setup.cfg, and nothing else."""
    floors = {
        name: pad(version)
        for name, version in read_floors().items()
        if name not in WITHOUT_PIN
    }
    lines = (ROOT / "tests/oldest.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)

    assert floors == pins


def test_audit_reports_advisories_and_unknown_releases() -> None:
    """An audit names each advisory with its fix, and what the database does not know."""
    advisory = {"id": "PYSEC-1", "fix_versions": ["2.0", "2.1"]}
    unfixed = {"id": "PYSEC-2", "fix_versions": []}
    report = {
        "dependencies": [
            {"name": "good", "version": "1.0", "vulns": []},
            {"name": "bad", "version": "1.0", "vulns": [advisory, unfixed]},
            {"name": "odd", "skip_reason": "not found"},
        ]
    }

    assert [
        "bad 1.0: PYSEC-1, fixed in 2.0, 2.1",
        "bad 1.0: PYSEC-2, fixed in no release",
        "odd: not found",
    ] == list_problems(report)
