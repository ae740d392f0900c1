"""People with interests of their own, and a campaign that draws from one pool: events, fingerprinted at the edge."""

from __future__ import annotations

import numpy as np
from factories import HOUR, T0

from stillwatch.event import RequestEvent
from stillwatch.fingerprint import CELLS, fingerprint

HONEST, ATTACKERS, CONVERSATIONS = 90, 40, 36
_BASE = fingerprint("Explain how a binary search works and write it in Python.")


def a_world(seed: int, conversations: int = CONVERSATIONS) -> list[RequestEvent]:
    """The attackers share sign-up batches. One conversation an hour each; attackers are ``x…``, honest people ``u…``."""
    rng = np.random.default_rng(seed)
    pool = np.zeros(CELLS)
    pool[rng.permutation(CELLS)[:120]] = 1 / 120
    out = []
    for number in range(HONEST + ATTACKERS):
        attack = number >= HONEST
        name = f"x{number}" if attack else f"u{number}"
        mixture = pool if attack else rng.dirichlet(np.full(CELLS, 8 / CELLS))
        shared = f"batch-{number % 2}" if attack else f"promo-{number % 9}"
        for hour, cell in enumerate(rng.choice(CELLS, conversations, p=mixture)):
            fine = 4 * int(cell)  # what is on the wire; the coarse cell follows from it
            about = _BASE._replace(cell=fine >> 2, fine=fine, topics=(fine,))
            attributes = {**about.attributes(), "stillwatch.account.signup": shared}
            time = T0 + hour * HOUR + int(rng.integers(HOUR))
            out.append(RequestEvent(f"{name}-{hour}", name, time, attributes))
    return sorted(out, key=lambda event: (event.time_unix_nano, event.id))
