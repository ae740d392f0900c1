"""What the coverage-guided fuzzer calls: bytes in, and whatever must hold for all bytes."""

from __future__ import annotations

import sys
from typing import Final

if __name__ == "__main__":
    import atheris

    with atheris.instrument_imports(include=["stillwatch"], enable_loader_override=False):
        from stillwatch.settings import DetectionSettings, IngestSettings
        from stillwatch.shard import PartitionCore
        from stillwatch.wire import decode_label, decode_message, encode_event, items_of
else:
    from stillwatch.settings import DetectionSettings, IngestSettings
    from stillwatch.shard import PartitionCore
    from stillwatch.wire import decode_label, decode_message, encode_event, items_of

from stillwatch.event import RequestEvent
from stillwatch.ports import RawMessage

_NOW_UNIX_NANO: Final = 1_790_000_000_000_000_000
_AGAIN_AFTER: Final = 20_000  # inputs: a core of its own for so many


class _Core:
    """A partition, with bounds small enough to be met."""

    def __init__(self) -> None:
        ingest = IngestSettings(max_accounts_per_partition=200, max_busy_accounts_per_partition=50, dedup_ids=1_000)
        self.core = PartitionCore(0, 1, ingest, DetectionSettings(min_events_for_opinion=2))
        self.inputs = 0


_state = [_Core()]


def one_input(data: bytes) -> None:
    """Raises ``AssertionError``, or whatever the code under it should not have raised."""
    decoded = decode_message(data)
    assert decoded, "a message without an outcome"
    if len(decoded) > 1:
        assert len(items_of(data)) == len(decoded)
    for item in decoded:
        if isinstance(item, RequestEvent):
            assert decode_message(encode_event(item)) == [item], "an event that the wire changes"
    decode_label(data)
    held = _state[0]
    if held.inputs >= _AGAIN_AFTER:
        _state[0] = held = _Core()
    held.inputs += 1
    observed = held.core.observe([RawMessage(held.inputs, "stillwatch.envelopes.0", data, _NOW_UNIX_NANO)])
    letters = observed.dead_letters
    assert observed.taken + observed.duplicates + len(letters) == len(decoded), "an event without an outcome"
    assert sum(len(letter.payload) for letter in letters) <= max(len(data), 1), "letters larger than what came"
    failed = [letter.rejected.detail for letter in letters if letter.rejected.reason == "processing_failed"]
    assert not failed, failed[0]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
