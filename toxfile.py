"""Run two environments at a time where tox is given no arguments.

Most environments run one process, and CI has two cores.  ``TOX_PARALLEL=0`` runs one
environment after another.  Whatever is named, as in ``tox -e lint``, runs as tox has it.
"""

from __future__ import annotations

import os
import sys

if not sys.argv[1:]:
    os.environ.setdefault("TOX_PARALLEL", "2")
