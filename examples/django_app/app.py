"""Log in with a token of your old system: Django, the sessions in Redis, in one file.

    pip install "auth0-tx[django,redis]"
    python examples/django_app/app.py

Without settings it runs with a local Auth0 tenant, in this process.  For your own tenant set
AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET, AUTH0_SECRET (random, 32 characters or
more), AUTH0_AUDIENCE, and AUTH0_TOKEN_TYPE (the subject token type of your profile).
REDIS_URL is the Redis that keeps sessions; without it, they end with this process.
"""

import os
import secrets
import sys
from datetime import datetime

import requests
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse, HttpResponseRedirect
from django.middleware.csrf import rotate_token
from django.template import engines
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from auth0_tx import (
    CustomTokenExchangeError,
    LoginRequiredError,
    LoginWithCustomTokenExchangeOptions,
)
from auth0_tx.integrations.django.views import backchannel_logout
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
TOKEN_TYPE = env.get("AUTH0_TOKEN_TYPE", "urn:acme:legacy-token")

if "REDIS_URL" in env:
    import redis

    store = RedisStore(redis.Redis.from_url(env["REDIS_URL"]))
else:
    store = MemoryStore()

settings.configure(
    ALLOWED_HOSTS=["localhost"],
    AUTH0_TX={
        "DOMAIN": env["AUTH0_DOMAIN"],
        "CLIENT_ID": env["AUTH0_CLIENT_ID"],
        "CLIENT_SECRET": env["AUTH0_CLIENT_SECRET"],
        "SECRET": env["AUTH0_SECRET"],
        "STATE_STORE": store,
    },
    INSTALLED_APPS=["auth0_tx.integrations.django"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "auth0_tx.integrations.django.middleware.Auth0Middleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY=env["AUTH0_SECRET"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)


def show(request, title, body, status=200, **values):
    """Return a page; Django escapes the values."""
    template = engines["django"].from_string(PAGE + body)
    page = template.render({"title": title, **values}, request)
    return HttpResponse(page, status=status, headers={"Cache-Control": "no-store"})


@require_GET
def home(request):
    samples = {}
    if tenant:
        names = ("alice", "bob", "support_agent")
        samples = {name: tenant.subject_token(f"auth0|{name}") for name in names}
    return show(request, "Log in", FORM, samples=samples)


@require_POST
def login(request):
    actor_token = request.POST.get("actor_token", "").strip() or None
    options = LoginWithCustomTokenExchangeOptions(
        subject_token=request.POST.get("subject_token", "").strip(),
        subject_token_type=TOKEN_TYPE,
        actor_token=actor_token,
        actor_token_type=TOKEN_TYPE if actor_token else None,
        audience=env["AUTH0_AUDIENCE"],
        scope="openid profile email offline_access",
    )
    try:
        request.auth0.login(options)
    except CustomTokenExchangeError as error:
        return show(request, "Not logged in", ERROR, 400, error=error)
    rotate_token(request)  # as Django's own login does
    return HttpResponseRedirect("/profile")


@require_GET
def profile(request):
    session = request.auth0.session
    if session is None:
        return HttpResponseRedirect("/")
    ends = datetime.fromtimestamp(session["token_sets"][0]["expires_at"])
    return show(request, "Profile", PROFILE, session=session, ends=ends)


@require_GET
def api_call(request):
    try:
        # A token that is about to expire is renewed, once for all concurrent requests.
        token = request.auth0.get_access_token(env["AUTH0_AUDIENCE"])
    except LoginRequiredError:
        return HttpResponseRedirect("/")
    except CustomTokenExchangeError as error:
        return show(request, "No access token", ERROR, 502, error=error)
    issuer = request.auth0.user["iss"]
    # Call your own API here; this one exists in every tenant.
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.get(f"{issuer}userinfo", headers=headers, timeout=10)
    return show(request, "The API's answer", ANSWER, answer=answer)


@require_POST
def logout(request):
    # Auth0 ends its own session, too, and sends the browser back to HOME, which must be an
    # Allowed Logout URL.
    return HttpResponseRedirect(request.auth0.logout(return_to=HOME))


urlpatterns = [
    path("", home),
    path("login", login),
    path("profile", profile),
    path("api-call", api_call),
    path("logout", logout),
    path("backchannel-logout", backchannel_logout),
]

# The script reloads a page that Back shows from memory, which browsers do in spite of no-store:
# after a logout nobody may see it.
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{{ title }}</title>
<script>onpageshow = event => event.persisted && location.reload()</script>
<p><a href="/">Home</a> <a href="/profile">Profile</a> <a href="/api-call">Call an API</a>
<h1>{{ title }}</h1>"""
FORM = """
{% for name, token in samples.items %}
<p>A legacy token of {{ name }} to paste: <code id="{{ name }}">{{ token }}</code>
{% endfor %}
<form method="post" action="/login">{% csrf_token %}
<p><label>Legacy token <textarea name="subject_token" required></textarea></label>
<p><label>Token of the acting party, if any <textarea name="actor_token"></textarea></label>
<p><button id="login">Log in</button></form>"""
PROFILE = """
<p>You are <b id="user">{{ session.user.sub }}</b>.
{% if session.user.act %}
<p>Acting for you: <b id="actor">{{ session.user.act.sub }}</b>. {% endif %}
<p>The access token ends at <span id="ends">{{ ends|date:"Y-m-d H:i" }}</span>,
{% if session.refresh_token %}and is renewed{% else %}and you log in again{% endif %}.
<form method="post" action="/logout">{% csrf_token %}
<button id="logout">Log out</button></form>"""
ANSWER = '<p>Status {{ answer.status_code }}<pre id="answer">{{ answer.text }}</pre>'
ERROR = """<p id="error">{{ error.message }} ({{ error.code }})
{% if error.hint %}<p>{{ error.hint }}{% endif %}"""

if __name__ == "__main__":
    print(
        f"Open {HOME} and log in" + (" with a token from that page." if tenant else ".")
    )
    execute_from_command_line(
        [sys.argv[0], "runserver", "--noreload", f"localhost:{PORT}"]
    )
