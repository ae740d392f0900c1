"""When the aggregator does not act by itself, what becomes of what it did not do, and how it says so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from factories import T0
from manual_clock import ManualClock
from opentelemetry.trace import NoOpTracer
from summary_worlds import people, pool_accounts

from actors.aggregator import Aggregator, AggregatorPorts
from actors.snapshots import Snapshots
from launch.settings import load_policy
from stillwatch.never_act import Protection
from stillwatch.ports import AuditEntry, Mark, Part
from stillwatch.revocation import Revocation
from stillwatch.settings import Policy, PolicyLimits, Settings
from stillwatch.summary import AccountSummary, Report, encode_report
from stillwatch.verdict import Verdict
from streams.hub import memory_hub
from streams.memory import MemoryNats
from streams.snapshots import memory_snapshots

SETTINGS = Settings(partitions=2, shards=1)
TICK = SETTINGS.detection.evaluation_tick_s * 10**9
FIRST = T0 // TICK + 1
POLICY = load_policy("configs/policies/default.yaml").model_copy(
    update={"mode": "enforce", "limits": PolicyLimits(max_share_of_active_accounts=1, max_lag_s=7_200)}
)
RNG = np.random.default_rng(1)
HONEST, POOL = people(RNG, 300), pool_accounts(RNG, 60)
MEMBERS = {summary.account for summary in POOL}


def limited(**limits: Any) -> Policy:
    return POLICY.model_copy(update={"limits": POLICY.limits.model_copy(update=limits)})


@dataclass
class Life:
    """An aggregator, two partitions that tell it of a campaign, and a clock a minute behind the first tick."""

    nats: MemoryNats
    clock: ManualClock
    policy: Policy

    def __post_init__(self) -> None:
        self.hub = memory_hub(self.nats)
        self.store = memory_snapshots()
        self.begin()

    def begin(self) -> None:
        """A new life, of which nothing is left but what is stored."""
        hub = self.hub
        ports = AggregatorPorts(
            hub.verdicts,
            hub.revocations,
            hub.audit,
            hub.indicators,
            self.clock,
            NoOpTracer(),
            hub.never_act,
            hub.control,
            snapshots=Snapshots(self.store, b"a key that signs only snapshots of tests", 3, self.clock, "memory"),
        )
        self.aggregator = Aggregator(SETTINGS, self.policy, ports)

    async def tick(
        self, number: int, groups: tuple[list[AccountSummary], ...] = (HONEST, POOL), *, both: bool = True
    ) -> None:
        """The partitions' summaries at that tick, and its evaluation; without ``both`` one of them is missing."""
        tick, life = (FIRST + number) * TICK, (await self.aggregator.fold("s", "", None, [])).life
        whole = [summary for group in groups for summary in group]
        for partition, some in ((0, whole[::2]), (1, whole[1::2])):
            part = Part(partition, tick, 0, encode_report(Report(some, [], [])))
            closed = tick if both or partition == 0 else 0
            await self.aggregator.fold("s", life, part, [Mark(partition, closed, 0, silent=False)])
        await self.aggregator._evaluate(tick)

    async def save(self) -> None:
        await self.aggregator._save()
        await self.aggregator._stored_meanwhile()

    async def revocations(self, state: str | None = None) -> list[Revocation]:
        return await self.hub.revocations.list(state=state)  # type: ignore[arg-type]

    async def acted_on(self) -> set[str]:
        return {account for one in await self.revocations("active") for account in one.accounts}

    async def verdicts(self) -> list[Verdict]:
        return await self.hub.verdicts.verdicts()

    async def audited(self) -> list[str]:
        return [entry.action for entry in await self.hub.audit.newest(100)]


async def a_life(policy: Policy = POLICY) -> Life:
    clock = ManualClock(FIRST * TICK / 1e9 + 60)
    life = Life(MemoryNats(SETTINGS, clock), clock, policy)
    await life.aggregator._recall()
    return life


async def test_fresh_and_small_it_acts_at_once() -> None:
    life = await a_life()
    await life.tick(0)
    assert len(await life.acted_on()) > 40
    assert await life.acted_on() <= MEMBERS
    status = await life.aggregator.status()
    assert (status.stale, status.held_back, status.suppressed_actions) == ((), {}, 0)


async def test_what_was_done_stays_done_when_a_later_life_decides_it_again_from_a_snapshot() -> None:
    life = await a_life()
    await life.save()
    await life.tick(0)
    acted, actions = await life.acted_on(), (await life.aggregator.status()).actions
    life.begin()
    life.clock.advance(3 * 3_600)  # by now it would wait: the tick is old
    await life.aggregator._recall()
    await life.tick(0)
    status = await life.aggregator.status()
    assert (status.snapshots.restored, status.actions) == (1, actions)
    assert status.stale
    assert await life.acted_on() == acted
    assert await life.revocations("waiting") == []
    assert not [one for one in await life.hub.audit.newest(100) if "because" in one.details]


