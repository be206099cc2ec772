"""Back-channel logout: the tokens, and how they reach an application."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from attrs import Factory, define
from joserfc import jwt

from auth0_tx.tenant import (
    ActionApi,
    Application,
    Certificates,
    Event,
    Profile,
    Settings,
    Tenant,
)
from tests.tenant.tenant_caller import NOON, Caller, read_claims, read_part

EVENTS: dict[str, dict[str, str]] = {
    "http://schemas.openid.net/event/backchannel-logout": {}
}


def test_logout_token(caller: Caller) -> None:
    """A logout token says who is logged out where, signed like an ID token."""
    token = caller.tenant.logout_token("auth0|alice", session_id="s1")
    claims = read_claims(token)

    jwt.decode(token, caller.fetch_keys(), algorithms=["RS256"])
    assert "logout+jwt" == read_part(token, 0)["typ"]
    assert {
        "iss": caller.tenant.issuer,
        "aud": caller.tenant.client_id,
        "sub": "auth0|alice",
        "sid": "s1",
        "iat": NOON,
        "exp": NOON + 120,
        "jti": claims["jti"],
        "events": EVENTS,
    } == claims
    assert claims["jti"] != read_claims(caller.tenant.logout_token("x"))["jti"]
    assert caller.tenant.issuer.endswith("/")


def test_sub_or_sid(tenant: Tenant) -> None:
    """Either may be left out."""
    assert "sid" not in read_claims(tenant.logout_token(user_id="auth0|alice"))
    assert "sub" not in read_claims(tenant.logout_token(session_id="s1"))


def test_changes(tenant: Tenant) -> None:
    """Claims are put over its own, and None leaves one out."""
    token = tenant.logout_token(
        "auth0|alice", typ="JWT", jti=None, nonce="n", iss="https://other.example/"
    )
    claims = read_claims(token)

    assert "JWT" == read_part(token, 0)["typ"]
    assert "jti" not in claims
    assert ("n", "https://other.example/") == (claims["nonce"], claims["iss"])


def test_algorithm_is_the_applications(tenant: Tenant) -> None:
    """A logout token is signed with what the application's ID tokens are."""
    for algorithm in ("HS256", "PS256"):
        tenant.applications.add(
            Application(algorithm, "s" * 32, id_token_signing_algorithm=algorithm)
        )

        header = read_part(tenant.logout_token("x", client_id=algorithm), 0)
        assert (algorithm, "logout+jwt") == (header["alg"], header["typ"])


def test_session_ids_are_a_setting(new_tenant: Callable[..., Tenant]) -> None:
    """With the setting ID tokens have a sid, which a refresh keeps; else not."""
    plain, with_sid = (
        Caller(new_tenant()),
        Caller(new_tenant(settings=Settings(session_ids=True))),
    )
    scope = "openid offline_access"
    first, other = (with_sid.exchange(scope=scope).members for _ in range(2))
    again = with_sid.refresh(first["refresh_token"]).members
    sids = [
        read_claims(members["id_token"])["sid"] for members in (first, other, again)
    ]

    assert sids[0] == sids[2] != sids[1]
    assert "sid" not in read_claims(plain.exchange(scope=scope).members["id_token"])


def test_action_may_set_a_session_id(caller: Caller) -> None:
    """An Action may say what the sid is."""

    def action(event: Event, api: ActionApi) -> None:
        api.authentication.set_user_by_id("auth0|alice")
        api.id_token.set_custom_claim("sid", "chosen")

    caller.tenant.profiles.add(Profile("urn:acme:sid", action))
    members = caller.exchange(subject_token_type="urn:acme:sid", scope="openid").members

    assert "chosen" == read_claims(members["id_token"])["sid"]


@define
class Received:
    """The requests that an application has received."""

    uri: str = ""
    posts: list[tuple[str, str, dict[str, list[str]]]] = Factory(list)
    status: int = 200


