"""Token exchange (RFC 8693): one token in, Auth0's tokens out.

An exchange is one conversation, read from top to bottom in ``run_exchange``: which tenant,
which endpoint, the grant, and what becomes of the answer.  Custom Token Exchange and
on-behalf-of exchange differ in their grants, and in who may come with an ID token.

With a token cache, the same conversation runs for one caller and its answer serves all who
ask for the same (``cached_exchange``).

The two public functions are not generators: they check what they were given at once, and
return the flow.  So in a crowd of callers bad input is refused without waiting for a turn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ...errors import ConfigurationError, CustomTokenExchangeError
from ...token_types import TokenType
from ...values import CustomTokenExchangeOptions, TokenExchangeResponse
from ..configuration import StoreOptions
from ..context import Call, Context
from ..effects import Emit, Flow
from ..wire.grants import (
    check_exchange,
    check_on_behalf_of,
    exchange_fields,
    exchange_form,
    normalise_scope,
    on_behalf_of_form,
)
from ..wire.replies import TokenRequestInfo
from .sending import Grant, request_tokens
from .tenant_documents import fetch_keys_beside, load_metadata, resolve_domain
from .verification import add_actor

if TYPE_CHECKING:
    from ...events import ExchangeFinished
    from ..wire.metadata import Metadata

T = TypeVar("T")

Finish: TypeAlias = Callable[["Metadata", TokenExchangeResponse], Flow[T]]
"""Goes on from the tokens to the result, as a part of the exchange."""


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
        store_options: handed to the domain resolver if the client has one.

    Returns:
        The tokens, with the acting party if there is one.

    Raises:
        InvalidInputError: an option breaks a rule; nothing was sent.
        RefusedError: Auth0, or your Action, said no.
        NotSentError: the request did not leave, so the same call may be made again.
        AmbiguousError: the answer was lost, and the subject token may be spent.
        CustomTokenExchangeError: the root of these and every other failure.
    """
    check_exchange(options)
    return _exchange_in_turn(context, options, store_options, context.monotonic())


def _exchange_in_turn(
    context: Context,
    options: CustomTokenExchangeOptions,
    store_options: StoreOptions | None,
    started: float,
) -> Flow[TokenExchangeResponse]:
    # Ten thousand who wait for their turn have not come further than this: a call that has
    # begun is one more object for each, which the garbage collector looks at.
    call = context.begin_call(store_options, started=started)
    return (yield from start_exchange(call, options))


def start_exchange(
    call: Call, options: CustomTokenExchangeOptions
) -> Flow[TokenExchangeResponse]:
    """Return the flow of a Custom Token Exchange whose *options* were checked.

    Raises:
        CustomTokenExchangeError: how the exchange failed.
    """
    if call.settings.token_cache is None:
        return exchange_options(call, options)
    # Here and not at the top, as below: only clients with a cache need it.
    from .cached_exchange import CacheableExchange, exchange_through_cache

    return exchange_through_cache(
        call,
        CacheableExchange(
            fields=exchange_fields(options),
            scope=options.scope,
            subject_tokens=(options.subject_token, options.actor_token),
            is_renewable=options.subject_token_reusable,
            run=partial(exchange_options, call, options),
        ),
    )


def get_token_on_behalf_of(
    context: Context,
    access_token: str,
    audience: str,
    scope: str | None = None,
    store_options: StoreOptions | None = None,
) -> Flow[TokenExchangeResponse]:
    """Exchange a user's access token for one of another API, on the user's behalf.

    For an API that was called with *access_token* and calls another API itself (Auth0:
    On-Behalf-Of Token Exchange, a profile of RFC 8693).  Verify the token before: Auth0
    checks it too, but its answer does not tell that the caller may be served.  The ``act`` claim of the
    new token names who acts, and who did before.

    Args:
        access_token: the incoming token, without its scheme; its audience must be the API
            that this client's application stands for.
        audience: the identifier of the API to call.
        scope: space-separated scopes; ``None`` for those of the client grant.
        store_options: handed to the domain resolver if the client has one.

    Returns:
        The access token; no ID token and no refresh token come with it.

    Raises:
        InvalidInputError: an argument breaks a rule; nothing was sent.
        ConfigurationError: the client is a public one, which may not act for others.
        RefusedError: Auth0 said no: the token, the scopes, or who would act.
        CustomTokenExchangeError: the root of these and every other failure.
    """
    check_acting(context, access_token, audience, scope)
    call = context.begin_call(store_options)
    return start_exchange_on_behalf_of(call, access_token, audience, scope)


