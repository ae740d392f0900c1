"""Which partition an account belongs to: the same function that nats-server applies in its subject transform."""

from __future__ import annotations

_FNV_OFFSET_32 = 0x811C9DC5
_FNV_PRIME_32 = 0x01000193


def partition_of(account: str, partitions: int) -> int:
    """FNV-1a (32 bit) of the account's bytes, modulo the partition count.

    Equal to ``{{partition(N,1)}}`` in nats-server's subject mapping (server/subject_transform.go), so a publisher that
    batches and the server agree without talking. A contract test compares the two over random accounts.

    >>> [partition_of(f"customerid{i}", 3) for i in range(1, 7)]  # the table in the NATS documentation
    [0, 2, 1, 2, 1, 0]
    """
    hashed = _FNV_OFFSET_32
    for byte in account.encode():
        hashed = ((hashed ^ byte) * _FNV_PRIME_32) & 0xFFFFFFFF
    return hashed % partitions
