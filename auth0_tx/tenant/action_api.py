"""What an Action may do: Auth0's `api` object, nested as there, in snake_case.

Collects decisions and changes nothing; the token exchange acts on them afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from attrs import Factory, define, field, frozen

from .actor import checked_actor

_LONGEST_ATTRIBUTE = {
    "user_id": 255,
    "name": 300,
    "nickname": 300,
    "given_name": 150,
    "family_name": 150,
    "username": 128,
}
_ATTRIBUTES = 24


class ActionArgumentError(ValueError):
    """Raised for an argument Auth0's validators refuse; it fails the Action."""


class ActionStopped(Exception):
    """Raised by deny and reject_invalid_subject_token, which end the Action."""


@frozen
class UserById:
    """The user an Action named by identifier."""

    user_id: str


@frozen
class UserByConnection:
    """The user an Action named by connection and attributes."""

    connection: str
    attributes: Mapping[str, Any] = field(repr=False)
    creates: bool
    replaces: bool


@frozen
class Denial:
    """What api.access.deny was called with."""

    code: str
    reason: str


@frozen
class Rejection:
    """What api.access.reject_invalid_subject_token was called with."""

    reason: str


@define
class Decisions:
    """Collect what one run of an Action decided."""

    user: UserById | UserByConnection | None = None
    actor: dict[str, Any] | None = None
    organization: str | None = None
    refusal: Denial | Rejection | None = None
    metadata: dict[str, Any] = Factory(dict)
    id_token_claims: dict[str, Any] = Factory(dict)
    access_token_claims: dict[str, Any] = Factory(dict)


def _text(call: str, name: str, value: Any, longest: int) -> str:
    if not isinstance(value, str):
        raise ActionArgumentError(f"Invalid {call} arguments: {name} must be string")
    if not value:
        raise ActionArgumentError(
            f"Invalid {call} arguments: {name} must NOT have fewer than 1 characters"
        )
    if len(value) > longest:
        raise ActionArgumentError(
            f"Invalid {call} arguments: {name} must NOT have more than {longest} "
            "characters"
        )
    return value


