"""Where the cluster on this machine is, written by `stillwatch up` and read by the other commands; and its end."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from stillwatch.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    api_key: str
    nats_url: str
    pid: int


def _file(data_dir: str) -> Path:
    return Path(data_dir) / "running.json"


def announce(data_dir: str, address: Address) -> Path:
    """It holds a key, so only its owner may read it."""
    path = _file(data_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump(asdict(address), out)
    return path


def withdraw(data_dir: str) -> None:
    _file(data_dir).unlink(missing_ok=True)


def find(data_dir: str, environment: Mapping[str, str] | None = None) -> Address:
    """STILLWATCH_URL and STILLWATCH_API_KEY, else what `stillwatch up` announced here."""
    environment = os.environ if environment is None else environment
    url, key = environment.get("STILLWATCH_URL"), environment.get("STILLWATCH_API_KEY")
    nats = environment.get("STILLWATCH_NATS_URL", "")
    if url:
        return Address(url.rstrip("/"), key or "", nats, 0)
    try:
        found = Address(**json.loads(_file(data_dir).read_text()))
    except (OSError, ValueError, TypeError) as error:
        remedy = "Start one with `make up`, or set STILLWATCH_URL and STILLWATCH_API_KEY"
        raise SettingsError("STILLWATCH_URL", "no cluster is running here", remedy) from error
    return found


def wait_for_stop() -> None:
    """Until SIGINT or SIGTERM. Later ones are ignored: an interrupted shutdown leaves processes behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
