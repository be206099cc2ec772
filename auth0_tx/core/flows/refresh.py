"""Refreshing a session's tokens: one request for all who ask, and no token lost on the way.

With rotation, a refresh token is good for one use, and a second use ends its whole family (RFC
9700 section 4.14.2).  So a refresh goes through four gates.

1. Threads and tasks of this process share a flight, by the refresh token.
2. Processes that share a store take turns under the session's lock.  Whoever comes second
   finds the session refreshed.
3. The outcome of a rotation is remembered for ten minutes under a keyed hash of the refresh
   token.  Several requests of one browser may carry the same old cookie; those that come later
   get the tokens of the first one.
4. The request is sent again at once only while it cannot have taken effect.

**A refresh token is dropped when Auth0 answers** ``invalid_grant`` (RFC 6749 section 5.2)**, and
for no other reason.**  After a lost answer, a maintenance page or a broken body nobody knows
whether it was spent.  Sending it again costs no more than dropping it would: either it works, or
Auth0 says ``invalid_grant``, and the user logs in as they would have had to anyway.

The table shows which parts of an answer are kept:

================================  ===========================================================
the answer                        the session afterwards
================================  ===========================================================
tokens                            has them, the access token under the audience that it names
... with an ID token of the user  is the user's whom the ID token describes, until its end
... whose keys are not available  keeps the ID token that it had
... with an ID token that fails   has the new refresh token alone
... of another user               is as before: nothing in the answer is this user's
... in an answer that is broken   has the new refresh token alone, if that can be read
``invalid_grant``                 has no refresh token
anything else                     is as before
================================  ===========================================================

One flight serves several callers, and its access token may be for another API than a caller
needs.  That caller goes on in another flight, with the refresh token that came.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any, Literal

import attrs

from ...errors import (
    AmbiguousError,
    Auth0Error,
    CustomTokenExchangeError,
    IdTokenError,
    InvalidResponseError,
    LoginRequiredError,
    NotSentError,
    RefusedError,
    SigningKeyError,
    StoreError,
    WrongAudienceError,
)
from ...errors import CustomTokenExchangeErrorCode as Code
from ...events import SessionRotated
from ...values import SessionPolicy, TokenExchangeResponse
from ..context import Call, Context
from ..effects import Flow, Share
from ..session.refresh_outcome import RefreshOutcome
from ..session.rotations import refresh_key
from ..session.state import (
    State,
    add_access_token,
    file_tokens,
    find_label,
    find_token_set,
    has_fresh_id_token,
    is_alive,
    renew_user,
    replace_refresh_token,
    without_refresh_token,
)
from ..wire.grants import refresh_form
from ..wire.metadata import Metadata
from ..wire.replies import TokenRequestInfo
from .audit import report
from .sending import Grant, request_tokens
from .session import check_writable
from .session_keeper import Session, SessionKeeper
from .tenant_documents import load_metadata
from .verification import verify_id_token

MOST_ROUNDS = 100
"""Flights that one caller waits for: others may ask for another API each, and each of their
flights serves one of them.  The bound is for a server whose refresh tokens go in a circle."""

WRONG_AUDIENCE_HINT = (
    "add the API to the application's refresh token policies (multi-resource refresh "
    "tokens)."
)


@attrs.frozen
class RefreshRequest:
    """The tokens that a caller needs of a refresh.

    Attributes:
        audience: the API of the access token; ``None`` for the login's.
        scope: the scope to ask for, if any.
        needs_id_token: whether it is for an ID token, and not for an access token.
        refused: the access token that an API refused, if that is why another is needed.
    """

    audience: str | None = None
    scope: str | None = None
    needs_id_token: bool = False
    refused: str | None = attrs.field(default=None, repr=False)

    def is_met_by(self, state: State, now: float, policy: SessionPolicy) -> bool:
        """Return whether a session has what is asked for, valid for a while yet."""
        margin = policy.refresh_margin
        if self.needs_id_token:
            return has_fresh_id_token(state, now, margin)
        token_set = find_token_set(state, self.audience, self.scope, now, margin)
        return token_set is not None and token_set["access_token"] != self.refused

    def is_answered_by(self, state: State, outcome: RefreshOutcome) -> bool:
        """Return whether *outcome* is the answer to this request, be it a good one or not."""
        return self.scope == outcome.scope and (
            find_label(state, self.audience) == find_label(state, outcome.audience)
        )


@attrs.frozen(eq=False)
class RefreshedSession:
    """A session after a refresh.

    Attributes:
        session: the session.
        token_set: the access token, if one was asked for.  A new one is returned even if it
            has expired by this machine's clock, which may be ahead: asking again would bring
            another like it.
    """

    session: Session
    token_set: dict[str, Any] | None


@attrs.frozen(eq=False)
class FlightResult:
    """The result of a flight, for all who share it.

    Attributes:
        session: the session as it is stored by then; ``None`` without a store, where each
            request saves the outcome in its own cookies.
        outcome: the refresh's; ``None`` if another process had refreshed.
        is_new: whether this flight sent the request, and did not remember its outcome.
    """

    session: Session | None
    outcome: RefreshOutcome | None = None
    is_new: bool = False


def refresh_session(
    call: Call, keeper: SessionKeeper, session: Session, request: RefreshRequest
) -> Flow[RefreshedSession | None]:
    """Refresh a session with its refresh token, until it has what *request* asks for.

    Returns:
        The session; ``None`` if it has ended by the ``session_expiry`` of a newer ID token.

    Raises:
        LoginRequiredError: the refresh token is refused, or the session has ended.
        WrongAudienceError: the new access token is for another audience; it is kept as such.
        CustomTokenExchangeError: how the refresh failed.
    """
    if not keeper.is_shared or not session.id:
        # What is rotated must be kept, or the next refresh ends the family.
        yield from check_writable(call)
    context, policy = call.context, call.settings.session_policy
    for _ in range(MOST_ROUNDS):
        spent = session.state["refresh_token"]
        if spent is None:
            raise LoginRequiredError("the refresh token is spent")
        # By the refresh token and not the session: several cookies of one browser may carry
        # the same token, and it is the token that must not be used twice.
        flight: Share[FlightResult] = Share(
            ("refresh", refresh_key(context.process_key, spent)),
            partial(_refresh_for_all, call, keeper, session, request),
            call.deadline,
            "another call was still refreshing the session at the deadline",
            "send",
            outlives_callers=True,
        )
        try:
            result = yield from flight
        except Auth0Error as error:
            # A stored session was changed by whoever led; a cookie is this request's to change.
            if not keeper.is_shared and _is_refused(error):
                state = without_refresh_token(session.state, spent, context.clock())
                yield from keeper.save(session, state)
            raise
        outcome, before = result.outcome, session
        if result.session is not None:
            session = result.session
        else:
            assert outcome is not None
            session = yield from keeper.save_change(
                session,
                partial(merge_outcome, outcome=outcome, spent=spent, policy=policy),
            )
        now = context.clock()
        if not is_alive(session.state, now, policy):
            return None
        if (
            outcome is not None
            and result.is_new
            and request.is_answered_by(session.state, outcome)
        ):
            if request.needs_id_token:
                # Whatever API the access token beside it is for.
                check_outcome(outcome)
                return RefreshedSession(session, None)
            return RefreshedSession(session, take_token_set(before.state, outcome))
        if request.is_met_by(session.state, now, policy) and not is_outdated(
            context, session.state
        ):
            token_set = find_token_set(
                session.state, request.audience, request.scope, now
            )
            return RefreshedSession(session, token_set)
        # The flight was for another audience; its refresh token is the next to use.
    raise NotSentError(
        "others refreshed the session for other audiences again and again",
        Code.TIMEOUT,
        retry_safe=True,
    )


def refresh_id_token(call: Call, keeper: SessionKeeper, session: Session) -> Flow[str]:
    """Return the session's ID token, refreshed if it is about to expire.

    Raises:
        LoginRequiredError: the session has none, and cannot get one.
        CustomTokenExchangeError: how the refresh failed.
    """
    request = RefreshRequest(needs_id_token=True)
    # The token is sent on at once, but it must still be valid when Auth0 looks at it.
    if not request.is_met_by(
        session.state, call.context.clock(), call.settings.session_policy
    ):
        refreshed = None
        if session.state["refresh_token"] is not None:
            refreshed = yield from refresh_session(call, keeper, session, request)
        if refreshed is None or not has_fresh_id_token(
            refreshed.session.state, call.context.clock()
        ):
            raise LoginRequiredError("the session has no ID token that is still valid")
        session = refreshed.session
    id_token: str = session.state["id_token"]
    return id_token


def merge_outcome(
    state: State, *, outcome: RefreshOutcome, spent: str | None, policy: SessionPolicy
) -> State:
    """Return a session's state with the outcome of a refresh, or of another exchange.

    Args:
        state: the session.
        outcome: the outcome.
        spent: the refresh token that was sent, if one was.
        policy: how long sessions last.
    """
    response = outcome.response
    state = replace_refresh_token(state, spent, response.refresh_token)
    if outcome.problem is not None:
        return state
    state = add_access_token(
        state,
        response,
        audience=outcome.audience,
        scope=outcome.scope,
        now=outcome.at,
    )
    if outcome.claims is None:
        return state
    return renew_user(
        state,
        response.id_token,
        outcome.claims,
        policy=policy,
        # A refresh token was issued to whoever logged in; another exchange has its own actor.
        takes_actor=spent is None,
    )


def check_outcome(outcome: RefreshOutcome) -> None:
    """Raise the problem of an outcome whose refresh token is saved by now.

    Raises:
        CustomTokenExchangeError: the response is broken, or its ID token is invalid.
    """
    if outcome.problem is not None:
        # A copy, as a raised error collects the frames of each caller it passes.
        raise outcome.problem.evolve()


def take_token_set(state: State, outcome: RefreshOutcome) -> dict[str, Any]:
    """Return the access token that was asked for, of an *outcome* that is saved by now.

    Args:
        state: the session before the outcome was merged.
        outcome: the outcome of a request for that token.

    Raises:
        IdTokenError: the ID token beside it is invalid.
        InvalidResponseError: the response is broken.
        WrongAudienceError: it is for another audience than was asked for.
    """
    check_outcome(outcome)
    token_set = file_tokens(
        state,
        outcome.response,
        audience=outcome.audience,
        scope=outcome.scope,
        now=outcome.at,
    )
    asked = find_label(state, outcome.audience)
    if token_set["audience"] != asked:
        raise WrongAudienceError(
            f"the server issued an access token for another API than {asked!r}",
            tokens_issued=True,
            hint=WRONG_AUDIENCE_HINT if outcome.is_refresh else None,
        )
    return token_set


def report_rotation(
    call: Call,
    session: Session,
    by: Literal["refresh_token", "exchange"],
    started: float,
    error: Auth0Error | None = None,
) -> Flow[None]:
    """Emit that a session got new tokens, or failed to, if there is a subscriber."""
    yield from report(
        call, SessionRotated, state=session.state, error=error, started=started, by=by
    )


def _refresh_for_all(
    call: Call, keeper: SessionKeeper, session: Session, request: RefreshRequest
) -> Flow[FlightResult]:
    """Refresh as the one who does so for all; what is stored is saved before this ends."""
    context, policy = call.context, call.settings.session_policy
    spent: str = session.state["refresh_token"]

    def find(latest: Session) -> FlightResult | None:
        # Another process was faster.  Without rotation the refresh token is the same, and the
        # access token tells.
        if latest.state["refresh_token"] != spent or request.is_met_by(
            latest.state, context.clock(), policy
        ):
            return FlightResult(latest)
        return None

    def act(latest: Session, until: float) -> Flow[FlightResult]:
        own = call.limit_to(until)
        try:
            outcome, is_new = yield from _use_refresh_token(own, latest, request)
        except Auth0Error as error:
            # In the store, so that other processes do not send it again.
            if keeper.is_shared and _is_refused(error):
                saved = yield from keeper.save_change(
                    latest,
                    lambda state: without_refresh_token(state, spent, context.clock()),
                )
                if saved.state["refresh_token"] is not None:
                    # This process stood still for so long that another one took the lock,
                    # and spent the token.  Its session goes on.
                    return FlightResult(saved)
            raise
        except GeneratorExit:
            raise
        except BaseException:
            # Interrupted when the tokens may have been issued: they must not be lost with it.
            key = refresh_key(context.process_key, spent)
            issued = context.rotations.get(key, context.monotonic())
            if keeper.is_shared and isinstance(issued, RefreshOutcome):
                with suppress(StoreError):
                    yield from save(latest, issued)
            raise
        if not keeper.is_shared:
            return FlightResult(None, outcome, is_new)
        return FlightResult((yield from save(latest, outcome)), outcome, is_new)

    def save(latest: Session, outcome: RefreshOutcome) -> Flow[Session]:
        return (
            yield from keeper.save_change(
                latest,
                partial(merge_outcome, outcome=outcome, spent=spent, policy=policy),
            )
        )

    return (yield from keeper.run_exclusively(session, call.deadline, act, find))


def _use_refresh_token(
    call: Call, session: Session, request: RefreshRequest
) -> Flow[tuple[RefreshOutcome, bool]]:
    """Return the outcome of a refresh, and whether the token was sent for it just now."""
    context, policy = call.context, call.settings.session_policy
    spent, started = session.state["refresh_token"], context.monotonic()
    key = refresh_key(context.process_key, spent)
    # A browser sends several requests at once, all with the same old cookie.  The second
    # one would otherwise present a spent token, which Auth0 takes for a theft: it ends
    # the whole family (RFC 9700 section 4.14.2).
    known = context.rotations.get(key, started)
    if isinstance(known, Auth0Error):
        # A copy, as a raised error collects the frames of each caller it passes.
        raise known.evolve()
    # A refresh token that was not rotated is good for another request.
    if known is not None and (
        known.is_rotated
        or request.is_met_by(
            merge_outcome(session.state, outcome=known, spent=spent, policy=policy),
            context.clock(),
            policy,
        )
    ):
        return known, False
    failure: Auth0Error
    try:
        outcome = yield from _request_refresh(call, session.state, request)
    except CustomTokenExchangeError as error:
        failure = describe_refresh_failure(error)
    else:
        if outcome.problem is None or outcome.is_rotated:
            context.rotations.add(key, outcome, context.monotonic())
        yield from report_rotation(
            call, session, "refresh_token", started, outcome.problem
        )
        return outcome, True
    # Outside the handler: what replaces the error has no context.
    if _is_refused(failure):
        context.rotations.add(key, failure.evolve(), context.monotonic())
    yield from report_rotation(call, session, "refresh_token", started, failure)
    try:
        raise failure
    finally:
        # Or the frame keeps the error that keeps the frame, and both keep the tokens.
        del failure


def _request_refresh(
    call: Call, state: State, request: RefreshRequest
) -> Flow[RefreshOutcome]:
    metadata = yield from load_metadata(call, state["domain"])
    # What the refresh token was issued for needs no naming, and no further policy at Auth0.
    is_of_login = find_label(state, request.audience) == find_label(state, None)
    named = None if is_of_login else request.audience
    outcome = yield from send_refresh(
        call, metadata, state["refresh_token"], named, request.scope
    )
    outcome = attrs.evolve(outcome, audience=request.audience)
    tokens = outcome.response
    # After the tokens were issued: what fails from here on must not lose them.
    if tokens.id_token is None:
        return outcome
    try:
        claims = yield from _verify_newer_id_token(call, metadata, state, tokens)
    except SigningKeyError:
        # It cannot be checked now, so it does not replace the one that was.
        return attrs.evolve(outcome, response=attrs.evolve(tokens, id_token=None))
    except CustomTokenExchangeError as error:
        # Without its traceback, which keeps this frame, and the tokens in it.
        return attrs.evolve(outcome, problem=error.with_traceback(None))
    except GeneratorExit:
        raise
    except BaseException:
        # Interrupted, so nobody knows whose the tokens are; the refresh token is kept.
        problem = IdTokenError(
            "the ID token was not verified: the call was interrupted",
            tokens_issued=True,
        )
        key = refresh_key(call.context.process_key, state["refresh_token"])
        interrupted = attrs.evolve(outcome, problem=problem)
        call.context.rotations.add(key, interrupted, call.context.monotonic())
        raise
    # OpenID Connect Core 12.2: its sub MUST be the same as before.
    if claims["sub"] != state["user"]["sub"]:
        raise IdTokenError(
            "the ID token names another user than the session's", tokens_issued=True
        )
    return attrs.evolve(outcome, claims=claims)


def send_refresh(
    call: Call,
    metadata: Metadata,
    refresh_token: str,
    audience: str | None,
    scope: str | None,
) -> Flow[RefreshOutcome]:
    """Send a refresh token for new ones (RFC 6749 section 6); no ID token is verified.

    Raises:
        CustomTokenExchangeError: how it failed, without a new refresh token.
    """
    grant = Grant(
        partial(refresh_form, refresh_token, audience, scope),
        TokenRequestInfo(scope, secrets=[refresh_token, *call.settings.own_secrets]),
        "refresh",
    )
    problem: CustomTokenExchangeError | None = None
    try:
        tokens = yield from request_tokens(call, metadata, grant)
    except InvalidResponseError as error:
        if error.refresh_token is None:
            raise
        tokens = TokenExchangeResponse(
            access_token="", token_type="", refresh_token=error.refresh_token
        )
        # Without its traceback, which keeps this frame, and the tokens in it.
        problem = error.with_traceback(None)
    return RefreshOutcome(
        audience,
        scope,
        tokens,
        None,
        call.context.clock(),
        is_refresh=True,
        is_rotated=tokens.refresh_token not in (None, refresh_token),
        problem=problem,
    )


def describe_refresh_failure(error: CustomTokenExchangeError) -> Auth0Error:
    """Return the error that a failed refresh means to its caller."""
    # RFC 6749 section 5.2: invalid_grant is for a token that is invalid, expired or revoked.
    if isinstance(error, RefusedError) and error.code == "invalid_grant":
        return LoginRequiredError(
            error.message,
            error.code,
            error.status,
            phase="reply",
            correlation_id=error.correlation_id,
        )
    # The server failed, or its answer was lost.  The refresh token is kept, and nothing is
    # lost by sending it again that was not lost already.
    if isinstance(error, AmbiguousError) or (error.status or 0) >= 500:
        return error.evolve(retry_safe=True)
    return error


def _verify_newer_id_token(
    call: Call, metadata: Metadata, state: State, tokens: TokenExchangeResponse
) -> Flow[dict[str, Any]]:
    """Return the claims of an ID token that came with a refresh (OIDC Core section 12.2).

    Raises:
        IdTokenError: it is invalid, or of another organization than the session's.
        SigningKeyError: the keys to verify it cannot be fetched.
    """
    claims = yield from verify_id_token(call, metadata, tokens, None)
    organization = state["user"].get("org_id")
    # A session of an organization must stay one: Auth0 advises to check it in each token.
    # A claim of another type was never an organization.
    if isinstance(organization, str) and claims.get("org_id") != organization:
        raise IdTokenError(
            "the ID token's org_id is not the session's", tokens_issued=True
        )
    return claims


def is_outdated(context: Context, state: State) -> bool:
    """Return whether this process knows a refresh token that came for the session's own."""
    token = state["refresh_token"]
    if token is None:
        return False
    key = refresh_key(context.process_key, token)
    known = context.rotations.get(key, context.monotonic())
    return isinstance(known, RefreshOutcome) and known.is_rotated


def _is_refused(error: Auth0Error) -> bool:
    """Return whether the refresh token is worth nothing after this."""
    return isinstance(error, LoginRequiredError) and error.code == "invalid_grant"
