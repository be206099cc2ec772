"""A process whose requests Sentry records, as it does in an application that calls ``init``.

Its patches stay for the life of a process.  The argument says whether Sentry comes before or
after the library is imported.
"""

from __future__ import annotations

import json
import sys
from typing import Any, ClassVar

import sentry_sdk
from sentry_sdk.integrations.stdlib import StdlibIntegration
from sentry_sdk.transport import Transport


class Recording(Transport):
    """Keeps what would go to Sentry."""

    events: ClassVar[list[dict[str, Any]]] = []

    def capture_envelope(self, envelope: Any) -> None:
        """Keep the events of an envelope."""
        self.events += [
            item.payload.json for item in envelope.items if item.payload.json
        ]


def start_sentry() -> None:
    """Start Sentry as an application does."""
    sentry_sdk.init(
        "https://public@sentry.example/1",
        transport=Recording,
        traces_sample_rate=1.0,
        # All of them take seconds to import.
        default_integrations=False,
        integrations=[StdlibIntegration()],
    )


def main() -> None:
    """Make two exchanges in a transaction, and print the spans that Sentry has of them."""
    if sys.argv[1] == "before":
        start_sentry()
    from auth0_tx import CustomTokenExchangeOptions, ServerClient
    from auth0_tx.tenant import Tenant

    if sys.argv[1] == "after":
        start_sentry()
    with (
        Tenant() as tenant,
        ServerClient(
            domain=tenant.domain,
            client_id=tenant.client_id,
            client_secret=tenant.client_secret,
            verify=tenant.ca_file,
        ) as client,
        sentry_sdk.start_transaction(name="request"),
    ):
        for _ in range(2):
            client.custom_token_exchange(
                CustomTokenExchangeOptions(
                    subject_token=tenant.subject_token("auth0|alice"),
                    subject_token_type="urn:acme:legacy-token",
                )
            )
        told = {
            "paths": [request.path for request in tenant.requests],
            "traced": [
                "sentry-trace" in request.headers for request in tenant.requests
            ],
        }
    sentry_sdk.flush()
    told["spans"] = [
        "/" + span["description"].split("/", 3)[3]
        for event in Recording.events
        for span in event.get("spans", ())
        if span["op"] == "http.client"
    ]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