def check_acting(
    context: Context, access_token: object, audience: object, scope: object
) -> None:
    """Refuse a client that may not act on behalf of a user, and arguments that break a rule.

    Raises:
        ConfigurationError: the client is a public one.
        InvalidInputError: an argument breaks a rule.
    """
    # Auth0 lets confidential clients alone act on behalf of a user.  Its refusal would name
    # the grant and not the reason.
    if context.settings.client_auth == "none":
        raise ConfigurationError(
            "client_auth must not be 'none': only a client that authenticates may act "
            "on behalf of a user",
            parameter="client_auth",
        )
    check_on_behalf_of(access_token, audience, scope)


def start_exchange_on_behalf_of(
    call: Call, access_token: str, audience: str, scope: str | None
) -> Flow[TokenExchangeResponse]:
    """Return the flow of an exchange whose arguments were checked, through the cache if any."""
    run = partial(_exchange_on_behalf_of, call, access_token, audience, scope)
    if call.settings.token_cache is None:
        return run()
    from .cached_exchange import CacheableExchange, exchange_through_cache

    return exchange_through_cache(
        call,
        CacheableExchange(
            # The first field keeps the keys of the two exchanges apart: the same token may go
            # through both.
            fields=("on behalf of", access_token, audience, normalise_scope(scope)),
            scope=scope,
            subject_tokens=(access_token,),
            is_renewable=True,
            run=run,
        ),
    )


def exchange_options(
    call: Call, options: CustomTokenExchangeOptions, domain: str | None = None
) -> Flow[TokenExchangeResponse]:
    """Return the flow of a Custom Token Exchange whose *options* were checked.

    Raises:
        CustomTokenExchangeError: how the exchange failed.
    """
    grant = make_exchange_grant(call.context, options)
    return run_exchange(call, grant, partial(_finish_exchange, call, options), domain)


def _finish_exchange(
    call: Call,
    options: CustomTokenExchangeOptions,
    metadata: Metadata,
    tokens: TokenExchangeResponse,
) -> Flow[TokenExchangeResponse]:
    # Most exchanges bring no ID token, and then nobody can be named in one.
    # Looked at here, as a generator for nothing costs as much as the look.
    if tokens.id_token is None and options.actor_token is None:
        return tokens
    return (yield from add_actor(call, options, metadata, tokens))


def _exchange_on_behalf_of(
    call: Call,
    access_token: str,
    audience: str,
    scope: str | None,
    domain: str | None = None,
) -> Flow[TokenExchangeResponse]:
    grant = _make_on_behalf_of_grant(call.context, access_token, audience, scope)
    return run_exchange(call, grant, _return_tokens, domain)


def run_exchange(
    call: Call, grant: Grant, finish: Finish[T], domain: str | None = None
) -> Flow[T]:
    """Return the flow of an exchange: resolve the domain, send the grant, finish.

    Args:
        call: the call.
        grant: the exchange.
        finish: goes on from the tokens to the result.
        domain: the tenant's, if it is resolved already.

    Raises:
        CustomTokenExchangeError: how the exchange, or *finish*, failed.
    """
    # Without a subscriber there is nothing to tell, and no frame to pay for telling it.
    if call.settings.on_event is None:
        return _send_and_finish(call, grant, finish, domain)
    return _send_and_report(call, grant, finish, domain)


