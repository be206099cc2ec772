"""The access token that requests to an API carry: the current one, and how to get the next.

An object that attaches a token to requests (``auth0_tx.calling``) asks here for the token, and
again if the API refused it.  The tokens of an exchange, or of one on behalf of a user, are kept
by that object:

1. A token with time left is attached as it is, without a flow.
2. Shortly before it expires, one caller exchanges again.  Meanwhile all others get the old
   token, and so does the caller itself if the exchange fails.
3. After a 401 one caller exchanges again for all who were refused.  A request that was sent
   before the token was replaced gets the new one, and no further exchange.
4. An API that refuses every token does not cost an exchange with each request: see
   ``RenewalPauses``.  In between, the refused token is the answer, and the 401 stands.
5. A subject token that may be good for one use is sent once.  After that only a function that
   returns fresh options can go on.  A refusal is remembered too: Auth0 blocks a source address
   that goes on sending tokens which it has refused.

A flight is shared by the threads of a process, or by the tasks of one loop.  Loops in several
threads take turns with a *holder*: whoever stores itself under the one key.

The tokens of a session are not kept here.  The session is asked for each request, because it may
have ended, or have been refreshed elsewhere.
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Protocol

import attrs

from ...errors import (
    Auth0Error,
    BlockedError,
    ClientClosedError,
    InvalidInputError,
    InvalidResponseError,
    NotSentError,
    RateLimitError,
)
from ...errors import CustomTokenExchangeErrorCode as Code
from ...secret import Unpicklable, to_secret
from ...values import CustomTokenExchangeOptions, TokenExchangeResponse
from ..cache.tokens import cache_key
from ..configuration import StoreOptions
from ..context import Call, Context
from ..effects import Flow, Invoke, Share, Sleep
from ..wire.grants import check_exchange, exchange_fields, normalise_scope
from .access_tokens import find_or_renew
from .exchange import check_acting, start_exchange, start_exchange_on_behalf_of
from .reexchange import SubjectTokenSupplier

_RENEWAL_MARGIN = 30.0
"""Seconds before its end at which a token is replaced, so that it does not expire on its way."""

_RENEWED_PART = 0.2
"""The part of a short life that the margin may take."""

_REST = 5.0
"""Seconds after a failure in which a token that has time left is used without another try."""

_REFUSAL_MEMORY = 30.0
"""Seconds for which a refused subject token is not sent again."""

_LONGEST_WAIT = 300.0
"""Seconds for which a server's ``Retry-After`` is kept: it may say a day."""

_LOOK_AGAIN = 0.02
"""Seconds between two looks of a loop that waits for another loop's exchange."""

_TOO_LATE = "another request was still exchanging for the same API at the deadline"


@attrs.frozen(eq=False)
class ApiToken(Unpicklable):
    """An access token to attach.

    Its age is measured by two clocks, and the greater one counts.  The system's clock may be
    set back, and the monotonic one may stand still while the machine sleeps.

    Attributes:
        access_token: the token.
        token_type: ``Bearer``.
        lifetime: seconds that it lasts from when it was issued; infinity if nobody knows.
        issued_at: when it was issued, in epoch seconds.
        started: the same moment on the monotonic clock.
    """

    access_token: str = attrs.field(converter=to_secret, repr=False)
    token_type: str = "Bearer"
    lifetime: float = inf
    issued_at: float = 0.0
    started: float = 0.0

    def has_time_left(self, context: Context, margin: float = 0.0) -> bool:
        """Return whether it lasts for *margin* seconds, or a part of its life, from now."""
        if self.lifetime == inf:
            return True
        margin = min(margin, self.lifetime * _RENEWED_PART)
        age = max(context.clock() - self.issued_at, context.monotonic() - self.started)
        return age < self.lifetime - margin


class ApiTokens(Protocol):
    """The tokens for one API, of an exchange, a session or a user."""

    def find_current(self, context: Context) -> ApiToken | None:
        """Return the token to attach, if that takes no flow."""
        ...

    def obtain(self, context: Context, refused: str | None = None) -> Flow[ApiToken]:
        """Return the token to attach, exchanging for it if need be.

        Args:
            context: the client's.
            refused: the token that the API refused; it is returned if there is no other.

        Raises:
            CustomTokenExchangeError: how the exchange failed.
            LoginRequiredError: the session has ended, or cannot renew its tokens.
        """
        ...

    def start_over(self) -> None:
        """Forget, in a forked child, what goes on in the parent."""
        ...


