"""FastAPI's dependencies: scopes, `def` endpoints, replaced in tests, documented, one error shape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import attrs
import pytest
from anyio import from_thread
from fastapi import Depends, FastAPI, Security
from fastapi.exceptions import FastAPIError
from fastapi.testclient import TestClient
from pydantic import BaseModel

from auth0_tx import AsyncServerClient, SessionPolicy, StoreError, UserClaims
from auth0_tx.integrations.fastapi import (
    RESPONSES,
    AccessToken,
    Auth0,
    BoundClient,
    CurrentUser,
    ExchangedToken,
    OnBehalfOf,
    OptionalUser,
    RequiredUser,
    SessionCommitMiddleware,
    auth0_lifespan,
    auth0_of,
    handle_errors,
)
from auth0_tx.stores import MemoryStore
from auth0_tx.tenant import Tenant
from tests.integrations.async_sites import API, OTHER, login_options, make_settings

READ, DELETE = "read:data", "delete:data"
POLICY = SessionPolicy(cookie_name="other")


class Person(BaseModel):
    """The application's own user."""

    sub: str


def find_person(
    claims: Annotated[UserClaims, Depends(RequiredUser())],
) -> Person:
    """Return the application's own user; a ``def`` runs in a thread."""
    return Person(sub=claims["sub"])


def make_app(client: AsyncServerClient, tenant: Tenant) -> FastAPI:
    """Make an application with an endpoint for each dependency."""
    app = FastAPI(lifespan=auth0_lifespan(client), responses=RESPONSES)
    app.add_middleware(SessionCommitMiddleware)

    @app.post("/login")
    async def login(auth0: Auth0) -> None:
        options = login_options(tenant.subject_token("auth0|alice"))
        await auth0.login(attrs.evolve(options, scope=f"{options.scope} {READ}"))

    @app.get("/user")
    def show_user(user: CurrentUser) -> str:
        return user["sub"] if user else "nobody"

    @app.post("/person")
    @app.get("/person")
    def show_person(person: Annotated[Person, Depends(find_person)]) -> Person:
        return person

    @app.get("/token")
    def show_token(token: Annotated[str, Depends(AccessToken(API))]) -> bool:
        return len(token) > 20

    @app.get("/thread")
    def use_client(auth0: Auth0) -> bool:
        return len(from_thread.run(auth0.get_access_token, API)) > 20

    @app.post("/may-read")
    @app.get("/may-read")
    async def may_read(
        user: Annotated[UserClaims, Security(RequiredUser(), scopes=[READ])],
    ) -> str:
        return user["sub"]

    @app.post("/may-delete")
    @app.get("/may-delete")
    async def may_delete(
        user: Annotated[
            UserClaims, Depends(RequiredUser(scopes=[READ, DELETE], audience=API))
        ],
    ) -> str:
        return user["sub"]

    @app.get("/behalf")
    async def behalf(token: Annotated[Any, Depends(OnBehalfOf(OTHER))]) -> None:
        """Exchange the token of the request."""

    return app


@contextmanager
def visit(app: FastAPI) -> Iterator[TestClient]:
    """Run an application with its lifespan; return a browser."""
    with TestClient(
        app, base_url="https://testserver", raise_server_exceptions=False
    ) as browser:
        yield browser


@pytest.fixture
def app(auth0_tenant: Tenant) -> FastAPI:
    """The application."""
    return make_app(AsyncServerClient(**make_settings(auth0_tenant)), auth0_tenant)


def test_def_endpoints(app: FastAPI) -> None:
    """An endpoint that is a ``def`` gets values that need no ``await``, and may call back."""
    paths = ("/user", "/person", "/token", "/thread")
    with visit(app) as browser:
        assert "nobody" == browser.get("/user").json()
        browser.post("/login")
        seen = [browser.get(path).json() for path in paths]

    assert ["auth0|alice", {"sub": "auth0|alice"}, True, True] == seen


