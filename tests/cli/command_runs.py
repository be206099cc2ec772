"""Runs of `auth0-tx`, in this process or in one of its own, with what they wrote."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest

from auth0_tx.cli import main
from auth0_tx.tenant import Tenant

LEGACY = "urn:acme:legacy-token"
VARIABLES = (
    "AUTH0_DOMAIN",
    "AUTH0_CLIENT_ID",
    "AUTH0_CLIENT_SECRET",
    "AUTH0_TX_SUBJECT_TOKEN",
    "AUTH0_TX_ACTOR_TOKEN",
    "AUTH0_TX_TOKEN",
    "NO_COLOR",
)


@attrs.frozen
class Outcome:
    """How a run ended, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def members(self) -> dict[str, Any]:
        """Return the one JSON object on standard output."""
        members = json.loads(self.out)
        assert isinstance(members, dict)
        return members

    def shown(self, *secrets: str) -> list[str]:
        """Return the secrets, or recognizable pieces of them, that were written."""
        written = self.out + self.err
        pieces = {
            piece
            for secret in secrets
            for piece in (secret, secret[:24], secret[-24:], *secret.split(".")[1:])
        }
        return [piece for piece in pieces if piece and piece in written]


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@attrs.frozen
class InProcess:
    """Call `main` with the test's own streams and environment."""

    monkeypatch: pytest.MonkeyPatch

    def __call__(
        self,
        *words: str,
        stdin: bytes = b"",
        environ: Mapping[str, str] | None = None,
        encoding: str = "utf-8",
        terminal: bool = False,
    ) -> Outcome:
        """Run the command with *words*, without this machine's own variables."""
        kind = Terminal if terminal else io.TextIOWrapper
        out, err = io.BytesIO(), io.BytesIO()
        with self.monkeypatch.context() as patch:
            for name in VARIABLES:
                patch.delenv(name, raising=False)
            for name, value in (environ or {}).items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", kind(io.BytesIO(stdin)))
            patch.setattr(sys, "stdout", kind(out, encoding, write_through=True))
            patch.setattr(sys, "stderr", kind(err, encoding, write_through=True))
            status = main(list(words))
            return Outcome(
                status, out.getvalue().decode(encoding), err.getvalue().decode(encoding)
            )


def environment(**changes: str) -> dict[str, str]:
    """Return this process's environment without our variables, and with *changes*."""
    others = {
        name: value for name, value in os.environ.items() if name not in VARIABLES
    }
    return others | changes


def start(
    *words: str,
    environ: Mapping[str, str] | None = None,
    stderr: int = subprocess.PIPE,
) -> subprocess.Popen[str]:
    """Start the command in a process of its own, its output in pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "auth0_tx.cli", *words],
        env=environment(**(environ or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        encoding="utf-8",
    )


def run(
    *words: str, stdin: str = "", environ: Mapping[str, str] | None = None
) -> Outcome:
    """Run the command in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", "auth0_tx.cli", *words],
        env=environment(**(environ or {})),
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return Outcome(finished.returncode, finished.stdout, finished.stderr)


def python(*words: str, stdin: str = "") -> Outcome:
    """Run Python in a process of its own."""
    finished = subprocess.run(
        [sys.executable, *words],
        env=environment(),
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return Outcome(finished.returncode, finished.stdout, finished.stderr)


def at(tenant: Tenant) -> dict[str, str]:
    """Return the variables that point to *tenant*."""
    return {
        "AUTH0_DOMAIN": tenant.domain,
        "AUTH0_CLIENT_ID": tenant.client_id,
        "AUTH0_CLIENT_SECRET": tenant.client_secret,
        "AUTH0_TX_SUBJECT_TOKEN": tenant.subject_token("auth0|alice"),
    }


def words_for(tenant: Tenant, *more: str) -> Sequence[str]:
    """Return the words of an exchange at *tenant*, which succeeds."""
    assert tenant.ca_file is not None
    return (
        "exchange",
        "--verify",
        tenant.ca_file,
        "--subject-token-type",
        LEGACY,
        *more,
    )


def encode(value: object) -> str:
    """Return *value* as JSON in base64url, as a part of a token is."""
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def jwt(claims: object, header: object = None, signature: str = "c2ln") -> str:
    """Return a token with *claims* that nobody signed."""
    head = {"alg": "RS256", "typ": "JWT"} if header is None else header
    return f"{encode(head)}.{encode(claims)}.{signature}"
