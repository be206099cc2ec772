"""A store that keeps login sessions inside the session of a framework.

The framework's session may be a row, a file or a cookie.  Flask's and Django's own cookies are
signed and not encrypted, so the browser can read them: what is stored here was sealed before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, MutableMapping
from typing import Any, ClassVar

from ..errors import CustomTokenExchangeErrorCode as Code
from ..errors import StoreError
from ..secret import Unpicklable

_PREFIX = "auth0_tx:"

LARGEST_COOKIE = 4_000
"""Characters.  Browsers drop a cookie of more than 4,096 with its name, without an error."""


def is_login_key(key: str) -> bool:
    """Return whether *key* of a framework's session belongs to a login session."""
    return key.startswith(_PREFIX)


class HostSessionStore(Unpicklable, ABC):
    """Keep a login session in the framework's session of the current request.

    ``expected`` is compared with this request's copy of the framework's session, so it does
    not exclude another request of the same browser.  A session can only be found through its
    browser, so Auth0 cannot end one: back-channel logout needs another store.
    """

    has_index: ClassVar[bool] = False

    # For error texts: the framework, what to do about a cookie that is too small, and the
    # stores that back-channel logout works with.
    host: ClassVar[str]
    too_large_hint: ClassVar[str]
    shared_stores: ClassVar[str]

    def get(self, key: str) -> bytes | None:
        """Return what is stored under *key* for this browser."""
        value = self._get_session().get(_PREFIX + key)
        return value.encode("latin-1") if isinstance(value, str) else None

    def set(
        self, key: str, value: bytes, *, ttl: float, expected: bytes | None
    ) -> bool:
        """Store *value* if *expected* is what this browser's session has now.

        Raises:
            StoreError: it does not fit into the cookie that keeps the session.
        """
        session = self._get_session()
        if self.get(key) != expected:
            return False
        # A framework's session is JSON, which has no bytes; latin-1 keeps each octet.
        session[_PREFIX + key] = value.decode("latin-1")
        if self._is_too_large(session):
            del session[_PREFIX + key]
            if expected is not None:
                session[_PREFIX + key] = expected.decode("latin-1")
            raise StoreError(
                f"the session does not fit into {self.host}'s cookie",
                Code.SESSION_TOO_LARGE,
                hint=self.too_large_hint,
            )
        return True

    def delete(self, key: str, *, expected: bytes | None = None) -> None:
        """Delete what is stored under *key*; with *expected*, only if it is that."""
        if expected is None or self.get(key) == expected:
            self._get_session().pop(_PREFIX + key, None)

    def add_to_index(self, label: str, key: str, *, ttl: float) -> None:
        """Do nothing: an index of one browser's session would find no other."""

    def read_index(self, label: str) -> list[str]:
        """Refuse: the sessions of other browsers cannot be reached.

        Raises:
            StoreError: always.
        """
        raise StoreError(
            f"sessions in {self.host}'s own session cannot be ended by Auth0, nor by "
            "end_sessions()",
            hint=f"keep sessions in {self.shared_stores}.",
        )

    def remove_from_index(self, label: str, keys: Collection[str]) -> None:
        """Do nothing: there is no index."""

    @abstractmethod
    def _get_session(self) -> MutableMapping[str, Any]:
        """Return the framework's session of the current request."""

    @abstractmethod
    def _is_too_large(self, session: MutableMapping[str, Any]) -> bool:
        """Return whether *session* is kept in a cookie that browsers would drop."""
