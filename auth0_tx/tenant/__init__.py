"""A local Auth0 tenant, for demos and tests: real sockets, TLS, no network.

with Tenant() as tenant:
    ...  # domain=tenant.domain, verify=tenant.ca_file
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
from .logs import LogEvent
from .profiles import Profile
from .refresh_tokens import RefreshToken, RefreshTokens
from .session_transfers import SessionTransfer
from .settings import Settings
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
