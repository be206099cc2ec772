"""Checks of the tenant's answers: its documents, its clock, and one exchange.

All of it goes through a ``ServerClient``, so what is checked is what the application's own
client would do: the same requests, the same trust, the same proxy, the same errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..core.wire.grants import check_exchange
from ..errors import (
    BlockedError,
    CustomTokenExchangeError,
    InvalidInputError,
    MfaRequiredError,
    RateLimitError,
    RefusedError,
)
from ..results import TenantCheck
from ..secret import conceal
from ..values import CustomTokenExchangeOptions, RetryPolicy
from .verdict import Verdict, skip

if TYPE_CHECKING:
    from ..client import ServerClient

# ID tokens are checked with a leeway of 60 s, and a client assertion lives for 60 s.
_SKEW_NOTED, _SKEW_FATAL = 30.0, 300.0

_DISCOVERY_ADVICE = "check that the domain is your tenant's, and which server answers"

# No profile has this type, so the tenant refuses it before any Action runs, and no token is
# used up.
_PROBE = CustomTokenExchangeOptions(
    subject_token="auth0-tx-doctor",  # noqa: S106
    subject_token_type="urn:auth0-tx:doctor:probe",  # noqa: S106
)


def make_client(
    keywords: Mapping[str, Any], seconds: float, clock: Callable[[], float]
) -> ServerClient:
    """Make the client that the checks use: the application's, but for what would mislead.

    Args:
        keywords: those of the application's client.
        seconds: the time limit of each call.
        clock: returns epoch seconds.

    Raises:
        ConfigurationError: the CA bundle that ``verify`` names is not one.
    """
    # Imported here, as requests takes longer to import than `--help` takes to run.
    from ..client import ServerClient

    # Sessions have no part in an exchange, and their stores may be those of async clients,
    # which the blocking client refuses. Connections are the doctor's own.
    unused = ("session", "state_store", "secret", "legacy_secret")
    given = {name: value for name, value in keywords.items() if name not in unused}
    own = {
        "timeout": seconds,
        "clock": keywords.get("clock") or clock,
        # Retries would only delay the verdict.
        "retry": RetryPolicy(attempts=1),
        # A cached result proves nothing.
        "token_cache": None,
        # The application would count these calls among its own.
        "on_event": None,
    }
    return ServerClient(**conceal({**given, **own}))


def check_documents(client: ServerClient) -> Iterator[Verdict]:
    """Check the discovery document, the signing keys, and the tenant's clock."""
    try:
        check = client.check_tenant()
    except CustomTokenExchangeError as error:
        status = "" if error.status in (None, 200) else f" (HTTP {error.status})"
        advice = error.hint or _DISCOVERY_ADVICE
        yield Verdict("discovery", "failed", f"{error.message}{status}", advice)
        yield from skip(("keys", "clock"), "there is no valid discovery document")
        return
    yield Verdict("discovery", "ok", f"the issuer is {check.issuer}")
    yield _judge_keys(check)
    yield _judge_clock(check.clock_skew)


def _judge_keys(check: TenantCheck) -> Verdict:
    if check.signing_keys:
        return Verdict("keys", "ok", f"{check.signing_keys} usable")
    # A set without usable keys is an error as well, so one of the two is always there.
    assert check.keys_error is not None
    found = check.keys_error.message
    advice = "without signing keys no ID token can be verified"
    return Verdict("keys", "failed", found, advice)


def _judge_clock(skew: float | None) -> Verdict:
    if skew is None:
        found = "the tenant's response has no valid Date header"
        return Verdict("clock", "skipped", found)
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
    client: ServerClient,
    subject_token: str | None,
    subject_token_type: str | None,
    probe: bool,
) -> Iterator[Verdict]:
    """Check the client's credentials, and the profile of the subject token type."""
    if subject_token is not None and subject_token_type is not None:
        options = CustomTokenExchangeOptions(
            subject_token=subject_token, subject_token_type=subject_token_type
        )
        error = _exchange(client, options)
        yield _judge_credentials(error)
        yield _judge_exchange(error)
        return
    if probe:
        yield _judge_credentials(_exchange(client, _PROBE))
    else:
        found = "nothing was sent: the probe is off"
        yield Verdict("client authentication", "skipped", found)
    yield _check_token_type(subject_token_type)


def _exchange(
    client: ServerClient, options: CustomTokenExchangeOptions
) -> CustomTokenExchangeError | None:
    """Exchange, and return the error if there is one."""
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
