"""Exchanging again for a session that no refresh token can renew.

Auth0 issues no refresh token where an actor acts, so the application supplies the options
of another exchange.  Its ID token must name the session's own user: a supplier that is
handed somebody else's token must not put that user's tokens into this session.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

import attrs

from ...errors import CustomTokenExchangeError, IdTokenError, InvalidInputError
from ...values import (
    CustomTokenExchangeOptions,
    SessionPolicy,
    TokenExchangeResponse,
)
from ..context import Call
from ..effects import Flow, Invoke, Share
from ..session.refresh_outcome import RefreshOutcome
from ..session.state import (
    State,
    find_label,
    find_login_audience,
    is_alive,
    with_usual_audience,
)
from ..wire.grants import check_exchange, with_openid
from ..wire.metadata import Metadata
from .exchange import make_exchange_grant, run_exchange
from .refresh import FlightResult, merge_outcome, report_rotation, take_token_set
from .session import check_writable
from .session_keeper import Session, SessionKeeper
from .verification import verify_id_token

SubjectTokenSupplier: TypeAlias = Callable[
    [], CustomTokenExchangeOptions | Awaitable[CustomTokenExchangeOptions]
]
"""The application's own function, which returns the options of another exchange."""


def reexchange(
    call: Call,
    keeper: SessionKeeper,
    session: Session,
    audience: str | None,
    scope: str | None,
    supplier: SubjectTokenSupplier,
) -> Flow[dict[str, Any] | None]:
    """Return an access token from another exchange, for the session's own user.

    Returns:
        The token set; ``None`` if the session has ended by the ``session_expiry`` of the new ID
        token.

    Raises:
        IdTokenError: the exchange was for somebody else.
        WrongAudienceError: the access token is for another audience; it is kept as such.
        CustomTokenExchangeError: how it failed.
    """
    # The supplier may hand out a one-time token: it must not be spent for an answer that
    # cannot be kept.
    if not keeper.is_shared or not session.id:
        yield from check_writable(call)
    user, internal = session.state["user"], session.state["internal"]
    result: FlightResult = yield from Share(
        # Not by the refresh token, as a session that comes here has none.  In cookies the id is
        # empty, so the user and the session's own sid tell sessions apart.
        ("reexchange", session.id, user["sub"], internal["sid"], audience, scope),
        lambda: _reexchange_for_all(call, keeper, session, audience, scope, supplier),
        call.deadline,
        "another call was still exchanging for the session at the deadline",
        "send",
        # The supplier's token may be good for one use.
        outlives_callers=True,
    )
    saved, outcome = result.session, result.outcome
    assert outcome is not None
    if saved is None:
        saved = yield from _save_outcome(call, keeper, session, audience, outcome)
    if not is_alive(saved.state, call.context.clock(), call.settings.session_policy):
        return None
    return take_token_set(session.state, outcome)


def _merge_exchange(
    state: State, *, outcome: RefreshOutcome, named: bool, policy: SessionPolicy
) -> State:
    """Return a session's state with the outcome of an exchange.

    Args:
        state: the session.
        outcome: the outcome.
        named: whether the caller named the audience.
        policy: how long sessions last.
    """
    asked, usual = find_label(state, outcome.audience), find_label(state, None)
    if named and asked != usual:
        # A refresh without an audience gets the API that the refresh token was issued for: with
        # this one, that would not be the login's any more.
        tokens = attrs.evolve(outcome.response, refresh_token=None)
        outcome = attrs.evolve(outcome, response=tokens)
    merged = merge_outcome(state, outcome=outcome, spent=None, policy=policy)
    if named or merged["token_sets"][-1]["audience"] != asked:
        return merged
    # Callers who name no audience left it to the supplier.  They must find the token again, or
    # each call would spend a subject token.
    return with_usual_audience(merged, asked)


def _save_outcome(
    call: Call,
    keeper: SessionKeeper,
    session: Session,
    audience: str | None,
    outcome: RefreshOutcome,
) -> Flow[Session]:
    change = partial(
        _merge_exchange,
        outcome=outcome,
        named=audience is not None,
        policy=call.settings.session_policy,
    )
    return (yield from keeper.save_change(session, change))


def _reexchange_for_all(
    call: Call,
    keeper: SessionKeeper,
    session: Session,
    audience: str | None,
    scope: str | None,
    supplier: SubjectTokenSupplier,
) -> Flow[FlightResult]:
    """Exchange as the one who does so for all; what is stored is saved before this ends."""
    options = yield from Invoke(supplier)
    # It is the application's code, and runs where nobody sees its type checked.
    if not isinstance(options, CustomTokenExchangeOptions):
        raise InvalidInputError(
            "subject_token_supplier must return CustomTokenExchangeOptions",
            parameter="subject_token_supplier",
        )
    api = audience
    if api is None:
        api = options.audience or find_login_audience(session.state)
    sent = options.scope if scope is None else scope
    # Without an ID token nobody could tell whose tokens these are.
    options = with_openid(attrs.evolve(options, audience=api, scope=sent))
    check_exchange(options)
    # The supplier took time: its exchange has the client's whole timeout for itself.
    own = call.context.begin_call(call.store_options)

    def finish(
        metadata: Metadata, tokens: TokenExchangeResponse
    ) -> Flow[RefreshOutcome]:
        claims = yield from verify_id_token(own, metadata, tokens, options.organization)
        # A supplier that reads the wrong global variable hands out another user's token.
        if claims["sub"] != session.state["user"]["sub"]:
            raise IdTokenError(
                "the tokens are of another user than the session's", tokens_issued=True
            )
        # If the call named no scope, the supplier's is the one that such calls get, or each of
        # them would exchange again for a scope that the login had and the supplier has not.
        named = None if scope is None else options.scope
        return RefreshOutcome(api, named, tokens, claims, call.context.clock())

    grant = make_exchange_grant(call.context, options)
    try:
        outcome = yield from run_exchange(own, grant, finish)
    except CustomTokenExchangeError as error:
        yield from report_rotation(call, session, "exchange", own.started, error)
        raise
    yield from report_rotation(call, session, "exchange", own.started)
    if not keeper.is_shared:
        return FlightResult(None, outcome, is_new=True)
    # Here and not by those who wait: all of them may be gone by now.
    saved = yield from _save_outcome(call, keeper, session, audience, outcome)
    return FlightResult(saved, outcome, is_new=True)
