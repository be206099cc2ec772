"""Refreshing and revoking tokens that an application keeps by itself, without a session.

An exchange without a login may bring a refresh token, and whoever has it may use it: with
``refresh`` for new tokens, and with ``revoke_refresh_token`` to end it.  A refresh goes the way
of a session's (``flows/refresh.py``):

1. The arguments are checked before a byte is sent.
2. Threads and tasks that use the same refresh token share a flight: one request for all.
3. If Auth0 rotated the refresh token, the outcome is remembered for ten minutes.  A caller that
   comes late with the old token gets the same tokens, or others that were requested with the
   new one.
4. An access token for another API than was asked for is not returned as that API's.  The error
   has the tokens, as nobody else keeps them.

Only ``invalid_grant`` says that a refresh token is worth nothing (RFC 6749 section 5.2).  After
every other failure the same call may be made again.

A revocation (RFC 7009) has the same result however often it is made, so it is sent again as a
reusable grant is.  Unlike a logout, which revokes as a courtesy, it reports its failures.
"""

from __future__ import annotations

from functools import partial

import attrs

from ...errors import (
    Auth0Error,
    CustomTokenExchangeError,
    DiscoveryError,
    LoginRequiredError,
    NotSentError,
    WrongAudienceError,
)
from ...errors import CustomTokenExchangeErrorCode as Code
from ...secret import SecretStr
from ...values import TokenExchangeResponse
from ..configuration import StoreOptions
from ..context import Call, Context
from ..effects import Flow, Request, Response, Send, Share
from ..jose.access_token import read_access_token
from ..session.refresh_outcome import RefreshOutcome
from ..session.rotations import refresh_key
from ..session.state import has_time_left
from ..wire.grants import (
    check_access_token_options,
    check_refresh_token,
    revocation_form,
)
from ..wire.metadata import DOCUMENT_LIMIT
from ..wire.replies import TokenRequestInfo, read_revocation_response
from .refresh import (
    MOST_ROUNDS,
    WRONG_AUDIENCE_HINT,
    check_outcome,
    describe_refresh_failure,
    send_refresh,
)
from .sending import build_request, check_metadata, send_with_retries
from .tenant_documents import load_metadata, resolve_domain


def refresh(
    context: Context,
    refresh_token: str,
    audience: str | None = None,
    scope: str | None = None,
    store_options: StoreOptions | None = None,
) -> Flow[TokenExchangeResponse]:
    """Request new tokens with a refresh token that the application keeps by itself.

    For a refresh token of ``custom_token_exchange``.  The tokens of a login session are
    ``get_access_token``'s: a refresh token that is used here is spent for the session.

    If the response has a ``refresh_token``, keep it in place of the one that was sent, which is
    spent (rotation).  If it has none, the one that was sent stays good.  Callers that use the
    same refresh token at once, or within ten minutes of a rotation in this process, share its
    outcome.  The ID token of the response is not verified.

    Args:
        refresh_token: the refresh token.
        audience: the API; ``None`` for the one that the refresh token was issued for.
        scope: space-separated scopes, of those that were granted; ``None`` for all of them.
        store_options: handed to the domain resolver if the client has one.

    Returns:
        The tokens.

    Raises:
        InvalidInputError: an argument breaks a rule; nothing was sent.
        LoginRequiredError: Auth0 refuses the refresh token (``invalid_grant``).
        WrongAudienceError: the access token is for another API than *audience*; ``response``
            has the tokens, the new refresh token among them.
        AmbiguousError: the answer was lost; the same call may be made again.
        InvalidResponseError: the answer is broken; ``refresh_token`` has the new refresh token,
            if it can be read.
        CustomTokenExchangeError: every other failure.
    """
    check_refresh_token(refresh_token)
    check_access_token_options(audience, scope)
    call = context.begin_call(store_options)
    domain = yield from resolve_domain(call)
    for _ in range(MOST_ROUNDS):
        key = _hash_given(context, domain, refresh_token)
        flight: Share[tuple[RefreshOutcome, bool]] = Share(
            ("refresh given", key),
            partial(_refresh_once, call, domain, key, refresh_token, audience, scope),
            call.deadline,
            "another call was still using the refresh token at the deadline",
            "send",
            outlives_callers=True,
        )
        outcome, is_new = yield from flight
        is_answer = (audience, scope) == (outcome.audience, outcome.scope)
        if is_answer and (is_new or _is_fresh(call, outcome)):
            return _take_response(call, outcome)
        # The flight was for another API, or its tokens have expired since: the refresh token
        # that it brought is the next to use.
        refresh_token = outcome.response.refresh_token or refresh_token
    raise NotSentError(
        "others used the refresh token for other audiences again and again",
        Code.TIMEOUT,
        retry_safe=True,
    )


