"""What a NATS login may do, found out without doing it.

The server checks permissions before anything else, so each probe is a message that is refused later: a write that demands to land
in another stream, a request for a stream that does not exist or whose name is not that of its subject. A login that may, gets
an answer (an error of JetStream); one that may not, hears of a violation. Nothing is stored, created or deleted.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from stillwatch import subjects
from stillwatch.settings import NatsSettings
from streams.connection import close, connect, reaching, security

_NOBODY: Final = "stillwatch-doctor"
_ELSEWHERE: Final = {"Nats-Expected-Stream": "STILLWATCH_DOCTOR_STORES_NOTHING"}
_OTHER_NAME: Final = b'{"name":"STILLWATCH_OTHER"}'
_WITHIN_S: Final = 2.0
_LOGIN_S: Final = 3.0
_VIOLATION: Final = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]+)\"", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Probe:
    subject: str
    headers: Mapping[str, str] = field(default_factory=dict)
    payload: bytes = b""
    is_answered: bool = True


def _write(subject: str) -> Probe:
    return Probe(subject, _ELSEWHERE)


PROBES: Final[Mapping[str, Probe]] = {
    "report requests": _write(subjects.request_subject(_NOBODY)),
    "write labels": _write(subjects.label_subject(0)),
    "write verdicts": _write(subjects.verdict_subject("account", _NOBODY, _NOBODY)),
    "write dead letters": _write(subjects.deadletter_subject(0, 0, 0)),
    "write to the audit": _write(subjects.audit_subject(_NOBODY)),
    "write revocations": _write(f"$KV.{subjects.REVOCATIONS_BUCKET}.record.{_NOBODY}"),
    "turn the kill switch": _write(f"$KV.{subjects.CONTROL_BUCKET}.{subjects.ENFORCEMENT_KEY}"),
    "take leases": _write(f"$KV.{subjects.CONTROL_BUCKET}.{subjects.lease_key(0)}"),
    "change the never-act list": _write(f"$KV.{subjects.CONTROL_BUCKET}.{subjects.never_act_key(_NOBODY)}"),
    "say who may write": _write(f"$KV.{subjects.REVOCATIONS_BUCKET}.{subjects.REVOCATIONS_FENCE_KEY}"),
    "write snapshots": _write(f"$O.{subjects.SNAPSHOTS_BUCKET}.M.{_NOBODY}"),
    "create streams": Probe("$JS.API.STREAM.CREATE.STILLWATCH_DOCTOR", payload=_OTHER_NAME),
    "change streams": Probe(f"$JS.API.STREAM.UPDATE.{subjects.AUDIT}", payload=_OTHER_NAME),
    "delete streams": Probe("$JS.API.STREAM.DELETE.STILLWATCH_DOCTOR"),
    "empty streams": Probe("$JS.API.STREAM.PURGE.STILLWATCH_DOCTOR"),
    "read requests": Probe(f"$JS.API.CONSUMER.MSG.NEXT.{subjects.REQUESTS}.{_NOBODY}", is_answered=False),
    "read verdicts": Probe(f"$JS.API.DIRECT.GET.{subjects.VERDICTS}", payload=b'{"last_by_subj":"stillwatch.verdicts.doctor"}'),
    "read revocations": Probe(f"$JS.API.STREAM.INFO.KV_{subjects.REVOCATIONS_BUCKET}"),
    "look at streams": Probe(f"$JS.API.STREAM.INFO.{subjects.REQUESTS}"),
}  # fmt: skip
# In the account of the gateways JetStream's API has another name (helm/nats-users-values.yaml).
_FROM_OUTSIDE: Final = "read revocations from outside"
_ALL_PROBES: Final[Mapping[str, Probe]] = {
    **PROBES,
    _FROM_OUTSIDE: Probe(f"STILLWATCH.API.STREAM.INFO.KV_{subjects.REVOCATIONS_BUCKET}", is_answered=False),
}
OTHERS_ANSWERS: Final = "hear the answers to others"
LISTENING: Final[Mapping[str, str]] = {"listen to everything": ">", OTHERS_ANSWERS: "_INBOX.>"}

# What each user of helm/nats-users-values.yaml needs; it may do nothing else of the above.
ROLES: Final[Mapping[str, frozenset[str]]] = {
    "bootstrap": frozenset({"create streams", "change streams", "look at streams", "read revocations"}),
    "scorer": frozenset(
        {
            "write verdicts", "write dead letters", "write to the audit", "write revocations", "take leases", "say who may write",
            "write snapshots", "read requests", "read verdicts", "look at streams", "read revocations",
            # An entry that has ended is said to have, and removed.
            "change the never-act list",
        }
    ),
    "api": frozenset(
        {
            "report requests", "write labels", "write to the audit", "write revocations", "turn the kill switch", "read verdicts",
            "look at streams", "read revocations", "change the never-act list",
            # Of one that was published once more, that it was.
            "write dead letters",
        }
    ),
    "gateway": frozenset({"report requests", "read revocations"}),
    "enforcer": frozenset({"read revocations"}),
    "publisher": frozenset({"report requests"}),
    "operator": frozenset({"look at streams", "read verdicts", "read revocations"}),
}  # fmt: skip


async def lets_anybody_in(settings: NatsSettings) -> bool:
    """Whether the server takes a connection that shows no login. A client certificate is one."""
    urls = [
        urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) for parts in map(urlsplit, settings.urls)
    ]
    bare = security(settings.model_copy(update={"credentials_file": None}))
    client = Client()
    try:
        async with asyncio.timeout(_WITHIN_S):
            await client.connect(urls, allow_reconnect=False, error_cb=_nobody_cares, **bare)
        return True
    except (OSError, nats.errors.Error):
        return False
    finally:
        await close(client)


async def _nobody_cares(error: Exception) -> None:
    """A refusal is the answer that is hoped for."""


async def may(settings: NatsSettings) -> dict[str, bool | None]:
    """What the login of these settings may do, by name of the probe; ``None`` where neither answer nor refusal came. Raises
    ``Unavailable``."""
    refused: set[str] = set()
    news = asyncio.Event()

    def heard(error: Exception) -> None:
        if violation := _VIOLATION.search(str(error)):
            refused.add(violation.group(2).lower())  # the client lowers what the server says
            news.set()

    client = await connect(settings, "doctor", within_s=_LOGIN_S, heard=heard)
    try:
        with reaching("NATS"):
            return await _ask(client, refused, news)
    finally:
        await close(client)


async def _ask(client: Client, refused: set[str], news: asyncio.Event) -> dict[str, bool | None]:
    answered: set[str] = set()
    inbox = client.new_inbox()

    async def take(message: Msg) -> None:
        answered.add(message.subject.rpartition(".")[2])
        news.set()

    async def ignore(message: Msg) -> None:
        """What is heard while the subscription lives, for some milliseconds, is nobody's business here."""

    await client.subscribe(f"{inbox}.*", cb=take)
    # Before the probes: the server answers in order, so once those are decided, these are, too.
    ears = [await client.subscribe(subject, cb=ignore) for subject in LISTENING.values()]
    try:
        for number, probe in enumerate(_ALL_PROBES.values()):
            await client.publish(probe.subject, probe.payload, f"{inbox}.{number}", dict(probe.headers) or None)
        waited_for = {str(number): probe for number, probe in enumerate(_ALL_PROBES.values()) if probe.is_answered}
        try:
            async with asyncio.timeout(_WITHIN_S):
                while not all(n in answered or probe.subject.lower() in refused for n, probe in waited_for.items()):
                    await news.wait()
                    news.clear()
        except TimeoutError:
            pass
    finally:
        for ear in ears:
            await ear.unsubscribe()
    # The server works in order: what was not refused before it answered the last probe is allowed.
    decided = bool(answered or refused)
    out: dict[str, bool | None] = {}
    for number, (name, probe) in enumerate(_ALL_PROBES.items()):
        if probe.subject.lower() in refused:
            out[name] = False
        else:
            out[name] = True if str(number) in answered or (decided and not probe.is_answered) else None
    if out.pop(_FROM_OUTSIDE) and out["read revocations"] is False:
        out["read revocations"] = True
    out.update({name: (subject.lower() not in refused) if decided else None for name, subject in LISTENING.items()})
    return out
