"""Advice on a refusal whose cause is known."""

from __future__ import annotations

import pytest

from auth0_tx.core.wire.hints import find_hint

IETF = "urn:ietf:params:oauth:token-type:access_token"

CASES: list[tuple[str, str, int, str | None, str]] = [
    ("too_many_attempts", "", 429, None, "throttles this source IP"),
    ("invalid_request", "Organization is required.", 400, None, "pass organization="),
    ("invalid_client", "", 400, None, "check client_id"),
    ("access_denied", "Unauthorized", 401, None, "check client_id"),
    ("consent_required", "", 403, None, "Allow Skipping User Consent"),
    ("access_denied", "Service not found: https://x", 403, None, "audience"),
    ("access_denied", "Service not enabled within domain", 403, None, "audience"),
    (
        "invalid_request",
        "Invalid subject_token_type and requested_token_type combination.",
        400,
        None,
        "requested_token_type",
    ),
    ("invalid_request", "", 400, IETF, "your own Token Exchange Profile"),
    ("invalid_request", "", 400, IETF.upper(), "your own Token Exchange Profile"),
    ("unauthorized_client", "", 403, IETF, "your own Token Exchange Profile"),
    ("unauthorized_client", "", 403, "urn:acme:x", "enable Custom Token Exchange"),
]


@pytest.mark.parametrize(("code", "description", "status", "kind", "advice"), CASES)
def test_hint(
    code: str, description: str, status: int, kind: str | None, advice: str
) -> None:
    """A refusal whose cause is known gets a hint."""
    assert advice in (find_hint(code, description, status, kind) or "")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("mfa_required", 403, IETF),
        ("too_many_requests", 429, IETF),
        ("access_denied", 403, "urn:acme:x"),
        ("", 400, None),
    ],
)
def test_no_hint(code: str, status: int, kind: str | None) -> None:
    """If the cause is not known, or no setting helps, there is no hint."""
    assert find_hint(code, "no", status, kind) is None


@pytest.mark.parametrize(
    ("code", "description", "status", "advice"),
    [
        ("invalid_client", "", 401, "check client_id"),
        ("invalid_token", "", 401, "must be a user's token"),
        ("access_denied", "", 403, "resource_server_identifier"),
        ("unauthorized_client", "", 403, "on_behalf_of_token_exchange"),
        (
            "invalid_request",
            "Delegation chain depth exceeds",
            400,
            "shorter chain of actors",
        ),
    ],
)
def test_on_behalf_of(code: str, description: str, status: int, advice: str) -> None:
    """A refusal to act for a user is explained as one."""
    hint = find_hint(code, description, status, IETF, on_behalf_of=True)

    assert advice in (hint or "")
