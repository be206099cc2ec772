"""A browser of a soak, which judges whatever it sees."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

import attrs

from auth0_tx import (
    AmbiguousError,
    Auth0Error,
    BackchannelLogoutError,
    LoginRequiredError,
    StoreError,
    WrongAudienceError,
)
from tests.e2e.sessions.logins import AUDIENCE, Browser
from tests.e2e.sessions.soak.application import (
    ABSOLUTE_SECONDS,
    IDLE_SECONDS,
    MEMORY_SECONDS,
    SLACK,
    Soak,
    failed_commands,
)
from tests.e2e.sessions.soak.calls import Abandoned
from tests.e2e.sessions.soak.tenant import FOREIGN_AUDIENCE, OTHER_AUDIENCE
from tests.e2e.sessions.visits import LOGIN, build_options, read_claims

COOKIE = "__Host-auth0_tx"

LOST_ON_THE_WAY = 0.03
LATE = 0.1
LATEST = 3.0
"""How late an answer is at most, in terms of the browser's pace."""

READS = ("read", "session")
TOKENS = {
    "token": AUDIENCE,
    "other token": OTHER_AUDIENCE,
    "foreign token": FOREIGN_AUDIENCE,
}
WEIGHTS = {
    "read": 35,
    "session": 5,
    "token": 35,
    "other token": 17,
    "foreign token": 8,
}


@attrs.define(eq=False)
class Login:
    """A session, as an onlooker knows it who sees browser and server.

    Attributes:
        user: whose it is.
        family: the first of its refresh tokens.
        began: when the login was asked for.
        used: when a request with it was last sent.
        noted: when a request was last sent whose answer arrived, so that its use is noted.
        ending: by what it ends, from the moment that this begins.
        ended: when it had ended.
        harms: what makes it legitimate that its refresh token is refused, and since when.
        newest: the number of the newest answer with its cookies that has arrived.
        has_arrived: whether the answer to its login has arrived.
        is_lost: whether it was found to be lost, or over.
    """

    user: str
    family: str = attrs.field(repr=False)
    began: float
    used: float
    noted: float
    ending: str | None = None
    ended: float | None = None
    harms: dict[str, float] = attrs.field(factory=dict)
    newest: int = 0
    has_arrived: bool = False
    is_lost: bool = False


@attrs.define(eq=False)
class Sent:
    """A request that was sent, and how it went.

    Attributes:
        operation: what it asks for.
        login: the session that the browser's cookies were of.
        options: the store options.
        at: when it was sent.
        used_before: when the session was used before.
        value: the result.
        error: the error that it ended with.
        number: orders the answers by the ends of their calls.
        new_login: the session that a login made.
        failures: the store's commands that failed in it.
    """

    operation: str
    login: Login | None
    options: dict[str, Any] = attrs.field(repr=False)
    at: float
    used_before: float
    value: Any = attrs.field(default=None, repr=False)
    error: Exception | None = None
    number: int = 0
    new_login: Login | None = None
    failures: list[str] = attrs.field(factory=list)


