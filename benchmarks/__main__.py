"""`make bench`: what a request costs. Ratios of one run mean something; absolute times are this machine's, now."""

from __future__ import annotations

import os
import platform
from statistics import median

from benchmarks import in_process, over_nats
from benchmarks.in_process import Cost
from benchmarks.over_nats import EndToEnd


def report(costs: list[Cost], whole: EndToEnd) -> str:
    """Pure: the numbers as a person reads them."""
    by_name = {cost.name: cost.microseconds for cost in costs}
    core, plain = by_name["core, fingerprinted at the edge"], by_name["plain River loop"]
    refusals = sorted(whole.decision_to_refusal_ms)
    lines = [
        f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "",
        "per event, processor time:",
        *(f"  {cost.name:<34}{cost.microseconds:8.1f} µs   {cost.note}" for cost in costs),
        f"  the core costs {core / plain:.1f} × a plain River loop",
        "",
        f"over NATS, wall time ({whole.events:,} events, one message each):",
        f"  published and acknowledged        {whole.published_per_s:8.0f} events/s",
        f"  cluster, 2 shards, into state     {whole.cluster_per_s:8.0f} events/s",
        f"  the same, and {whole.evaluations:>4} evaluations    {whole.evaluated_per_s:8.0f} events/s",
        f"  plain River loop, same stream     {whole.plain_river_per_s:8.0f} events/s, one process",
        f"  the cluster does {whole.cluster_per_s / whole.plain_river_per_s:.2f} × the plain loop",
        "",
        f"one Ray call (a question)           {whole.ray_call_us:8.0f} µs",
        f"revocation stored → refused at a gateway, {len(refusals)} times: p50 {median(refusals):.1f} ms, p95 "
        + f"{refusals[int(len(refusals) * 0.95)]:.1f} ms, max {refusals[-1]:.1f} ms",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(report(in_process.measure(), over_nats.measure()))
