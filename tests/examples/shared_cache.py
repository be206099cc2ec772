"""nginx as a shared cache in front of an application.

It keeps whatever RFC 9111 lets a shared cache keep, and longer than most do: a page that says
nothing about caches stays a minute (section 4.2.2), and a page that sets a cookie is kept like
any other (section 7.3).  So nothing but the page's own ``Cache-Control`` and ``Vary`` protects
its user.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.examples.running_app import RunningApp, accepts_connections, free_port

_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=pages:1m;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://localhost:{app_port};
            proxy_http_version 1.1;
            proxy_buffer_size 16k;
            proxy_busy_buffers_size 16k;
            proxy_set_header Host $http_host;
            proxy_cache pages;
            proxy_cache_valid 200 301 404 60s;
            proxy_ignore_headers Set-Cookie;
            add_header X-Cache $upstream_cache_status always;
        }}
    }}
}}
"""


def find_nginx() -> str | None:
    """Return the path of nginx, which Debian puts where only root's PATH finds it."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class SharedCache:
    """A cache that serves one application to everybody.

    Args:
        app: the application.
        folder: an empty folder for its files.
    """

    def __init__(self, app: RunningApp, folder: Path) -> None:
        port = free_port()
        self.home = f"http://localhost:{port}/"
        values = {"folder": folder, "port": port, "app_port": app.port}
        configuration = folder / "nginx.conf"
        configuration.write_text(_CONFIGURATION.format(**values))
        nginx = find_nginx()
        assert nginx is not None
        self._process = subprocess.Popen(
            [nginx, "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
        )
        until = time.monotonic() + 10
        while not accepts_connections(port):
            assert self._process.poll() is None, "nginx does not start"
            assert time.monotonic() < until, "nginx does not answer"
            time.sleep(0.02)

    def close(self) -> None:
        """End the cache."""
        self._process.kill()
        self._process.wait()
