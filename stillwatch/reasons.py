"""The sentences of an explanation: what was found, could it be chance, whom it covers, by which rule, by whom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from stillwatch.grounds import Grounds, GroupTested
from stillwatch.plain_words import DOES, large, meaning, odds, shared
from stillwatch.ports import AuditEntry
from stillwatch.revocation import Hold, Revocation
from stillwatch.verdict import Signal, Verdict

_OLDER: Final = "This verdict was given by a version that did not store"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One signal in plain words. ``normal``: where nine in ten comparable honest accounts or groups lie; ``None``, as for
    ``surprise``: there was nothing to compare with."""

    name: str
    title: str
    measures: str
    found: str
    value: float
    normal: tuple[float, float] | None
    surprise: float | None
    compared: str
    innocent: str


def summary(verdict: Verdict, grounds: Grounds, own: Sequence[Revocation], now_unix_s: float) -> tuple[str, ...]:
    count = len(verdict.members)
    if verdict.kind == "account":
        first = (
            f"Account {verdict.subject} was marked because of its own conduct"
            + ("" if grounds.score is None else f": a score of {grounds.score:.2f} on a scale from 0 to 1")
            + ". A score ranks accounts for people to look at."
        )
    else:
        first = (
            f"{_accounts(count)} {'was' if count == 1 else 'were'} judged to belong to campaign {verdict.subject}: a "
            "group of accounts that is run from one place to collect what the model answers."
        )
    done = _done(verdict, own, now_unix_s)
    if count == 1:
        done = done.replace("They are", "It is").replace("they are", "it is")
    states = {one.state(now_unix_s) for one in own}
    now = () if not own else (f"Its revocation is {' and '.join(sorted(states))} now.",)
    return (first, done, *now)


def _done(verdict: Verdict, own: Sequence[Revocation], now_unix_s: float) -> str:
    """By the revocations, where there are some: what was told as shadow because it had to wait may have acted since."""
    does = f"{DOES[verdict.action]} ({verdict.action}), for at most {_span(verdict.ttl_s)}."
    if verdict.mode == "enforce":
        return does
    would = f"{verdict.action} would mean: {_lower(DOES[verdict.action])}."
    holds = [one.hold for one in own if one.hold is not None]
    released = [one for one in holds if one.released_unix_s is not None]
    if released:
        how = " and ".join(sorted({_let_act(one) for one in released}))
        rest = "" if len(released) == len(own) else " A part of it has not acted."
        return f"At first it was held back and did nothing; then {how}. {does}{rest}"
    states = {one.state(now_unix_s) for one in own if one.hold is not None}
    if "waiting" in states:
        return f"It is held back and does nothing until it is let act. {would}"
    if states:
        why = "it was rejected" if states == {"rejected"} else "nobody let it act in time"
        return f"It was held back and never acted: {why}. {would}"
    return f"In shadow: it says what would be done and does nothing. {would}"


def _by_itself(hold: Hold) -> bool:
    """Whether it was let act without as many people as it would have taken."""
    return hold.releases_itself and hold.released_unix_s is not None and len(hold.approvals) < hold.people


def _let_act(hold: Hold) -> str:
    """Of one that was."""
    if _by_itself(hold):
        return "it acted by itself, when what is known was fresh again"
    return f"it acted because people agreed ({', '.join(who for who, _ in hold.approvals)})"


def strongest_first(signals: Sequence[Signal]) -> list[Signal]:
    return sorted(signals, key=lambda signal: -1.0 if signal.surprise is None else signal.surprise, reverse=True)


def in_words(signal: Signal, kind: str) -> Evidence:
    words = meaning(signal.name, kind)
    if signal.normal is None:
        compared = "There is no normal range for this; it describes, and is no evidence by itself."
    else:
        low, high = signal.normal
        unit = f" (in {words.unit})" if words.unit else ""
        among = "groups" if kind == "campaign" else "accounts"
        compared = (
            f"Nine in ten comparable honest {among} lie between {_short(low)} and {_short(high)}{unit}; here it is "
            f"{_short(signal.value)}."
        )
        if signal.surprise is not None:
            compared += f" Among honest {among}, a figure as extreme {odds(signal.surprise)}."
    return Evidence(
        signal.name,
        words.title,
        words.measures,
        signal.sentence,
        signal.value,
        signal.normal,
        signal.surprise,
        compared,
        words.innocent,
    )


