"""Exchange any external or legacy token for Auth0 tokens, blocking or async.

The clients are imported on first use, because each imports its HTTP library: a program
that uses *requests* need not load *aiohttp*, and code that only catches errors neither.  So
are the values of login sessions, bulk exchanges and tenant checks, which a program that
exchanges tokens one by one has none of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import (
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
from .token_types import TokenType
from .values import (
    CachePolicy,
    CustomTokenExchangeOptions,
    RetryPolicy,
    SessionPolicy,
    TokenExchangeResponse,
)
from .version import __version__

if TYPE_CHECKING:
    from .aio import AsyncServerClient
    from .client import ServerClient
    from .core.jose.claims import actor_chain
    from .core.wire.redirects import build_session_transfer_redirect
    from .results import BulkExchangeResult, TenantCheck
    from .session_values import (
        AccessTokenSet,
        LoginWithCustomTokenExchangeOptions,
        LoginWithCustomTokenExchangeResult,
        SessionData,
        SessionTransferToken,
        TokenSet,
        UserClaims,
    )
    from .shells.bulk_tasks import AsyncBulkExchange
    from .shells.bulk_threads import BulkExchange

__all__ = [
    "AccessTokenSet",
    "AmbiguousError",
    "AsyncBulkExchange",
    "AsyncServerClient",
    "Auth0Error",
    "BackchannelLogoutError",
    "BlockedError",
    "BulkExchange",
    "BulkExchangeResult",
    "BulkStoppedError",
    "CachePolicy",
    "ClientClosedError",
    "ConfigurationError",
    "CustomTokenExchangeError",
    "CustomTokenExchangeErrorCode",
    "CustomTokenExchangeOptions",
    "DiscoveryError",
    "IdTokenError",
    "InsufficientScopeError",
    "InvalidInputError",
    "InvalidResponseError",
    "LoginRefusedError",
    "LoginRequiredError",
    "LoginWithCustomTokenExchangeOptions",
    "LoginWithCustomTokenExchangeResult",
    "MfaRequiredError",
    "NotSentError",
    "RateLimitError",
    "RefusedError",
    "RetryPolicy",
    "ServerClient",
    "SessionData",
    "SessionError",
    "SessionPolicy",
    "SessionTransferToken",
    "SigningKeyError",
    "StoreError",
    "TenantCheck",
    "TokenExchangeResponse",
    "TokenSet",
    "TokenType",
    "TransportError",
    "UserClaims",
    "WrongAudienceError",
    "__version__",
    "actor_chain",
    "build_session_transfer_redirect",
]

_LAZY = {
    "AccessTokenSet": ".session_values",
    "AsyncBulkExchange": ".shells.bulk_tasks",
    "AsyncServerClient": ".aio",
    "BulkExchange": ".shells.bulk_threads",
    "BulkExchangeResult": ".results",
    "LoginWithCustomTokenExchangeOptions": ".session_values",
    "LoginWithCustomTokenExchangeResult": ".session_values",
    "ServerClient": ".client",
    "SessionData": ".session_values",
    "SessionTransferToken": ".session_values",
    "TenantCheck": ".results",
    "TokenSet": ".session_values",
    "UserClaims": ".session_values",
    "actor_chain": ".core.jose.claims",
    "build_session_transfer_redirect": ".core.wire.redirects",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(module, __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
