"""The parameters of a token request: which there are, which are missing or repeated."""

from __future__ import annotations

from collections.abc import Mapping

from .form_pairs import MalformedBody, read_pairs
from .http_messages import ReceivedRequest
from .wording import Wording

# Every name the token endpoint itself reads; the rest are extension parameters.
_PROTOCOL = frozenset(
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
_CREDENTIALS = frozenset({"client_assertion", "client_secret"})


class Parameters:
    """Hold the parameters of one token request.

    Args:
        pairs: Names and values in the order sent.
        wording: How a missing one is refused.
    """

    def __init__(self, pairs: tuple[tuple[str, str], ...], wording: Wording) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)
        self._wording = wording

    def get(self, name: str) -> str | None:
        """Return the value of *name*, or None when absent or empty.

        RFC 6749 3.1: a parameter sent without a value is treated as omitted.
        """
        values = self._values.get(name)
        return (values[0] or None) if values else None

    def require(self, name: str) -> str:
        """Return the value of *name*.

        Raises:
            Refused: It is absent or empty.
        """
        value = self.get(name)
        if value is None:
            raise self._wording.missing_parameter.refused(name=name)
        return value

    def __contains__(self, name: object) -> bool:
        """Tell whether *name* was sent, be it empty."""
        return name in self._values

    @property
    def repeated(self) -> str | None:
        """Return the first parameter of the protocol sent more than once."""
        return next(
            (n for n, v in self._values.items() if len(v) > 1 and n in _PROTOCOL), None
        )

    @property
    def body(self) -> Mapping[str, str | tuple[str, ...]]:
        """Return what an Action sees: everything but the client's credentials."""
        return {
            name: tuple(values) if len(values) > 1 else values[0]
            for name, values in self._values.items()
            if name not in _CREDENTIALS
        }


def read_parameters(
    request: ReceivedRequest, wording: Wording, *, refuse_repeated: bool
) -> Parameters:
    """Return the parameters in *request*'s body.

    Raises:
        Refused: The body is neither a form nor JSON, or repeats a parameter.
    """
    try:
        pairs = read_pairs(request.headers.get("content-type", ""), request.body)
    except MalformedBody:
        raise wording.malformed_body.refused() from None
    parameters = Parameters(pairs, wording)
    # RFC 6749 3.2: parameters MUST NOT be included more than once.
    if refuse_repeated and parameters.repeated is not None:
        raise wording.repeated_parameter.refused(name=parameters.repeated)
    return parameters
