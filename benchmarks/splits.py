"""How often one pool would be split by noise, and how soon two are: `python -m benchmarks.splits`.

Accounts in parts that nothing connects, of 40 and 25 accounts, one half as busy as the other, with half of cover (each account's
own interests, as narrow as a person's). Each is looked at once a day for two weeks, on all conversations so far, and split by two looks in
a row that tell, as campaigns are (``stillwatch.splitting``). Two pools are drawn around one field, with the likeness that is printed.
"""

from __future__ import annotations

import argparse

import numpy as np

from stillwatch.correlation.homogeneity import likeness
from stillwatch.correlation.two_pools import cut_of
from stillwatch.fingerprint import CELLS

_PARTS = (40, 25)
_DAYS = 14
_A_DAY = (6.0, 3.0)  # conversations of an account in each part
_COVER = 0.5


def day_of_split(seed: int, scatter: float | None) -> tuple[int | None, bool, float]:
    """(the day of the split, whether any single look told, how alike the two mixtures are at the end). ``scatter``: around one field;
    ``None``: one pool."""
    rng = np.random.default_rng(seed)
    field = rng.dirichlet(np.full(CELLS, 1.0))
    pools = [field, field] if scatter is None else [rng.dirichlet(field * scatter) for _ in range(2)]
    part = np.repeat([0, 1], _PARTS)
    own = rng.dirichlet(np.full(CELLS, 8 / CELLS), len(part))
    law = (1 - _COVER) * np.array(pools)[part] + _COVER * own
    counts = np.zeros((len(part), CELLS))
    told, split, any_told = False, None, False
    for day in range(1, _DAYS + 1):
        volume = rng.poisson(np.array(_A_DAY)[part])
        counts += np.array([rng.multinomial(many, one) for many, one in zip(volume, law, strict=True)])
        cut = cut_of(counts, part, seed)
        tells = cut is not None and cut.tells
        if tells and told and split is None:
            split = day
        told, any_told = tells, any_told or tells
    return split, any_told, likeness(counts[part == 0], counts[part == 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    wanted = parser.parse_args().seeds
    for name, scatter in (("one pool", None), ("two of one field", 600.0), ("two of one field, further apart", 200.0)):
        found = [day_of_split(seed, scatter) for seed in range(wanted)]
        days = sorted(day for day, _, _ in found if day is not None)
        said = f", half of them by day {days[len(days) // 2]}" if days else ""
        once, alike = sum(told for _, told, _ in found), float(np.mean([one for _, _, one in found]))
        print(
            f"{name} (likeness {alike:.2f}): split {len(days)} of {wanted}{said}; a single look told in {once}",
            flush=True,
        )


if __name__ == "__main__":
    main()
