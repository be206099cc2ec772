"""Django's own login and logout end the login session, too.

The admin, ``LogoutView`` and Django REST Framework log out of Django and know nothing of us.
Without these receivers, the next user of the browser would have the tokens of the one before.

A receiver never raises: Django flushes its session after it has sent ``user_logged_out``, so an
error would keep the user logged in.  The session's cookies are deleted first; a store that fails
afterwards is logged.
"""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out

from ...errors import StoreError
from .login_check import LOGIN_KEY, USER_HASH, get_login_check, hash_user
from .request_client import end_other_sessions

log: logging.Logger = logging.getLogger("auth0_tx.session")


def connect() -> None:
    """Connect the receivers."""
    user_logged_in.connect(_follow_login, dispatch_uid="auth0_tx")
    user_logged_out.connect(_follow_logout, dispatch_uid="auth0_tx")


def _follow_login(request: Any = None, user: Any = None, **_: Any) -> None:
    """End the login session of whoever was logged in before."""
    if getattr(request, "auth0", None) is None:
        # Without our middleware nobody would set cookies; a system check reports that.
        return
    check = get_login_check(request)
    check.show_user(user)
    if check.is_suspended:
        return
    try:
        whose = getattr(user, USER_HASH, None)
        if whose is not None and _is_session_of(request, whose):
            # The project has called Django's ``authenticate`` and ``login`` itself.
            check.mark(whose)
        else:
            # The same user may have logged in by password, who keeps Django's session.
            request.session.pop(LOGIN_KEY, None)
            if request.auth0.has_session_cookie():
                request.auth0.end_session_quietly()
            end_other_sessions(request)
    except Exception as error:
        log.error("a login session could not be ended: %s", error, exc_info=error)


def _follow_logout(request: Any = None, **_: Any) -> None:
    """End the login session of the browser that logs out."""
    if getattr(request, "auth0", None) is None:
        return
    check = get_login_check(request)
    check.forget_user()
    try:
        if not check.is_suspended:
            request.auth0.end_session_quietly()
        end_other_sessions(request)
    except Exception as error:
        log.error("a login session could not be ended: %s", error, exc_info=error)


def _is_session_of(request: Any, whose: str) -> bool:
    """Return whether the login session is of one user.

    Yes, if the store cannot tell: Django's login is marked then, and so is checked at the next
    request.
    """
    try:
        return hash_user(request.auth0.user) == whose
    except StoreError:
        return True
