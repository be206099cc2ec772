"""Arguments that a task must not have."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st

from auth0_tx import (
    CustomTokenExchangeOptions,
    InvalidInputError,
    TokenExchangeResponse,
)
from auth0_tx.integrations.celery import TokenExchangeTask, refuse_tokens
from auth0_tx.integrations.celery.refusal import find_refusal
from auth0_tx.integrations.celery.vault import new_handle
from auth0_tx.secret import SecretStr
from auth0_tx.tenant import Tenant

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
OPTIONS = CustomTokenExchangeOptions(
    subject_token="opaque", subject_token_type="urn:acme:legacy-token"
)

TOKENS: list[tuple[Any, Any, str]] = [
    ((JWT,), {}, "args[0]"),
    (("a", [1, {"b": (JWT,)}]), {}, "args[1][1]['b'][0]"),
    ((), {"anything": f"see {JWT} there"}, "kwargs['anything']"),
    ((JWT.encode(),), {}, "args[0]"),
    (("Bearer opaque",), {}, "args[0]"),
    (("dpop opaque",), {}, "args[0]"),
    ((SecretStr("opaque"),), {}, "args[0]"),
    ((OPTIONS,), {}, "args[0]"),
    ((TokenExchangeResponse(access_token="a", token_type="Bearer"),), {}, "args[0]"),
    ((), {"subject_token": "opaque"}, "kwargs['subject_token']"),
    (({"Refresh_Token": "opaque"},), {}, "args[0]['Refresh_Token']"),
    (({JWT: 1},), {}, "args[0]"),
    (({"a" * 50: {"access_token": "opaque"}},), {}, "args[0][...]['access_token']"),
]


@pytest.mark.parametrize(("args", "kwargs", "where"), TOKENS, ids=range(len(TOKENS)))
def test_tokens(args: Any, kwargs: Any, where: str) -> None:
    """A token is refused; the error says where it is, and never what it is."""
    refusal = find_refusal(args, kwargs)

    assert refusal is not None
    assert where == refusal.parameter
    assert "SubjectTokenVault" in str(refusal)
    assert "opaque" not in str(refusal)
    assert JWT not in str(refusal)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (None, None),
        (("a.b.c", 7, None, 1.5, b"x"), {"user": "auth0|alice"}),
        ((new_handle(),), {"subject_token": new_handle()}),
        (("eyJust a word",), {}),
    ],
    ids=["nothing", "ordinary", "handle", "word"],
)
def test_others(args: Any, kwargs: Any) -> None:
    """Other arguments pass, also the handle of a vault under the name of a token."""
    assert find_refusal(args, kwargs) is None


@given(
    st.recursive(
        st.none() | st.integers() | st.text(st.characters(codec="ascii"), max_size=9),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner),
    )
)
def test_any_json(value: Any) -> None:
    """Whatever JSON may hold is looked through, and a token in it is found."""
    assert find_refusal((value,), {}) is None
    assert find_refusal((value, [value, JWT]), {}) is not None


def test_endless() -> None:
    """What contains itself comes to an end."""
    endless: list[Any] = []
    endless.append(endless)
    assert find_refusal((endless,), {}) is None


@pytest.fixture
def app() -> Any:
    """Return an application whose messages go to memory."""
    app = Celery("tests", broker="memory://", backend="cache+memory://")
    yield app
    app.close()


def test_sending(app: Celery) -> None:
    """No way of sending a task takes a token, and one that trusts its broker does."""

    @app.task(shared=False, base=TokenExchangeTask, name="ours")
    def ours(value: str) -> str:
        return value

    @app.task(shared=False, base=TokenExchangeTask, name="trusting", allow_tokens=True)
    def trusting(value: str) -> str:
        return value

    @app.task(shared=False, name="plain")
    def plain(value: str) -> str:
        return value

    refuse_tokens(app)
    for send in (
        lambda: ours.delay(JWT),
        lambda: ours.apply_async((JWT,)),
        lambda: ours.s(JWT).apply_async(),
        lambda: (ours.s("a") | ours.si(JWT)).apply_async(),
        lambda: plain.delay(JWT),
        lambda: app.send_task("elsewhere", (JWT,)),
    ):
        with pytest.raises(InvalidInputError):
            send()
    trusting.delay(JWT)
    plain.delay("ordinary")
    app.send_task("elsewhere", kwargs={"handle": new_handle()})


def test_without_the_application(app: Celery) -> None:
    """A TokenExchangeTask refuses tokens even if the application does not."""

    @app.task(shared=False, base=TokenExchangeTask, name="alone")
    def alone(value: str) -> str:
        return value

    with pytest.raises(InvalidInputError):
        alone.delay(JWT)


def test_a_real_token(auth0_tenant: Tenant) -> None:
    """Tokens as Auth0 issues them are found."""
    for token in (
        auth0_tenant.access_token("auth0|alice", "https://api.example.com"),
        auth0_tenant.id_token("auth0|alice"),
    ):
        assert find_refusal((token,), None) is not None
