"""Commands about what keeps honest customers safe: undo, approvals, never-act. See docs/safety.md."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from launch.client import Api
from launch.running import find
from stillwatch.errors import SettingsError

AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer as it is.")]
DataDir = Annotated[str, typer.Option(help="Where `stillwatch up` left its address.")]
_DIR = ".stillwatch"
_DAY_S = 86_400


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def undo(
    decision: Annotated[str, typer.Argument(help="A revocation (r-…), a verdict (v-…) or a whole campaign (c-…).")],
    reason: Annotated[str, typer.Option(help="Of a verdict or a campaign: why. Stands in the audit log.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = _DIR,
) -> None:
    """Lift a decision. Gateways let its accounts pass within milliseconds; the policy does not put them back."""
    api = Api(find(data_dir))
    kind = {"r": "revocation", "v": "verdict", "c": "campaign"}.get(decision.partition("-")[0])
    if kind is None:
        raise SettingsError(
            "decision", decision, "Write the id of a revocation (r-…), a verdict (v-…) or a campaign (c-…)"
        )
    if kind == "revocation":
        answer = api.call("DELETE", f"/v1/revocations/{decision}")
    else:
        answer = api.call("POST", "/v1/undo", {kind: decision, "reason": reason})
    if as_json:
        _print_json(answer)
    elif kind == "revocation":
        print(f"{decision}: {answer['state']}")
    elif not answer["undone"]:
        print(f"{decision}: nothing of it was in force")
    else:
        names = ", ".join(f"{one['id']} {one['state']}" for one in answer["undone"])
        print(f"{decision}: {answer['account_count']} accounts are free of it ({names})")
    for gap in answer.get("incomplete", ()):
        print(f"What was done to campaigns that became a part of it may be in force: {gap}", file=sys.stderr)


approvals = typer.Typer(help="What waits for people: docs/safety.md.", no_args_is_help=True)


@approvals.command("list")
def list_approvals(as_json: AsJson = False, data_dir: DataDir = _DIR) -> None:
    """What waits, why, who has agreed, and until when."""
    answer = Api(find(data_dir)).call("GET", "/v1/approvals")
    if as_json:
        _print_json(answer)
        return
    for one in answer["revocations"]:
        hold = one["hold"]
        agreed = f"agreed: {', '.join(hold['approvals'])}; " if hold["approvals"] else ""
        print(
            f"{one['id']}  {one['action']} of {one['account_count']} accounts, {one['target_kind']} {one['target']}, "
            f"by {one['actor']}\n    waits: {hold['because']}\n    {agreed}{hold['missing']} more needed before "
            f"{hold['decide_before']}"
        )
    if not answer["revocations"]:
        print("nothing waits")


@approvals.command()
def approve(
    revocation: Annotated[str, typer.Argument(help="The id of a revocation that waits (r-…).")],
    note: Annotated[str, typer.Option(help="Stands in the audit log.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = _DIR,
) -> None:
    """Agree, in the name of your key's owner. The last one who is needed lets it act."""
    answer = Api(find(data_dir)).call("POST", f"/v1/approvals/{revocation}", {"note": note})
    if as_json:
        _print_json(answer)
        return
    missing = answer["hold"]["missing"]
    left = f"{missing} more needed" if missing else f"undo: stillwatch undo {revocation}"
    print(f"{revocation}: {answer['state']}; {left}")


@approvals.command()
def reject(
    revocation: Annotated[str, typer.Argument(help="The id of a revocation that waits (r-…).")],
    as_json: AsJson = False,
    data_dir: DataDir = _DIR,
) -> None:
    """Say no. It never acts; one person is enough."""
    answer = Api(find(data_dir)).call("DELETE", f"/v1/approvals/{revocation}")
    if as_json:
        _print_json(answer)
        return
    print(f"{revocation}: {answer['state']}")


never_act = typer.Typer(help="Who may not be acted on: docs/safety.md.", no_args_is_help=True)


@never_act.command("list")
def list_never_act(as_json: AsJson = False, data_dir: DataDir = _DIR) -> None:
    """Who is protected, why, and until when."""
    answer = Api(find(data_dir)).call("GET", "/v1/never-act")
    if as_json:
        _print_json(answer)
        return
    for one in answer["entries"]:
        print(
            f"{one['id']}  {one['kind']} {one['target']}, {one['state'].replace('_', ' ')}, until {one['expires']}; "
            f"owner {one['owner']}: {one['reason']}"
        )
    for account in answer["policy"]:
        print(f"account {account}, by the policy file, without an end")
    if not answer["entries"] and not answer["policy"]:
        print("nobody is on the list")


@never_act.command()
def add(
    target: Annotated[str, typer.Argument(help="account:TOKEN or organisation:ID")],
    reason: Annotated[str, typer.Option(help="Why.")],
    owner: Annotated[str, typer.Option(help="Who answers for it; else your key's owner.")] = "",
    ttl_s: Annotated[int, typer.Option(help="It ends by itself after this many seconds.")] = 30 * _DAY_S,
    as_json: AsJson = False,
    data_dir: DataDir = _DIR,
) -> None:
    """Nobody acts on it, until it ends. What is in force stays: undo it yourself."""
    kind, _, name = target.partition(":")
    if kind not in ("account", "organisation") or not name:
        raise SettingsError("target", target, "Write account:TOKEN or organisation:ID")
    body = {kind: name, "reason": reason, "owner": owner, "ttl_s": ttl_s}
    answer = Api(find(data_dir)).call("POST", "/v1/never-act", body)
    if as_json:
        _print_json(answer)
        return
    print(f"{answer['id']}: nobody acts on {target} until {answer['expires']}, owner {answer['owner']}")
    if answer["still_enforced"]:
        print(f"still in force: {answer['still_enforced']}. To lift it: stillwatch undo {answer['still_enforced']}")


@never_act.command()
def remove(entry: Annotated[str, typer.Argument(help="The id of an entry (n-…).")], data_dir: DataDir = _DIR) -> None:
    """It can be acted on again."""
    answer = Api(find(data_dir)).call("DELETE", f"/v1/never-act/{entry}")
    print(f"{entry}: {answer['kind']} {answer['target']} can be acted on again")
