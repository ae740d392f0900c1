"""One open campaign: its core, who else belongs, the evidence in words, its growth, its life."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from stillwatch.correlation.attribution import ListedMember
from stillwatch.correlation.blocks import BLOCK
from stillwatch.correlation.conduct import GroupConduct
from stillwatch.correlation.docket import Stand
from stillwatch.correlation.handoff_graph import HANDOFF
from stillwatch.correlation.invites import TREE
from stillwatch.correlation.linkage import Key
from stillwatch.correlation.matching import Match
from stillwatch.correlation.membership import concentration_of
from stillwatch.correlation.mixtures import MIXTURE
from stillwatch.correlation.table import AccountTable
from stillwatch.correlation.verify import BLUNT_VOLUME, MAX_RELATIVE_F, MOST_ALONE_E, SMALLEST_HONEST_F, GroupTest
from stillwatch.extraction import PROBABLE, Extraction, Vector, measure
from stillwatch.grounds import GroupTested, kept
from stillwatch.life import History, Look, State, noted, state_at
from stillwatch.signature import Signature
from stillwatch.summary import AccountSummary
from stillwatch.verdict import Action, Campaign, Member, Signal

MAX_KEYS: Final = 64
# Under the likeliest view a group passes with this much; what volume leaves of it must not be less, or chance adds up.
_MIN_FACTOR: Final = 6.0
_MAX_GROWTH_ROWS: Final = 1_000  # hours; six weeks
# Accounts of a campaign that the table has lost are remembered as members, so that what they took stays on its page.
_MAX_GONE: Final = 10_000


# The policy's usual threshold for acting: nine in ten.
SURE: Final = 0.9


@dataclass(slots=True)
class OpenCampaign:
    """``core``: the accounts that passed the content test. Linkage keys and evidence grow as more groups pass."""

    id: str
    detected_at_unix_nano: int
    best: GroupTest
    core: frozenset[str] = frozenset()
    keys: tuple[Key, ...] = ()
    evidence: tuple[tuple[float, float, frozenset[str]], ...] = ()  # of groups: all, supported by content, accounts
    members: tuple[ListedMember, ...] = ()
    described: Campaign | None = None
    strongest: float = 0.0  # the largest weighted e-value of one of its groups
    signature: Signature | None = None
    state: State = "awake"
    history: History = ()
    merged_into: str | None = None
    absorbed: tuple[str, ...] = ()
    tests: tuple[GroupTested, ...] = ()
    matched: Match | None = None  # the imported indicator that it is most like
    split_from: tuple[str, ...] = ()  # the campaign that it was a part of, and what that one had absorbed by then
    look: Look | None = None  # the last, at whether it is two

    def follow(self, key: Key) -> None:
        """A value that leads to members. A block is none, nor are hand-offs, a mixture or a tree: nobody has them by himself."""
        if key[0] not in (BLOCK, HANDOFF, MIXTURE, TREE) and key not in self.keys and len(self.keys) < MAX_KEYS:
            self.keys = (*self.keys, key)

    def add_evidence(self, found: GroupTest, accounts: frozenset[str], weighted: float) -> None:
        self.strongest = max(self.strongest, weighted)
        if found.e_value > self.best.e_value:
            self.best = found
        strongest = sorted((*self.evidence, (found.e_value, found.supported, accounts)), key=lambda item: -item[0])
        self.evidence = tuple(strongest[:MAX_KEYS])

    def note_test(
        self, key: Key, found: GroupTest, weighted: float, stand: Stand, now_unix_nano: int, *, opened: bool
    ) -> None:
        """For whoever asks later how it was found. ``stand``: of the docket at the test."""
        beside = tuple((one.name, one.p_value) for one in found.beside if one.counts)
        if found.conduct is not None:
            beside = (("conduct", found.conduct.p_value), *beside)
        tested = GroupTested(
            at_unix_nano=now_unix_nano, group="=".join(key), accounts=found.tested_accounts, f=found.f, normal_f=found.normal_f,
            p_value=found.p_value, beside=beside, e_value=found.e_value, weighted=weighted, bar=stand.bar,
            tests=stand.tests, level=stand.level, opened=opened,
        )  # fmt: skip
        self.tests = kept((*self.tests, tested))

    @property
    def e_value(self) -> float:
        """The product over groups without a common account: their requests are different requests, so their evidence
        multiplies. Strongest first; a group that overlaps with one already counted adds nothing. Volume alone does not
        multiply: however many values a loud service is split over, it is one, and its bound would be none."""
        product, counted = 1.0, frozenset[str]()
        for _, supported, accounts in sorted(self.evidence, key=lambda item: -item[1]):
            if supported >= _MIN_FACTOR and not accounts & counted:
                product, counted = min(product * supported, 1e300), counted | accounts
        return max(product, *(e_value for e_value, _, _ in self.evidence), 1.0)

    @property
    def probable(self) -> frozenset[str]:
        return frozenset(member.account for member in self.members if member.confidence >= PROBABLE)

    @property
    def sure(self) -> frozenset[str]:
        return frozenset(member.account for member in self.members if member.confidence >= SURE)

    def confidence_of(self, account: str) -> float:
        return next((member.confidence for member in self.members if member.account == account), 0.0)

    def found_members(self, found: tuple[ListedMember, ...], table: AccountTable) -> None:
        """Whom the table still knows, and those it has lost: they were revoked and fell silent, and others made them go."""
        gone = [one for one in self.members if one.confidence >= PROBABLE and table.slot(one.account) is None]
        both = (*found, *gone[:_MAX_GONE])
        self.members = tuple(sorted(both, key=lambda one: (-one.confidence, one.account))) if gone else found

    def set_action(self, action: Action, now_unix_nano: int) -> Campaign | None:
        if self.described is not None:
            # Once for each action: rules alternate from hour to hour as members become surer.
            if all((what, detail) != ("acted on", action) for _, what, detail in self.history):
                self.history = noted(self.history, now_unix_nano, "acted on", action)
            self.described = replace(self.described, action=action, history=self.history)
        return self.described

    def live(self, last_sent_unix_nano: int | None, now_unix_nano: int) -> None:
        """Falls asleep and wakes, and keeps when."""
        before, self.state = self.state, state_at(self.state, last_sent_unix_nano, now_unix_nano)
        if before == "awake" and self.state == "asleep":
            self.history = noted(
                self.history, now_unix_nano, "asleep", f"none of {len(self.probable)} members has sent"
            )
        if before == "asleep" and self.state == "awake":
            listed = {one.account for one in self.described.members} if self.described is not None else set()
            new = len(self.probable - listed)
            self.history = noted(self.history, now_unix_nano, "awake", f"members send again, {new} of them new")

    def update(self, described: Campaign) -> Campaign | None:
        """The campaign if anything in it changed but the time, else ``None``."""
        before, self.described = self.described, described
        if before is not None and replace(before, updated_at_unix_nano=described.updated_at_unix_nano) == described:
            return None
        return described


def recalled(campaign: Campaign) -> OpenCampaign:
    """From its published form. The test that opened it is read back from its first signals."""
    homogeneity, breadth = campaign.signals[0], campaign.signals[1]
    normal = homogeneity.normal
    f = sum(normal) / 2 if normal is not None else SMALLEST_HONEST_F
    known = campaign.signature
    best = GroupTest(
        kept=np.array([], dtype=np.int64), tested_accounts=len(campaign.members), f=homogeneity.value, normal_f=normal,
        p_value=float(10 ** -(homogeneity.surprise or 0.0)), e_value=campaign.e_value, breadth=breadth.value,
        concentration=known.concentration if known is not None else concentration_of(f),
        floor=MAX_RELATIVE_F * max(normal[0] if normal is not None else f, 0.0),
    )  # fmt: skip
    core = frozenset(member.account for member in campaign.members if member.confidence >= SURE)
    keys = tuple((view, value) for view, _, value in (text.partition("=") for text in campaign.linkage))
    members = tuple(ListedMember(member.account, member.confidence) for member in campaign.members)
    supported = (
        campaign.e_value if campaign.e_value > MOST_ALONE_E else 1.0
    )  # it is not said; tests to come will say it
    evidence = ((campaign.e_value, supported, core),)
    return OpenCampaign(
        campaign.id, campaign.detected_at_unix_nano, best, core, keys, evidence, members, campaign, campaign.e_value,
        campaign.signature, campaign.state, campaign.history or noted((), campaign.detected_at_unix_nano, "found", ""),
        campaign.merged_into, campaign.absorbed, campaign.tests, split_from=campaign.split_from,
    )  # fmt: skip


def describe(campaign: OpenCampaign, table: AccountTable, demand: Vector, now: int) -> Campaign:
    """``demand``: what honest people ask about, shares by topic cell."""
    before = campaign.described
    published = {member.account: member for member in before.members} if before is not None else {}
    known = {one.account: found for one in campaign.members if (found := table.figures_of(one.account)) is not None}
    listed = []
    for one in campaign.members:
        member = _member(one, known.get(one.account), published)
        if member is not None:
            listed.append(member)
    probable = [member for member in listed if member.confidence >= PROBABLE]
    requests = sum(member.requests for member in probable)
    last_sent = [known[member.account].last_seen_unix_nano for member in probable if member.account in known]
    campaign.live(max(last_sent, default=None), now)
    extraction = _extraction(campaign, table, demand, now, probable, known, published)
    return Campaign(
        id=campaign.id,
        detected_at_unix_nano=campaign.detected_at_unix_nano,
        updated_at_unix_nano=now,
        members=tuple(listed),
        signals=_signals(campaign, extraction),
        e_value=round(campaign.e_value, 3),
        linkage=tuple(f"{view}={value}" for view, value in campaign.keys),
        requests=requests,
        tokens=sum(member.tokens for member in probable),
        growth=_growth(campaign, now, len(probable), requests),
        action=before.action if before is not None else "observe",
        extraction=extraction,
        signature=campaign.signature,
        state=campaign.state,
        history=campaign.history,
        merged_into=campaign.merged_into,
        absorbed=campaign.absorbed,
        tests=campaign.tests,
        split_from=campaign.split_from,
    )


def _member(one: ListedMember, summary: AccountSummary | None, published: Mapping[str, Member]) -> Member | None:
    if summary is None:  # evicted, or not told again yet after a start: as it was last published
        return published.get(one.account)
    return Member(summary.account, one.confidence, summary.events, summary.tokens, summary.organisation)


def _extraction(
    campaign: OpenCampaign, table: AccountTable, demand: Vector, now: int, probable: list[Member],
    known: Mapping[str, AccountSummary], published: Mapping[str, Member],
) -> Extraction:  # fmt: skip
    before = campaign.described.extraction if campaign.described is not None else None
    if campaign.state == "asleep" and before is not None:
        return before.silent(now)
    summaries = [known[member.account] for member in probable if member.account in known]
    gone = [member for member in probable if member.account not in known]
    slots = np.array([table.slot(summary.account) for summary in summaries], dtype=np.int64)
    pool = table.counts(slots).sum(axis=0)
    if campaign.signature is not None:  # what accounts asked that are forgotten by now
        pool = np.maximum(pool, campaign.signature.pool())
    left = published.keys() - {member.account for member in probable}
    return measure(summaries, gone, pool, demand, now, before, published.values(), left)


def _growth(campaign: OpenCampaign, now: int, members: int, requests: int) -> tuple[tuple[int, int, int], ...]:
    """One row an hour of event time; the running hour is overwritten. None while it sleeps."""
    hour = now // 3_600_000_000_000 * 3_600
    before = campaign.described.growth if campaign.described else ()
    if campaign.state == "asleep" and before:
        return before
    kept = tuple(row for row in before if row[0] < hour)
    return (*kept[-_MAX_GROWTH_ROWS + 1 :], (hour, members, requests))


def _signals(campaign: OpenCampaign, extraction: Extraction) -> tuple[Signal, ...]:
    best = campaign.best
    views = sorted({view for view, _ in campaign.keys})
    behaviour = () if best.conduct is None else _behaviour(best.conduct)
    if best.normal_f is None:
        compared = "too few other accounts are known to compare with"
    else:
        compared = (
            f"matched sets of other accounts differ by {best.normal_f[0]:.4f} to {best.normal_f[1]:.4f} "
            f"(p = {best.p_value:.1e})"
        )
    return (
        Signal(
            "homogeneity", best.f, best.normal_f, -float(np.log10(max(best.p_value, 1e-300))),
            f"the topics of these {best.tested_accounts} accounts differ by F = {best.f:.4f}; {compared}. Accounts "
            "that differ by nothing are fed from one pool; what they asked about did not propose the group",
        ),
        Signal(
            "pool_breadth", best.breadth, None, None,
            (
                f"together they cover {best.breadth:.0%} as many topics as all accounts do; a product with one job "
                "covers few"
            ),
        ),
        *behaviour,
        *(finding.signal() for finding in best.beside),
        Signal(
            "capability_coverage", float(len(extraction.capabilities)), None, None, extraction.sentence,
        ),
        Signal(
            "linkage", float(len(campaign.keys)), None, None,
            f"{len(campaign.keys)} shared values led to them ({', '.join(views)}); sharing alone is no evidence",
        ),
        *(() if campaign.matched is None else (campaign.matched.signal(),)),
    )  # fmt: skip


_HABITS: Final = {
    "quiet_hours": "they are active in the quietest hours of their days",
    "inter_arrival": "the pauses between their conversations are even",
    "daily_dispersion": "their days are equally full",
    "together": "how much they send, at which hours, with which pauses and on which days, as far as known, is unlike people",
}


def _behaviour(found: GroupConduct) -> tuple[Signal, ...]:
    habit = Signal(
        "conduct", found.mean, found.normal, -float(np.log10(max(found.p_value, 1e-300))),
        f"{_HABITS[found.statistic]}: {found.mean:+.1f} standard deviations from honest accounts, on average over "
        f"{found.units}; other groups that share something: {found.normal[0]:+.1f} to {found.normal[1]:+.1f} "
        f"(p = {found.p_value:.1e})",
    )  # fmt: skip
    if found.volume < BLUNT_VOLUME:
        return (habit,)
    much = (
        f"each of them sends far more than people do: {found.volume:+.1f} standard deviations of the logarithm of "
        "conversations a day from all accounts, on average"
    )
    return habit, Signal("volume", found.volume, None, None, much)