@pytest.mark.parametrize("gone", [0, 1])
async def test_whom_a_person_freed_after_the_snapshot_a_later_life_does_not_act_on_again(gone: int) -> None:
    """Also when what it finds is not quite the same any more (``gone`` accounts have not come back), under another id."""
    life = await a_life()
    await life.save()
    await life.tick(0)
    [undone] = await life.revocations("active")
    await life.hub.revocations.undo(undone.id, "anna")
    before = {one.id for one in await life.verdicts()}
    life.begin()
    await life.aggregator._recall()
    left = [one for one in POOL if one.account not in undone.accounts[:gone]]
    await life.tick(0, (HONEST, left))
    assert (await life.aggregator.status()).snapshots.restored == 1
    assert not await life.acted_on() & set(undone.accounts)
    if not gone:
        assert {one.id for one in await life.verdicts()} == before
        assert {one.id for one in await life.revocations()} == {undone.id}


async def test_what_waits_for_fresh_state_is_let_act_by_a_life_that_begins_with_a_snapshot() -> None:
    life = await a_life()
    life.clock.advance(3 * 3_600)
    await life.tick(0)
    await life.save()
    assert await life.acted_on() == set()
    life.begin()
    await life.aggregator._recall()
    await life.tick(6)
    status = await life.aggregator.status()
    assert (status.snapshots.restored, status.stale) == (1, ())
    assert len(await life.acted_on()) > 40
    assert await life.revocations("waiting") == []


# -- blast radius ----------------------------------------------------------------------------------------------------


async def test_beyond_a_limit_it_waits_for_people_and_verdict_status_audit_and_log_say_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    life = await a_life(limited(max_accounts_per_minute=10))
    await life.tick(0)
    assert await life.acted_on() == set()
    [waiting] = await life.revocations("waiting")
    assert len(waiting.accounts) > 40
    assert waiting.hold is not None
    assert "10 accounts a minute" in waiting.hold.because
    assert (waiting.hold.people, waiting.hold.releases_itself) == (2, False)
    [verdict] = await life.verdicts()
    assert (verdict.mode, verdict.id) == ("shadow", waiting.verdict)
    assert "10 accounts a minute" in verdict.reason
    assert await life.audited() == ["revocation.waiting"]
    assert "waits for people" in caplog.text
    status = await life.aggregator.status()
    assert status.held_back == {"accounts_per_minute": len(waiting.accounts)}
    assert status.suppressed_actions == len(waiting.accounts)


async def test_what_waits_is_not_asked_again_by_the_next_tick_nor_by_a_new_life_and_people_can_let_it_act() -> None:
    life = await a_life(limited(max_accounts_per_minute=10))
    await life.tick(0)
    life.begin()
    await life.aggregator._recall()
    await life.tick(1)
    [waiting] = await life.revocations()
    for person in ("anna", "ben"):
        await life.hub.revocations.approve(waiting.id, person)
    assert await life.acted_on() == set(waiting.accounts)


async def test_partly_the_surest_are_acted_on_and_the_rest_waits() -> None:
    life = await a_life(limited(max_accounts_per_minute=10, beyond="partly"))
    await life.tick(0)
    assert len(await life.acted_on()) == 10
    [waiting] = await life.revocations("waiting")
    [campaign] = await life.aggregator.campaigns()
    confidence = {member.account: member.confidence for member in campaign.members}
    least = min(confidence[account] for account in await life.acted_on())
    assert all(confidence[account] <= least for account in waiting.accounts)
    assert len({verdict.id for verdict in await life.verdicts()}) == 2


async def test_a_shadow_policy_asks_nobody() -> None:
    life = await a_life(limited(max_accounts_per_minute=10).model_copy(update={"mode": "shadow"}))
    await life.tick(0)
    assert {one.state(life.clock.unix_s) for one in await life.revocations()} == {"shadow"}
    assert (await life.aggregator.status()).held_back == {}


# -- stale state -----------------------------------------------------------------------------------------------------


async def make_it_lag(life: Life) -> None:
    """As after an outage, or after an old snapshot was restored: what is evaluated happened hours ago."""
    life.clock.advance(3 * 3_600)


async def make_the_brokers_clock_disagree(life: Life) -> None:
    life.nats.ahead_nano = 3_600 * 10**9
    await life.aggregator._reconcile()


