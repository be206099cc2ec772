"""The ``api`` object of an Action, nested as Auth0 has it, in snake_case.

Theory of operation. The methods check their arguments as Auth0's published validators
do and record a decision; they change nothing in the tenant. The token exchange acts on
the decisions once the Action has returned, so that an Action that is refused or fails
leaves no trace. ``deny`` and ``reject_invalid_subject_token`` also raise, which ends
the Action where it stands.

Messages are Auth0's: an Action's tests may rely on them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from attrs import Factory, define, field, frozen

from .act_claim import copy_valid_actor
from .wording import RequestRefused

# Auth0's published validators, as are all limits below.
_MAX_ATTRIBUTE_LENGTHS = {
    "user_id": 255,
    "name": 300,
    "nickname": 300,
    "given_name": 150,
    "family_name": 150,
    "username": 128,
}
_MAX_ATTRIBUTES = 24


class ActionArgumentError(ValueError):
    """Raised for an argument that Auth0's validators refuse; it fails the Action."""


class ActionStopped(Exception):
    """Raised by ``deny`` and ``reject_invalid_subject_token``; ends the Action."""


@frozen
class UserById:
    """The user that an Action named by identifier."""

    user_id: str


@frozen
class UserByConnection:
    """The user that an Action named by connection and attributes."""

    connection: str
    attributes: Mapping[str, Any] = field(repr=False)
    creates: bool
    replaces: bool


@frozen
class Denial:
    """The arguments of a call of ``api.access.deny``."""

    code: str
    reason: str


@frozen
class Rejection:
    """The arguments of a call of ``api.access.reject_invalid_subject_token``."""

    reason: str


@define
class Decisions:
    """The decisions of one run of an Action.

    Args:
        user: The user to issue tokens for.
        actor: The ``act`` claim.
        organization: The organization's id or name.
        refusal: Why the Action refused the exchange, if it did.
        failure: The reply to an Action that failed; a refusal goes before it.
        metadata: Metadata of the transaction.
        id_token_claims: Custom claims of the ID token.
        access_token_claims: Custom claims of the access token.
    """

    user: UserById | UserByConnection | None = None
    actor: dict[str, Any] | None = None
    organization: str | None = None
    refusal: Denial | Rejection | None = None
    failure: RequestRefused | None = None
    metadata: dict[str, Any] = Factory(dict)
    id_token_claims: dict[str, Any] = Factory(dict)
    access_token_claims: dict[str, Any] = Factory(dict)


def _check_text(call: str, name: str, value: Any, max_length: int) -> str:
    if not isinstance(value, str):
        raise ActionArgumentError(f"Invalid {call} arguments: {name} must be string")
    if not value:
        raise ActionArgumentError(
            f"Invalid {call} arguments: {name} must NOT have fewer than 1 characters"
        )
    if len(value) > max_length:
        raise ActionArgumentError(
            f"Invalid {call} arguments: {name} must NOT have more than {max_length} "
            "characters"
        )
    return value