@attrs.frozen(eq=False)
class SessionTokens(Unpicklable):
    """The tokens of a login session, which keeps and renews them.

    Attributes:
        store_options: the request whose session it is, and its response.
        audience: the API; ``None`` for the one that the login was for.
        scope: the scope, if any.
        supplier: returns the options of another exchange for the same user.
    """

    store_options: StoreOptions | None = attrs.field(repr=False)
    audience: str | None
    scope: str | None
    supplier: SubjectTokenSupplier | None = attrs.field(repr=False)

    def start_over(self) -> None:
        """Do nothing: nothing is kept."""

    def find_current(self, context: Context) -> ApiToken | None:
        """Return ``None``: the session may have ended since the last request."""
        return None

    def obtain(self, context: Context, refused: str | None = None) -> Flow[ApiToken]:
        """Return the session's token, renewed if need be.

        Raises:
            LoginRequiredError: the session has ended, or cannot renew its tokens.
            CustomTokenExchangeError: the token could not be renewed this time.
        """
        call = context.begin_call(self.store_options)
        call.refused_token = refused
        _, token_set = yield from find_or_renew(
            call, self.audience, self.scope, self.supplier
        )
        return ApiToken(token_set["access_token"])


class ExchangeSource(Protocol):
    """An exchange that can be run again, or not."""

    @property
    def store_options(self) -> StoreOptions | None:
        """Return what is handed to the domain resolver."""
        ...

    @property
    def is_one_use(self) -> bool:
        """Return whether there is one token, which may be good for one use."""
        ...

    @property
    def is_always_fresh(self) -> bool:
        """Return whether each run exchanges another token."""
        ...

    def make_key(self, context: Context) -> bytes:
        """Return a hash that is the same for the same exchange of the same client."""
        ...

    def run(self, call: Call) -> Flow[TokenExchangeResponse]:
        """Exchange.

        Raises:
            CustomTokenExchangeError: how it failed.
        """
        ...


@attrs.frozen(eq=False)
class OptionsSource(Unpicklable):
    """Custom Token Exchange, by options or by a function that returns fresh ones."""

    options: CustomTokenExchangeOptions | SubjectTokenSupplier = attrs.field(repr=False)
    store_options: StoreOptions | None = attrs.field(repr=False)

    @property
    def is_one_use(self) -> bool:
        """Return whether there is one token, which may be good for one use."""
        options = self.options
        return (
            isinstance(options, CustomTokenExchangeOptions)
            and not options.subject_token_reusable
        )

    @property
    def is_always_fresh(self) -> bool:
        """Return whether each run exchanges another token."""
        return not isinstance(self.options, CustomTokenExchangeOptions)

    def make_key(self, context: Context) -> bytes:
        """Return a hash that is the same for the same exchange of the same client."""
        if isinstance(self.options, CustomTokenExchangeOptions):
            return cache_key(context.process_key, exchange_fields(self.options))
        return cache_key(context.process_key, ("function", context.new_id()))

    def run(self, call: Call) -> Flow[TokenExchangeResponse]:
        """Exchange what the options name, or the function returns.

        Raises:
            CustomTokenExchangeError: how it failed.
        """
        if isinstance(self.options, CustomTokenExchangeOptions):
            return (yield from start_exchange(call, self.options))
        options = yield from Invoke(self.options)
        # It is the application's code, and runs where nobody sees its type checked.
        if not isinstance(options, CustomTokenExchangeOptions):
            raise InvalidInputError(
                "options must return CustomTokenExchangeOptions, if it is a function",
                parameter="options",
            )
        check_exchange(options)
        # The function took time: its exchange has the client's whole timeout for itself.
        own = call.context.begin_call(call.store_options)
        own.refused_token = call.refused_token
        return (yield from start_exchange(own, options))


