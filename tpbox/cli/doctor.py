"""`tpbox doctor`."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import click

from tpbox.cli import options

if TYPE_CHECKING:
    from tpbox.doctor import Finding

MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}


@click.command()
@options.add(options.CLUSTER)
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def doctor(context: str, namespace: str, kubeconfig: str, output: str) -> int:
    """Check Docker, the cluster, your rights in it, and what dead sessions left behind; nothing is changed.

    Each line that fails (✗) comes with what mends it; a warning (!) keeps no session from running. The exit code is
    0 when nothing fails, else 1.
    """
    options.check_kubeconfig(kubeconfig)
    from tpbox import doctor as examination

    findings = examination.examine(kubeconfig, context, namespace)
    well = all(finding.state != "failed" for finding in findings)
    if output == "json":
        click.echo(json.dumps({"ok": well, "findings": [dataclasses.asdict(f) for f in findings]}, indent=1))
    else:
        for line in _table(findings):
            click.echo(line)
    return 0 if well else 1


def _table(findings: list[Finding]) -> list[str]:
    lines: list[str] = []
    area = ""
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        if finding.area != area:
            area = finding.area
            lines.append(area)
        lines.append(f"  {MARKS[finding.state]} {finding.name:<{width}}  {finding.text}")
        if finding.mend:
            lines.append(f"    {'':<{width}}  {finding.mend}")
    return lines
