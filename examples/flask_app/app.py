"""Log in with a token of your old system: Flask, the session in cookies or in Redis.

    pip install "auth0-tx[flask,redis]"
    python examples/flask_app/app.py

Without settings it runs with a local Auth0 tenant, in this process.  For your own tenant set
AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET, AUTH0_SECRET (random, 32 characters or
more), AUTH0_AUDIENCE, and AUTH0_TOKEN_TYPE (the subject token type of your profile).
With REDIS_URL sessions are in that Redis, and Auth0 can end them: your application's
Back-Channel Logout URI there is /auth0/backchannel-logout.

Other servers find the application here as well: gunicorn app:app
"""

import os
import secrets
from datetime import datetime

import redis
import requests
from flask import Flask, make_response, render_template_string, request

from auth0_tx import LoginWithCustomTokenExchangeOptions, RefusedError
from auth0_tx.integrations.flask import (
    Auth0TX,
    current_auth0,
    get_next_url,
    login_required,
)
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

app = Flask(__name__)
for name in ("AUTH0_DOMAIN", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_SECRET"):
    app.config[name] = env[name]
app.config["AUTH0_TX_LOGIN_VIEW"] = "show_login"
if "REDIS_URL" in env:
    connection = redis.Redis.from_url(env["REDIS_URL"])
    app.config["AUTH0_TX_STATE_STORE"] = RedisStore(connection)
auth0 = Auth0TX(app)
auth0.handle_errors(app)  # errors that no view catches


def make_options(subject_token):
    actor_token = request.form.get("actor_token") or None
    return LoginWithCustomTokenExchangeOptions(
        subject_token=subject_token,
        subject_token_type=TOKEN_TYPE,
        actor_token=actor_token,
        actor_token_type=TOKEN_TYPE if actor_token else None,
        audience=API,
        scope="openid profile email offline_access read:data",
    )


# POST /auth0/login, /auth0/logout and /auth0/backchannel-logout.  The first two refuse forms of
# other sites.  After a logout, Auth0 ends its own session, too, and sends the browser to HOME,
# which must be an Allowed Logout URL.
routes = auth0.routes(make_options, next_url="/profile", return_to=HOME)


@routes.errorhandler(RefusedError)
def show_refusal(error):
    return show("Log in", LOGIN, samples=make_samples(), error=error), 400


app.register_blueprint(routes, url_prefix="/auth0")


@app.get("/")
def home():
    # The same for everybody, so caches may keep it.
    page = make_response(show("Welcome", HOME_PAGE, now=datetime.now()))
    page.headers["Cache-Control"] = "public, max-age=60"
    return page


@app.get("/login")
def show_login():
    return show("Log in", LOGIN, samples=make_samples())


@app.get("/profile")
@login_required
def profile():
    session = current_auth0.session
    ends = datetime.fromtimestamp(session["token_sets"][0]["expires_at"])
    return show("Profile", PROFILE, session=session, ends=ends)


@app.get("/api-call")
@login_required(audience=API, scopes="read:data")
def api_call():
    # A token that is about to expire is renewed.
    token = current_auth0.get_access_token(API)
    issuer = current_auth0.user["iss"]
    # Call your own API here; this one exists in every tenant.
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.get(f"{issuer}userinfo", headers=headers, timeout=10)
    return show("The API's answer", ANSWER, answer=answer)


def make_samples():
    """Return tokens to paste, if the tenant is a local one."""
    names = ("alice", "bob", "support_agent") if tenant else ()
    return {name: tenant.subject_token(f"auth0|{name}") for name in names}


def show(title, body, **values):
    """Return a page; Jinja escapes the values."""
    return render_template_string(
        PAGE + body, title=title, next_url=get_next_url("/profile"), **values
    )


# The script reloads a page that Back shows from memory, which browsers do in spite of no-store:
# after a logout nobody may see it.
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{{ title }}</title>
<script>onpageshow = event => event.persisted && location.reload()</script>
<p><a href="/">Home</a> <a href="/profile">Profile</a> <a href="/api-call">Call an API</a>
<h1>{{ title }}</h1>"""
HOME_PAGE = """
<p>This page was made at <span id="made">{{ now.isoformat() }}</span>."""
LOGIN = """
{% if error %}<p id="error">Auth0 refused the login: {{ error.code }}.{% endif %}
{% for name, token in samples.items() %}
<p>A legacy token of {{ name }} to paste: <code id="{{ name }}">{{ token }}</code>
{% endfor %}
<form method="post" action="/auth0/login">
<input type="hidden" name="next" value="{{ next_url }}">
<p><label>Legacy token <textarea name="subject_token" required></textarea></label>
<p><label>Token of the acting party, if any <textarea name="actor_token"></textarea></label>
<p><button id="login">Log in</button></form>"""
PROFILE = """
<p>You are <b id="user">{{ session.user.sub }}</b>.
{% if session.user.act %}
<p>Acting for you: <b id="actor">{{ session.user.act.sub }}</b>. {% endif %}
<p>The access token ends at <span id="ends">{{ ends.strftime("%Y-%m-%d %H:%M") }}</span>,
{{ "and is renewed" if session.refresh_token else "and you log in again" }}.
<form method="post" action="/auth0/logout"><button id="logout">Log out</button></form>"""
ANSWER = '<p>Status {{ answer.status_code }}<pre id="answer">{{ answer.text }}</pre>'

if __name__ == "__main__":
    print(
        f"Open {HOME} and log in" + (" with a token from that page." if tenant else ".")
    )
    app.run("localhost", PORT)
