"""Which accounts belong to a campaign, and how surely.

The core has passed a group test; whoever else shares a value under which a group passed is a candidate, and whoever asks
what the core asks (``neighbours``). Sharing a popular client or tool with a campaign makes nobody one: broad people are as
broad as a pool, and topics alone can not tell them apart. A candidate's own topics, conduct and signals decide, weighed as they tell this core from honest accounts
(``discriminant``): the ratio that one honest account in a hundred reaches is taken off everybody's but for a rest. A hand-off with the
core, or with who is surely a member (``spreading``), is worth what chance leaves of it (``handoff_graph``), and having none says nothing.

Nobody is surer than :data:`ONE_LINK_SAYS` who is tied to the core by a single thing: the honest customers of one promotion are
a crowd, and some of them write like machines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from stillwatch.correlation.discriminant import Witnesses, fitted
from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.membership import Vector, confidence, log_likelihood_ratio, prior_log_odds
from stillwatch.correlation.moment import COMPARED_CONVERSATIONS, Moment
from stillwatch.correlation.nulls import Population, Slots
from stillwatch.correlation.spreading import along_handoffs
from stillwatch.correlation.table import AccountTable
from stillwatch.signature import Signature

# An account with fewer conversations says nothing about its mixture: it is nobody's member yet.
MIN_CONVERSATIONS: Final = 8
# Who pays, who signed up and from where. A client, a prompt or parameters are copied from an example, and by whom somebody was
# invited the sign-up may say already: one fact would be two ties (docs/adr/0022).
IDENTITIES: Final = ("payment", "signup", "address")
# Below the default policy's threshold for revocation: such members are challenged.
ONE_LINK_SAYS: Final = 0.997
_SHARED_BY: Final = 3  # accounts of the core, before a value ties others to it
# And the core has it this many times as often as everybody else: so many people pay with cards of one bank that a campaign of
# thousands does, too. Two such ties are 25 times as frequent in the core, if people choose their banks and mailboxes apart.
_OFTENER: Final = 5
# Below this, an account is not worth listing: the list is what a reviewer reads before anyone acts.
_MIN_LISTED_CONFIDENCE: Final = 0.2
_HONEST_QUANTILE: Final = 0.99
# Nats that are left at that quantile: of two normal laws, half a standard deviation apart, the likelihood ratio there is e^1.0,
# and more of those further apart (of three standard deviations e^2.5).
_AT_QUANTILE: Final = 1.0
_MAX_OUTSIDE: Final = 20_000
_MIN_SETTLED: Final = 100  # to compare with settled accounts only
_MAX_HONEST: Final = 2_000  # the quantile needs no more
# With fewer honest accounts than this their quantile is not known: the 99 % of the model's own law stands in (ln 100).
_MIN_HONEST: Final = 50
_MODEL_QUANTILE: Final = 4.6


@dataclass(frozen=True, slots=True)
class ListedMember:
    account: str
    confidence: float


def members_of(
    core_accounts: Collection[str], keys: Collection[Key], concentration: float, table: AccountTable,
    links: LinkageIndex, moment: Moment, signature: Signature | None = None, found_unix_nano: int | None = None,
    near: Slots | None = None,
) -> tuple[ListedMember, ...]:  # fmt: skip
    """Surest first. Candidates are the core and the accounts that share one of ``keys``, the values under which a group
    has passed. For each value its own accounts tell how many of them are members (a mixture of two kinds); an account
    takes the highest of its values as its prior. So do the accounts that share two identities with the campaign, and those
    that signed up under one of its values after it was found (``found_unix_nano``): both kinds are few among honest people,
    and how few, they tell themselves. ``signature``: what the core was, when its accounts are silent or gone.

    ``near`` are candidates that share nothing (``neighbours``). They are judged in the same way and are a part of their own,
    so however many they are, they take nothing from how sure the others are."""
    population, conduct = moment.population, moment.conduct
    found = (table.slot(account) for account in core_accounts)
    core = {slot for slot in found if slot is not None}  # an account may have been evicted since
    if not core and signature is None:
        return ()
    core = _fitting(core, concentration, table, population) if core else core
    # Bystanders are counted whole, light ones included; only who has asked enough to be told apart is listed.
    known_accounts = table.with_at_least(COMPARED_CONVERSATIONS)

    def told(accounts: set[int]) -> set[int]:
        some = np.array(sorted(accounts), dtype=np.int64)
        return set(some[table.conversations(some) >= COMPARED_CONVERSATIONS].tolist())

    by_key = {key: told(links.sharing(key)) for key in sorted(keys)}
    # Hand-offs with the core lead to accounts that share nothing with it, and from those to others.
    handoffs = moment.beside.handoffs
    by_name = _by_name(core, table)
    partners, _ = handoffs.partners(by_name)
    connected = told(set(map(int, handoffs.connected_with(by_name)))) - core
    sharing = [*by_key.values(), connected]
    linked = core.union(*sharing)
    if near is not None:
        sharing.append(told(set(map(int, near))) - linked)
    slots = _by_name(core.union(*sharing), table)
    core_slots = slots[table.among(slots, np.array(list(core), dtype=np.int64))]
    is_linked = table.among(slots, np.array(list(linked), dtype=np.int64))
    pool = table.counts(core_slots).sum(axis=0)
    means, spread = conduct.profile(core_slots)
    if signature is not None:
        pool = np.maximum(pool, signature.pool())
        gone, (before, spread_before) = np.isnan(means), signature.conduct_scores(len(means))
        means, spread = np.where(gone, before, means), np.where(gone, spread_before, spread)

    in_organisation = table.belongs_to_an_organisation()

    def witnesses_of(accounts: Slots) -> Witnesses:
        """Topics against the pool; conduct against the core; the account's own signals, where it has an opinion."""
        inside = table.among(accounts, core_slots)
        content = log_likelihood_ratio(table.counts(accounts), pool, population.mixture, concentration, inside=inside)
        own = np.nan_to_num(table.evidence(accounts), nan=0.0)
        return np.column_stack([content, conduct.log_ratio_to(accounts, means, spread), own])

    witnesses, is_core = witnesses_of(slots), table.among(slots, core_slots)
    ratio = np.zeros(len(slots))
    # The core is one more: what its accounts share may be two values at once (``blocks``).
    narrower = [told(core), *_narrower(by_key, table, found_unix_nano)]
    kin = table.kin(core_slots)
    at = {int(slot): index for index, slot in enumerate(slots)}
    # Whoever is neither of the core nor shares what most of it shares is taken as honest here, other candidates and members
    # not yet found included: this errs towards acting on nobody.
    outside = known_accounts[~table.among(known_accounts, np.concatenate([core_slots, kin, partners]))]
    compared: list[tuple[npt.NDArray[np.bool_], Vector, float]] = []
    for affiliated in (False, True):
        mine = in_organisation[slots] == affiliated
        like = outside[in_organisation[outside] == affiliated]
        # A campaign's accounts that share none of its values are outside too, and few of them would hide all others.
        settled = table.settled(like, moment.now_unix_nano)
        like = (settled if len(settled) >= _MIN_SETTLED else like)[:_MAX_OUTSIDE]
        if mine.any():
            of_like = witnesses_of(like)
            known_core = is_core & mine if (is_core & mine).any() else is_core
            weigh = fitted(witnesses[known_core], of_like)
            honest = weigh(of_like[~table.among(like, slots[is_linked])][-_MAX_HONEST:])
            known = float(np.quantile(honest, _HONEST_QUANTILE)) if len(honest) >= _MIN_HONEST else _MODEL_QUANTILE
            shift = _AT_QUANTILE - max(known, 0.0)
            ratio[mine] = weigh(witnesses[mine]) + shift
            compared.append((mine, weigh(of_like) + shift, 1.0 if affiliated else 0.5))

    def sureness(handed: Slots, worth: float) -> Vector:
        weighed = ratio + worth * table.among(slots, handed)
        parts = [*sharing, set(map(int, handed)) & at.keys()]
        rarest, wrong = _rarest(slots, parts), np.ones(len(slots))
        for mine, against, unseen in compared:
            for part in np.unique(rarest[mine]):
                some = mine & (rarest == part)
                wrong[some] = false_share(weighed[some], against, unseen)
        prior = np.zeros(len(slots))
        for shared in (*parts, *narrower):
            index = np.array(sorted(at[slot] for slot in shared), dtype=np.int64)
            prior[index] = np.maximum(prior[index], prior_log_odds(weighed[index]))
        return np.minimum(confidence(weighed, prior), 1 - wrong)

    sure_enough = along_handoffs(core_slots, slots, handoffs, sureness)
    handed_to = handoffs.partners_in(core_slots, slots)
    twice = _tied_twice(slots, core_slots, links, handed_to, len(table))
    sure_enough = np.where(twice, sure_enough, np.minimum(sure_enough, ONE_LINK_SAYS))
    listed = [
        ListedMember(table.name(int(slot)), round(float(sure), 4))
        for slot, sure in zip(slots, sure_enough, strict=True)
        if sure >= _MIN_LISTED_CONFIDENCE and table.conversations(slot) >= MIN_CONVERSATIONS
    ]
    return tuple(sorted(listed, key=lambda member: (-member.confidence, member.account)))


