"""Sending a request, and sending it again: what every conversation with a server shares.

A grant goes out in this order.

1. It is refused here, unsent, if the policy says so: because the same grant was refused a
   moment ago, or because the domain asked every caller to wait.
2. When a connection is free, it is built, unless less time is left than answers have lately
   taken (see ``answer_times``): then it is refused here, unsent, too.  The client proves
   itself anew for each attempt, as a server refuses an assertion that it has seen before
   (RFC 7523 section 3, rule 7).
3. A failure is judged.  A grant may spend its token, so once it may have taken effect only
   a *reusable* one is sent again.  ``delay_before_next`` has the whole table.
4. The retry is paid for from the client's budget, or the failure is final: under an outage
   retries stay in proportion to successes.
5. The outcome is remembered for the calls that follow.

A document is sent in steps 2 to 4 alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import attrs

from ...errors import (
    AmbiguousError,
    CustomTokenExchangeError,
    DiscoveryError,
    NotSentError,
    TransportError,
)
from ...errors import CustomTokenExchangeErrorCode as Code
from ...values import TokenExchangeResponse
from ..context import CachedDocument, Call, Context
from ..effects import Emit, Flow, Request, Response, Send, Sleep
from ..wire.answer_times import AnswerTime
from ..wire.grants import grant_request
from ..wire.hints import TOO_MANY_AT_ONCE
from ..wire.metadata import Metadata, make_conventional_metadata
from ..wire.replies import TOKEN_RESPONSE_LIMIT, TokenRequestInfo, read_token_response
from ..wire.retries import Repeatability, delay_before_next, refusal_key

T = TypeVar("T")

REFUTED: CachedDocument[Metadata] = CachedDocument(
    make_conventional_metadata("invalid"), float("-inf"), float("-inf")
)
"""Stands for metadata by convention that the tenant has refuted; it is older than anything."""


@attrs.define(eq=False, repr=False)
class Grant:
    """A grant that was checked, and not sent yet.

    Attributes:
        encode: returns its own form parameters.  They are encoded when they are sent, so
            that a call that waits for a connection holds none.
        request_info: what reading the answer needs to know.
        repeatability: whether it may take effect twice.
        subject_token_type: the type of the token to exchange, for events.
        audience: the API it is for, if it names one, for events.
        has_actor: whether an actor token goes with it, for events.
        needs_keys: whether the answer brings an ID token that must be verified.
    """

    encode: Callable[[], str] = attrs.field(repr=False)
    request_info: TokenRequestInfo
    repeatability: Repeatability
    subject_token_type: str = ""
    audience: str | None = None
    has_actor: bool = False
    needs_keys: bool = False


@attrs.define(eq=False, repr=False)
class _TokenRequest:
    """A grant on its way: how it is built, and how its answer is read.

    One object and not three closures, as each call on the wire has its own, and the garbage
    collector looks at all their parts.

    Attributes:
        call: the call.
        metadata: of the tenant that the grant goes to.
        grant: the grant.
        answer_time: how long the tenant's answers have lately taken.
        built_at: when it was last built, on the context's monotonic clock.
    """

    call: Call
    metadata: Metadata
    grant: Grant
    answer_time: AnswerTime
    built_at: float = 0.0

    def find_floor(self) -> float:
        """Return the seconds that it must have left to be sent."""
        # A call that comes at once has more than this left, however slow the answers are.
        return self.answer_time.find_floor((self.call.deadline - self.call.started) / 2)

    def prepare(self) -> Request:
        """Build the request.

        Called when a connection is free, and again for each attempt: RFC 7523 section 3 lets
        a server refuse an assertion whose jti it has seen.

        Raises:
            DiscoveryError: the tenant isn't what the convention says.
            NotSentError: less time is left than an answer takes.
        """
        call, metadata = self.call, self.metadata
        check_metadata(call.context, metadata)
        self.built_at = call.context.monotonic()
        latest = call.deadline - self.find_floor()
        if self.built_at > latest:
            raise NotSentError(
                "not sent: less time is left than the server's answers have lately taken",
                Code.TIMEOUT,
                retry_safe=True,
                hint=TOO_MANY_AT_ONCE,
            )
        # Connecting takes time as well, so the transport looks again.
        return build_request(
            call, metadata, metadata.token_endpoint, self.grant.encode(), latest
        )

    def read(
        self, response: Response
    ) -> TokenExchangeResponse | CustomTokenExchangeError:
        """Return the tokens, or the error that the answer means."""
        call = self.call
        self.answer_time.note(response.seconds, call.context.monotonic())
        if call.on_answer is not None:
            call.on_answer(response)
        return read_token_response(
            response, self.grant.request_info, call.context.clock
        )


def request_tokens(
    call: Call, metadata: Metadata, grant: Grant
) -> Flow[TokenExchangeResponse]:
    """Send a grant to the token endpoint until it is answered, or a failure says to stop.

    Raises:
        CustomTokenExchangeError: how the last attempt failed.
    """
    context, domain = call.context, metadata.domain
    # A caller that sends the same bad token in a loop gets the source IP blocked for every
    # user of the application (Auth0: Suspicious IP Throttling).
    refusal = _find_local_refusal(context, domain, grant)
    if refusal is not None:
        raise refusal

    answer_time = context.answer_times.get(domain)
    if answer_time is None:
        answer_time = context.answer_times.add_if_absent(domain, AnswerTime())
    request = _TokenRequest(call, metadata, grant, answer_time)
    # The deadline is the call's: waiting for a connection and each retry count towards it.
    send = Send(request.prepare, call.deadline, TOKEN_RESPONSE_LIMIT)
    try:
        tokens = yield from send_with_retries(
            call, domain, send, request.read, grant.repeatability, request.find_floor
        )
    except CustomTokenExchangeError as error:
        if isinstance(error, AmbiguousError) and error.code == Code.TIMEOUT:
            # Its answer would have taken longer than this.
            now = context.monotonic()
            answer_time.note(now - request.built_at, now)
        _remember_failure(context, domain, grant, error)
        raise
    # RFC 6749 section 5.1 only recommends ``expires_in``.  Read here alone, as reading a JWT
    # takes about as long as all the rest of an exchange.
    if tokens.expires_in is None:
        from ..jose.access_token import read_access_token

        ends = read_access_token(tokens.access_token).expires_at
        tokens = attrs.evolve(tokens, expires_at=None if ends is None else int(ends))
    # Most calls follow a success, and have nothing to take back.
    if not context.retries.is_calm:
        context.retries.reopen(domain)
    return tokens


def check_metadata(context: Context, metadata: Metadata) -> None:
    """Refuse to send on the word of metadata that was refuted since the call began.

    A call may wait long for a connection, or between two attempts.  Another one may have
    made discovery meanwhile.

    Raises:
        DiscoveryError: the tenant isn't what the convention says; nothing was sent.
    """
    # The metadata of nearly all calls is the tenant's own.
    if not metadata.is_verified and context.metadata.get(metadata.domain) is REFUTED:
        raise DiscoveryError(
            "not sent: the tenant's metadata is missing, or is not that of the configured domain"
        )


def build_request(
    call: Call, metadata: Metadata, url: str, form: str, latest: float = math.inf
) -> Request:
    """Return the request that sends an encoded *form* with the client's credentials.

    It is not sent later than *latest*, on the context's monotonic clock.
    """
    context = call.context
    return grant_request(
        url,
        form,
        call.settings.authentication,
        metadata.issuer,
        context.clock,
        context.new_id,
        latest,
    )


def send_with_retries(
    call: Call,
    domain: str,
    send: Send,
    read: Callable[[Response], T | CustomTokenExchangeError],
    repeatability: Repeatability,
    find_floor: Callable[[], float] | None = None,
) -> Flow[T]:
    """Send until an answer reads as a value, or a failure says to stop.

    Args:
        call: the call, whose deadline no wait passes.
        domain: whose server it is.
        send: the request; prepared anew for each attempt.
        read: returns a value, or the error that the answer means.
        repeatability: whether the request may take effect twice.
        find_floor: returns the seconds that it must have left to be sent; none if absent.

    Raises:
        CustomTokenExchangeError: how the last attempt failed.
    """
    context, attempt = call.context, 1
    acted: CustomTokenExchangeError | None = None
    while True:
        outcome: T | CustomTokenExchangeError
        try:
            response: Response = yield send
        # The second is raised here, and not by the server: see ``check_metadata``.
        except (TransportError, DiscoveryError) as error:
            outcome = error
        else:
            outcome = read(response)
        if not isinstance(outcome, CustomTokenExchangeError):
            if not context.retries.is_calm:
                context.retries.record_success()
            return outcome
        # The caller may do what this loop may: send a reusable grant again.
        if isinstance(outcome, AmbiguousError) and repeatability == "reusable":
            outcome = outcome.evolve(retry_safe=True)
        if _may_have_taken_effect(outcome):
            acted = outcome
        # A wait after which it would not be sent is not worth waiting.
        ends = send.deadline if find_floor is None else send.deadline - find_floor()
        delay = delay_before_next(
            call.settings.retry,
            outcome,
            attempt=attempt,
            repeatability=repeatability,
            remaining=ends - context.monotonic(),
            random=context.random(),
        )
        # The wait is decided before it is paid for: a retry that is not made costs nothing.
        if delay is None or not context.retries.pay_for_retry(outcome):
            if acted is not None and _is_unsent(outcome):
                # To say "not sent" would hide an earlier attempt that may have succeeded.
                outcome = acted
            try:
                raise outcome
            finally:
                # Its traceback keeps this frame: a frame that kept it too would hold the
                # tokens in memory until the garbage collector comes.
                del outcome, acted
        if call.settings.on_event is not None:
            from ...events import ExchangeRetried

            yield from Emit(
                ExchangeRetried(
                    exchange_id=call.exchange_id,
                    domain=domain,
                    attempt=attempt,
                    code=str(outcome.code),
                    status=outcome.status,
                    delay=delay,
                )
            )
        yield from Sleep(delay)
        attempt += 1


def _may_have_taken_effect(error: CustomTokenExchangeError) -> bool:
    """Return whether the server may have done what was asked, although it failed."""
    is_fault = error.status is not None and error.status >= 500
    return isinstance(error, AmbiguousError) or error.tokens_issued or is_fault


def _is_unsent(error: CustomTokenExchangeError) -> bool:
    """Return whether the last attempt was not sent; a document's ``DiscoveryError`` has a status."""
    is_refused_here = isinstance(error, DiscoveryError) and error.status is None
    return isinstance(error, NotSentError) or is_refused_here


def _find_local_refusal(
    context: Context, domain: str, grant: Grant
) -> CustomTokenExchangeError | None:
    """Return the error of a grant that the policy says need not be sent, or ``None``."""
    policy, retries = context.settings.retry, context.retries
    if policy.remember_refusals_seconds > 0:
        # Hashed with a key of this process, so that what is remembered reveals no token.
        key = refusal_key(context.process_key, domain, grant.encode())
        refusal = retries.find_refusal(key, context.monotonic())
        if refusal is not None:
            return refusal
    return (
        retries.find_closure(domain, context.monotonic()) if policy.fail_fast else None
    )


def _remember_failure(
    context: Context, domain: str, grant: Grant, error: CustomTokenExchangeError
) -> None:
    now = context.monotonic()
    context.retries.record_failure(domain, error, now, context.random())
    if context.settings.retry.remember_refusals_seconds > 0:
        key = refusal_key(context.process_key, domain, grant.encode())
        context.retries.remember_refusal(key, error, now)
