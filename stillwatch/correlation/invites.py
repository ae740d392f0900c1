"""Trees of invitations: who was invited by whom, over more than one step.

Who was invited by one account shares a value with the others and with that account (``linkage``). A seller who has each account
invite the next few has no such group that is large; together they are one tree. So accounts are gathered by the account at the
top, down to ``_LEVELS`` generations; each account of the next one is the top of a tree of its own. So no account is in two trees,
and one chain through half of the platform is many small groups.

An invitation that too many have (a company's administrator, a link that somebody has published) says nothing: it is not followed,
and whoever came by it is at the top of a tree of his own. A tree with more accounts than a value may have proposes nobody; the accounts in it
still propose those whom they have invited themselves. Who is invited in a circle is in no tree: that is bad data.

Linear in the accounts that were invited; where nobody says who has invited him, nothing is done.
"""

from __future__ import annotations

from typing import Final

from stillwatch.correlation.linkage import Key, LinkageIndex
from stillwatch.correlation.table import AccountTable, Slots

TREE: Final = "invite_tree"  # the view of a tree's key; no account has such a value
# A chain in which each account invites one is still cut into groups of twice as many accounts as a group needs.
_LEVELS: Final = 16


def trees(
    table: AccountTable, links: LinkageIndex, eligible: Slots, fewest: int, at_most: float
) -> list[tuple[Key, Slots]]:
    """Trees of two steps and more, with at least ``fewest`` of the ``eligible`` accounts and at most ``at_most`` accounts, under
    keys ``(TREE, token at the top)``, in a fixed order. A tree of one step is the value of who has invited."""
    invited = {
        token: sorted(map(table.name, slots.tolist()))
        for token, slots in links.invited().items()
        if 0 < len(slots) <= at_most
    }
    of_others = {name for names in invited.values() for name in names}
    known = table.names(eligible) if invited else frozenset()
    tops = sorted(invited.keys() - of_others)
    out = []
    while tops:
        top = tops.pop()
        members, level, steps = [top], [top], 0
        while level and steps < _LEVELS - 1:
            level = [name for inviter in level for name in invited.get(inviter, ())]
            members += level
            steps += bool(level)
        tops += [name for inviter in level for name in invited.get(inviter, ())]  # where this tree ends others begin
        if steps >= 2 and len(members) <= min(at_most, links.max_group):
            slots = table.slots(name for name in members if name in known)
            if len(slots) >= fewest:
                out.append(((TREE, top), slots))
    return sorted(out, key=lambda one: one[0])
