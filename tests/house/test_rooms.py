"""The rooms, and the arrows between them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import PACKAGE, get_name, list_imports, list_modules

LEAVES = ("bounded", "locks", "places", "secret", "version", "token_types", "events")
VALUES = ("values", "results", "session_values", "errors")
ROOMS = {
    "": ("errors", "values", "client", "aio", "core", *LEAVES),
    "clocks": (),
    "bounded": (),
    "places": (),
    "locks": (),
    "secret": (),
    "version": (),
    "token_types": (),
    "events": (),
    "errors": ("secret",),
    "values": ("errors", "secret"),
    "results": ("values", "errors", "secret"),
    "session_values": ("values", "secret"),
    "core": ("core", *VALUES, *LEAVES),
    "shells": (
        "shells",
        "core",
        *VALUES,
        "clocks",
        *LEAVES,
    ),
    "frameworks": ("frameworks", "core", "errors", "secret"),
    "integrations": (
        "integrations",
        "",
        "cli",
        "doctor",
        "client",
        "aio",
        "caches",
        "stores",
        "shells",
        "frameworks",
        "core",
        *VALUES,
        "clocks",
        *LEAVES,
    ),
    "client": (
        "shells",
        "frameworks",
        "core",
        *VALUES,
        *LEAVES,
    ),
    "aio": (
        "shells",
        "frameworks",
        "core",
        *VALUES,
        *LEAVES,
    ),
    "calling": (
        "calling",
        "client",
        "aio",
        "shells",
        "core",
        *VALUES,
        *LEAVES,
    ),
    "stores": ("stores", "core", "errors", "secret", "clocks", "locks", "places"),
    "caches": ("caches", "stores", "core", "errors", "secret"),
    "doctor": (
        "doctor",
        "",
        "client",
        "shells",
        "core",
        *VALUES,
        "clocks",
        *LEAVES,
    ),
    "tenant": ("tenant", "token_types", "clocks"),
    "testing": (
        "testing",
        "tenant",
        "integrations",
        "client",
        "aio",
        "shells",
        "frameworks",
        *VALUES,
        "secret",
        "clocks",
    ),
    "cli": (
        "",
        "cli",
        "doctor",
        "tenant",
        "client",
        "aio",
        "core",
        *VALUES,
        "clocks",
        *LEAVES,
    ),
}
OUTSIDE_WORLD = {
    "aiohttp",
    "asyncio",
    "http",
    "logging",
    "multiprocessing",
    "os",
    "random",
    "requests",
    "secrets",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "urllib.request",
    "urllib3",
    "uuid",
}


@pytest.mark.parametrize("path", list_modules(), ids=get_name)
def test_arrows_go_down(path: Path) -> None:
    """A module imports only from the rooms that its own room may enter."""
    room = get_name(path).partition(".")[0]
    allowed = {f"auth0_tx.{below}".rstrip(".") for below in ROOMS[room]}

    ours = [
        (line, name)
        for line, name in list_imports(path)
        if name.split(".")[0] == "auth0_tx"
    ]
    wrong = [(line, name) for line, name in ours if find_room(name) not in allowed]

    assert wrong == []


def find_room(name: str) -> str:
    parts = name.split(".")
    is_room = len(parts) > 1 and (
        (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").is_file()
    )
    return ".".join(parts[:2]) if is_room else parts[0]


CORE = {
    # Each room of the core, and the rooms that it may enter.
    "effects": (),
    "wire": ("effects",),
    "jose": ("wire",),
    "session": ("wire", "jose"),
    "cache": ("wire",),
    "configuration": ("wire", "session", "cache"),
    "context": ("configuration", "wire", "jose", "session", "cache", "effects"),
    "flows": (
        "context",
        "configuration",
        "cache",
        "session",
        "jose",
        "wire",
        "effects",
    ),
    "bulk": ("flows", "context", "configuration", "wire", "effects"),
}


@pytest.mark.parametrize("path", list_modules("core"), ids=get_name)
def test_arrows_of_the_core_go_down(path: Path) -> None:
    """A room of the core imports only from the rooms below it, as listed here."""
    room = get_name(path).split(".")[1:2] or [""]

    rooms = {
        find_core_room(name)
        for _, name in list_imports(path)
        if name.startswith("auth0_tx.core.")
    }

    assert rooms - {room[0], *CORE.get(room[0], ())} == set()


def find_core_room(name: str) -> str:
    return name.split(".")[2]


@pytest.mark.parametrize(
    "path",
    [
        path
        for room in ("integrations", "doctor", "cli", "testing")
        for path in list_modules(room)
    ],
    ids=get_name,
)
def test_nobody_reads_a_clients_insides(path: Path) -> None:
    """Rooms above the clients use their public methods, never the flows' context."""
    read = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "_context"
    ]

    assert read == []


def test_frameworks_are_not_imported() -> None:
    """The room of the frameworks knows them by their shape; one key needs aiohttp.web itself."""
    hosts = {"aiohttp", "django", "flask", "starlette", "werkzeug"}

    importing = [
        get_name(path)
        for path in list_modules("frameworks")
        for _, name in list_imports(path)
        if name.split(".")[0] in hosts
    ]

    assert ["frameworks.aiohttp_keys"] == importing


@pytest.mark.parametrize("path", list_modules("core"), ids=get_name)
def test_core_touches_nothing(path: Path) -> None:
    """The core imports no clock, socket, loop, thread, logger or HTTP library."""
    names = {name for _, name in list_imports(path)}

    assert {
        n for n in names if n in OUTSIDE_WORLD or n.split(".")[0] in OUTSIDE_WORLD
    } == set()


