"""Commands over the API: score, explain, campaigns, revoke, enforcement. What undoes and protects: ``commands_safety``."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer
from rich.console import Console
from rich.table import Table

from launch.client import Api
from launch.explain_view import explanation
from launch.running import find
from stillwatch.errors import NotFound, SettingsError
from stillwatch.revocation import MAX_TTL_S

AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer as it is.")]
DataDir = Annotated[str, typer.Option(help="Where `stillwatch up` left its address.")]
_DIR = ".stillwatch"

out = Console()


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _print_signals(signals: list[dict[str, Any]]) -> None:
    table = Table("signal", "value", "normal (5–95 %)", "surprise (-log10 p)", "in words")
    for signal in signals:
        normal = signal["normal"]
        surprise = signal["surprise"]
        table.add_row(
            signal["name"],
            f"{signal['value']:.4g}",
            f"{normal[0]:.4g} – {normal[1]:.4g}" if normal else "not known yet",
            f"{surprise:.2f}" if surprise is not None else "–",
            signal["sentence"],
        )
    out.print(table)


def score(
    event: Annotated[Path | None, typer.Argument(help="A file with one event as JSON; else standard input.")] = None,
    record: Annotated[bool, typer.Option(help="Also publish the event.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = _DIR,
) -> None:
    """What would this event say about its account, now?"""
    text = sys.stdin.read() if event is None else event.read_text(encoding="utf-8")
    try:
        body = json.loads(text)
    except ValueError as error:
        raise SettingsError("the event", f"not JSON: {error}", "One event as a JSON map; see docs/api.md") from error
    answer = Api(find(data_dir)).call("POST", f"/v1/score?record={'true' if record else 'false'}", body)
    if as_json:
        _print_json(answer)
        return
    shown = "no opinion yet" if answer["score"] is None else f"{answer['score']:.2f} ({answer['band']})"
    print(f"{answer['account']}: {shown}, action {answer['action']}, campaign {answer['campaign'] or '–'}")
    _print_signals(answer["signals"])


def explain(
    account: Annotated[str, typer.Argument(help="A verdict (v-…), a campaign (c-…) or an account.")],
    as_json: AsJson = False,
    data_dir: DataDir = _DIR,
) -> None:
    """Why a verdict was given, from what is stored of it; or what is known of an account or a campaign now."""
    api = Api(find(data_dir))
    if account.startswith("v-"):
        _explain_verdict(api, account, as_json)
        return
    if account.startswith("c-"):
        _explain_campaign(api.call("GET", f"/v1/campaigns/{account}"), as_json)
        return
    answer = api.call("GET", f"/v1/accounts/{account}")
    if as_json:
        _print_json(answer)
        return
    shown = "no opinion yet" if answer["score"] is None else f"{answer['score']:.2f} ({answer['band']})"
    print(f"account {account}: {shown}, campaign {answer['campaign'] or '–'}")
    state = answer["state"]
    if state is not None:
        print(f"{state['events']} requests in {state['conversations']} conversations, last {state['last_seen']}")
        print(f"organisation {state['organisation'] or '–'} ({state['verification'] or 'not verified'})")
    _print_signals(answer["signals"])
    for verdict in answer["verdicts"][:5]:
        print(f"verdict {verdict['id']}: {verdict['action']} ({verdict['mode']}). {verdict['reason']}")
    if answer["verdicts"]:
        print("why: stillwatch explain VERDICT")
    enforced = answer["enforced"]
    print(f"gateways are told: {enforced['action']}, {enforced['revocation']}" if enforced else "gateways let it pass")
    if answer["incomplete"]:
        print(f"did not answer, so missing here: {', '.join(answer['incomplete'])}", file=sys.stderr)


def _explain_verdict(api: Api, verdict: str, as_json: bool) -> None:
    try:
        answer = api.call("GET", f"/v1/verdicts/{quote(verdict, safe='')}/explanation?accounts=100000")
    except NotFound:
        print(
            f"stillwatch: no verdict {verdict} is kept. They are kept for {MAX_TTL_S // 86_400} days. `stillwatch "
            "explain ACCOUNT` lists those of an account; a revocation names its verdict; of an older one the audit "
            "stream says who did what",
            file=sys.stderr,
        )
        raise typer.Exit(4) from None
    if as_json:
        _print_json(answer)
        return
    print(explanation(answer), end="")


def _explain_campaign(campaign: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(campaign)
        return
    members = campaign["members"]
    sure = [member for member in members if member["confidence"] >= 0.9]
    print(f"campaign {campaign['id']}, found {campaign['detected']}, action {campaign['action']}")
    print(f"{campaign['account_count']} accounts listed, {len(sure)} of them with a confidence of 0.9 or more")
    print(
        f"{campaign['requests']} requests, {campaign['tokens']} tokens so far; e-value {_number(campaign['e_value'])}"
    )
    _print_signals(campaign["signals"])


campaigns = typer.Typer(help="The campaigns that were found, newest first.", invoke_without_command=True)


@campaigns.callback()
def list_campaigns(context: typer.Context, as_json: AsJson = False, data_dir: DataDir = _DIR) -> None:
    """The campaigns that were found, newest first; or a command about one."""
    if context.invoked_subcommand is not None:
        return
    answer = Api(find(data_dir)).call("GET", "/v1/campaigns")
    if as_json:
        _print_json(answer)
        return
    found = answer["campaigns"]
    table = Table("campaign", "found", "members", "requests", "tokens", "e-value", "action")
    for one in found:
        table.add_row(
            one["id"], one["detected"], str(one["account_count"]), str(one["requests"]), str(one["tokens"]),
            _number(one["e_value"]), one["action"],
        )  # fmt: skip
    out.print(table if found else "no campaign was found so far")


@campaigns.command("export")
def export_campaign(
    campaign: Annotated[str, typer.Argument(help="A campaign (c-…).")],
    key: Annotated[str | None, typer.Option(help="Name of an exchange key: signs, and adds hashed values.")] = None,
    data_dir: DataDir = _DIR,
) -> None:
    """The campaign as an indicator for another platform, on standard output (docs/indicators.md)."""
    question = f"?{urlencode({'key': key})}" if key is not None else ""
    _print_json(Api(find(data_dir)).call("GET", f"/v1/campaigns/{campaign}/indicator{question}"))


def revoke(
    target: Annotated[str, typer.Argument(help="account:TOKEN, organisation:ID or campaign:ID")],
    reason: Annotated[str, typer.Option(help="Why. Stands in the audit log and in the gateway's answer.")],
    action: Annotated[str, typer.Option(help="observe, throttle, challenge, suspend or revoke")] = "revoke",
    ttl_s: Annotated[int, typer.Option(help="Ends by itself after this many seconds.")] = 86_400,
    dry_run: Annotated[bool, typer.Option(help="Say what it would do, and do nothing.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = _DIR,
) -> None:
    """Act on an account, an organisation or a campaign."""
    kind, _, name = target.partition(":")
    if kind not in ("account", "organisation", "campaign") or not name:
        raise SettingsError("target", target, "Write account:TOKEN, organisation:ID or campaign:ID")
    body = {kind: name, "action": action, "reason": reason, "ttl_s": ttl_s, "dry_run": dry_run}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    answer = Api(find(data_dir)).call("POST", "/v1/revocations", body, headers)
    if as_json:
        _print_json(answer)
        return
    if answer["state"] == "waiting":
        hold = answer["hold"]
        print(
            f"{answer['id']}: {answer['action']} of {target} waits: {hold['because']}. {hold['missing']} more must agree:"
        )
        print(f"  stillwatch approvals approve {answer['id']}      before {hold['decide_before']}")
        return
    print(f"{answer['id']}: {answer['action']} of {target}, {answer['state']}. Undo: stillwatch undo {answer['id']}")
    if answer["spared"]:
        print(f"on the never-act list, so spared: {', '.join(answer['spared'])}")


def enforcement(
    switch: Annotated[str | None, typer.Argument(help="on or off; nothing shows it.")] = None,
    data_dir: DataDir = _DIR,
) -> None:
    """The kill switch: `off` lets every account pass at every gateway, at once."""
    api = Api(find(data_dir))
    if switch is None:
        answer = api.call("GET", "/v1/control/enforcement")
    elif switch in ("on", "off"):
        answer = api.call("PUT", "/v1/control/enforcement", {"enforcement": switch})
    else:
        raise SettingsError("switch", switch, "Write on or off")
    print(f"enforcement is {answer['enforcement']}")
