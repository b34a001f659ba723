"""Create Call itself: a request in, the documented answer out. No web framework, no clock."""

from __future__ import annotations

import hmac
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from tuner_core.local.rows import Refusal
from tuner_core.local.store import Store
from tuner_core.local.validation import PostedRecord, RefusedBody, parse_record, problem_text

logger = logging.getLogger("tuner_core.local")

DEFAULT_API_KEY = "tr_api_local"

_INTEGER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the local Tuner accepts.

    Attributes:
        api_key: the Bearer key that a post needs.
        workspace_id: the one workspace there is.
        agents: agent ids that exist; None lets any pass.
        duplicate_status: how a `call_id` that is there already is answered; the API documents both.
    """

    api_key: str = field(default=DEFAULT_API_KEY, repr=False)
    workspace_id: int = 1
    agents: frozenset[str] | None = None
    duplicate_status: Literal[200, 409] = 200


@dataclass(frozen=True, slots=True)
class CreateCallRequest:
    """The parts of an HTTP request that Create Call reads.

    Attributes:
        authorization: value of the Authorization header, "" without one.
        query: the query parameters.
        content_type: value of the Content-Type header, "" without one.
        body: as received.
    """

    authorization: str = field(repr=False)
    query: Mapping[str, str]
    content_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and JSON body of an answer."""

    status: int
    body: Mapping[str, Any]


class Intake:
    """Answers Create Call out of a store: checks the key, the request, the workspace, the agent, the call."""

    def __init__(self, store: Store, rules: Rules) -> None:
        self._store = store
        self._rules = rules

    def create_call(self, request: CreateCallRequest, *, now: float) -> Reply:
        """Give the answer to one post, having stored what it brought.

        Args:
            request: the post.
            now: Unix seconds.
        """
        if not self._is_authorized(request.authorization):
            return self._refuse(request, Reply(401, {"detail": "Missing or invalid API key"}), now=now)
        problems = _query_problems(request.query)
        record: PostedRecord | None = None
        try:
            record = _record_of(request)
        except RefusedBody as refused:
            problems += refused.problems
        if record is None or problems:
            return self._refuse(request, Reply(422, {"detail": problems}), record, now=now)
        agent = request.query["agent_remote_identifier"]
        if unknown := self._unknown(int(request.query["workspace_id"]), agent):
            return self._refuse(request, Reply(404, {"detail": unknown}), record, now=now)
        return self._keep(record, request.body, agent, now)

    def _keep(self, record: PostedRecord, body: bytes, agent: str, now: float) -> Reply:
        workspace_id = self._rules.workspace_id
        stored = self._store.add_call(record, body, workspace_id=workspace_id, agent=agent, now=now)
        logger.info("call %d %s", stored.call.id, "stored" if stored.is_new else "was there already")
        if not stored.is_new and self._rules.duplicate_status == 409:
            return Reply(409, {"detail": "A call with this call_id already exists"})
        receipt = {"id": stored.call.id, "provider_call_id": stored.call.call_id, "is_new": stored.is_new}
        return Reply(201 if stored.is_new else 200, receipt)

    def _is_authorized(self, authorization: str) -> bool:
        scheme, _, key = authorization.partition(" ")
        same = hmac.compare_digest(key.strip().encode(), self._rules.api_key.encode())
        return scheme.lower() == "bearer" and same

    def _unknown(self, workspace_id: int, agent: str) -> str:
        if workspace_id != self._rules.workspace_id:
            return f"Workspace {workspace_id} not found"
        if self._rules.agents is not None and agent not in self._rules.agents:
            return "Agent not found in this workspace"
        return ""

    def _refuse(
        self,
        request: CreateCallRequest,
        reply: Reply,
        record: PostedRecord | None = None,
        *,
        now: float,
    ) -> Reply:
        detail = reply.body["detail"]
        problem = detail if isinstance(detail, str) else "; ".join(problem_text(item) for item in detail[:3])
        if record is not None:
            call_id, sip_call_id = record.call_id, record.sip_call_id
        else:
            call_id, sip_call_id = _ids_of(request.body)
        agent = request.query.get("agent_remote_identifier", "")
        self._store.add_refusal(Refusal(now, reply.status, problem, agent, call_id, sip_call_id))
        logger.info("post refused with %d", reply.status)
        return reply


def _record_of(request: CreateCallRequest) -> PostedRecord:
    media_type = request.content_type.partition(";")[0].strip().lower()
    if media_type != "application/json":
        problem = {"loc": ["body"], "msg": "Content-Type must be application/json", "type": "content_type"}
        raise RefusedBody([problem])
    return parse_record(request.body)


def _query_problems(query: Mapping[str, str]) -> list[dict[str, Any]]:
    problems: list[dict[str, Any]] = []
    for name in ("workspace_id", "agent_remote_identifier"):
        if name not in query:
            problems.append({"loc": ["query", name], "msg": "Field required", "type": "missing"})
    workspace_id = query.get("workspace_id")
    if workspace_id is not None and not _INTEGER.fullmatch(workspace_id):
        message = "Input should be a valid integer, unable to parse string as an integer"
        problems.append({"loc": ["query", "workspace_id"], "msg": message, "type": "int_parsing"})
    if query.get("agent_remote_identifier") == "":
        message = "String should have at least 1 character"
        loc = ["query", "agent_remote_identifier"]
        problems.append({"loc": loc, "msg": message, "type": "string_too_short"})
    return problems


def _ids_of(body: bytes) -> tuple[str | None, str | None]:
    """The ids of a refused body, as far as it can be read: they say which call is missing."""
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(document, dict):
        return None, None
    fields = cast("dict[str, object]", document)
    return _storable(fields.get("call_id")), _storable(fields.get("sip_call_id"))


def _storable(value: object) -> str | None:
    """Text that SQLite takes: JSON can spell halves of surrogate pairs, UTF-8 cannot."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None
