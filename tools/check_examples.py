"""Type-check the examples of README and docs, with mypy --strict and with pyright.

    python tools/check_examples.py

A document is one module, as it is one namespace for the tests that run its examples.  The
Python blocks keep their line numbers, and everything else becomes an empty line, so that both
checkers report the line of the document.  Blocks that readers don't see are left out; the
names that visible blocks take from them are defined in ``HEADER``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent
FENCE = "```"

# The lines before the first example of each document.  The names are those that a document's
# reader knows from the text, or that the tests of the examples supply.
HEADER = (
    # One document shows a view called ``login`` for each of several frameworks.
    # Flask-Login and Django REST Framework have no types: what comes from them is Any.
    '# mypy: disable-error-code="no-redef", disallow-subclassing-any=False, '
    "disallow-untyped-decorators=False",
    "# pyright: reportRedeclaration=false",
    "import typing as _t; request = response = _t.cast(_t.Any, None); "
    "API_URL = BROKER = REDIS_URL = redis_url = str()",
    "async def token_of(request: object) -> str: return str(request)",
)


def main() -> int:
    """Write each document as a module, and return 1 if a checker finds an error."""
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    with TemporaryDirectory() as folder:
        modules = {
            path: Path(folder, f"{path.stem.lower()}_examples.py") for path in documents
        }
        for path, module in modules.items():
            module.write_text(extract_module(path.read_text()))
        config = Path(folder, "pyrightconfig.json")
        config.write_text(json.dumps({"include": ["."], "extraPaths": [str(ROOT)]}))
        mypy = ["mypy", "--no-error-summary", *map(str, modules.values())]
        failed = [
            check(command, modules) for command in (mypy, ["pyright", "-p", folder])
        ]
    return int(any(failed))


def extract_module(document: str) -> str:
    """Return a document's examples as a module whose lines are the document's."""
    lines = list(HEADER)
    is_code = False
    for number, line in enumerate(document.splitlines()):
        text = line.strip()
        if is_code:
            is_code = text != FENCE
        if number < len(HEADER):
            assert not is_code, "the document begins with an example"
        else:
            lines.append(line if is_code else "")
        is_code = is_code or text == f"{FENCE}python"
    return "\n".join(lines) + "\n"


def check(command: list[str], modules: dict[Path, Path]) -> bool:
    """Run a checker, print its findings by the documents' names, and return if it failed."""
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = ran.stdout + ran.stderr
    for document, module in modules.items():
        found = found.replace(str(module), str(document.relative_to(ROOT)))
    print(f"{command[0]}: {found.strip() or 'no errors'}")
    return ran.returncode != 0


if __name__ == "__main__":
    sys.exit(main())