def test_scopes(app: FastAPI) -> None:
    """Both ways to name scopes let in a user whose token has them, and no other."""
    with visit(app) as browser:
        nobody = browser.get("/may-read")
        browser.post("/login")
        allowed = browser.get("/may-read")
        refused = browser.get("/may-delete")

    assert (401, "Bearer") == (nobody.status_code, nobody.headers["WWW-Authenticate"])
    assert "auth0|alice" == allowed.json()
    assert (403, {"detail": "insufficient_scope"}) == (
        refused.status_code,
        refused.json(),
    )
    assert (
        f'Bearer error="insufficient_scope", scope="{READ} {DELETE}"'
        == refused.headers["WWW-Authenticate"]
    )
    assert "no-store" in refused.headers["Cache-Control"]
    assert "Cookie" == refused.headers["Vary"]


DEPENDENCIES: list[Any] = [
    auth0_of,
    BoundClient(),
    OptionalUser(),
    RequiredUser(),
    RequiredUser(POLICY),
    RequiredUser(client="orders"),
    RequiredUser(scopes=[READ]),
    RequiredUser(scopes=[READ], audience=API, client="orders"),
    AccessToken(),
    AccessToken(API, "read", client="orders"),
    OnBehalfOf(OTHER, "read"),
    ExchangedToken("urn:acme:token", API),
]


@pytest.mark.parametrize("dependency", DEPENDENCIES, ids=str)
@pytest.mark.parametrize("depend", [Depends, Security])
def test_nothing_is_read_from_the_visitor(depend: Any, dependency: Any) -> None:
    """FastAPI takes no argument of a dependency for a part of the query or of the body."""
    app = FastAPI()

    @app.post("/")
    def endpoint(value: Any = depend(dependency)) -> None:
        """Take what the dependency returns."""

    operation = app.openapi()["paths"]["/"]["post"]

    assert "requestBody" not in operation
    assert "parameters" not in operation


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/person", "/may-read", "/may-delete"])
def test_visitor_who_says_who_they_are(app: FastAPI, method: str, path: str) -> None:
    """Claims in the body or in the query log nobody in."""
    claims = {"sub": "auth0|admin"}
    with visit(app) as browser:
        statuses = {
            browser.request(method, path, json=claims).status_code,
            browser.request(method, path, json={"user": claims}).status_code,
            browser.request(method, path, data=claims).status_code,
            browser.request(method, path, params=claims).status_code,
            browser.request(method, path, params={"user": "admin"}).status_code,
        }

    assert {401} == statuses


def test_replaced_in_a_test(app: FastAPI) -> None:
    """A dependency is replaced by any other with the same arguments."""
    bob: Any = {"sub": "auth0|bob"}
    app.dependency_overrides = {
        RequiredUser(): lambda: bob,
        OptionalUser(): lambda: bob,
        AccessToken(API): lambda: "a token that is long enough",
        RequiredUser(scopes=[READ, DELETE], audience=API): lambda: bob,
    }
    paths = ("/user", "/person", "/token", "/may-read", "/may-delete")
    # Without the lifespan: nothing of the client is needed.
    browser = TestClient(app)
    seen = [browser.get(path).json() for path in paths]

    assert ["auth0|bob", bob, True, "auth0|bob", "auth0|bob"] == seen


@pytest.mark.parametrize(
    "make",
    [
        RequiredUser,
        lambda: RequiredUser(POLICY),
        lambda: RequiredUser(scopes=["a", "b"]),
        lambda: RequiredUser(audience=API),
        lambda: RequiredUser(client="orders"),
        OptionalUser,
        lambda: OptionalUser("orders"),
        BoundClient,
        lambda: BoundClient("orders"),
        AccessToken,
        lambda: AccessToken(API),
        lambda: AccessToken(API, "read"),
        lambda: AccessToken(API, client="orders"),
        lambda: OnBehalfOf(API),
        lambda: OnBehalfOf(OTHER),
        lambda: OnBehalfOf(OTHER, "read"),
        lambda: OnBehalfOf(OTHER, client="orders"),
        lambda: ExchangedToken("urn:acme:token", API),
        lambda: ExchangedToken("urn:acme:other", API),
        lambda: ExchangedToken("urn:acme:token", API, client="orders"),
    ],
)
def test_equal_by_arguments(request: pytest.FixtureRequest, make: Any) -> None:
    """Dependencies are equal if, and only if, their class and arguments are."""
    rows = test_equal_by_arguments.pytestmark[0].args[1]  # type: ignore[attr-defined]
    others = [other() for other in rows if other is not make]

    assert make() == make()
    assert hash(make()) == hash(make())
    assert make() not in others
    assert make() not in {*others}


