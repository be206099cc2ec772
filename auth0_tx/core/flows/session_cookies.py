"""The cookies of a session: set, deleted, and taken over from Auth0's own SDK."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import CustomTokenExchangeErrorCode as Code
from ...errors import StoreError
from ..configuration import StoreOptions
from ..context import Context
from ..effects import Call, Flow
from ..session.cookies import CookieStore, SetCookie, list_session_cookies, split
from ..session.legacy import LEGACY_COOKIE, read_legacy_session
from ..session.state import State, is_alive


def set_state(
    context: Context,
    store_options: StoreOptions | None,
    name: str,
    sealed: str,
    state: State,
) -> Flow[None]:
    """Set a whole session as cookies, and delete those of its kind that it does not need.

    Raises:
        StoreError: it does not fit.
    """
    store = context.settings.state_store
    assert isinstance(store, CookieStore)
    chunks = split(name, sealed, store)
    if chunks is None:
        raise StoreError(
            f"the session takes more than {store.most_chunks} cookies of "
            f"{store.longest_chunk} characters",
            Code.SESSION_TOO_LARGE,
            hint="keep sessions in a store of your server's, such as RedisStore.",
        )
    yield from set_cookies(context, store_options, chunks, state)


def set_cookies(
    context: Context,
    store_options: StoreOptions | None,
    values: Mapping[str, str],
    state: State,
) -> Flow[None]:
    """Set a session's cookies for as long as it lasts; delete what else it had."""
    cookies = yield from Call(context.cookies.read, (store_options,))
    name = next(iter(values)).partition(".")[0]
    surplus = [
        each for each in list_session_cookies(name, cookies) if each not in values
    ]
    seconds = max(int(state["internal"]["expires_at"] - context.clock()), 1)
    changes = [
        *(_cookie(context, each, text, seconds) for each, text in values.items()),
        *(_cookie(context, each, "", 0) for each in surplus),
    ]
    yield from Call(context.cookies.write, (store_options, changes))


def forget_cookies(
    context: Context,
    store_options: StoreOptions | None,
    name: str,
    cookies: Mapping[str, str],
    *,
    kept: str = "",
) -> Flow[None]:
    """Delete a session's cookies but the one *kept*, and those of Auth0's own SDK.

    Nothing is done where there are none, or no response to do it on.
    """
    names = list_session_cookies(name, cookies) if name else []
    changes = [_cookie(context, each, "", 0) for each in names if each != kept]
    if context.settings.legacy_secret is not None:
        secure = context.settings.session_policy.cookie_secure
        changes += [
            SetCookie(name=each, value="", max_age=0, secure=secure)
            # What else begins with the name is not theirs, and may be no name to set.
            for each in list_session_cookies(LEGACY_COOKIE, cookies, "_")
        ]
    if changes and (yield from Call(context.cookies.can_write, (store_options,))):
        yield from Call(context.cookies.write, (store_options, changes))


def legacy_session(
    context: Context, cookies: Mapping[str, str], domain: str
) -> State | None:
    """Give the session that Auth0's own SDK left in *cookies*, if it holds."""
    secret = context.settings.legacy_secret
    assert secret is not None
    policy, now = context.settings.session_policy, context.clock()
    state = read_legacy_session(cookies, secret, domain=domain, now=now, policy=policy)
    return state if state is not None and is_alive(state, now, policy) else None


def _cookie(context: Context, name: str, value: str, max_age: int) -> SetCookie:
    policy = context.settings.session_policy
    return SetCookie(
        name=name,
        value=value,
        max_age=max_age,
        path=policy.cookie_path,
        domain=policy.cookie_domain,
        secure=policy.cookie_secure,
        same_site=policy.cookie_same_site,
    )
