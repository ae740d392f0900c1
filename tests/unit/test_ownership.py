"""Who owns which partitions, as shards come and go."""

from __future__ import annotations

from collections import Counter

import pytest

from stillwatch.ownership import assign, shard_name

NAMES = [shard_name(number) for number in range(12)]


@pytest.mark.parametrize("shards", [1, 2, 3, 5, 12])
def test_every_partition_has_one_owner_and_none_has_more_than_its_share(shards: int) -> None:
    owners = assign(64, NAMES[:shards])
    assert list(owners) == list(range(64))
    assert max(Counter(owners.values()).values()) <= -(-64 // shards)


def test_it_is_a_matter_of_who_lives_and_not_of_the_order() -> None:
    assert assign(64, NAMES[:5]) == assign(64, list(reversed(NAMES[:5])))


@pytest.mark.parametrize("shards", [3, 5, 8])
def test_when_a_shard_goes_most_of_the_others_partitions_stay(shards: int) -> None:
    """Of 64; by number modulo shards nearly all would move."""
    before, after = assign(64, NAMES[:shards]), assign(64, NAMES[: shards - 1])
    moved = [number for number, owner in before.items() if owner != NAMES[shards - 1] and after[number] != owner]
    assert len(moved) <= 64 // 4
