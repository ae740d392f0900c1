"""The blast radius: what fits goes ahead, what does not waits, and a replay is limited in the same way."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from stillwatch.blast import Admitted, BlastRadius
from stillwatch.grounds import Grounds
from stillwatch.policy import verdict_id
from stillwatch.settings import PolicyLimits
from stillwatch.verdict import Verdict


class Whose:
    """``sizes``: accounts are named ``<organisation>/<number>``."""

    def __init__(self, **sizes: int) -> None:
        self._sizes = list(sizes.items())

    def of(self, account: str) -> int | None:
        name = account.partition("/")[0]
        return next((place for place, (known, _) in enumerate(self._sizes) if known == name), None)

    def size(self, organisation: int) -> int:
        return self._sizes[organisation][1]


NOBODYS = Whose()


def a_verdict(*members: str, ttl_s: int = 3_600) -> Verdict:
    names = tuple(sorted(members))
    return Verdict(
        verdict_id("c-1", "r", "1", names), "campaign", "c-1", "revoke", "enforce", "because", (), "c-1", names, 5, "1", "r", "0", "00",
        ttl_s,
    )  # fmt: skip


def accounts(count: int, prefix: str = "a") -> list[str]:
    return [f"{prefix}/{number:04}" for number in range(count)]


def admit(
    blast: BlastRadius, members: list[str], now_s: float = 0.0, active: int = 100_000, whose: Whose = NOBODYS
) -> list[Admitted]:
    return blast.admit(a_verdict(*members), members, active, whose, now_s)


def test_a_verdict_within_all_limits_goes_ahead_whole() -> None:
    [admitted] = admit(BlastRadius(PolicyLimits()), accounts(1_000))
    assert admitted.held is None


def test_what_waited_at_several_ticks_is_limited_when_it_is_let_act_at_one() -> None:
    blast = BlastRadius(PolicyLimits())
    for tick in range(3):
        assert admit(blast, accounts(600, f"t{tick}"), now_s=tick * 900.0)[0].held is None
    assert blast.release(accounts(600, "t0"), 3_600, 100_000, NOBODYS, 5_000) is None
    limit = blast.release(accounts(600, "t1"), 3_600, 100_000, NOBODYS, 5_000)
    assert limit is not None
    assert limit.name == "accounts_per_minute"
    assert blast.release(accounts(400, "t2"), 3_600, 100_000, NOBODYS, 5_000) is None, "what did not fit does not count"


def test_a_verdict_beyond_a_minutes_accounts_waits_whole_by_default() -> None:
    [admitted] = admit(BlastRadius(PolicyLimits()), accounts(1_001))
    assert admitted.verdict == a_verdict(*accounts(1_001))
    assert admitted.held is not None
    assert admitted.held.name == "accounts_per_minute"


def test_what_waits_leaves_the_room_to_the_next() -> None:
    blast = BlastRadius(PolicyLimits(max_accounts_per_minute=10))
    assert admit(blast, accounts(11))[0].held is not None
    assert admit(blast, accounts(10, "b"))[0].held is None
    assert admit(blast, accounts(1, "c"))[0].held is not None


def test_a_minute_later_there_is_room_again() -> None:
    blast = BlastRadius(PolicyLimits(max_accounts_per_minute=3))
    assert admit(blast, accounts(3), now_s=0.0)[0].held is None
    assert admit(blast, accounts(3, "b"), now_s=59.9)[0].held is not None
    assert admit(blast, accounts(3, "c"), now_s=60.0)[0].held is None


def test_partly_the_surest_go_ahead_and_the_rest_waits_under_an_id_of_its_own() -> None:
    blast = BlastRadius(PolicyLimits(max_accounts_per_minute=2, beyond="partly"))
    surest_first = ["a/0003", "a/0001", "a/0002", "a/0000"]
    done, waits = blast.admit(a_verdict(*surest_first), surest_first, 1_000, NOBODYS, 0.0)
    assert (done.held, done.verdict) == (None, a_verdict("a/0001", "a/0003"))
    assert waits.held is not None
    assert waits.verdict == a_verdict("a/0000", "a/0002")


def test_each_part_keeps_the_confidences_of_its_own_members() -> None:
    blast = BlastRadius(PolicyLimits(max_accounts_per_minute=1, beyond="partly"))
    verdict = replace(a_verdict(*accounts(3)), grounds=Grounds(confidences=(0.99, 0.999, 0.995), requests=(10, 11, 12)))
    done, waits = blast.admit(verdict, ["a/0001", "a/0002", "a/0000"], 1_000, NOBODYS, 0.0)
    assert done.verdict.grounds == Grounds(confidences=(0.999,), requests=(11,))
    assert waits.verdict.grounds == Grounds(confidences=(0.99, 0.995), requests=(10, 12))


def test_of_all_active_accounts_no_more_than_a_share_is_acted_on_at_any_time() -> None:
    blast = BlastRadius(PolicyLimits(max_share_of_active_accounts=0.1))
    assert admit(blast, accounts(6), now_s=0.0, active=100)[0].held is None
    [admitted] = admit(blast, accounts(5, "b"), now_s=1_000.0, active=100)
    assert admitted.held is not None
    assert admitted.held.name == "share_of_active_accounts"
    assert admit(blast, accounts(6), now_s=2_000.0, active=100)[0].held is None, (
        "a stronger action on the same accounts"
    )


def test_what_has_expired_no_longer_counts() -> None:
    blast = BlastRadius(PolicyLimits(max_share_of_active_accounts=0.1))
    assert blast.admit(a_verdict(*accounts(10), ttl_s=100), accounts(10), 100, NOBODYS, 0.0)[0].held is None
    assert admit(blast, accounts(10, "b"), now_s=99.0, active=100)[0].held is not None
    assert admit(blast, accounts(10, "b"), now_s=100.0, active=100)[0].held is None


def test_of_one_organisation_no_more_than_a_share_is_acted_on() -> None:
    blast = BlastRadius(PolicyLimits(max_share_of_organisation=0.5))
    acme = Whose(acme=8)
    assert admit(blast, accounts(4, "acme"), whose=acme)[0].held is None
    [admitted] = admit(blast, ["acme/0007"], now_s=100.0, whose=acme)
    assert admitted.held is not None
    assert admitted.held.name == "share_of_organisation"


def test_a_small_organisation_has_no_share_of_its_own() -> None:
    assert admit(BlastRadius(PolicyLimits()), accounts(3, "duo"), whose=Whose(duo=3))[0].held is None


def test_a_verdict_above_the_policys_size_waits_although_there_is_room() -> None:
    [admitted] = admit(BlastRadius(PolicyLimits(max_accounts_per_verdict=10, beyond="partly")), accounts(11))
    assert admitted.held is not None
    assert admitted.held.name == "verdict_size"


verdicts = st.lists(
    st.tuples(st.integers(0, 200), st.sets(st.integers(0, 60), min_size=1, max_size=30)), min_size=1, max_size=12
)


@given(verdicts, st.sampled_from(["wait", "partly"]))
@settings(max_examples=60, deadline=None)
def test_no_limit_is_ever_exceeded_nobody_is_lost_and_a_replay_says_the_same(
    played: list[tuple[int, set[int]]], beyond: str
) -> None:
    limits = PolicyLimits(
        max_accounts_per_minute=20, max_share_of_active_accounts=0.3, max_share_of_organisation=0.5, beyond=beyond
    )  # type: ignore[arg-type]  # fmt: skip
    whose = Whose(acme=10, other=40)

    def play() -> list[list[Admitted]]:
        blast, now_s, out = BlastRadius(limits), 0.0, []
        for pause_s, numbers in played:
            now_s += pause_s
            members = [f"{'acme' if number < 10 else 'other'}/{number}" for number in sorted(numbers)]
            verdict = replace(a_verdict(*members), ttl_s=10_000)
            out.append(blast.admit(verdict, members, 100, whose, now_s))
        return out

    found = play()
    assert found == play()
    acted_on: set[str] = set()
    for (_, numbers), parts in zip(played, found, strict=True):
        told = [account for part in parts for account in part.verdict.members]
        assert len(told) == len(set(told)) == len(numbers)
        done = [account for part in parts if part.held is None for account in part.verdict.members]
        assert len(done) <= 20
        acted_on.update(done)
    assert len(acted_on) <= 30
    assert sum(account.startswith("acme") for account in acted_on) <= 5
