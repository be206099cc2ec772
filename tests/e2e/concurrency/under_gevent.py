"""The blocking client where gevent has replaced threads, locks and sockets.

Run by ``python -m gevent.monkey``, which does so before anything is imported.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from auth0_tx import ServerClient
from tests.e2e.concurrency.children import own_answers
from tests.e2e.concurrency.volume import in_threads


def main(settings: dict[str, Any]) -> None:
    """Use one client in many greenlets; print how many answers were their own."""
    with ServerClient(**settings) as client:
        print(
            json.dumps(
                in_threads(
                    30, lambda number: own_answers(client, f"greenlet{number}", 5)
                )
            )
        )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
