"""The client's credentials, and the profile that a token is exchanged by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core.wire.grants import check_exchange
from ..errors import (
    BlockedError,
    CustomTokenExchangeError,
    InvalidInputError,
    MfaRequiredError,
    RateLimitError,
    RefusedError,
)
from ..secret import conceal
from ..values import CustomTokenExchangeOptions, RetryPolicy
from .verdict import Verdict

# Of no profile: it is refused before any Action runs, and no token is spent.
_PROBE = CustomTokenExchangeOptions(
    subject_token="auth0-tx-doctor",  # noqa: S106
    subject_token_type="urn:auth0-tx:doctor:probe",  # noqa: S106
)


def checked_exchange(
    keywords: Mapping[str, Any],
    subject_token: str | None,
    subject_token_type: str | None,
    probe: bool,
) -> Iterator[Verdict]:
    """Prove the client's credentials, and exchange the token that was given."""
    if subject_token is not None and subject_token_type is not None:
        options = CustomTokenExchangeOptions(
            subject_token=subject_token, subject_token_type=subject_token_type
        )
        failure = _failure(keywords, options)
        yield _authenticated(failure)
        yield _exchanged(failure)
        return
    if probe:
        yield _authenticated(_failure(keywords, _PROBE))
    else:
        yield Verdict("client authentication", "skipped", "nothing was to be sent")
    yield _rules(subject_token_type)


def _failure(
    keywords: Mapping[str, Any], options: CustomTokenExchangeOptions
) -> CustomTokenExchangeError | None:
    from ..client import ServerClient

    quiet = {"retry": RetryPolicy(attempts=1), "token_cache": None, "on_event": None}
    # Stores of another world are no matter here.
    left_out = ("session", "state_store", "secret", "legacy_secret")
    own = conceal({k: each for k, each in keywords.items() if k not in left_out})
    with ServerClient(**{**own, **quiet}) as client:
        try:
            client.custom_token_exchange(options)
        except CustomTokenExchangeError as error:
            return error
    return None


def _authenticated(failure: CustomTokenExchangeError | None) -> Verdict:
    name = "client authentication"
    if isinstance(failure, RateLimitError | BlockedError):
        return Verdict(name, "warning", f"not told: {failure.code}", failure.hint or "")
    if isinstance(failure, RefusedError):
        if failure.code == "invalid_client" or failure.status == 401:
            return Verdict(
                name,
                "failed",
                "the client's credentials are refused",
                failure.hint or "",
            )
        if failure.code == "unauthorized_client":
            return Verdict(
                name,
                "warning",
                "accepted, but the application may not exchange tokens",
                failure.hint or "",
            )
        return Verdict(name, "ok", "the credentials are accepted")
    if failure is None:
        return Verdict(name, "ok", "the credentials are accepted")
    return Verdict(name, "failed", failure.message, failure.hint or "")


def _exchanged(failure: CustomTokenExchangeError | None) -> Verdict:
    if failure is None:
        return Verdict("profile", "ok", "the token was exchanged")
    if isinstance(failure, MfaRequiredError):
        return Verdict(
            "profile", "ok", "the profile works, and asks for a second factor"
        )
    return Verdict(
        "profile",
        "failed",
        f"{failure.code}: {failure.message}",
        failure.hint or "see the tenant's log, and the Action of the profile",
    )


def _rules(subject_token_type: str | None) -> Verdict:
    if subject_token_type is None:
        return Verdict(
            "profile",
            "skipped",
            "no subject token type was given",
            "give one, and a token, to try the profile itself",
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
    if subject_token_type.lower().startswith("urn:ietf:"):
        return Verdict(
            "profile",
            "warning",
            "the subject token type is one that Auth0 keeps for itself",
            "use the URI of your own Token Exchange Profile",
        )
    return Verdict("profile", "ok", "the subject token type may be one of a profile")
