"""Log in with a token of your old system: FastAPI, the session in the browser's cookies.

    pip install "auth0-tx[fastapi]" uvicorn python-multipart
    python examples/fastapi_app/app.py

Without settings it runs with a local Auth0 tenant, in this process.  For your own tenant set
AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET, AUTH0_SECRET (random, 32 characters or
more), AUTH0_AUDIENCE, and AUTH0_TOKEN_TYPE (the subject token type of your profile).
"""

import os
import secrets
from contextlib import asynccontextmanager
from datetime import datetime
from html import escape
from typing import Annotated

import aiohttp
import uvicorn
from fastapi import Depends, FastAPI, Form, Header, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from auth0_tx import (
    AsyncServerClient,
    CustomTokenExchangeError,
    LoginRequiredError,
    LoginWithCustomTokenExchangeOptions,
)
from auth0_tx.integrations.fastapi import (
    Auth0,
    SessionCommitMiddleware,
    auth0_lifespan,
)

PORT = int(os.environ.get("PORT", "8000"))
HOME = f"http://localhost:{PORT}/"  # in production: your own, over https

env, tenant = dict(os.environ), None
if "AUTH0_DOMAIN" not in env:
    from auth0_tx.tenant import Tenant

    tenant = Tenant(tls=False).start()
    tenant.applications.change(tenant.client_id, allowed_logout_urls=[HOME])
    env["AUTH0_DOMAIN"] = tenant.domain
    env["AUTH0_CLIENT_ID"] = tenant.client_id
    env["AUTH0_CLIENT_SECRET"] = tenant.client_secret
    env["AUTH0_SECRET"] = secrets.token_urlsafe(32)
    env["AUTH0_AUDIENCE"] = "https://api.example.com"
TOKEN_TYPE = env.get("AUTH0_TOKEN_TYPE", "urn:acme:legacy-token")

# One client for the whole application.  With only a secret, sessions are kept in cookies.
client = AsyncServerClient(
    domain=env["AUTH0_DOMAIN"],
    client_id=env["AUTH0_CLIENT_ID"],
    client_secret=env["AUTH0_CLIENT_SECRET"],
    secret=env["AUTH0_SECRET"],
)


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with aiohttp.ClientSession() as http:
        yield {"http": http}


async def refuse_forms_of_other_sites(
    request: Request, sec_fetch_site: Annotated[str, Header()] = "same-origin"
):
    """Refuse forms of other sites: they must not log anybody in or out (CSRF)."""
    if request.method == "POST" and sec_fetch_site != "same-origin":
        raise HTTPException(403)


app = FastAPI(
    lifespan=auth0_lifespan(client, lifespan),
    dependencies=[Depends(refuse_forms_of_other_sites)],
)
# It sets the session's cookies on any response, so that no view has to.
served = SessionCommitMiddleware(app)


@app.get("/")
async def home():
    names = ("alice", "bob", "support_agent") if tenant else ()
    samples = "".join(
        f'<p>A legacy token of {name} to paste: <code id="{name}">'
        f"{escape(tenant.subject_token(f'auth0|{name}'))}</code>"
        for name in names
    )
    return page("Log in", samples + FORM)


@app.post("/login")
async def login(
    auth0: Auth0,
    subject_token: Annotated[str, Form()] = "",
    actor_token: Annotated[str, Form()] = "",
):
    actor_token = actor_token.strip() or None
    options = LoginWithCustomTokenExchangeOptions(
        subject_token=subject_token.strip(),
        subject_token_type=TOKEN_TYPE,
        actor_token=actor_token,
        actor_token_type=TOKEN_TYPE if actor_token else None,
        audience=env["AUTH0_AUDIENCE"],
        scope="openid profile email offline_access",
    )
    try:
        await auth0.login(options)
    except CustomTokenExchangeError as error:
        return error_page("Not logged in", error, 400)
    return RedirectResponse("/profile", 303)


@app.get("/profile")
async def profile(auth0: Auth0):
    session = await auth0.get_session()
    if session is None:
        return RedirectResponse("/", 303)
    user = session["user"]
    body = f'<p>You are <b id="user">{escape(user["sub"])}</b>'
    if "act" in user:
        body += f'<p>Acting for you: <b id="actor">{escape(user["act"]["sub"])}</b>'
    ends = datetime.fromtimestamp(session["token_sets"][0]["expires_at"])
    body += (
        f'<p>The access token ends at <span id="ends">{ends:%Y-%m-%d %H:%M}</span>, '
    )
    body += "and is renewed." if session["refresh_token"] else "and you log in again."
    return page("Profile", body + LOGOUT)


@app.get("/api-call")
async def api_call(request: Request, auth0: Auth0):
    try:
        # A token that is about to expire is renewed, and the session's cookies with it.
        token = await auth0.get_access_token(env["AUTH0_AUDIENCE"])
    except LoginRequiredError:
        return RedirectResponse("/", 303)
    except CustomTokenExchangeError as error:
        return error_page("No access token", error, 502)
    issuer = (await auth0.get_user())["iss"]
    # Call your own API here; this one exists in every tenant.
    headers = {"Authorization": f"Bearer {token}"}
    async with request.state.http.get(f"{issuer}userinfo", headers=headers) as answer:
        text = escape(await answer.text())
    body = f'<p>Status {answer.status}<pre id="answer">{text}</pre>'
    return page("The API's answer", body)


@app.post("/logout")
async def logout(auth0: Auth0):
    # Auth0 ends its own session, too, and sends the browser back to HOME, which must be an
    # Allowed Logout URL.
    return RedirectResponse(await auth0.logout(return_to=HOME), 303)


def page(title: str, body: str, status: int = 200):
    """Return a page with *body*, which is HTML in which all input is escaped."""
    head = PAGE.format(title=escape(title))
    return HTMLResponse(head + body, status, {"Cache-Control": "no-store"})


def error_page(title: str, error: CustomTokenExchangeError, status: int):
    what = escape(f"{error.message} ({error.code})")
    return page(title, f'<p id="error">{what}<p>{escape(error.hint or "")}', status)


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

if __name__ == "__main__":
    print(
        f"Open {HOME} and log in" + (" with a token from that page." if tenant else ".")
    )
    uvicorn.run(served, host="localhost", port=PORT)