def revoke_refresh_token(
    context: Context, refresh_token: str, store_options: StoreOptions | None = None
) -> Flow[None]:
    """Revoke a refresh token that the application keeps by itself (RFC 7009).

    Auth0 also ends the tokens that the refresh token was rotated to.  Access tokens last until
    they expire.  Revoking a token that is unknown or revoked already succeeds (section 2.2).

    Args:
        refresh_token: the refresh token.
        store_options: handed to the domain resolver if the client has one.

    Raises:
        InvalidInputError: *refresh_token* is not a token; nothing was sent.
        DiscoveryError: the tenant's metadata names no revocation endpoint.
        RefusedError: Auth0 refuses the client.
        AmbiguousError: the answer was lost; the same call may be made again.
        CustomTokenExchangeError: every other failure.
    """
    check_refresh_token(refresh_token)
    call = context.begin_call(store_options)
    domain = yield from resolve_domain(call)
    metadata = yield from load_metadata(call, domain)
    url = metadata.revocation_endpoint
    # RFC 8414 section 2: the endpoint is optional.
    if url is None:
        raise DiscoveryError("the tenant's metadata names no revocation_endpoint")

    def prepare() -> Request:
        check_metadata(context, metadata)
        return build_request(call, metadata, url, revocation_form(refresh_token))

    request_info = TokenRequestInfo(
        reusable=True, secrets=[refresh_token, *call.settings.own_secrets]
    )

    def read(response: Response) -> CustomTokenExchangeError | None:
        return read_revocation_response(response, request_info, context.clock)

    send = Send(prepare, call.deadline, DOCUMENT_LIMIT)
    yield from send_with_retries(call, domain, send, read, "reusable")
    # What it was rotated to is revoked too, and must not be given to late callers.
    context.rotations.forget(_hash_given(context, domain, refresh_token))


def _refresh_once(
    call: Call,
    domain: str,
    key: bytes,
    refresh_token: str,
    audience: str | None,
    scope: str | None,
) -> Flow[tuple[RefreshOutcome, bool]]:
    """Use the refresh token, unless it was rotated here a moment ago.

    Returns:
        The outcome, and whether it is new: not remembered, but just sent for.
    """
    context = call.context
    known = context.rotations.get(key, context.monotonic())
    if isinstance(known, Auth0Error):
        # A copy, as a raised error collects the frames of each caller it passes.
        raise known.evolve()
    if known is not None:
        return known, False
    failure: Auth0Error
    try:
        metadata = yield from load_metadata(call, domain)
        outcome = yield from send_refresh(
            call, metadata, refresh_token, audience, scope
        )
    except CustomTokenExchangeError as error:
        failure = describe_refresh_failure(error)
    else:
        outcome = attrs.evolve(outcome, response=_limit_expiry(outcome.response))
        # A refresh token that was not rotated is good for another request, and whoever makes
        # one wants new tokens.
        if outcome.is_rotated:
            context.rotations.add(key, outcome, context.monotonic())
        return outcome, True
    # Outside the handler: LoginRequiredError replaces the refusal, and has no context.
    if isinstance(failure, LoginRequiredError):
        context.rotations.add(key, failure.evolve(), context.monotonic())
    try:
        raise failure
    finally:
        # Or the frame keeps the error that keeps the frame, and both keep the tokens.
        del failure


def _take_response(call: Call, outcome: RefreshOutcome) -> TokenExchangeResponse:
    """Return the tokens of an outcome, with the seconds that they last from now.

    Raises:
        InvalidResponseError: the response is broken; the error has the new refresh token.
        WrongAudienceError: the access token is for another API than was asked for.
    """
    check_outcome(outcome)
    response, audience = outcome.response, outcome.audience
    if response.expires_in is not None:
        left = response.expires_in - int(call.context.clock() - outcome.at)
        response = attrs.evolve(response, expires_in=max(left, 0))
    names = read_access_token(response.access_token).audience
    if audience is not None and names is not None and audience not in names:
        raise WrongAudienceError(
            f"the server issued an access token for another API than {audience!r}",
            tokens_issued=True,
            hint=WRONG_AUDIENCE_HINT,
        ).with_response(response)
    return response


def _limit_expiry(tokens: TokenExchangeResponse) -> TokenExchangeResponse:
    """Return the tokens with the first end that the server or the access token names."""
    ends = read_access_token(tokens.access_token).expires_at
    if ends is None or tokens.expires_at is None or tokens.expires_at <= ends:
        return tokens
    return attrs.evolve(tokens, expires_at=int(ends))


def _is_fresh(call: Call, outcome: RefreshOutcome) -> bool:
    """Return whether remembered tokens are valid for a while yet."""
    if outcome.problem is not None:
        return False
    margin = call.settings.session_policy.refresh_margin
    ends = outcome.response.expires_at
    return has_time_left(outcome.at, ends, call.context.clock(), margin)


def _hash_given(context: Context, domain: str, refresh_token: str) -> bytes:
    # Apart from those of sessions, whose outcomes have verified claims.
    return refresh_key(
        context.process_key, SecretStr(f"given {domain} {refresh_token}")
    )
