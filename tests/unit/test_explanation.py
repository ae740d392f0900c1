"""An explanation holds every figure that a reviewer needs, in sentences, and says what is missing."""

from __future__ import annotations

from dataclasses import replace

from factories import T0

from launch.settings import load_policy
from stillwatch.explanation import Explanation, explain
from stillwatch.grounds import GroupTested
from stillwatch.plain_words import OF_ACCOUNTS, OF_GROUPS
from stillwatch.policy import Population, decide_account, decide_campaign, revocations_of
from stillwatch.ports import AuditEntry
from stillwatch.revocation import Hold, Revocation
from stillwatch.signals import ACCOUNT_SIGNALS
from stillwatch.verdict import AccountScore, Campaign, Member, Signal, Verdict

NOW_S = T0 // 10**9
POLICY = load_policy("configs/policies/demo.yaml")
SIGNAL = Signal("homogeneity", 0.0002, (0.02, 0.03), 8.0, "the topics of these 50 accounts differ by F = 0.0002")
OPENING = GroupTested(
    T0, "signup=x", 50, 0.0002, (0.02, 0.03), 1e-6, (("conduct", 1e-4),), 14_000.0, 42_000.0, 3_600.0, 112, 0.05, True
)  # fmt: skip


def a_verdict(**changes: object) -> Verdict:
    members = tuple(Member(f"a{number}", 0.9995 - number / 1_000, 40, 9_000) for number in range(3))
    campaign = Campaign("c-1", 1, 2, members, (SIGNAL,), 2e9, ("signup=x",), 120, 9_000, tests=(OPENING,))
    (verdict,) = decide_campaign(campaign, POLICY, Population(362, {}, {}), T0, "ab12")
    return replace(verdict, **changes)  # type: ignore[arg-type]


def carried_out(verdict: Verdict) -> Revocation:
    [found] = revocations_of(verdict, verdict.mode, NOW_S, None)
    return found


def text_of(found: Explanation) -> str:
    return " ".join(
        [
            *found.summary,
            *(one.compared for one in found.evidence),
            *found.chance,
            *found.who,
            *found.rule,
            *found.decided_by,
        ]
    )


def test_the_figures_are_those_of_the_moment_of_the_verdict_each_with_what_would_be_normal() -> None:
    found = explain(a_verdict(), [], [], NOW_S)
    text = text_of(found)
    assert "Nine in ten comparable honest groups lie between 0.0200 and 0.0300 (in F); here it is 0.0002" in text
    assert "a figure as extreme is seen in about 1 of 100 million" in text
    assert "112 tests had been made by then" in text
    assert "at most 5% are expected to be false. The bar was 3,600; this group had 42,000" in text
    assert "asks for an evidence of at least 100,000; there was 2 thousand million" in text
    assert (
        "3 accounts of the 3 that were listed for the campaign, out of 362 known accounts; they sent 120 requests"
        in text
    )
    assert "at most 0.2% are expected to be honest" in text
    assert dict(found.versions).keys() >= {"stillwatch", "river", "codebook", "fingerprint"}


def test_accounts_are_listed_surest_first() -> None:
    found = explain(a_verdict(), [], [], NOW_S)
    assert [(one.account, one.confidence, one.requests) for one in found.covered] == [
        ("a0", 0.9995, 40), ("a1", 0.9985, 40), ("a2", 0.9975, 40),
    ]  # fmt: skip


def test_who_approved_and_who_undid_it_stands_there_with_its_state_now() -> None:
    verdict = a_verdict()
    revocation = carried_out(verdict).undone(NOW_S + 60, "api-key:ops")
    audit = [
        AuditEntry("api-key:ops", "revocation.undo", "campaign c-1", T0 + 60 * 10**9, {"revocation": revocation.id}),
        AuditEntry("api-key:lead", "approval.grant", "x", T0 + 5, {"request": {"of": [verdict.id]}}),
        AuditEntry("api-key:ops", "label.create", "campaign c-1", T0 + 9, {"kind": "team"}),
        AuditEntry("api-key:ops", "revocation.undo", "campaign c-2", T0 + 1, {"revocation": "r-other"}),
        AuditEntry("policy:1/x", "revocation.active", "campaign:c-1", T0 + 1, {"revocation": "r-other"}),
    ]
    found = explain(verdict, [revocation], audit, NOW_S + 120)
    assert [entry.action for entry in found.trail] == ["approval.grant", "label.create", "revocation.undo"]
    assert "api-key:ops has undone it" in text_of(found)
    assert "api-key:lead, api-key:ops" in text_of(found)
    assert "is undone now" in text_of(found)