def _tied_twice(
    slots: Slots, core_slots: Slots, links: LinkageIndex, handed: Slots, accounts: int
) -> npt.NDArray[np.bool_]:
    """Who has two ties with accounts of the core, each a different identity or a hand-off with another of them (``handed``:
    with how many). One hand-off can be chance: a campaign of thousands whose calls are refused fails all day long. Of
    ``accounts`` on the platform."""
    others = accounts - len(core_slots) + 1
    ties = [
        key for key, mine, of_all in links.held_by(core_slots)
        if key[0] in IDENTITIES and mine >= _SHARED_BY
        # One more than was seen: that nobody else has it does not show that nobody ever does.
        and mine / len(core_slots) >= _OFTENER * (of_all - mine + 1) / others
    ]  # fmt: skip
    tied = links.having(slots, ties)
    by_view = [tied[:, [key[0] == view for key in ties]].any(axis=1) for view in IDENTITIES]
    return np.asarray(np.sum(by_view, axis=0) + handed >= 2)


def _narrower(by_key: Mapping[Key, set[int]], table: AccountTable, found_unix_nano: int | None) -> list[set[int]]:
    """Among the accounts that share the campaign's values: those who share two identities, and for each identity those who
    signed up since the campaign was found, as replacements do."""
    identities = {key: sharing for key, sharing in by_key.items() if key[0] in IDENTITIES}
    views = Counter(slot for view in IDENTITIES for slot in set().union(*(
        sharing for (named, _), sharing in identities.items() if named == view
    )))  # fmt: skip
    twice = {slot for slot, count in views.items() if count >= 2}
    if found_unix_nano is None:
        return [twice]
    since_s = found_unix_nano // 1_000_000_000
    return [twice, *({slot for slot in sharing if table.created_s(slot) >= since_s} for sharing in identities.values())]


