"""The package's source, as the house tests read it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "auth0_tx"


def list_modules(room: str = "") -> list[Path]:
    """Return the modules of a room, or of the whole package."""
    return sorted((PACKAGE / room).rglob("*.py"))


def get_name(path: Path) -> str:
    """Return a module's name below the package, such as ``core.wire.grants``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def list_imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each import of a module: its line, and the absolute name imported from.

    An import for type checkers only is left out: it never runs.
    """
    tree = ast.parse(path.read_text())
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    package = ["auth0_tx", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if node.module is None or module == "auth0_tx":
                for alias in node.names:
                    yield node.lineno, f"{module}.{alias.name}"
            else:
                yield node.lineno, module