class ActionAuthentication:
    """Say for whom tokens are issued: `api.authentication`."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions

    def set_user_by_id(self, user_id: str) -> None:
        """Issue for the existing user *user_id*, of 1 to 512 characters.

        Raises:
            ActionArgumentError: It is not, or a user was set already.
        """
        user = UserById(_text("setUserById", "user_id", user_id, 512))
        self._set_user("setUserById", user)

    def set_user_by_connection(
        self,
        connection: str,
        attributes: Mapping[str, Any],
        options: Mapping[str, str],
    ) -> None:
        """Issue for the user that *attributes* name in *connection*.

        Args:
            connection: The connection's name, of 1 to 512 characters.
            attributes: At most 24, `user_id` among them.
            options: Both `creationBehavior` ("create_if_not_exists" or "none") and
                `updateBehavior` ("replace" or "none").

        Raises:
            ActionArgumentError: An argument does not fit, or a user was set already.
        """
        call = "setUserByConnection"
        _text(call, "connection", connection, 512)
        if not isinstance(attributes, Mapping) or "user_id" not in attributes:
            raise ActionArgumentError(
                f"Invalid {call} arguments: must have required property 'user_id'"
            )
        if len(attributes) > _ATTRIBUTES:
            raise ActionArgumentError(
                f"Invalid {call} arguments: must NOT have more than {_ATTRIBUTES} "
                "properties"
            )
        for name, longest in _LONGEST_ATTRIBUTE.items():
            if name in attributes:
                _text(call, name, attributes[name], longest)
        creation = _option(options, "creationBehavior", "create_if_not_exists")
        update = _option(options, "updateBehavior", "replace")
        self._set_user(
            call, UserByConnection(connection, dict(attributes), creation, update)
        )

    def set_actor(self, actor: Mapping[str, Any]) -> None:
        """Write *actor* as the `act` claim (RFC 8693 4.1) and withhold refresh tokens.

        Args:
            actor: `sub`, at most five custom properties, and `act` for earlier actors,
                five levels in all.

        Raises:
            ActionArgumentError: It exceeds a limit.
        """
        try:
            self._decisions.actor = checked_actor(actor)
        except ValueError as error:
            raise ActionArgumentError(str(error)) from None

    def set_organization(self, organization: str) -> None:
        """Issue within *organization*, an identifier of 1 to 50 characters.

        Raises:
            ActionArgumentError: It is not.
        """
        call = "setOrganization"
        self._decisions.organization = _text(call, "organization", organization, 50)

    def _set_user(self, call: str, user: UserById | UserByConnection) -> None:
        # Exactly one of the two may be called, and once.
        if self._decisions.user is not None:
            raise ActionArgumentError(f"Invalid {call} call: a user is set already")
        self._decisions.user = user


def _option(options: Any, name: str, positive: str) -> bool:
    value = options.get(name) if isinstance(options, Mapping) else None
    if value not in (positive, "none"):
        raise ActionArgumentError(
            f"Invalid setUserByConnection arguments: {name} must be '{positive}' or "
            "'none'"
        )
    return bool(value == positive)


class ActionAccess:
    """Refuse the exchange: `api.access`."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions

    def deny(self, code: str, reason: str) -> NoReturn:
        """Refuse with *code* (1 to 1024 characters) and *reason* (1 to 4096).

        Raises:
            ActionStopped: Always; it ends the Action.
            ActionArgumentError: An argument does not fit.
        """
        denial = Denial(
            _text("deny", "code", code, 1024), _text("deny", "reason", reason, 4096)
        )
        self._refuse(denial)

    def reject_invalid_subject_token(self, reason: str) -> NoReturn:
        """Refuse the subject token as forged or stale; counts toward the throttle.

        Raises:
            ActionStopped: Always; it ends the Action.
            ActionArgumentError: *reason* has not 1 to 4096 characters.
        """
        call = "rejectInvalidSubjectToken"
        self._refuse(Rejection(_text(call, "reason", reason, 4096)))

    def _refuse(self, refusal: Denial | Rejection) -> NoReturn:
        # Recorded as well as raised: an Action that catches everything stays refused.
        if self._decisions.refusal is None:
            self._decisions.refusal = refusal
        raise ActionStopped


class ActionTransaction:
    """Annotate the exchange: `api.transaction`."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions

    def set_metadata(self, key: str, value: str | float | bool) -> None:
        """Keep *value* under *key* with the transaction; `tenant.logs` shows it.

        Raises:
            ActionArgumentError: The key is empty, or the value not a scalar.
        """
        _text("setMetadata", "key", key, 255)
        if not isinstance(value, (str, bool, int, float)):
            raise ActionArgumentError(
                "Invalid setMetadata arguments: value must be string, number, boolean"
            )
        self._decisions.metadata[key] = value


class ActionToken:
    """Add to a token: `api.id_token` and `api.access_token`.

    At Auth0 these belong to the post-login Action, which runs after this one.
    """

    def __init__(self, claims: dict[str, Any]) -> None:
        self._claims = claims

    def set_custom_claim(self, name: str, value: Any) -> None:
        """Put *value* into the token as the claim *name*, refreshed ones included.

        A claim that is the tenant's to say, such as `sub`, is ignored; an opaque token
        has none.

        Raises:
            ActionArgumentError: The name is empty, or *value* no JSON.
        """
        _text("setCustomClaim", "name", name, 255)
        try:
            self._claims[name] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            raise ActionArgumentError(
                "Invalid setCustomClaim arguments: value must be JSON"
            ) from None


class ActionApi:
    """Everything an Action may do."""

    def __init__(self, decisions: Decisions) -> None:
        self.authentication: ActionAuthentication = ActionAuthentication(decisions)
        self.access: ActionAccess = ActionAccess(decisions)
        self.transaction: ActionTransaction = ActionTransaction(decisions)
        self.id_token: ActionToken = ActionToken(decisions.id_token_claims)
        self.access_token: ActionToken = ActionToken(decisions.access_token_claims)
