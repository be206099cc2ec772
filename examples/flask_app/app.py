"""Log in with a token of your old system: Flask, the session in the browser's cookies.

    pip install "auth0-tx[flask]"
    python examples/flask_app/app.py

Without settings it runs with a local Auth0 tenant, in this process.  For your own tenant set
AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET, AUTH0_SECRET (random, 32 characters or
more), AUTH0_AUDIENCE, and AUTH0_TOKEN_TYPE (the subject token type of your profile).
"""

import os
import secrets
from datetime import datetime

import requests
from flask import Flask, abort, make_response, redirect, render_template_string, request

from auth0_tx import (
    CustomTokenExchangeError,
    LoginRequiredError,
    LoginWithCustomTokenExchangeOptions,
)
from auth0_tx.integrations.flask import Auth0TX, current_auth0

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

app = Flask(__name__)

# With only a secret, sessions are kept in cookies, which are set on any response of a view.
for name in ("AUTH0_DOMAIN", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_SECRET"):
    app.config[name] = env[name]
Auth0TX(app)


@app.before_request
def refuse_forms_of_other_sites():
    """Refuse forms of other sites: they must not log anybody in or out (CSRF)."""
    sender = request.headers.get("Sec-Fetch-Site", "same-origin")
    if request.method == "POST" and sender != "same-origin":
        abort(403)


def show(title, body, **values):
    """Return a page; Jinja escapes the values."""
    page = render_template_string(PAGE + body, title=title, **values)
    return make_response(page, {"Cache-Control": "no-store"})


@app.get("/")
def home():
    samples = {}
    if tenant:
        names = ("alice", "bob", "support_agent")
        samples = {name: tenant.subject_token(f"auth0|{name}") for name in names}
    return show("Log in", FORM, samples=samples)


@app.post("/login")
def login():
    actor_token = request.form.get("actor_token", "").strip() or None
    options = LoginWithCustomTokenExchangeOptions(
        subject_token=request.form.get("subject_token", "").strip(),
        subject_token_type=TOKEN_TYPE,
        actor_token=actor_token,
        actor_token_type=TOKEN_TYPE if actor_token else None,
        audience=env["AUTH0_AUDIENCE"],
        scope="openid profile email offline_access",
    )
    try:
        current_auth0.login(options)
    except CustomTokenExchangeError as error:
        return show("Not logged in", ERROR, error=error), 400
    return redirect("/profile", 303)


@app.get("/profile")
def profile():
    session = current_auth0.session
    if session is None:
        return redirect("/", 303)
    ends = datetime.fromtimestamp(session["token_sets"][0]["expires_at"])
    return show("Profile", PROFILE, session=session, ends=ends)


@app.get("/api-call")
def api_call():
    try:
        # A token that is about to expire is renewed.
        token = current_auth0.get_access_token(env["AUTH0_AUDIENCE"])
    except LoginRequiredError:
        return redirect("/", 303)
    except CustomTokenExchangeError as error:
        return show("No access token", ERROR, error=error), 502
    issuer = current_auth0.user["iss"]
    # Call your own API here; this one exists in every tenant.
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.get(f"{issuer}userinfo", headers=headers, timeout=10)
    return show("The API's answer", ANSWER, answer=answer)


@app.post("/logout")
def logout():
    # Auth0 ends its own session, too, and sends the browser back to HOME, which must be an
    # Allowed Logout URL.
    return redirect(current_auth0.logout(return_to=HOME), 303)


# The script reloads a page that Back shows from memory, which browsers do in spite of no-store:
# after a logout nobody may see it.
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{{ title }}</title>
<script>onpageshow = event => event.persisted && location.reload()</script>
<p><a href="/">Home</a> <a href="/profile">Profile</a> <a href="/api-call">Call an API</a>
<h1>{{ title }}</h1>"""
FORM = """
{% for name, token in samples.items() %}
<p>A legacy token of {{ name }} to paste: <code id="{{ name }}">{{ token }}</code>
{% endfor %}
<form method="post" action="/login">
<p><label>Legacy token <textarea name="subject_token" required></textarea></label>
<p><label>Token of the acting party, if any <textarea name="actor_token"></textarea></label>
<p><button id="login">Log in</button></form>"""
PROFILE = """
<p>You are <b id="user">{{ session.user.sub }}</b>.
{% if session.user.act %}
<p>Acting for you: <b id="actor">{{ session.user.act.sub }}</b>. {% endif %}
<p>The access token ends at <span id="ends">{{ ends.strftime("%Y-%m-%d %H:%M") }}</span>,
{{ "and is renewed" if session.refresh_token else "and you log in again" }}.
<form method="post" action="/logout"><button id="logout">Log out</button></form>"""
ANSWER = '<p>Status {{ answer.status_code }}<pre id="answer">{{ answer.text }}</pre>'
ERROR = """<p id="error">{{ error.message }} ({{ error.code }})
{% if error.hint %}<p>{{ error.hint }}{% endif %}"""

if __name__ == "__main__":
    print(
        f"Open {HOME} and log in" + (" with a token from that page." if tenant else ".")
    )
    app.run("localhost", PORT)
