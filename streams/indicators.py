"""Imported indicators in the control bucket, under ``indicator.<id>``. Implements ``ports.IndicatorStore``.

Few, small and changed by people: a key each, without a stream or a bucket of their own. An entry holds the document as it
came, so that any version that reads the format can read it back.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from stillwatch.errors import Unavailable
from stillwatch.indicators import KEPT_S, Imported, Refused, read
from stillwatch.subjects import INDICATORS_IN, indicator_key
from streams.bucket import Bucket, Entry, Write

_log = logging.getLogger(__name__)
_MAX_ROUNDS: Final = 10


class BucketIndicators:
    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def put(self, imported: Imported) -> None:
        body = {
            "document": imported.indicator.document(),
            "received_unix_s": imported.received_unix_s,
            "by": imported.by,
        }
        await self._write(imported.indicator.id, json.dumps(body).encode())

    async def remove(self, id: str) -> None:
        await self._write(id, None)

    async def list(self) -> list[Imported]:
        found = [_imported(entry) for entry in await self._bucket.scan(INDICATORS_IN)]
        return sorted((one for one in found if one is not None), key=lambda one: one.indicator.id)

    async def _write(self, id: str, value: bytes | None) -> None:
        key = indicator_key(id)
        for _ in range(_MAX_ROUNDS):
            entry = await self._bucket.get(key)
            if value is None and entry.value is None:
                return
            # The server forgets it some day; when it counts no longer is for the aggregator to say.
            ttl_s = None if value is None else KEPT_S
            [written] = await self._bucket.write([Write(key, value, entry.revision, ttl_s)])
            if written is not None:
                return
        raise Unavailable(f"indicator {id}", f"others wrote to it {_MAX_ROUNDS} times meanwhile")


def _imported(entry: Entry) -> Imported | None:
    """Any bytes can stand in a bucket; one foreign write must not hide the others."""
    try:
        body: dict[str, Any] = json.loads(entry.value or b"")
        indicator = read(body["document"])
        if isinstance(indicator, Refused):
            _log.warning("%s is no indicator: %s: %s", entry.key, indicator.field, indicator.detail)
            return None
        return Imported(indicator, int(body["received_unix_s"]), str(body["by"]))
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("%s is no indicator: %s", entry.key, error)
        return None
