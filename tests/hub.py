"""A hub of one's own for a test: a local server of one data set, by the hub's protocol."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

COMMIT = "0" * 40


@contextmanager
def serve(repository: str, files: Mapping[str, bytes]) -> Iterator[str]:
    """Serve the files of a data set repository from this machine; gives the address to set HF_ENDPOINT to."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if resolved := re.fullmatch(rf"/datasets/{repository}/resolve/[^/]+/(.+)", path):
                content = files.get(resolved[1])
                self._answer(content, {"X-Error-Code": "EntryNotFound"} if content is None else _tag(content))
            elif listed := re.fullmatch(rf"/api/datasets/{repository}/tree/[^/]+/?(.*)", path):
                entries: list[dict[str, Any]] = [
                    {"type": "directory", "path": name, "oid": "0"} for name in _folders(files, listed[1])
                ]
                entries += [
                    {"type": "file", "path": name, "size": len(content), "oid": "0"}
                    for name, content in files.items()
                    if name.rpartition("/")[0] == listed[1]
                ]
                self._answer(json.dumps(entries).encode(), {})
            elif re.fullmatch(rf"/api/datasets/{repository}(/revision/[^/]+)?", path):
                self._answer(json.dumps({"id": repository, "sha": COMMIT, "siblings": []}).encode(), {})
            else:
                self._answer(None, {})

        def _answer(self, content: bytes | None, headers: Mapping[str, str]) -> None:
            self.send_response(404 if content is None else 200)
            for name, value in {**headers, "X-Repo-Commit": COMMIT, "Content-Length": str(len(content or b""))}.items():
                self.send_header(name, value)
            self.end_headers()
            if content is not None and self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def _folders(files: Mapping[str, bytes], parent: str) -> set[str]:
    above = {name.rpartition("/")[0] for name in files}
    return {folder for folder in above if folder and folder.rpartition("/")[0] == parent}


def _tag(content: bytes) -> dict[str, str]:
    return {"ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
