"""Sending a grant: what every conversation with the token endpoint has in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import attrs

from ...errors import CustomTokenExchangeError
from ...events import ExchangeFinished, ExchangeStarted
from ...values import CustomTokenExchangeOptions, TokenExchangeResponse
from ..configuration import StoreOptions
from ..context import Context
from ..effects import Emit, Flow, Request, Response, Send, Turn
from ..wire.grants import check_exchange, exchange_form, grant_request
from ..wire.metadata import Metadata
from ..wire.replies import TOKEN_RESPONSE_LIMIT, TokenRequestInfo, read_token_response
from ..wire.retries import Repeatability, refusal_key
from .attempts import attempted
from .discovery import domain_for, metadata_for

T = TypeVar("T")


@attrs.frozen(eq=False)
class Exchanged:
    """What an exchange has brought so far.

    Attributes:
        metadata: the tenant's.
        response: the tokens.
        deadline: the call's, on the context's monotonic clock.
    """

    metadata: Metadata
    response: TokenExchangeResponse
    deadline: float


@attrs.frozen(eq=False)
class Grant:
    """One exchange that was checked, and not sent yet.

    Attributes:
        encode: gives its own form parameters.
        asked: what reading the answer needs to know.
        effect: whether it may take effect twice.
        subject_token_type: the type of the token to exchange.
        audience: the API asked for, if one was.
        actor: whether an actor token goes with it.
    """

    encode: Callable[[], str]
    asked: TokenRequestInfo
    effect: Repeatability
    subject_token_type: str
    audience: str | None
    actor: bool


def exchanged(
    context: Context,
    grant: Grant,
    store_options: StoreOptions | None,
    complete: Callable[[Exchanged], Flow[T]],
) -> Flow[T]:
    """Exchange a token, and tell of it; what becomes of the answer is the caller's.

    Args:
        context: the client's.
        grant: the exchange.
        store_options: handed to the domain resolver.
        complete: goes on from the tokens to the result, as a part of the exchange.

    Raises:
        CustomTokenExchangeError: how the exchange, or *complete*, failed.
    """
    started = context.monotonic()
    yield from Turn(started + context.settings.timeout)
    domain = yield from domain_for(context, store_options)
    return (yield from sent(context, domain, grant, started, complete))


def exchange_grant(context: Context, options: CustomTokenExchangeOptions) -> Grant:
    """Make the grant of a Custom Token Exchange.

    Raises:
        InvalidInputError: an option breaks a rule.
    """
    check_exchange(options)
    return Grant(
        encode=partial(exchange_form, options),
        asked=_asked(context, options),
        effect="reusable" if options.subject_token_reusable else "once",
        subject_token_type=options.subject_token_type,
        audience=options.audience,
        actor=options.actor_token is not None,
    )


def sent(
    context: Context,
    domain: str,
    grant: Grant,
    started: float,
    complete: Callable[[Exchanged], Flow[T]],
) -> Flow[T]:
    """Send a grant that is not to be had otherwise, and tell of it.

    Args:
        context: the client's.
        domain: whose server it is for.
        grant: the grant.
        started: when the call was made, on the context's monotonic clock.
        complete: goes on from the tokens to the result, as a part of the exchange.

    Raises:
        CustomTokenExchangeError: how the exchange, or *complete*, failed.
    """
    if context.settings.on_event is None:
        return (yield from _sent(context, domain, grant, started, complete, 0))
    number = next(context.exchange_ids)
    yield from Emit(
        ExchangeStarted(
            exchange_id=number,
            domain=domain,
            subject_token_type=grant.subject_token_type,
            audience=grant.audience,
            actor=grant.actor,
        )
    )
    try:
        result = yield from _sent(context, domain, grant, started, complete, number)
    except CustomTokenExchangeError as error:
        failure = error
    else:
        seconds = context.monotonic() - started
        yield from Emit(
            ExchangeFinished(exchange_id=number, domain=domain, seconds=seconds)
        )
        return result
    seconds = context.monotonic() - started
    code, status = str(failure.code), failure.status
    yield from Emit(
        ExchangeFinished(
            exchange_id=number,
            domain=domain,
            seconds=seconds,
            code=code,
            status=status,
        )
    )
    raise failure


def _sent(
    context: Context,
    domain: str,
    grant: Grant,
    started: float,
    complete: Callable[[Exchanged], Flow[T]],
    exchange_id: int,
) -> Flow[T]:
    deadline, form = started + context.settings.timeout, grant.encode()
    metadata = yield from metadata_for(context, domain, deadline)
    response = yield from granted(
        context, metadata, form, grant.asked, deadline, grant.effect, exchange_id
    )
    return (yield from complete(Exchanged(metadata, response, deadline)))


def granted(
    context: Context,
    metadata: Metadata,
    form: str,
    asked: TokenRequestInfo,
    deadline: float,
    effect: Repeatability,
    exchange_id: int = 0,
) -> Flow[TokenExchangeResponse]:
    """Send a grant until it is answered, or a failure says to stop.

    Args:
        context: the client's.
        metadata: the tenant's.
        form: the grant's own parameters, encoded.
        asked: what reading the answer needs to know.
        deadline: when to give up, on the context's monotonic clock.
        effect: whether the grant may take effect twice.
        exchange_id: what a subscriber knows the exchange by.

    Raises:
        CustomTokenExchangeError: how the last attempt failed.
    """
    refused = _refused_here(context, metadata.domain, form)
    if refused is not None:
        raise refused

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

    send = Send(prepare, deadline, TOKEN_RESPONSE_LIMIT)
    try:
        response = yield from attempted(
            context, metadata.domain, send, read, effect, exchange_id
        )
    except CustomTokenExchangeError as error:
        failure = error
    else:
        context.retries.reopen(metadata.domain)
        return response
    _remember(context, metadata.domain, form, failure)
    raise failure


def own_secrets(context: Context) -> list[str]:
    """Give the client's own secrets, which an answer may echo and an error must not."""
    secrets = []
    if context.settings.client_secret is not None:
        secrets.append(context.settings.client_secret)
    credentials = context.settings.authentication.headers.get("Authorization")
    if credentials is not None:
        secrets.append(credentials.removeprefix("Basic "))
    return secrets


def _asked(context: Context, options: CustomTokenExchangeOptions) -> TokenRequestInfo:
    secrets = [options.subject_token, *own_secrets(context)]
    if options.actor_token is not None:
        secrets.append(options.actor_token)
    if options.authorization_params:
        secrets.extend(options.authorization_params.values())
    return TokenRequestInfo(
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
        remembered = retries.find_refusal(key, now)
        if remembered is not None:
            return remembered
    return retries.find_closure(domain, now) if policy.fail_fast else None


def _remember(
    context: Context, domain: str, form: str, failure: CustomTokenExchangeError
) -> None:
    now = context.monotonic()
    context.retries.record_failure(domain, failure, now)
    if context.settings.retry.remember_refusals_seconds > 0:
        key = refusal_key(context.process_key, domain, form)
        context.retries.remember_refusal(key, failure, now)
