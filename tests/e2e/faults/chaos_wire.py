"""A server whose every connection has a plan of its own, drawn from a seed.

A plan says how the connection begins, how much of each request is read, what is answered,
and what happens on the connection while it rests.  The plan depends on the seed and on the
connection's number alone, so that a schedule can be played again.

The server keeps note of each subject token that arrives, even if it reads no further than
that, and of what it did with it.  A caller's outcome is judged by these notes.
"""

from __future__ import annotations

import gzip
import re
import select
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from attrs import define, field, frozen

from tests.e2e.faults import wire_greetings as greet
from tests.e2e.faults.wire_behaviours import (
    GRANT,
    breaks_tls,
    chunks_cut,
    closes,
    closes_slowly,
    document,
    drips_body,
    drips_chunks,
    drips_head,
    falls_silent,
    grant_of,
    grants,
    grants_bytewise,
    grants_in_gzip,
    grants_with_surplus,
    informs_forever,
    late,
    not_found,
    resets,
    says,
    silence,
    stops_after,
    two_lengths,
)
from tests.e2e.faults.wire_http import (
    JSON,
    answer,
    chunk,
    head,
    json_answer,
    read_request,
)
from tests.e2e.faults.wire_keys import Signer, names_actor, publishes
from tests.e2e.faults.wire_server import (
    DISCOVERY,
    JWKS,
    Behaviour,
    ClientLeft,
    Wire,
    WireRequest,
    WireServer,
)

_SUBJECT = re.compile(rb"[\n&]subject_token=([\w.]+)-")
"""The part of a token that names it; a long token has padding behind the hyphen."""

_SETTLE = 0.03
FORGED = json_answer(200, {"access_token": "for-nobody", **GRANT})
_PAGE = (("Content-Type", "text/html"),)


@define(eq=False)
class Arrival:
    """One time that a subject token reached the server.

    Attributes:
        subject: The part of the token that names it.
        connection: The number of the connection.
        act: What the server did then, in words.
        status: Of the answer that the server began, if it began one.
        invites: Whether that answer says that the request was not acted on.
        issued: Whether tokens were issued, even if nobody was told.
    """

    subject: str
    connection: int
    act: str = "cut off while it arrived"
    status: int | None = None
    invites: bool = False
    issued: bool = False


@frozen
class Answer:
    """One way to answer a grant that was read.

    Attributes:
        weight: How often, compared with the others.
        name: What is done, in words.
        play: Does it.
        status: What the client is told, if it is told a status.
        invites: Whether that says that the request was not acted on.
        issued: Whether tokens are issued by then.
        is_slow: Whether the head takes its time, which an adapter of the application's own
            does not notice.
    """

    weight: int
    name: str
    play: Behaviour
    status: int | None = None
    invites: bool = False
    issued: bool = True
    is_slow: bool = False


@frozen
class Act:
    """One way to do anything else: to greet, to publish a document, to let rest.

    Attributes:
        weight: How often, compared with the others.
        name: What is done, in words.
        play: Does it.
        is_slow: As for an answer.
        is_early: Whether it happens before TLS.
    """

    weight: int
    name: str
    play: Any
    is_slow: bool = False
    is_early: bool = False


def _refuse(status: int, *headers: tuple[str, str], error: str = "refused") -> Answer:
    """Refuse with *status*, in JSON."""
    # RFC 9110 sections 15.5.9 and 15.6.4, RFC 8470 section 5.2, RFC 6585 section 4.
    is_invited = status in (408, 425, 429) or (status == 503 and bool(headers))
    return Answer(
        1,
        f"{status} {error} {dict(headers)}",
        says(json_answer(status, {"error": error}, headers)),
        status,
        is_invited and error != "too_many_attempts",
        issued=False,
    )


def _show_page(status: int, *headers: tuple[str, str]) -> Answer:
    """Refuse with *status*, by a page that is compressed, and cut short."""
    body = gzip.compress(b"<html>busy</html>")[:-9]
    encoded = (*_PAGE, ("Content-Encoding", "gzip"), *headers)
    play = says(answer(status, body, encoded))
    return Answer(1, f"{status}, gzip", play, status, True, issued=False)


