"""Log in with a token of your old system: FastAPI, the session in cookies or in Redis.

    pip install "auth0-tx[fastapi,redis]" jinja2 uvicorn
    python examples/fastapi_app/app.py

Without settings it runs with a local Auth0 tenant, in this process.  For your own tenant set
AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET, AUTH0_SECRET (random, 32 characters or
more), AUTH0_AUDIENCE, and AUTH0_TOKEN_TYPE (the subject token type of your profile).
With REDIS_URL sessions are in that Redis, and Auth0 can end them: your application's
Back-Channel Logout URI there is /auth0/backchannel-logout.

Other servers find the application here as well: uvicorn --workers 2 app:app
"""

import os
import secrets
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

import aiohttp
import jinja2
import redis.asyncio
import uvicorn
from fastapi import Depends, FastAPI, Request, Security
from fastapi.responses import HTMLResponse

from auth0_tx import (
    AsyncServerClient,
    LoginWithCustomTokenExchangeOptions,
    UserClaims,
)
from auth0_tx.integrations.fastapi import (
    RESPONSES,
    AccessToken,
    Auth0,
    RequiredUser,
    SessionCommitMiddleware,
    auth0_lifespan,
    auth0_router,
    handle_errors,
)
from auth0_tx.integrations.login_redirects import read_next
from auth0_tx.stores import RedisStore

PORT = int(os.environ.get("PORT", "8000"))
HOME = f"http://localhost:{PORT}/"  # in production: your own, over https

env, tenant = dict(os.environ), None
if "AUTH0_DOMAIN" not in env:
    from auth0_tx.tenant import Tenant

    tenant = Tenant(tls=False).start()
    tenant.applications.change(
        tenant.client_id,
        allowed_logout_urls=[HOME],
        backchannel_logout_uri=f"{HOME}auth0/backchannel-logout",
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
    state_store=RedisStore(connection) if connection else None,
)


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with aiohttp.ClientSession() as http:
        yield {"http": http}
    if connection:
        await connection.aclose()


app = FastAPI(lifespan=auth0_lifespan(client, lifespan), responses=RESPONSES)
# It sets the session's cookies on any response, so that no endpoint has to.
app.add_middleware(SessionCommitMiddleware)
# Errors that no endpoint catches; a page that needs a login leads to the login page.
handle_errors(app, login_url="/login")


def make_options(subject_token: str) -> LoginWithCustomTokenExchangeOptions:
    return LoginWithCustomTokenExchangeOptions(
        subject_token=subject_token,
        subject_token_type=TOKEN_TYPE,
        audience=API,
        scope="openid profile email offline_access read:data",
    )


# POST /auth0/login, /auth0/logout and /auth0/backchannel-logout.  The first two refuse forms of
# other sites.  After a logout, Auth0 ends its own session, too, and sends the browser to HOME,
# which must be an Allowed Logout URL.
app.include_router(
    auth0_router(make_options, next_url="/profile", return_to=HOME),
    prefix="/auth0",
)


@app.get("/")
async def home():
    # The same for everybody, so caches may keep it.
    page = show("Welcome", HOME_PAGE, now=datetime.now())
    page.headers["Cache-Control"] = "public, max-age=60"
    return page


@app.get("/login")
async def show_login(next: str = ""):
    samples = {}
    if tenant:
        names = ("alice", "bob", "support_agent")
        samples = {name: tenant.subject_token(f"auth0|{name}") for name in names}
    return show("Log in", LOGIN, samples=samples, next_url=read_next(next, "/profile"))


@app.get("/profile", dependencies=[Depends(RequiredUser())])
async def profile(auth0: Auth0):
    session = await auth0.get_session()
    ends = datetime.fromtimestamp(session["token_sets"][0]["expires_at"])
    return show("Profile", PROFILE, session=session, ends=ends)


@app.get("/api-call")
async def api_call(
    request: Request,
    user: Annotated[UserClaims, Security(RequiredUser(), scopes=["read:data"])],
    # A token that is about to expire is renewed.
    token: Annotated[str, Depends(AccessToken(API))],
):
    # Call your own API here; this one exists in every tenant.
    url, headers = f"{user['iss']}userinfo", {"Authorization": f"Bearer {token}"}
    async with request.state.http.get(url, headers=headers) as answer:
        text = await answer.text()
    return show("The API's answer", ANSWER, status=answer.status, text=text)


templates = jinja2.Environment(autoescape=True)


def show(title: str, body: str, **values: object) -> HTMLResponse:
    """Return a page; Jinja escapes the values."""
    template = templates.from_string(PAGE + body)
    return HTMLResponse(template.render(title=title, **values))


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
<form method="post" action="/auth0/login">
<input type="hidden" name="next" value="{{ next_url }}">
<p><label>Legacy token <textarea name="subject_token" required></textarea></label>
<p><button id="login">Log in</button></form>"""
PROFILE = """
<p>You are <b id="user">{{ session.user.sub }}</b>.
<p>The access token ends at <span id="ends">{{ ends.strftime("%Y-%m-%d %H:%M") }}</span>,
{{ "and is renewed" if session.refresh_token else "and you log in again" }}.
<form method="post" action="/auth0/logout"><button id="logout">Log out</button></form>"""
ANSWER = '<p>Status {{ status }}<pre id="answer">{{ text }}</pre>'

if __name__ == "__main__":
    print(
        f"Open {HOME} and log in" + (" with a token from that page." if tenant else ".")
    )
    uvicorn.run(app, host="localhost", port=PORT)
