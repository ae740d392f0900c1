"""What is remembered of one account: bounded, updated per request, no text.

Bounds: 512 topic counters, 24 capability counters, 16 recent conversations, 8 parameter tuples and 4 values in each of
the linkage views. About 3 KiB as Python objects; a later version packs it tighter (docs/adr/0006).
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Mapping
from typing import Any, Final
from zlib import crc32

from stillwatch.event import RequestEvent
from stillwatch.fingerprint import CELLS, Fingerprint
from stillwatch.lexicon import CAPABILITIES
from stillwatch.verdict import AccountKind

# Views in which accounts can share something. Values are opaque tokens; what is rare is decided by the aggregator.
LINKAGE_VIEWS: Final = ("payment", "signup", "client", "address", "system", "template", "parameters")

_MAX_COUNT: Final = 65_535  # 'H' counters saturate: an account that repeats one topic so often is not hiding
_VALUES_PER_VIEW: Final = 4
_PARAMETER_TUPLES: Final = 8
_RECENT_CONVERSATIONS: Final = 16  # relays keep a conversation on its account; a person has a few open at once
# Weight of the newest pair in the coherence average: a memory of about 30 requests, a day of an account.
_COHERENCE_WEIGHT: Final = 1 / 30

# What a student model is trained on; a persona alone is not.
_HARVEST_MARKERS: Final = frozenset({"asks_reasoning", "asks_structured"})
_CAPABILITY_INDEX: Final = {name: index for index, name in enumerate(CAPABILITIES)}


class AccountState:
    """One account's running statistics. ``observe`` is the only way to change them."""

    __slots__ = (
        "account", "capabilities", "cells", "coherence", "coherence_pairs", "conversations", "created_unix",
        "distinct_cells", "elicitations", "errors", "events", "first_seen_unix_nano", "input_tokens", "label",
        "last_seen_unix_nano", "last_sketch", "last_time_unix_nano", "links", "organisation", "output_tokens",
        "parameters", "recent_conversations", "same_topic_pairs", "taught", "tier", "verification",
    )  # fmt: skip

    def __init__(self, account: str, first_seen_unix_nano: int) -> None:
        self.account = account
        self.organisation: str | None = None
        self.verification: str | None = None
        self.created_unix: int | None = None
        self.tier: str | None = None
        self.events = 0
        self.conversations = 0
        self.errors = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.elicitations = 0
        self.first_seen_unix_nano = first_seen_unix_nano
        self.last_seen_unix_nano = first_seen_unix_nano
        # Topic counts in two halves, split by the event's id: one half may propose a group, the other tests it.
        self.cells = (array("H", bytes(2 * CELLS)), array("H", bytes(2 * CELLS)))
        self.same_topic_pairs = 0  # sum over cells of x(x-1), kept incrementally
        self.distinct_cells = 0
        self.capabilities = array("H", bytes(2 * len(CAPABILITIES)))
        self.recent_conversations: deque[int] = deque(maxlen=_RECENT_CONVERSATIONS)
        self.last_sketch: int | None = None
        self.last_time_unix_nano = 0
        self.coherence = 0.0
        self.coherence_pairs = 0
        self.parameters: dict[int, int] = {}
        self.links: dict[str, dict[str, int]] = {}
        self.taught = 0  # how often this account has taught the reference distributions
        self.label: AccountKind | None = None

    def observe(self, event: RequestEvent, fingerprint: Fingerprint | None) -> None:
        self.events += 1
        self.first_seen_unix_nano = min(self.first_seen_unix_nano, event.time_unix_nano)
        self.last_seen_unix_nano = max(self.last_seen_unix_nano, event.time_unix_nano)
        self.input_tokens += int(event.number("gen_ai.usage.input_tokens") or 0)
        self.output_tokens += int(event.number("gen_ai.usage.output_tokens") or 0)
        if event.text("error.type") is not None or (event.number("http.response.status_code") or 0) >= 400:
            self.errors += 1
        self._identity(event)
        self._parameters(event)
        if fingerprint is not None:
            self._content(event, fingerprint)

    def _identity(self, event: RequestEvent) -> None:
        self.organisation = event.text("stillwatch.org.id") or self.organisation
        self.verification = event.text("stillwatch.org.verification") or self.verification
        self.tier = event.text("stillwatch.account.tier") or self.tier
        created = event.number("stillwatch.account.created_unix")
        self.created_unix = int(created) if created is not None else self.created_unix
        self._link("payment", event.text("stillwatch.account.payment"))
        self._link("signup", event.text("stillwatch.account.signup"))
        self._link("address", event.text("client.address"))
        ja4, agent = event.text("stillwatch.client.ja4"), event.text("user_agent.original")
        if ja4 is not None or agent is not None:
            self._link("client", _token(f"{ja4}\x1f{agent}"))

    def _parameters(self, event: RequestEvent) -> None:
        get = event.attributes.get
        values = (
            get("gen_ai.request.temperature"), get("gen_ai.request.top_p"), get("gen_ai.request.max_tokens"),
            get("gen_ai.request.stream"), get("gen_ai.output.type"),
        )  # fmt: skip
        if values == (None, None, None, None, None):
            return
        key = crc32(repr(values).encode())
        _bump(self.parameters, key, _PARAMETER_TUPLES)
        self._link("parameters", f"{key:08x}")

    def _content(self, event: RequestEvent, fingerprint: Fingerprint) -> None:
        if fingerprint.system is not None:
            self._link("system", f"{fingerprint.system:08x}")
        if fingerprint.template is not None:
            self._link("template", f"{fingerprint.template:08x}")
        for name in fingerprint.capabilities:
            index = _CAPABILITY_INDEX.get(name)
            if index is not None and self.capabilities[index] < _MAX_COUNT:
                self.capabilities[index] += 1
        if _HARVEST_MARKERS.intersection(fingerprint.markers):
            self.elicitations += 1
        sketch = fingerprint.sketch
        if self.last_sketch is not None:
            similarity = 1.0 - ((self.last_sketch ^ sketch).bit_count() / 64)
            self.coherence_pairs += 1
            # The mean at first, exponentially weighted later: no pull towards a made-up start value.
            weight = max(_COHERENCE_WEIGHT, 1 / self.coherence_pairs)
            self.coherence += weight * (similarity - self.coherence)
        self.last_sketch = sketch
        if self._opens_conversation(event):
            self._count_topic(fingerprint.cell, event_half(event.id))

    def _opens_conversation(self, event: RequestEvent) -> bool:
        """Only the first request of a conversation counts as a choice of topic: follow-ups are not independent."""
        turn = event.number("stillwatch.prompt.turn")
        conversation = event.text("gen_ai.conversation.id")
        if conversation is None:
            return turn is None or turn <= 1
        hashed = crc32(conversation.encode())
        if hashed in self.recent_conversations:
            return False
        self.recent_conversations.append(hashed)
        return turn is None or turn <= 1

    def _count_topic(self, cell: int, half: int) -> None:
        self.conversations += 1
        before = self.cells[0][cell] + self.cells[1][cell]
        counts = self.cells[half]
        if counts[cell] < _MAX_COUNT:
            counts[cell] += 1
            self.same_topic_pairs += 2 * before
            self.distinct_cells += before == 0

    def _link(self, view: str, value: str | None) -> None:
        if value is not None:
            _bump(self.links.setdefault(view, {}), value[:64], _VALUES_PER_VIEW)

    def state(self) -> dict[str, Any]:
        """For snapshots: plain maps and bytes."""
        out: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        out["cells"] = [half.tobytes() for half in self.cells]
        out["capabilities"] = self.capabilities.tobytes()
        out["recent_conversations"] = list(self.recent_conversations)
        out["links"] = {view: dict(values) for view, values in self.links.items()}
        out["parameters"] = dict(self.parameters)
        return out

    @classmethod
    def restore(cls, raw: Mapping[str, Any]) -> AccountState:
        self = cls(raw["account"], raw["first_seen_unix_nano"])
        for name in cls.__slots__:
            setattr(self, name, raw[name])
        self.cells = (_counters(raw["cells"][0]), _counters(raw["cells"][1]))
        self.capabilities = _counters(raw["capabilities"])
        self.recent_conversations = deque(raw["recent_conversations"], maxlen=_RECENT_CONVERSATIONS)
        return self


def event_half(event_id: str) -> int:
    """Which half of the topic counts an event falls into: 0 proposes groups, 1 tests them."""
    return crc32(event_id.encode()) & 1


def _counters(raw: bytes) -> array[int]:
    counters = array("H")
    counters.frombytes(raw)
    return counters


def _token(value: str) -> str:
    return f"{crc32(value.encode()):08x}{crc32(value[::-1].encode()):08x}"


def _bump(counts: dict[Any, int], key: Any, capacity: int) -> None:
    """Space-saving counter (Metwally et al. 2005): a newcomer takes the place and the count of the rarest."""
    if key in counts:
        counts[key] += 1
    elif len(counts) < capacity:
        counts[key] = 1
    else:
        rarest = min(counts, key=lambda known: (counts[known], str(known)))
        counts[key] = counts.pop(rarest) + 1
