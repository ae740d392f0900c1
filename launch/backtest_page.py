"""The backtest's report for people: one HTML file that needs nothing else, light or dark as the reader's system is.

Every text from the data is escaped; there is no script and no reference to any network.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from launch import backtest_plots as plots
from stillwatch.backtest import Backtest, Labels, campaigns_of, kind_of
from stillwatch.backtest.curves import Split, area, found_at, roc, split

_HOUR_NANO: Final = 3_600_000_000_000
_MAX_ROWS: Final = 200  # of honest accounts and campaigns; the JSON report has all
_STYLE: Final = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--bad:#d55e00;--good:#009e73}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:CanvasText;background:Canvas}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2.2rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;width:100%;font-size:.88rem}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font-size:.85em;overflow-wrap:anywhere}p.note,figcaption{font-size:.85rem;opacity:.75}
figure{margin:1rem 0}svg{width:100%;height:auto;max-width:100%}figure.narrow svg{max-width:30rem}
.tiles{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0}
.tile{background:var(--soft);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .9rem;min-width:8rem}
.tile b{display:block;font-size:1.35rem;font-variant-numeric:tabular-nums}.bad{color:var(--bad)}.good{color:var(--good)}
.scroll{overflow-x:auto}
"""


def page(run: Backtest, labels: Labels | None, content: dict[str, Any]) -> str:
    name = str(content["detector"]["name"])
    kinds = {account: kind_of(labels or {}, account) for account in run.ledger.accounts}
    scores = split(run.detector.scores(), kinds)
    sections = [_tiles(content)]
    if labels is not None:
        sections += [_attack(run, labels, content), _benign(content), _hit(run, labels)]
        sections.append(_curve(name, scores, enforced=run.enforce))
    sections += [_distribution(scores), _campaigns(content), _input(content)]
    title = f"Backtest: {name}"
    about = (
        f"{content['events']:,} requests of {content['accounts']:,} accounts over {content['span_hours']:.1f} hours, "
        f"from {_utc(run.ledger.first_unix_nano)} to {_utc(run.ledger.last_unix_nano)}. Evaluated every "
        f"{content['detector']['tick_s'] / 3600:g} h of event time; accounts that were acted on were "
        f"{'refused afterwards' if run.enforce else 'served on'}."
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1><p>{escape(about)}</p>{''.join(sections)}"
        f'<p class="note">stillwatch {escape(str(content["detector"]["version"]))}, configuration '
        f"<code>{escape(content['detector']['config_sha256'])}</code></p></body></html>\n"
    )


def _tiles(content: dict[str, Any]) -> str:
    found = content.get("evaluation", {})
    hit = sum(row["acted_on"] for row in found.get("benign", {}).values())
    tiles = [
        (len(content["campaigns"]), "campaigns found", ""),
        (len(content["accounts_acted_on"]), "accounts acted on", ""),
    ]
    if found:
        honest = sum(row["accounts"] for row in found["benign"].values())
        tiles.append((hit, f"honest accounts hit, of {honest:,}", "bad" if hit else "good"))
    if content["detector"]["held_back"]:
        tiles.append((content["detector"]["held_back"], "held back by the blast radius", "bad"))
    boxes = (f'<div class="tile"><b class="{css}">{value:,}</b>{escape(text)}</div>' for value, text, css in tiles)
    return f'<div class="tiles">{"".join(boxes)}</div>'


def _attack(run: Backtest, labels: Labels, content: dict[str, Any]) -> str:
    rows = content["evaluation"]["attack"]
    if not rows:
        return "<h2>Campaigns in the labels</h2><p>None of the labelled attackers sent a request.</p>"
    table = _table(
        ("campaign", "accounts", "acted on", "half after", "90 % after", "requests", "before action", "leaked"),
        (
            (name, row["accounts"], row["acted_on"], _hours(row["hours_to_half"]), _hours(row["hours_to_90"]),
             row["requests"], row["requests_before_action"],
             f"{row['requests_before_action'] / max(row['requests'], 1):.0%}")
            for name, row in rows.items()
        ),
    )  # fmt: skip
    return (
        f"<h2>How soon, and what leaked</h2>{table}{_figure(_timeline(run, labels), 'timeline')}"
        '<p class="note">Hours since the campaign’s first request in the table, since the first request of the run in '
        "the plots. A request has leaked when it was sent before its account was first acted on.</p>"
    )


def _timeline(run: Backtest, labels: Labels) -> Any:
    ledger, campaigns = run.ledger, campaigns_of(labels)
    begin = ledger.first_unix_nano
    acted: dict[str, list[float]] = defaultdict(list)
    for account, action in ledger.first_action.items():
        if account in campaigns:
            acted[campaigns[account]].append((action.at_unix_nano - begin) / _HOUR_NANO)
    requests: dict[str, list[tuple[float, int, int]]] = defaultdict(list)
    for (name, hour), (asked, leaked) in sorted(ledger.by_hour.items()):
        requests[name].append((hour - begin / _HOUR_NANO + 1, asked, leaked))
    accounts = Counter(campaigns[account] for account in ledger.accounts if account in campaigns)
    return plots.timeline(acted, accounts, requests, ledger.span_hours)


