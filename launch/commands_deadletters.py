"""`stillwatch deadletters list|show|replay`: what could not be processed, and once more what now can be."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from launch.client import Api
from launch.running import find
from stillwatch.errors import SettingsError

AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer as it is.")]
DataDir = Annotated[str, typer.Option(help="Where `stillwatch up` left its address.")]
Reason = Annotated[str | None, typer.Option(help="Only those with this reason, of the newest thousand.")]
_DIR = ".stillwatch"
_AT_A_TIME = 100

deadletters = typer.Typer(help="What could not be processed.", no_args_is_help=True)
out = Console()


def _listed(api: Api, limit: int, reason: str | None) -> dict[str, Any]:
    question = f"/v1/deadletters?limit={limit}" + (f"&reason={reason}" if reason else "")
    answer: dict[str, Any] = api.call("GET", question)
    return answer


@deadletters.command("list")
def list_letters(
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 50,
    reason: Reason = None,
    as_json: AsJson = False,
    data_dir: DataDir = _DIR,
) -> None:
    """The newest, without their bytes."""
    answer = _listed(Api(find(data_dir)), limit, reason)
    if as_json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
        return
    table = Table("id", "reason", "field", "detail", "bytes", "came on", "replayed")
    for one in answer["letters"]:
        table.add_row(
            one["id"], one["reason"], one["field"] or "–", one["detail"], str(one["bytes"]), one["subject"],
            one["replayed"] or "–",
        )  # fmt: skip
    out.print(table if answer["letters"] else "no dead letters")
    print(f"{answer['count']} stored")


@deadletters.command("show")
def show_letter(letter: str, data_dir: DataDir = _DIR) -> None:
    """One as JSON, with its bytes in base64: what a publisher sent, a prompt's text included."""
    print(json.dumps(Api(find(data_dir)).call("GET", f"/v1/deadletters/{letter}"), indent=2, ensure_ascii=False))


@deadletters.command("replay")
def replay_letters(
    letters: Annotated[list[str] | None, typer.Argument(help="Ids as `list` shows them.")] = None,
    reason: Reason = None,
    as_json: AsJson = False,
    data_dir: DataDir = _DIR,
) -> None:
    """Publish again what is accepted now: those named, or the newest thousand with a reason. Exit code 1 when any is still
    rejected."""
    api = Api(find(data_dir))
    if bool(letters) == bool(reason):
        raise SettingsError("letters", "name ids, or a --reason", "`stillwatch deadletters list` shows both")
    found = _listed(api, 1_000, reason)["letters"] if reason else []
    ids = letters or [one["id"] for one in found if not one["replayed"]]
    results: list[dict[str, Any]] = []
    for start in range(0, len(ids), _AT_A_TIME):
        results += api.call("POST", "/v1/deadletters/replay", {"ids": ids[start : start + _AT_A_TIME]})["results"]
    if as_json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    else:
        for one in results:
            print(f"{one['id']}: {one['result']}" + (f" ({one['reason']}: {one['detail']})" if one["reason"] else ""))
        print(f"{sum(one['result'] == 'published' for one in results)} of {len(results)} published")
    if any(one["result"] in ("still rejected", "not found") for one in results):
        raise typer.Exit(1)
