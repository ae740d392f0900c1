"""Small makers of what travels over the ports of NATS, for the contract suites of ``streams``."""

from __future__ import annotations

from dataclasses import replace

from stillwatch.event import Rejected
from stillwatch.extraction import Extraction
from stillwatch.ports import DeadLetter
from stillwatch.revocation import Revocation
from stillwatch.signature import Signature
from stillwatch.verdict import Campaign, Member, Signal, Verdict

NOW = 1_790_000_000  # where the manual clock starts
T0 = 1_790_000_000_123_456_789
SIGNAL = Signal("coverage", 0.97, (0.1, 0.4), 5.2, "covers 97 % of the map; comparable accounts cover 10 to 40 %")


def a_revocation(id: str = "r-1", *accounts: str, **changes: object) -> Revocation:
    revocation = Revocation(
        id=id, target_kind="account", target=(accounts or ("acct-1",))[0], accounts=accounts or ("acct-1",),
        action="suspend", reason="because", mode="enforce", dry_run=False, created_unix_s=NOW,
        expires_unix_s=NOW + 3_600, actor="policy", traceparent="00-ab-cd-01",
    )  # fmt: skip
    return replace(revocation, **changes)  # type: ignore[arg-type]


def a_letter(sequence: int, index: int = 0, payload: bytes = b"\xc1", detail: str = "not msgpack") -> DeadLetter:
    rejected = Rejected("undecodable", "", detail)
    return DeadLetter(2, sequence, index, "stillwatch.partition.2.acct", payload, rejected)


def a_verdict(number: int, about: str = "acct-1", **changes: object) -> Verdict:
    verdict = Verdict(
        id=f"v-{number}", kind="account", subject=about, action="throttle", mode="shadow", reason="because",
        signals=(SIGNAL,), campaign=None, members=(), decided_at_unix_nano=T0 + number, policy_version="1",
        rule="volume", detector_version="0.1.0", config_sha256="ab" * 32, ttl_s=3600,
    )  # fmt: skip
    return replace(verdict, **changes)  # type: ignore[arg-type]


def a_campaign(id: str, members: int = 3, **changes: object) -> Campaign:
    campaign = Campaign(
        id=id, detected_at_unix_nano=T0, updated_at_unix_nano=T0, signals=(SIGNAL,), e_value=1e6, linkage=("ja4:x",),
        members=tuple(Member(f"{'account-token-' * 4}{n:08}", 0.97, 100, 50_000, "org") for n in range(members)),
        requests=900, tokens=10**6, growth=((1_790_000_000, 3, 900),),
        extraction=Extraction(900, 10**6, 40, 5_000, 900, (("code", 700),), 0.8, 0.99, 400, ((1_790_000_000, 40, 5_000),)),
        signature=Signature(((3, 200), (7, 200)), 3, 40.0, (1.5, None), (0.5, None)), absorbed=("c-0",),
        history=((1_790_000_000, "found", "under ja4=x"), (1_790_000_100, "acted on", "revoke")),
    )  # fmt: skip
    return replace(campaign, **changes)  # type: ignore[arg-type]