def _rarest(slots: Slots, sharing: Sequence[Collection[int]]) -> Slots:
    """For each candidate, which of the sets it is in has fewest accounts: its part for the bound on false members. Parts are
    made by what is shared alone, so the bound holds in each and in all; a popular client's hundreds of bystanders
    do not count against a card that only a campaign has."""
    out = np.full(len(slots), len(sharing))
    for part in sorted(range(len(sharing)), key=lambda part: (-len(sharing[part]), part)):
        out[np.isin(slots, np.fromiter(sharing[part], dtype=np.int64, count=len(sharing[part])))] = part
    return out


def false_share(candidates: Vector, outside: Vector, unseen: float = 0.5) -> Vector:
    """For each candidate, at most what share of those at least as likely as it would be honest, if all were.

    The empirical false discovery proportion (Storey 2002, with every candidate counted as a possible false one): the
    number of candidates times the share of outsiders that reach the same ratio, over the number of candidates that do.
    ``unseen`` outsiders more are counted (a half: Jeffreys): that none of n reached it does not show that none ever does.
    Keys of organisations come in few and large lots, so there a whole one is.

    >>> false_share(np.array([9.0, 8.0, 0.0]), np.array([0.0, 1.0, -1.0] * 33)).round(3).tolist()
    [0.008, 0.008, 0.665]
    """
    reach = len(outside) - np.searchsorted(np.sort(outside), candidates, side="left")
    rank = len(candidates) - np.searchsorted(np.sort(candidates), candidates, side="left")
    share = np.minimum(len(candidates) * (reach + unseen) / (len(outside) + 1) / rank, 1.0)
    # A less likely candidate is never surer than a likelier one, nor the other way round.
    order = np.argsort(candidates, kind="stable")
    out = np.empty_like(share)
    out[order] = np.minimum.accumulate(share[order])
    return np.asarray(out)


def _by_name(slots: Collection[int], table: AccountTable) -> Slots:
    """As everything that is added up: slots are given in the order of arrival."""
    return np.array(sorted(slots, key=table.name), dtype=np.int64)


def _fitting(core: set[int], concentration: float, table: AccountTable, population: Population) -> set[int]:
    """The core without the bystanders of a group that passed: whom its own topics speak against. At least half stays."""
    slots = _by_name(core, table)
    counts = table.counts(slots)
    inside = np.ones(len(slots), dtype=np.bool_)
    ratio = log_likelihood_ratio(counts, counts.sum(axis=0), population.mixture, concentration, inside=inside)
    fitting = slots[ratio >= min(0.0, float(np.median(ratio)))]
    return {int(slot) for slot in fitting}
