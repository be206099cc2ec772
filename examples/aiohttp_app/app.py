"""Log in with a token of your old system: aiohttp.web, the sessions on the server.

    pip install "auth0-tx[redis]" jinja2
    python examples/aiohttp_app/app.py

Without settings it runs with a local Auth0 tenant, in this process.  For your own tenant set
AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET, AUTH0_SECRET (random, 32 characters or
more), AUTH0_AUDIENCE, and AUTH0_TOKEN_TYPE (the subject token type of your profile).
Your application's Back-Channel Logout URI there is /backchannel-logout.
REDIS_URL is the Redis that keeps sessions; without it, they end with this process.
"""

import os
import secrets
from datetime import datetime

import aiohttp
import jinja2
import redis.asyncio
from aiohttp import web

from auth0_tx import AsyncServerClient, LoginWithCustomTokenExchangeOptions
from auth0_tx.integrations.aiohttp_web import (
    auth0_of,
    auth0_routes,
    handle_errors,
    login_required,
    setup,
)
from auth0_tx.integrations.login_redirects import read_next
from auth0_tx.stores import MemoryStore, RedisStore

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
API = env["AUTH0_AUDIENCE"]
TOKEN_TYPE = env.get("AUTH0_TOKEN_TYPE", "urn:acme:legacy-token")

connection = (
    redis.asyncio.Redis.from_url(env["REDIS_URL"]) if "REDIS_URL" in env else None
)

# One client for the whole application.
client = AsyncServerClient(
    domain=env["AUTH0_DOMAIN"],
    client_id=env["AUTH0_CLIENT_ID"],
    client_secret=env["AUTH0_CLIENT_SECRET"],
    secret=env["AUTH0_SECRET"],
    state_store=RedisStore(connection) if connection else MemoryStore(),
)
HTTP = web.AppKey("http", aiohttp.ClientSession)
routes = web.RouteTableDef()


async def hold_connections(app):
    async with aiohttp.ClientSession() as app[HTTP]:
        yield
    if connection:
        await connection.aclose()


@routes.get("/")
async def home(request):
    # The same for everybody, so caches may keep it.
    page = show("Welcome", HOME_PAGE, now=datetime.now())
    page.headers["Cache-Control"] = "public, max-age=60"
    return page


@routes.get("/login")
async def show_login(request):
    samples = {}
    if tenant:
        names = ("alice", "bob", "support_agent")
        samples = {name: tenant.subject_token(f"auth0|{name}") for name in names}
    next_url = read_next(request.query.get("next"), "/profile")
    return show("Log in", LOGIN, samples=samples, next_url=next_url)


@routes.get("/profile")
@login_required
async def profile(request):
    session = await auth0_of(request).get_session()
    ends = datetime.fromtimestamp(session["token_sets"][0]["expires_at"])
    return show("Profile", PROFILE, session=session, ends=ends)


@routes.get("/api-call")
@login_required(audience=API, scopes=["read:data"])
async def api_call(request):
    auth0 = auth0_of(request)
    # A token that is about to expire is renewed, once for all concurrent requests.
    token = await auth0.get_access_token(API)
    issuer = (await auth0.get_user())["iss"]
    # Call your own API here; this one exists in every tenant.
    headers = {"Authorization": f"Bearer {token}"}
    async with request.app[HTTP].get(f"{issuer}userinfo", headers=headers) as answer:
        text = await answer.text()
    return show("The API's answer", ANSWER, status=answer.status, text=text)


def make_options(subject_token):
    return LoginWithCustomTokenExchangeOptions(
        subject_token=subject_token,
        subject_token_type=TOKEN_TYPE,
        audience=API,
        scope="openid profile email offline_access read:data",
    )


templates = jinja2.Environment(autoescape=True)


def show(title, body, **values):
    """Return a page; Jinja escapes the values."""
    text = templates.from_string(PAGE + body).render(title=title, **values)
    return web.Response(text=text, content_type="text/html")


# The script reloads a page that Back shows from memory, which browsers do in spite of no-store:
# after a logout nobody may see it.
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{{ title }}</title>
<script>onpageshow = event => event.persisted && location.reload()</script>
<p><a href="/">Home</a> <a href="/profile">Profile</a> <a href="/api-call">Call an API</a>
<h1>{{ title }}</h1>"""
HOME_PAGE = """
<p>This page was made at <span id="made">{{ now.isoformat() }}</span>."""
LOGIN = """
{% for name, token in samples.items() %}
<p>A legacy token of {{ name }} to paste: <code id="{{ name }}">{{ token }}</code>
{% endfor %}
<form method="post" action="/login">
<input type="hidden" name="next" value="{{ next_url }}">
<p><label>Legacy token <textarea name="subject_token" required></textarea></label>
<p><button id="login">Log in</button></form>"""
PROFILE = """
<p>You are <b id="user">{{ session.user.sub }}</b>.
<p>The access token ends at <span id="ends">{{ ends.strftime("%Y-%m-%d %H:%M") }}</span>,
{{ "and is renewed" if session.refresh_token else "and you log in again" }}.
<form method="post" action="/logout"><button id="logout">Log out</button></form>"""
ANSWER = '<p>Status {{ status }}<pre id="answer">{{ text }}</pre>'

app = web.Application(middlewares=[handle_errors])
app.add_routes(routes)
# POST /login, /logout and /backchannel-logout.  The first two refuse forms of other sites.  After
# a logout, Auth0 ends its own session, too, and sends the browser to HOME, which must be an
# Allowed Logout URL.
app.add_routes(auth0_routes(make_options, next_url="/profile", return_to=HOME))
app.cleanup_ctx.append(hold_connections)
setup(app, client, login_url="/login")

if __name__ == "__main__":
    print(
        f"Open {HOME} and log in" + (" with a token from that page." if tenant else ".")
    )
    web.run_app(app, host="localhost", port=PORT)
