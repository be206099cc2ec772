"""The two clients: generated, current, and alike."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import traceback
from typing import Any, get_type_hints

import pytest

from auth0_tx import AsyncServerClient, InvalidInputError, ServerClient
from tests.house.source import ROOT

METHODS = [
    name
    for name, member in vars(ServerClient).items()
    if inspect.isfunction(member) and not name.startswith("_")
]
# They return an iterator, which awaits or not, in both worlds.
ITERATING = frozenset({"exchange_many"})
RESOLVED = (
    "custom_token_exchange",
    "get_token_on_behalf_of",
    "get_access_token",
    "refresh",
    "logout",
    "prepare",
)


def test_shells_are_current() -> None:
    """The clients are what the generator would write now."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "tools/generate_shells.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (ran.returncode, ran.stdout)


def test_every_method_is_in_both() -> None:
    """Both clients have the same methods."""
    other = [
        name
        for name, member in vars(AsyncServerClient).items()
        if inspect.isfunction(member) and not name.startswith("_")
    ]

    assert METHODS == other


@pytest.mark.parametrize("name", RESOLVED)
@pytest.mark.parametrize("client", [ServerClient, AsyncServerClient])
def test_annotations_are_resolved(client: type, name: str) -> None:
    """Frameworks that resolve annotations can do so for methods without values of sessions."""
    method = getattr(client, name)

    assert {*inspect.signature(method).parameters} - {"self"} == {
        *get_type_hints(method)
    } - {"return"}


@pytest.mark.parametrize("name", [*METHODS, "__init__"])
def test_methods_agree(name: str) -> None:
    """A method has the same parameters and docstring in both, and awaits in one only."""
    blocking, awaiting = getattr(ServerClient, name), getattr(AsyncServerClient, name)

    assert [*inspect.signature(blocking).parameters] == [
        *inspect.signature(awaiting).parameters
    ]
    assert blocking.__doc__ == awaiting.__doc__
    assert (False, name not in ("__init__", *ITERATING)) == (
        inspect.iscoroutinefunction(blocking),
        inspect.iscoroutinefunction(awaiting),
    )


# Text that is not secret, whatever the method.
PUBLIC_TEXTS = frozenset(
    {
        *("audience", "scope", "organization", "sub", "return_to"),
        *("subject_token_type", "actor_token_type"),
    }
)
NEEDLE = "needle-0123456789"


def list_text_parameters(method: object) -> list[str]:
    """Return the parameters of a method that may hold a token, or a mapping with tokens."""
    return [
        parameter.name
        for parameter in inspect.signature(method).parameters.values()  # type: ignore[arg-type]
        if parameter.name not in {"self", *PUBLIC_TEXTS}
        and re.search(r"\bstr\b|\bbytes\b|\bMapping\b|Options$", parameter.annotation)
    ]


@pytest.mark.parametrize("kind", [ServerClient, AsyncServerClient])
@pytest.mark.parametrize("name", METHODS)
def test_arguments_are_concealed(
    kind: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No argument of a method that may be a token shows in the method's own frame."""
    method = getattr(kind, name)
    parameters = list_text_parameters(method)

    def fail(*arguments: object, **keywords: object) -> object:
        raise ZeroDivisionError

    for driver in ("run", "run_async", "run_in_turn"):
        monkeypatch.setattr(f"{kind.__module__}.{driver}", fail, raising=False)
    client = kind(domain="tenant.us.auth0.com", client_id="id", client_secret="secret")
    # A mapping in place of a value is a caller's mistake, and has tokens as well.
    arguments = {parameter: {"a": NEEDLE} for parameter in parameters}

    def call() -> None:
        called = method(client, **_fill_in(method, arguments))
        if inspect.iscoroutine(called):
            called.send(None)

    with pytest.raises((ZeroDivisionError, InvalidInputError)) as caught:
        call()
    frames = [
        frame
        for frame, _ in traceback.walk_tb(caught.value.__traceback__)
        if frame.f_code.co_name == name
    ]

    assert 1 == len(frames)
    assert parameters == [
        parameter for parameter in parameters if parameter in frames[0].f_locals
    ]
    assert [] == [
        variable
        for variable, value in frames[0].f_locals.items()
        if NEEDLE in repr(value)
    ]


def _fill_in(method: object, arguments: dict[str, Any]) -> dict[str, Any]:
    """Add the public arguments that a method requires."""
    parameters = inspect.signature(method).parameters.values()  # type: ignore[arg-type]
    return arguments | {
        parameter.name: "text"
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.name not in {"self", *arguments}
    }
