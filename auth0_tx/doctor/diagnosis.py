"""The doctor: all checks in their order.

Theory of operation. A failed exchange has one cause and many symptoms: a wrong clock shows
as ``invalid_client``, a captive portal as a discovery document that is not JSON. So the
checks follow the way of a request, and each stands on those before it:

1. installation and extras; never fail.
2. configuration, sessions, proxy, CA certificates, netrc: values only, nothing is sent.
3. DNS, then TLS: with the doctor's own sockets, as no HTTP library says how long a
   certificate is still valid. Through a proxy the client resolves no name and opens no
   direct connection, so both are skipped.
4. discovery, keys, clock: ``ServerClient.check_tenant()``, with the application's keywords.
5. client authentication, profile: one exchange, with the same client.

A failed check skips those that stand on it, so the failed line of a report is the cause.

**One exchange, and no token is used up.** Without a subject token the exchange is a probe
with a token type that no profile has. Auth0 checks the client's credentials first, and
refuses the unknown type before any Action runs: the refusal proves the credentials.

No check raises, hangs or shows a secret: each step on the network has a time limit, and
verdicts contain the rule that is broken, never the value.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..clocks import read_time
from ..core.configuration import Settings, configure
from ..errors import ConfigurationError
from ..secret import conceal
from .network_checks import check_network
from .settings_checks import (
    check_configuration,
    check_environment,
    check_installation,
    check_sessions,
    is_proxied,
)
from .tenant_checks import check_application, check_documents, make_client
from .verdict import Verdict, skip

if TYPE_CHECKING:
    from ..client import ServerClient

_NETWORK_CHECKS = ("DNS", "TLS")
_APPLICATION_CHECKS = ("client authentication", "profile")
_TENANT_CHECKS = ("discovery", "keys", "clock", *_APPLICATION_CHECKS)


def diagnose(
    keywords: Mapping[str, Any],
    *,
    subject_token: str | None = None,
    subject_token_type: str | None = None,
    probe: bool = True,
    seconds: float = 10.0,
    environ: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = read_time,
) -> list[Verdict]:
    """Check whether a client with *keywords* can exchange tokens, and what prevents it.

    Args:
        keywords: those of ``ServerClient``.
        subject_token: a token to exchange; the exchange may use it up.
        subject_token_type: the token's type, which is also checked without a token.
        probe: whether to check the client's credentials with an exchange that must fail.
        seconds: the time limit of each check on the network.
        environ: the process's environment.
        clock: returns epoch seconds.

    Returns:
        A verdict for each check, in order. No check raises an error.
    """
    # Rebound, so that a traceback with locals shows no secret of these frames.
    keywords, subject_token = conceal(keywords), conceal(subject_token)
    return list(
        _run_checks(
            keywords,
            subject_token,
            subject_token_type,
            probe,
            seconds,
            environ,
            clock,
        )
    )


def _run_checks(
    keywords: Mapping[str, Any],
    subject_token: str | None,
    subject_token_type: str | None,
    probe: bool,
    seconds: float,
    environ: Mapping[str, str],
    clock: Callable[[], float],
) -> Iterator[Verdict]:
    remaining = (*_NETWORK_CHECKS, *_TENANT_CHECKS)
    yield from check_installation()
    settings = _configure(keywords)
    if isinstance(settings, Verdict):
        yield settings
        yield from skip(remaining, "the configuration is not valid")
        return
    yield check_configuration(settings)
    yield check_sessions(settings)
    yield from check_environment(settings, environ)
    if settings.domain is None:
        reason = "the domain depends on the request"
        yield from skip(remaining, reason, "pass one domain to check it")
        return
    if is_proxied(settings, environ):
        yield from skip(_NETWORK_CHECKS, "requests go through a proxy")
    else:
        for verdict in check_network(settings, settings.domain, seconds, clock):
            yield verdict
            if verdict.level == "failed":
                # The verdicts end here: TLS comes after DNS, if it comes at all.
                unchecked = ("TLS",) if verdict.check == "DNS" else ()
                reason = "there is no connection to the tenant"
                yield from skip((*unchecked, *_TENANT_CHECKS), reason)
                return
    try:
        client = make_client(keywords, seconds, clock)
    except ConfigurationError as error:
        # The client reads the bundle that `verify` names. The TLS check did so before, but
        # not behind a proxy or for a domain with plain http.
        yield Verdict("discovery", "failed", error.message, error.hint or "")
        yield from skip(_TENANT_CHECKS[1:], "the client cannot be made")
        return
    with client:
        yield from _check_tenant(client, subject_token, subject_token_type, probe)


def _check_tenant(
    client: ServerClient,
    subject_token: str | None,
    subject_token_type: str | None,
    probe: bool,
) -> Iterator[Verdict]:
    has_failed = False
    for verdict in check_documents(client):
        has_failed = has_failed or verdict.level == "failed"
        yield verdict
    if has_failed:
        yield from skip(_APPLICATION_CHECKS, "an earlier check failed")
        return
    yield from check_application(client, subject_token, subject_token_type, probe)


def _configure(keywords: Mapping[str, Any]) -> Settings | Verdict:
    # A session (requests or aiohttp) is a keyword of the clients alone. It is left out here
    # and in the exchange: the doctor tries the settings on connections of its own.
    own = conceal({name: keywords[name] for name in keywords if name != "session"})
    try:
        return configure(**own)
    except ConfigurationError as error:
        return Verdict("configuration", "failed", error.message, error.hint or "")
    except TypeError:
        # Python's own message quotes the call; ours says which keyword is missing.
        missing = [name for name in ("domain", "client_id") if name not in own]
    verb = "is" if len(missing) == 1 else "are"
    return Verdict(
        "configuration",
        "failed",
        f"{' and '.join(missing)} {verb} missing"
        if missing
        else "a keyword is unknown to the client",
    )
