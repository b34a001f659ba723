"""What a lenient reader makes of a body that the API refuses: the repairs that `tuner-core` itself makes.

A post by `tuner-core` is repaired before it is sent. One by other code is not: here the same repairs are tried
dry, so that the page can show the call nonetheless, and say what to change.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast

from tuner_core.errors import InvalidRecord
from tuner_core.local.validation import PostedRecord, RefusedBody, check_record
from tuner_core.repair.record import conform


@dataclass(frozen=True, slots=True)
class DryRun:
    """What `conform` would do to a body.

    Attributes:
        repairs: what it would change, in words without content.
        record: the body so repaired, None when it cannot be made into one that the API accepts.
        hopeless: why not, "" where it can.
    """

    repairs: tuple[str, ...]
    record: PostedRecord | None = field(repr=False)
    hopeless: str = ""


def dry_run(body: bytes) -> DryRun:
    """Try the repairs of `tuner-core` on a body, and change nothing."""
    document = document_of(body)
    if document is None:
        return DryRun((), None, "it is not a JSON object")
    try:
        conformed = conform(document)
        return DryRun(conformed.repairs, check_record(conformed.payload))
    except InvalidRecord as error:
        return DryRun((), None, str(error))
    except RefusedBody as refused:
        return DryRun((), None, str(refused))


def readable(body: bytes) -> PostedRecord | None:
    """Give the record in a body, repaired where the API would refuse it; None when nothing can be made of it."""
    document = document_of(body)
    if document is None:
        return None
    try:
        return check_record(document)
    except RefusedBody:
        return dry_run(body).record


def document_of(body: bytes) -> dict[str, Any] | None:
    """Give the JSON object in a body, None when it holds none."""
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else None