@contextmanager
def serve_application(context: ssl.SSLContext | None = None) -> Iterator[Received]:
    """Run an application that answers as it is told."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.posts.append(
                (self.path, self.headers["Content-Type"], parse_qs(body))
            )
            self.send_response(received.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    class Server(HTTPServer):
        def get_request(self) -> tuple[socket.socket, Any]:
            accepted, address = super().get_request()
            accepted.settimeout(5)
            if context is not None:
                accepted = context.wrap_socket(accepted, server_side=True)
            return accepted, address

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http" if context is None else "https"
    received.uri = f"{scheme}://localhost:{server.server_port}/logout"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}
    )
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def set_logout_uri(tenant: Tenant, uri: str) -> None:
    """Have the default application's logout tokens posted to ``uri``."""
    tenant.applications.change(tenant.client_id, backchannel_logout_uri=uri)


def test_send(tenant: Tenant) -> None:
    """A logout token is posted as a form, and the answer's status returned."""
    with serve_application() as received:
        set_logout_uri(tenant, f"{received.uri}?a=b")
        status = tenant.send_backchannel_logout(
            "auth0|alice", session_id="s1", typ="JWT", extra=1
        )
    ((path, media_type, form),) = received.posts
    (token,) = form["logout_token"]

    assert 200 == status
    assert ("/logout?a=b", "application/x-www-form-urlencoded") == (path, media_type)
    assert {"logout_token"} == set(form)
    assert ("auth0|alice", "s1", 1) == tuple(
        read_claims(token)[name] for name in ("sub", "sid", "extra")
    )
    assert "JWT" == read_part(token, 0)["typ"]
    assert ("oidc_backchannel_logout_succeeded", "auth0|alice") == (
        tenant.logs[-1].type,
        tenant.logs[-1].user_id,
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(204, "succeeded"), (302, "failed"), (400, "failed"), (503, "failed")],
)
def test_answer(tenant: Tenant, status: int, outcome: str) -> None:
    """Any status is returned and logged; a redirect is not followed."""
    with serve_application() as received:
        received.status = status
        set_logout_uri(tenant, received.uri)
        answered = tenant.send_backchannel_logout("auth0|alice")

    assert status == answered
    assert 1 == len(received.posts)
    assert f"oidc_backchannel_logout_{outcome}" == tenant.logs[-1].type


def test_send_over_tls(served: Tenant, certificates: Certificates) -> None:
    """Over TLS the tenant's own CA is trusted, or a given one, or any certificate."""
    others = Certificates()
    statuses = []
    for certificate, verify in (
        (certificates, True),
        (others, others.ca_file),
        (others, False),
    ):
        with serve_application(certificate.server_context()) as received:
            set_logout_uri(served, received.uri)
            statuses.append(served.send_backchannel_logout("x", verify=verify))

    assert [200, 200, 200] == statuses
    with serve_application(others.server_context()) as received:
        set_logout_uri(served, received.uri)
        with pytest.raises(ssl.SSLCertVerificationError):
            served.send_backchannel_logout("x")
    assert "oidc_backchannel_logout_failed" == served.logs[-1].type


def test_plain_tenant_and_tls(tenant: Tenant, certificates: Certificates) -> None:
    """A tenant without TLS posts to an application that has it."""
    with serve_application(certificates.server_context()) as received:
        set_logout_uri(tenant, received.uri)

        assert 200 == tenant.send_backchannel_logout("x", verify=certificates.ca_file)
        assert 200 == tenant.send_backchannel_logout("x", verify=False)


def test_nobody_there(tenant: Tenant) -> None:
    """An application that is not there is an error, and logged."""
    with serve_application() as received:
        pass
    set_logout_uri(tenant, received.uri)
    with pytest.raises(ConnectionError):
        tenant.send_backchannel_logout("x")

    assert ("oidc_backchannel_logout_failed", "no answer") == (
        tenant.logs[-1].type,
        tenant.logs[-1].description,
    )


@pytest.mark.parametrize(
    "uri",
    [None, "http://example.com/logout", "https://10.0.0.1/", "ftp://localhost/", "/x"],
)
def test_stays_on_this_machine(tenant: Tenant, uri: str | None) -> None:
    """Nothing is sent to another machine, or without a URI."""
    tenant.applications.change(tenant.client_id, backchannel_logout_uri=uri)
    with pytest.raises(ValueError, match="backchannel_logout_uri"):
        tenant.send_backchannel_logout("auth0|alice")

    assert () == tenant.logs


def test_unknown_application(tenant: Tenant) -> None:
    """An application that there is not has no URI."""
    with pytest.raises(ValueError, match="backchannel_logout_uri"):
        tenant.send_backchannel_logout("auth0|alice", client_id="nobody")
