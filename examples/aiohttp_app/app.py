"""Log in with a token of your old system: aiohttp.web, the sessions on the server.

    pip install auth0-tx
    python examples/aiohttp_app/app.py

Without settings it runs with a local Auth0 tenant, in this process.  For your own tenant set
AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET, AUTH0_SECRET (random, 32 characters or
more), AUTH0_AUDIENCE, and AUTH0_TOKEN_TYPE (the subject token type of your profile).
"""

import os
import secrets
from datetime import datetime
from html import escape

import aiohttp
from aiohttp import web

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeError,
    LoginRequiredError,
    LoginWithCustomTokenExchangeOptions,
)
from auth0_tx.integrations.aiohttp_web import auth0_of, backchannel_logout, setup
from auth0_tx.stores import MemoryStore

PORT = int(os.environ.get("PORT", "8000"))
HOME = f"http://localhost:{PORT}/"  # in production: your own, over https

env, tenant = dict(os.environ), None
if "AUTH0_DOMAIN" not in env:
    from auth0_tx.tenant import Tenant

    tenant = Tenant(tls=False).start()
    tenant.applications.change(
        tenant.client_id,
        allowed_logout_urls=[HOME],
        backchannel_logout_uri=f"{HOME}backchannel-logout",
    )
    env["AUTH0_DOMAIN"] = tenant.domain
    env["AUTH0_CLIENT_ID"] = tenant.client_id
    env["AUTH0_CLIENT_SECRET"] = tenant.client_secret
    env["AUTH0_SECRET"] = secrets.token_urlsafe(32)
    env["AUTH0_AUDIENCE"] = "https://api.example.com"
TOKEN_TYPE = env.get("AUTH0_TOKEN_TYPE", "urn:acme:legacy-token")

# One client for the whole application.  Several processes share sessions through a RedisStore.
client = AsyncServerClient(
    domain=env["AUTH0_DOMAIN"],
    client_id=env["AUTH0_CLIENT_ID"],
    client_secret=env["AUTH0_CLIENT_SECRET"],
    secret=env["AUTH0_SECRET"],
    state_store=MemoryStore(),
)
HTTP = web.AppKey("http", aiohttp.ClientSession)
routes = web.RouteTableDef()


async def connections(app):
    async with aiohttp.ClientSession() as app[HTTP]:
        yield


@web.middleware
async def refuse_forms_of_other_sites(request, handler):
    """Refuse forms of other sites: they must not log anybody in or out (CSRF)."""
    sender = request.headers.get("Sec-Fetch-Site", "same-origin")
    if request.method == "POST" and sender != "same-origin":
        raise web.HTTPForbidden
    return await handler(request)


@routes.get("/")
async def home(request):
    names = ("alice", "bob", "support_agent") if tenant else ()
    samples = "".join(
        f'<p>A legacy token of {name} to paste: <code id="{name}">'
        f"{escape(tenant.subject_token(f'auth0|{name}'))}</code>"
        for name in names
    )
    return show("Log in", samples + FORM)


@routes.post("/login")
async def login(request):
    form = await request.post()
    actor_token = form.get("actor_token", "").strip() or None
    options = LoginWithCustomTokenExchangeOptions(
        subject_token=form.get("subject_token", "").strip(),
        subject_token_type=TOKEN_TYPE,
        actor_token=actor_token,
        actor_token_type=TOKEN_TYPE if actor_token else None,
        audience=env["AUTH0_AUDIENCE"],
        scope="openid profile email offline_access",
    )
    try:
        await auth0_of(request).login(options)
    except CustomTokenExchangeError as error:
        return show_error("Not logged in", error, 400)
    raise web.HTTPSeeOther("/profile")


@routes.get("/profile")
async def profile(request):
    session = await auth0_of(request).get_session()
    if session is None:
        raise web.HTTPSeeOther("/")
    user = session["user"]
    body = f'<p>You are <b id="user">{escape(user["sub"])}</b>'
    if "act" in user:
        body += f'<p>Acting for you: <b id="actor">{escape(user["act"]["sub"])}</b>'
    ends = datetime.fromtimestamp(session["token_sets"][0]["expires_at"])
    body += (
        f'<p>The access token ends at <span id="ends">{ends:%Y-%m-%d %H:%M}</span>, '
    )
    body += "and is renewed." if session["refresh_token"] else "and you log in again."
    return show("Profile", body + LOGOUT)


@routes.get("/api-call")
async def api_call(request):
    auth0 = auth0_of(request)
    try:
        # A token that is about to expire is renewed, once for all concurrent requests.
        token = await auth0.get_access_token(env["AUTH0_AUDIENCE"])
    except LoginRequiredError:
        raise web.HTTPSeeOther("/") from None
    except CustomTokenExchangeError as error:
        return show_error("No access token", error, 502)
    issuer = (await auth0.get_user())["iss"]
    # Call your own API here; this one exists in every tenant.
    headers = {"Authorization": f"Bearer {token}"}
    async with request.app[HTTP].get(f"{issuer}userinfo", headers=headers) as answer:
        text = escape(await answer.text())
    body = f'<p>Status {answer.status}<pre id="answer">{text}</pre>'
    return show("The API's answer", body)


@routes.post("/logout")
async def logout(request):
    # Auth0 ends its own session, too, and sends the browser back to HOME, which must be an
    # Allowed Logout URL.
    raise web.HTTPSeeOther(await auth0_of(request).logout(return_to=HOME))


def show(title, body, status=200):
    """Return a page; *body* is HTML, in which all input is escaped."""
    return web.Response(
        text=PAGE.format(title=escape(title)) + body,
        status=status,
        content_type="text/html",
        headers={"Cache-Control": "no-store"},
    )


def show_error(title, error, status):
    what = escape(f"{error.message} ({error.code})")
    hint = escape(error.hint or "")
    return show(title, f'<p id="error">{what}<p>{hint}', status)


# The script reloads a page that Back shows from memory, which browsers do in spite of no-store:
# after a logout nobody may see it.
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<script>onpageshow = event => event.persisted && location.reload()</script>
<p><a href="/">Home</a> <a href="/profile">Profile</a> <a href="/api-call">Call an API</a>
<h1>{title}</h1>"""
FORM = """
<form method="post" action="/login">
<p><label>Legacy token <textarea name="subject_token" required></textarea></label>
<p><label>Token of the acting party, if any <textarea name="actor_token"></textarea></label>
<p><button id="login">Log in</button></form>"""
LOGOUT = """
<form method="post" action="/logout"><button id="logout">Log out</button></form>"""

app = web.Application(middlewares=[refuse_forms_of_other_sites])
app.add_routes(routes)
app.router.add_post("/backchannel-logout", backchannel_logout)
app.cleanup_ctx.append(connections)
setup(app, client)

if __name__ == "__main__":
    print(
        f"Open {HOME} and log in" + (" with a token from that page." if tenant else ".")
    )
    web.run_app(app, host="localhost", port=PORT)