@pytest.mark.parametrize("module", ["auth0_tx", "auth0_tx.core.flows.exchange"])
def test_core_loads_alone(module: str) -> None:
    """Importing the package, or the flows, loads no HTTP and no JOSE library."""
    code = (
        f"import sys, {module}\n"
        "heavy = ('requests', 'aiohttp', 'urllib3', 'joserfc', 'authlib', 'cryptography',"
        " 'asyncio', 'ssl', 'http.client')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert ran.stdout.strip() == "[]"


CLIENT = "domain='t.us.auth0.com', client_id='c', client_secret='s'"
SESSIONS = f"{CLIENT}, secret='0123456789abcdef' * 2"
CACHE = f"{CLIENT}, token_cache=__import__('auth0_tx.caches').caches.MemoryTokenCache()"
SESSION_FLOWS = {"access_tokens", "login", "logout", "session", "session_transfer"}


def list_loaded(kind: str, keywords: str) -> set[str]:
    """Return the modules that are loaded once a client was made in a new process."""
    code = f"import sys, auth0_tx; auth0_tx.{kind}({keywords}); print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return {
        name.removeprefix("auth0_tx.").removeprefix("core.")
        for name in ran.stdout.split()
    }


@pytest.mark.parametrize("kind", ["ServerClient", "AsyncServerClient"])
def test_client_that_exchanges_loads_nothing_else(kind: str) -> None:
    """A client without sessions, a cache and a subscriber loads none of their modules."""
    loaded = list_loaded(kind, CLIENT)

    assert "flows.exchange" in loaded
    assert (
        loaded
        & {
            *(f"flows.{name}" for name in SESSION_FLOWS),
            *(
                "flows.cached_exchange",
                "flows.refresh",
                "cache.tokens",
                "cache.token_cache",
                "session.state",
                "session.cookies",
                "session.refresh_outcome",
                "wire.private_key_jwt",
                "results",
            ),
            *("bulk", "bulk.plan", "events", "session_values", "frameworks.cookies"),
        }
        == set()
    )


@pytest.mark.parametrize("kind", ["ServerClient", "AsyncServerClient"])
@pytest.mark.parametrize(
    ("keywords", "needed"),
    [
        (SESSIONS, {f"flows.{name}" for name in SESSION_FLOWS}),
        (CACHE, {"flows.cached_exchange"}),
        (f"{CLIENT}, on_event=print", {"events"}),
    ],
)
def test_client_loads_what_it_is_configured_for(
    kind: str, keywords: str, needed: set[str]
) -> None:
    """No call has to import the flows of sessions, of a cache, or the events."""
    assert needed - list_loaded(kind, keywords) == set()


@pytest.mark.parametrize("path", list_modules("core/flows"), ids=get_name)
def test_nothing_is_dropped(path: Path) -> None:
    """No flow or effect stands as a bare statement: that is a forgotten ``yield from``."""
    effects = {
        "Send",
        "Sleep",
        "Invoke",
        "Share",
        "Accompany",
        "Begin",
        "Postpone",
        "Emit",
        "Warn",
    }
    flows = {
        node.name
        for module in list_modules("core/flows")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef)
        and "Flow[" in ast.unparse(node.returns or ast.Constant(0))
    }

    dropped = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, (ast.Call, ast.Yield))
        and (
            isinstance(node.value, ast.Yield)
            or get_called_name(node.value) in flows | effects
        )
    ]

    assert dropped == []


def get_called_name(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def test_flows_know_no_store() -> None:
    """Only the keepers of sessions, and the room that chooses one, know where sessions are."""
    stores = {"CookieStore", "CookieSessions", "StoredSessions"}
    naming = {
        path.stem
        for path in list_modules("core/flows")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and node.id in stores
    }

    assert naming == {"session", "session_keeper", "session_lock"}


def test_no_flow_yields_while_it_closes() -> None:
    """No flow touches the world in ``finally``: a closed generator could not."""
    yielding = [
        (get_name(path), inner.lineno)
        for path in list_modules("core/flows")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Try)
        for statement in node.finalbody
        for inner in ast.walk(statement)
        if isinstance(inner, (ast.Yield, ast.YieldFrom))
    ]

    assert yielding == []


@pytest.mark.parametrize("path", list_modules(), ids=get_name)
def test_nothing_is_unpickled(path: Path) -> None:
    """No module reads what could run code: a store may be written by others."""
    names = {name.split(".")[0] for _, name in list_imports(path)}

    assert names & {"pickle", "marshal", "shelve", "dill", "yaml"} == set()


@pytest.mark.parametrize("path", list_modules(), ids=get_name)
def test_clocks_are_read_in_one_place(path: Path) -> None:
    """Only one module reads the system's clocks: a freeze then changes them for all, or none.

    ``time.time()`` is allowed where it is called: a freeze of a test replaces it.
    """
    tree = ast.parse(path.read_text())
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = {"monotonic", "monotonic_ns", "perf_counter", "time", "time_ns"}

    read = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) == "time"
        and node.attr in names
        and not (node.attr == "time" and id(node) in called)
    ]
    imported = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
    ]

    assert [] == ([] if get_name(path) == "clocks" else read + imported)


def test_names_say_something() -> None:
    """No module has a name that could hold anything."""
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}

    assert [get_name(path) for path in list_modules() if path.stem in vague] == []
