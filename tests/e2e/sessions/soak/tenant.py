"""The tenant of a soak: it loses answers, and remembers what only a tenant knows.

A refresh token belongs to the family that a login began.  The watch knows each family's
tokens, so it can say whose answer was lost after the tenant had acted, and who was refused.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import parse_qsl

from auth0_tx.tenant import Api, Reply, Settings, Tenant
from auth0_tx.tenant.connection import Close, Pause, Step, Write
from auth0_tx.tenant.faults import Exchange, Fault
from tests.e2e.sessions.logins import AUDIENCE

OTHER_AUDIENCE = "https://other.example.com"
"""An API that the application's refresh tokens are good for."""

FOREIGN_AUDIENCE = "https://foreign.example.com"
"""An API that they are not good for: Auth0 answers with a token for the login's."""


TOKEN_SECONDS = 6


def make_tenant(**keywords: Any) -> Tenant:
    """Return a tenant that rotates refresh tokens, and whose access tokens live shortly."""
    tenant = Tenant(
        throttle=None,
        settings=Settings(cache_control="max-age=86400", history=100),
        **keywords,
    )
    for audience in (AUDIENCE, OTHER_AUDIENCE, FOREIGN_AUDIENCE):
        if audience not in tenant.apis:
            tenant.apis.add(
                Api(audience, scopes=("read:data",), allow_offline_access=True)
            )
        tenant.apis.change(audience, token_lifetime=TOKEN_SECONDS)
    tenant.applications.change(
        tenant.client_id,
        rotating_refresh_tokens=True,
        refresh_token_leeway=0.0,
        refresh_token_policies={
            AUDIENCE: ("read:data", "write:data"),
            OTHER_AUDIENCE: ("read:data",),
        },
    )
    return tenant


class TenantWatch:
    """Loses some answers of the token endpoint, and keeps what became of each family.

    Attributes:
        loss: the part of answers that is lost after the tenant has acted; 0 for none.
        refreshes: how many refreshes there were, by how they were answered.
    """

    def __init__(self, tenant: Tenant, random: Random, loss: float) -> None:
        self.loss = loss
        self.refreshes: Counter[str] = Counter()
        self._random = random
        self._lock = threading.Lock()
        self._families: dict[str, str] = {}
        self._lost: set[str] = set()
        self._refused: set[str] = set()
        tenant.inject(Fault("answers are lost", self._deliver), times=None)

    def has_lost_answer(self, family: str) -> bool:
        """Return whether the answer to one of a family's refreshes was lost."""
        return family in self._lost

    def is_refused(self, family: str) -> bool:
        """Return whether a refresh token of a family was refused (``invalid_grant``)."""
        return family in self._refused

    def _deliver(self, exchange: Exchange) -> Iterator[Step]:
        form = dict(parse_qsl(exchange.request.body.decode()))
        reply = exchange.process()
        is_lost = self._random.random() < self.loss
        with self._lock:
            self._note(form, reply, is_lost)
        yield Pause(self._choose_delay())
        if is_lost:
            yield Close()
            return
        wire = exchange.serialize(reply)
        yield Write(wire.head + wire.body)

    def _choose_delay(self) -> float:
        chance = self._random.random()
        if chance < 0.005:
            # Longer than a lock lasts whose holder has died.
            return 5.0
        return 0.1 * self._random.random() if chance < 0.2 else 0.0

    def _note(self, form: dict[str, str], reply: Reply, is_lost: bool) -> None:
        issued = reply.members.get("refresh_token")
        if form["grant_type"] != "refresh_token":
            # A family is called by the first of its tokens.
            if issued is not None:
                self._families[issued] = issued
            return
        family = self._families[form["refresh_token"]]
        if reply.status == 200:
            self._families[issued] = family
            if is_lost:
                self._lost.add(family)
        elif reply.members["error"] == "invalid_grant":
            self._refused.add(family)
        answered = "good" if reply.status == 200 else reply.members["error"]
        self.refreshes["lost" if is_lost else answered] += 1
