"""Public names are listed and documented, and the changelog is kept."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import pytest

import auth0_tx
from auth0_tx import AsyncServerClient, ServerClient
from tests.house.source import ROOT

MEMBERS = frozenset(
    {
        "check_tenant",
        "custom_token_exchange",
        "end_sessions",
        "exchange_many",
        "get_access_token",
        "get_session",
        "get_token_on_behalf_of",
        "get_user",
        "handle_backchannel_logout",
        "login_with_custom_token_exchange",
        "get_token_set",
        "logout",
        "prepare",
        "refresh",
        "request_session_transfer_token",
        "revoke_refresh_token",
        "session_cookie",
    }
)
CLIENTS = pytest.mark.parametrize(
    ("kind", "close"), [(ServerClient, "close"), (AsyncServerClient, "aclose")]
)


def test_all_is_sorted() -> None:
    """``__all__`` is in order and names nothing twice."""
    assert sorted(set(auth0_tx.__all__)) == list(auth0_tx.__all__)


@pytest.mark.parametrize("name", auth0_tx.__all__)
def test_public_names_exist(name: str) -> None:
    """Each public name is there, and says what it is."""
    member = getattr(auth0_tx, name)

    assert inspect.getdoc(member)
    assert name in dir(auth0_tx)


@CLIENTS
def test_clients_show_only_documented_methods(kind: Any, close: str) -> None:
    """A completion after ``client.`` offers the documented members and no machinery."""
    client = kind(domain="tenant.us.auth0.com", client_id="id", client_secret="secret")

    shown = {name for name in dir(client) if not name.startswith("_")}

    assert MEMBERS | {close} == shown
    assert all(inspect.getdoc(getattr(kind, name)) for name in shown)


def refuse_to_resolve(store_options: Mapping[str, Any] | None) -> str:
    """Return the domain of a tenant."""
    raise AssertionError("repr() asked the application's function")


@CLIENTS
@pytest.mark.parametrize("domain", ["tenant.us.auth0.com", refuse_to_resolve])
def test_repr_of_a_client(kind: Any, close: str, domain: Any) -> None:
    """A client prints its domain, if it has one, and its client id, but no secret."""
    client = kind(
        domain=domain,
        client_id="the-id",
        client_secret="needle-client-secret",
        secret=["needle-session-secret" * 2, "needle-older-secret"],
        legacy_secret="needle-legacy-secret",
        proxy="http://user:needle@proxy.example.com",
    )

    shown = repr(client)

    assert shown == str(client) == f"{client}"
    assert kind.__name__ in shown
    assert "the-id" in shown
    assert ("tenant.us.auth0.com" in shown) is isinstance(domain, str)
    assert "needle" not in shown


def test_unknown_names_are_refused() -> None:
    """A name that is not there is an AttributeError, as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = auth0_tx.Nothing


def test_every_public_exception_is_in_the_tree() -> None:
    """Each public error derives from the root and stands in the tree that errors.py draws."""
    drawn = set(re.findall(r"[├└]── (\w+)", auth0_tx.errors.__doc__ or "")) | {
        "Auth0Error"
    }
    errors = {
        name
        for name, member in vars(auth0_tx.errors).items()
        if inspect.isclass(member) and issubclass(member, Exception)
    }

    assert errors == drawn
    assert errors <= set(auth0_tx.__all__)


def test_changelog_tells_of_the_version() -> None:
    """The changelog has an entry for what is unreleased, or for this very version."""
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)

    assert headings[0] in ("Unreleased", auth0_tx.__version__)


def test_top_level_is_as_laid_out() -> None:
    """The repository's top level holds what its readers expect, and nothing else."""
    laid_out = {
        *("setup.cfg", "setup.py", "pyproject.toml", "LICENSE"),
        "tox.ini",
        *("README.md", "CHANGELOG.md", "CONTRIBUTING.md"),
        *("auth0_tx", "tests", "benchmarks", "tools", "docs", "examples"),
    }
    passing = {"build", "dist", "auth0_tx.egg-info", "__pycache__"}

    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    assert found - passing <= laid_out