@attrs.define(eq=False)
class SoakBrowser:
    """A browser, and what it must and must not see.

    Attributes:
        soak: the application.
        users: its two users.
        jar: its cookies.
        login: the session that its cookies are of.
        made: every session that a login of it has made.
        history: what happened last, to be told with a violation.
    """

    soak: Soak
    number: int
    users: tuple[str, str]
    jar: Browser = attrs.field(factory=Browser)
    login: Login | None = None
    made: list[Login] = attrs.field(factory=list)
    history: deque[str] = attrs.field(factory=lambda: deque(maxlen=20))
    _late: set[asyncio.Task[None]] = attrs.field(factory=set)

    async def run(self) -> None:
        """Go on until the time is over, and then look once more."""
        random = self.soak.random
        await asyncio.sleep(random.random() * self.soak.pace)
        while time.monotonic() < self.soak.until:
            await self.play_round()
            nap = random.expovariate(1 / self.soak.pace)
            if random.random() < 0.003:
                # Longer than a client remembers the outcome of a refresh.
                nap = MEMORY_SECONDS + random.random() * 10
            await asyncio.sleep(max(0, min(nap, self.soak.until - time.monotonic())))

    async def play_round(self) -> None:
        """Do one of the things that browsers do."""
        chance = self.soak.random.random()
        if self.login is None or self.login.is_lost:
            if chance < 0.85:
                await self.log_in()
            else:
                await self.send_burst()
        elif chance < 0.86:
            await self.send_burst()
        elif chance < 0.92:
            await self.send_burst("logout")
        elif chance < 0.95:
            await self.log_in()
        elif not self.soak.is_in_cookies:
            await asyncio.gather(self.send_burst(), self.end_from_outside())

    async def send_burst(self, *more: str) -> None:
        """Send some requests at once, each in a moment, and wait for their ends."""
        random = self.soak.random
        operations = random.choices(
            [*WEIGHTS], [*WEIGHTS.values()], k=random.choice((1, 1, 2, 3))
        )
        await asyncio.gather(*(self.ask(name) for name in (*operations, *more)))

    async def ask(self, operation: str) -> None:
        """Send a request, judge its result, and let its answer arrive, or not."""
        await asyncio.sleep(self.soak.random.random() * 0.01)
        sent = self.send(operation)
        login = sent.login
        method, arguments = self.describe(operation)
        if operation == "logout" and login is not None:
            login.ending = "logout"
        if await self.serve(sent, method, *arguments):
            self.judge(sent)
            if operation == "logout" and sent.error is None:
                self.note_end(login)
            await self.deliver(sent)
            if operation == "logout" and sent.error is not None:
                await self.log_out_again(sent)
        elif operation in TOKENS and login is not None:
            self.note_abandoned(login)

    def describe(self, operation: str) -> tuple[str, tuple[Any, ...]]:
        """Return the client's method for an operation, and its arguments."""
        match operation:
            case "read":
                return "get_user", ()
            case "session":
                return "get_session", ()
            case "logout":
                return "logout", ()
            case _:
                return "get_access_token", (TOKENS[operation],)

    def send(self, operation: str) -> Sent:
        """Return a request with the cookies that the browser has now."""
        now, login = time.time(), self.login
        used = now if login is None else login.used
        if login is not None:
            login.used = now
        return Sent(operation, login, self.jar.request(), now, used)

    async def serve(self, sent: Sent, method: str, *arguments: Any) -> bool:
        """Have a request served; return whether there is an answer."""
        given: tuple[Any, ...] = (sent.options, *arguments)
        if method == LOGIN:
            given = (*arguments, sent.options)
        token = failed_commands.set(sent.failures)
        try:
            sent.value = await self.soak.call(self.choose_client(), method, *given)
        except Abandoned:
            self.count(sent.operation, "abandoned")
            self.note("abandoned", sent)
            return False
        except Auth0Error as error:
            sent.error = error
            self.count(sent.operation, type(error).__name__)
        else:
            self.count(sent.operation, "good")
        finally:
            failed_commands.reset(token)
            sent.number = self.soak.take_number()
        self.note("served", sent)
        return True

    def note_violation(self, text: str) -> None:
        """Note what must not be, with what happened before."""
        self.soak.note_violation("\n        ".join([text, *self.history]))

    def note(self, text: str, sent: Sent) -> None:
        """Note what happened."""
        names = [name for name in sent.options["request"].cookies if COOKIE in name]
        changes = [
            f"{'+' if int(morsel['max-age']) > 0 else '-'}{name.removeprefix(COOKIE)}"
            for name, morsel in sent.options["response"].jar.items()
        ]
        user = "nobody" if sent.login is None else sent.login.user
        self.history.append(
            f"{time.time():.3f} {text}: {sent.operation} of {user}, sent {sent.at:.3f} "
            f"with {[name.removeprefix(COOKIE) for name in names]}, {changes}"
        )

    def count(self, operation: str, result: str) -> None:
        """Count a request."""
        self.soak.operations[f"{operation}: {result}"] += 1

    def choose_client(self) -> Any:
        """Return the client that serves the next request."""
        clients = self.soak.clients
        if self.soak.is_in_cookies:
            return clients[self.number % len(clients)]
        return self.soak.random.choice(clients)

    # -- logging in, and ends -----------------------------------------------------------

    async def log_in(self) -> None:
        """Log one of the users in, over whatever session there is."""
        user = self.soak.random.choice(self.users)
        sent, before = self.send("login"), self.login
        options = build_options(self.soak.tenant, user)
        replaces = before is not None and before.ending is None
        if before is not None and replaces and not self.soak.is_in_cookies:
            before.ending = "login over it"
        if not await self.serve(sent, LOGIN, options):
            return
        if before is not None and replaces and sent.error is not None:
            # No session was made, so none made room for it.
            before.ending = None
        if sent.error is None:
            state = sent.value.state_data
            if state["user"]["sub"] != user:
                self.note_violation(f"a login of {user} made {state['user']}")
            sent.new_login = Login(
                user, str(state["refresh_token"]), sent.at, sent.at, sent.at
            )
            self.made.append(sent.new_login)
            # An earlier session that the store could not delete lasts its time, unused.
            if not sent.failures:
                self.note_end(before)
        elif isinstance(sent.error, StoreError) and sent.error.response is None:
            self.note_violation(f"a login lost its tokens: {sent.error!r}")
        await self.deliver(sent)

    async def log_out_again(self, sent: Sent) -> None:
        """Send a logout that failed once more, with the cookies of before."""
        for _ in range(5):
            again = attrs.evolve(
                sent, options=self.copy_request(sent), error=None, failures=[]
            )
            if await self.serve(again, "logout") and again.error is None:
                self.note_end(sent.login)
                return

    def copy_request(self, sent: Sent) -> dict[str, Any]:
        """Return a request with the same cookies, and a response of its own."""
        return Browser(sent.options["request"].cookies).request()

    async def end_from_outside(self) -> None:
        """End all sessions of the user: Auth0 does, or the application."""
        login = self.login
        if login is None:
            return
        old = Browser(dict(self.jar.cookies))
        by_auth0 = self.soak.random.random() < 0.6
        cause = "an end by Auth0" if by_auth0 else "an end by the application"
        # Also a session of the user whose cookies have not arrived yet, or never will.
        ended = [each for each in self.made if each.user == login.user]
        for each in ended:
            each.ending = each.ending or cause
        token = self.soak.tenant.logout_token(login.user)
        has_ended, has_failed = False, False
        # Auth0 sends a token again until it is taken.
        while not has_ended:
            try:
                if by_auth0:
                    await self.soak.call(
                        self.choose_client(), "handle_backchannel_logout", token
                    )
                else:
                    await self.soak.call(
                        self.choose_client(), "end_sessions", sub=login.user
                    )
            except Abandoned:
                has_failed = True
            except StoreError:
                self.count(cause, "StoreError")
                has_failed = True
            except BackchannelLogoutError as error:
                # Its mark was made although the store said that it was not.
                has_ended = has_failed
                if not has_failed:
                    self.note_violation(f"a logout token is refused: {error!r}")
                    return
            except Auth0Error as error:
                self.count(cause, type(error).__name__)
                has_failed = True
            else:
                has_ended = True
        self.count(cause, "good")
        for each in ended:
            each.ended = each.ended or time.time()
        await asyncio.sleep(self.soak.random.random())
        await self.probe(old, login)

    async def probe(self, old: Browser, login: Login) -> None:
        """Look whether the cookies of a session that has ended open anything."""
        try:
            user = await self.soak.call(self.choose_client(), "get_user", old.request())
        except (Abandoned, Auth0Error):
            return
        if user is not None:
            self.note_violation(f"alive after {login.ending}: {user['sub']}")

    def note_end(self, login: Login | None) -> None:
        """Note that a session on the server has ended; in cookies the answer must arrive."""
        if login is not None and not self.soak.is_in_cookies:
            login.ended = login.ended or time.time()

    # -- answers on their way -----------------------------------------------------------

    async def deliver(self, sent: Sent) -> None:
        """Let an answer arrive at once, late, or never."""
        soak = self.soak
        if soak.has_chance(LOST_ON_THE_WAY):
            self.note_undelivered(sent)
        elif soak.has_chance(LATE):
            task = asyncio.create_task(self.deliver_late(sent))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        else:
            await asyncio.sleep(soak.random.random() * 0.01)
            self.take(sent)

    async def deliver_late(self, sent: Sent) -> None:
        """Let an answer arrive in some seconds."""
        await asyncio.sleep(self.soak.random.random() * LATEST * self.soak.pace)
        self.take(sent)

    async def wait_for_late_answers(self) -> None:
        """Wait until the last answer has arrived."""
        while self._late:
            await asyncio.wait(set(self._late))

    def take(self, sent: Sent) -> None:
        """Take an answer's cookies."""
        jar = sent.options["response"].jar
        changes = [name for name in jar if is_session_cookie(name)]
        sets = [name for name in changes if int(jar[name]["max-age"]) > 0]
        self.jar.take(sent.options)
        self.note("arrived", sent)
        login = sent.login
        if login is not None and sent.error is None:
            login.noted = max(login.noted, sent.at)
        if sent.operation == "logout":
            self.take_end()
        elif sent.new_login is not None:
            self.end_in_cookies("login over it")
            sent.new_login.has_arrived = True
            self.login = sent.new_login
        elif sets:
            self.take_renewed(sent)
        elif changes and login is not self.login:
            self.note_violation(
                f"a late answer to a {sent.operation} deleted a newer session's cookies"
            )

    def take_end(self) -> None:
        """Take the answer to a logout, which deletes the browser's session."""
        self.end_in_cookies("logout")
        self.login = None

    def end_in_cookies(self, cause: str) -> None:
        """Note that no session counts any more which the browser had in its cookies.

        In a store, a newer session goes on, and nobody can reach it any more.
        """
        if not self.soak.is_in_cookies:
            return
        for login in self.made:
            if login.has_arrived:
                login.ending = login.ending or cause
                login.ended = login.ended or time.time()

    def take_renewed(self, sent: Sent) -> None:
        """Take cookies that a read or a refresh set."""
        login = sent.login
        if login is None:
            self.note_violation(f"a {sent.operation} made a session of nothing")
            return
        if sent.number < login.newest:
            login.harms["overtaken"] = time.time()
        else:
            login.newest = sent.number
            login.harms.pop("the answer was lost on the way", None)
        if login is not self.login and self.login is not None:
            if self.soak.is_in_cookies:
                self.soak.losses["hidden by a late answer"] += 1
            else:
                self.note_violation("a late answer replaced a newer session's id")
        self.login = login

    def note_undelivered(self, sent: Sent) -> None:
        """Note that an answer is lost on its way."""
        self.note("lost on its way", sent)
        jar = sent.options["response"].jar
        if sent.login is not None and any(map(is_session_cookie, jar)):
            sent.login.harms["the answer was lost on the way"] = time.time()

    def note_abandoned(self, login: Login) -> None:
        """Note that nobody has the answer to a call."""
        if not self.soak.is_async:
            login.harms["interrupted"] = time.time()
        if self.soak.is_in_cookies:
            login.harms["the answer was lost on the way"] = time.time()

    # -- what must hold -----------------------------------------------------------------

    def judge(self, sent: Sent) -> None:
        """Judge the result of a request by what the browser had when it sent it."""
        operation = sent.operation
        if operation in TOKENS:
            self.note_harm(sent)
        if operation in READS and sent.error is None:
            if sent.value is None:
                self.judge_nobody(sent)
            else:
                user = sent.value if operation == "read" else sent.value["user"]
                self.judge_user(sent, user["sub"])
        elif operation in TOKENS:
            if sent.error is None:
                self.judge_token(sent)
            elif isinstance(sent.error, LoginRequiredError):
                self.judge_nobody(sent)
            elif operation != "foreign token" and isinstance(
                sent.error, WrongAudienceError
            ):
                self.note_violation(f"{operation}: {sent.error!r}")

    def judge_user(self, sent: Sent, user: str) -> None:
        """Judge a session that is alive."""
        login = sent.login
        if login is None:
            self.note_violation(f"{sent.operation}: {user} has a session of nothing")
        elif user != login.user:
            self.note_violation(f"{sent.operation}: {login.user} sees {user}")
        elif login.ended is not None and login.ended < sent.at:
            self.note_violation(f"{sent.operation}: alive after {login.ending}")
        elif sent.at > login.began + ABSOLUTE_SECONDS + SLACK:
            self.note_violation(f"{sent.operation}: alive after its absolute lifetime")
        elif sent.at > sent.used_before + IDLE_SECONDS + SLACK:
            self.note_violation(f"{sent.operation}: alive after its idle lifetime")

    def judge_token(self, sent: Sent) -> None:
        """Judge an access token."""
        claims, wanted = read_claims(sent.value), TOKENS[sent.operation]
        self.judge_user(sent, claims["sub"])
        audience = claims["aud"]
        audiences = [audience] if isinstance(audience, str) else audience
        if wanted not in audiences:
            self.note_violation(f"{sent.operation}: a token for {audiences}")
        # Asked for before it expired; the answer may have taken a moment.
        if claims["exp"] < sent.at:
            self.note_violation(f"{sent.operation}: a token that had expired")

    def judge_nobody(self, sent: Sent) -> None:
        """Judge that there is no session, or none that can be renewed."""
        login, now, soak = sent.login, time.time(), self.soak
        if login is None or login.is_lost:
            return
        if login.ending is not None:
            cause = login.ending
        elif now > login.began + ABSOLUTE_SECONDS - SLACK:
            cause = "absolute lifetime"
        elif now > login.noted + IDLE_SECONDS * 0.8 - SLACK:
            # A use is noted at each tenth of the idle lifetime.
            cause = "idle lifetime"
        elif sent.error is not None and soak.watch.is_refused(login.family):
            cause = self.explain_refusal(login, now)
            if cause is None:
                self.note_violation(
                    f"{sent.operation}: refused without a cause; harms {login.harms}"
                )
                cause = "no cause"
            cause = f"invalid_grant, {cause}"
        else:
            self.note_violation(
                f"{sent.operation} of {login.user}: the session is lost "
                f"({sent.error!r}; harms {login.harms}, store {sent.failures})"
            )
            cause = "unexplained"
        login.is_lost = True
        soak.losses[cause] += 1

    def explain_refusal(self, login: Login, now: float) -> str | None:
        """Return why the tenant refused a refresh token, or ``None`` if nothing explains it."""
        if self.soak.watch.has_lost_answer(login.family):
            return "Auth0's answer was lost"
        for harm, at in login.harms.items():
            # What one answer did not bring, the client gives to the next, for a minute.
            is_remembered = now < at + MEMORY_SECONDS - SLACK
            if harm != "the answer was lost on the way" or not is_remembered:
                return harm
        return None

    def note_harm(self, sent: Sent) -> None:
        """Note what a call for a token may have done to the refresh token."""
        login, error = sent.login, sent.error
        if login is None:
            return
        if error is not None and not isinstance(error, WrongAudienceError):
            if isinstance(error, AmbiguousError):
                login.harms[f"{error.code}"] = time.time()
            elif error.tokens_issued:
                login.harms["issued, and not kept"] = time.time()
        if len(sent.failures) > 1:
            login.harms["the store failed again"] = time.time()

    async def look_once_more(self) -> None:
        """At the end, when nothing fails: each session that should be there can be renewed."""
        await self.wait_for_late_answers()
        login = self.login
        if login is None or login.is_lost or login.ending is not None:
            return
        sent = self.send("token")
        if not await self.serve(sent, "get_access_token", AUDIENCE):
            return
        self.judge(sent)
        if sent.error is not None and not isinstance(sent.error, LoginRequiredError):
            self.note_violation(f"at the end: {sent.error!r}")


def is_session_cookie(name: str) -> bool:
    """Return whether a cookie holds or names a session, whole or a part of it."""
    suffix = name.removeprefix(COOKIE)
    return name.startswith(COOKIE) and (not suffix or suffix[1:].isdigit())
