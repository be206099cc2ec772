"""The values that a client takes and returns: frozen, by keyword, redacted."""

from __future__ import annotations

import copy
import inspect
import logging
import pickle
import pprint
from collections import UserDict
from types import MappingProxyType
from typing import Any

import attrs
import pytest

import auth0_tx
from auth0_tx import events
from auth0_tx.core.session.state import create_state
from auth0_tx.errors import IdTokenError
from auth0_tx.secret import SecretStr
from auth0_tx.session_values import (
    AccessTokenSet,
    SessionData,
    SessionTransferToken,
    TokenSet,
    UserClaims,
)
from auth0_tx.token_types import TokenType
from auth0_tx.values import (
    CustomTokenExchangeOptions,
    RetryPolicy,
    SessionPolicy,
    TokenExchangeResponse,
)
from tests.core.world import SECRETS

OPTIONS = CustomTokenExchangeOptions(
    subject_token=SECRETS["subject_token"],
    subject_token_type=TokenType.JWT,
    actor_token=SECRETS["actor_token"],
    actor_token_type=TokenType.ID_TOKEN,
    audience="https://api.example.com",
    authorization_params={"pin": SECRETS["client_secret"]},
)
RESPONSE = TokenExchangeResponse(
    access_token=SECRETS["access_token"],
    token_type="Bearer",
    id_token=SECRETS["subject_token"],
    refresh_token=SECRETS["refresh_token"],
    act={"sub": "auth0|agent"},
    act_error=IdTokenError("no"),
)
TOKEN_SET = AccessTokenSet(access_token=SECRETS["access_token"])
VALUES = pytest.mark.parametrize(
    "value", [OPTIONS, RESPONSE, TOKEN_SET], ids=["options", "response", "token set"]
)


@VALUES
def test_print(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A printed, logged or unpacked value does not show a secret."""
    with caplog.at_level(logging.INFO):
        logging.getLogger("app").info("%s %r %s", value, value, [value])
    shown = [
        repr(value),
        str(value),
        f"{value}",
        f"{value!r:.200}",
        pprint.pformat(value),
        pprint.pformat(attrs.asdict(value)),
        repr(attrs.astuple(value)),
        repr([getattr(value, field.name) for field in attrs.fields(type(value))]),
        caplog.text,
    ]

    assert [] == [text for text in shown if "needle" in text]
    assert not hasattr(value, "__dict__")


def test_print_shows_the_rest() -> None:
    """Values that aren't secret print, and so do parameter names and ``None``."""
    shown = repr(OPTIONS)

    assert "audience='https://api.example.com'" in shown
    assert "subject_token=<redacted>" in shown
    assert "authorization_params=<'pin'>" in shown
    assert "refresh_token=<redacted>" in repr(RESPONSE)
    assert "id_token=None" in repr(attrs.evolve(RESPONSE, id_token=None))
    least = attrs.evolve(OPTIONS, actor_token=None, authorization_params=None)
    assert "actor_token=None" in repr(least)
    assert "authorization_params=<redacted>" in repr(least)


def test_print_of_a_wrong_value() -> None:
    """A value of the wrong type does not print either."""
    wrong: Any = [("pin", SECRETS["client_secret"])]

    assert "needle" not in repr(attrs.evolve(OPTIONS, authorization_params=wrong))


@VALUES
@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_not_duplicated(value: Any, duplicate: Any) -> None:
    """A value with secrets refuses to be pickled or copied; its error has no secret."""
    with pytest.raises(
        TypeError, match=f"^{type(value).__name__} holds secrets"
    ) as error:
        duplicate(value)

    assert "needle" not in str(error.value)


@VALUES
def test_evolve(value: Any) -> None:
    """``attrs.evolve`` returns another value."""
    assert value == attrs.evolve(value)
    assert value is not attrs.evolve(value)


@pytest.mark.parametrize(
    "value", [OPTIONS, RESPONSE, RetryPolicy()], ids=lambda v: type(v)
)
def test_frozen(value: Any) -> None:
    """An attribute can be neither set nor deleted."""
    name = attrs.fields(type(value))[0].name

    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, name, "x")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        delattr(value, name)


@pytest.mark.parametrize(
    "kind", [CustomTokenExchangeOptions, TokenExchangeResponse, RetryPolicy]
)
def test_by_keyword(kind: type) -> None:
    """Parameters are keyword-only, so that two strings can't be confused."""
    kinds = {
        parameter.kind for parameter in inspect.signature(kind).parameters.values()
    }

    assert {inspect.Parameter.KEYWORD_ONLY} == kinds


def test_tokens_are_text() -> None:
    """A token is a string, and an enum's member becomes its string."""
    assert SECRETS["access_token"] == RESPONSE.access_token
    assert f"Bearer {SECRETS['access_token']}" == f"Bearer {RESPONSE.access_token}"
    assert isinstance(OPTIONS.actor_token, SecretStr)
    assert (str, "urn:ietf:params:oauth:token-type:jwt") == (
        type(OPTIONS.subject_token_type),
        OPTIONS.subject_token_type,
    )


