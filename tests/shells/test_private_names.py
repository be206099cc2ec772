"""The private names of other libraries that we lean on: a release that drops one is told here.

``tox -e next`` runs this on their pre-releases.
"""

from __future__ import annotations

import asyncio
import http.client
import inspect
from typing import Any

import aiohttp
import pytest
import redis
import redis.asyncio
import urllib3
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_parser import HttpResponseParser
from redis.client import NEVER_DECODE
from urllib3.connection import HTTPConnection
from yarl import URL

NAMES: list[tuple[Any, str]] = [
    (aiohttp.BaseConnector, "_release"),
    (aiohttp.BaseConnector, "force_close"),
    (aiohttp.BaseConnector, "connect"),
    (aiohttp.ClientSession, "request"),
    (aiohttp.ClientSession, "_request"),
    (aiohttp.ClientRequest, "send"),
    (aiohttp.ClientRequest, "is_ssl"),
    (aiohttp.ClientResponse, "start"),
    (aiohttp.StreamReader, "is_eof"),
    (aiohttp.StreamReader, "read_nowait"),
    (aiohttp.StreamReader, "readany"),
    (HttpResponseParser, "feed_eof"),
    (ResponseHandler, "read"),
    (ResponseHandler, "should_close"),
    (ResponseHandler, "abort"),
    (HTTPConnection, "_new_conn"),
    (HTTPConnection, "_tunnel"),
    (HTTPConnection, "is_connected"),
    (http.client.HTTPConnection, "_send_output"),
    (http.client.HTTPResponse, "_read_status"),
    (http.client.HTTPResponse, "_safe_read"),
    (urllib3.HTTPConnectionPool, "ConnectionCls"),
    (urllib3.HTTPConnectionPool, "_get_conn"),
    (urllib3.HTTPConnectionPool, "_prepare_proxy"),
    (urllib3.HTTPConnectionPool, "_put_conn"),
    (redis.Connection, "_connect"),
    (redis.Connection, "send_packed_command"),
    (redis.cluster.RedisCluster, "get_node_from_key"),
    (redis.asyncio.cluster.RedisCluster, "get_node_from_key"),
]


@pytest.mark.parametrize(("owner", "name"), NAMES)
def test_methods(owner: Any, name: str) -> None:
    """A method that we call or replace is there."""
    assert hasattr(owner, name)


async def test_attributes_of_aiohttp() -> None:
    """What we read of a session, a connector and a protocol is there, and so is our setting."""
    async with aiohttp.ClientSession() as session:
        protocol = ResponseHandler(session._loop)
        missing = [
            *(
                name
                for name in (
                    *("_loop", "_retry_connection", "_default_proxy"),
                    *("trace_configs", "_middlewares"),
                )
                if not hasattr(session, name)
            ),
            *(
                name
                for name in ("_parser", "_reading_paused")
                if not hasattr(protocol, name)
            ),
            *(name for name in ("_closed",) if not hasattr(session.connector, name)),
        ]

    assert [] == missing
    assert "socket_factory" in inspect.signature(aiohttp.TCPConnector).parameters
    assert {"read_until_eof", "auto_decompress", "max_headers"} <= set(
        inspect.signature(ResponseHandler.set_response_params).parameters
    )


async def test_requests_of_aiohttp() -> None:
    """A request that only tells a connector where to connect to needs no more than we give."""
    loop = asyncio.get_running_loop()
    request = aiohttp.ClientRequest(
        "GET", URL("https://localhost/"), loop=loop, ssl=True, proxy=None
    )

    assert ("localhost", 443) == request.connection_key[:2]


def test_attributes_of_urllib3() -> None:
    """What we read of a pool manager, a connection and a response is there."""
    response = urllib3.HTTPResponse()
    missing = [
        *(
            name
            for name in ("_pool", "_original_response", "_fp", "length_remaining")
            if not hasattr(response, name)
        ),
        *(
            name
            for name in ("_dns_host", "_buffer", "sock", "timeout")
            if not hasattr(HTTPConnection("localhost"), name)
        ),
    ]

    assert [] == missing
    manager = urllib3.PoolManager()
    assert hasattr(manager, "pool_classes_by_scheme")
    assert hasattr(manager, "key_fn_by_scheme")


def test_attributes_of_redis() -> None:
    """What we read of a pool and a connection is there, and so is the option of a command."""
    pool = redis.ConnectionPool()
    connection = redis.Connection()

    assert "NEVER_DECODE" == NEVER_DECODE
    assert isinstance(pool.connection_kwargs, dict)
    assert isinstance(pool.max_connections, int)
    assert hasattr(connection, "retry")
