"""Look up published advisories for the oldest and the newest dependencies.

    python tools/audit.py

The oldest are the floors of ``setup.cfg``, pinned in ``tests/oldest.txt``.  The newest are
all that an installation with every extra brings today.  Both are looked up by pip-audit in
the database that PyPI publishes.  An advisory, or a release that the database does not know,
is a failure: raise the floor to the first release that fixes it.

Advisories come at any time, and are no fault of the commit that meets them.  So this runs
before a release and on a schedule, but not with the tests.  Where the database cannot be
reached, nothing can be said: that is told, and is not a failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
OLDEST = ROOT / "tests/oldest.txt"
DATABASE = "https://pypi.org/pypi/requests/2.31.0/json"
"""A release with advisories that will not be withdrawn: a mirror may not have any."""


def main() -> int:
    """Audit both sets, print what was found, and return the exit status."""
    if not is_database_there():
        print("skipped: PyPI's advisories cannot be reached from here")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        newest = Path(folder) / "newest.txt"
        resolve_newest(newest)
        problems = [
            f"{name}: {problem}"
            for name, pins in (("oldest", OLDEST), ("newest", newest))
            for problem in audit(pins)
        ]
    print("\n".join(problems) or "no published advisories")
    return 1 if problems else 0


def is_database_there() -> bool:
    """Return whether PyPI answers, and with advisories."""
    try:
        with urllib.request.urlopen(DATABASE, timeout=20) as response:
            return bool(json.load(response).get("vulnerabilities"))
    except (urllib.error.URLError, OSError, ValueError):
        return False


def resolve_newest(pins: Path) -> None:
    """Write the newest releases of all dependencies, those of the extras included."""
    command = ["uv", "pip", "compile", "-q", "--all-extras", "--no-annotate"]
    subprocess.run(
        [*command, "--upgrade", str(ROOT / "setup.py"), "-o", str(pins)], check=True
    )


def audit(pins: Path) -> list[str]:
    """Return a line for each advisory, and for each release that is not known."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip"]
    done = subprocess.run(
        [*command, "-f", "json", "--progress-spinner", "off", "-r", str(pins)],
        stdout=subprocess.PIPE,
        text=True,
    )
    if not done.stdout:
        # It has said why on stderr.
        return ["pip-audit failed"]
    return list_problems(json.loads(done.stdout))


def list_problems(report: dict[str, Any]) -> list[str]:
    """Return the lines for a report of pip-audit."""
    problems = []
    for release in report["dependencies"]:
        if "skip_reason" in release:
            problems.append(f"{release['name']}: {release['skip_reason']}")
            continue
        for advisory in release["vulns"]:
            fixed = ", ".join(advisory["fix_versions"]) or "no release"
            problems.append(
                f"{release['name']} {release['version']}: {advisory['id']}, fixed in {fixed}"
            )
    return problems


if __name__ == "__main__":
    sys.exit(main())
