"""The run as one self-contained HTML page; only the WAV files stay beside it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from tuner_sipbridge.report.page import page_of
from tuner_sipbridge.report.result import RunResult

REPORT_FILE = "report.html"


def render_report(result: RunResult, directory: Path) -> str:
    """The page as text.

    Args:
        result: the run.
        directory: where the paths in the result start; traces, records and WAVs are read from there.
    """
    environment = Environment(
        loader=PackageLoader("tuner_sipbridge.report"),
        autoescape=select_autoescape(["html", "svg", "j2"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("report.html.j2")
    return template.render(page=page_of(result, directory), link=quote)


def write_report(result: RunResult, directory: Path) -> Path:
    """Write `report.html` into `directory`, beside `result.json`, and give its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / REPORT_FILE
    path.write_text(render_report(result, directory), encoding="utf-8")
    return path
