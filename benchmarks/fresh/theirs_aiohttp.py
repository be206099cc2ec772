import asyncio
import ssl
import sys

import aiohttp


async def main(domain: str, ca_file: str) -> None:
    context = ssl.create_default_context(cafile=ca_file)
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:
        url = f"https://{domain}/.well-known/openid-configuration"
        async with session.get(url) as answer:
            metadata = await answer.json()
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "client_id": "client",
            "client_secret": "secret",
            "subject_token": "legacy-session-token",
            "subject_token_type": "urn:acme:legacy-token",
            "audience": "https://api.example.com",
        }
        async with session.post(metadata["token_endpoint"], data=form) as answer:
            response = await answer.json()
    assert response["access_token"]


asyncio.run(main(*sys.argv[1:]))
