"""The integration of aiohttp.web as users write it: read by mypy and pyright, never run."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import assert_type

from aiohttp import web

from auth0_tx import (
    AsyncServerClient,
    LoginWithCustomTokenExchangeOptions,
    ServerClient,
    UserClaims,
)
from auth0_tx.integrations.aiohttp_web import (
    CLIENT,
    auth0_of,
    auth0_routes,
    backchannel_logout,
    handle_errors,
    login_required,
    refuse_cross_origin,
    setup,
)


@login_required
async def show(request: web.Request) -> web.StreamResponse:
    """Show something to users."""
    assert_type(await auth0_of(request).get_user(), UserClaims | None)
    await auth0_of(request, "orders").logout()
    refuse_cross_origin(request, ["https://login.example.com"])
    refuse_cross_origin("request")  # type: ignore[arg-type]
    return web.Response()


class Orders(web.View):
    """A view."""

    @login_required(scopes=["read:orders"], audience="https://api", client="orders")
    async def get(self) -> web.Response:
        """Show the orders."""
        return web.Response()

    @login_required(login_url="/login")
    async def post(self) -> web.StreamResponse:
        """Change the orders."""
        return web.StreamResponse()


login_required(scope="read:orders")  # type: ignore[call-overload]


def make_options(token: str) -> LoginWithCustomTokenExchangeOptions:
    """Make the options of a login."""
    return LoginWithCustomTokenExchangeOptions(
        subject_token=token, subject_token_type="urn:acme:token"
    )


async def make_client() -> AsyncServerClient:
    """Make a client on the event loop."""
    return AsyncServerClient(domain="d", client_id="id")


def make_app(client: AsyncServerClient, blocking: ServerClient) -> web.Application:
    """Set an application up."""
    app = web.Application(middlewares=[handle_errors])
    setup(app, client)
    setup(app, make_client, clients={"orders": lambda: client}, login_url="/login")
    setup(app, blocking)  # type: ignore[arg-type]
    app.add_routes(auth0_routes(make_options, login="/auth/login", client="orders"))
    auth0_routes({"subject_token_type": "urn:acme:token"})  # type: ignore[arg-type]
    app.add_routes([web.get("/", show), web.view("/orders", Orders)])
    app.router.add_post("/backchannel-logout", backchannel_logout)
    assert_type(app[CLIENT], AsyncServerClient)
    return app