@pytest.mark.parametrize(
    "kind",
    [
        AccessTokenSet,
        CustomTokenExchangeOptions,
        TokenExchangeResponse,
        SessionTransferToken,
    ],
)
def test_parameters_have_the_types_of_their_attributes(kind: type) -> None:
    """A parameter's type, which ``help()`` shows, is that of its attribute."""
    parameters = inspect.signature(kind).parameters

    assert {field.name: field.type for field in attrs.fields(kind)} == {
        name: parameter.annotation for name, parameter in parameters.items()
    }


def test_session_types_name_the_keys_of_a_session() -> None:
    """The typed dictionaries have the keys that a new session has, and no others."""
    claims = {"sub": "auth0|alice", "iss": "https://t/", "at_hash": "x", "sid": "s"}
    session = create_state(
        RESPONSE,
        claims,
        audience=None,
        scope=None,
        domain="t",
        now=1.0,
        policy=SessionPolicy(),
        session_id="s",
    )

    assert set(SessionData.__annotations__) == set(session)
    assert set(TokenSet.__annotations__) == set(session["token_sets"][0])
    assert set(session["user"]) <= set(UserClaims.__annotations__)


@pytest.mark.parametrize("mapping", [dict, UserDict, MappingProxyType])
def test_parameters_are_copied(mapping: Any) -> None:
    """A change to the caller's mapping does not change the options."""
    own = {"pin": "1"}
    options = attrs.evolve(OPTIONS, authorization_params=mapping(own))
    own["client_id"] = "another"

    assert {"pin": "1"} == options.authorization_params
    with pytest.raises(TypeError):
        options.authorization_params["pin"] = "2"  # type: ignore[index]


def test_policy() -> None:
    """The policy's defaults are the documented ones."""
    assert (
        RetryPolicy(
            attempts=3,
            transient_delay=0.1,
            throttled_delay=1.0,
            longest_delay=5.0,
            retry_429=True,
            retry_503=False,
            budget=50,
            fail_fast=False,
            blocked_seconds=600.0,
            remember_refusals_seconds=0.0,
        )
        == RetryPolicy()
    )


def test_token_types() -> None:
    """The identifiers are those of RFC 8693 section 3, and one of Auth0."""
    registered = "urn:ietf:params:oauth:token-type:"
    names = {"access_token", "id_token", "jwt", "refresh_token"}
    own = "urn:auth0:params:oauth:token-type:session_transfer_token"

    assert {*(registered + name for name in names), own} == set(TokenType)
    assert str(TokenType.JWT) == f"{TokenType.JWT}" == registered + "jwt"


WHO: dict[str, Any] = {
    "domain": "d",
    "client_id": "c",
    "subject": "u",
    "session": "s",
    "correlation_id": "i",
}
EVENTS = [
    events.ExchangeStarted(
        domain="d", subject_token_type="t", audience=None, actor=False
    ),
    events.ExchangeRetried(domain="d", attempt=1, code="c", status=None, delay=0.1),
    events.ExchangeFinished(domain="d", seconds=1.0),
    events.MetadataFetched(domain="d", seconds=1.0),
    events.KeysFetched(domain="d", seconds=1.0, code="c"),
    events.LoginFinished(**WHO, seconds=1.0),
    events.SessionRotated(**WHO, by="exchange", seconds=1.0, code="c"),
    events.LogoutFinished(**WHO, seconds=1.0),
    events.BackchannelLogoutFinished(**WHO, sessions=2, seconds=1.0),
    events.LogoutTokenRefused(**WHO, code="c", reason="invalid", rule="r"),
    events.SessionCookieRefused(**WHO, code="c", reason="expired"),
    events.SessionsEnded(**WHO, by="end_sessions", sessions=0, seconds=1.0),
    events.CacheHit(domain="d"),
    events.CacheMissed(domain="d"),
    events.CacheJoined(domain="d"),
    events.CacheFailed(kind="TimeoutError"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events(event: Any) -> None:
    """An event has no field for a token, and can be compared, pickled and copied."""
    names = {field.name for field in attrs.fields(type(event))}
    allowed = {
        *("domain", "subject_token_type", "audience", "actor"),
        *("attempt", "code", "status", "delay", "seconds", "kind"),
        *("by", "exchange_id", "client_id", "subject", "session", "correlation_id"),
        *("sessions", "reason", "rule"),
    }

    assert names <= allowed
    assert event == pickle.loads(pickle.dumps(event)) == copy.deepcopy(event)


def test_every_event() -> None:
    """``Event`` is the union of all event classes."""
    assert {type(event) for event in EVENTS} == set(events.Event.__args__)


def test_public_values() -> None:
    """The values can be imported from the package itself."""
    for value in (
        CustomTokenExchangeOptions,
        TokenExchangeResponse,
        RetryPolicy,
        TokenType,
    ):
        assert value is getattr(auth0_tx, value.__name__)