def against_chance(verdict: Verdict, grounds: Grounds) -> tuple[str, ...]:
    """Could it be chance? Whoever looks at many groups finds some that look odd."""
    if verdict.kind == "account":
        return (
            (
                "A score is about one account and is not corrected for how many accounts there are. So it acts on "
                "nobody by itself."
            ),
        )
    if not grounds.tests:
        return (f"{_OLDER} the single tests.",)
    opening = next((one for one in grounds.tests if one.opened), None)
    out = []
    if opening is not None:
        out.append(
            f"The campaign was found by {_test(opening)}. Whoever tests many groups finds some that look odd by "
            f"chance; {opening.tests:,} tests had been made by then. So a group counts as found only where its "
            "evidence reaches a bar that grows with their number, set so that of all groups found at most "
            f"{opening.level:.0%} are expected to be false. The bar was {large(opening.bar)}; this group had "
            f"{large(opening.weighted)}{_weight(opening)}."
        )
    more = [one for one in grounds.tests if not one.opened]
    if more:
        strongest = max(more, key=lambda one: one.e_value)
        count = "One more group" if len(more) == 1 else f"At least {len(more)} more groups"
        found = "it was" if len(more) == 1 else "the strongest came from"
        out.append(f"{count} of its accounts passed a test of the same kind since: {found} {_test(strongest)}.")
    if grounds.e_value is not None:
        out.append(
            f"All in all the evidence is {large(grounds.e_value)}. An evidence of x says: honest groups reach x in at "
            "most 1 of x cases, and their evidence is 1 on average. Only tests of groups without a common account "
            "are multiplied, because they rest on different requests."
        )
    return tuple(out)


def _test(one: GroupTested) -> str:
    found = [f"how alike their topics are {odds(-math.log10(max(one.p_value, 1e-300)))}"]
    found += [
        f"\u201c{meaning(name, 'campaign').title}\u201d {odds(-math.log10(max(p, 1e-300)))}"
        for name, p in one.beside
        if p < 0.05
    ]
    return (
        f"a test of {one.accounts:,} accounts that have {shared(one.group)} in common. Among honest groups, "
        f"{'; '.join(found)}. Together that is an evidence of {large(one.e_value)}"
    )


def _weight(one: GroupTested) -> str:
    """Kinds of groups among which campaigns are likelier need less evidence, and the others more."""
    factor = one.weighted / one.e_value if one.e_value > 0 else 1.0
    if 0.99 < factor < 1.01:
        return ""
    return f", because an evidence under {shared(one.group)} counts {factor:.2g} times"


def whom(verdict: Verdict, grounds: Grounds) -> tuple[str, ...]:
    if verdict.kind == "account":
        return (f"This verdict is about one account, {verdict.subject}, and nobody beside it.",)
    if not grounds.confidences:
        return (f"{_accounts(len(verdict.members))}. {_OLDER} how sure each of them was.",)
    least, count = min(grounds.confidences), len(grounds.confidences)
    who = (
        f"{_accounts(count)} of the {grounds.listed_members} that were listed for the campaign, out of "
        f"{grounds.active_accounts:,} known accounts; they sent {sum(grounds.requests):,} requests. Each has a "
        "confidence: how likely it is that the account belongs, by what it asks, when, and what it shares."
    )
    bound = (
        f"The least sure has {least:.1%}. A confidence is never above one minus the share of honest accounts among "
        f"those at least as sure, so of these {count} accounts at most {1 - least:.1%} are expected to be honest: "
        f"{(1 - least) * count:.1f} accounts."
    )
    return who, bound


