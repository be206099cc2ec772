"""At whatever line a call is interrupted, no frame shows a secret.

The exceptions are listed.  In none of them does a call wait: a signal would have to strike
within the microseconds in which a library copies or parses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from auth0_tx.tenant import Tenant
from tests.e2e.secrets.calls import (
    METHODS,
    SESSION_SECRET,
    Calls,
    Settings,
    Step,
    prepare_tenant,
)
from tests.e2e.secrets.two_worlds import WORLDS, World
from tests.frame_tracer import FrameTracer, Place
from tests.observed_requests import observe_requests
from tests.secret_needles import Needles

# Functions of ours, by their file.
OURS = {
    # They are given what they wrap.
    "auth0_tx/secret.py": ("conceal", "conceal_members", "secret", "to_*"),
    "auth0_tx/values.py": ("_copy_parameters",),
    # The parser calls it with what it has parsed.
    "auth0_tx/core/wire/reading.py": ("_build_object",),
    "auth0_tx/core/cache/tokens.py": ("read_tokens",),
    # A key's header, with which its ciphertexts begin, is public.
    "auth0_tx/core/session/seal.py": ("_KeyRing.get_key", "DirectKey.*"),
    "<attrs generated methods auth0_tx.core.session.seal.DirectKey>": ("__init__",),
    # The request is the host's, and so are its attributes.
    "auth0_tx/frameworks/cookies.py": ("_find_state", "_read_cookies", "get_state"),
}
# Of the HTTP libraries: each joins the fields of a head, or copies what TLS has decrypted.
OF_LIBRARIES = {
    "aiohttp/client_proto.py": ("ResponseHandler.data_received",),
    "aiohttp/http_writer.py": ("StreamWriter.*",),
    "aiohttp/streams.py": ("StreamReader.*",),
    "asyncio/sslproto.py": ("SSLProtocol.*", "_SSLProtocolTransport.write"),
    "http/client.py": ("HTTPConnection.putheader", "HTTPConnection._output"),
    "ssl.py": ("SSLObject.read", "SSLObject.write"),
}
# All functions: they parse, sign and encode, and none of them waits.
PURE = ("joserfc/", "json/", "base64.py", "functools.py", "typing.py", "<frozen abc>")

KINDS: dict[str, Callable[[Calls], tuple[Settings, Sequence[Step]]]] = {
    **{
        method: lambda calls, method=method: (  # type: ignore[misc]
            calls.authenticate(method),
            calls.exchange(),
        )
        for method in METHODS
    },
    "documents that age": lambda calls: calls.exchange_with_aging_documents(),
    "session in cookies": lambda calls: (
        calls.keep_sessions("cookies"),
        calls.use_session(),
    ),
    "session in Redis": lambda calls: (
        calls.keep_sessions("redis"),
        [*calls.use_session(), *calls.log_out_everywhere()],
    ),
    "cache in Redis": lambda calls: (
        calls.cache_tokens("redis"),
        [*calls.exchange_on_behalf(), *calls.transfer_session(), *calls.refresh()],
    ),
}


@pytest.fixture
def calls(
    world: World,
    auth0_tenant: Tenant,
    redis_url: str,
    redis_prefix: str,
    needles: Needles,
) -> Calls:
    """The calls of a client, in one world."""
    needles.add(SESSION_SECRET)
    prepare_tenant(auth0_tenant)
    return Calls(world, auth0_tenant, (redis_url, redis_prefix))


def is_listed(place: Place) -> bool:
    """Return whether a place is one of the exceptions."""
    functions = {**OURS, **OF_LIBRARIES}.get(place.file, ())
    return place.file.startswith(PURE) or any(
        place.function.startswith(function.removesuffix("*")) for function in functions
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("world", WORLDS)
def test_every_line(calls: Calls, world: World, kind: str, needles: Needles) -> None:
    """No local of any frame shows a secret, at any line of a call."""
    check_every_line(calls, kind, needles)


@pytest.mark.parametrize("world", WORLDS)
def test_every_line_if_observed(calls: Calls, world: World, needles: Needles) -> None:
    """Nor does one of the layers through which requests go that a tracer sees."""
    with observe_requests():
        check_every_line(calls, "client_secret_basic", needles)


def check_every_line(calls: Calls, kind: str, needles: Needles) -> None:
    """Assert that no local of any frame shows a secret, at any line of a call."""
    # Once without the tracer, which would follow each import.
    calls.run(*KINDS[kind](calls))
    settings, steps = KINDS[kind](calls)
    with FrameTracer(needles) as tracer:
        calls.run(settings, steps)

    assert [] == [place for place in tracer.found if not is_listed(place)]
    # It looked: the listed ones were seen.
    assert {"auth0_tx/core/wire/reading.py"} <= {place.file for place in tracer.found}
