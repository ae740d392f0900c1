"""`stillwatch audit verify`: has anybody changed, taken away or moved an entry of the audit?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from launch.running import find
from launch.settings import load_settings
from stillwatch.audit_chain import Head, Report
from stillwatch.errors import SettingsError
from stillwatch.settings import NatsSettings
from streams.audit import verify as verify_audit
from streams.connection import close, connect

audit = typer.Typer(help="The record of who changed what.", no_args_is_help=True)
Heads = dict[str, Head]


@audit.command()
def verify(
    heads: Annotated[
        Path | None,
        typer.Option(help="A file of heads that --save wrote earlier: each must be found again."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            help="Write the heads here, if the log is intact; heads that the file holds must be found again, too. "
            "Keep it where nobody who runs NATS can write."
        ),
    ] = None,
    config: Annotated[str | None, typer.Option(help="A YAML file of settings, with the login to NATS.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report for programs.")] = False,
    data_dir: Annotated[str, typer.Option(help="Where `stillwatch up` left its address.")] = ".stillwatch",
) -> None:
    """Exit code 0: intact; 1: not, and which entries."""
    settings = load_settings(config).nats
    if not settings.urls:
        settings = settings.model_copy(update={"urls": (find(data_dir).nats_url,)})
    kept = _kept(heads, save)
    report = asyncio.run(_verify(settings, kept))
    if save is not None and report.intact:
        _write(save, report.heads)
    print(as_text(report, kept) if not as_json else as_document(report))
    if save is not None and not report.intact:
        typer.echo(f"{save} is left as it was: these heads are of a log that is not intact", err=True)
    raise typer.Exit(0 if report.intact else 1)


def _kept(heads: Path | None, save: Path | None) -> Heads:
    """A file of heads is not written over before the log has shown that it holds them."""
    if save is None or not save.exists():
        return {} if heads is None else read_heads(heads)
    if heads is not None and heads.resolve() != save.resolve():
        remedy = f"Name a new file, or give it to --heads as well: --heads {save} --save {save}"
        raise SettingsError("--save", f"{save} holds heads already, and --heads names others", remedy)
    return read_heads(save)


def _write(file: Path, heads: Mapping[str, Head]) -> None:
    """Beside and then in its place: half a file would be no heads at all."""
    beside = file.with_name(file.name + ".new")
    beside.write_text(json.dumps(heads, indent=2) + "\n", encoding="utf-8")
    beside.replace(file)


async def _verify(settings: NatsSettings, kept: Heads) -> Report:
    client = await connect(settings, "audit-verify")
    try:
        return await verify_audit(client, kept)
    finally:
        await close(client)


def read_heads(file: Path) -> Heads:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        return {str(writer): Head(int(head[0]), str(head[1]), *map(int, head[2:])) for writer, head in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        remedy = "Name a file that `stillwatch audit verify --save` wrote"
        raise SettingsError("--heads", f"{file} can not be read ({type(error).__name__})", remedy) from error


def as_document(report: Report) -> str:
    findings = [{"trouble": f.trouble, "sequence": f.sequence, "sentence": f.sentence} for f in report.findings]
    return json.dumps(
        {
            "intact": report.intact, "entries": report.entries, "unchained": report.unchained,
            "forgotten": report.forgotten, "findings": findings, "more_findings": report.more_findings,
            "heads": report.heads, "forgiven_heads": report.forgiven,
        },
        indent=2,
    )  # fmt: skip


def as_text(report: Report, kept: Heads) -> str:
    lines = [f"{finding.trouble}, sequence {finding.sequence}: {finding.sentence}" for finding in report.findings]
    if report.more_findings:
        lines.append(f"and {report.more_findings} more")
    lines.append(
        f"{report.entries} entries in {len(report.heads)} chains: " + ("intact" if report.intact else "NOT intact")
    )
    if report.unchained:
        lines.append(f"{report.unchained} entries at the beginning are of a version without chains: they prove nothing")
    if report.forgotten:
        lines.append(f"of {report.forgotten} chains the beginning is gone, as the stream keeps 400 days and 1 GiB")
    if kept:
        found = f"of {len(kept)} kept heads {report.forgiven} are forgiven"
        lines.append(found + (": they stood before the oldest entry, and prove nothing" if report.forgiven else ""))
    if report.intact and not kept:
        lines.append("whether the end was cut off only heads can tell that were kept elsewhere: --save, then --heads")
    return "\n".join(lines)
