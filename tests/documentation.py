"""A pytest plugin that runs the examples of README and docs against a local tenant.

    python -m pytest -p tests.documentation README.md docs

Each document is one namespace, read from top to bottom.  A function that an example calls
``test_…`` is run as pytest would, with the fixture it asks for.  Code that readers need
not see is in comments, as an ``invisible-code-block``; there, ``visitor_of`` serves an
application and returns a browser for it, and ``redis_url`` is the URL of a Redis.
"""

from __future__ import annotations

import inspect
import os
import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sybil import Example, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.sybil import SybilCollection

from auth0_tx.tenant import Certificates, KeySupply, Tenant
from tests.documented_sites import Visitor, serve

pytest_plugins = ["tests.redis_server"]

for _name in ("AUTH0_SECRET", "NEW_AUTH0_SECRET", "ORDERS_SECRET", "SECRET_KEY"):
    os.environ.setdefault(_name, secrets.token_urlsafe(32))


class ExampleParser(PythonCodeBlockParser):
    """Runs a block, then the tests that it defined."""

    def evaluate(self, example: Example) -> str | None:
        """Run one block of a document."""
        before = set(example.namespace)
        problem = super().evaluate(example)
        for name in set(example.namespace) - before:
            if name.startswith("test_"):
                run_test(example.namespace[name])
        return problem


def run_test(function: Any) -> None:
    wanted = inspect.signature(function).parameters
    if "auth0_tenant" not in wanted:
        function()
        return
    with Tenant(keys=_keys, certificates=_certificates) as tenant:
        fixtures = {
            "auth0_tenant": tenant,
            "auth0_client_settings": tenant.client_settings,
        }
        function(**{name: fixtures[name] for name in wanted})


def _set_up(namespace: dict[str, Any]) -> None:
    stack = namespace["_sites"] = ExitStack()

    def visitor_of(app: Any) -> Visitor:
        visitor = Visitor(stack.enter_context(serve(app)))
        return stack.enter_context(visitor)

    namespace["visitor_of"] = visitor_of
    # Flask finds its folder through the name of the module that it gets.
    namespace["__name__"] = "__main__"


def _tear_down(namespace: dict[str, Any]) -> None:
    namespace["_sites"].close()
    for value in namespace.values():
        if isinstance(value, Tenant):
            value.stop()


def build_collection(*patterns: str, fixtures: tuple[str, ...] = ()) -> Sybil:
    return Sybil(
        parsers=[ExampleParser()],
        patterns=patterns,
        path=str(Path(__file__).parents[1]),
        setup=_set_up,
        teardown=_tear_down,
        fixtures=fixtures,
    )


_keys, _certificates = KeySupply(), Certificates()

pytest_collect_file = SybilCollection(
    (
        build_collection("README.md"),
        build_collection("docs/*.md", fixtures=("redis_url",)),
    )
).pytest()