class ActionAuthentication:
    """Decide whom tokens are issued for: ``api.authentication``."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions

    def set_user_by_id(self, user_id: str) -> None:
        """Issue tokens for an existing user.

        Args:
            user_id: The user's identifier, of 1 to 512 characters.

        Raises:
            ActionArgumentError: The length does not fit, or a user was set already.
        """
        user = UserById(_check_text("setUserById", "user_id", user_id, 512))
        self._set_user("setUserById", user)

    def set_user_by_connection(
        self,
        connection: str,
        attributes: Mapping[str, Any],
        options: Mapping[str, str],
    ) -> None:
        """Issue tokens for the user that ``attributes`` name in ``connection``.

        Args:
            connection: The connection's name, of 1 to 512 characters.
            attributes: At most 24, ``user_id`` among them.
            options: Both ``creationBehavior`` ("create_if_not_exists" or "none") and
                ``updateBehavior`` ("replace" or "none").

        Raises:
            ActionArgumentError: An argument does not fit, or a user was set already.
        """
        call = "setUserByConnection"
        _check_text(call, "connection", connection, 512)
        if not isinstance(attributes, Mapping) or "user_id" not in attributes:
            raise ActionArgumentError(
                f"Invalid {call} arguments: must have required property 'user_id'"
            )
        if len(attributes) > _MAX_ATTRIBUTES:
            raise ActionArgumentError(
                f"Invalid {call} arguments: must NOT have more than {_MAX_ATTRIBUTES} "
                "properties"
            )
        for name, max_length in _MAX_ATTRIBUTE_LENGTHS.items():
            if name in attributes:
                _check_text(call, name, attributes[name], max_length)
        creates = _parse_option(options, "creationBehavior", "create_if_not_exists")
        replaces = _parse_option(options, "updateBehavior", "replace")
        self._set_user(
            call, UserByConnection(connection, dict(attributes), creates, replaces)
        )

    def set_actor(self, actor: Mapping[str, Any]) -> None:
        """Set the ``act`` claim (RFC 8693 4.1), which withholds refresh tokens.

        Args:
            actor: ``sub``, at most five custom properties, and ``act`` for earlier
                actors, five levels in all.

        Raises:
            ActionArgumentError: It exceeds a limit.
        """
        try:
            self._decisions.actor = copy_valid_actor(actor)
        except ValueError as error:
            raise ActionArgumentError(str(error)) from None

    def set_organization(self, organization: str) -> None:
        """Issue tokens within an organization.

        Args:
            organization: Its identifier, of 1 to 50 characters; or its name, if the
                tenant takes names.

        Raises:
            ActionArgumentError: The length does not fit.
        """
        call = "setOrganization"
        self._decisions.organization = _check_text(
            call, "organization", organization, 50
        )

    def _set_user(self, call: str, user: UserById | UserByConnection) -> None:
        # Auth0: exactly one of setUserById and setUserByConnection, and once.
        if self._decisions.user is not None:
            raise ActionArgumentError(f"Invalid {call} call: a user is set already")
        self._decisions.user = user


def _parse_option(options: Any, name: str, positive: str) -> bool:
    # Both options are required: Auth0 has no default for either.
    value = options.get(name) if isinstance(options, Mapping) else None
    if value not in (positive, "none"):
        raise ActionArgumentError(
            f"Invalid setUserByConnection arguments: {name} must be '{positive}' or "
            "'none'"
        )
    return bool(value == positive)


class ActionAccess:
    """Refuse the exchange: ``api.access``."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions

    def deny(self, code: str, reason: str) -> NoReturn:
        """Refuse the exchange for a reason of your own.

        Args:
            code: The reply's ``error``, of 1 to 1024 characters.
            reason: The reply's ``error_description``, of 1 to 4096 characters.

        Raises:
            ActionStopped: Always; it ends the Action.
            ActionArgumentError: An argument does not fit.
        """
        denial = Denial(
            _check_text("deny", "code", code, 1024),
            _check_text("deny", "reason", reason, 4096),
        )
        self._refuse(denial)

    def reject_invalid_subject_token(self, reason: str) -> NoReturn:
        """Refuse the subject token as forged or stale.

        Unlike ``deny``, it counts toward the suspicious-IP throttle: whoever keeps
        sending such tokens may be guessing them.

        Args:
            reason: The reply's ``error_description``, of 1 to 4096 characters.

        Raises:
            ActionStopped: Always; it ends the Action.
            ActionArgumentError: The length does not fit.
        """
        call = "rejectInvalidSubjectToken"
        self._refuse(Rejection(_check_text(call, "reason", reason, 4096)))

    def _refuse(self, refusal: Denial | Rejection) -> NoReturn:
        # Recorded as well as raised: an Action that catches every exception must not
        # turn a refusal into tokens. The first refusal counts.
        if self._decisions.refusal is None:
            self._decisions.refusal = refusal
        raise ActionStopped


class ActionTransaction:
    """Annotate the exchange: ``api.transaction``."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions

    def set_metadata(self, key: str, value: str | float | bool) -> None:
        """Add metadata to the transaction; ``tenant.logs`` shows it.

        Args:
            key: Its name, of 1 to 255 characters.
            value: A scalar.

        Raises:
            ActionArgumentError: The key's length or the value's type does not fit.
        """
        _check_text("setMetadata", "key", key, 255)
        if not isinstance(value, (str, bool, int, float)):
            raise ActionArgumentError(
                "Invalid setMetadata arguments: value must be string, number, boolean"
            )
        self._decisions.metadata[key] = value


class ActionToken:
    """Add claims to a token: ``api.id_token`` and ``api.access_token``.

    At Auth0 these belong to the post-login Action, which runs after this one. The
    tenant has one Action for both.
    """

    def __init__(self, claims: dict[str, Any]) -> None:
        self._claims = claims

    def set_custom_claim(self, name: str, value: Any) -> None:
        """Add a claim to this token, and to those that a refresh issues in its place.

        A claim that only the tenant may set, such as ``sub``, is ignored, as at Auth0;
        an opaque token has no claims.

        Args:
            name: The claim's name, of 1 to 255 characters.
            value: Anything that JSON can express.

        Raises:
            ActionArgumentError: The name's length does not fit, or ``value`` is not
                JSON.
        """
        _check_text("setCustomClaim", "name", name, 255)
        try:
            # There and back: a copy, and no NaN, which is not JSON (RFC 8259 6).
            self._claims[name] = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError):
            raise ActionArgumentError(
                "Invalid setCustomClaim arguments: value must be JSON"
            ) from None


class ActionApi:
    """The ``api`` argument of an Action."""

    def __init__(self, decisions: Decisions) -> None:
        self.authentication: ActionAuthentication = ActionAuthentication(decisions)
        self.access: ActionAccess = ActionAccess(decisions)
        self.transaction: ActionTransaction = ActionTransaction(decisions)
        self.id_token: ActionToken = ActionToken(decisions.id_token_claims)
        self.access_token: ActionToken = ActionToken(decisions.access_token_claims)
