"""Run the examples of a page of the documentation, as a reader would paste them.

    python run_page.py PAGE [--import PACKAGE] [--beside MODULE] [--offline]

It needs nothing but the installed package, so that it shows what an extra lacks.  Blocks that
readers don't see are left out.  With ``--import``, each module of a package is imported, too.
A module ``--beside`` is one that the page says to install besides the extra: the block that
needs it is left out.  With ``--offline``, a block may fail because no broker or store listens.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import re
import secrets
import sys
from pathlib import Path
from typing import Any

from auth0_tx import ConfigurationError, StoreError

SECRETS = ("AUTH0_SECRET", "NEW_AUTH0_SECRET", "ORDERS_SECRET", "SECRET_KEY")
NOWHERE = "redis://127.0.0.1:9"

_hidden = re.compile(r"<!---.*?-->", re.S)
_block = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


def main() -> int:
    """Run a page; its first failure ends this with a traceback."""
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("--import", dest="packages", action="append", default=[])
    parser.add_argument("--beside", action="append", default=[])
    parser.add_argument("--offline", action="store_true")
    given = parser.parse_args()
    for name in SECRETS:
        os.environ.setdefault(name, secrets.token_urlsafe(32))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    namespace |= {"BROKER": "memory://", "REDIS_URL": NOWHERE, "redis_url": NOWHERE}
    try:
        count = run_blocks(given, namespace)
    finally:
        for value in namespace.values():
            if type(value).__name__ == "Tenant":
                value.close()
    print(f"{given.page.name}: {count} examples")
    return 0 if count else 1


def run_blocks(given: argparse.Namespace, namespace: dict[str, Any]) -> int:
    """Run the blocks of a page; return how many there were."""
    text = _hidden.sub(
        lambda found: "\n" * found[0].count("\n"), given.page.read_text()
    )
    blocks = list(_block.finditer(text))
    for block in blocks:
        line = text.count("\n", 0, block.start()) + 1
        code = compile("\n" * line + block[1], given.page.name, "exec")
        try:
            exec(code, namespace)
        except (ConfigurationError, ModuleNotFoundError, RuntimeError) as error:
            if not is_beside(error, given.beside):
                raise
        except StoreError:
            if not given.offline:
                raise
        if "INSTALLED_APPS" in namespace:
            configure_django(namespace)
    for package in given.packages:
        import_all(package, given.beside)
    return len(blocks)


def is_beside(error: Exception, modules: list[str]) -> bool:
    """Return whether an error names a module that the extra need not bring."""
    text = str(error).replace("-", "_")
    return any(module in text for module in modules)


def configure_django(namespace: dict[str, Any]) -> None:
    """Use the settings that the page has shown so far, as a project would."""
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.core.signals import setting_changed

    shown = {name: value for name, value in namespace.items() if name.isupper()}
    if not settings.configured:
        engine = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        key = os.environ["SECRET_KEY"]
        settings.configure(DATABASES={"default": engine}, SECRET_KEY=key, **shown)
        django.setup()
        call_command("migrate", verbosity=0)
    for name, value in shown.items():
        if getattr(settings, name, None) is not value:
            setattr(settings, name, value)
            setting_changed.send(sender=None, setting=name, value=value, enter=True)


def import_all(package: str, beside: list[str]) -> None:
    """Import a package and every module in it."""
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(getattr(found, "__path__", ()), f"{package}."):
        try:
            importlib.import_module(module.name)
        except ConfigurationError as error:
            if not is_beside(error, beside):
                raise


if __name__ == "__main__":
    sys.exit(main())