def by_which_rule(verdict: Verdict, grounds: Grounds) -> tuple[str, ...]:
    first = (
        f"Rule {verdict.rule} of policy {verdict.policy_version} fitted first. It says: {verdict.action} for "
        f"{_span(verdict.ttl_s)}."
    )
    out = [first]
    if grounds.asked_e_value is not None and grounds.e_value is not None:
        out.append(
            f"It asks for an evidence of at least {large(grounds.asked_e_value)}; there was {large(grounds.e_value)}."
        )
    if grounds.asked_confidence is not None and grounds.confidences:
        out.append(
            f"It asks for a confidence of at least {grounds.asked_confidence:.1%} for each account; the least sure "
            f"has {min(grounds.confidences):.1%}."
        )
    if grounds.asked_score is not None and grounds.score is not None:
        out.append(f"It asks for a score of at least {grounds.asked_score:.2f}; it was {grounds.score:.2f}.")
    if grounds.spared_from is not None:
        out.append(
            f"It spares accounts of organisations with the verification “{grounds.spared_from}” or a better one."
        )
    if verdict.reason.startswith("held back"):
        out.append(f"It was {verdict.reason.partition('. ')[0]}.")
    return tuple(out)


def by_whom(
    verdict: Verdict, own: Sequence[Revocation], trail: Sequence[AuditEntry], now_unix_s: float
) -> tuple[str, ...]:
    if not own:
        acts = verdict.action != "observe"
        return (
            "No revocation of it is on record: it expired, or was never stored."
            if acts
            else "It acts on nobody, so there is nothing to approve or undo.",
        )
    out = []
    people = sorted({one.actor for one in trail if not one.actor.startswith("policy:")})
    for one in own:
        out.append(
            f"{one.id} was made by "
            f"{one.actor}{', which is an automatic decision' if one.actor.startswith('policy:') else ''}. It is "
            f"{one.state(now_unix_s)} now."
        )
        if one.hold is not None:
            by_itself = _by_itself(one.hold)
            agreed = ", ".join(who for who, _ in one.hold.approvals) or ("nobody" if by_itself else "nobody so far")
            missing = f"; {one.hold.missing} more must agree" if one.state(now_unix_s) == "waiting" else ""
            then = f" Then {_let_act(one.hold)}." if by_itself else ""
            out.append(f"It had to wait ({one.hold.because}). Who agreed: {agreed}{missing}.{then}")
        if one.undone_by is not None:
            out.append(f"{one.undone_by} has undone it.")
    out.append(
        f"People and programs that did something about it: {', '.join(people)}."
        if people
        else "No person has approved, changed or undone it so far."
    )
    return tuple(out)


def limits(verdict: Verdict) -> tuple[str, ...]:
    out = [
        (
            "Nobody read a prompt, and none is stored: of each only its topic, form, language and length in coarse "
            "classes were kept."
        ),
        "Figures are as of the verdict. What is known now stands on the page of the campaign or the account.",
    ]
    if verdict.kind == "campaign":
        out.append(
            "The evidence is about the group. For one account it says how likely it belongs, not what it meant: an "
            "honest customer whose key was stolen or resold looks the same. Undo its revocation and label it when the "
            "customer can show who used it."
        )
    return tuple(out)


def _accounts(count: int) -> str:
    return f"{count:,} account{'' if count == 1 else 's'}"


def _span(seconds: int) -> str:
    """
    >>> _span(604_800), _span(86_400), _span(5_400)
    ('7 days', '1 day', '1.5 hours')
    """
    for unit, size in (("day", 86_400), ("hour", 3_600)):
        if seconds >= size:
            count = seconds / size
            return f"{count:.3g} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} seconds"


def _short(value: float) -> str:
    """
    >>> [_short(value) for value in (0.00018, 0.0244, -0.00004, 1.923, 24.0)]
    ['0.0002', '0.0244', '0.0000', '1.92', '24']
    """
    if abs(value) < 0.1:
        return f"{value:.4f}".replace("-0.0000", "0.0000")
    return f"{value:.3g}"


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
