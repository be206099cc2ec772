"""`auth0-tx tenant`, run in this process."""

from __future__ import annotations

import argparse
import io
import json
import socket
from collections.abc import Callable
from pathlib import Path

import certifi
import pytest

from auth0_tx import CustomTokenExchangeError, CustomTokenExchangeOptions, ServerClient
from auth0_tx.cli.commands import tenant as command_tenant
from auth0_tx.cli.console import Console
from auth0_tx.cli.failures import CommandError
from auth0_tx.cli.rendering.style import Style
from auth0_tx.cli.signals import Terminated
from tests.cli.command_runs import InProcess


class Session:
    """A run of the command, with *during* for the time that the tenant serves."""

    def __init__(self, during: Callable[[Session], None]) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self._during = during

    def run(
        self, *, no_tls: bool = False, ca_file: str | None = None, json: bool = True
    ) -> int:
        """Run the command; return its exit status."""
        console = Console(
            stdin=io.BytesIO(),
            stdout=self.out,
            stderr=self.err,
            stdin_is_terminal=False,
            environ={},
            clock=lambda: 0.0,
            style=Style(),
        )
        arguments = argparse.Namespace(
            port=0, no_tls=no_tls, ca_file=ca_file, json=json
        )
        return command_tenant.run(arguments, console, lambda: self._during(self))

    @property
    def facts(self) -> dict[str, str]:
        """Return the connection facts that were written."""
        facts = json.loads(self.out.getvalue())
        assert isinstance(facts, dict)
        return facts

    def exchange(self, subject_token: str | None = None) -> None:
        """Exchange a token as the facts say."""
        facts = self.facts
        options = CustomTokenExchangeOptions(
            subject_token=subject_token or facts["subject_token"],
            subject_token_type=facts["subject_token_type"],
            audience=facts["audience"],
        )
        with ServerClient(
            domain=facts["domain"],
            client_id=facts["client_id"],
            client_secret=facts["client_secret"],
            verify=facts["ca_file"] or True,
        ) as client:
            client.custom_token_exchange(options)


@pytest.mark.parametrize("no_tls", [False, True])
def test_facts_are_enough(no_tls: bool) -> None:
    """The facts are enough for an exchange, and each request is logged."""
    session = Session(Session.exchange)

    assert 0 == session.run(no_tls=no_tls)
    assert [
        "Press Ctrl-C to stop the tenant. Its requests are listed below.",
        "GET /.well-known/openid-configuration 200",
        "POST /oauth/token 200",
    ] == session.err.getvalue().splitlines()


def test_facts_as_text() -> None:
    """Without --json the facts are set out, with the snippet below them."""
    session = Session(lambda _: None)

    assert 0 == session.run(json=False)
    assert session.out.getvalue().startswith("A local Auth0 tenant is running\n")
    assert session.out.getvalue().endswith("\nasyncio.run(main())\n")


def test_refusal_is_logged() -> None:
    """A request that is refused is logged with its error, and nothing of the token."""

    def during(session: Session) -> None:
        with pytest.raises(CustomTokenExchangeError):
            session.exchange("needle-of-a-token")

    session = Session(during)
    session.run()

    assert "POST /oauth/token 400 invalid_request" in session.err.getvalue()
    assert "needle" not in session.err.getvalue()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Terminated()])
def test_ends_cleanly(error: KeyboardInterrupt) -> None:
    """An interrupt ends it with success, and frees its port."""

    def during(session: Session) -> None:
        raise error

    session = Session(during)

    assert 0 == session.run()
    port = int(session.facts["domain"].rpartition(":")[2])
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_ca_file(tmp_path: Path) -> None:
    """The CA's certificate is written to the path, which the facts name."""
    path = tmp_path / "ca.pem"
    first, second = Session(Session.exchange), Session(Session.exchange)
    first.run(ca_file=str(path))
    written = path.read_text()

    assert str(path) == first.facts["ca_file"]
    assert 0 == second.run(ca_file=str(path))
    assert written != path.read_text()


@pytest.mark.parametrize(
    "content", ["", "a bundle", "public", "-----BEGIN é", "-----BEGIN CERTIFICATE-----"]
)
def test_other_file_is_not_written_over(tmp_path: Path, content: str) -> None:
    """A file that no tenant wrote is not overwritten."""
    path = tmp_path / "ca.pem"
    path.write_text(
        Path(certifi.where()).read_text() if content == "public" else content
    )
    before = path.read_text()
    with pytest.raises(CommandError, match="auth0-tx did not write"):
        Session(lambda _: None).run(ca_file=str(path))

    assert before == path.read_text()


def test_ca_file_cannot_be_read(tmp_path: Path) -> None:
    """A directory in the place of the file is refused."""
    with pytest.raises(CommandError, match="cannot read the --ca-file: Is a directory"):
        Session(lambda _: None).run(ca_file=str(tmp_path))


def test_ca_file_cannot_be_written(tmp_path: Path) -> None:
    """A missing directory is reported, and the tenant stops."""
    with pytest.raises(CommandError, match="cannot write the --ca-file: No such file"):
        Session(lambda _: None).run(ca_file=str(tmp_path / "none" / "ca.pem"))


def test_no_ca_without_tls(command: InProcess) -> None:
    """Without TLS there is no CA to write."""
    outcome = command("tenant", "--no-tls", "--ca-file", "ca.pem", "--json")

    assert (2, "usage") == (outcome.status, outcome.members["error"]["code"])


def test_port_is_taken(command: InProcess) -> None:
    """A port in use is reported, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = command("tenant", "--port", str(port))

    assert (1, "") == (outcome.status, outcome.out)
    assert [
        "auth0-tx tenant: cannot start the local tenant: Address already in use",
        "hint: leave out --port to use any free port",
    ] == outcome.err.splitlines()


def test_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits in turns, so that Ctrl-C interrupts it on every system."""
    waits: list[float] = []

    def wait(self: object, seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(command_tenant.threading.Event, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        command_tenant.wait_forever()

    assert [1.0, 1.0, 1.0] == waits
