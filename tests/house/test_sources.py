"""Every supported Python accepts every source file."""

from __future__ import annotations

import warnings
from pathlib import Path

from tests.house.source import ROOT

FOLDERS = ("auth0_tx", "benchmarks", "examples", "tools")


def find_warning(path: Path) -> str | None:
    """Return the warning of this Python's compiler about a file, or ``None``."""
    try:
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except (SyntaxError, Warning) as error:
        return repr(error)
    return None


def test_sources_compile_without_warnings() -> None:
    """The compiler warns of nothing, such as `return` in `finally` (PEP 765)."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {str(path): find_warning(path) for path in paths}

    assert len(found) > 200
    assert {} == {path: said for path, said in found.items() if said}
