"""What the local Tuner keeps: calls as posted, every post with its answer, simulations."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from tuner_core.local.database import Database, StoreError
from tuner_core.local.rows import Post, PostedCall, Refusal, Simulation, Upstream
from tuner_core.local.validation import PostedRecord

__all__ = ["Kept", "Store", "StoreError"]

_CALL = ", ".join(field.name for field in fields(PostedCall))
_SIMULATION = ", ".join(field.name for field in fields(Simulation))
_POST = ", ".join(field.name for field in fields(Post))
_DRAFT = [field.name for field in fields(Post) if field.name != "id"]
_SHOWN_PROBLEMS = 3
_CHUNK = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a posted record: its row, whether it made that row, and the number of the post."""

    call: PostedCall
    is_new: bool
    post: int


class Store:
    """The database of a local Tuner; safe to use from several threads.

    Args:
        path: the SQLite file, made when it is not there; `:memory:` keeps everything in memory.

    Attributes:
        database: the file itself.
        path: where it is.

    Raises:
        StoreError: the file cannot be opened or is not a local Tuner's.
    """

    def __init__(self, path: str | Path = ":memory:") -> None:
        self.database = Database(path)
        self.path = path

    @property
    def revision(self) -> int:
        """Counts the changes: the same number means the same content."""
        return self.database.revision

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        self.database.close()

    def clear(self) -> None:
        """Forget everything. Numbers of calls and posts are not used again."""
        self.database.clear()

    def keep(
        self,
        record: PostedRecord,
        body: bytes,
        post: Post,
        *,
        workspace_id: int,
        duplicate_status: Literal[200, 409] = 200,
    ) -> Kept:
        """Keep a record unless its `call_id` is there already; the first post of a `call_id` is the one kept.

        Args:
            record: the validated body.
            body: the body as received.
            post: what is to be noted of the post; verdict, status, ids and call are filled in here.
            workspace_id: the workspace it was posted to.
            duplicate_status: how a `call_id` that is there already is answered.
        """
        row = {
            "workspace_id": workspace_id,
            "agent": post.agent,
            "call_id": record.call_id,
            "received_at": post.received_at,
            "started_at": record.started_at,
            "ended_at": record.ended_at,
            "sip_call_id": record.sip_call_id or None,
            "correlation_id": record.correlation_id,
            "recipient": record.recipient or None,
        }
        with self.database.transaction() as db:
            known = db.execute(
                "UPDATE calls SET posts = posts + 1 WHERE workspace_id = ? AND call_id = ? "
                f"RETURNING {_CALL}",
                (workspace_id, record.call_id),
            ).fetchone()
            is_new = known is None
            if is_new:
                known = db.execute(
                    f"INSERT INTO calls ({', '.join(row)}) VALUES ({_places(row)}) RETURNING {_CALL}", row
                ).fetchone()
            call = PostedCall(**dict(known))
            noted = replace(
                post,
                verdict="stored" if is_new else "duplicate",
                status=201 if is_new else duplicate_status,
                call=call.id,
                call_id=record.call_id,
                sip_call_id=record.sip_call_id,
            )
            differs = is_new or _first_body(db, call.id) != body
            number = _note(db, noted, body if differs else None)
        return Kept(call, is_new, number)

    def note(self, post: Post, body: bytes | None = None) -> int:
        """Keep that a post came which stored nothing; gives its number.

        Args:
            post: what is known of it.
            body: as received, to be looked at later.
        """
        with self.database.transaction() as db:
            return _note(db, post, body)

    def note_answer(self, number: int, *, status: int | None, upstream: Upstream | None = None) -> None:
        """Put down how a post was answered in the end.

        Args:
            number: of the post.
            status: the HTTP status it was answered with, None for no whole answer.
            upstream: what the API it was passed on to said; what is known of that stays when it is left out.
        """
        told = json.dumps(asdict(upstream)) if upstream is not None else None
        with self.database.transaction() as db:
            db.execute(
                "UPDATE posts SET status = ?, upstream = coalesce(?, upstream) WHERE id = ?",
                (status, told, number),
            )

    def calls(self) -> list[PostedCall]:
        """Give all calls, the oldest first."""
        return [PostedCall(*row) for row in self.database.tuples(f"SELECT {_CALL} FROM calls ORDER BY id")]

    def call(self, number: int) -> tuple[PostedCall, bytes] | None:
        """Give one call and its body as posted, None when there is none of that number."""
        rows = self.database.tuples(f"SELECT {_CALL} FROM calls WHERE id = ?", number)
        if not rows:
            return None
        bodies = self.database.tuples("SELECT body FROM bodies WHERE call = ? ORDER BY post LIMIT 1", number)
        return PostedCall(*rows[0]), bytes(bodies[0][0])

    def each_call(self) -> Iterator[tuple[PostedCall, bytes]]:
        """Give every call with its body, the oldest first, without holding all bodies at once."""
        last = 0
        body = "(SELECT body FROM bodies WHERE call = calls.id ORDER BY post LIMIT 1)"
        query = f"SELECT {_CALL}, {body} FROM calls WHERE id > ? ORDER BY id LIMIT {_CHUNK}"
        while rows := self.database.tuples(query, last):
            for *row, found in rows:
                yield PostedCall(*row), bytes(found)
            last = rows[-1][0]

    def each_post(self) -> Iterator[Post]:
        """Give every post, the oldest first, a few at a time."""
        last = 0
        while rows := self.database.rows(
            f"SELECT {_POST} FROM posts WHERE id > ? ORDER BY id LIMIT {_CHUNK}", last
        ):
            yield from map(post_of, rows)
            last = rows[-1]["id"]

    def post(self, number: int) -> tuple[Post, bytes | None] | None:
        """Give one post, and its body where that is kept; None when there is none of that number."""
        rows = self.database.rows(f"SELECT {_POST} FROM posts WHERE id = ?", number)
        if not rows:
            return None
        bodies = self.database.tuples("SELECT body FROM bodies WHERE post = ?", number)
        return post_of(rows[0]), bytes(bodies[0][0]) if bodies else None

    def posts_of(self, call_id: str) -> list[Post]:
        """Give every post for a `call_id`, the oldest first: the tries of its SDK."""
        rows = self.database.rows(f"SELECT {_POST} FROM posts WHERE call_id = ? ORDER BY id", call_id)
        return [post_of(row) for row in rows]

    def add_simulation(self, simulation: Simulation) -> bool:
        """Keep a simulation; True when its Call-ID is new, else the row of that Call-ID is replaced."""
        with self.database.transaction() as db:
            known = db.execute(
                "SELECT 1 FROM simulations WHERE sip_call_id = ?", (simulation.sip_call_id,)
            ).fetchone()
            row = asdict(simulation)
            db.execute(f"INSERT OR REPLACE INTO simulations ({_SIMULATION}) VALUES ({_places(row)})", row)
        return known is None

    def simulations(self) -> list[Simulation]:
        """Give all simulations, the oldest first."""
        rows = self.database.tuples(f"SELECT {_SIMULATION} FROM simulations ORDER BY started_at, rowid")
        return [Simulation(*row) for row in rows]

    def update_simulation(self, sip_call_id: str, changes: Mapping[str, Any]) -> bool:
        """Change fields of a simulation; False when no such Call-ID was registered."""
        with self.database.transaction() as db:
            row = db.execute(
                f"SELECT {_SIMULATION} FROM simulations WHERE sip_call_id = ?", (sip_call_id,)
            ).fetchone()
            if row is None:
                return False
            changed = asdict(replace(Simulation(**dict(row)), **changes))
            values = ", ".join(f"{name} = :{name}" for name in changed)
            db.execute(f"UPDATE simulations SET {values} WHERE sip_call_id = :sip_call_id", changed)
        return True

    def refusals(self) -> list[Refusal]:
        """Give all refused posts, the oldest first."""
        rows = self.database.tuples(
            "SELECT received_at, status, problems, agent, call_id, sip_call_id FROM posts "
            "WHERE verdict = 'refused' ORDER BY id"
        )
        return [Refusal(at, status, _problem(problems), *rest) for at, status, problems, *rest in rows]