def _cut_refusal(status: int) -> Answer:
    """Refuse with *status*, and close in the middle of the body."""

    def play(wire: Wire, request: WireRequest) -> None:
        wire.send(head(status, (JSON, ("Content-Length", "100"))) + b'{"error": ')
        wire.pause(_SETTLE)
        wire.close()

    return Answer(1, f"{status}, cut", play, status, status == 429, issued=False)


def _grant_in_chunks(wire: Wire, request: WireRequest) -> None:
    """Grant, in chunks of a few bytes."""
    body = _grant(request).partition(b"\r\n\r\n")[2]
    pieces = [chunk(body[at : at + 97]) for at in range(0, len(body), 97)]
    wire.send(head(200, (JSON, ("Transfer-Encoding", "chunked"))))
    wire.send(b"".join((*pieces, b"0\r\n\r\n")))


def _grant_and(end: Callable[[Wire], None]) -> Behaviour:
    """Grant, and at once do something else to the connection."""

    def play(wire: Wire, request: WireRequest) -> None:
        wire.send(_grant(request))
        end(wire)

    return play


def _inform_and_grant(status: int) -> Behaviour:
    """Grant, behind an interim answer in the same piece."""
    return lambda wire, request: wire.send(head(status) + _grant(request))


def _grant(request: WireRequest) -> bytes:
    return json_answer(200, grant_of(request))


def _half_close(wire: Wire) -> None:
    """Send the end of the connection, and go on to read it."""
    with suppress(OSError):
        # The plain socket's own: that of a TLS socket would drop its state as well.
        socket.socket.shutdown(wire.sock, socket.SHUT_WR)


def _end_tls(wire: Wire) -> None:
    """End TLS by agreement, as a proper server does."""
    assert isinstance(wire.sock, ssl.SSLSocket)
    wire.sock.settimeout(0.2)
    with suppress(OSError, ValueError):
        wire.sock.unwrap()
    wire.close()


def _say(data: bytes) -> Callable[[Wire], None]:
    return lambda wire: wire.send(data)


ANSWERS: list[Answer] = [
    Answer(40, "grants", grants, 200),
    Answer(4, "grants late", late(0.15), 200),
    Answer(4, "grants in chunks", _grant_in_chunks, 200),
    Answer(3, "grants, closes slowly", closes_slowly, 200),
    Answer(3, "grants, closes", _grant_and(Wire.close), 200),
    Answer(3, "grants, resets", _grant_and(Wire.reset), 200),
    Answer(3, "grants, ends TLS", _grant_and(_end_tls), 200),
    Answer(2, "grants, half-closes", _grant_and(_half_close), 200),
    Answer(3, "grants twice", grants_with_surplus, 200),
    Answer(2, "grants bytewise", grants_bytewise(0.002), 200, is_slow=True),
    Answer(1, "grants slowly", grants_bytewise(0.03), 200, is_slow=True),
    Answer(1, "grants in gzip", grants_in_gzip, 200),
    Answer(2, "103, grants", _inform_and_grant(103), 200),
    Answer(2, "100, grants", _inform_and_grant(100), 200),
    Answer(1, "100 for ever", informs_forever, is_slow=True),
    Answer(3, "resets", resets),
    Answer(3, "closes", closes),
    Answer(2, "half-closes", lambda wire, request: _half_close(wire)),
    Answer(2, "9 bytes, resets", stops_after(9, reset=True)),
    Answer(2, "40 bytes, closes", stops_after(40, reset=False), 200),
    Answer(2, "all but 30 bytes, resets", stops_after(-30, reset=True), 200),
    Answer(2, "all but a byte, closes", stops_after(-1, reset=False), 200),
    Answer(2, "chunks cut", chunks_cut, 200),
    Answer(1, "two lengths", two_lengths, 200),
    Answer(1, "breaks TLS", breaks_tls),
    Answer(1, "silence", silence),
    Answer(1, "drips a head", drips_head(0.02), 200, is_slow=True),
    Answer(1, "drips a body", drips_body(0.02), 200),
    Answer(1, "drips chunks", drips_chunks(0.02), 200),
    Answer(1, "falls silent", falls_silent(0.1), 200),
    Answer(1, "not HTTP", says(b"\x00\x01\x02 this is not HTTP\r\n\r\n")),
    Answer(1, "HTTP/9.7", says(b"HTTP/9.7 what\r\n\r\n")),
    Answer(1, "200, a page", says(answer(200, b"<html>hello</html>", _PAGE)), 200),
    Answer(1, "500", says(json_answer(500, {"error": "failed"})), 500, issued=False),
    Answer(1, "502, a page", says(answer(502, b"<html>sorry</html>", _PAGE)), 502),
    Answer(1, "504", says(answer(504, b"", ())), 504),
    Answer(1, "503", says(json_answer(503, {"error": "down"})), 503, issued=False),
    _refuse(503, ("Retry-After", "0")),
    _refuse(503, ("Retry-After", "1")),
    _refuse(429),
    _refuse(429, ("Retry-After", "0")),
    _refuse(429, ("Retry-After", "1")),
    _refuse(429, ("Connection", "close")),
    _refuse(429, error="too_many_attempts"),
    _refuse(408, ("Connection", "close")),
    _refuse(425),
    _refuse(400, error="invalid_grant"),
    _refuse(401, error="invalid_client"),
    _refuse(403, error="access_denied"),
    _show_page(429),
    _show_page(503, ("Retry-After", "0")),
    _cut_refusal(429),
    _cut_refusal(400),
    Answer(1, "307", says(answer(307, b"", (("Location", "/"),))), 307, issued=False),
]
"""How a grant is answered that was read."""