def _send_and_report(
    call: Call, grant: Grant, finish: Finish[T], domain: str | None
) -> Flow[T]:
    # Here and not at the top: only clients with a subscriber need it.
    from ...events import ExchangeStarted

    if domain is None:
        domain = call.settings.domain or (yield from resolve_domain(call))
    # An iterator's step is atomic under the interpreter's lock, so threads get different
    # numbers without a lock of ours.
    call.exchange_id = next(call.context.exchange_ids)
    # A subscriber sees the end of each exchange that it saw begin, before the caller goes on:
    # it may have made a span the current one meanwhile, and must be able to take that back.
    try:
        yield from Emit(
            ExchangeStarted(
                exchange_id=call.exchange_id,
                domain=domain,
                subject_token_type=grant.subject_token_type,
                audience=grant.audience,
                actor=grant.has_actor,
            )
        )
        result = yield from _send_and_finish(call, grant, finish, domain)
        yield from Emit(_describe_end(call, domain))
    except CustomTokenExchangeError as error:
        yield from Emit(_describe_end(call, domain, str(error.code), error.status))
        raise
    except GeneratorExit:
        # No driver is there any more to perform an effect.
        raise
    except BaseException as error:
        # An interrupt, such as the cancellation of a task, or a bug: it has no code.
        yield from Emit(_describe_end(call, domain, type(error).__name__))
        raise
    return result


def make_exchange_grant(
    context: Context, options: CustomTokenExchangeOptions, *, needs_keys: bool = False
) -> Grant:
    """Return the grant of a Custom Token Exchange, whose *options* were checked.

    Args:
        context: the client's.
        options: whose token, of what type, for which API.
        needs_keys: whether the ID token is verified in any case.
    """
    # A refusal often quotes what it refuses.  These are what its words are searched for
    # before they become the message of an error.
    secrets = [options.subject_token, *context.settings.own_secrets]
    if options.actor_token is not None:
        secrets.append(options.actor_token)
    if options.authorization_params:
        # Extension parameters go to the Action, and a one-time password among them is as
        # secret as a token.
        secrets.extend(options.authorization_params.values())
    return Grant(
        partial(exchange_form, options),
        TokenRequestInfo(
            options.scope,
            options.subject_token_type,
            options.subject_token_reusable,
            secrets,
        ),
        "reusable" if options.subject_token_reusable else "once",
        options.subject_token_type,
        options.audience,
        has_actor=options.actor_token is not None,
        # The actor is read from the ID token.
        needs_keys=needs_keys or options.actor_token is not None,
    )


def _send_and_finish(
    call: Call, grant: Grant, finish: Finish[T], domain: str | None
) -> Flow[T]:
    if domain is None:
        domain = call.settings.domain or (yield from resolve_domain(call))
    # The metadata of a running application is fresh nearly always: one look here spares
    # a flow and a flight.
    metadata = call.context.metadata.find_fresh(domain, call.now)
    if metadata is None:
        metadata = yield from load_metadata(call, domain)
    if grant.needs_keys:
        yield from fetch_keys_beside(call, metadata)
    tokens = yield from request_tokens(call, metadata, grant)
    return (yield from finish(metadata, tokens))


def _describe_end(
    call: Call, domain: str, code: str | None = None, status: int | None = None
) -> ExchangeFinished:
    from ...events import ExchangeFinished

    return ExchangeFinished(
        exchange_id=call.exchange_id,
        domain=domain,
        seconds=call.context.monotonic() - call.started,
        code=code,
        status=status,
    )


def _make_on_behalf_of_grant(
    context: Context, access_token: str, audience: str, scope: str | None
) -> Grant:
    return Grant(
        partial(on_behalf_of_form, access_token, audience, scope),
        TokenRequestInfo(
            scope,
            TokenType.ACCESS_TOKEN,
            # No Action runs that could spend it: an access token is valid until it expires.
            True,
            [access_token, *context.settings.own_secrets],
            on_behalf_of=True,
        ),
        "reusable",
        TokenType.ACCESS_TOKEN.value,
        audience,
    )


def _return_tokens(
    _metadata: Metadata, tokens: TokenExchangeResponse
) -> Flow[TokenExchangeResponse]:
    yield from ()
    return tokens
