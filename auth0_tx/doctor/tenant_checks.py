"""What the tenant answers: its documents, its clock, and one exchange."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ..core.configuration import Settings
from ..core.effects import COMMON_HEADERS, Request, Response, Send
from ..core.jose.keys import read_jwks
from ..core.wire.grants import check_exchange
from ..core.wire.metadata import discovery_url, read_document, read_metadata
from ..errors import (
    BlockedError,
    ConfigurationError,
    CustomTokenExchangeError,
    InvalidInputError,
    MfaRequiredError,
    RateLimitError,
    RefusedError,
    SigningKeyError,
)
from ..secret import conceal
from ..shells.requests_transport import RequestsTransport
from ..shells.tls import Trust
from ..values import CustomTokenExchangeOptions, RetryPolicy
from .verdict import Verdict, skip

_LARGEST = 524_288

# ID tokens are checked with a leeway of 60 s, and a client assertion lives for 60 s.
_SKEW_NOTED, _SKEW_FATAL = 30.0, 300.0

_DISCOVERY_ADVICE = "check that the domain is your tenant's, and which server answers"

# No profile has this type, so the tenant refuses it before any Action runs, and no token is
# used up.
_PROBE = CustomTokenExchangeOptions(
    subject_token="auth0-tx-doctor",  # noqa: S106
    subject_token_type="urn:auth0-tx:doctor:probe",  # noqa: S106
)


def check_documents(
    settings: Settings, domain: str, seconds: float, clock: Callable[[], float]
) -> Iterator[Verdict]:
    """Check the discovery document, the signing keys, and the tenant's clock."""
    response = _fetch(settings, discovery_url(domain), seconds)
    received_at = clock()
    if isinstance(response, str):
        yield Verdict("discovery", "failed", response, _DISCOVERY_ADVICE)
        yield from skip(("keys", "clock"), "there is no discovery document")
        return
    document, rule = read_document(response)
    metadata = None
    if rule is None:
        metadata, rule = read_metadata(document, domain)
    if metadata is None:
        status = "" if response.status == 200 else f" (HTTP {response.status})"
        yield Verdict("discovery", "failed", f"{rule}{status}", _DISCOVERY_ADVICE)
        yield from skip(("keys", "clock"), "the discovery document is not valid")
        return
    yield Verdict("discovery", "ok", f"the issuer is {metadata.issuer}")
    yield _judge_keys(_fetch(settings, metadata.jwks_uri, seconds))
    yield _judge_clock(response.header("date"), received_at)


def _fetch(settings: Settings, url: str, seconds: float) -> Response | str:
    """Return the response to a request as the client would send it, or what went wrong."""
    deadline = time.monotonic() + seconds
    try:
        trust = Trust(settings.verify, settings.trust_env)
    except ConfigurationError as error:
        return error.message
    transport = RequestsTransport(
        None, trust, settings.proxy, settings.trust_env, max_connections=1
    )
    try:
        return transport.send(
            Send(lambda: Request("GET", url, COMMON_HEADERS), deadline, _LARGEST)
        )
    except CustomTokenExchangeError as error:
        return error.message
    finally:
        transport.close()


def _judge_keys(response: Response | str) -> Verdict:
    advice = "without signing keys no ID token can be verified"
    if isinstance(response, str):
        return Verdict("keys", "failed", response, advice)
    document, rule = read_document(response)
    if rule is not None:
        return Verdict("keys", "failed", rule, advice)
    try:
        keys = read_jwks(document)
    except SigningKeyError as error:
        return Verdict("keys", "failed", error.message, advice)
    if not len(keys):
        return Verdict("keys", "failed", "the key set has no usable key", advice)
    return Verdict("keys", "ok", f"{len(keys)} usable")


def _judge_clock(date: str | None, now: float) -> Verdict:
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        found = "the tenant's response has no valid Date header"
        return Verdict("clock", "skipped", found)
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    skew = (datetime.fromtimestamp(now, UTC) - theirs).total_seconds()
    direction = "ahead of" if skew > 0 else "behind"
    found = f"{abs(skew):.0f} s {direction} the tenant's clock"
    if abs(skew) > _SKEW_FATAL:
        return Verdict(
            "clock",
            "failed",
            found,
            "set this machine's clock (NTP): client assertions and ID tokens are checked "
            "against it",
        )
    if abs(skew) > _SKEW_NOTED:
        advice = "check why NTP does not correct this machine's clock"
        return Verdict("clock", "warning", found, advice)
    return Verdict("clock", "ok", f"within {_SKEW_NOTED:g} s of the tenant's clock")


