"""An S3 server for tests, and a proxy before it that fails as busy and distant ones do."""

from __future__ import annotations

import http.client
import importlib.util
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

_ANYBODY = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
_PROGRAM = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()  # until who has started it ends
server.stop()
"""


def is_installed() -> bool:
    """Whether all that is needed is here."""
    return all(map(importlib.util.find_spec, ("moto", "s3fs", "flask")))


class Server:
    """A server in a process of its own, with any number of buckets."""

    def __enter__(self) -> Server:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        self._buckets = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()  # it keeps nothing
        self._process.communicate()

    def new_bucket(self) -> str:
        """The name of an empty bucket."""
        self._buckets += 1
        name = f"bucket-{self._buckets}"
        self._ask("PUT", name)
        return name

    def read(self, name: str) -> bytes:
        """The content of an object, named with its bucket."""
        return self._ask("GET", name)

    def write(self, name: str, content: bytes) -> None:
        """Put an object in the place of another."""
        self._ask("PUT", name, content)

    def remove(self, name: str) -> None:
        """Remove an object."""
        self._ask("DELETE", name)

    def _ask(self, method: str, name: str, content: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self.url}/{name}", content, {"Authorization": _ANYBODY}, method=method)
        with urllib.request.urlopen(request) as answer:
            found: bytes = answer.read()
            return found


Fault = int | str | None
"""
A status such as 503, or the code of an error such as ``"AccessDenied"``; ``"cut"``, to break off in a part of an
answer; ``"cut question"``, in a part of what is sent; ``"lost"``, to do what is asked for and not answer; ``"slow"``;
``"other bytes"`` or ``"other etag"`` in the answer.
"""

_STATUS = {
    "AccessDenied": 403,
    "ExpiredToken": 400,
    "ConditionalRequestConflict": 409,
    "InternalError": 500,
    "NoSuchUpload": 404,
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "TooManyRequests": 429,
}


def _every(method: str, path: str) -> bool:
    return True


class Proxy:
    """
    What lies between a client and the server.

    Attributes:
        faults: For the requests to come, each once, in their order. None for a good answer.
        always: A fault of all requests.
        choose: Tells from method and path, with its query, whether a request has the fault that is to come.
        most_listed: How many objects an answer lists at most; None for as many as the server likes.
        is_late: Give the same list of objects again as long as it is set.
        replaces: Make objects in the place of others, though asked not to.
        users: Who has asked, by the credentials of each request.
        asked: How many requests there were, by method.
        names: Method and path of each.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.faults: list[Fault] = []
        self.always: Fault = None
        self.choose: Callable[[str, str], bool] = _every
        self.replaces = False
        self.most_listed: int | None = None
        self.is_late = False
        self._lists: dict[str, bytes] = {}
        self.users: list[str] = []
        self.asked: Counter[str] = Counter()
        self.names: list[tuple[str, str]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def _forward(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                proxy.asked[self.command] += 1
                proxy.names.append((self.command, self.path))
                proxy.users.append(self.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0])
                if proxy.replaces:
                    del self.headers["If-None-Match"]
                fault = proxy._fault_of(self.command, self.path)
                if fault == "cut question":
                    self.rfile.read(length // 2)
                    self.close_connection = True
                    return
                body = self.rfile.read(length)
                if fault in _STATUS or isinstance(fault, int):
                    status, code = (fault, "SlowDown") if isinstance(fault, int) else (_STATUS[str(fault)], fault)
                    self._answer(status, {}, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())
                    return
                if proxy.completes_over_another(self.command, self.path, self.headers):
                    self._answer(412, {}, b"<Error><Code>PreconditionFailed</Code><Message>no</Message></Error>")
                    return
                if fault == "slow":
                    time.sleep(0.02)
                connection = http.client.HTTPConnection("127.0.0.1", port)
                is_paged = proxy.most_listed is not None and "list-type" in self.path
                path = f"{self.path}&max-keys={proxy.most_listed}" if is_paged else self.path
                connection.request(self.command, path, body, dict(self.headers))
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                if fault == "lost":
                    self.close_connection = True
                    return
                headers = dict(answer.getheaders())
                if "list-type" in self.path and proxy.is_late:
                    content = proxy._lists.setdefault(self.path, content)
                    headers.pop("Content-Length", None)
                if fault == "other bytes":
                    content = bytes(byte ^ 1 for byte in content)
                if fault == "other etag":
                    headers["ETag"] = '"0123456789abcdef0123456789abcdef"'
                self._answer(answer.status, headers, content, is_cut=fault == "cut")

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _forward

            def _answer(self, status: int, headers: dict[str, str], content: bytes, *, is_cut: bool = False) -> None:
                self.send_response_only(status)
                length = headers.get("Content-Length") or str(len(content))
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", length)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content[: len(content) // 2] if is_cut else content)
                self.close_connection = is_cut

            def log_message(self, *args: object) -> None:
                """Nothing is printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def begin(self) -> None:
        """Forget what was asked, and answer well."""
        self.faults, self.always, self.names, self.choose = [], None, [], _every
        self.replaces, self.most_listed, self.is_late, self.users = False, None, False, []
        self._lists.clear()
        self.asked.clear()

    def fail(self, *faults: Fault, always: Fault = None, of: Callable[[str, str], bool] = _every) -> None:
        """From now on have these faults, of some requests."""
        self.begin()
        self.faults, self.always, self.choose = [*faults], always, of

    def _fault_of(self, method: str, path: str) -> Fault:
        if not self.choose(method, path):
            return None
        return self.faults.pop(0) if self.faults else self.always

    def completes_over_another(self, method: str, path: str, headers: Message) -> bool:
        """Whether S3 itself would refuse to make an object of parts, which the server behind us does not."""
        if method != "POST" or "uploadId" not in path or headers.get("If-None-Match") != "*":
            return False
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        connection.request("HEAD", path.partition("?")[0], headers={"Authorization": _ANYBODY})
        status = connection.getresponse().status
        connection.close()
        return status == 200

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
