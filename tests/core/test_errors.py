"""The errors: one tree, complete after a copy or a pickle, and without secrets."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import re
import traceback
from typing import Any

import pytest

import auth0_tx
from auth0_tx import errors
from auth0_tx.errors import (
    AmbiguousError,
    Auth0Error,
    BackchannelLogoutError,
    BlockedError,
    BulkStoppedError,
    ClientClosedError,
    ConfigurationError,
    CustomTokenExchangeError,
    CustomTokenExchangeErrorCode,
    DiscoveryError,
    IdTokenError,
    InsufficientScopeError,
    InvalidInputError,
    InvalidResponseError,
    LoginRefusedError,
    LoginRequiredError,
    MfaRequiredError,
    NotSentError,
    RateLimitError,
    RefusedError,
    SessionError,
    SigningKeyError,
    StoreError,
    TransportError,
    WrongAudienceError,
)
from auth0_tx.values import TokenExchangeResponse
from tests.core.world import SECRETS

Code = CustomTokenExchangeErrorCode
KINDS: list[type[Auth0Error]] = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, Auth0Error)
]
EVERY = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)

STATE: dict[str, Any] = {
    "message": "The reason.",
    "code": "my_own_code",
    "status": 429,
    "retry_safe": True,
    "retry_after": 1.5,
    "phase": "verify",
    "tokens_issued": True,
    "correlation_id": "abc",
    "hint": "Do this.",
    "parameter": "audience",
}


def read_state(error: Auth0Error) -> dict[str, Any]:
    """Return the error's attributes."""
    return {name: getattr(error, name) for name in STATE}


def rebuild_from_json(error: Auth0Error) -> Auth0Error:
    """Rebuild an error from its args, as Celery's JSON result backends do."""
    return type(error)(*json.loads(json.dumps(error.args)))


