import sys

from auth0_tx import CustomTokenExchangeOptions, ServerClient

domain, ca_file = sys.argv[1:]
with ServerClient(
    domain=domain, client_id="client", client_secret="secret", verify=ca_file
) as client:
    response = client.custom_token_exchange(
        CustomTokenExchangeOptions(
            subject_token="legacy-session-token",
            subject_token_type="urn:acme:legacy-token",
            audience="https://api.example.com",
        )
    )
assert response.access_token