@attrs.frozen(eq=False)
class OnBehalfOfSource(Unpicklable):
    """On-Behalf-Of Token Exchange.  The user's token is not spent by it."""

    access_token: str = attrs.field(converter=to_secret, repr=False)
    audience: str
    scope: str | None
    store_options: StoreOptions | None = attrs.field(repr=False)

    @property
    def is_one_use(self) -> bool:
        """Return ``False``."""
        return False

    @property
    def is_always_fresh(self) -> bool:
        """Return ``False``."""
        return False

    def make_key(self, context: Context) -> bytes:
        """Return a hash that is the same for the same exchange of the same client."""
        scope = normalise_scope(self.scope)
        fields = ("on behalf of", self.access_token, self.audience, scope)
        return cache_key(context.process_key, fields)

    def run(self, call: Call) -> Flow[TokenExchangeResponse]:
        """Exchange the user's token.

        Raises:
            CustomTokenExchangeError: how it failed.
        """
        return (
            yield from start_exchange_on_behalf_of(
                call, self.access_token, self.audience, self.scope
            )
        )


@attrs.define(eq=False)
class ExchangedTokens(Unpicklable):
    """The tokens of an exchange: the current one, and what became of the last try."""

    source: ExchangeSource
    _current: ApiToken | None = attrs.field(init=False, default=None)
    _key: bytes | None = attrs.field(init=False, default=None, repr=False)
    # Whoever exchanges: there is one key, so that taking the place is one step.
    _holders: dict[None, object] = attrs.field(init=False, factory=dict)
    _is_spent: bool = attrs.field(init=False, default=False)
    _failure: Auth0Error | None = attrs.field(init=False, default=None)
    _retry_at: float = attrs.field(init=False, default=-inf)
    _rests_until: float = attrs.field(init=False, default=-inf)

    def start_over(self) -> None:
        """Forget, in a forked child, who exchanges in the parent."""
        self._holders = {}

    def find_current(
        self, context: Context, refused: str | None = None
    ) -> ApiToken | None:
        """Return the current token if it needs no replacing, and is not *refused*."""
        current = self._current
        if current is None or current.access_token == refused:
            return None
        # There is nothing to replace it with, so it is good to its end.
        margin = 0.0 if self._is_spent else _RENEWAL_MARGIN
        return current if current.has_time_left(context, margin) else None

    def obtain(self, context: Context, refused: str | None = None) -> Flow[ApiToken]:
        """Return the token to attach, exchanging for it if need be.

        Raises:
            InvalidInputError: the one token that there is was exchanged already.
            CustomTokenExchangeError: how the exchange failed.
        """
        current = self.find_current(context, refused)
        if current is not None:
            return current
        current = self._current
        # Somebody replaces it, and it has not ended yet: no need to wait for that.
        if self._holders and self._has_time_left(context, current, refused):
            assert current is not None
            return current
        call = context.begin_call(self.source.store_options)
        call.refused_token = refused
        outcome: ApiToken | Auth0Error = yield from Share(
            ("api token", self),
            partial(self._replace_in_turn, call),
            call.deadline,
            _TOO_LATE,
            "send",
            outlives_callers=self.source.is_one_use or self.source.is_always_fresh,
        )
        if isinstance(outcome, Auth0Error):
            # A copy, as a raised error collects the frames of each caller it passes.
            raise outcome.evolve()
        return outcome

    def _has_time_left(
        self, context: Context, token: ApiToken | None, refused: str | None
    ) -> bool:
        return (
            token is not None
            and token.access_token != refused
            and token.has_time_left(context)
        )

    def _replace_in_turn(self, call: Call) -> Flow[ApiToken | Auth0Error]:
        """Replace the token for all who ask; an error is an outcome to share."""
        context, owner = call.context, object()
        while self._holders.setdefault(None, owner) is not owner:
            if context.monotonic() >= call.deadline:
                return NotSentError(_TOO_LATE, Code.TIMEOUT, retry_safe=True)
            yield from Sleep(_LOOK_AGAIN)
        try:
            # Another loop, or whoever held the place before, may have replaced it.
            current = self.find_current(context, call.refused_token)
            if current is not None:
                return current
            return (yield from self._replace(call))
        finally:
            if self._holders.get(None) is owner:
                del self._holders[None]

    def _replace(self, call: Call) -> Flow[ApiToken | Auth0Error]:
        context, current = call.context, self._current
        now, refused = context.monotonic(), call.refused_token
        is_refused = current is not None and current.access_token == refused
        usable = current if self._has_time_left(context, current, refused) else None
        if self._key is None:
            self._key = self.source.make_key(context)
        if is_refused and current is not None:
            pauses = context.renewal_pauses
            if self._is_spent or not pauses.may_renew(self._key, now):
                return current
        if usable is not None and now < self._rests_until:
            return usable
        if self._failure is not None and now < self._retry_at:
            return usable or self._failure
        if self._is_spent:
            return usable or InvalidInputError(
                "the subject token was exchanged already, and may be good for one use",
                parameter="options",
                hint="give a function that returns fresh options, or set "
                "subject_token_reusable if your Action accepts the token again.",
            )
        # Before it is sent: an interrupt, or a loop that ends, leaves no other trace.
        self._is_spent = self.source.is_one_use
        try:
            response = yield from self.source.run(call)
            token = _make_token(context, response)
        except Auth0Error as error:
            # Without its traceback, whose frames hold tokens.
            self._note_failure(context, error.with_traceback(None))
            return usable or error
        self._failure = None
        self._current = token
        if is_refused:
            context.renewal_pauses.note_renewal(self._key, context.monotonic())
        return token

    def _note_failure(self, context: Context, error: Auth0Error) -> None:
        now = context.monotonic()
        was_sent = _may_have_been_sent(error)
        if not was_sent:
            self._is_spent = False
        self._failure = error
        self._rests_until = now + _REST
        self._retry_at = now + self._find_pause(error, was_sent)

    def _find_pause(self, error: Auth0Error, was_sent: bool) -> float:
        """Return the seconds for which a failure is the answer to all who ask."""
        if self.source.is_one_use and was_sent:
            return inf
        if error.retry_after is not None:
            return min(error.retry_after, _LONGEST_WAIT)
        if isinstance(error, (RateLimitError, BlockedError)):
            return _REFUSAL_MEMORY
        if error.retry_safe or self.source.is_always_fresh or not was_sent:
            return 0.0
        return _REFUSAL_MEMORY


