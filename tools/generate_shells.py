"""Write both clients from the flows: one explicit method for each public flow.

    python tools/generate_shells.py            rewrite the clients
    python tools/generate_shells.py --check    exit 1, with a diff, where one is stale

A public flow is a function without an underscore whose first parameter is the context, in a
module listed in ``CONVERSATIONS``.  A public function of ``STREAMS`` that returns a plan is a
method that returns the iterator of the world.  The constructor is made from ``configure`` in
the same way.  A method imports its flow when it is called, but for those of ``FIRST``: a process
that only exchanges tokens need not load what logs users in.  Names of annotations alone are
imported for type checkers alone, but for those of ``FIRST`` and of the standard library: their
modules are loaded anyway, so ``typing.get_type_hints`` can resolve them.  Source text is carried as written, so that the output is the
same under every Python; only ``X | Awaitable[X]``, which the blocking world cannot await, becomes ``X`` there,
and of ``StateStore | AsyncStateStore``, as of two token caches, and of ``Iterable[X] |
AsyncIterable[X]``, the first.
"""

from __future__ import annotations

import ast
import difflib
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from textwrap import indent
from types import MappingProxyType
from typing import NamedTuple

PACKAGE = Path(__file__).parent.parent / "auth0_tx"
CONVERSATIONS = (
    "exchange",
    "login",
    "session",
    "access_tokens",
    "given_tokens",
    "logout",
    "session_transfer",
    "tenant_documents",
)
# The flows that a client is made for: imported with it, so that the call of one imports nothing.
FIRST = "exchange"
# Functions that return the plan of a bulk exchange.  A client's method returns an iterator
# that carries it out, and is a plain function in both worlds.
STREAMS = PACKAGE / "core/bulk/plan.py"
CONFIGURATION = PACKAGE / "core/configuration.py"
# Parameters of text that is not secret.  Any other text is taken for a token, so that a new
# parameter is concealed until it is named here.
PUBLIC_TEXTS = frozenset(
    {
        *("audience", "scope", "organization", "sub", "return_to"),
        *("subject_token_type", "actor_token_type"),
    }
)
# Types of values that hold no text, or that are the application's own objects.
HARMLESS_TYPES = frozenset(
    {
        *("None", "bool", "float", "int"),
        *("AsyncIterable", "Callable", "Iterable", "StoreOptions"),
    }
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
    run_in_turn: str
    stream: str
    stream_module: str
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
        run="run",
        run_in_turn="run",
        stream="BulkExchange",
        stream_module="bulk_threads",
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
        run="await run_async",
        run_in_turn="await run_in_turn",
        stream="AsyncBulkExchange",
        stream_module="bulk_tasks",
        awaits=True,
    ),
)

