"""The figures by which groups are judged, from results made by hand: what counts as found, as false, as a group that was hit."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import discovery, judging
from benchmarks.disclosed import Course, halves, together
from benchmarks.disclosed_text import hours_to, projected
from benchmarks.discovery import _covered
from benchmarks.discovery_text import section as discovery_section
from benchmarks.finding import Findings
from benchmarks.honest_groups import HonestGroup, honest_groups, touched
from benchmarks.honest_text import section as honest_section
from benchmarks.judging import Job, computed, loaded, with_section
from benchmarks.proportions import at_least, at_most, bootstrap
from launch.scenarios import load_scenario
from stillwatch.backtest import ActedOn, Ledger
from stillwatch.simulator import BuiltinTexts, labels
from stillwatch.simulator.population import People
from stillwatch.simulator.relay import Campaign as SimulatedCampaign
from stillwatch.verdict import Action, Campaign, Member

HOUR = 3_600_000_000_000
CAMPAIGN_OF = {**{f"a{n}": "ants" for n in range(4)}, **{f"b{n}": "bees" for n in range(4)}}


def published(name: str, *accounts: str, doubtful: tuple[str, ...] = ()) -> Campaign:
    members = [Member(account, 0.9, 1, 1) for account in accounts] + [Member(a, 0.4, 1, 1) for a in doubtful]
    return Campaign(name, 0, 0, tuple(members), (), 1e6, (), 0, 0)


def ledger(requests: int = 5) -> Ledger:
    """Every account has sent so many requests, the first at the hour 1."""
    found = Ledger()
    for account in [*CAMPAIGN_OF, "h0", "h1"]:
        for number in range(requests):
            found.saw(account, HOUR + number, refused=False)
    return found


# -- found, and false --------------------------------------------------------------------------------------------------


def test_a_campaign_is_found_when_most_of_a_published_ones_probable_members_are_its_own() -> None:
    findings = Findings(CAMPAIGN_OF)
    findings.look(3 * HOUR, [published("p", "a0", "h0")], ledger())
    assert findings.finds == {}, "half are not most"
    findings.look(4 * HOUR, [published("p", "a0", "a1", "h0")], ledger(requests=6))
    find = findings.finds["ants"]
    assert (find.hours, find.requests_per_20, find.members) == (3.0, 120.0, 2)


def test_the_first_time_counts_and_doubtful_members_do_not() -> None:
    findings = Findings(CAMPAIGN_OF)
    findings.look(2 * HOUR, [published("p", "a0", "a1", doubtful=("h0", "h1"))], ledger())
    findings.look(9 * HOUR, [published("p", "a0", "a1", "a2")], ledger())
    assert findings.finds["ants"].hours == 1.0


def test_two_campaigns_published_as_one_are_one_find_and_no_false_one() -> None:
    findings = Findings(CAMPAIGN_OF)
    findings.look(2 * HOUR, [published("p", "a0", "a1", "a2", "b0", "b1")], ledger())
    assert list(findings.finds) == ["ants"]
    findings.look(3 * HOUR, [published("q", "a0", "a1", "b0", "b1")], ledger())
    assert list(findings.finds) == ["ants"], "of neither there are most"
    assert [one["true"] for one in findings.published(0)] == [True, True]
    assert findings.listed_share("bees", ledger()) == 0.5


def test_a_published_campaign_of_honest_accounts_is_false_even_when_it_is_withdrawn() -> None:
    findings = Findings(CAMPAIGN_OF)
    findings.look(2 * HOUR, [published("p", "h0", "h1", "a0"), published("q", "a1")], ledger())
    findings.look(3 * HOUR, [published("p"), published("q", "a1")], ledger())
    assert [(one["true"], one["honest"], one["attackers"]) for one in findings.published(0)] == [
        (False, 2, 1), (True, 0, 1)
    ]  # fmt: skip


# -- what chance leaves open -------------------------------------------------------------------------------------------


def test_the_bound_of_none_in_a_thousand_is_the_rule_of_three() -> None:
    assert at_most(0, 1_000) == pytest.approx(1 - 0.05 ** (1 / 1_000), rel=1e-9)
    assert at_most(0, 1_000, 0.975) == pytest.approx(0.003682, rel=1e-3)


def test_bounds_enclose_the_share_with_the_stated_chance() -> None:
    # P(X <= 3 | n = 20, p = upper) = 0.05 by definition.
    from scipy.stats import binom

    assert binom.cdf(3, 20, at_most(3, 20)) == pytest.approx(0.05)
    assert binom.sf(2, 20, at_least(3, 20)) == pytest.approx(0.05)
    assert at_most(20, 20) == 1.0
    assert at_least(0, 20) == 0.0


def test_the_bootstrap_is_over_streams_and_the_same_every_time() -> None:
    values = [0.0] * 18 + [0.5, 1.0]
    mean, low, high = bootstrap(values)
    assert mean == pytest.approx(0.075)
    assert low < mean < high < 0.3
    assert bootstrap(values) == (mean, low, high)


# -- words -------------------------------------------------------------------------------------------------------------


def a_stream(
    seed: int, hours: float | None, false: int = 0, *, cover: float = 0.5, linked: str = "weak"
) -> dict[str, Any]:
    one = {"accounts": 20, "cover": cover, "personas": False, "linked": linked, "hours": hours, "requests_per_20": 900.0, "listed": 0.5,
           "acted_on": 3}  # fmt: skip
    wrong = [{"true": False, "hours": 1.0, "honest": 3, "attackers": 0}] * false
    right = [] if hours is None else [{"true": True, "hours": hours, "honest": 1, "attackers": 9}]
    return {
        "seed": seed, "days": 8, "events": 100, "honest": 50, "campaigns": {"ants": one}, "published": wrong + right,
        "benign": {"user": {"accounts": 50, "acted_on": false, "revoked": 0}},
    }  # fmt: skip


def test_whether_the_goal_of_two_days_is_met_is_computed() -> None:
    met = discovery_section({"s, 50% cover": [a_stream(seed, 40.0) for seed in range(10)]}, "c", [])
    assert "10 of 10 (100%; at least 74%): **met**" in met
    late = discovery_section({"s, 50% cover": [a_stream(1, 40.0), a_stream(2, 50.0)]}, "c", [])
    assert "1 of 2 (50%; at least 3%): **missed**" in late
    assert "within 7 days" in discovery_section({"s": [a_stream(1, 50.0, cover=0.8)]}, "c", [])
    assert "within 7 days" in discovery_section({"s": [a_stream(1, 50.0, linked="none")]}, "c", [])
    assert "No goal is set" in discovery_section({"s": [a_stream(1, 50.0, cover=0.9)]}, "c", [])


def test_the_false_discovery_proportion_is_a_mean_over_streams_and_silence_keeps_no_promise() -> None:
    text = discovery_section({"s, 50% cover": [a_stream(1, 40.0, false=1), a_stream(2, 40.0)]}, "c", [])
    assert "mean over 2 stream(s) 25.0%" in text
    assert "goal at most 5%: **missed**" in text
    assert "user 1 of 100, 0 revoked" in text
    assert "**nothing was published**" in discovery_section({"s, 50% cover": [a_stream(1, None)]}, "c", [])


def test_a_section_is_replaced_and_the_others_stay() -> None:
    document = with_section(with_section("# T\n", "a", "one"), "b", "two")
    again = with_section(document, "a", "three \\1")
    assert again == document.replace("one", "three \\1")


# -- honest groups -----------------------------------------------------------------------------------------------------


def test_a_group_counts_once_by_the_strongest_action_on_its_accounts() -> None:
    groups = [
        HonestGroup("t1", "team", ("a", "b", "c")), HonestGroup("t2", "team", ("d",)),
        HonestGroup("t3", "team", ("silent",)), HonestGroup("s1", "saas", ("e", "f")),
    ]  # fmt: skip
    strongest: dict[str, Action] = {"a": "throttle", "b": "revoke", "e": "challenge", "f": "challenge"}
    assert touched(groups, strongest, set("abcdef")) == {
        "team": {"groups": 2, "accounts": 4, "acted_on": 2, "revoke": 1},
        "saas": {"groups": 1, "accounts": 2, "acted_on": 2, "challenge": 1},
    }


def test_honest_groups_are_all_but_people_and_the_users_of_one_tool_are_one() -> None:
    groups = honest_groups(load_scenario("configs/scenarios/honest-groups.yaml", 501))
    by_kind = {kind: sum(group.kind == kind for group in groups) for kind in {group.kind for group in groups}}
    assert by_kind["agent"] == 1
    assert by_kind["team, campaigns' market"] == 15 + 3
    assert by_kind["classroom"] == 9
    assert "user" not in by_kind
    assert len(groups) >= 100


def test_none_of_a_thousand_groups_revoked_is_said_with_its_bound() -> None:
    kinds = {"team": {"groups": 500, "accounts": 4_000, "acted_on": 1, "throttle": 1}}
    worlds = [
        {"seed": seed, "days": 7, "kinds": kinds, "attackers": attackers, "attackers_acted_on": 9, "campaigns": 0,
         "people": {"accounts": 1_000, "acted_on": 0, "revoked": 0}}
        for seed, attackers in ((1, 140), (2, 0))
    ]  # fmt: skip
    text = honest_section(worlds, "c")
    assert "revoked: 0 of 1,000 groups, at most 0.30%. Goal 0: **met**" in text
    assert "throttled: 2 of 1,000 groups" in text
    assert "| team | 1,000 | 0 | 0 | 0 | 2 | 8,000 | 2 |" in text


# -- the disclosed campaign --------------------------------------------------------------------------------------------


def test_a_course_counts_attackers_active_by_then_and_what_leaked() -> None:
    found, course = Ledger(), Course(["a", "b", "silent"], 0, undisturbed=[1, HOUR, 2 * HOUR, 3 * HOUR, 9 * HOUR])
    found.saw("a", 1, refused=False)
    found.saw("h", 1, refused=False)
    found.act(ActedOn(account, "throttle", HOUR, 2 * HOUR, 1.0, None, (), "") for account in ("a", "h"))
    found.saw("a", HOUR + 1, refused=True)
    found.saw("a", 3 * HOUR, refused=False)
    found.saw("b", 3 * HOUR, refused=False)
    course.note(4 * HOUR, found)
    [row] = course.rows
    assert (row["active"], row["acted_on"], row["honest_acted_on"]) == (2, 1, 1)
    assert (row["sent"], row["leaked"], row["served"]) == (4, 2, 3)
    assert hours_to(course.rows, 0.5) == 4.0
    assert hours_to(course.rows, 0.9) is None


def test_a_projection_goes_on_as_the_last_day_went() -> None:
    course = [{"hours": h, "sent": 10.0 * h, "leaked": min(h, 24) * 10.0} for h in range(1, 73)]
    assert projected(course, days=3, whole_days=45) == pytest.approx(240 / (240 * 45))


def test_the_first_days_of_the_disclosed_campaign_are_those_of_the_whole() -> None:
    whole = load_scenario("configs/scenarios/disclosed.yaml", 501).scaled(0.001)
    honest, attack = halves(whole, days=3, days_before=2)
    assert honest.start_unix_s == whole.start_unix_s - 2 * 86_400
    assert (honest.days, attack.days, attack.start_unix_s) == (5, 3, whole.start_unix_s)
    [campaign] = [group for group in whole.groups if isinstance(group, SimulatedCampaign)]
    signed_up = [one.created_unix_s for one in attack.groups[0].roster(attack.world())[: campaign.accounts]]
    assert signed_up == [one.created_unix_s for one in campaign.roster(whole.world())[: campaign.accounts]]
    assert max(signed_up) <= whole.start_unix_s
    people = next(group for group in honest.groups if isinstance(group, People))
    before = next(group for group in whole.groups if isinstance(group, People))
    assert people.churn_share == pytest.approx(before.churn_share * 5 / 45)
    times = [event.time_unix_nano for event in together(halves(whole, 1, 1), BuiltinTexts())]
    assert times == sorted(times)


# -- jobs --------------------------------------------------------------------------------------------------------------


def a_job(seed: int = 1, **more: Any) -> Job:
    return Job("configs/scenarios/small.yaml", loaded("configs/scenarios/small.yaml", seed), None, (), **more)


def names(jobs: Any) -> list[dict[str, Any]]:
    return [{"seed": job.scenario.seed, "accounts": len(labels(job.scenario))} for job in jobs]


def test_a_job_is_done_once_and_then_read(tmp_path: Path) -> None:
    arguments = judging.parser("", seeds=1, out="o").parse_args(["--cache", str(tmp_path)])
    groups = [[a_job(1)], [a_job(2)]]
    found = computed(groups, names, arguments)
    assert [one["seed"] for one in found] == [1, 2]
    assert computed(groups, lambda _: pytest.fail("it is kept"), arguments) == found


def test_whatever_decides_a_result_changes_its_name() -> None:
    small = loaded("configs/scenarios/small.yaml", 1)
    covered = Job("configs/scenarios/small.yaml", _covered(small, 0.5), None, ())
    others = [a_job(2), a_job(options="x"), a_job(detector="volume"), covered]
    assert len({a_job().key(), *(other.key() for other in others)}) == 5
    assert a_job().key() == a_job().key()


def test_the_command_plays_a_stream_and_writes_the_same_document_again_from_what_it_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "docs" / "discovery.md"
    given = ["--scenario", "configs/scenarios/small.yaml", "--seeds", "1", "--cover", "0.5", "--cache", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["discovery", *given, "--out", str(out)])
    discovery.main()
    text = out.read_text(encoding="utf-8")
    assert "### small, 50% cover" in text
    assert "| hydra | 12 | 90% of accounts | the relay | 0 of 1 |" in text
    assert str(tmp_path) not in text
    assert (out.parent / "pictures" / "discovery-found.svg").read_text(encoding="utf-8").startswith("<svg")
    monkeypatch.setattr(discovery, "stream", lambda _: pytest.fail("it is kept"))
    discovery.main()
    assert out.read_text(encoding="utf-8") == text
