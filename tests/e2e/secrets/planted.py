"""Tests that must fail, each for a secret that shows in another place; run by the canary.

What fails does so in a frame that says to be the library's, as a leak would.
"""

from __future__ import annotations

import json
import logging
import textwrap
import time
import warnings
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import auth0_tx
from auth0_tx.core.configuration import configure
from auth0_tx.core.effects import Emit
from auth0_tx.core.session.cookies import SetCookie
from auth0_tx.core.wire.client_auth import build_client_authentication
from auth0_tx.errors import MfaRequiredError, RefusedError
from auth0_tx.events import CacheHit
from auth0_tx.secret import SecretStr
from auth0_tx.tenant import Application, ReceivedRequest, Tenant
from auth0_tx.values import CustomTokenExchangeOptions, TokenExchangeResponse

SECRET = "Zk9:p~3x/needle+in=a%haystack&7Qw"
# Of a kind that is looked for until the end of the run.
LASTING = "8vT!q-0straw;that|broke*the.camel$J4"

IN_ERRORS = {
    "message": "raise RefusedError(secret)",
    "hint": "raise RefusedError('no', hint=secret)",
    "args": "error = RefusedError('no'); error.args = (secret,); raise error",
    "attribute": "error = RefusedError('no'); error.extra = secret; raise error",
    "note": "error = RefusedError('no'); error.add_note(secret); raise error",
    "cause": "raise RefusedError('no') from ValueError(secret)",
    "context": """
        try:
            raise ValueError(secret)
        except ValueError:
            raise RefusedError('no') from None
        """,
    "cause of a context": """
        try:
            raise ValueError from OSError(secret)
        except ValueError:
            raise RefusedError('no')
        """,
    "attribute of a cause": """
        cause = OSError()
        cause.request = {'body': secret}
        raise RefusedError('no') from cause
        """,
    "local": "token = secret; raise RefusedError('no')",
    "local of a local": "form = {'subject_token': [secret]}; raise RefusedError('no')",
    # It prints itself in no place, and is there all the same.
    "pickle": "raise RefusedError('no', correlation_id=SecretStr(secret))",
    "copy": """
        class Copied(RefusedError):
            def __copy__(self):
                return RefusedError('no', hint=secret)
        error = Copied('no')
        raise error
        """,
    "part": "raise RefusedError(secret[:20])",
    "base64": "raise RefusedError(b64encode(secret.encode()).decode())",
    "inside of base64": "raise RefusedError(b64encode(b'id:' + secret.encode()).decode())",
    "url-encoded": "raise RefusedError(quote(secret, safe=''))",
    "returned, not raised": "RefusedError(secret)",
}

IN_LOGS = (
    "",
    "urllib3.connectionpool",
    "requests",
    "aiohttp.client",
    "asyncio",
    "auth0_tx",
)

INNOCENT = {
    "a short word": "secret",
    "one letter, often": "x" * 100,
    "a type": "urn:acme:legacy-token",
    "an address": "https://api.example.com/an/audience",
}


def fail_in_the_library(source: str, secret: str) -> None:
    """Run *source* in a frame of a file in the package, and pass over its error."""
    file = str(Path(auth0_tx.__file__).with_name("planted.py"))
    program = "def fail():\n" + textwrap.indent(textwrap.dedent(source).strip(), "    ")
    # A global is no local: the frame shows the secret only where the source puts it.
    names: dict[str, Any] = {
        "RefusedError": RefusedError,
        "SecretStr": SecretStr,
        "b64encode": b64encode,
        "quote": quote,
        "secret": secret,
    }
    exec(compile(program, file, "exec"), names)
    with suppress(RefusedError):
        names["fail"]()


def leak(secret: str) -> None:
    """Let *secret* show in an error's message."""
    fail_in_the_library("raise RefusedError(secret)", secret)


@pytest.mark.parametrize("place", IN_ERRORS)
def test_error(needles: Any, place: str) -> None:
    """Show a secret by an error."""
    needles.add(SECRET)
    fail_in_the_library(IN_ERRORS[place], SECRET)


@pytest.mark.parametrize("name", IN_LOGS)
def test_log(needles: Any, name: str) -> None:
    """Show a secret in a log record at DEBUG."""
    needles.add(SECRET)
    logging.getLogger(name).debug("sent %s", SECRET)


def test_log_of_an_exception(needles: Any) -> None:
    """Show a secret in the exception of a log record."""
    needles.add(SECRET)
    logging.getLogger("auth0_tx").debug("failed", exc_info=ValueError(SECRET))


