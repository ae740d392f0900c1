"""From a campaign's core along hand-offs: a member leads to those to whom its calls went, and these to others.

A relay takes a refused call to its next account within seconds, so that every account that is acted on brings another to light. That
one is no part of the core, and neither is the next; until a group test had taken them in, whom *they* brought to light would be nobody's
partner. A hand-off is never enough alone: who is led to is judged by its own topics, conduct and signals, too, and only who is
then sure leads further.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from stillwatch.correlation.handoff_graph import HandoffGraph
from stillwatch.correlation.membership import Vector
from stillwatch.correlation.nulls import Slots

# As sure as the default policy wants those to be whom it challenges or throttles.
_LEADS: Final = 0.99
# A campaign that is found late has long chains. Rounds end where none adds anybody.
_ROUNDS: Final = 32


def along_handoffs(
    core: Slots, slots: Slots, handoffs: HandoffGraph, sureness: Callable[[Slots, float], Vector]
) -> Vector:
    """How sure each of ``slots`` is, hand-offs included. ``sureness``: of each, where these accounts have handed over and a hand-off is
    worth so many nats.

    It goes outward only, and begins at the core in every evaluation: who leads was led to before, from nearer to the core. So nobody is
    surer for whom it has led to, members who are sure of something else lead to nobody, and a mistake of an hour ago is none now."""
    leading, led_to = core, handoffs.among_themselves(core)
    for _ in range(_ROUNDS):
        partners, worth = handoffs.partners(leading)
        led_to = np.union1d(led_to, partners)
        sure = sureness(led_to, worth)
        more = np.union1d(leading, np.intersect1d(slots[sure >= _LEADS], led_to))
        if len(more) == len(leading):
            break
        leading = more
    return sure
