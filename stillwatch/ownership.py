"""Who owns which partitions, and what the holders of leases are called.

Every shard works it out for itself from the shards that live, and comes to the same. A lease decides in the end: for a while two
may think that a partition is theirs, and one of them has it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection


def shard_name(index: int) -> str:
    return f"shard-{index:03d}"


def holder(name: str, cluster: str) -> str:
    """Two clusters have shards of the same names; a lease must tell them apart.

    >>> holder("shard-000", "c1"), split(holder("shard-000", "c1")), split("shard-000")
    ('shard-000@c1', ('shard-000', 'c1'), ('shard-000', ''))
    """
    return f"{name}@{cluster}" if cluster else name


def split(of: str) -> tuple[str, str]:
    """(name, cluster)."""
    name, _, cluster = of.partition("@")
    return name, cluster


def assign(partitions: int, shards: Collection[str]) -> dict[int, str]:
    """The shard of each partition: highest random weight (Thaler and Ravishankar 1998) with at most ``ceil(partitions / shards)``
    each, so that loads differ little, and few partitions move when a shard comes or goes.

    >>> assign(4, ["a", "b"])
    {0: 'a', 1: 'a', 2: 'b', 3: 'b'}
    >>> assign(4, [])
    {}
    """
    if not shards:
        return {}
    most, loads = -(-partitions // len(shards)), Counter[str]()
    owners = {}
    for partition in range(partitions):
        free = (shard for shard in shards if loads[shard] < most)
        owners[partition] = max(free, key=lambda shard: (_weight(shard, partition), shard))
        loads[owners[partition]] += 1
    return owners


def _weight(shard: str, partition: int) -> bytes:
    return hashlib.blake2b(f"{shard} {partition}".encode(), digest_size=8).digest()