def test_warning(needles: Any) -> None:
    """Show a secret in a warning."""
    needles.add(SECRET)
    warnings.warn(f"{SECRET} is deprecated", stacklevel=1)


@pytest.mark.parametrize("kind", [str, SecretStr])
def test_event(needles: Any, kind: Any) -> None:
    """Show a secret in an event, also as text that would not print itself."""
    needles.add(SECRET)
    Emit(CacheHit(domain=kind(SECRET)))


def test_cookie() -> None:
    """Show a session's cookie in an event."""
    SetCookie(name="session", value=SECRET, max_age=1)
    Emit(CacheHit(domain=SECRET))


@pytest.mark.parametrize("place", ["local", "argument of the standard library"])
def test_interruption(needles: Any, interrupt: Any, place: str) -> None:
    """Show a secret in a frame that a signal's exception passes, whoever's it is."""
    needles.add(SECRET)
    program = {
        "local": "def wait():\n    body = secret\n    time.sleep(5)\n",
        "argument of the standard library": (
            "def wait():\n    json.dumps(secret, default=None, cls=Slow)\n"
        ),
    }

    class Slow(json.JSONEncoder):
        def encode(self, o: Any) -> str:
            time.sleep(5)
            return ""

    names: dict[str, Any] = {
        "Slow": Slow,
        "json": json,
        "secret": SECRET,
        "time": time,
    }
    exec(compile(program[place], "/elsewhere/library.py", "exec"), names)
    interrupt(names["wait"], lambda: True)


def test_url(needles: Any) -> None:
    """Show a secret in a URL."""
    needles.add(SECRET)
    ReceivedRequest(
        method="GET",
        path="/",
        query=f"token={quote(SECRET)}",
        headers={"User-Agent": "auth0-tx/0"},
    )


def test_header(needles: Any) -> None:
    """Show a secret in a header."""
    needles.add(SECRET)
    ReceivedRequest(
        method="GET", path="/", headers={"User-Agent": f"auth0-tx/{SECRET}"}
    )


def test_options() -> None:
    """Show a token that was only ever put into options."""
    CustomTokenExchangeOptions(subject_token=SECRET, subject_token_type="urn:acme:t")
    leak(SECRET)


def test_extension_parameter() -> None:
    """Show a parameter that was only ever put into options."""
    CustomTokenExchangeOptions(
        subject_token="a",
        subject_token_type="urn:a:b",
        authorization_params={"x": SECRET},
    )
    leak(SECRET)


def test_response() -> None:
    """Show a token that was only ever in a response."""
    TokenExchangeResponse(access_token="a", token_type="Bearer", id_token=SECRET)
    leak(SECRET)


def test_mfa_token() -> None:
    """Show an MFA token."""
    MfaRequiredError("no").with_mfa(SECRET, None)
    leak(SECRET)


def test_client_secret() -> None:
    """Show the secret of a client."""
    configure(domain="tenant.auth0.com", client_id="a", client_secret=LASTING)
    leak(LASTING)


def test_private_key() -> None:
    """Show a line of a client's private key."""
    from joserfc.jwk import ECKey

    pem = ECKey.generate_key("P-256", private=True).as_pem(private=True).decode()
    build_client_authentication("private_key_jwt", "a", None, pem, "ES256")
    leak(pem.splitlines()[1])


def test_secret_of_an_application() -> None:
    """Show the secret of an application of a tenant's."""
    Application("a", LASTING)
    leak(LASTING)


def test_token_of_the_tenants() -> None:
    """Show a token that the tenant made."""
    with Tenant(tls=False) as tenant:
        leak(tenant.subject_token("auth0|alice"))


@pytest.mark.parametrize("text", INNOCENT)
def test_innocent(needles: Any, text: str) -> None:
    """Show what is no secret: this must pass."""
    needles.add(INNOCENT[text])
    leak(INNOCENT[text])


def test_public_by_another_name() -> None:
    """Show a token that is an audience too: this must pass."""
    CustomTokenExchangeOptions(
        subject_token=SECRET, subject_token_type="urn:acme:t", audience=SECRET
    )
    leak(SECRET)


def test_own_error(needles: Any) -> None:
    """Raise an error of the library's by oneself: this must pass."""
    needles.add(SECRET)
    with pytest.raises(RefusedError):
        raise RefusedError(SECRET)


def test_afterwards() -> None:
    """Show a secret that only earlier tests had: this must pass."""
    leak(SECRET)