MODULE = '''\
# Generated from core/flows and core/configuration.py: edit those, never this file.
# Written by: python tools/generate_shells.py
"""{world.summary}"""

from __future__ import annotations

{imports}

if TYPE_CHECKING:
{annotation_imports}


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
    super().__init__(settings, session, find_cookies(settings))"""

METHOD = '''\
{world.define} {name}(
    self,
{parameters}
) -> {result}:
    """{doc}"""
{concealed}\
{loaded}\
    try:
        return {run}(
            {module}.{name}({arguments}), self._world
        )
    except Auth0Error as error:
        raise cut_traceback(error)'''


STREAM_METHOD = '''\
def {name}(
    self,
{parameters}
) -> {world.stream}:
    """{doc}"""
{concealed}\
    from .core.bulk import {module}
    from .shells.{world.stream_module} import {world.stream}

    try:
        return {world.stream}(
            {module}.{name}({arguments}), self._world
        )
    except Auth0Error as error:
        raise cut_traceback(error)'''


class Source(NamedTuple):
    """A module to carry text from."""

    path: Path
    text: str
    tree: ast.Module

    @classmethod
    def read(cls, path: Path) -> Source:
        text = path.read_text()
        return cls(path, text, ast.parse(text))

    def list_statements(self) -> Iterator[ast.stmt]:
        """Yield the statements of the module, and what it imports for type checkers alone."""
        for node in self.tree.body:
            yield node
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                yield from node.body

    def list_functions(self) -> Iterator[ast.FunctionDef]:
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield node

    def list_flows(self) -> Iterator[ast.FunctionDef]:
        """Return the public flows: those that a client starts, with its context."""
        for function in self.list_functions():
            names = [arg.arg for arg in function.args.args]
            if names[:1] == ["context"] and "Flow[" in ast.unparse(
                function.returns or ast.Constant(0)
            ):
                yield function

    def list_streams(self) -> Iterator[ast.FunctionDef]:
        """Return the public functions that plan a bulk exchange with a client's context."""
        for function in self.list_functions():
            if ast.unparse(function.returns or ast.Constant(0)) == "BulkPlan":
                yield function

    def get_text(self, node: ast.expr) -> str:
        return ast.get_source_segment(self.text, node) or ast.unparse(node)

    def fail(self, node: ast.AST, why: str) -> SystemExit:
        return SystemExit(f"{self.path}:{getattr(node, 'lineno', 0)}: {why}")


def write_annotation(source: Source, node: ast.expr, world: World) -> str:
    """Return an annotation as written, without async types for the blocking world."""
    text = source.get_text(node)
    if world.awaits:
        return text
    for part in ast.walk(node):
        match part:
            case ast.BinOp(
                left=plain,
                right=ast.Subscript(value=ast.Name(id="Awaitable" | "AsyncIterable"))
                | ast.Name(id="AsyncStateStore" | "AsyncTokenCache"),
            ):
                text = text.replace(source.get_text(part), source.get_text(plain))
            case _:
                pass
    return text


def write_parameters(
    source: Source, function: ast.FunctionDef, world: World, skip: int
) -> list[str]:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    absent: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults))
    pairs = list(zip(positional, [*absent, *given.defaults], strict=True))[skip:]
    keywords = list(zip(given.kwonlyargs, given.kw_defaults, strict=True))
    lines = [write_parameter(source, arg, default, world) for arg, default in pairs]
    # The constructor's template has its own: it skips nothing.
    if keywords and (positional[skip:] or skip):
        lines.append("*,")
    lines += [write_parameter(source, arg, default, world) for arg, default in keywords]
    return lines


def write_parameter(
    source: Source, arg: ast.arg, default: ast.expr | None, world: World
) -> str:
    if arg.annotation is None:
        raise source.fail(arg, f"{arg.arg} has no annotation")
    value = f" = {source.get_text(default)}" if default is not None else ""
    return f"{arg.arg}: {write_annotation(source, arg.annotation, world)}{value},"


def write_arguments(function: ast.FunctionDef, skip: int) -> list[str]:
    given = function.args
    positional = [*given.posonlyargs, *given.args][skip:]
    return [f"{arg.arg}," for arg in positional] + [
        f"{arg.arg}={arg.arg}," for arg in given.kwonlyargs
    ]


def write_docstring(source: Source, function: ast.FunctionDef) -> str:
    doc = ast.get_docstring(function)
    if doc is None:
        raise source.fail(function, f"{function.name} has no docstring")
    return indent(doc, " " * 4).lstrip() + ("\n    " if "\n" in doc else "")


def write_method(source: Source, function: ast.FunctionDef, world: World) -> str:
    match function.returns:
        case ast.Subscript(value=ast.Name(id="Flow"), slice=result):
            pass
        case _:
            raise source.fail(function, f"{function.name} must return Flow[...]")
    return METHOD.format(
        world=world,
        run=world.run if is_generator(function) else world.run_in_turn,
        module=source.path.stem,
        name=function.name,
        parameters=indent_lines(write_parameters(source, function, world, 1), 4),
        arguments=" ".join(["self._context,", *write_arguments(function, 1)]).rstrip(
            ","
        ),
        concealed=write_conceals(function),
        loaded=write_load(source),
        result=source.get_text(result),
        doc=write_docstring(source, function),
    )


def write_load(source: Source) -> str:
    """Return the import of a method's flows, unless the module has them already."""
    module = source.path.stem
    return "" if module == FIRST else f"    from .core.flows import {module}\n\n"


def write_stream_method(source: Source, function: ast.FunctionDef, world: World) -> str:
    return STREAM_METHOD.format(
        world=world,
        module=source.path.stem,
        name=function.name,
        parameters=indent_lines(write_parameters(source, function, world, 1), 4),
        arguments=" ".join(["self._context,", *write_arguments(function, 1)]).rstrip(
            ","
        ),
        # Its rows hold tokens, and a caller may have given a token in place of them.
        concealed="    options = conceal(options)\n",
        doc=write_docstring(source, function),
    )


def is_generator(function: ast.FunctionDef) -> bool:
    """Return whether it is a flow itself; otherwise it checks its input and returns one.

    Such a flow has not begun when its caller gets it, and may wait for its turn.
    """
    return any(
        isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function)
    )


def write_conceals(function: ast.FunctionDef) -> str:
    """Rebind what may hold tokens, so that a traceback with locals shows none of them.

    A caller may also have mistaken a mapping with tokens for the options.
    """
    given = function.args
    names = [
        arg.arg
        for arg in [*given.posonlyargs, *given.args, *given.kwonlyargs][1:]
        if arg.arg not in PUBLIC_TEXTS and not is_harmless(arg.annotation)
    ]
    return "".join(f"    {name} = conceal({name})\n" for name in names)


def is_harmless(annotation: ast.expr | None) -> bool:
    """Return whether no value of an annotation's types can be, or hold, a secret."""
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return is_harmless(left) and is_harmless(right)
        case ast.Subscript(value=generic):
            return is_harmless(generic)
        case ast.Name(id=name):
            return name in HARMLESS_TYPES
        case ast.Constant(value=None):
            return True
        case _:
            return False


def write_constructor(source: Source, configure: ast.FunctionDef, world: World) -> str:
    secrets = next(
        ast.literal_eval(node.value)
        for node in source.tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SECRETS"
    )
    return CONSTRUCTOR.format(
        world=world,
        parameters=indent_lines(write_parameters(source, configure, world, 0), 4),
        concealed=indent_lines([f"{name} = conceal({name})" for name in secrets], 4),
        arguments=indent_lines(write_arguments(configure, 0), 8),
    )


def write_class_docstring(
    source: Source, configure: ast.FunctionDef, world: World
) -> str:
    """Return the world's summary, then the sections of the keywords."""
    doc = ast.get_docstring(configure) or ""
    _, args, rest = doc.partition("Args:")
    session = (
        f"    session: the application's own ``{world.session}``, with its adapters or "
        "connector.\n        It says whom to trust, and must verify; it is never closed here.\n"
    )
    keywords, raises, errors = rest.partition("\n\nRaises:")
    text = f"{world.summary}\n\n{args}{keywords}\n{session}\nRaises:{errors}"
    if not (args and raises):
        raise source.fail(configure, "configure needs Args: and Raises: sections")
    return indent(text, " " * 4).lstrip() + "\n    "


def indent_lines(lines: list[str], by: int) -> str:
    return indent("\n".join(lines), " " * by)


def write_imports(
    sources: list[Source], body: str, first: str, world: World
) -> tuple[str, str]:
    """Carry the imports of every name that the module uses.

    Args:
        sources: the modules that the names come from.
        body: the constructor and the methods.
        first: the methods whose annotations can be resolved at run time.
        world: of the client.

    Returns:
        The imports of the module, and those that only annotations need.
    """
    used = list_names(ast.parse(body))
    run = (used - list_annotation_names(ast.parse(body))) | list_names(ast.parse(first))
    found = find_imports(sources, run)
    found[".core.configuration"] = found.get(".core.configuration", set()) | {
        "configure"
    }
    found[".core.flows"] = {FIRST}
    found[".frameworks"] = {"find_cookies"}
    found[".errors"] = {"Auth0Error"}
    found[".secret"] = {"conceal"}
    drivers = {"cut_traceback", world.run.split()[-1], world.run_in_turn.split()[-1]}
    found[".shells.drivers"] = drivers & used
    found[f".shells.{world.base_module}"] = {world.base}
    annotations = find_imports(sources, used - run)
    for module in [name for name in annotations if not name.startswith(".")]:
        found.setdefault(module, set()).update(annotations.pop(module))
    annotations[f".shells.{world.stream_module}"] = {world.stream}
    return (
        "\n".join(["from typing import TYPE_CHECKING", *write_all_imports(found)]),
        indent_lines(
            [f"import {world.session_library}", *write_all_imports(annotations)], 4
        ),
    )


def list_names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def list_annotation_names(tree: ast.AST) -> set[str]:
    """Return the names that stand in annotations, and nowhere else."""
    annotations: list[ast.AST] = []
    for node in ast.walk(tree):
        match node:
            case ast.arg(annotation=ast.expr() as annotation):
                annotations.append(annotation)
            case (
                ast.FunctionDef(returns=ast.expr() as result)
                | ast.AsyncFunctionDef(returns=ast.expr() as result)
            ):
                annotations.append(result)
    within = {id(inner) for outer in annotations for inner in ast.walk(outer)}
    elsewhere = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and id(node) not in within
    }
    return set().union(*map(list_names, annotations)) - elsewhere


def find_imports(sources: list[Source], used: set[str]) -> dict[str, set[str]]:
    """Return the names of *used* by the module to import them from, as the package sees it."""
    found: dict[str, set[str]] = {}
    for source in sources:
        here = ("core", *source.path.relative_to(PACKAGE / "core").parts[:-1])
        for node in source.list_statements():
            if isinstance(node, ast.ImportFrom) and node.module != "__future__":
                up = here[: len(here) - node.level + 1]
                root = "." + "".join(f"{part}." for part in up) if node.level else ""
                names = {alias.name for alias in node.names} & used
                found.setdefault(f"{root}{node.module}", set()).update(names)
            elif isinstance(node, ast.AnnAssign) and ast.unparse(node.target) in used:
                home = "." + ".".join((*here, source.path.stem))
                found.setdefault(home, set()).add(ast.unparse(node.target))
    return found


def write_all_imports(found: Mapping[str, set[str]]) -> list[str]:
    return [write_import(module, names) for module, names in found.items() if names]


def write_import(module: str, names: set[str]) -> str:
    return f"from {module} import {', '.join(sorted(names))}" if names else ""


def write_client(world: World) -> str:
    configuration = Source.read(CONFIGURATION)
    configure = next(f for f in configuration.list_functions() if f.name == "configure")
    flows = [Source.read(PACKAGE / f"core/flows/{name}.py") for name in CONVERSATIONS]
    streams = Source.read(STREAMS)
    made = write_constructor(configuration, configure, world)
    written = {
        source.path.stem: [
            write_method(source, function, world) for function in source.list_flows()
        ]
        for source in flows
    }
    methods = "\n\n".join(
        [
            *chain.from_iterable(written.values()),
            *(
                write_stream_method(streams, function, world)
                for function in streams.list_streams()
            ),
        ]
    )
    imports, annotation_imports = write_imports(
        [configuration, *flows, streams],
        f"{made}\n\n{methods}",
        "\n\n".join(written[FIRST]),
        world,
    )
    return MODULE.format(
        world=world,
        imports=imports,
        annotation_imports=annotation_imports,
        doc=write_class_docstring(configuration, configure, world),
        constructor=indent(made, " " * 4),
        methods=indent(methods, " " * 4),
    )


# The clients that the hosts bind to one request.  Each of their methods is one of the
# client's, with the request given, so they are written from the same flows.


class BoundMethod(NamedTuple):
    """A method of a request-bound client.

    Attributes:
        name: what it is called.
        calls: the client's method, which has a flow of that name.
        summary: the docstring, without its sections: those are the flow's.
        given: arguments that the request has, by parameter.
        reads_as: the blocking world's property in place of a method without arguments.
    """

    name: str
    calls: str
    summary: str
    given: Mapping[str, str] = MappingProxyType({})
    reads_as: str = ""


REQUEST_METHODS = (
    BoundMethod(
        "get_user",
        "get_user",
        "Return the claims of the logged-in user, or ``None``.",
        reads_as="user",
    ),
    BoundMethod(
        "get_session",
        "get_session",
        "Return the login session, or ``None``.",
        reads_as="session",
    ),
    BoundMethod(
        "get_access_token",
        "get_access_token",
        "Return an access token of the logged-in user, renewed if it is about to expire.",
    ),
    BoundMethod(
        "get_token_set",
        "get_token_set",
        "Return an access token of the logged-in user with its expiry, scope and audience.",
    ),
    BoundMethod(
        "get_token_on_behalf_of",
        "get_token_on_behalf_of",
        "Exchange the request's bearer token for an access token for another API.\n\n"
        "A request without a bearer token is an ``InvalidInputError``.",
        given={"access_token": "self._get_bearer_token()"},
    ),
    BoundMethod(
        "login",
        "login_with_custom_token_exchange",
        "Exchange a token, and log its user in.",
    ),
    BoundMethod(
        "logout",
        "logout",
        "Log the user out; return the URL that ends Auth0's session.",
    ),
)
REQUEST_MODULES = {
    "ServerClient": ("request_client.py", "RequestAuth0"),
    "AsyncServerClient": ("async_request_client.py", "AsyncRequestAuth0"),
}

REQUEST_MODULE = '''\
# Generated from core/flows: edit those, never this file.
# Written by: python tools/generate_shells.py
"""{world.client}, bound to one request of a web framework."""

