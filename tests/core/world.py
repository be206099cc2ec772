"""A scripted world: plays a flow against replies written beforehand, without I/O.

``play(flow, *replies)`` returns the flow's result and the effects it asked for;
``fail(flow, *replies)`` returns the error it ended with instead.  A reply is a response, an
exception to throw, or a function from the request to either, which then answers every
request that follows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, TypeAlias, TypeVar

import attrs
import pytest

from auth0_tx.core.configuration import configure
from auth0_tx.core.context import CachedDocument, Call, Context
from auth0_tx.core.effects import (
    Accompany,
    Begin,
    Effect,
    Emit,
    Flow,
    Invoke,
    Postpone,
    Request,
    Response,
    Send,
    Share,
    Sleep,
)
from auth0_tx.core.wire.metadata import Metadata
from auth0_tx.errors import Auth0Error
from auth0_tx.secret import conceal, secret
from auth0_tx.values import CustomTokenExchangeOptions

T = TypeVar("T")

Answer: TypeAlias = Response | Exception
Reply: TypeAlias = Answer | Callable[[Request], Answer]

NOW = 1_700_000_000.0
DOMAIN = "tenant.us.auth0.com"
ISSUER = f"https://{DOMAIN}/"
TOKEN_ENDPOINT = f"{ISSUER}oauth/token"
JWKS_URI = f"{ISSUER}.well-known/jwks.json"
DISCOVERY_URL = f"{ISSUER}.well-known/openid-configuration"

SECRETS = {
    "client_secret": "needle-of/the client+secret",
    "subject_token": "needle-of-the-subject.token/+",
    "actor_token": "needle-of-the-actor.token/+",
    "access_token": "needle-of-the-access.token",
    "refresh_token": "needle-of-the-refresh.token",
    "mfa_token": "needle-of-the-mfa.token",
}
"""Texts to look for where none of them may be."""

DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "token_endpoint": TOKEN_ENDPOINT,
    "jwks_uri": JWKS_URI,
}
TOKENS: dict[str, Any] = {
    "access_token": SECRETS["access_token"],
    "token_type": "Bearer",
    "expires_in": 86_400,
    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
}


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now += seconds


class EffectLog(list[Effect]):
    """The effects that a flow asked for, in order, with those of flows it shared or postponed."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []

    @property
    def events(self) -> list[Any]:
        """The events that the application's subscriber received."""
        return [effect.event for effect in self if isinstance(effect, Emit)]

    @property
    def waits(self) -> list[float]:
        """The seconds of every sleep."""
        return [effect.seconds for effect in self if isinstance(effect, Sleep)]


class PaperCookies:
    """Cookies that are plain mappings, in the place of requests and responses."""

    def read(self, store_options: Any) -> dict[str, str]:
        """Return the browser's cookies of this moment."""
        cookies = store_options["request"]
        return {name: secret(value) for name, value in cookies.items()}

    def can_write(self, store_options: Any) -> bool:
        """Return whether there is a response."""
        return "response" in (store_options or {})

    def write(self, store_options: Any, cookies: Any) -> None:
        """Set cookies, which the browser then has."""
        for cookie in cookies:
            store_options["response"].append(cookie)
            if cookie.max_age > 0:
                store_options["request"][cookie.name] = cookie.value
            else:
                store_options["request"].pop(cookie.name, None)


class _World:
    def __init__(
        self,
        replies: Iterable[Reply],
        clock: Clock | None,
        *,
        begins_late: bool = False,
    ) -> None:
        self.asked = EffectLog()
        self._begins_late = begins_late
        self._postponed: list[Postpone | Begin] = []
        self._script = list(replies)
        self._clock = clock

    def run(self, flow: Flow[T]) -> T:
        failure: BaseException
        try:
            effect = next(flow)
            while True:
                self.asked.append(effect)
                try:
                    reply = self._perform(effect)
                except GeneratorExit:
                    # The process dies: the flow is closed, and can do nothing about it.
                    raise
                except BaseException as error:
                    failure = error
                else:
                    effect = flow.send(reply)
                    continue
                effect = flow.throw(failure)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            flow.close()

    def run_to_end(self, flow: Flow[T]) -> T:
        """Run *flow*, and then what it postponed."""
        try:
            return self.run(flow)
        finally:
            for effect in self._postponed:
                self.run(effect.flow())

    def check_end(self) -> None:
        left = [reply for reply in self._script if not callable(reply)]
        assert [] == left, "the flow ended before its script did"

    def _perform(self, effect: Effect) -> Any:
        if isinstance(effect, Send):
            return self._answer(effect)
        if isinstance(effect, (Share, Accompany)):
            return self.run(effect.flow())
        if isinstance(effect, Postpone) or (
            self._begins_late and isinstance(effect, Begin)
        ):
            return self._postponed.append(effect)
        if isinstance(effect, Begin):
            return self.run(effect.flow())
        if isinstance(effect, Invoke):
            return effect.function(*effect.arguments)
        if isinstance(effect, Sleep) and self._clock is not None:
            self._clock.wait(effect.seconds)
        return None

    def _answer(self, send: Send) -> Response:
        request = send.prepare()
        self.asked.requests.append(request)
        assert self._script, "the flow sent more than its script has answers for"
        reply = self._script[0]
        answer = reply(request) if callable(reply) else self._script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Response)
        return answer


