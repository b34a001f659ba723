"""The store as JSON: one call with all that is known of it, or everything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from tuner_core.local.lenient import document_of
from tuner_core.local.rows import Post
from tuner_core.local.views import CallOverview, Views

_PART = 256 * 1024
"""Characters of one part: each costs a server a change of threads."""


def call_document(views: Views, number: int) -> dict[str, Any] | None:
    """Give one call as JSON: its row, link and record as posted, and every post for it; None when there is none."""
    found = views.call(number)
    if found is None:
        return None
    row, body = found
    return {
        **_call(row, body),
        "tries": [post_document(post) for post in views.store.posts_of(row.call.call_id)],
    }


def post_document(post: Post) -> dict[str, Any]:
    """Give one post as JSON, without its body."""
    return asdict(post)


def export_parts(views: Views) -> Iterator[str]:
    """Give everything as the parts of one JSON document, so that a large store is never held at once."""
    part: list[str] = []
    size = 0
    for piece in _pieces(views):
        part.append(piece)
        size += len(piece)
        if size >= _PART:
            yield "".join(part)
            part, size = [], 0
    yield "".join(part)


def _pieces(views: Views) -> Iterator[str]:
    store = views.store
    links = views.links()
    yield '{\n"calls": '
    bodies = store.each_call()
    yield from _array(_call(links.of(call), body) for call, body in bodies)
    yield ',\n"simulations": '
    yield from _array(row.to_json() for row in links.simulations)
    yield ',\n"posts": '
    yield from _array(post_document(post) for post in store.each_post())
    yield "\n}\n"


def _call(row: CallOverview, body: bytes) -> dict[str, Any]:
    return {**row.to_json(), "record": document_of(body)}


def _array(items: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield "["
    for number, item in enumerate(items):
        yield (",\n" if number else "\n") + json.dumps(item)
    yield "\n]"