def check_application(
    keywords: Mapping[str, Any],
    subject_token: str | None,
    subject_token_type: str | None,
    probe: bool,
) -> Iterator[Verdict]:
    """Check the client's credentials, and the profile of the subject token type."""
    if subject_token is not None and subject_token_type is not None:
        options = CustomTokenExchangeOptions(
            subject_token=subject_token, subject_token_type=subject_token_type
        )
        error = _exchange(keywords, options)
        yield _judge_credentials(error)
        yield _judge_exchange(error)
        return
    if probe:
        yield _judge_credentials(_exchange(keywords, _PROBE))
    else:
        found = "nothing was sent: the probe is off"
        yield Verdict("client authentication", "skipped", found)
    yield _check_token_type(subject_token_type)


def _exchange(
    keywords: Mapping[str, Any], options: CustomTokenExchangeOptions
) -> CustomTokenExchangeError | None:
    """Exchange with a client of the doctor's own; return the error, if there is one."""
    from ..client import ServerClient

    # Sessions have no part in an exchange, and their stores may be those of async clients,
    # which the blocking client refuses.
    unused = ("session", "state_store", "secret", "legacy_secret")
    # One attempt, as retries would only delay the verdict; no cache, as a hit proves
    # nothing; no events, as the application would count this exchange among its own.
    own = {"retry": RetryPolicy(attempts=1), "token_cache": None, "on_event": None}
    given = {name: value for name, value in keywords.items() if name not in unused}
    with ServerClient(**conceal({**given, **own})) as client:
        try:
            client.custom_token_exchange(options)
        except CustomTokenExchangeError as error:
            return error
    return None


def _judge_credentials(error: CustomTokenExchangeError | None) -> Verdict:
    name = "client authentication"
    if isinstance(error, RateLimitError | BlockedError):
        # A throttled request says nothing about the credentials.
        found = f"not known: the tenant answered {error.code}"
        return Verdict(name, "warning", found, error.hint or "")
    if isinstance(error, RefusedError):
        if error.code == "invalid_client" or error.status == 401:
            found = "the tenant refuses the client's credentials"
            return Verdict(name, "failed", found, error.hint or "")
        if error.code == "unauthorized_client":
            found = "accepted, but the application may not exchange tokens"
            return Verdict(name, "warning", found, error.hint or "")
        # Any other refusal concerns the token, which Auth0 looks at after the client.
    elif error is not None:
        return Verdict(name, "failed", error.message, error.hint or "")
    return Verdict(name, "ok", "the tenant accepts the client's credentials")


def _judge_exchange(error: CustomTokenExchangeError | None) -> Verdict:
    if error is None:
        return Verdict("profile", "ok", "the token was exchanged")
    if isinstance(error, MfaRequiredError):
        # The Action ran, and accepted the token.
        found = "the profile works, and requires multi-factor authentication"
        return Verdict("profile", "ok", found)
    return Verdict(
        "profile",
        "failed",
        f"{error.code}: {error.message}",
        error.hint or "check the tenant's logs, and the profile's Action",
    )


def _check_token_type(subject_token_type: str | None) -> Verdict:
    if subject_token_type is None:
        return Verdict(
            "profile",
            "skipped",
            "no subject token type was passed",
            "pass a subject token type and a token to check the profile itself",
        )
    try:
        check_exchange(
            CustomTokenExchangeOptions(
                subject_token="x",  # noqa: S106
                subject_token_type=subject_token_type,
            )
        )
    except InvalidInputError as error:
        return Verdict("profile", "failed", error.message, error.hint or "")
    # Auth0 does not accept these namespaces for profiles. The library lets them pass, as it
    # lets the tenant decide; the doctor says it beforehand.
    if subject_token_type.lower().startswith("urn:ietf:"):
        return Verdict(
            "profile",
            "warning",
            "Auth0 reserves this subject token type",
            "use the URI of your own Token Exchange Profile",
        )
    return Verdict("profile", "ok", "the subject token type is allowed for a profile")
