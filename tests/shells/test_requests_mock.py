"""An application whose requests are mocked by requests-mock."""

from __future__ import annotations

import pytest
import requests
import requests_mock

from auth0_tx import CustomTokenExchangeOptions, RefusedError, ServerClient

HOME = "https://t.auth0.com"
OPTIONS = CustomTokenExchangeOptions(
    subject_token="a", subject_token_type="urn:acme:legacy-token"
)


@pytest.mark.parametrize("mocked", ["every session", "one session", "no session"])
def test_requests_mock(mocked: str) -> None:
    """The mock sees what a client sends, on a session of its own too; its answers are read."""
    session = None if mocked == "no session" else requests.Session()
    only = session if mocked == "one session" else None
    with requests_mock.Mocker(session=only) as mock:
        mock.get(
            f"{HOME}/.well-known/openid-configuration",
            json={
                "issuer": f"{HOME}/",
                "token_endpoint": f"{HOME}/oauth/token",
                "jwks_uri": f"{HOME}/.well-known/jwks.json",
            },
        )
        granted = {"access_token": "x", "token_type": "Bearer", "expires_in": 60}
        refused = {"error": "invalid_grant", "error_description": "no"}
        mock.post(
            f"{HOME}/oauth/token",
            [
                {"json": granted},
                {"json": refused, "status_code": 400},
            ],
        )
        client = ServerClient(
            domain="t.auth0.com", client_id="x", client_secret="y", session=session
        )
        tokens = client.custom_token_exchange(OPTIONS)
        with pytest.raises(RefusedError, match="invalid_grant"):
            client.custom_token_exchange(OPTIONS)

        assert "x" == tokens.access_token
        assert 3 == mock.call_count
