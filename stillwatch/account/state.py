"""What is remembered of one account: bounded, updated per request, forgetting, no text.

Time is cut into eras (14 days by default) at fixed moments, the same for every account. The profile covers the current
era and the one before: at the boundary what is older is taken out again. So an account is judged by its last 14 to 28
days, and two states of the same eras can be merged exactly.

Packed (:meth:`AccountState.pack`) a light account takes 0.5 to 1 KiB, and none more than :data:`MAX_PACKED_BYTES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final
from zlib import crc32

import msgpack

from stillwatch.account.profile import TABLES, Profile, bump
from stillwatch.event import AttributeValue, RequestEvent
from stillwatch.fingerprint import Fingerprint
from stillwatch.lexicon import CAPABILITIES
from stillwatch.verdict import AccountKind

# Views in which accounts can share something. Values are opaque tokens; what is rare is decided by the aggregator.
LINKAGE_VIEWS: Final = ("payment", "signup", "client", "address", "invite", "system", "template", "parameters")
INVITE: Final = "invite"  # the view whose value is the token of the account that invited this one
MAX_PACKED_BYTES: Final = 4_096

_DAY_NANO: Final = 86_400 * 1_000_000_000
_HOUR_NANO: Final = 3_600 * 1_000_000_000
_MS_NANO: Final = 1_000_000
_SECOND_NANO: Final = 1_000_000_000
_VALUES_PER_VIEW: Final = 3
_MAX_NAME_CHARS: Final = 64
# Longer values are kept as their hash: they are opaque tokens anyway, and the state is bounded.
_MAX_VALUE_CHARS: Final = 24
_OPEN_CONVERSATIONS: Final = 8  # relays keep a conversation on its account; a person has a few open at once
_LAST_OPENINGS: Final = 8
# Calls, as (ms since 1970, hash of the prompt), until the aggregator has looked for hand-offs in them. Accounts of a relay
# that hides begin one or two conversations an hour, and a call of theirs fails every few days.
_LAST_BEGUN: Final = 6
_LAST_FAILED: Final = 3
_NO_PARAMETERS: Final = (None, None, None, None, None)
# What is tried on another account; a bad request would be one there too.
_TRIED_ELSEWHERE: Final = frozenset({403, 408, 429})
_TOPICS_REMEMBERED: Final = 4  # of an opening, the strongest
# Sketches of rephrased prompts differ in up to 8 of 64 bits; unrelated ones in 32 ± 4.
_NEARLY_SAME_BITS: Final = 8
# Conversations this far apart seldom belong to one sitting.
_FAR: Final = _LAST_OPENINGS
_SILENT_DAYS_COUNTED: Final = 14
# By first use, the latest: who uses two by turns and takes up a third has all of them here.
MAX_MODELS: Final = 3
# Of one request. No model has a context of so many; what claims more must not make a sum that 64 bits can not hold.
_MAX_TOKENS: Final = 2**31

# What a student model is trained on; a persona alone is not.
_HARVEST_MARKERS: Final = frozenset({"asks_reasoning", "asks_structured"})
_CAPABILITY_INDEX: Final = {name: index for index, name in enumerate(CAPABILITIES)}
# Views whose value is an attribute as it is.
_LINKED: Final = (
    ("payment", "stillwatch.account.payment"), ("signup", "stillwatch.account.signup"), ("address", "client.address"),
)  # fmt: skip
_PACKED: Final = (
    "organisation", "verification", "created_unix", "tier", "label", "first_seen_unix_nano", "last_seen_unix_nano",
    "era", "day", "day_events", "taught", "evidence", "open_conversations", "last_openings", "begun", "failed", "refused", "links",
    "models", "memory",
)  # fmt: skip

_LATEST: Final = (
    "organisation", "verification", "created_unix", "tier", "label", "last_seen_unix_nano", "day", "day_events",
    "taught", "evidence", "open_conversations", "last_openings", "begun", "failed", "memory",
)  # fmt: skip

Call = tuple[int, int]  # (ms since 1970, hash of the prompt)
# Numbers that a signal keeps of an account for itself, at most 8: (before or None, event, fingerprint) → after.
Fold = Callable[[list[float] | None, RequestEvent, Fingerprint | None], list[float]]


class AccountState:
    """One account's running statistics. :meth:`observe` and :meth:`observe_refused` are the only ways to change them."""

    __slots__ = ("account", "era_days", "former", "profile", *_PACKED)

    def __init__(self, account: str, first_seen_unix_nano: int, era_days: int = 14) -> None:
        self.account = account
        self.era_days = era_days
        self.organisation: str | None = None
        self.verification: str | None = None
        self.created_unix: int | None = None
        self.tier: str | None = None
        self.label: AccountKind | None = None
        self.first_seen_unix_nano = first_seen_unix_nano
        self.last_seen_unix_nano = first_seen_unix_nano
        self.era = first_seen_unix_nano // (era_days * _DAY_NANO)
        self.day = first_seen_unix_nano // _DAY_NANO
        self.day_events = 0
        self.taught = 0  # how often this account has taught the reference distributions
        # What its own signals said at its last request, for the aggregator: the references go on, this stays until the next.
        self.evidence: float | None = None
        self.open_conversations: dict[int, int] = {}  # hash of the id → sketch of its last request
        self.last_openings: list[tuple[int, tuple[int, ...]]] = []  # (sketch, topics)
        self.begun: list[Call] = []  # the last that began a conversation here, also one that goes on from elsewhere
        self.failed: list[Call] = []  # the last that failed in a way that invites another try
        self.refused = 0  # calls that were refused by a decision of ours
        self.links: dict[str, dict[str, int]] = {}
        self.models: dict[int, int] = {}  # hash of the name → first use, unix s
        self.memory: dict[str, list[float]] = {}  # of signals that keep numbers of their own
        self.profile = Profile()
        self.former: bytes | None = None  # the part of the profile that is older than this era, packed

    # -- one request -------------------------------------------------------------------------------------------------

    def observe(
        self, event: RequestEvent, fingerprint: Fingerprint | None, memories: Mapping[str, Fold] = MappingProxyType({})
    ) -> None:
        now, get, profile = event.time_unix_nano, event.attributes.get, self.profile
        era = now // (self.era_days * _DAY_NANO)
        if era > self.era:
            profile = self._new_era(era)
        profile.events += 1
        self._rhythm(now, profile)
        tokens = int(get("gen_ai.usage.input_tokens") or 0)  # type: ignore[arg-type]
        profile.input_tokens += min(tokens, _MAX_TOKENS)
        tokens = int(get("gen_ai.usage.output_tokens") or 0)  # type: ignore[arg-type]
        if tokens > 0:
            tokens = min(tokens, _MAX_TOKENS)
            profile.output_tokens += tokens
            profile.outputs += 1
            profile.output_log_sum += math.log(tokens)
        if get("error.type") is not None or (get("http.response.status_code") or 0) >= 400:  # type: ignore[operator]
            profile.errors += 1
        elif (model := get("gen_ai.request.model")) is not None:
            model, now_s = crc32(model.encode()), now // _SECOND_NANO  # type: ignore[union-attr]
            if now_s < self.models.get(model, now_s + 1):
                self._model(model, now_s)
        self._identity(get)
        self._parameters(get)
        if fingerprint is not None:
            self._content(event, get, fingerprint)
        memory = self.memory
        for name, fold in memories.items():
            memory[name] = fold(memory.get(name), event, fingerprint)

    def observe_refused(self, event: RequestEvent, fingerprint: Fingerprint | None) -> None:
        """One request that was refused by a decision of ours: a failed call, for hand-offs, and nothing else."""
        self.refused += 1
        if fingerprint is not None:
            self.failed = [*self.failed[1 - _LAST_FAILED :], _call(event, fingerprint)]

    def _new_era(self, era: int) -> Profile:
        """What is older than the era that has just ended is taken out; nothing is left after a silent era."""
        if era > self.era + 1:
            self.profile, self.former = Profile(), None
        else:
            if self.former is not None:
                self.profile.add(_unpacked(self.former), sign=-1)
            self.former = _packed(self.profile)
        self.era = era
        return self.profile

    def _rhythm(self, now: int, profile: Profile) -> None:
        day = now // _DAY_NANO
        if day > self.day:
            profile.days += 1 + min(day - self.day - 1, _SILENT_DAYS_COUNTED)
            profile.days_sum += self.day_events
            profile.days_sum_squared += self.day_events**2
            self.day, self.day_events = day, 0
        self.day_events += 1
        profile.hours[now // _HOUR_NANO % 24] += 1
        if now > self.last_seen_unix_nano:
            self.last_seen_unix_nano = now
        elif now < self.first_seen_unix_nano:
            self.first_seen_unix_nano = now

    def _model(self, model: int, now_s: int) -> None:
        """When it was first used; of more than ``MAX_MODELS`` those taken up last. Failed calls do not count: a name that
        the platform does not have is no model."""
        if now_s < self.models.get(model, now_s + 1):
            self.models[model] = now_s
            if len(self.models) > MAX_MODELS:
                del self.models[min(self.models, key=lambda known: (self.models[known], known))]

    def _identity(self, get: Any) -> None:
        if organisation := get("stillwatch.org.id"):
            self.organisation = organisation[:_MAX_NAME_CHARS]
        if tier := get("stillwatch.account.tier"):
            self.tier = tier[:_MAX_VALUE_CHARS]
        if verification := get("stillwatch.org.verification"):
            self.verification = verification
        created = get("stillwatch.account.created_unix")
        if created is not None:
            self.created_unix = int(created)
        links = self.links
        for view, name in _LINKED:
            value = get(name)
            if value is not None:
                if len(value) > _MAX_VALUE_CHARS:
                    value = _token(value)
                known = links.get(view)
                if known is not None and value in known:
                    known[value] += 1  # nearly always: not worth a call
                else:
                    self._link(view, value)
        inviter = get("stillwatch.account.invited_by")
        if inviter is not None and inviter not in links.get(INVITE, ()):
            self._invited(inviter)
        ja4, agent = get("stillwatch.client.ja4"), get("user_agent.original")
        if ja4 is not None or agent is not None:
            value = _client(ja4, agent)
            known = links.get("client")
            if known is not None and value in known:
                known[value] += 1
            else:
                self._link("client", value)

    def _parameters(self, get: Any) -> None:
        values: tuple[AttributeValue | None, ...] = (
            get("gen_ai.request.temperature"), get("gen_ai.request.top_p"), get("gen_ai.request.max_tokens"),
            get("gen_ai.request.stream"), get("gen_ai.output.type"),
        )  # fmt: skip
        if values != _NO_PARAMETERS:
            counts, hashed = self.profile.parameters, crc32(repr(values).encode())
            if hashed in counts:
                counts[hashed] += 1  # nearly always
            else:
                bump(counts, hashed, TABLES["parameters"])

    def _content(self, event: RequestEvent, get: Any, fingerprint: Fingerprint) -> None:
        profile = self.profile
        if fingerprint.system is not None:
            bump(profile.systems, fingerprint.system, TABLES["systems"])
        if fingerprint.template is not None:
            bump(profile.templates, fingerprint.template, TABLES["templates"])
        capabilities = profile.capabilities
        for name in fingerprint.capabilities:
            capabilities[_CAPABILITY_INDEX[name]] += 1
        if fingerprint.markers and not _HARVEST_MARKERS.isdisjoint(fingerprint.markers):
            profile.elicitations += 1
        sketch = fingerprint.sketch
        begins = self._begins_conversation(get("gen_ai.conversation.id"), sketch)
        failed = _invites_another_try(get)
        if begins or failed:
            call = _call(event, fingerprint)
            if begins:
                self.begun.append(call)
                if len(self.begun) > _LAST_BEGUN:
                    del self.begun[0]
            if failed:
                self.failed.append(call)
                if len(self.failed) > _LAST_FAILED:
                    del self.failed[0]
        # Only the first request of a conversation counts as a choice of topic: follow-ups are not independent.
        if begins and (get("stillwatch.prompt.turn") or 1) <= 1:
            self._opening(event, fingerprint, sketch)

    def _begins_conversation(self, conversation: str | None, sketch: int) -> bool:
        """Here: its first requests may have gone to another account. Each request does where conversations have no name."""
        if conversation is None:
            return True
        hashed, known = crc32(conversation.encode()), self.open_conversations
        before = known.pop(hashed, None)
        known[hashed] = sketch
        if before is None:
            if len(known) > _OPEN_CONVERSATIONS:
                del known[next(iter(known))]
            return True
        profile = self.profile
        profile.coherence_pairs += 1
        profile.coherence_sum += 1.0 - (before ^ sketch).bit_count() / 64
        return False

    def _opening(self, event: RequestEvent, fingerprint: Fingerprint, sketch: int) -> None:
        profile = self.profile
        profile.openings += 1
        profile.topics.count(fingerprint.cell, event_half(event.id))
        topics = fingerprint.topics[:_TOPICS_REMEMBERED]
        last = self.last_openings
        if last:
            apart_from = set(topics).isdisjoint
            profile.near_pairs += 1
            profile.near_related += not apart_from(last[-1][1])
            for other, _ in last:
                if (sketch ^ other).bit_count() <= _NEARLY_SAME_BITS:
                    profile.repeats += 1
                    break
            if len(last) == _FAR:
                profile.far_pairs += 1
                profile.far_related += not apart_from(last[0][1])
                del last[0]
        last.append((sketch, topics))

    def _invited(self, inviter: str) -> None:
        """What was said last stays. The token is kept as it is, so that it is found among the accounts; what is too long for one
        is nobody's, and its hash still says who has it in common. Nobody has invited himself."""
        value = inviter if len(inviter) <= _MAX_NAME_CHARS else _token(inviter)
        if value and value != self.account:
            self.links[INVITE] = {value: 1}

    def _link(self, view: str, value: str) -> None:
        known = self.links.get(view)
        if known is None:
            self.links[view] = {value: 1}
        else:
            bump(known, value, _VALUES_PER_VIEW)

    def merge(self, other: AccountState) -> None:
        """Take in what another state of this account knows, made of other requests (after a split, say).

        What adds up is added, eras aligned; what is the latest of something is taken from whoever saw it later.
        """
        later = other if other.last_seen_unix_nano > self.last_seen_unix_nano else self
        newest = max(self.era, other.era)
        parts = []
        for state in (self, AccountState.unpack(other.account, other.pack(), other.era_days)):
            if state.era < newest:
                state._new_era(newest)
            parts.append(state)
        former = [_unpacked(part.former) for part in parts if part.former is not None]
        if former:
            for more in former[1:]:
                former[0].add(more)
            self.former = _packed(former[0])
        self.profile.add(parts[1].profile)
        self.refused += other.refused
        self.first_seen_unix_nano = min(self.first_seen_unix_nano, other.first_seen_unix_nano)
        for view, values in other.links.items():
            for value in sorted(values) if view != INVITE else ():
                bump(self.links.setdefault(view, {}), value, _VALUES_PER_VIEW)
        if (invited := later.links.get(INVITE) or other.links.get(INVITE)) is not None:
            self.links[INVITE] = dict(invited)
        for model in sorted(other.models):
            self._model(model, other.models[model])
        for name in _LATEST:
            setattr(self, name, getattr(parts[1] if later is other else self, name))

    # -- questions ---------------------------------------------------------------------------------------------------

    @property
    def window_from_unix_nano(self) -> int:
        """Since when the profile counts: the first request, or the beginning of the era before this one."""
        return max(self.first_seen_unix_nano, (self.era - 1) * self.era_days * _DAY_NANO)

    def shared_values(self) -> list[tuple[str, str]]:
        """(view, value) pairs by which this account may be linked to others, in a fixed order."""
        out = [(view, value) for view, values in self.links.items() for value in values]
        tables = (
            ("system", self.profile.systems),
            ("template", self.profile.templates),
            ("parameters", self.profile.parameters),
        )
        for view, counts in tables:
            if len(counts) > _VALUES_PER_VIEW:  # most accounts have one or two
                most = sorted(counts, key=lambda key, of=counts: (-of[key], key))[:_VALUES_PER_VIEW]  # type: ignore[misc]
            else:
                most = list(counts)
            out += [(view, f"{value:08x}") for value in most]
        return sorted(out)

    # -- bytes -------------------------------------------------------------------------------------------------------

    def pack(self) -> bytes:
        """Everything but the account's name and the settings."""
        return bytes(msgpack.packb([[getattr(self, name) for name in _PACKED], self.profile.pack(), self.former]))

    @classmethod
    def unpack(cls, account: str, packed: bytes, era_days: int = 14) -> AccountState:
        self = cls.__new__(cls)
        self.account, self.era_days = account, era_days
        values, profile, self.former = msgpack.unpackb(packed, strict_map_key=False)
        for name, value in zip(_PACKED, values, strict=True):
            setattr(self, name, value)
        self.last_openings = [(sketch, tuple(topics)) for sketch, topics in self.last_openings]
        self.begun, self.failed = [(at, of) for at, of in self.begun], [(at, of) for at, of in self.failed]
        self.profile = Profile.unpack(profile)
        return self


def event_half(event_id: str) -> int:
    """Which half of the topic counts an event falls into: 0 proposes groups, 1 tests them."""
    return crc32(event_id.encode()) & 1


def _call(event: RequestEvent, fingerprint: Fingerprint) -> Call:
    return event.time_unix_nano // _MS_NANO, crc32(b"%x %x" % (fingerprint.sketch, fingerprint.chars))


def _invites_another_try(get: Any) -> bool:
    status = get("http.response.status_code")
    if status is None:
        return get("error.type") is not None
    return status >= 500 or status in _TRIED_ELSEWHERE


def _packed(profile: Profile) -> bytes:
    return bytes(msgpack.packb(profile.pack()))


def _unpacked(profile: bytes) -> Profile:
    return Profile.unpack(msgpack.unpackb(profile, strict_map_key=False))


@lru_cache(maxsize=4_096)  # clients are few, and every request names one
def _client(ja4: str | None, agent: str | None) -> str:
    return _token(f"{ja4}\x1f{agent}")


@lru_cache(maxsize=4_096)
def _token(value: str) -> str:
    return f"{crc32(value.encode()):08x}{crc32(value[::-1].encode()):08x}"