def _benign(content: dict[str, Any]) -> str:
    rows = content["evaluation"]["benign"].items()
    return "<h2>Honest accounts, by kind</h2>" + _table(
        ("kind", "accounts", "acted on", "revoked", "share acted on"),
        (
            (k, r["accounts"], r["acted_on"], r["revoked"], f"{r['acted_on'] / max(r['accounts'], 1):.3%}")
            for k, r in rows
        ),
    )


def _hit(run: Backtest, labels: Labels) -> str:
    attackers = campaigns_of(labels)
    hit = [action for account, action in sorted(run.ledger.strongest.items()) if account not in attackers]
    if not hit:
        return '<p class="good">No honest account was acted on.</p>'
    hit.sort(key=lambda action: (kind_of(labels, action.account), action.account))
    rows = (
        (kind_of(labels, a.account), a.account, a.action, _utc(a.at_unix_nano), a.sentence) for a in hit[:_MAX_ROWS]
    )
    more = f'<p class="note">… and {len(hit) - _MAX_ROWS} more</p>' if len(hit) > _MAX_ROWS else ""
    return (
        "<h2>Honest accounts that were hit</h2>" + _table(("kind", "account", "action", "when", "because"), rows) + more
    )


def _curve(name: str, scores: Split, *, enforced: bool) -> str:
    found = area(scores)
    if found is None:
        return ""
    rates = [(rate, share) for rate in (1e-2, 1e-3, 1e-4) if (share := found_at(scores, rate)) is not None]
    words = ", ".join(f"{share:.0%} at a false positive rate of {rate:g}" for rate, share in rates)
    words = words or "too few honest accounts for any rate up to 1 in 100"
    if rates and len(rates) < 3:
        words += f" ({len(scores.honest):,} honest accounts show no lower rate)"
    caveat = (
        " Accounts that were acted on were refused afterwards, so their scores stand where they stood then: for curves "
        "over the whole time, run with --no-enforce." if enforced else ""
    )  # fmt: skip
    figure = _figure(plots.roc({name: roc(scores)}, len(scores.honest)), "roc", narrow=True)
    return (
        "<h2>Suspicion of each account, at the end</h2>"
        f"<p>Attackers found: {words}. Area under the curve: {found:.3f}.{caveat}</p>{figure}"
    )


def _distribution(scores: Split) -> str:
    return f"<h2>Scores by kind</h2>{_figure(plots.distributions(scores), 'scores')}"


def _campaigns(content: dict[str, Any]) -> str:
    out = []
    for campaign in content["campaigns"][:_MAX_ROWS]:
        facts = (
            f"{len(campaign['members'])} accounts, {campaign['requests']:,} requests, "
            f"detected {_utc(campaign['detected_at_unix_nano'])}, e-value {campaign['e_value']:.3g}"
        )
        sentences = "".join(f"<li>{escape(signal['sentence'])}</li>" for signal in campaign["signals"])
        out.append(f"<h3><code>{escape(campaign['id'])}</code></h3><p>{escape(facts)}</p><ul>{sentences}</ul>")
    return "<h2>Campaigns found, and the evidence</h2>" + ("".join(out) or "<p>None.</p>")


def _input(content: dict[str, Any]) -> str:
    read = content["input"]
    facts = f"{read['duplicates']:,} duplicates, {read['late']:,} late events, {read['rejected']:,} lines rejected."
    rows = [(row["file"], row["line"], row["field"], row["detail"]) for row in read["first_rejected"]]
    listed = _table(("file", "line", "field", "problem"), rows) if rows else ""
    return f"<h2>Input</h2><p>{facts}</p>{listed}"


def _figure(figure: Any, name: str, *, narrow: bool = False) -> str:
    return f'<figure class="{"narrow" if narrow else ""}">{plots.to_svg(figure, name)}</figure>'


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    body = [list(row) for row in rows]
    numeric = [all(_is_number(row[at]) for row in body) and bool(body) for at in range(len(head))]
    css = ["n" if number else "" for number in numeric]
    top = "".join(f'<th class="{c}">{escape(title)}</th>' for c, title in zip(css, head, strict=True))
    lines = (
        "<tr>" + "".join(f'<td class="{c}">{_cell(v)}</td>' for c, v in zip(css, row, strict=True)) + "</tr>"
        for row in body
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _is_number(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and (value[:1].isdigit() or value == "never"))


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else escape(str(value))


def _hours(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} h"


def _utc(unix_nano: int) -> str:
    return datetime.fromtimestamp(unix_nano / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")