async def make_our_clock_late(life: Life) -> None:
    life.clock.advance(-600)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [(make_it_lag, "lag"), (make_the_brokers_clock_disagree, "broker"), (make_our_clock_late, "ahead")],
)
async def test_on_stale_state_it_decides_but_does_not_act_and_says_why(
    spoil: Any, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    life = await a_life()
    await spoil(life)
    await life.tick(0)
    assert await life.acted_on() == set()
    [verdict] = await life.verdicts()
    assert "held back, stale" in verdict.reason
    [reason] = (await life.aggregator.status()).stale
    assert word in reason
    assert "waits for people: stale" in caplog.text
    [waiting] = await life.revocations("waiting")
    assert (await life.aggregator.status()).held_back == {"stale": len(waiting.accounts)}


async def test_without_a_partition_it_does_not_act_and_once_that_is_back_it_does() -> None:
    life = await a_life()
    await life.tick(0, both=False)
    assert await life.acted_on() == set()
    [reason] = (await life.aggregator.status()).stale
    assert "without one" in reason
    [waiting] = await life.revocations("waiting")
    life.clock.advance(900)
    await life.tick(1)
    assert (await life.aggregator.status()).stale == ()
    assert await life.acted_on() == set(waiting.accounts)
    assert "revocation.released" in await life.audited()
    released = await life.hub.revocations.get(waiting.id)
    assert released.expires_unix_s == int(life.clock.unix_s) + waiting.ttl_s


async def test_the_ids_are_those_of_a_run_that_never_was_stale() -> None:
    life, calm = await a_life(), await a_life()
    await make_it_lag(life)
    for one in (life, calm):
        await one.tick(0)
    life.clock.advance(-3 * 3_600)
    for one in (life, calm):
        one.clock.advance(900)
        await one.tick(1)
    assert {v.id for v in await life.verdicts()} == {v.id for v in await calm.verdicts()}
    assert {r.id for r in await life.revocations()} == {r.id for r in await calm.revocations()}
    assert await life.acted_on() == await calm.acted_on()


async def test_a_new_life_lets_act_what_the_one_before_held() -> None:
    life = await a_life()
    await make_it_lag(life)
    await life.tick(0)
    [waiting] = await life.revocations("waiting")
    life.clock.advance(-3 * 3_600 + 900)
    life.begin()
    await life.aggregator._recall()
    await life.tick(1)
    assert await life.acted_on() == set(waiting.accounts)


async def test_what_an_enforcing_policy_held_does_not_act_by_itself_under_a_shadow_policy() -> None:
    life = await a_life()
    await make_it_lag(life)
    await life.tick(0)
    [waiting] = await life.revocations("waiting")
    life.clock.advance(-3 * 3_600 + 900)
    life.policy = POLICY.model_copy(update={"mode": "shadow"})
    life.begin()
    await life.aggregator._recall()
    await life.tick(1)
    assert (await life.aggregator.status()).stale == ()
    assert await life.acted_on() == set()
    assert [one.id for one in await life.revocations("waiting")] == [waiting.id]
    for person in ("anna", "ben"):
        await life.hub.revocations.approve(waiting.id, person)
    assert await life.acted_on() == set(waiting.accounts), "people decide whatever the mode"


async def test_who_is_no_longer_a_member_is_not_acted_on_when_the_state_is_fresh_again() -> None:
    life = await a_life()
    await make_it_lag(life)
    await life.tick(0)
    [waiting] = await life.revocations("waiting")
    gone = waiting.accounts[0]
    await life.hub.never_act.put(Protection("account", gone, "anna", "a team", 0, 2**32, "api-key:ops"))
    life.clock.advance(-3 * 3_600 + 900)
    await life.tick(1)
    assert await life.acted_on() == set(waiting.accounts) - {gone}


async def test_what_waited_at_many_ticks_is_not_let_act_at_once_beyond_the_limit_but_left_to_people() -> None:
    life = await a_life()
    await make_it_lag(life)
    await life.tick(0)
    [first] = await life.revocations("waiting")
    second = replace(first, id="r-zz", verdict="v-zz", accounts=first.accounts[:5])  # of another tick
    assert first.id < second.id, "in this order they are let act"
    await life.hub.revocations.put(second)
    life.clock.advance(-3 * 3_600)
    life.policy = limited(max_accounts_per_minute=len(first.accounts))
    for number in (1, 2):
        life.clock.advance(900)
        life.begin()
        await life.aggregator._recall()
        await life.tick(number)
    assert await life.acted_on() == set(first.accounts)
    [waiting] = await life.revocations("waiting")
    assert (waiting.id, waiting.hold and waiting.hold.releases_itself) == ("r-zz", False)
    assert "accounts a minute" in (waiting.hold.because if waiting.hold else "")
    assert sorted(await life.audited()) == ["revocation.released", "revocation.waiting", "revocation.waiting"]
    for person in ("anna", "ben"):
        await life.hub.revocations.approve(waiting.id, person)
    assert {one.id for one in await life.revocations("active")} == {first.id, "r-zz"}


async def test_while_it_stays_stale_nothing_is_let_act() -> None:
    life = await a_life()
    await make_it_lag(life)
    for number in range(3):
        await life.tick(number)
    assert await life.acted_on() == set()


# -- the never-act list ----------------------------------------------------------------------------------------------


async def test_protected_accounts_are_in_no_verdict() -> None:
    life = await a_life()
    spared = sorted(MEMBERS)[:5]
    for account in spared:
        await life.hub.never_act.put(Protection("account", account, "anna", "reviewers", 0, 2**32, "api-key:ops"))
    await life.tick(0)
    assert not await life.acted_on() & set(spared)
    assert not {account for verdict in await life.verdicts() for account in verdict.members} & set(spared)
    assert (await life.aggregator.status()).never_act == 5


async def test_an_organisation_protected_while_the_policys_proposal_waits_is_spared_when_people_agree() -> None:
    life = await a_life(limited(max_accounts_per_minute=10))
    whose = {one.account: f"org-{number % 30}" for number, one in enumerate(POOL)}
    await life.tick(0, (HONEST, [replace(one, organisation=whose[one.account]) for one in POOL]))
    [waiting] = await life.revocations("waiting")
    of_one = {account for account in waiting.accounts if whose[account] == "org-7"}
    await life.hub.never_act.put(Protection("organisation", "org-7", "anna", "a contract", 0, 2**32, "api-key:ops"))
    for person in ("anna", "ben"):
        await life.hub.revocations.approve(waiting.id, person)
    assert await life.acted_on() == set(waiting.accounts) - of_one != set(waiting.accounts)


async def test_the_end_of_a_protection_is_said_before_and_after_once(caplog: pytest.LogCaptureFixture) -> None:
    life = await a_life()
    now_s = int(life.clock.unix_s)
    entry = Protection("account", "acct-1", "anna", "a reviewer", now_s, now_s + 3_600, "api-key:ops")
    await life.hub.never_act.put(entry)
    await life.aggregator._reconcile()
    assert (await life.aggregator.status()).never_act_ends_soon == (entry.id,)
    for _ in range(3):
        life.clock.advance(3_600)
        await life.aggregator._reconcile()
    assert await life.audited() == ["never_act.ended"]
    assert "has ended (owner anna)" in caplog.text
    assert await life.hub.never_act.list() == []
    status = await life.aggregator.status()
    assert (status.never_act_ended, status.never_act_ends_soon, status.never_act) == (1, (), 0)


async def test_a_protection_that_is_renewed_while_its_end_is_said_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    life = await a_life()
    now_s = int(life.clock.unix_s)
    entry = Protection("account", "acct-1", "anna", "a reviewer", now_s - 3_600, now_s, "api-key:ops")
    renewed = replace(entry, created_unix_s=now_s, expires_unix_s=now_s + 3_600)
    await life.hub.never_act.put(entry)
    append = life.hub.audit.append

    async def while_its_owner_renews_it(said: AuditEntry) -> None:
        await append(said)
        await life.hub.never_act.put(renewed)

    monkeypatch.setattr(life.hub.audit, "append", while_its_owner_renews_it)
    await life.aggregator._reconcile()
    assert await life.audited() == ["never_act.ended"]
    assert await life.hub.never_act.list() == [renewed]


async def test_without_the_never_act_list_nothing_is_decided_until_it_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = await a_life()
    monkeypatch.setattr("actors.aggregator._RETRY_S", 0.01)
    await life.hub.never_act.put(Protection("account", min(MEMBERS), "anna", "x", 0, 2**32, "api-key:ops"))
    read, failures = life.hub.never_act.list, iter([True, True])

    told = []

    async def first_not_there() -> list[Protection]:
        told.append((await life.aggregator.status()).waits_because)
        life.nats.down = next(failures, False)
        return await read()

    object.__setattr__(life.hub.never_act, "list", first_not_there)
    await life.tick(0)
    assert next(failures, None) is None
    assert [bool(why) for why in told[:3]] == [False, True, True]
    assert (await life.aggregator.status()).waits_because == ""
    assert min(MEMBERS) not in await life.acted_on()
    assert len(await life.acted_on()) > 40
