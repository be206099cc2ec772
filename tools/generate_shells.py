"""Write both clients from the flows: one explicit method for each public flow.

    python tools/generate_shells.py            rewrite the clients
    python tools/generate_shells.py --check    exit 1, with a diff, where one is stale

A public flow is a function without an underscore, in a module listed in ``CONVERSATIONS``;
its first parameter is the context.  The constructor is made from ``configure`` in the same
way.  Source text is carried as written, so that the output is the same under every Python;
only ``X | Awaitable[X]``, which the blocking world cannot await, becomes ``X`` there, and
of ``StateStore | AsyncStateStore``, as of two token caches, the first.
"""

from __future__ import annotations

import ast
import difflib
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import NamedTuple

PACKAGE = Path(__file__).parent.parent / "auth0_tx"
CONVERSATIONS = (
    "exchange",
    "on_behalf_of",
    "login",
    "access_tokens",
    "logout",
    "session_transfer",
    "preparation",
)
CONFIGURATION = PACKAGE / "core/configuration.py"
# Parameters for which a caller may mistakenly give a mapping that has tokens in it.
HELD_TOKENS = frozenset(
    {"options", "access_token", "subject_token", "actor_token", "logout_token"}
)


class World(NamedTuple):
    """One of the two worlds, and how its client is spelt."""

    module: str
    client: str
    base: str
    base_module: str
    session_library: str
    session: str
    summary: str
    define: str
    run: str
    awaits: bool


WORLDS = (
    World(
        module="client.py",
        client="ServerClient",
        base="BlockingShell",
        base_module="requests_shell",
        session_library="requests",
        session="requests.Session",
        summary="The blocking client, over requests: for threads, also after a fork.",
        define="def",
        run="self._run",
        awaits=False,
    ),
    World(
        module="aio.py",
        client="AsyncServerClient",
        base="AsyncShell",
        base_module="aiohttp_shell",
        session_library="aiohttp",
        session="aiohttp.ClientSession",
        summary="The asyncio client, over aiohttp: for tasks, on any event loop.",
        define="async def",
        run="await self._run",
        awaits=True,
    ),
)

MODULE = '''\
# Written by tools/generate_shells.py from core/flows and core/configuration.py.
# Change those, then run `tox -e shells`; an edit here is lost.
"""{world.summary}"""

from __future__ import annotations

{imports}


class {world.client}({world.base}):
    """{doc}"""

{constructor}

{methods}
'''

CONSTRUCTOR = """\
def __init__(
    self,
    *,
{parameters}
    session: {world.session} | None = None,
) -> None:
    # Rebound, so that a traceback with locals shows no secret of this frame.
{concealed}
    settings = configure(
{arguments}
    )
    super().__init__(settings, session, HttpCookies())"""

METHOD = '''\
{world.define} {name}(
    self,
{parameters}
) -> {result}:
    """{doc}"""
{concealed}\
    return {world.run}(
        {module}.{name}(
            self._context,
{arguments}
        )
    )'''


class Source(NamedTuple):
    """A module to carry text from."""

    path: Path
    text: str
    tree: ast.Module

    @classmethod
    def read(cls, path: Path) -> Source:
        text = path.read_text()
        return cls(path, text, ast.parse(text))

    def functions(self) -> Iterator[ast.FunctionDef]:
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield node

    def written(self, node: ast.expr) -> str:
        return ast.get_source_segment(self.text, node) or ast.unparse(node)

    def fail(self, node: ast.AST, why: str) -> SystemExit:
        return SystemExit(f"{self.path}:{getattr(node, 'lineno', 0)}: {why}")


def annotation(source: Source, node: ast.expr, world: World) -> str:
    """Give it as written, but the blocking world cannot await what it is handed."""
    text = source.written(node)
    if world.awaits:
        return text
    for part in ast.walk(node):
        match part:
            case ast.BinOp(
                left=plain,
                right=ast.Subscript(value=ast.Name(id="Awaitable"))
                | ast.Name(id="AsyncStateStore" | "AsyncTokenCache"),
            ):
                text = text.replace(source.written(part), source.written(plain))
            case _:
                pass
    return text


def parameters(
    source: Source, function: ast.FunctionDef, world: World, skip: int
) -> list[str]:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    absent: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults))
    pairs = list(zip(positional, [*absent, *given.defaults], strict=True))[skip:]
    keywords = list(zip(given.kwonlyargs, given.kw_defaults, strict=True))
    lines = [parameter(source, arg, default, world) for arg, default in pairs]
    if keywords and positional[skip:]:
        lines.append("*,")
    lines += [parameter(source, arg, default, world) for arg, default in keywords]
    return lines


def parameter(
    source: Source, arg: ast.arg, default: ast.expr | None, world: World
) -> str:
    if arg.annotation is None:
        raise source.fail(arg, f"{arg.arg} has no annotation")
    value = f" = {source.written(default)}" if default is not None else ""
    return f"{arg.arg}: {annotation(source, arg.annotation, world)}{value},"


def arguments(function: ast.FunctionDef, skip: int) -> list[str]:
    given = function.args
    positional = [*given.posonlyargs, *given.args][skip:]
    return [f"{arg.arg}," for arg in positional] + [
        f"{arg.arg}={arg.arg}," for arg in given.kwonlyargs
    ]


