"""A pytest plugin that runs the examples of README and docs against a local tenant.

    python -m pytest -p tests.documentation README.md docs

Each document is one namespace, read from top to bottom.  A function that an example calls
``test_…`` is run as pytest would, with the fixture it asks for.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from sybil import Example, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from auth0_tx.tenant import Certificates, KeySupply, Tenant


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


def _tear_down(namespace: dict[str, Any]) -> None:
    for value in namespace.values():
        if isinstance(value, Tenant):
            value.stop()


_keys, _certificates = KeySupply(), Certificates()

pytest_collect_file = Sybil(
    parsers=[ExampleParser()],
    patterns=["*.md"],
    path=str(Path(__file__).parents[1]),
    teardown=_tear_down,
).pytest()
