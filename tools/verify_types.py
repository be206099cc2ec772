"""Check that every public name has a complete type.

    python tools/verify_types.py

It runs ``pyright --verifytypes`` on the installed wheel.  A name may be incomplete only if it
is listed here, and a listed name that is complete is an error too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PACKAGE = "auth0_tx"
DJANGO = f"{PACKAGE}.integrations.django"
INCOMPLETE = frozenset(
    {
        # django-stubs declares unions for these two attributes.  A subclass may set them to a
        # member of the union but not annotate them with it, as they can be assigned to.
        f"{DJANGO}.apps.Auth0TXConfig",
        f"{DJANGO}.apps.Auth0TXConfig.verbose_name",
        f"{DJANGO}.management.commands.auth0_tx.Command",
        f"{DJANGO}.management.commands.auth0_tx.Command.requires_system_checks",
        # Made from the blocking methods, so that their parameters are written once.  mypy and
        # pyright infer the same types, as the examples of docs/django.md prove.
        f"{DJANGO}.DjangoRequestAuth0",
        f"{DJANGO}.request_client.DjangoRequestAuth0",
        f"{DJANGO}.auth0_of",
        f"{DJANGO}.request_client.auth0_of",
        *(
            f"{DJANGO}.request_client.DjangoRequestAuth0.{name}"
            for name in (
                "aget_access_token",
                "aget_session",
                "aget_token_on_behalf_of",
                "aget_token_set",
                "aget_user",
                "arequire_scopes",
                "arequire_user",
                "alogin",
                "alogout",
            )
        ),
    }
)


def main() -> int:
    """Print the names whose types are incomplete; return 1 if they are not those listed."""
    ran = subprocess.run(
        ["pyright", "--verifytypes", PACKAGE, "--ignoreexternal", "--outputjson"],
        capture_output=True,
        text=True,
        check=False,
    )
    report: dict[str, Any] = json.loads(ran.stdout)
    symbols = report["typeCompleteness"]["symbols"]
    incomplete = {
        symbol["name"]: [found["message"] for found in symbol["diagnostics"]]
        for symbol in symbols
        if symbol["isExported"] and not symbol["isTypeKnown"]
    }
    unlisted, stale = set(incomplete) - INCOMPLETE, INCOMPLETE - set(incomplete)
    for name in sorted(unlisted):
        print(f"{name}: {'; '.join(incomplete[name])}")
    for name in sorted(stale):
        print(f"{name} is complete: remove it from the list")
    print(f"{len(symbols)} names, {len(incomplete)} incomplete")
    return int(bool(stale or unlisted or not symbols))


if __name__ == "__main__":
    sys.exit(main())