from __future__ import annotations

{imports}


class {name}(RequestBase[{world.client}]):
    """The application's ``{world.client}``, bound to one request.

    Nothing is read until a method asks for it.
    """

{methods}
'''

REQUEST_METHOD = '''\
{decorator}{define} {name}({parameters}) -> {result}:
    """{doc}"""
    return {call}(
{arguments}
    )'''


def write_request_client(world: World) -> tuple[Path, str]:
    """Return the module of a world's request-bound client: its path, and its text."""
    flows = [Source.read(PACKAGE / f"core/flows/{name}.py") for name in CONVERSATIONS]
    found = {
        function.name: (source, function)
        for source in flows
        for function in source.list_flows()
    }
    module, name = REQUEST_MODULES[world.client]
    methods = "\n\n".join(
        write_request_method(bound, *found[bound.calls], world)
        for bound in REQUEST_METHODS
    )
    used = {
        node.id for node in ast.walk(ast.parse(methods)) if isinstance(node, ast.Name)
    }
    modules = find_imports(flows, used)
    modules[f".{Path(world.module).stem}"] = {world.client}
    listed = [
        # The request clients are one folder below the package.
        write_import(f".{module}" if module[0] == "." else module, names)
        for module, names in modules.items()
    ]
    listed.append(write_import(".request_base", {"RequestBase"}))
    text = REQUEST_MODULE.format(
        world=world,
        name=name,
        imports="\n".join(filter(None, listed)),
        methods=indent(methods, " " * 4),
    )
    return PACKAGE / "integrations" / module, text


def write_request_method(
    bound: BoundMethod, source: Source, function: ast.FunctionDef, world: World
) -> str:
    given = {"store_options": "self.store_options", **bound.given}
    listed = write_parameters(source, function, world, 1)
    kept = [
        parameter for parameter in listed if parameter.partition(":")[0] not in given
    ]
    if kept[:1] == ["*,"] and len(kept) == 1:
        kept = []
    passed = [
        f"{given[name]}," if (name := argument.rstrip(",")) in given else argument
        for argument in write_arguments(function, 1)
    ]
    is_property = bool(bound.reads_as) and not world.awaits
    assert isinstance(function.returns, ast.Subscript)
    return REQUEST_METHOD.format(
        decorator="@property\n" if is_property else "",
        define=world.define,
        name=bound.reads_as if is_property else bound.name,
        parameters="\n" + indent_lines(["self,", *kept], 4) + "\n" if kept else "self",
        result=source.get_text(function.returns.slice),
        doc=indent(
            write_bound_docstring(bound, source, function, given), " " * 4
        ).lstrip()
        + "    ",
        call=("await " if world.awaits else "") + f"self.client.{bound.calls}",
        arguments=indent_lines(passed, 8),
    )


def write_bound_docstring(
    bound: BoundMethod,
    source: Source,
    function: ast.FunctionDef,
    given: Mapping[str, str],
) -> str:
    """Return the summary, and the sections of the flow without the arguments given."""
    doc = ast.get_docstring(function) or ""
    sections: list[str] = []
    for section in re.split(r"\n\n(?=(?:Args|Returns|Raises):\n)", doc)[1:]:
        title, *lines = section.splitlines()
        # An entry goes on for as long as its lines are indented further.
        entries = re.split(r"\n(?=    \S)", "\n".join(lines))
        kept = [
            entry for entry in entries if entry.strip().partition(":")[0] not in given
        ]
        if kept:
            sections.append("\n".join([title, *kept]))
    if "Raises:" not in doc:
        raise source.fail(function, f"{function.name} needs a Raises: section")
    return "\n\n".join([bound.summary, *sections]) + "\n"


def format_source(text: str, path: Path) -> str:
    """Return *text* as ruff sorts its imports and formats it, as a person's editor would."""
    for command in (("check", "--fix-only", "--select=I"), ("format",)):
        ran = subprocess.run(
            [
                sys.executable,
                "-m",
                "ruff",
                *command,
                "-q",
                "--stdin-filename",
                path,
                "-",
            ],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            raise SystemExit(
                f"{ran.stderr}the generator formats with ruff: "
                "pip install 'ruff>=0.17,<0.18'"
            )
        text = ran.stdout
    return text


def main(check: bool) -> int:
    stale = False
    written = [
        *((PACKAGE / world.module, write_client(world)) for world in WORLDS),
        *map(write_request_client, WORLDS),
    ]
    for path, text in written:
        new = format_source(text, path)
        old = path.read_text() if path.exists() else ""
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
