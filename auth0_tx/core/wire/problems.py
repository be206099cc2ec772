"""Rules that an argument may break, reported without its value.

The checks of this room come in two layers.  A function named ``check_...`` looks at a
value and *returns* the rule that it breaks, as the end of a sentence that begins with the
parameter's name.  The function that a flow calls turns the first broken rule into an
error and raises it.

Arguments are tokens and secrets, or text that a user mistyped into the wrong field, so no
rule quotes a value.  Returning rules also keeps tracebacks clean: error trackers show the
locals of every frame that an exception passes, and the checking frames hold the values.
"""

from __future__ import annotations

import attrs

from ...errors import ConfigurationError, InvalidInputError
from ...errors import CustomTokenExchangeErrorCode as Code

LONGEST_TEXT = 4_096
"""Characters of a parameter that is not a token; far more than any real audience has."""

MOST_RATE = 1_000_000.0
"""Starts a second of a bulk exchange; far more than any tenant allows."""


@attrs.define(eq=False, repr=False)
class Problem:
    """A rule that an argument breaks.

    Attributes:
        parameter: the name of the argument.
        rule: the rule, as the end of a sentence, such as "must be a string".
        code: the code of the error.
    """

    parameter: str
    rule: str
    code: str = Code.INVALID_ARGUMENT

    def error(self) -> InvalidInputError:
        """Return the error for an argument of a call."""
        return InvalidInputError(
            f"{self.parameter} {self.rule}", self.code, parameter=self.parameter
        )

    def configuration_error(self) -> ConfigurationError:
        """Return the error for a keyword of the client."""
        return ConfigurationError(
            f"{self.parameter} {self.rule}", parameter=self.parameter
        )


def check_text(value: object, longest: int = LONGEST_TEXT) -> str | None:
    """Return the rule that *value* breaks as text for a form, or ``None``.

    Such text is visible ASCII, with spaces inside but not around it: a padded value is a
    file's last newline or a careless copy, and the server would compare it as it is.
    """
    if not isinstance(value, str):
        return "must be a string"
    if not value or value.isspace():
        return "must not be empty or only white space"
    # Before anything looks at each character: an argument may be megabytes long.
    if len(value) > longest:
        return f"must not be longer than {longest} characters"
    # RFC 6749 appendix A: VSCHAR, and the space that some texts may hold.
    if not (value.isascii() and value.isprintable()):
        return "must contain only printable ASCII characters"
    if value[0] == " " or value[-1] == " ":
        return "must not begin or end with white space"
    return None


def check_number(value: object, most: float) -> str | None:
    """Return the rule that *value* breaks as a positive number, or ``None``.

    A number below a millionth is refused as well, as one divided by it may be infinite.
    """
    # Compared before anything converts it: an integer may be too large for a float.
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and 1e-6 <= value <= most
    ):
        return None
    return f"must be a number above 0, and at most {most:.0f}"
