"""A local Auth0 tenant, for demos and tests: real sockets and TLS, without a network.

    with Tenant() as tenant:
        ...  # domain=tenant.domain, verify=tenant.ca_file

``Tenant`` (``local_tenant.py``) is the object to start and ask. A request goes through
the server (``server.py``, ``connection.py``, ``http1.py``), the service that records it
and plays faults (``service.py``), and an endpoint: ``token_endpoint.py`` with its
grants (``token_exchange.py``, ``on_behalf_of.py``, ``refresh.py``), ``metadata.py``,
``userinfo.py``, ``logout.py``. The tenant's state is in ``state.py``.
"""

from __future__ import annotations

from . import faults
from .action_api import ActionApi
from .action_event import Event
from .applications import Application
from .certificates import Certificates
from .directory import Api, Connection, Organization, User
from .faults import Fault
from .http_messages import ReceivedRequest, Reply
from .keys import KeySupply
from .limits import RateLimit, Throttle
from .local_tenant import Tenant
from .opaque_tokens import SessionTransfer
from .profiles import Profile
from .refresh_tokens import RefreshToken, RefreshTokens
from .state import LogEvent, Settings
from .wording import Refusal, Wording

__all__ = [
    "ActionApi",
    "Api",
    "Application",
    "Certificates",
    "Connection",
    "Event",
    "Fault",
    "KeySupply",
    "LogEvent",
    "Organization",
    "Profile",
    "RateLimit",
    "ReceivedRequest",
    "RefreshToken",
    "RefreshTokens",
    "Refusal",
    "Reply",
    "SessionTransfer",
    "Settings",
    "Tenant",
    "Throttle",
    "User",
    "Wording",
    "faults",
]
