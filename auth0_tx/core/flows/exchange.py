"""Custom Token Exchange (RFC 8693): one token in, Auth0's tokens out."""

from __future__ import annotations

from ...values import CustomTokenExchangeOptions, TokenExchangeResponse
from ..configuration import StoreOptions
from ..context import Context
from ..effects import Flow
from ..wire.grants import check_exchange, exchange_fields
from .cached import Cacheable, exchanged_or_cached, held
from .delegation import with_actor
from .granting import Exchanged, exchange_grant, exchanged


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
    fields: tuple[str | None, ...] = ()
    if context.settings.token_cache is not None:
        check_exchange(options)
        fields = exchange_fields(options)
        found = held(context, fields)
        if found is not None:
            return found

    def complete(issued: Exchanged) -> Flow[TokenExchangeResponse]:
        return (yield from with_actor(context, options, issued))

    if context.settings.token_cache is None:
        return (
            yield from exchanged(
                context, exchange_grant(context, options), store_options, complete
            )
        )
    cacheable = Cacheable(
        fields=fields,
        scope=options.scope,
        tokens=(options.subject_token, options.actor_token),
        renewable=options.subject_token_reusable,
        grant=lambda: exchange_grant(context, options),
        complete=complete,
    )
    return (yield from exchanged_or_cached(context, cacheable, store_options))
