"""Django's users: how they are found, made and brought up to date."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from auth0_tx.integrations.django.backends import Auth0Backend, username_of
from tests.frameworks import django_settings  # noqa: F401
from tests.integrations.django.logins import OURS, PASSWORDS, Project

HERE = "tests.integrations.django.test_backends"
CLAIMS = {
    "iss": "https://a/",
    "sub": "auth0|alice",
    "given_name": "Alice",
    "family_name": "Adams",
    "email": "alice@EXAMPLE.com",
    "email_verified": True,
}
NAME = username_of("https://a/", "auth0|alice")


def find(claims: dict[str, Any] | None = None, **changes: Any) -> Any:
    """Return the user of claims, as Django's ``authenticate`` does."""
    from django.contrib.auth import authenticate

    return authenticate(None, auth0_claims={**(claims or CLAIMS), **changes})


def list_users() -> Any:
    """Return the manager of the project's users."""
    from django.contrib.auth import get_user_model

    return get_user_model().objects


# Both worlds.


def list_public_methods(kind: type) -> set[str]:
    """Return the names of a class's public methods, its bases' included."""
    return {
        name
        for name, _ in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_twins() -> None:
    """Each method of Django's backend that we override, or forbid, has a twin of ours.

    A method that a later Django adds to its backend is looked at first, and listed here.
    """
    from django.contrib.auth.backends import ModelBackend

    theirs, ours = list_public_methods(ModelBackend), vars(Auth0Backend)
    # Methods that ask whom ``get_user`` has found what they may do.
    permissions = {
        "get_all_permissions",
        "get_group_permissions",
        "get_user_permissions",
        "has_module_perms",
        "has_perm",
        "user_can_authenticate",
        "with_perm",
    }
    left_alone = permissions | {f"a{name}" for name in permissions}
    overridden = {"authenticate", "get_user"}

    assert theirs - left_alone <= overridden | {f"a{name}" for name in overridden}
    for name in overridden:
        assert {name, f"a{name}"} <= ours.keys()


async def test_no_passwords(project: Project, tables: None) -> None:
    """No password opens anything through this backend, in either world."""
    from asgiref.sync import sync_to_async
    from django.contrib.auth import authenticate

    project()
    await sync_to_async(list_users().create_user)("carol", password="pw")
    backend = Auth0Backend()
    credentials = {"username": "carol", "password": "pw"}

    assert await sync_to_async(authenticate)(None, **credentials) is None
    assert await sync_to_async(backend.authenticate)(None, **credentials) is None
    assert await backend.aauthenticate(None, **credentials) is None
    assert await backend.aauthenticate(None, "carol", "pw") is None


async def test_async_twins(project: Project, tables: None) -> None:
    """The async methods find and make the same users, through a project's overrides too."""
    from asgiref.sync import sync_to_async

    project()
    backend = Auth0Backend()
    user = await sync_to_async(backend.authenticate)(None, auth0_claims=CLAIMS)

    assert user == await backend.aauthenticate(None, auth0_claims=CLAIMS)
    assert user == await backend.aget_user(user.pk)
    assert await backend.aget_user(0) is None
    own = Own()
    found = await own.aauthenticate(None, auth0_claims=CLAIMS)
    assert ["find", "create", "update"] == own.calls
    assert "auth0|alice" == found.get_username()


class Own(Auth0Backend):
    """A backend of a project with users of its own."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def find_user(self, issuer: str, subject: str, claims: Any) -> Any:
        self.calls.append("find")

    def create_user(self, issuer: str, subject: str, claims: Any) -> Any:
        self.calls.append("create")
        return list_users().create(username=subject)

    def update_user(self, user: Any, claims: Any) -> None:
        self.calls.append("update")


# Who is who.


def test_issuer_and_subject(project: Project, tables: None) -> None:
    """Users are distinguished by issuer and subject, and by nothing else."""
    project()
    users = [find(), find(email="b@example.com"), find(sub="v"), find(iss="https://b/")]

    assert users[0] == users[1]
    assert 3 == len({user.pk for user in users})
    assert find(iss=None) is None


def test_address_finds_nobody(project: Project, tables: None) -> None:
    """Who has another's address, verified or not, is not that user."""
    project()
    known = list_users().create_user("alice", "alice@example.com", "pw")

    assert known != find()
    assert known != find(sub="alice", email_verified=False)


# Names and addresses.


def test_fields(project: Project, tables: None) -> None:
    """A user has name and address, at first and when they change at Auth0."""
    project()
    user = find()
    assert ["Alice", "Adams"] == [user.first_name, user.last_name]
    assert "alice@example.com" == user.email
    assert not user.has_usable_password()
    find(family_name="Archer", email="a@example.com")
    user = list_users().get()

    assert ["Alice", "Archer"] == [user.first_name, user.last_name]
    assert "a@example.com" == user.email


@pytest.mark.parametrize(
    "changes",
    [
        {"email": "mallory@example.com", "email_verified": False},
        {"email": "mallory@example.com", "email_verified": "true"},
        {"email": "mallory@example.com", "email_verified": None},
        {"email": f"{'m' * 250}@example.com"},
        {"email": "mallory\0@example.com"},
        {"given_name": "", "family_name": None},
        {"given_name": 5, "family_name": ["x"]},
        {"given_name": "Al\0ice"},
    ],
    ids=range(8),
)
def test_claims_that_change_nothing(
    project: Project, tables: None, changes: dict[str, Any]
) -> None:
    """Claims that are absent, not verified or not text leave a user as it was."""
    project()
    find()
    find(**changes)
    user = list_users().get()

    assert ("Alice", "Adams", "alice@example.com") == (
        user.first_name,
        user.last_name,
        user.email,
    )


def test_long_names(project: Project, tables: None) -> None:
    """A name that is longer than the field is cut."""
    project()

    assert "A" * 150 == find(given_name="A" * 400).first_name


def test_saved_only_if_changed(project: Project, tables: None) -> None:
    """A login that changes nothing writes nothing."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    project()
    find()
    with CaptureQueriesContext(connection) as queries:
        find()

    assert ["SELECT"] == [query["sql"].split()[0] for query in queries]


@pytest.fixture
def own_model(project: Project, tables: None) -> Iterator[Any]:
    """A user model of a project: names of its own, and addresses that are unique."""
    from django.db import connection

    from tests.integrations.django.own_users.models import Person

    with connection.schema_editor() as editor:
        editor.create_model(Person)
    project({}, AUTH_USER_MODEL="own_users.Person")
    yield Person
    with connection.schema_editor() as editor:
        editor.delete_model(Person)


def test_unique_addresses(own_model: Any) -> None:
    """An address that must be unique, and is another's, keeps nobody from logging in."""
    alice = find()
    bob = find(sub="bob")
    carol = find(sub="carol", email_verified=False)
    dave = find(sub="dave", email=None)

    assert 4 == len({user.pk for user in (alice, bob, carol, dave)})
    assert "alice@example.com" == alice.mail
    assert "alice@example.com" not in (bob.mail, carol.mail, dave.mail)
    assert "bob@example.com" == find(sub="bob", email="bob@example.com").mail
    # An address that another user has by now leaves the rest to be saved.
    again = find(sub="bob", given_name="Roberta")
    assert ("Rober", "bob@example.com") == (again.first_name, again.mail)
    assert ("Rober", "bob@example.com") == (
        own_model.objects.get(pk=bob.pk).first_name,
        own_model.objects.get(pk=bob.pk).mail,
    )


def test_users_named_by_address(
    own_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model whose users are named by their address keeps our names: they are found by them."""
    monkeypatch.setattr(own_model, "USERNAME_FIELD", "mail")

    assert find() == find()
    assert NAME == find().mail


# Names that somebody has registered beforehand.


def test_registered_before(project: Project, tables: None) -> None:
    """Who registers a user's name beforehand, with a password, shares and locks out nobody."""
    project({}, AUTHENTICATION_BACKENDS=[OURS, PASSWORDS])
    squatter = list_users().create_user(NAME, password="of mallory")
    user = find()

    assert squatter != user
    assert user.get_username().startswith(f"{NAME}-")
    assert not user.has_usable_password()
    assert user == find()
    assert 2 == list_users().count()
    squatter.delete()
    assert user == find()
    assert "Alice" == user.first_name


def test_registered_before_and_found_after_a_new_key(
    project: Project, tables: None
) -> None:
    """The other name depends on SECRET_KEY, and is found again when that has changed."""
    project({}, SECRET_KEY="k" * 40)
    list_users().create_user(NAME, password="of mallory")
    first = find()
    project({}, SECRET_KEY="l" * 40)

    assert first == find()
    first.delete()
    assert first.get_username() != find().get_username()


def test_every_name_is_taken(project: Project, tables: None) -> None:
    """Another name is taken only if its user has no password; in the end there is nobody."""
    project()
    list_users().create_user(NAME, password="of mallory")
    names = []
    for _ in range(10):
        user = find()
        names.append(user.get_username())
        user.set_password("of mallory")
        user.save()

    assert 10 == len(set(names))
    assert find() is None


class InOneDatabase:
    """A router of Django's that keeps the project's own users in one database."""

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def db_for_read(self, model: Any, **_: Any) -> str | None:
        return self._alias if model._meta.app_label == "own_users" else None

    db_for_write = db_for_read


@pytest.fixture
def people(
    project: Project, postgres: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A user model of a project, in a PostgreSQL that several threads use."""
    from django.db import connections, router

    from tests.integrations.django.own_users.models import Person

    alias = "people"
    connections.settings[alias] = connections.configure_settings(
        {"default": {}, alias: postgres}
    )[alias]
    project({}, AUTH_USER_MODEL="own_users.Person")
    monkeypatch.setattr(router, "routers", [InOneDatabase(alias)])
    with connections[alias].schema_editor() as editor:
        editor.create_model(Person)
    yield Person
    with connections[alias].schema_editor() as editor:
        editor.delete_model(Person)
    connections[alias].close()
    del connections.settings[alias]


@pytest.mark.parametrize("is_atomic", [False, True])
@pytest.mark.parametrize("is_taken", [False, True])
def test_logins_at_once(people: Any, is_taken: bool, is_atomic: bool) -> None:
    """Eight first logins of a user at once make one user, and none of them fails."""
    from contextlib import nullcontext
    from threading import Barrier

    from django.db import connections, transaction

    if is_taken:
        squatter = people(login=NAME, mail="alice@example.com")
        squatter.set_password("of mallory")
        squatter.save()
    together = Barrier(8)

    def log_in(number: int) -> int:
        together.wait()
        try:
            with transaction.atomic("people") if is_atomic else nullcontext():
                # Each knows the user by another name by now.
                user = find(given_name=str(number))
                assert people.objects.filter(pk=user.pk).exists()
            return int(user.pk)
        finally:
            connections["people"].close()

    with ThreadPoolExecutor(8) as threads:
        assert 1 == len(set(threads.map(log_in, range(8))))
    assert 1 + is_taken == people.objects.count()


def test_created_at_once(project: Project, tables: None) -> None:
    """Several requests of a new user, whose name is taken, make one user."""
    project()
    list_users().create_user(NAME, password="of mallory")
    backend = Auth0Backend()
    arguments = (CLAIMS["iss"], CLAIMS["sub"], CLAIMS)
    # None has been found by the time when each of them creates.
    users = [backend.create_user(*arguments) for _ in range(4)]

    assert 1 == len({user.pk for user in users})
