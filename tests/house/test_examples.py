"""The example applications use names that there are; their own tests need a browser."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import PACKAGE, ROOT


def find_module(name: str) -> Path:
    """Return the file of a module of the package."""
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def list_names(path: Path) -> Iterator[str]:
    """Yield the names that a module defines, imports, or has in ``__all__``."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            yield from names
            if names == ["__all__"] and node.value:
                # Some modules import what they list only when it is asked for.
                yield from ast.literal_eval(node.value)


def test_imports_of_examples() -> None:
    """What an example imports from the package is defined there."""
    imports = [
        (path.relative_to(ROOT), find_module(node.module), alias.name)
        for path in (ROOT / "examples").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.split(".")[0] == PACKAGE.name
        for alias in node.names
    ]

    assert len(imports) > 20
    assert [] == [
        (str(example), name)
        for example, module, name in imports
        if name not in list_names(module)
    ]
