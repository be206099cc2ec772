"""The parameters of a token request: present, missing or repeated.

The endpoint takes unknown parameters, as Auth0 does, and hands them to the Action. Only
those of the protocol have rules.
"""

from __future__ import annotations

from collections.abc import Mapping

from .http_messages import MalformedBody, ReceivedRequest, parse_pairs
from .wording import Wording

# Every name that the token endpoint itself reads; the rest are extension parameters.
_PROTOCOL_NAMES = frozenset(
    {
        "actor_token",
        "actor_token_type",
        "audience",
        "client_assertion",
        "client_assertion_type",
        "client_id",
        "client_secret",
        "grant_type",
        "organization",
        "refresh_token",
        "requested_token_type",
        "resource",
        "scope",
        "subject_token",
        "subject_token_type",
    }
)
# Auth0 hides these from Actions: an Action logs its event, or sends it elsewhere.
_CREDENTIAL_NAMES = frozenset({"client_assertion", "client_secret"})


class Parameters:
    """The parameters of one token request.

    Args:
        pairs: Names and values in the order sent.
        wording: The wording of the refusal of a missing one.
    """

    def __init__(self, pairs: tuple[tuple[str, str], ...], wording: Wording) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)
        self._wording = wording

    def get(self, name: str) -> str | None:
        """Return the value of ``name``, or ``None`` if absent or empty.

        RFC 6749 3.1: a parameter sent without a value is treated as omitted.
        """
        # The first counts, if repeated parameters are not refused.
        values = self._values.get(name)
        return (values[0] or None) if values else None

    def require(self, name: str) -> str:
        """Return the value of ``name``.

        Raises:
            RequestRefused: It is absent or empty.
        """
        value = self.get(name)
        if value is None:
            raise self._wording.missing_parameter.to_exception(name=name)
        return value

    def __contains__(self, name: object) -> bool:
        """Return whether ``name`` was sent, even if it is empty."""
        return name in self._values

    @property
    def first_repeated(self) -> str | None:
        """Return the first parameter of the protocol sent more than once."""
        return next(
            (
                name
                for name, values in self._values.items()
                if len(values) > 1 and name in _PROTOCOL_NAMES
            ),
            None,
        )

    @property
    def body(self) -> Mapping[str, str | tuple[str, ...]]:
        """Return the parameters that an Action sees: without the credentials."""
        return {
            name: tuple(values) if len(values) > 1 else values[0]
            for name, values in self._values.items()
            if name not in _CREDENTIAL_NAMES
        }


def parse_parameters(
    request: ReceivedRequest, wording: Wording, *, refuse_repeated: bool
) -> Parameters:
    """Return the parameters in the body of ``request``.

    Raises:
        RequestRefused: The body is neither a form nor JSON, or repeats a parameter.
    """
    try:
        pairs = parse_pairs(request.headers.get("content-type", ""), request.body)
    except MalformedBody:
        raise wording.malformed_body.to_exception() from None
    parameters = Parameters(pairs, wording)
    # RFC 6749 3.2: parameters MUST NOT be included more than once.
    if refuse_repeated and parameters.first_repeated is not None:
        raise wording.repeated_parameter.to_exception(name=parameters.first_repeated)
    return parameters
