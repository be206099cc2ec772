"""Django's users, by the issuer and subject of verified claims.

E-mail addresses are not used to find a user: whoever controls an address may change, and not
every identity provider verifies it.

Usernames are made from issuer and subject, so others can compute them.  Where visitors may
register, somebody may have taken a name beforehand, with a password.  That account is not
shared.  The user gets another name instead, with a suffix that depends on ``SECRET_KEY`` and that
nobody else can compute.  It depends on nothing else, so two requests that create the user at the
same time choose the same name, and the database's unique constraint settles who is first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.hashers import make_password
from django.core.exceptions import FieldDoesNotExist
from django.db import IntegrityError, router, transaction
from django.http import HttpRequest
from django.utils.crypto import salted_hmac
from django.views.decorators.debug import sensitive_variables

from .login_check import USER_HASH, hash_identity, hash_user, may_stay_logged_in

_MOST_NAMES = 10
_SALT = "auth0_tx.integrations.django.username"

_NAME_FIELDS = {"first_name": "given_name", "last_name": "family_name"}


class Auth0Backend(ModelBackend):
    """Find or create the user of verified claims; for ``AUTHENTICATION_BACKENDS``.

    The username is made from issuer and subject, and the user has no password.  A user of
    that name who has one was registered by somebody else, and is left alone.  For another user
    model, or for existing users, override :meth:`find_user` and :meth:`create_user`; for other
    fields, :meth:`update_user`.  The async methods call these, too.
    """

    @sensitive_variables("auth0_claims", "kwargs", "password")
    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        *,
        auth0_claims: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the user of *auth0_claims*, or ``None``.

        Args:
            request: the request, as Django passes it.
            username: ignored, as *password* is: other backends check passwords.
            password: ignored.
            auth0_claims: the claims of a *verified* ID token.
        """
        if auth0_claims is None:
            return None
        whose = hash_user(auth0_claims)
        if whose is None:
            return None
        issuer, subject = auth0_claims["iss"], auth0_claims["sub"]
        user = self.find_user(issuer, subject, auth0_claims)
        if user is None:
            user = self.create_user(issuer, subject, auth0_claims)
        if user is None or not self.user_can_authenticate(user):
            return None
        self.update_user(user, auth0_claims)
        setattr(user, USER_HASH, whose)
        return user

    async def aauthenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        *,
        auth0_claims: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return the user of *auth0_claims*, or ``None``; no password counts here either."""
        # Not in this frame, should a traceback show it.
        del username, password, kwargs
        return await sync_to_async(self.authenticate, thread_sensitive=True)(
            request, auth0_claims=auth0_claims
        )

    def get_user(self, user_id: Any) -> Any:
        """Return the user of a Django session, or ``None`` if its login session has ended.

        Raises:
            StoreError: the store of login sessions failed, and the client's policy is to raise.
        """
        return super().get_user(user_id) if may_stay_logged_in(user_id) else None

    async def aget_user(self, user_id: Any) -> Any:
        """Return what :meth:`get_user` returns."""
        return await sync_to_async(self.get_user, thread_sensitive=True)(user_id)

    def find_user(self, issuer: str, subject: str, claims: Mapping[str, Any]) -> Any:
        """Return the user with this issuer and subject, or ``None``."""
        # The application's own model: nothing is known of its fields.
        model: Any = get_user_model()
        users, name = model._default_manager, username_of(issuer, subject)
        user = users.filter(**{model.USERNAME_FIELD: name}).first()
        if user is not None and not user.has_usable_password():
            return user
        # SECRET_KEY may be another than it was when the user was created.
        others = {f"{model.USERNAME_FIELD}__startswith": f"{name}-"}
        for user in users.filter(**others).order_by("pk"):
            if not user.has_usable_password():
                return user
        return None

    def create_user(self, issuer: str, subject: str, claims: Mapping[str, Any]) -> Any:
        """Create a user who can log in through Auth0 only; ``None`` to refuse new users."""
        model: Any = get_user_model()
        name = username_of(issuer, subject)
        for candidate in (name, *_list_other_names(name)):
            user = _get_or_create(model, candidate, claims)
            # Somebody registered the name with a password first, and would share the account.
            if not user.has_usable_password():
                return user
        return None

    def update_user(self, user: Any, claims: Mapping[str, Any]) -> None:
        """Copy name and e-mail address, if they have changed at Auth0 since.

        ``first_name`` is the claim ``given_name``, ``last_name`` is ``family_name``, and the
        address is copied only if Auth0 says that it is verified.  Claims that are absent
        change nothing.  Override it for other fields; it is called at each login.
        """
        if not hasattr(user, "_meta"):
            # The project keeps its users elsewhere than in a model of Django.
            return
        changes = {
            name: value
            for name, value in _read_fields(type(user), claims).items()
            if getattr(user, name) != value
        }
        # Another user may have the address already, where the model wants it to be unique.
        without_email = {
            name: value for name, value in changes.items() if name in _NAME_FIELDS
        }
        for tried in (changes, without_email):
            if not tried or _save_fields(user, tried):
                return


def username_of(issuer: str, subject: str) -> str:
    """Return the username of an Auth0 user: no two users have the same."""
    return f"auth0-{hash_identity(issuer, subject)[:48]}"


def _list_other_names(name: str) -> Iterator[str]:
    """Yield names to use where *name* is taken; who does not have SECRET_KEY knows none."""
    for number in range(_MOST_NAMES):
        suffix = salted_hmac(_SALT, f"{number}:{name}", algorithm="sha256")
        yield f"{name}-{suffix.hexdigest()[:16]}"


def _get_or_create(model: Any, name: str, claims: Mapping[str, Any]) -> Any:
    """Return the user of a name, created if there is none.

    In one step: another request of the same user may create it at the same time.

    Raises:
        IntegrityError: the model requires more than a name and an e-mail address.
    """
    fields = _read_fields(model, claims)
    names = {field: fields[field] for field in fields if field in _NAME_FIELDS}
    # The model may want addresses to be unique: another user has this one already, or has none
    # either.  The domain .invalid has no mailboxes (RFC 2606 section 2).
    attempts = [fields, names]
    email_field = _find_email_field(model)
    if email_field is not None:
        attempts.append({**names, email_field.name: f"{name}@auth0-tx.invalid"})
    for attempt in attempts[:-1]:
        with suppress(IntegrityError):
            return _try_to_create(model, name, attempt)
    return _try_to_create(model, name, attempts[-1])


def _try_to_create(model: Any, name: str, fields: Mapping[str, Any]) -> Any:
    defaults = {"password": make_password(None), **fields}
    user, _ = model._default_manager.get_or_create(
        **{model.USERNAME_FIELD: name}, defaults=defaults
    )
    return user


@sensitive_variables("claims")
def _read_fields(model: Any, claims: Mapping[str, Any]) -> dict[str, str]:
    """Return what verified claims say, by the names of fields that the user model has."""
    fields = {}
    for name, claim in _NAME_FIELDS.items():
        field, value = _find_field(model, name), _read_text(claims, claim)
        if field is not None and value:
            fields[name] = value[: field.max_length]
    email_field = _find_email_field(model)
    email = BaseUserManager.normalize_email(_read_text(claims, "email"))
    # Not cut: what is left could be the address of somebody else.
    if (
        email_field is not None
        and email
        and claims.get("email_verified") is True
        and len(email) <= (email_field.max_length or len(email))
    ):
        fields[email_field.name] = email
    return fields


def _read_text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    # PostgreSQL refuses a text that has a NUL.
    return value if isinstance(value, str) and "\0" not in value else ""


def _find_email_field(model: Any) -> Any:
    """Return the field for a user's e-mail address, or ``None``."""
    return _find_field(model, getattr(model, "EMAIL_FIELD", None) or "email")


def _find_field(model: Any, name: str) -> Any:
    """Return a field of the user model; ``None`` if it has none, or finds users by it."""
    if name == model.USERNAME_FIELD:
        return None
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if hasattr(field, "max_length") else None


def _save_fields(user: Any, changes: Mapping[str, Any]) -> bool:
    """Save fields of a user; return ``False``, with nothing changed, if one must be unique."""
    before = {name: getattr(user, name) for name in changes}
    for name, value in changes.items():
        setattr(user, name, value)
    try:
        # A savepoint: after an error, PostgreSQL refuses the rest of a transaction.
        with transaction.atomic(using=router.db_for_write(type(user), instance=user)):
            user.save(update_fields=list(changes))
    except IntegrityError:
        for name, value in before.items():
            setattr(user, name, value)
        return False
    return True
