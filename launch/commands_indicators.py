"""Commands about what other platforms sent: indicators import, list, remove, new-key."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from launch.client import Api
from launch.exchange import new_key_line
from launch.running import find
from stillwatch.errors import SettingsError

AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer as it is.")]
DataDir = Annotated[str, typer.Option(help="Where `stillwatch up` left its address.")]
_DIR = ".stillwatch"

indicators = typer.Typer(help="Indicators from other platforms: docs/indicators.md.", no_args_is_help=True)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


@indicators.command("import")
def take_in(
    file: Annotated[Path, typer.Argument(help="An indicator as JSON; - is standard input.")],
    as_json: AsJson = False,
    data_dir: DataDir = _DIR,
) -> None:
    """Look for a campaign that another platform has found. It acts on nobody."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        document = json.loads(text)
    except (OSError, ValueError) as error:
        raise SettingsError(str(file), f"not readable as JSON: {error}", "See docs/indicators.md") from error
    answer = Api(find(data_dir)).call("POST", "/v1/indicators", document)
    if as_json:
        _print_json(answer)
        return
    vouched = f"signed with {answer['signed_with']}" if answer["signed_with"] else "not signed: nobody vouches for it"
    print(f"{answer['id']}: campaign {answer['campaign']} of {answer['issuer']}, {vouched}; until {answer['expires']}")


@indicators.command("list")
def show(as_json: AsJson = False, data_dir: DataDir = _DIR) -> None:
    """What others sent and is looked for, newest first."""
    answer = Api(find(data_dir)).call("GET", "/v1/indicators")
    if as_json:
        _print_json(answer)
        return
    for one in answer["indicators"]:
        vouched = f"signed with {one['signed_with']}" if one["signed_with"] else "not signed"
        print(
            f"{one['id']}  campaign {one['campaign']} of {one['issuer']}, {vouched}; last seen {one['last_seen'][:10]}, "
            f"kept until {one['expires'][:10]}"
        )
    if not answer["indicators"]:
        print("no indicator was taken in so far")


@indicators.command()
def remove(
    indicator: Annotated[str, typer.Argument(help="The id of an indicator (i-…).")], data_dir: DataDir = _DIR
) -> None:
    """Look for it no longer. What was found meanwhile stays found."""
    answer = Api(find(data_dir)).call("DELETE", f"/v1/indicators/{indicator}")
    print(f"{answer['removed']}: removed")


@indicators.command("new-key")
def new_key(name: Annotated[str, typer.Argument(help="On which the platforms that hold it agree.")]) -> None:
    """A line for exchange.keys_file of every platform that shares it. Hand it over in secret."""
    print(new_key_line(name))
