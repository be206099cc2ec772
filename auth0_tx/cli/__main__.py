"""``python -m auth0_tx.cli``, for when ``auth0-tx`` is not on the path."""

from __future__ import annotations

import sys

from . import main

if __name__ == "__main__":
    sys.exit(main())
