"""Install a built wheel in a clean environment, and do the main job with it.

python tools/try_wheel.py DIST
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

EXPECTED = {"auth0_tx/py.typed", "auth0_tx/client.py", "auth0_tx/aio.py"}


def main(dist: Path) -> int:
    """Try the one wheel in *dist*."""
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (about,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(about).decode()
    missing = EXPECTED - names
    if "\nProvides-Extra: cli\n" not in metadata:
        print("missing: the extra cli")
        return 1
    strange = {
        name for name in names if not name.startswith(("auth0_tx/", "auth0_tx-"))
    }
    if missing or strange:
        print(f"missing: {sorted(missing)}; strange: {sorted(strange)}")
        return 1
    with tempfile.TemporaryDirectory() as home:
        subprocess.run(
            ["uv", "venv", "-q", "--clear", "-p", sys.executable, home], check=True
        )
        bin_folder = Path(home) / "bin"
        subprocess.run(
            ["uv", "pip", "install", "-q", "-p", bin_folder / "python", wheel],
            check=True,
        )
        # From elsewhere, so that it is the installed package which answers.
        subprocess.run(
            [bin_folder / "auth0-tx", "demo", "--json"],
            check=True,
            cwd=home,
            stdout=subprocess.DEVNULL,
        )
    print(f"{wheel.name}: installs, and exchanges")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