JOURNEYS = {
    "json": rebuild_from_json,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "evolve": Auth0Error.evolve,
    **{
        f"pickle-{protocol}": lambda error, protocol=protocol: pickle.loads(
            pickle.dumps(error, protocol)
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


@EVERY
@pytest.mark.parametrize("journey", JOURNEYS.values(), ids=JOURNEYS.keys())
def test_journey(kind: type[Auth0Error], journey: Any) -> None:
    """A copied, pickled or rebuilt error equals the first one."""
    for error in (kind(), kind("x"), kind(**STATE)):
        back = journey(error)
        assert kind is type(back)
        assert back is not error
        assert (read_state(error), error.args, str(error)) == (
            read_state(back),
            back.args,
            str(back),
        )


@EVERY
def test_state(kind: type[Auth0Error]) -> None:
    """Each part of an error is an attribute and a positional argument, in this order."""
    by_name, by_place = kind(**STATE), kind(*STATE.values())

    assert STATE == read_state(by_name) == read_state(by_place)
    assert tuple(STATE.values()) == by_name.args
    parameters = list(inspect.signature(kind).parameters)
    assert list(STATE) == parameters


@EVERY
def test_documented(kind: type[Auth0Error]) -> None:
    """Every error is in the module's tree and in the package."""
    assert re.search(
        rf"^ .*\b{kind.__name__}\b|^    {kind.__name__}$", errors.__doc__ or "", re.M
    )
    assert kind is getattr(auth0_tx, kind.__name__)
    assert kind.__name__ in auth0_tx.__all__
    assert kind.__doc__


TREE: dict[type[Auth0Error], tuple[type[BaseException], ...]] = {
    Auth0Error: (Exception,),
    CustomTokenExchangeError: (Auth0Error,),
    InvalidInputError: (CustomTokenExchangeError, ValueError),
    ConfigurationError: (InvalidInputError,),
    ClientClosedError: (CustomTokenExchangeError,),
    BulkStoppedError: (CustomTokenExchangeError,),
    TransportError: (CustomTokenExchangeError,),
    NotSentError: (TransportError,),
    AmbiguousError: (TransportError,),
    DiscoveryError: (CustomTokenExchangeError,),
    InvalidResponseError: (CustomTokenExchangeError,),
    RefusedError: (CustomTokenExchangeError,),
    MfaRequiredError: (RefusedError,),
    RateLimitError: (RefusedError,),
    BlockedError: (RefusedError,),
    WrongAudienceError: (CustomTokenExchangeError,),
    InsufficientScopeError: (CustomTokenExchangeError,),
    LoginRefusedError: (CustomTokenExchangeError,),
    IdTokenError: (CustomTokenExchangeError,),
    SigningKeyError: (IdTokenError,),
    StoreError: (CustomTokenExchangeError,),
    SessionError: (Auth0Error,),
    LoginRequiredError: (SessionError,),
    BackchannelLogoutError: (SessionError,),
}


def test_tree() -> None:
    """The classes derive from each other as listed here."""
    assert {kind: kind.__bases__ for kind in KINDS} == TREE


DEFAULTS: dict[type[Auth0Error], tuple[Code, str]] = {
    StoreError: (Code.STORE_FAILED, "store"),
    SessionError: (Code.LOGIN_REQUIRED, "store"),
    LoginRequiredError: (Code.LOGIN_REQUIRED, "store"),
    BackchannelLogoutError: (Code.INVALID_LOGOUT_TOKEN, "verify"),
    CustomTokenExchangeError: (Code.TOKEN_EXCHANGE_FAILED, "reply"),
    InvalidInputError: (Code.INVALID_ARGUMENT, "validate"),
    ConfigurationError: (Code.INVALID_CONFIGURATION, "validate"),
    ClientClosedError: (Code.CLIENT_CLOSED, "send"),
    TransportError: (Code.TOKEN_EXCHANGE_FAILED, "send"),
    NotSentError: (Code.CONNECTION_FAILED, "send"),
    AmbiguousError: (Code.CONNECTION_LOST, "send"),
    DiscoveryError: (Code.DISCOVERY_FAILED, "discover"),
    InvalidResponseError: (Code.INVALID_RESPONSE, "reply"),
    RefusedError: (Code.TOKEN_EXCHANGE_FAILED, "reply"),
    MfaRequiredError: (Code.TOKEN_EXCHANGE_FAILED, "reply"),
    RateLimitError: (Code.RATE_LIMITED, "reply"),
    BlockedError: (Code.TOKEN_EXCHANGE_FAILED, "reply"),
    InsufficientScopeError: (Code.INSUFFICIENT_SCOPE, "verify"),
    IdTokenError: (Code.INVALID_ID_TOKEN, "verify"),
    SigningKeyError: (Code.SIGNING_KEY_UNAVAILABLE, "verify"),
}


@pytest.mark.parametrize(
    ("kind", "code", "phase"),
    [(kind, *values) for kind, values in DEFAULTS.items()],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_defaults(kind: type[Auth0Error], code: Code, phase: str) -> None:
    """An error without arguments has its kind's code and phase, and no other state."""
    error = kind()

    assert (code, phase) == (error.code, error.phase)
    assert not error.retry_safe
    assert not error.tokens_issued
    rest = (error.status, error.retry_after, error.hint, error.parameter)
    assert (None,) * 4 == rest


@pytest.mark.parametrize("code", list(Code), ids=str)
def test_code(code: Code) -> None:
    """A code of the library is the enum's member, and equal to its text."""
    error = CustomTokenExchangeError(code=str(code))

    assert code is error.code
    assert str(code) == error.code
    assert str is type(error.args[1])


def test_code_of_the_server() -> None:
    """A code that the server or an Action sent stays as it is."""
    assert "my_own_code" == RefusedError(code="my_own_code").code
    assert Code.RATE_LIMITED == RateLimitError(code="").code


CODES_OF_THE_SEED = {
    "INVALID_TOKEN_FORMAT",
    "MISSING_ACTOR_TOKEN_TYPE",
    "MISSING_ACTOR_TOKEN",
    "TOKEN_EXCHANGE_FAILED",
    "INVALID_RESPONSE",
}


def test_codes() -> None:
    """A code's name is its value in capitals, and the promised codes exist."""
    assert set(Code.__members__) >= CODES_OF_THE_SEED
    assert all(
        member.value == name.lower() for name, member in Code.__members__.items()
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"message": "No."}, "token_exchange_failed: No."),
        ({"message": "No.", "status": 400}, "token_exchange_failed: No. (HTTP 400)"),
        (
            {"message": "No.", "status": 400, "hint": "Do this."},
            "token_exchange_failed: No. (HTTP 400) Hint: Do this.",
        ),
        ({"message": "No.", "code": "mine", "hint": ""}, "mine: No."),
    ],
)
def test_words(given: dict[str, Any], shown: str) -> None:
    """An error prints its code, its message, the status and the hint."""
    error = RefusedError(**given)

    assert shown == str(error)
    assert f"RefusedError({shown!r})" == repr(error)
    assert shown in "".join(traceback.format_exception(error))


def test_evolve() -> None:
    """``evolve`` returns another error and leaves the first as it is."""
    error = RefusedError(**STATE)
    other = error.evolve(retry_after=9.0, retry_safe=False)

    assert {**STATE, "retry_after": 9.0, "retry_safe": False} == read_state(other)
    assert STATE == read_state(error)
    assert RefusedError is type(other)


def test_evolve_unknown_attribute() -> None:
    """``evolve`` refuses an attribute that errors do not have."""
    with pytest.raises(TypeError, match="mfa_token"):
        MfaRequiredError().evolve(mfa_token="x")


def create_mfa_error() -> MfaRequiredError:
    """Return an error that requires a second factor."""
    return MfaRequiredError("more", "mfa_required", 403).with_mfa(
        SECRETS["mfa_token"], {"challenge": [{"type": "otp"}]}
    )


def test_mfa() -> None:
    """The error has the token and requirements for the MFA API, and does not print them."""
    error = create_mfa_error()
    shown = f"{error} {error!r} {error.args} {vars(error)!r}"

    assert SECRETS["mfa_token"] == error.mfa_token
    assert {"challenge": [{"type": "otp"}]} == error.mfa_requirements
    assert "needle" not in shown


@pytest.mark.parametrize("journey", JOURNEYS.keys() - {"evolve"})
def test_mfa_token_stays(journey: str) -> None:
    """A copied or pickled error does not have the MFA token."""
    back: Any = JOURNEYS[journey](create_mfa_error())

    assert MfaRequiredError is type(back)
    assert (None, None) == (back.mfa_token, back.mfa_requirements)


def test_evolve_mfa() -> None:
    """``evolve`` copies what the MFA API needs, for another caller alone."""
    error = create_mfa_error()
    other = error.evolve(retry_safe=True)
    assert other.mfa_requirements is not None
    other.mfa_requirements["challenge"] = []

    assert SECRETS["mfa_token"] == other.mfa_token
    assert "needle" not in f"{vars(other)!r}"
    assert {"challenge": [{"type": "otp"}]} == error.mfa_requirements


def test_evolve_response() -> None:
    """``evolve`` copies the tokens of a login that could not be stored."""
    tokens = TokenExchangeResponse(access_token="needle", token_type="Bearer")
    error = StoreError("no").with_response(tokens)

    assert tokens is error.evolve(message="still no").response


def test_evolve_refresh_token() -> None:
    """``evolve`` copies the refresh token of a broken response; it does not print."""
    error = InvalidResponseError("no").with_refresh_token("needle-r-2")
    shown = f"{error} {error!r} {error.args} {vars(error)!r}"

    assert "needle-r-2" == error.evolve(message="still no").refresh_token
    assert "needle" not in shown
    assert pickle.loads(pickle.dumps(error)).refresh_token is None


@pytest.mark.parametrize("journey", JOURNEYS.keys() - {"json"})
def test_scope_goes_along(journey: str) -> None:
    """A copied or pickled error has the scope that is required, which is not a secret."""
    error = InsufficientScopeError("no").with_scope("read:orders")
    back: Any = JOURNEYS[journey](error)

    assert "read:orders" == back.scope


@EVERY
def test_evolve_attachments(kind: type[Auth0Error]) -> None:
    """``evolve`` copies notes and an application's attributes; neither error gets the other's."""
    error = kind("x")
    error.add_note("a note")
    error.own = 5  # type: ignore[attr-defined]
    other = error.evolve()
    other.add_note("another note")

    assert 5 == other.own  # type: ignore[attr-defined]
    assert ["a note", "another note"] == other.__notes__
    assert ["a note"] == error.__notes__


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_mfa_token_is_not_pickled(protocol: int) -> None:
    """No pickle protocol writes the MFA token."""
    assert SECRETS["mfa_token"].encode() not in pickle.dumps(
        create_mfa_error(), protocol
    )


def test_mfa_without_a_token() -> None:
    """The MFA token of an error without one is ``None``."""
    error = MfaRequiredError().with_mfa(None, None)

    assert error.mfa_token is MfaRequiredError().mfa_token is None


def test_one_except_for_all() -> None:
    """One ``except`` catches all failures of an exchange, another all errors."""
    sessions = [kind for kind in KINDS if issubclass(kind, SessionError)]
    for kind in sessions:
        with pytest.raises(Auth0Error):
            raise kind("x")
    for kind in set(KINDS) - {Auth0Error, *sessions}:
        with pytest.raises(CustomTokenExchangeError):
            raise kind("x")


@EVERY
def test_attributes_are_free(kind: type[Auth0Error]) -> None:
    """An application may add notes and attributes, as to any exception."""
    error = kind("x")
    error.add_note("a note")
    error.own = 5  # type: ignore[attr-defined]

    assert "a note" in "".join(traceback.format_exception(error))