READINGS = {
    "all": 90,
    "small pieces": 2,
    "one byte": 2,
    "the head": 2,
    "a part of the body": 2,
    "the head, and answers": 1,
}
"""How much of a grant is read, and how often."""


def _shake_hands_and(act: Callable[[Wire], None]) -> Callable[[Wire], None]:
    def play(wire: Wire) -> None:
        greet.rightly(wire)
        act(wire)

    return play


def _shake_hands_late(wire: Wire) -> None:
    wire.pause(0.2)
    greet.rightly(wire)


GREETINGS: list[Act] = [
    Act(90, "TLS", greet.rightly),
    Act(2, "resets at once", Wire.reset, is_early=True),
    Act(2, "resets in TLS", greet.resets, is_early=True),
    Act(2, "closes in TLS", greet.closes, is_early=True),
    Act(1, "silence in TLS", greet.hangs, is_slow=True),
    Act(1, "drips TLS", greet.drips, is_slow=True),
    Act(1, "plain HTTP", greet.speaks_plain_http),
    Act(1, "old TLS", greet.old_tls_only),
    Act(2, "late TLS", _shake_hands_late, is_slow=True),
    Act(2, "TLS, resets", _shake_hands_and(Wire.reset)),
    Act(2, "TLS, closes", _shake_hands_and(Wire.close)),
]
"""How a connection begins."""

DOCUMENTS: list[Act] = [
    Act(70, "publishes", None),
    Act(4, "resets", resets),
    Act(4, "closes", closes),
    Act(3, "a page", says(answer(200, b"<html>hello</html>", _PAGE))),
    Act(3, "500", says(json_answer(500, {}))),
    Act(3, "429", says(json_answer(429, {}, (("Retry-After", "0"),)))),
    Act(3, "503", says(json_answer(503, {}, (("Retry-After", "0"),)))),
    Act(3, "cut", says(head(200, (JSON, ("Content-Length", "100"))) + b"{")),
    Act(1, "silence", silence),
    Act(1, "drips a body", drips_body(0.02)),
    Act(1, "drips a head", drips_head(0.02), is_slow=True),
    Act(1, "404", not_found),
]
"""How metadata and keys are answered."""


def _say_goodbye(wire: Wire) -> None:
    """Send what a server sends that waited too long, and close."""
    wire.send(answer(408, b"<html>idle</html>", (*_PAGE, ("Connection", "close"))))
    wire.pause(_SETTLE)
    wire.close()


RESTS: list[Act] = [
    Act(6, "stays", lambda wire: None),
    Act(3, "closes", Wire.close),
    Act(2, "resets", Wire.reset),
    Act(2, "ends TLS", _end_tls),
    Act(2, "half-closes", _half_close),
    Act(3, "a grant", _say(FORGED)),
    Act(1, "half a grant", _say(FORGED[:-20])),
    Act(2, "408, closes", _say_goodbye),
    Act(1, "103", _say(head(103))),
    Act(1, "not HTTP", _say(b"\x00\x01")),
]
"""What happens to a connection while it rests."""