def play(
    flow: Flow[T],
    *replies: Reply,
    clock: Clock | None = None,
    begins_late: bool = False,
) -> tuple[T, EffectLog]:
    """Play *flow*; return its result and the effects it asked for.

    What it begins beside it is played at once, or if it *begins_late* when the flow has ended.
    """
    world = _World(replies, clock, begins_late=begins_late)
    result = world.run_to_end(flow)
    world.check_end()
    return result, world.asked


def fail(
    flow: Flow[Any], *replies: Reply, clock: Clock | None = None
) -> tuple[Any, EffectLog]:
    """Play *flow*, which must end with one of the library's errors; return it and the effects."""
    world = _World(replies, clock)
    with pytest.raises(Auth0Error) as failed:
        world.run_to_end(flow)
    world.check_end()
    return failed.value, world.asked


def start(function: Callable[..., Flow[T]], *arguments: Any, **named: Any) -> Flow[T]:
    """Return a flow whose *function* is called, and may refuse its input, as it begins."""
    return (yield from function(*arguments, **named))


def list_kinds(asked: Iterable[Effect]) -> list[type[Effect]]:
    """Return the type of each effect."""
    return [type(effect) for effect in asked]


def build_client(
    clock: Callable[[], float],
    monotonic: Callable[[], float] | None = None,
    *,
    knows_metadata: bool = True,
    **keywords: Any,
) -> Context:
    """Build the context of a client with *keywords*, as its shell does."""
    given: dict[str, Any] = {"domain": DOMAIN, "client_id": "the-client", **keywords}
    if not {"client_auth", "client_assertion_signing_key"} & given.keys():
        given.setdefault("client_secret", SECRETS["client_secret"])
    hidden = ("client_secret", "client_assertion_signing_key", "secret", "proxy")
    settings = configure(
        **{
            name: conceal(value) if name in hidden else value
            for name, value in given.items()
        }
    )
    number = count(1)
    context = Context(
        settings,
        clock,
        monotonic or clock,
        lambda: 0.5,
        lambda: f"id-{next(number)}",
        lambda: f"{next(number):043}",
        b"k" * 32,
        PaperCookies(),
    )
    if knows_metadata and settings.domain is not None:
        now = clock()
        context.metadata.add(settings.domain, CachedDocument(METADATA, now, now + 1e9))
    return context


def begin_call(context: Context, deadline: float) -> Call:
    """Return a call of a client that must have ended at *deadline*."""
    return attrs.evolve(context.begin_call(), deadline=deadline)


METADATA = Metadata(DOMAIN, ISSUER, TOKEN_ENDPOINT, JWKS_URI)


def build_options(**changes: Any) -> CustomTokenExchangeOptions:
    """Build the options of an ordinary exchange with *changes*."""
    return CustomTokenExchangeOptions(
        **{
            "subject_token": SECRETS["subject_token"],
            "subject_token_type": "urn:acme:legacy-token",
            **changes,
        }
    )


def build_response(body: Any = TOKENS, status: int = 200, **headers: str) -> Response:
    """Build a response: *body* as it is if it is bytes, else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"content_type": "application/json", **headers}
    return Response(
        status,
        [(name.replace("_", "-"), value) for name, value in fields.items()],
        content,
    )


def build_refusal(
    status: int, error: str, description: str = "no", **more: str
) -> Response:
    """Build an error response (RFC 6749 section 5.2) with the headers *more*."""
    members = {"error": error, "error_description": description}
    return build_response(members, status, **more)
