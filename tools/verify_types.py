"""See that every public name has a type that is known.

    python tools/verify_types.py

It is ``pyright --verifytypes``, less the classes whose base is a framework's that has no types:
those are listed here, and nothing else may be incomplete.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PACKAGE = "auth0_tx"
UNTYPED_BASES = frozenset(
    f"{PACKAGE}.integrations.{name}"
    for name in (
        "celery.TokenExchangeTask",
        "celery.task.TokenExchangeTask",
        "django.apps.Auth0TXConfig",
        "django.backends.Auth0Backend",
        "django.management.commands.auth0_tx.Command",
    )
)


def main() -> int:
    """Run pyright; print what is incomplete, and say by the status whether anything is."""
    ran = subprocess.run(
        ["pyright", "--verifytypes", PACKAGE, "--ignoreexternal", "--outputjson"],
        capture_output=True,
        text=True,
        check=False,
    )
    report: dict[str, Any] = json.loads(ran.stdout)
    symbols = report["typeCompleteness"]["symbols"]
    incomplete = {
        each["name"]: [one["message"] for one in each["diagnostics"]]
        for each in symbols
        if each["isExported"] and not each["isTypeKnown"]
    }
    for name in sorted(set(incomplete) - UNTYPED_BASES):
        print(f"{name}: {'; '.join(incomplete[name])}")
    stale = UNTYPED_BASES - set(incomplete)
    for name in sorted(stale):
        print(f"{name} is complete by now: take it off the list")
    print(f"{len(symbols)} names, {len(incomplete)} incomplete")
    return int(bool(stale or set(incomplete) - UNTYPED_BASES or not symbols))


if __name__ == "__main__":
    sys.exit(main())