def check_options(
    options: CustomTokenExchangeOptions | SubjectTokenSupplier,
) -> None:
    """Refuse options that break a rule, unless a function is going to return them.

    Raises:
        InvalidInputError: an option breaks a rule.
    """
    if not callable(options):
        check_exchange(options)


def make_on_behalf_of_source(
    context: Context,
    access_token: str,
    audience: str,
    scope: str | None,
    store_options: StoreOptions | None,
) -> OnBehalfOfSource:
    """Return the source of tokens on behalf of the user of *access_token*.

    Raises:
        ConfigurationError: the client is a public one.
        InvalidInputError: an argument breaks a rule.
    """
    check_acting(context, access_token, audience, scope)
    return OnBehalfOfSource(access_token, audience, scope, store_options)


def _may_have_been_sent(error: Auth0Error) -> bool:
    """Return whether a subject token may have been spent by an exchange that failed."""
    return not (
        error.retry_safe
        or error.phase in ("validate", "discover")
        or isinstance(error, (NotSentError, ClientClosedError))
    )


def _make_token(context: Context, response: TokenExchangeResponse) -> ApiToken:
    # A token of type "N_A" isn't an access token (RFC 8693 section 2.2.1): an API that got it
    # as one could use it itself, as a session transfer token's holder can.
    if response.token_type.lower() != "bearer":
        raise InvalidResponseError(
            f"the server issued a token of the type {response.token_type!r}, which cannot "
            "be sent to an API as a bearer token",
            tokens_issued=True,
        )
    now, lifetime = context.clock(), inf
    if response.expires_in is not None:
        lifetime = response.expires_in
    elif response.expires_at is not None and response.expires_at > now:
        # One that ended before it came says that our clock is ahead: then a 401 tells.
        lifetime = response.expires_at - now
    return ApiToken(
        response.access_token,
        response.token_type,
        lifetime,
        now,
        context.monotonic(),
    )
