"""`stillwatch audit verify`: has anybody changed, taken away or moved an entry of the audit?"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from launch.running import find
from launch.settings import load_settings
from stillwatch.audit_chain import Report
from stillwatch.errors import SettingsError
from stillwatch.settings import NatsSettings
from streams.audit import verify as verify_audit
from streams.connection import close, connect

audit = typer.Typer(help="The record of who changed what.", no_args_is_help=True)
Heads = dict[str, tuple[int, str]]


@audit.command()
def verify(
    heads: Annotated[
        Path | None,
        typer.Option(help="A file of heads that --save wrote earlier: each must be found again."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(help="Write the heads here. Keep them where nobody who runs NATS can write."),
    ] = None,
    config: Annotated[str | None, typer.Option(help="A YAML file of settings, with the login to NATS.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report for programs.")] = False,
    data_dir: Annotated[str, typer.Option(help="Where `stillwatch up` left its address.")] = ".stillwatch",
) -> None:
    """Exit code 0: intact; 1: not, and which entries."""
    settings = load_settings(config).nats
    if not settings.urls:
        settings = settings.model_copy(update={"urls": (find(data_dir).nats_url,)})
    kept = {} if heads is None else read_heads(heads)
    report = asyncio.run(_verify(settings, kept))
    if save is not None and report.intact:
        save.write_text(json.dumps(report.heads, indent=2) + "\n", encoding="utf-8")
    print(as_text(report, kept) if not as_json else as_document(report))
    raise typer.Exit(0 if report.intact else 1)


async def _verify(settings: NatsSettings, kept: Heads) -> Report:
    client = await connect(settings, "audit-verify")
    try:
        return await verify_audit(client, kept)
    finally:
        await close(client)


def read_heads(file: Path) -> Heads:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        return {str(writer): (int(number), str(sha256)) for writer, (number, sha256) in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        remedy = "Name a file that `stillwatch audit verify --save` wrote"
        raise SettingsError("--heads", f"{file} can not be read ({type(error).__name__})", remedy) from error


def as_document(report: Report) -> str:
    findings = [{"trouble": f.trouble, "sequence": f.sequence, "sentence": f.sentence} for f in report.findings]
    return json.dumps(
        {
            "intact": report.intact, "entries": report.entries, "unchained": report.unchained,
            "forgotten": report.forgotten, "findings": findings, "more_findings": report.more_findings,
            "heads": report.heads,
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
    if report.intact and not kept:
        lines.append("whether the end was cut off only heads can tell that were kept elsewhere: --save, then --heads")
    return "\n".join(lines)
