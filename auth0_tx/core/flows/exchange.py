"""Custom Token Exchange (RFC 8693): one token in, Auth0's tokens out."""

from __future__ import annotations

from ...errors import CustomTokenExchangeError
from ...events import ExchangeFinished, ExchangeStarted
from ...values import CustomTokenExchangeOptions, TokenExchangeResponse
from ..configuration import StoreOptions
from ..context import Context
from ..effects import Emit, Flow, Request, Response, Send, Turn
from ..grants import grant_request, token_exchange
from ..metadata import Metadata
from ..replies import TOKEN_RESPONSE_LIMIT, Asked, read_token_response
from ..retries import Effect, refusal_key
from .attempts import attempted
from .delegation import with_actor
from .discovery import domain_for, metadata_for


def custom_token_exchange(
    context: Context,
    options: CustomTokenExchangeOptions,
    store_options: StoreOptions | None = None,
) -> Flow[TokenExchangeResponse]:
    """Exchange an external or legacy token for Auth0 tokens.

    This is Auth0's Custom Token Exchange, a profile of RFC 8693.  No session is made.
    Once the server has issued tokens they are returned, also when their actor cannot be
    verified: ``act`` is then ``None`` and ``act_error`` says why.

    Args:
        options: whose token, of what type, for which API.
        store_options: handed to the domain resolver, where the client has one.

    Returns:
        The tokens, with the acting party where there is one.

    Raises:
        InvalidInputError: an option breaks a rule; nothing was sent.
        RefusedError: Auth0, or your Action, said no.
        NotSentError: the request did not leave, so the same call may be made again.
        AmbiguousError: the answer was lost, and the subject token may be spent.
        CustomTokenExchangeError: the root of these and every other failure.
    """
    form = token_exchange(options)
    started = context.monotonic()
    deadline = started + context.settings.timeout
    yield from Turn(deadline)
    domain = yield from domain_for(context, store_options)
    if context.settings.on_event is None:
        return (yield from _exchanged(context, domain, options, form, deadline))
    yield from Emit(
        ExchangeStarted(
            domain=domain,
            subject_token_type=options.subject_token_type,
            audience=options.audience,
            actor=options.actor_token is not None,
        )
    )
    try:
        response = yield from _exchanged(context, domain, options, form, deadline)
    except CustomTokenExchangeError as error:
        failure = error
    else:
        seconds = context.monotonic() - started
        yield from Emit(ExchangeFinished(domain=domain, seconds=seconds))
        return response
    seconds = context.monotonic() - started
    code, status = str(failure.code), failure.status
    yield from Emit(
        ExchangeFinished(domain=domain, seconds=seconds, code=code, status=status)
    )
    raise failure


def _exchanged(
    context: Context,
    domain: str,
    options: CustomTokenExchangeOptions,
    form: str,
    deadline: float,
) -> Flow[TokenExchangeResponse]:
    metadata = yield from metadata_for(context, domain, deadline)
    response = yield from _granted(context, metadata, options, form, deadline)
    return (yield from with_actor(context, metadata, options, response, deadline))


def _granted(
    context: Context,
    metadata: Metadata,
    options: CustomTokenExchangeOptions,
    form: str,
    deadline: float,
) -> Flow[TokenExchangeResponse]:
    refused = _refused_here(context, metadata.domain, form)
    if refused is not None:
        raise refused
    asked = _asked(context, options)

    def prepare() -> Request:
        return grant_request(
            metadata.token_endpoint,
            form,
            context.settings.authentication,
            metadata.issuer,
            context.clock,
            context.new_id,
        )

    def read(response: Response) -> TokenExchangeResponse | CustomTokenExchangeError:
        return read_token_response(response, asked, context.clock())

    effect: Effect = "reusable" if options.subject_token_reusable else "once"
    send = Send(prepare, deadline, TOKEN_RESPONSE_LIMIT)
    try:
        response = yield from attempted(context, metadata.domain, send, read, effect)
    except CustomTokenExchangeError as error:
        failure = error
    else:
        context.retries.reopen(metadata.domain)
        return response
    _remember(context, metadata.domain, form, failure)
    raise failure


def _asked(context: Context, options: CustomTokenExchangeOptions) -> Asked:
    secrets = [options.subject_token]
    if options.actor_token is not None:
        secrets.append(options.actor_token)
    if context.settings.client_secret is not None:
        secrets.append(context.settings.client_secret)
    credentials = context.settings.authentication.headers.get("Authorization")
    if credentials is not None:
        secrets.append(credentials.removeprefix("Basic "))
    if options.authorization_params:
        secrets.extend(options.authorization_params.values())
    return Asked(
        options.scope,
        options.subject_token_type,
        options.subject_token_reusable,
        secrets,
    )


def _refused_here(
    context: Context, domain: str, form: str
) -> CustomTokenExchangeError | None:
    """Give the error of a call that the policy says need not be sent."""
    policy, retries, now = context.settings.retry, context.retries, context.monotonic()
    if policy.remember_refusals_seconds > 0:
        key = refusal_key(context.process_key, domain, form)
        remembered = retries.remembered_refusal(key, now)
        if remembered is not None:
            return remembered
    return retries.still_closed(domain, now) if policy.fail_fast else None


def _remember(
    context: Context, domain: str, form: str, failure: CustomTokenExchangeError
) -> None:
    now = context.monotonic()
    context.retries.note_outcome(domain, failure, now)
    if context.settings.retry.remember_refusals_seconds > 0:
        key = refusal_key(context.process_key, domain, form)
        context.retries.remember_refusal(key, failure, now)