def _note(db: sqlite3.Connection, post: Post, body: bytes | None) -> int:
    row = {name: getattr(post, name) for name in _DRAFT}
    row |= {"problems": json.dumps(post.problems), "repairs": json.dumps(post.repairs)}
    row["upstream"] = json.dumps(asdict(post.upstream)) if post.upstream is not None else None
    cursor = db.execute(f"INSERT INTO posts ({', '.join(row)}) VALUES ({_places(row)}) RETURNING id", row)
    number: int = cursor.fetchone()[0]
    if body is not None:
        db.execute("INSERT INTO bodies (post, call, body) VALUES (?, ?, ?)", (number, post.call, body))
    return number


def _first_body(db: sqlite3.Connection, call: int) -> bytes:
    found = db.execute("SELECT body FROM bodies WHERE call = ? ORDER BY post LIMIT 1", (call,)).fetchone()
    return bytes(found[0])


def _places(row: Mapping[str, Any]) -> str:
    return ", ".join(f":{name}" for name in row)


def post_of(row: Mapping[str, Any]) -> Post:
    """Give the post that a row of the table `posts` holds."""
    told = row["upstream"]
    read: dict[str, Any] = {
        **row,
        "problems": tuple(json.loads(row["problems"])),
        "repairs": tuple(json.loads(row["repairs"])),
        "upstream": Upstream(**json.loads(told)) if told else None,
    }
    return Post(**read)


def _problem(problems: str) -> str:
    return "; ".join(json.loads(problems)[:_SHOWN_PROBLEMS])
