import asyncio
import sys

from auth0_tx import AsyncServerClient, CustomTokenExchangeOptions


async def main(domain: str, ca_file: str) -> None:
    async with AsyncServerClient(
        domain=domain, client_id="client", client_secret="secret", verify=ca_file
    ) as client:
        response = await client.custom_token_exchange(
            CustomTokenExchangeOptions(
                subject_token="legacy-session-token",
                subject_token_type="urn:acme:legacy-token",
                audience="https://api.example.com",
            )
        )
    assert response.access_token


asyncio.run(main(*sys.argv[1:]))