def docstring(source: Source, function: ast.FunctionDef) -> str:
    doc = ast.get_docstring(function)
    if doc is None:
        raise source.fail(function, f"{function.name} has no docstring")
    return indent(doc, " " * 4).lstrip() + ("\n    " if "\n" in doc else "")


def method(source: Source, function: ast.FunctionDef, world: World) -> str:
    match function.returns:
        case ast.Subscript(value=ast.Name(id="Flow"), slice=result):
            pass
        case _:
            raise source.fail(function, f"{function.name} must return Flow[...]")
    return METHOD.format(
        world=world,
        module=source.path.stem,
        name=function.name,
        parameters=indented(parameters(source, function, world, 1), 4),
        arguments=indented(arguments(function, 1), 12),
        concealed=concealed(function),
        result=source.written(result),
        doc=docstring(source, function),
    )


def concealed(function: ast.FunctionDef) -> str:
    """Rebind what may hold tokens, so that a traceback with locals shows none of them."""
    names = [arg.arg for arg in function.args.args if arg.arg in HELD_TOKENS]
    return "".join(f"    {name} = conceal({name})\n" for name in names)


def constructor(source: Source, configure: ast.FunctionDef, world: World) -> str:
    secrets = next(
        ast.literal_eval(node.value)
        for node in source.tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SECRETS"
    )
    return CONSTRUCTOR.format(
        world=world,
        parameters=indented(parameters(source, configure, world, 0), 4),
        concealed=indented([f"{name} = conceal({name})" for name in secrets], 4),
        arguments=indented(arguments(configure, 0), 8),
    )


def class_docstring(source: Source, configure: ast.FunctionDef, world: World) -> str:
    """Give the world's summary, then what the keywords are."""
    doc = ast.get_docstring(configure) or ""
    _, args, rest = doc.partition("Args:")
    session = (
        f"    session: the application's own ``{world.session}``, with its adapters or "
        "connector;\n        it is never closed here.\n"
    )
    keywords, raises, errors = rest.partition("\n\nRaises:")
    text = f"{world.summary}\n\n{args}{keywords}\n{session}\nRaises:{errors}"
    if not (args and raises):
        raise source.fail(configure, "configure needs Args: and Raises: sections")
    return indent(text, " " * 4).lstrip() + "\n    "


def indented(lines: list[str], by: int) -> str:
    return indent("\n".join(lines), " " * by)


def imports(sources: list[Source], body: str, world: World) -> str:
    """Carry the imports of every name that the module uses."""
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    found: dict[str, set[str]] = {}
    for source in sources:
        here = ("core", *source.path.relative_to(PACKAGE / "core").parts[:-1])
        for node in source.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module != "__future__":
                up = here[: len(here) - node.level + 1]
                root = "." + "".join(f"{part}." for part in up) if node.level else ""
                names = {alias.name for alias in node.names} & used
                found.setdefault(f"{root}{node.module}", set()).update(names)
            elif isinstance(node, ast.AnnAssign) and ast.unparse(node.target) in used:
                home = "." + ".".join((*here, source.path.stem))
                found.setdefault(home, set()).add(ast.unparse(node.target))
    found[".core.configuration"] = found.get(".core.configuration", set()) | {
        "configure"
    }
    found[".core.flows"] = set(CONVERSATIONS)
    found[".frameworks.cookies"] = {"HttpCookies"}
    found[".secret"] = {"conceal"}
    found[f".shells.{world.base_module}"] = {world.base}
    ours = [line(module, names) for module, names in found.items() if module[0] == "."]
    theirs = [
        line(module, names) for module, names in found.items() if module[0] != "."
    ]
    return "\n".join(
        [
            *sorted(filter(None, theirs)),
            "",
            f"import {world.session_library}",
            "",
            *sorted(filter(None, ours)),
        ]
    )


def line(module: str, names: set[str]) -> str:
    return f"from {module} import {', '.join(sorted(names))}" if names else ""


def client(world: World) -> str:
    configuration = Source.read(CONFIGURATION)
    configure = next(f for f in configuration.functions() if f.name == "configure")
    flows = [Source.read(PACKAGE / f"core/flows/{name}.py") for name in CONVERSATIONS]
    made = constructor(configuration, configure, world)
    methods = "\n\n".join(
        method(source, function, world)
        for source in flows
        for function in source.functions()
    )
    return MODULE.format(
        world=world,
        imports=imports([configuration, *flows], f"{made}\n\n{methods}", world),
        doc=class_docstring(configuration, configure, world),
        constructor=indent(made, " " * 4),
        methods=indent(methods, " " * 4),
    )


def main(check: bool) -> int:
    stale = False
    for world in WORLDS:
        path = PACKAGE / world.module
        old, new = path.read_text() if path.exists() else "", client(world)
        if not check:
            path.write_text(new)
        elif old != new:
            stale = True
            lines = difflib.unified_diff(
                old.splitlines(),
                new.splitlines(),
                str(path),
                "as generated",
                lineterm="",
            )
            print("\n".join(lines))
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
