"""On behalf of a user: an access token that came in, for one of another API."""

from __future__ import annotations

from functools import partial

from ...errors import ConfigurationError
from ...token_types import TokenType
from ...values import TokenExchangeResponse
from ..configuration import StoreOptions
from ..context import Context
from ..effects import Flow
from ..wire.grants import check_on_behalf_of, normalise_scope, on_behalf_of_form
from ..wire.replies import TokenRequestInfo
from .cached import Cacheable, exchanged_or_cached, held
from .granting import Exchanged, Grant, exchanged, own_secrets


def get_token_on_behalf_of(
    context: Context,
    access_token: str,
    audience: str,
    scope: str | None = None,
    store_options: StoreOptions | None = None,
) -> Flow[TokenExchangeResponse]:
    """Exchange a user's access token for one of another API, on the user's behalf.

    For an API that was called with *access_token* and calls another in its turn (Auth0:
    On-Behalf-Of Token Exchange, a profile of RFC 8693).  Verify the token before: Auth0
    checks it too, but an answer is no reason to serve the caller.  The new token names in
    its ``act`` claim who acts, and who did before.

    Args:
        access_token: the token that came in, without its scheme; its audience must be the
            API that this client's application stands for.
        audience: the identifier of the API to call.
        scope: space-separated scopes; those of the client grant where it is ``None``.
        store_options: handed to the domain resolver, where the client has one.

    Returns:
        The access token; no ID token and no refresh token come with it.

    Raises:
        InvalidInputError: an argument breaks a rule; nothing was sent.
        ConfigurationError: the client is a public one, which may not act for others.
        RefusedError: Auth0 said no: the token, the scopes, or who would act.
        CustomTokenExchangeError: the root of these and every other failure.
    """
    if context.settings.client_auth == "none":
        raise ConfigurationError(
            "client_auth must not be 'none': acting for a user takes a client that "
            "proves itself",
            parameter="client_auth",
        )
    check_on_behalf_of(access_token, audience, scope)
    fields = ("on behalf of", access_token, audience, normalise_scope(scope))
    if context.settings.token_cache is not None:
        found = held(context, fields)
        if found is not None:
            return found
    grant = partial(_grant, context, access_token, audience, scope)
    if context.settings.token_cache is None:
        return (yield from exchanged(context, grant(), store_options, _issued))
    cacheable = Cacheable(
        fields=fields,
        scope=scope,
        tokens=(access_token,),
        renewable=True,
        grant=grant,
        complete=_issued,
    )
    return (yield from exchanged_or_cached(context, cacheable, store_options))


def _grant(
    context: Context, access_token: str, audience: str, scope: str | None
) -> Grant:
    return Grant(
        encode=partial(on_behalf_of_form, access_token, audience, scope),
        asked=TokenRequestInfo(
            scope,
            TokenType.ACCESS_TOKEN,
            # No Action runs that could spend it: an access token is good until it ends.
            True,
            [access_token, *own_secrets(context)],
            on_behalf_of=True,
        ),
        effect="reusable",
        subject_token_type=TokenType.ACCESS_TOKEN.value,
        audience=audience,
        actor=False,
    )


def _issued(issued: Exchanged) -> Flow[TokenExchangeResponse]:
    # Nothing more is to be asked of the world.
    yield from ()
    return issued.response