def test_an_automatic_decision_that_nobody_looked_at_says_so() -> None:
    verdict = a_verdict()
    text = text_of(explain(verdict, [carried_out(verdict)], [], NOW_S))
    assert "an automatic decision" in text
    assert "No person has approved, changed or undone it" in text
    assert "Its revocation is active now" in text


def test_what_others_did_to_the_same_accounts_is_shown_and_what_they_did_to_others_is_not() -> None:
    verdict = a_verdict()
    own = carried_out(verdict)
    same, others = (replace(own, id=f"r-{name}", verdict=None, accounts=(name,)) for name in ("a1", "b1"))
    assert [one.id for one in explain(verdict, [others, same, own], [], NOW_S).revocations] == [own.id, "r-a1"]


def test_shadow_and_what_was_held_back_are_said_and_nothing_is_claimed_to_have_been_done() -> None:
    held = a_verdict(mode="shadow", reason="held back, blast radius: more than 3 accounts a minute. campaign c-1: …")
    text = text_of(explain(held, [], [], NOW_S))
    assert "does nothing" in text
    assert "held back, blast radius: more than 3 accounts a minute" in text
    assert "No revocation of it is on record" in text


def test_what_was_held_back_and_acted_later_does_not_claim_to_have_done_nothing() -> None:
    verdict = a_verdict(mode="shadow", reason="held back, stale: lag. campaign c-1: …")
    hold = Hold("stale: lag", 2, NOW_S + 60, releases_itself=True)
    waiting = replace(carried_out(verdict), mode="enforce", hold=hold)

    def done(now: Revocation, at_s: int = NOW_S) -> str:
        return " ".join(explain(verdict, [now], [], at_s).summary)

    assert "It is held back and does nothing until it is let act. revoke would mean" in done(waiting)
    released = done(waiting.released(NOW_S + 5))
    assert "it acted by itself, when what is known was fresh again" in released
    assert "(revoke), for at most" in released
    assert "does nothing" not in released
    agreed = waiting.approved(NOW_S, "anna").approved(NOW_S, "ben")
    assert "it acted because people agreed (anna, ben)" in done(agreed)
    assert "never acted: it was rejected" in done(waiting.undone(NOW_S + 1, "anna"))
    assert "never acted: nobody let it act in time" in done(waiting, NOW_S + 60)
    text = text_of(explain(verdict, [waiting.released(NOW_S + 5)], [], NOW_S + 6))
    assert "Who agreed: nobody. Then it acted by itself" in text
    shadow = replace(waiting, mode="shadow", hold=None)
    assert "In shadow: it says what would be done and does nothing" in done(shadow)


def test_a_verdict_of_an_older_version_is_explained_as_far_as_it_goes() -> None:
    old = Verdict.from_map({key: value for key, value in a_verdict().to_map().items() if key != "grounds"})
    found = explain(old, [], [], NOW_S)
    assert found.covered[0].confidence is None
    assert "did not store the single tests" in text_of(found)
    assert "did not store how sure" in text_of(found)
    assert found.versions == (("stillwatch", old.detector_version),)


def test_a_score_alone_is_explained_and_acts_on_nobody() -> None:
    score = AccountScore("a1", 0.9, "severe", "observe", (replace(SIGNAL, name="quiet_hours"),), None, T0, 100)
    verdict = decide_account(score, POLICY, T0, "ab12")
    assert verdict is not None
    found = explain(verdict, [], [], NOW_S)
    assert found.evidence[0].title == "It has no night"
    assert "a score of 0.90" in text_of(found)
    assert "asks for a score of at least 0.75; it was 0.90" in text_of(found)
    assert "nothing to approve or undo" in text_of(found)


def test_a_verdict_is_read_back_with_all_that_it_rested_on() -> None:
    verdict = a_verdict()
    assert Verdict.from_map(verdict.to_map()) == verdict
    assert verdict.grounds is not None
    assert verdict.grounds.tests == (OPENING,)


def test_every_signal_of_an_account_is_explained_in_plain_words() -> None:
    assert {signal.name for signal in ACCOUNT_SIGNALS} <= OF_ACCOUNTS.keys()
    assert all(words.title and words.measures for words in [*OF_ACCOUNTS.values(), *OF_GROUPS.values()])


def test_what_waits_says_why_and_who_agreed() -> None:
    verdict = a_verdict()
    hold = Hold("blast radius: too many", 2, NOW_S + 60, (("anna", NOW_S),))
    waiting = replace(carried_out(verdict), mode="enforce", hold=hold)
    text = text_of(explain(verdict, [waiting], [], NOW_S))
    assert "It had to wait (blast radius: too many). Who agreed: anna; 1 more must agree." in text
    assert "Who agreed: anna, ben." in text_of(explain(verdict, [waiting.approved(NOW_S, "ben")], [], NOW_S))
