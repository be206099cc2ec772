"""The ``event`` object of an Action: Auth0's documented event, frozen, in snake_case.

An Action often logs its event. So members that hold tokens, credentials or the
request's body stay out of every repr.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from attrs import field, frozen

Body = Mapping[str, str | tuple[str, ...]]


def _freeze_body(body: Body) -> Body:
    return MappingProxyType(dict(body))


class Secrets(Mapping[str, str]):
    """An Action's secrets: ``event.secrets``; only their names print."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        """Return the secret called ``name``."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._values)

    def __repr__(self) -> str:
        """Return the names alone."""
        return f"Secrets({', '.join(sorted(self._values))})"


@frozen(kw_only=True)
class EventUser:
    """The user of an actor's ID token: ``event.transaction.actor_token_user``."""

    user_id: str
    email: str | None = None
    email_verified: bool = False
    name: str | None = None
    nickname: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    username: str | None = None
    picture: str | None = None
    phone_number: str | None = None


@frozen(kw_only=True)
class EventTransaction:
    """The exchange that was requested: ``event.transaction``."""

    subject_token: str = field(repr=False)
    subject_token_type: str
    actor_token: str | None = field(default=None, repr=False)
    actor_token_type: str | None = None
    actor_token_user: EventUser | None = None
    requested_scopes: tuple[str, ...] = ()
    requested_token_type: str | None = None


@frozen(kw_only=True)
class EventClientAuthentication:
    """How the application authenticated: ``event.client.authentication``."""

    type: str


@frozen(kw_only=True)
class EventClient:
    """The application: ``event.client``."""

    client_id: str
    name: str
    metadata: Mapping[str, str]
    authentication: EventClientAuthentication


@frozen(kw_only=True)
class EventOrganization:
    """The organization requested: ``event.organization``."""

    id: str
    name: str
    display_name: str
    metadata: Mapping[str, str]


@frozen(kw_only=True)
class EventResourceServer:
    """The API requested: ``event.resource_server``."""

    identifier: str


@frozen(kw_only=True)
class EventRequest:
    """The HTTP request: ``event.request``.

    ``body`` has every parameter but the client's credentials: Auth0 hands extension
    parameters to the Action this way. One that was sent several times is a tuple.
    """

    body: Body = field(repr=False, converter=_freeze_body)
    ip: str
    hostname: str
    user_agent: str
    method: str
    language: str


@frozen(kw_only=True)
class EventTenant:
    """The tenant: ``event.tenant``."""

    id: str


@frozen(kw_only=True)
class Event:
    """The ``event`` argument of an Action."""

    transaction: EventTransaction
    client: EventClient
    organization: EventOrganization | None
    resource_server: EventResourceServer | None
    request: EventRequest
    tenant: EventTenant
    secrets: Secrets
