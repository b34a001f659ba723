"""The template engine of the pages: everything escaped, undefined names are errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from tuner_core.local.pages.assets import ICON, SCRIPT, STYLE
from tuner_core.local.pages.timeline import latency_parts, number_in


def render(template: str, **values: Any) -> str:
    """Give the HTML of a template in `templates/`."""
    return _environment.get_template(template).render(**values)


def moment(at: float | None) -> str:
    """Unix seconds as a UTC date and time of day; a dash for None or a time no calendar has."""
    if at is None:
        return "–"
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "–"


def span(seconds: float | None) -> str:
    """A length of time for reading: `0.84 s`, `12.4 s`, `3 min 05 s`."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def clock(ms: int | None) -> str:
    """Milliseconds from the start of the call as `1:05.3`."""
    if ms is None:
        return "–"
    tenths = abs(ms) // 100
    text = f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"
    return f"-{text}" if ms < 0 else text


def latency(ms: object) -> str:
    """A latency in ms as posted, rounded for reading; "" for what is not a number."""
    number = number_in(ms)
    if number is None:
        return ""
    return f"{number / 1000:.2f} s" if abs(number) >= 1000 else f"{number:.0f} ms"


def share(part: float) -> str:
    """A part from 0 to 1 in percent: `31 %`."""
    return f"{part * 100:.0f} %"


def pretty(value: object) -> str:
    """JSON on several lines, for reading."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _web_address(value: object) -> bool:
    return isinstance(value, str) and value.lower().startswith(("https://", "http://"))


def _build() -> Environment:
    environment = Environment(
        loader=PackageLoader("tuner_core.local.pages"),
        autoescape=select_autoescape(enabled_extensions=("html", "j2"), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    registry: Any = environment
    for reader in (moment, span, clock, latency, latency_parts, share, pretty):
        registry.filters[reader.__name__] = reader
    registry.tests["web_address"] = _web_address
    registry.globals.update(style=STYLE.path, script=SCRIPT.path, icon=ICON.path)
    return environment


_environment = _build()
