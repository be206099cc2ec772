"""The checks in their order, each on what those before it found."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.configuration import Settings, configure
from ..errors import ConfigurationError
from ..secret import conceal
from .configuration_checks import checked_configuration, checked_session
from .environment_checks import checked_environment, proxy_of
from .exchange_checks import checked_exchange
from .installation_checks import checked_installation
from .network_checks import checked_network
from .verdict import Verdict

_AFTER = (
    "DNS",
    "TLS",
    "discovery",
    "keys",
    "clock",
    "client authentication",
    "profile",
)


def diagnose(
    keywords: Mapping[str, Any],
    *,
    subject_token: str | None = None,
    subject_token_type: str | None = None,
    probe: bool = True,
    seconds: float = 10.0,
    environ: Mapping[str, str] = os.environ,
    clock: Any = time.time,
) -> list[Verdict]:
    """Check that a client with *keywords* can exchange tokens, and say what is wrong.

    Args:
        keywords: those of ``ServerClient``.
        subject_token: one to exchange, which may be spent by it.
        subject_token_type: its type, whose rules are checked without a token too.
        probe: whether the client's credentials are proven by an exchange that must fail.
        seconds: that each check on the network may take.
        environ: the process's environment.
        clock: gives epoch seconds.

    Returns:
        A verdict for each check, in order; none of them raises.
    """
    # What is found is told of; what it was found with is not.
    keywords, subject_token = conceal(keywords), conceal(subject_token)
    return list(
        _verdicts(
            keywords,
            subject_token,
            subject_token_type,
            probe,
            seconds,
            environ,
            clock,
        )
    )


def _verdicts(
    keywords: Mapping[str, Any],
    subject_token: str | None,
    subject_token_type: str | None,
    probe: bool,
    seconds: float,
    environ: Mapping[str, str],
    clock: Any,
) -> Iterator[Verdict]:
    yield from checked_installation()
    settings = _settings(keywords)
    if isinstance(settings, Verdict):
        yield settings
        for name in _AFTER:
            yield Verdict(name, "skipped", "the configuration does not hold")
        return
    yield checked_configuration(settings)
    yield from checked_session(settings)
    yield from checked_environment(settings, environ)
    if settings.domain is None:
        for name in _AFTER:
            yield Verdict(
                name, "skipped", "the domain depends on the request", "give one domain"
            )
        return
    is_reached = True
    for verdict in checked_network(
        settings, proxy_of(settings, environ), seconds, clock
    ):
        is_reached = is_reached and verdict.level != "failed"
        yield verdict
    if not is_reached:
        for name in ("client authentication", "profile"):
            yield Verdict(name, "skipped", "the tenant is not reached")
        return
    yield from checked_exchange(
        conceal({**keywords, "timeout": seconds}),
        subject_token,
        subject_token_type,
        probe,
    )


def _settings(keywords: Mapping[str, Any]) -> Settings | Verdict:
    own = conceal({k: each for k, each in keywords.items() if k != "session"})
    try:
        return configure(**own)
    except ConfigurationError as error:
        return Verdict("configuration", "failed", error.message, error.hint or "")
    except TypeError:
        missing = [name for name in ("domain", "client_id") if name not in own]
    verb = "is" if len(missing) == 1 else "are"
    return Verdict(
        "configuration",
        "failed",
        f"{' and '.join(missing)} {verb} missing"
        if missing
        else "a keyword is not one of the client's",
    )
