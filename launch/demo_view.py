"""What the demo shows: numbers of a run, a live panel, a summary in plain words. Pure but for rich's drawing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_SURE: Final = 0.9
# Nine of ten: the accounts that signed up in the last virtual hours have shown too little to be sure of.
_FOUND_SHARE: Final = 0.8


@dataclass(frozen=True, slots=True)
class Watched:
    """What the API said last."""

    status: dict[str, Any]
    campaigns: list[dict[str, Any]]
    members: dict[str, list[dict[str, Any]]]


@dataclass(slots=True)
class Progress:
    """The truth (which only the demo knows) beside what was seen and done."""

    kinds: Mapping[str, str]
    total_events: int
    start_unix_nano: int
    end_unix_nano: int
    at_unix_nano: int = 0
    served: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    first_refused_unix_nano: dict[str, int] = field(default_factory=dict)
    revoked_accounts: set[str] = field(default_factory=set)
    watched: Watched | None = None
    dropped: int = 0

    @property
    def span_nano(self) -> int:
        return self.end_unix_nano - self.start_unix_nano

    def serve(self, account: str) -> None:
        self.served[account] += 1

    def refuse(self, account: str) -> None:
        self.refused[account] += 1
        self.first_refused_unix_nano.setdefault(account, self.at_unix_nano)

    def of_kind(self, counts: Counter[str], *, attack: bool) -> int:
        return sum(count for account, count in counts.items() if (self.kinds[account] == "attack") == attack)

    @property
    def attackers_seen(self) -> set[str]:
        seen = set(self.served) | set(self.refused)
        return {account for account in seen if self.kinds[account] == "attack"}

    @property
    def attackers_revoked(self) -> set[str]:
        return {account for account in self.revoked_accounts if self.kinds[account] == "attack"}

    @property
    def honest_revoked(self) -> set[str]:
        ever = self.revoked_accounts | set(self.refused)
        return {account for account in ever if self.kinds[account] != "attack"}

    @property
    def settled(self) -> bool:
        """Everything published is in state, and most of the campaign is out: there is nothing to wait for."""
        waiting = self.watched.status["waiting"] if self.watched else 1
        return waiting == 0 and len(self.attackers_revoked) >= _FOUND_SHARE * len(self.attackers_seen)

    @property
    def succeeded(self) -> bool:
        enough = len(self.attackers_revoked) >= _FOUND_SHARE * len(self.attackers_seen) > 0
        return enough and not self.honest_revoked and self.dropped == 0


def panel(progress: Progress) -> RenderableType:
    done = sum(progress.served.values()) + sum(progress.refused.values())
    when = datetime.fromtimestamp((progress.at_unix_nano or progress.start_unix_nano) / 1e9, UTC)
    hours = max(progress.at_unix_nano - progress.start_unix_nano, 0) / 3.6e12
    head = Text.assemble(("event time ", "dim"), f"{when:%a %d %b %H:%M} UTC", ("   hour ", "dim"), f"{hours:4.1f}")
    bar = ProgressBar(total=progress.total_events, completed=done, width=60)
    tables: list[RenderableType] = [_traffic(progress), _cluster(progress)]
    parts: list[RenderableType] = [head, bar, Columns(tables, expand=True), _campaigns(progress)]
    return Panel(Group(*parts), title="Stillwatch", border_style="cyan")


def _traffic(progress: Progress) -> Table:
    table = Table("at the gateway", "honest", "campaign", title_justify="left", expand=True)
    for name, counts in (("requests served", progress.served), ("requests refused", progress.refused)):
        honest, attack = progress.of_kind(counts, attack=False), progress.of_kind(counts, attack=True)
        style = "red" if name.endswith("refused") and honest else ""
        table.add_row(name, Text(str(honest), style=style), str(attack))
    seen = {account for account in progress.served if progress.kinds[account] != "attack"}
    table.add_row("accounts seen", str(len(seen)), str(len(progress.attackers_seen)))
    honest_revoked = len(progress.honest_revoked)
    table.add_row(
        "accounts revoked",
        Text(str(honest_revoked), style="red" if honest_revoked else "green"),
        Text(str(len(progress.attackers_revoked)), style="bold green" if progress.attackers_revoked else ""),
    )
    return table


def _cluster(progress: Progress) -> Table:
    table = Table("in the cluster", "", expand=True)
    if progress.watched is None:
        table.add_row("asking ...", "")
        return table
    status = progress.watched.status
    aggregator = status["aggregator"] or {}
    table.add_row("events in state", str(status["events"]))
    table.add_row("waiting in the stream", str(status["waiting"]))
    table.add_row("partitions owned", f"{status['partitions_owned']} of {status['partitions']}")
    table.add_row("groups tested", str(aggregator.get("groups_tested", "–")))
    return table


def _campaigns(progress: Progress) -> RenderableType:
    if progress.watched is None or not progress.watched.campaigns:
        return Text("no campaign seen yet", style="dim")
    table = Table("campaign", "members ≥ 0.9", "requests", "tokens", "e-value", "action", expand=True)
    for campaign in progress.watched.campaigns:
        members = progress.watched.members.get(campaign["id"], [])
        sure = sum(1 for member in members if member["confidence"] >= _SURE)
        table.add_row(
            campaign["id"], str(sure), str(campaign["requests"]), str(campaign["tokens"]),
            f"{campaign['e_value']:.1e}", campaign["action"],
        )  # fmt: skip
    sentence = progress.watched.campaigns[0]["signals"][0]["sentence"]
    return Group(table, Text(f"why: {sentence}", style="yellow"))


def summary(progress: Progress) -> RenderableType:
    served = progress.of_kind(progress.served, attack=True)
    refused = progress.of_kind(progress.refused, attack=True)
    out, seen = progress.attackers_revoked, progress.attackers_seen
    lines = []
    if progress.first_refused_unix_nano:
        first = (min(progress.first_refused_unix_nano.values()) - progress.start_unix_nano) / 3.6e12
        lines.append(f"The first account of the campaign was refused {first:.0f} hours after the traffic began.")
    if progress.watched and progress.watched.campaigns:
        lines.append(
            f"{len(out)} of the campaign's {len(seen)} accounts are revoked. It got {served} answers; {refused} more "
            f"requests were refused ({refused / max(served + refused, 1):.0%} of what it asked for)."
        )
    else:
        lines.append("The campaign was NOT found.")
    honest = progress.honest_revoked
    of_honest = {account for account in progress.served if progress.kinds[account] != "attack"}
    named = ", ".join(f"{account} ({progress.kinds[account]})" for account in sorted(honest)[:5])
    lines.append(f"Of {len(of_honest)} honest accounts, {len(honest)} were revoked{': ' + named if honest else ''}.")
    if progress.dropped:
        lines.append(f"The gateway dropped {progress.dropped} events: this machine is too busy for the demo's speed.")
    verdict = "It worked." if progress.succeeded else "It did NOT do what it should."
    return Panel(
        "\n".join([*lines, "", verdict]), title="What happened", border_style="green" if progress.succeeded else "red"
    )
