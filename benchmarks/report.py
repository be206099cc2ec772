"""The figures as a table: subject, target, figure, and whether it is met."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import attrs

from .measure import Comparison

_PACKAGES = (
    "auth0-tx",
    "requests",
    "urllib3",
    "aiohttp",
    "niquests",
    "httpx",
    "google-auth",
    "attrs",
    "authlib",
    "joserfc",
    "cryptography",
    "auth0-server-python",
)

_METHOD = """\
Written by `python -m benchmarks`. Each figure comes from one run in which both sides took
turns, in short bursts, against the same local TLS server in a process of its own. A ratio
is that of the medians of the client process's CPU time; the control rows measure the same
code against itself and show the noise. *Before* is the figure when the target was set.
"""


@attrs.frozen
class Row:
    """A line of the table.

    Attributes:
        what: the subject.
        target: the figure to reach, if there is one.
        figure: the figure of this run.
        met: whether the target is reached; ``None`` if nothing was promised or measured.
        details: what the figure is made of.
        before: the figure when its target was set.
        appendix: a table of its own, which goes below this one.
    """

    what: str
    target: str
    figure: str
    met: bool | None
    details: str
    before: str = ""
    appendix: str = ""


def build_ratio_row(
    what: str, measured: Comparison, at_most: float | None = None, before: str = ""
) -> Row:
    """Build the row of a ratio."""
    ratio, details = measured.ratio, measured.describe()
    if at_most is None:
        return Row(what, "", f"{ratio:.2f}", None, details, before)
    met = ratio <= at_most
    return Row(what, f"≤ {at_most:.2f}", f"{ratio:.2f}", met, details, before)


def format_table(rows: Sequence[Row]) -> str:
    """Return the table and those below it, with the versions that were measured."""
    lines = [
        "# Benchmarks",
        "",
        _METHOD,
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.python_implementation()} "
        f"{platform.python_version()} on {platform.system()} {platform.machine()}; "
        f"{', '.join(_list_versions())}.",
        "",
        "| what | before | target | figure | met | details |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        met = {True: "yes", False: "**no**", None: ""}[row.met]
        lines.append(
            f"| {row.what} | {row.before} | {row.target} | {row.figure} | {met} "
            f"| {row.details} |"
        )
    for row in rows:
        if row.appendix:
            lines += ["", row.appendix.rstrip()]
    return "\n".join(lines) + "\n"


def _list_versions() -> Iterable[str]:
    for package in _PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
