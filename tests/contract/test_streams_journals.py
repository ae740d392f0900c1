"""What dead letters, the verdict log and the audit promise (``ports.DeadLetters``, ``VerdictLog``, ``AuditLog``)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from stream_values import SIGNAL, T0, a_campaign, a_letter, a_verdict
from stream_worlds import World

from stillwatch.errors import NotFound
from stillwatch.event import Rejected
from stillwatch.ports import AuditEntry, DeadLetter


async def test_a_dead_letter_keeps_its_bytes_its_place_and_its_reason(world: World) -> None:
    rejected = Rejected("wrong_type", "attributes.größe\r\nX: y", "has\nlines, 100 % ünïcode and 'quotes\"")
    letter = DeadLetter(3, 41, 7, "stillwatch.partition.3.acct", b"\x00\xff\r\n", rejected)
    await world.hub.dead_letters.put([letter])
    assert await world.hub.dead_letters.newest(10) == [letter]


async def test_dead_letters_come_newest_first_and_are_counted(world: World) -> None:
    assert await world.hub.dead_letters.newest(10) == []
    await world.hub.dead_letters.put([a_letter(sequence) for sequence in range(1, 41)])
    assert await world.hub.dead_letters.count() == 40
    assert [letter.sequence for letter in await world.hub.dead_letters.newest(3)] == [40, 39, 38]


async def test_a_replay_writes_no_dead_letter_twice(world: World) -> None:
    letters = [a_letter(1), a_letter(1, index=1), a_letter(2)]
    await world.hub.dead_letters.put(letters)
    await world.hub.dead_letters.put([*letters, a_letter(3)])
    assert await world.hub.dead_letters.count() == 4
    assert [(x.sequence, x.index) for x in await world.hub.dead_letters.newest(9)] == [(3, 0), (2, 0), (1, 1), (1, 0)]


async def test_a_letter_as_large_as_a_message_may_be_is_cut_and_the_log_lives_on(world: World) -> None:
    """Our headers come on top of the payload; a server closes the connection of whoever sends more than its limit."""
    await world.hub.dead_letters.put([a_letter(1, payload=b"x" * 1_048_576, detail="ü" * 5_000)])
    await world.hub.dead_letters.put([a_letter(2)])
    [second, first] = await world.hub.dead_letters.newest(2)
    assert 1_000_000 < len(first.payload) < 1_048_576
    assert second == a_letter(2)


async def test_a_verdict_is_read_back_as_it_was_written(world: World) -> None:
    verdict = a_verdict(1, signals=(SIGNAL, replace(SIGNAL, normal=None, surprise=None)), campaign="c-1")
    await world.hub.verdicts.publish_verdict(verdict)
    assert await world.hub.verdicts.verdicts() == [verdict]


async def test_a_repeated_verdict_changes_neither_content_nor_order(world: World) -> None:
    for number in (1, 2, 1):
        await world.hub.verdicts.publish_verdict(a_verdict(number))
    await world.hub.verdicts.publish_verdict(a_verdict(1, reason="another"))
    assert await world.hub.verdicts.verdicts() == [a_verdict(2), a_verdict(1)]


async def test_verdicts_of_one_account_or_campaign_newest_first(world: World) -> None:
    for number in range(6):
        await world.hub.verdicts.publish_verdict(a_verdict(number, about=f"acct-{number % 2}"))
    campaign = a_verdict(9, about="c-1", kind="campaign", members=("acct-1", "acct-3"))
    await world.hub.verdicts.publish_verdict(campaign)
    assert [v.id for v in await world.hub.verdicts.verdicts("acct-1")] == ["v-5", "v-3", "v-1"]
    assert [v.id for v in await world.hub.verdicts.verdicts("acct-1", limit=2)] == ["v-5", "v-3"]
    assert await world.hub.verdicts.verdicts("c-1") == [campaign]
    assert await world.hub.verdicts.verdicts("acct-9") == []
    assert [v.id for v in await world.hub.verdicts.verdicts(limit=2)] == ["v-9", "v-5"]


async def test_one_verdict_is_found_by_its_id_whomever_it_is_about(world: World) -> None:
    for number in range(3):
        await world.hub.verdicts.publish_verdict(a_verdict(number, about=f"acct-{number}"))
    assert await world.hub.verdicts.verdict("v-1") == a_verdict(1, about="acct-1")
    for unknown in ("v-9", "*", ">", "acct-1", ""):
        with pytest.raises(NotFound):
            await world.hub.verdicts.verdict(unknown)


async def test_a_wildcard_is_not_an_account(world: World) -> None:
    await world.hub.verdicts.publish_verdict(a_verdict(1))
    for subject in ("*", ">", "acct-1.>", "", "a b"):
        assert await world.hub.verdicts.verdicts(subject) == []


async def test_only_the_newest_state_of_a_campaign_is_kept_and_it_is_no_verdict(world: World) -> None:
    for tokens in (1, 2, 3):
        await world.hub.verdicts.publish_campaign(a_campaign("c-1", tokens=tokens))
    await world.hub.verdicts.publish_campaign(a_campaign("c-2"))
    assert await world.hub.verdicts.campaigns() == [a_campaign("c-2"), a_campaign("c-1", tokens=3)]
    assert await world.hub.verdicts.verdicts() == []


async def test_a_campaign_larger_than_a_message_keeps_all_its_members(world: World) -> None:
    campaign = a_campaign("c-1", members=10_000)
    await world.hub.verdicts.publish_campaign(campaign)
    assert await world.hub.verdicts.campaigns() == [campaign]


async def test_evidence_beyond_every_bound_is_still_valid_json(world: World) -> None:
    await world.hub.verdicts.publish_campaign(a_campaign("c-1", e_value=math.inf))
    [campaign] = await world.hub.verdicts.campaigns()
    assert campaign.e_value > 1e300
    assert math.isfinite(campaign.e_value)


async def test_the_newest_are_found_in_a_long_log(world: World) -> None:
    """More than a window of sequences, and more than a page of messages."""
    await world.hub.dead_letters.put([a_letter(sequence) for sequence in range(1, 1_801)])
    assert [x.sequence for x in await world.hub.dead_letters.newest(5)] == [1800, 1799, 1798, 1797, 1796]
    assert len(await world.hub.dead_letters.newest(1_200)) == 1_200
    assert len(await world.hub.dead_letters.newest(9_999)) == 1_800


async def test_the_audit_keeps_every_entry_in_order(world: World) -> None:
    audit = world.hub.audit
    entries = [
        AuditEntry("key:ops", "revocation.create", "acct-1", T0, {"ttl_s": 60, "reason": "für alle"}),
        AuditEntry("aggregator", "revocation create; drop *>", "c-1", T0, {}),
        AuditEntry("key:ops", "", "acct-1", T0, {"nested": {"a": [1, 2.5, None]}}),
    ]
    for entry in [*entries, entries[0]]:
        await audit.append(entry)
    assert await audit.newest(10) == [entries[0], *reversed(entries)]
    assert await audit.newest(1) == [entries[0]]
