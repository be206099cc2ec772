import sys

import requests

domain, ca_file = sys.argv[1:]
with requests.Session() as session:
    url = f"https://{domain}/.well-known/openid-configuration"
    metadata = session.get(url, verify=ca_file).json()
    response = session.post(
        metadata["token_endpoint"],
        data={
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "client_id": "client",
            "client_secret": "secret",
            "subject_token": "legacy-session-token",
            "subject_token_type": "urn:acme:legacy-token",
            "audience": "https://api.example.com",
        },
        verify=ca_file,
    ).json()
assert response["access_token"]
