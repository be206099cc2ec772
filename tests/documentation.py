"""A pytest plugin that runs the examples of README and docs against a local tenant.

    python -m pytest -p tests.documentation README.md docs

Each document is one namespace, read from top to bottom.  A function that an example calls
``test_…`` is run as pytest would, with the fixture it asks for.  What readers need not see is
in comments, as an ``invisible-code-block``; there, ``visitor_of`` serves an application and
gives a browser for it, and ``redis_url`` says where a Redis is.
"""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sybil import Example, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.sybil import SybilCollection

from auth0_tx.tenant import Certificates, KeySupply, Tenant
from tests.documented_sites import Visitor, served

pytest_plugins = ["tests.redis_server"]


class ExampleParser(PythonCodeBlockParser):
    """Runs a block, then the tests that it defined."""

    def evaluate(self, example: Example) -> str | None:
        """Run one block of a document."""
        before = set(example.namespace)
        problem = super().evaluate(example)
        for name in set(example.namespace) - before:
            if name.startswith("test_"):
                _call(example.namespace[name])
        return problem


def _call(function: Any) -> None:
    if "auth0_tenant" not in inspect.signature(function).parameters:
        function()
        return
    with Tenant(keys=_keys, certificates=_certificates) as tenant:
        function(auth0_tenant=tenant)


def _set_up(namespace: dict[str, Any]) -> None:
    stack = namespace["_sites"] = ExitStack()

    def visitor_of(app: Any) -> Visitor:
        visitor = Visitor(stack.enter_context(served(app)))
        return stack.enter_context(visitor)

    namespace["visitor_of"] = visitor_of
    # Flask looks for the folder of the module that it is given the name of.
    namespace["__name__"] = "__main__"


def _tear_down(namespace: dict[str, Any]) -> None:
    namespace["_sites"].close()
    for value in namespace.values():
        if isinstance(value, Tenant):
            value.stop()


def _documents(*patterns: str, fixtures: tuple[str, ...] = ()) -> Sybil:
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
        _documents("README.md"),
        _documents("docs/*.md", fixtures=("redis_url",)),
    )
).pytest()
