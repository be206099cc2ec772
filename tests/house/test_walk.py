"""An exchange runs the functions that CONTRIBUTING lists for a subject token."""

from __future__ import annotations

import re
import sys
from types import FrameType
from typing import Any

from auth0_tx import CustomTokenExchangeOptions, ServerClient
from auth0_tx.tenant import Tenant
from tests.house.source import PACKAGE, ROOT, get_name, list_modules

HEADING = "## The way of a `subject_token`"
MODULES = {get_name(path).replace(".", "/") for path in list_modules()}


def list_steps() -> list[tuple[str, str]]:
    """Return the functions that CONTRIBUTING names, each with its module, in order."""
    section = (ROOT / "CONTRIBUTING.md").read_text().partition(HEADING)[2]
    section = section.partition("\n## ")[0]
    steps, module = [], ""
    for name in re.findall(r"`([\w./]+)`", section):
        if name in MODULES:
            module = name
        elif name.islower() or "." in name:
            steps.append((module, name.rpartition(".")[2]))
    return [step for step in steps if step[0]]


def trace_exchange() -> list[tuple[str, str]]:
    """Return the functions that a blocking exchange calls, each with its module."""
    called: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(str(PACKAGE)):
            module = path[len(str(PACKAGE)) + 1 :].removesuffix(".py")
            called.append((module, frame.f_code.co_name))

    with (
        Tenant() as tenant,
        ServerClient(
            domain=tenant.domain,
            client_id=tenant.client_id,
            client_secret=tenant.client_secret,
            verify=tenant.ca_file,
        ) as client,
    ):
        subject_token = tenant.subject_token("auth0|alice")

        def exchange() -> None:
            client.custom_token_exchange(
                CustomTokenExchangeOptions(
                    subject_token=subject_token,
                    subject_token_type="urn:acme:legacy-token",
                )
            )

        exchange()
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            exchange()
        finally:
            sys.setprofile(before)
    return called


def test_the_walk_is_what_runs() -> None:
    """Each function that the walk names is called, and in the order of the walk."""
    steps, called = list_steps(), iter(trace_exchange())

    missing = [step for step in steps if step not in called]

    assert len(steps) >= 12
    assert [] == missing
