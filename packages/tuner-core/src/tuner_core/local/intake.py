"""Create Call itself: a request in, the documented answer out. No web framework, no clock."""

from __future__ import annotations

import hmac
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from tuner_core.local.lenient import readable
from tuner_core.local.rows import Post
from tuner_core.local.store import Store
from tuner_core.local.validation import PostedRecord, RefusedBody, parse_record, problem_text

logger = logging.getLogger("tuner_core.local")

DEFAULT_API_KEY = "tr_api_local"

_INTEGER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the local Tuner accepts.

    Attributes:
        api_key: the Bearer key that a post needs; None lets any pass.
        workspace_id: the one workspace there is; None lets any pass.
        agents: agent ids that exist; None lets any pass.
        duplicate_status: how a `call_id` that is there already is answered; the API documents both.
        lenient: take a body that the API would refuse, where it can be read at all, and note why.
    """

    api_key: str | None = field(default=DEFAULT_API_KEY, repr=False)
    workspace_id: int | None = 1
    agents: frozenset[str] | None = None
    duplicate_status: Literal[200, 409] = 200
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class CreateCallRequest:
    """The parts of an HTTP request that Create Call reads.

    Attributes:
        authorization: value of the Authorization header, "" without one.
        query: the query parameters.
        content_type: value of the Content-Type header, "" without one.
        body: as received.
        sent_by: value of the User-Agent header.
        repairs: what the sender says that it repaired.
    """

    authorization: str = field(repr=False)
    query: Mapping[str, str]
    content_type: str
    body: bytes = field(repr=False)
    sent_by: str = ""
    repairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and JSON body of an answer.

    Attributes:
        status: HTTP status.
        body: JSON.
        post: number of the post it is for.
        call: number of the stored call, None without one.
        recording: extension of the recording that the record asks to upload, "" for none.
    """

    status: int
    body: Mapping[str, Any] = field(repr=False)
    post: int = 0
    call: int | None = None
    recording: str = ""


class Intake:
    """Answers Create Call out of a store: checks the key, the request, the workspace, the agent, the call."""

    def __init__(self, store: Store, rules: Rules) -> None:
        self._store = store
        self._rules = rules

    def create_call(self, request: CreateCallRequest, *, now: float, fault: str = "") -> Reply:
        """Give the answer to one post, having stored what it brought.

        Args:
            request: the post.
            now: Unix seconds.
            fault: the fault that will be played on the answer, noted with the post.
        """
        post = draft(request, now=now, fault=fault)
        if not self._is_authorized(request.authorization):
            return self._refuse(request, post, 401, "Missing or invalid API key")
        problems = _query_problems(request.query)
        record: PostedRecord | None = None
        try:
            record = _record_of(request)
        except RefusedBody as refused:
            if self._rules.lenient and not problems:
                record = readable(request.body)
                post = replace(post, problems=_texts(refused.problems))
            if record is None:
                problems += refused.problems
        if record is None or problems:
            return self._refuse(request, post, 422, problems)
        if unknown := self._unknown(int(request.query["workspace_id"]), post.agent):
            return self._refuse(request, post, 404, unknown)
        return self._keep(record, request, post)

    def leave(self, request: CreateCallRequest, *, now: float, fault: str, status: int | None) -> int:
        """Note a post that a fault keeps from being looked at; gives its number.

        Args:
            request: the post.
            now: Unix seconds.
            fault: what is played.
            status: the HTTP status it is answered with, None for no answer.
        """
        post = draft(request, now=now, fault=fault)
        call_id, sip_call_id = _ids_of(request.body)
        return self._store.note(
            replace(post, verdict="fault", status=status, call_id=call_id, sip_call_id=sip_call_id)
        )

    def _keep(self, record: PostedRecord, request: CreateCallRequest, post: Post) -> Reply:
        workspace_id = int(request.query["workspace_id"])
        kept = self._store.keep(
            record,
            request.body,
            post,
            workspace_id=workspace_id,
            duplicate_status=self._rules.duplicate_status,
        )
        logger.info("call %d %s", kept.call.id, "stored" if kept.is_new else "was there already")
        if not kept.is_new and self._rules.duplicate_status == 409:
            return Reply(409, {"detail": "A call with this call_id already exists"}, kept.post)
        receipt = {"id": kept.call.id, "provider_call_id": kept.call.call_id, "is_new": kept.is_new}
        recording = record.recording_file_extension or ""
        return Reply(201 if kept.is_new else 200, receipt, kept.post, kept.call.id, recording)

    def _is_authorized(self, authorization: str) -> bool:
        if self._rules.api_key is None:
            return True
        scheme, _, key = authorization.partition(" ")
        same = hmac.compare_digest(key.strip().encode(), self._rules.api_key.encode())
        return scheme.lower() == "bearer" and same

    def _unknown(self, workspace_id: int, agent: str) -> str:
        if self._rules.workspace_id is not None and workspace_id != self._rules.workspace_id:
            return f"Workspace {workspace_id} not found"
        if self._rules.agents is not None and agent not in self._rules.agents:
            return "Agent not found in this workspace"
        return ""

    def _refuse(
        self, request: CreateCallRequest, post: Post, status: int, detail: str | list[dict[str, Any]]
    ) -> Reply:
        call_id, sip_call_id = _ids_of(request.body)
        problems = (detail,) if isinstance(detail, str) else _texts(detail)
        refused = replace(
            post,
            verdict="refused",
            status=status,
            problems=problems,
            call_id=call_id,
            sip_call_id=sip_call_id,
        )
        number = self._store.note(refused, request.body)
        logger.info("post refused with %d", status)
        return Reply(status, {"detail": detail}, number)


def draft(request: CreateCallRequest, *, now: float, fault: str) -> Post:
    """Give what is known of a post before it is looked at."""
    agent = request.query.get("agent_remote_identifier", "")
    return Post(now, "stored", None, agent, repairs=request.repairs, fault=fault, sent_by=request.sent_by)


def _texts(problems: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(problem_text(problem) for problem in problems)


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