class _CutOff(Exception):
    """Raised when as much of a request was read as the plan says."""


@define(eq=False)
class _Rest:
    """What wakes a connection that waits for its next request."""

    waker: socket.socket
    woken: socket.socket
    is_resting: bool = False
    acted: threading.Event = field(factory=threading.Event)


class _ChaosWire(Wire):
    """A connection that notes a token even if it arrives where nobody waits for one."""

    def hold(self) -> None:
        """Say nothing until the client leaves."""
        assert isinstance(self.server, ChaosServer)
        data = b""
        while piece := self._guard(lambda: self.sock.recv(65_536)):
            data += piece
            if self.server.note_arrival(data, self, "reads, and says nothing"):
                data = b""
        self.close()


class ChaosServer(WireServer):
    """A server that follows a plan until it is told to do everything rightly.

    Args:
        context: What a proper handshake shows.
        seed: What the plans are drawn from.
        signer: Signs the ID tokens.
        is_brisk: Whether to leave out what takes its time before a body, as an adapter of
            the application's own does not notice that.
        begins_tls: Whether to leave out what happens before TLS, as uvloop with a connector
            of the application's own then closes the descriptors of others (see
            ``aiohttp_connector``).

    Attributes:
        arrivals: Each time that a subject token arrived.
        history: What was done on each connection.
        is_calm: Whether everything is done rightly.
        gathering: Those who are granted something at the same time.
    """

    wire_class = _ChaosWire

    def __init__(
        self,
        context: ssl.SSLContext,
        seed: str,
        signer: Signer,
        *,
        is_brisk: bool,
        begins_tls: bool,
    ) -> None:
        self._seed = seed
        self._answers = [each for each in ANSWERS if not (is_brisk and each.is_slow)]
        self._greetings = [
            each
            for each in GREETINGS
            if not (is_brisk and each.is_slow) and not (begins_tls and each.is_early)
        ]
        self._documents = [
            each for each in DOCUMENTS if not (is_brisk and each.is_slow)
        ]
        self._name_actor = names_actor(signer)
        self._publish = publishes(signer)
        self.arrivals: list[Arrival] = []
        self.history: dict[int, list[str]] = defaultdict(list)
        self.is_calm = False
        self.gathering: threading.Barrier | None = None
        self._rests: dict[int, _Rest] = {}
        super().__init__(
            context,
            token=grants,
            discovery=document,
            jwks=self._publish,
            elsewhere=not_found,
        )

    def gather(self, count: int, within: float) -> None:
        """From now on, grant when *count* requests are there at the same time."""
        self.gathering = threading.Barrier(count, timeout=within)

    def disturb_resting(self) -> None:
        """Do to each connection at rest what its plan says; return when it is done."""
        resting = [rest for rest in list(self._rests.values()) if rest.is_resting]
        for rest in resting:
            with suppress(OSError):
                rest.waker.send(b"x")
        for rest in resting:
            rest.acted.wait(1.0)
        time.sleep(_SETTLE)

    def note_arrival(self, data: bytes, wire: Wire, act: str) -> Arrival | None:
        """Note that a subject token is in *data*, if one is."""
        found = _SUBJECT.search(data)
        if found is None:
            return None
        # Whoever was answered before the body was read was told 429.
        invites = "answers at once" in self.history[wire.number]
        arrival = Arrival(found[1].decode(), wire.number, act, invites=invites)
        self.arrivals.append(arrival)
        return arrival

    def _choose(self, chance: Random, acts: list[Act], number: int) -> Any:
        """Draw an act; the first, which is right, when everything is calm."""
        act = chance.choices(acts, [each.weight for each in acts])[0]
        if self.is_calm:
            act = acts[0]
        self.history[number].append(act.name)
        return act.play

    def _converse(self, wire: Wire) -> None:
        chance = Random(f"{self._seed}/{wire.number}")
        rest = _Rest(*socket.socketpair())
        self._rests[wire.number] = rest
        try:
            # OSError: of what writes past the wire, as those do that break TLS.
            with suppress(ClientLeft, OSError, ValueError):
                self._choose(chance, self._greetings, wire.number)(wire)
                while wire.is_open:
                    is_request = self._wait(wire, rest, chance)
                    if is_request and not self._serve(wire, chance):
                        break
        finally:
            del self._rests[wire.number]
            wire.close()
            rest.waker.close()
            rest.woken.close()

    def _wait(self, wire: Wire, rest: _Rest, chance: Random) -> bool:
        """Wait until the client says something, or act; return whether it was the client."""
        rest.acted.clear()
        rest.is_resting = True
        try:
            if not self._is_woken(wire, rest):
                return True
            self._choose(chance, RESTS, wire.number)(wire)
            return False
        finally:
            rest.is_resting = False
            rest.acted.set()

    @staticmethod
    def _is_woken(wire: Wire, rest: _Rest) -> bool:
        """Wait; return whether it was the test that said something, not the client."""
        if isinstance(wire.sock, ssl.SSLSocket) and wire.sock.pending():
            return False
        # Not ``select``, which knows no descriptor above 1,023.
        poll = select.poll()
        for sock in (wire.sock, rest.woken):
            poll.register(sock, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll()}
        is_woken = rest.woken.fileno() in ready and bool(rest.woken.recv(64))
        return is_woken and wire.sock.fileno() not in ready

    def _serve(self, wire: Wire, chance: Random) -> bool:
        """Serve one request; return whether there may be another."""
        reading = chance.choices(list(READINGS), list(READINGS.values()))[0]
        try:
            request, arrival = self._read(wire, "all" if self.is_calm else reading)
        except _CutOff:
            self.history[wire.number].append(f"reads {reading}")
            if reading == "the head, and answers":
                self.history[wire.number].append("answers at once")
                busy = json_answer(429, {"error": "busy"}, (("Connection", "close"),))
                wire.send(busy)
            chance.choice((wire.reset, wire.close, wire.hold))()
            return False
        if request is None:
            return False
        self.requests.append(request)
        if arrival is None:
            right = {DISCOVERY: document, JWKS: self._publish}
            play = self._choose(chance, self._documents, wire.number)
            (play or right.get(request.path, not_found))(wire, request)
        else:
            self._answer_grant(wire, request, arrival, chance)
        return True

    def _read(
        self, wire: Wire, reading: str
    ) -> tuple[WireRequest | None, Arrival | None]:
        """Read a request, or as much of it as *reading* says, noting what arrives."""
        data = b""
        arrival: Arrival | None = None
        is_cut = reading not in ("all", "small pieces")

        def receive(size: int) -> bytes:
            nonlocal data, arrival
            if is_cut and data[:1] == b"P" and not _is_short(data, reading):
                raise _CutOff
            if reading == "small pieces":
                wire.pause(0.002)
            step = 65_536 if reading == "all" else 64 if data else 1
            piece = wire.sock.recv(min(size, step))
            data += piece
            if arrival is None:
                arrival = self.note_arrival(data, wire, f"reads {reading}")
            return piece

        try:
            return read_request(receive, wire.number), arrival
        except OSError as error:
            raise ClientLeft from error

    def _answer_grant(
        self, wire: Wire, request: WireRequest, arrival: Arrival, chance: Random
    ) -> None:
        choice = chance.choices(self._answers, [a.weight for a in self._answers])[0]
        if self.is_calm:
            choice = self._answers[0]
        self.history[wire.number].append(choice.name)
        arrival.act, arrival.status = choice.name, choice.status
        arrival.invites, arrival.issued = choice.invites, choice.issued
        if self.is_calm and self.gathering is not None:
            with suppress(threading.BrokenBarrierError):
                self.gathering.wait()
        play = choice.play
        # In one record of TLS: what arrives after the client has looked is undetectable.
        if play is grants_with_surplus and len(request.body) > 8_000:
            play = grants
        if play is grants and "actor_token" in request.form:
            play = self._name_actor
        play(wire, request)


def _is_short(data: bytes, reading: str) -> bool:
    """Return whether less was read than *reading* says."""
    if reading == "one byte":
        return False
    if reading == "a part of the body":
        return _SUBJECT.search(data) is None
    return b"\r\n\r\n" not in data
