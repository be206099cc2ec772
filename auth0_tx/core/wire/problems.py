"""Rules that an argument may break, told without its value.

A rule is checked by a function that *returns* what is wrong, and raised by one whose
locals hold nothing secret: a traceback shows the locals of every frame it passed.
"""

from __future__ import annotations

import attrs

from ...errors import ConfigurationError, InvalidInputError
from ...errors import CustomTokenExchangeErrorCode as Code

LONGEST_TEXT = 4_096


@attrs.frozen
class Problem:
    """A rule that an argument breaks."""

    parameter: str
    rule: str
    code: str = Code.INVALID_ARGUMENT

    def error(self) -> InvalidInputError:
        """Give the error that says it of an argument of a call."""
        return InvalidInputError(
            f"{self.parameter} {self.rule}", self.code, parameter=self.parameter
        )

    def configuration_error(self) -> ConfigurationError:
        """Give the error that says it of a keyword of the client."""
        return ConfigurationError(
            f"{self.parameter} {self.rule}", parameter=self.parameter
        )


def check_text(value: object, longest: int = LONGEST_TEXT) -> str | None:
    """Give the rule that *value* breaks as text for a form: visible ASCII, not padded."""
    if not isinstance(value, str):
        return "must be a string"
    if not value or value.isspace():
        return "must not be empty or only white space"
    if len(value) > longest:
        return f"must not be longer than {longest} characters"
    # RFC 6749 appendix A: VSCHAR, and the space that some texts may hold.
    if not (value.isascii() and value.isprintable()):
        return "must have printable ASCII characters only"
    if value[0] == " " or value[-1] == " ":
        return "must not have white space around it"
    return None
