"""``manage.py auth0_tx``: Django's own options anywhere, named clients, and exit statuses."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auth0_tx.tenant import Application, Tenant
from tests.frameworks import django_settings  # noqa: F401

Project = Callable[..., Any]


def run(*words: str) -> int:
    """Run a command in this process; return its exit status."""
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(["manage.py", "auth0_tx", *words])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


SETTINGS = """
AUTH0_TX = {AUTH0_TX!r}
INSTALLED_APPS = ["auth0_tx.integrations.django"]
SECRET_KEY = "0123456789abcdefghijklmnopqrstuvwxyz"
"""


@pytest.mark.parametrize(
    "words",
    [
        ("doctor", "--no-probe", "--settings=a_site", "--pythonpath={}"),
        ("doctor", "--settings", "a_site", "--pythonpath", "{}", "--no-probe"),
        ("--settings=a_site", "--pythonpath={}", "doctor", "--no-probe", "-v", "2"),
        (
            *("doctor", "--json", "--settings=a_site", "--no-probe", "--no-color"),
            *("-v0", "--traceback", "--skip-checks", "--pythonpath={}"),
        ),
    ],
)
def test_djangos_options(
    auth0_tenant: Tenant, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Django's own options may stand before the command's name, and after its words."""
    auth0_tx = {
        "DOMAIN": auth0_tenant.domain,
        "CLIENT_ID": auth0_tenant.client_id,
        "CLIENT_SECRET": auth0_tenant.client_secret,
        "VERIFY": auth0_tenant.ca_file,
    }
    (tmp_path / "a_site.py").write_text(SETTINGS.format(AUTH0_TX=auth0_tx))
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "django", "auth0_tx"),
            *(word.format(tmp_path) for word in words),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={name: os.environ[name] for name in os.environ if "DJANGO" not in name},
    )

    assert (0, "") == (ran.returncode, ran.stderr)
    assert "discovery" in ran.stdout


@pytest.fixture
def two_clients(project: Project, auth0_tenant: Tenant) -> None:
    """Set up a project with two clients, of which the second is known to the tenant."""
    from django.conf import settings

    auth0_tenant.applications.add(Application("orders", "secret-of-orders"))
    project({"CLIENT_SECRET": "wrong, and nobody's"})
    orders = {"CLIENT_ID": "orders", "CLIENT_SECRET": "secret-of-orders"}
    project(AUTH0_TX={"default": settings.AUTH0_TX, "orders": orders})


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("doctor",), 1),
        (("doctor", "--client", "orders"), 0),
        (("doctor", "--client=orders"), 0),
        (("--client", "orders", "doctor"), 0),
        (("doctor", "--client", "default"), 1),
        (("doctor", "--client", "nobody"), 2),
        (("doctor", "--client-id", "orders"), 1),
        (("doctor", "--unknown"), 2),
        (("doctor", "--client"), 2),
        (("inspect", "--help"), 0),
    ],
)
def test_clients(
    two_clients: None,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    status: int,
) -> None:
    """A command is for the named client, and its exit status is that of ``auth0-tx``."""
    assert status == run(*words)
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    if words[-1] == "nobody":
        assert "no client 'nobody'; it has 'default', 'orders'" in shown.err


def test_exchange(
    two_clients: None,
    auth0_tenant: Tenant,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The words after a command's name are its own, and reach it unchanged."""
    monkeypatch.setenv(
        "AUTH0_TX_SUBJECT_TOKEN", auth0_tenant.subject_token("auth0|alice")
    )
    words = "exchange --subject-token-type urn:acme:legacy-token --client orders --json"

    assert 0 == run(*words.split(), "--scope", "openid profile", "--no-color")
    assert "openid profile" == json.loads(capsys.readouterr().out)["scope"]


def test_settings_that_are_wrong(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """A setting that is unknown ends the command with its name, and no traceback."""
    project({"TIMEOUTS": 1})

    assert 2 == run("doctor")
    assert "AUTH0_TX['TIMEOUTS']" in capsys.readouterr().err


def test_colours(
    project: Project, monkeypatch: pytest.MonkeyPatch, two_clients: None
) -> None:
    """``--no-color`` turns colours off on a terminal, for one command."""

    class Terminal(io.StringIO):
        encoding = "utf-8"  # type: ignore[assignment]

        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    written = []
    for words in ([], ["--no-color"], []):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        run("doctor", "--no-probe", *words)
        written.append("\x1b[" in terminal.getvalue())

    assert [True, False, True] == written


def test_call_command(two_clients: None, capsys: pytest.CaptureFixture[str]) -> None:
    """``call_command`` takes the client as a keyword."""
    from django.core.management import call_command

    call_command("auth0_tx", "doctor", client="orders")

    assert "ok       client authentication" in capsys.readouterr().out
