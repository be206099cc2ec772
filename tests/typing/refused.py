"""Calls that must not type-check: read by mypy and pyright, never run.

Each line has an ignore for exactly the error that it must cause.  Both checkers report an
ignore that isn't needed, so a type that becomes too wide fails here.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from auth0_tx import (
    CustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeOptions,
    TokenType,
)

# Right arguments, which both checkers must accept: a ``TokenType`` is a ``str``.
CustomTokenExchangeOptions(subject_token="t", subject_token_type=TokenType.JWT)
CustomTokenExchangeOptions(
    subject_token="t",
    subject_token_type="urn:acme:legacy-token",
    audience=None,
    authorization_params=None,
)

# One wrong argument each.
CustomTokenExchangeOptions(subject_token=1, subject_token_type="u")  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token=b"t", subject_token_type="u")  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token=None, subject_token_type="u")  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token="t", subject_token_type=None)  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token="t", subject_token_type=TokenType)  # type: ignore[arg-type]
LoginWithCustomTokenExchangeOptions(subject_token=1, subject_token_type="u")  # type: ignore[arg-type]


def refused_options(token: str) -> None:
    """Pass one wrong option each time."""
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        audience=["a"],  # type: ignore[arg-type]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        scope={"openid"},  # type: ignore[arg-type]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        actor_token=b"a",  # type: ignore[arg-type]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        actor_token_type=7,  # type: ignore[arg-type]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        organization=7,  # type: ignore[arg-type]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        authorization_params=[("pin", "1")],  # type: ignore[arg-type]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        authorization_params={"pin": 1},  # type: ignore[dict-item]
    )
    CustomTokenExchangeOptions(
        subject_token=token,
        subject_token_type="u",
        subject_token_reusable="no",  # type: ignore[arg-type]
    )
