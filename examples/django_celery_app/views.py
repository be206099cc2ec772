"""The site: a view that sends a task for a user, and one that shows what became of it."""

from celery.result import AsyncResult
from django.core.cache import cache
from django.http import HttpResponse, HttpResponseRedirect
from django.template import engines
from django.urls import path
from django.views.decorators.http import require_GET, require_POST
from tasks import app, make_report, open_vault

tenant = None


def show(request, body, **values):
    """Return a page; Django escapes the values."""
    page = engines["django"].from_string(PAGE + body).render(values, request)
    return HttpResponse(page, headers={"Cache-Control": "no-store"})


@require_GET
def home(request):
    sample = tenant.subject_token("auth0|alice") if tenant else ""
    return show(request, HOME, sample=sample, prices=cache.get("prices"))


@require_POST
def order_report(request):
    token = request.POST.get("subject_token", "").strip()
    if not token:
        return HttpResponseRedirect("/")
    # The message has the handle.  The token is sealed in the database, for ten minutes at most.
    handle = open_vault().put(token, ttl=600)
    return HttpResponseRedirect(f"/reports/{make_report.delay(handle).id}")


@require_GET
def show_report(request, report_id):
    # In a site with logins, check that the report is the user's.
    result = AsyncResult(str(report_id), app=app)
    return show(request, REPORT, result=result)


urlpatterns = [
    path("", home),
    path("reports", order_report),
    path("reports/<uuid:report_id>", show_report),
]

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Reports</title>
<p><a href="/">Home</a><h1>Reports</h1>
<p>This page was made at <span id="made">{% now "c" %}</span>."""
HOME = """
{% if sample %}<p>A legacy token of alice to paste: <code id="alice">{{ sample }}</code>{% endif %}
<form method="post" action="/reports">{% csrf_token %}
<p><label>Legacy token <textarea name="subject_token" required></textarea></label>
<p><button id="order">Order a report</button></form>
<p>Prices were last refreshed at <span id="prices">{{ prices|default:"-" }}</span>."""
REPORT = """
<p>State: <b id="state">{{ result.state }}</b>. Reload the page until it is SUCCESS.
{% if result.ready %}<p id="report">{{ result.result }}{% endif %}"""
