"""What must not type-check: read by mypy and pyright, never run.

Each line carries an ignore for exactly the error that it must cause.  Both checkers report an
ignore that nothing needs, so a type that becomes too wide fails here.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from auth0_tx import (
    CustomTokenExchangeOptions,
    LoginWithCustomTokenExchangeOptions,
    TokenType,
)

# The values themselves, in the types that every exchange takes.
CustomTokenExchangeOptions(subject_token="t", subject_token_type=TokenType.JWT)
CustomTokenExchangeOptions(
    subject_token="t",
    subject_token_type="urn:acme:legacy-token",
    audience=None,
    authorization_params=None,
)

# One wrong argument a line.
CustomTokenExchangeOptions(subject_token=1, subject_token_type="u")  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token=b"t", subject_token_type="u")  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token=None, subject_token_type="u")  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token="t", subject_token_type=None)  # type: ignore[arg-type]
CustomTokenExchangeOptions(subject_token="t", subject_token_type=TokenType)  # type: ignore[arg-type]
LoginWithCustomTokenExchangeOptions(subject_token=1, subject_token_type="u")  # type: ignore[arg-type]


def refused_options(token: str) -> None:
    """Name each option in turn; the others are right."""
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