@pytest.mark.parametrize(
    "kind",
    [RequiredUser, OptionalUser, AccessToken, BoundClient, OnBehalfOf, ExchangedToken],
)
def test_forgotten_parentheses(kind: Any) -> None:
    """FastAPI refuses a class in place of a dependency, which would let anybody in."""
    app = FastAPI()

    def endpoint(user: Any = Depends(kind)) -> None:
        """Take what the dependency returns."""

    with pytest.raises(FastAPIError, match="Invalid args"):
        app.get("/")(endpoint)


def test_scopes_as_text() -> None:
    """Scopes may be one string."""
    assert RequiredUser(scopes="a b") == RequiredUser(scopes=["a", "b"])


def test_document(app: FastAPI) -> None:
    """The document shows cookies, scopes and errors, before the application has run as well."""
    for document in (app.openapi(), document_of(app)):
        paths, components = document["paths"], document["components"]
        security = {
            path: paths[path]["get"].get("security")
            for path in ("/user", "/person", "/token", "/may-read", "/may-delete")
        }
        assert {
            "/user": None,
            "/person": [{"Auth0Session": []}],
            "/token": [{"Auth0Session": []}],
            "/may-read": [{"Auth0Session": [READ]}],
            "/may-delete": [{"Auth0Session": [READ, DELETE]}],
        } == security
        session = components["securitySchemes"]["Auth0Session"]
        assert "__Host-auth0_tx" == session["name"]
        responses = paths["/token"]["get"]["responses"]
        assert {"401", "403", "503"} <= {*responses}
        reference = {"$ref": "#/components/schemas/ErrorBody"}
        content = responses["401"]["content"]["application/json"]
        assert reference == content["schema"]
        assert ["error"] == [*components["schemas"]["ErrorBody"]["properties"]]
        assert "parameters" not in paths["/may-delete"]["get"]


def document_of(app: FastAPI) -> Any:
    """Return the document of an application that runs."""
    with visit(app) as browser:
        return browser.get("/openapi.json").json()


def test_one_shape(app: FastAPI) -> None:
    """With the handlers, each error has one shape, of a dependency and of an endpoint."""
    handle_errors(app)
    with visit(app) as browser:
        nobody = [browser.get(path) for path in ("/person", "/token", "/thread")]
        no_token = browser.get("/behalf")
        malformed = browser.get("/behalf", headers={"Authorization": "Bearer a b"})
        browser.post("/login")
        refused = browser.get("/may-delete")

    for answer in nobody:
        assert (401, {"error": "login_required"}) == (answer.status_code, answer.json())
        assert "Bearer" == answer.headers["WWW-Authenticate"]
    assert (401, {"error": "invalid_request"}) == (
        no_token.status_code,
        no_token.json(),
    )
    assert (401, {"error": "invalid_token"}) == (
        malformed.status_code,
        malformed.json(),
    )
    assert (403, {"error": "insufficient_scope"}) == (
        refused.status_code,
        refused.json(),
    )


@pytest.mark.parametrize("has_handlers", [True, False])
def test_store_that_is_down(auth0_tenant: Tenant, has_handlers: bool) -> None:
    """A store that is down is a 503 of each dependency, and not a 500."""

    class Down(MemoryStore):
        def get(self, key: str) -> Any:
            raise StoreError("down", retry_safe=True)

    store = MemoryStore()
    client = AsyncServerClient(**make_settings(auth0_tenant, state_store=store))
    app = make_app(client, auth0_tenant)
    if has_handlers:
        handle_errors(app)
    with visit(app) as browser:
        browser.post("/login")
        store.get = Down().get  # type: ignore[method-assign, assignment]
        answers = [browser.get(path) for path in ("/user", "/person", "/token")]

    assert {503} == {answer.status_code for answer in answers}
    shape = "error" if has_handlers else "detail"
    assert {"temporarily_unavailable"} == {answer.json()[shape] for answer in answers}
