"""Settings: what is passed wins over the environment, the environment over the default."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from platformdirs import user_state_path
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tuner_core.errors import ConfigError
from tuner_core.outbox.bounds import Bounds
from tuner_core.redaction import Redaction
from tuner_core.redaction.rules import BUILT_IN
from tuner_core.repair.record import ConformOptions
from tuner_core.repair.size import MAX_BODY_BYTES, SMALLEST_BOUND

DEFAULT_BASE_URL = "https://api.usetuner.ai"
_PREFIX = "TUNER_"


class TunerConfig(BaseSettings):
    """Where records go and on whose behalf.

    Every field can be passed, or set in the environment as `TUNER_` plus its name in capitals. The
    environment is read when the object is made, never at import. The key shows in no representation.

    Attributes:
        api_key: `TUNER_API_KEY`, from Tuner's workspace settings.
        workspace_id: `TUNER_WORKSPACE_ID`, an integer.
        agent_id: `TUNER_AGENT_ID`, the Agent ID of Agent Settings > Agent Connection.
        base_url: `TUNER_BASE_URL`, for dedicated deployments and the local Tuner.
        outbox: `TUNER_OUTBOX`, the file that keeps records until they are delivered; `None` means the user's
            state directory. Processes that share the file share the work.
        redact: `TUNER_REDACT`, names of built-in redaction rules with commas between: `cards,phones,emails`. Nothing
            is redacted when it is empty.
        outbox_max_records: `TUNER_OUTBOX_MAX_RECORDS`, most records kept that are not delivered; 100,000.
        outbox_max_mb: `TUNER_OUTBOX_MAX_MB`, most megabytes of them; 1024. Beyond either bound the oldest refused
            records are dropped first, then the oldest pending ones, never the newest.
        outbox_max_days: `TUNER_OUTBOX_MAX_DAYS`, after which an undelivered record is dropped; 30.
        sip_headers: `TUNER_SIP_HEADERS`, names of INVITE headers with commas between, posted beside
            `X-Correlation-Id` and `X-CID`; no other header leaves the machine.
        max_body_bytes: `TUNER_MAX_BODY_BYTES`, bound of one call as JSON; what goes first when a call is larger is
            said in `tuner_core.repair.size`.

    Raises:
        ConfigError: naming each variable that is missing or wrong, without its value.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    api_key: SecretStr = Field(min_length=1)
    workspace_id: int = Field(ge=0, lt=2**63)
    agent_id: str = Field(min_length=1)
    base_url: str = DEFAULT_BASE_URL
    outbox: Path | None = None
    redact: Annotated[tuple[str, ...], NoDecode] = ()
    outbox_max_records: int = Field(default=100_000, ge=1)
    outbox_max_mb: int = Field(default=1024, ge=16)
    outbox_max_days: float = Field(default=30.0, gt=0)
    sip_headers: Annotated[tuple[str, ...], NoDecode] = ()
    max_body_bytes: int = Field(default=MAX_BODY_BYTES, ge=SMALLEST_BOUND)

    def __init__(
        self,
        *,
        api_key: str | SecretStr | None = None,
        workspace_id: int | str | None = None,
        agent_id: str | None = None,
        base_url: str | None = None,
        outbox: Path | str | None = None,
        redact: str | Sequence[str] | None = None,
        sip_headers: str | Sequence[str] | None = None,
        max_body_bytes: int | None = None,
        outbox_max_records: int | None = None,
        outbox_max_mb: int | None = None,
        outbox_max_days: float | None = None,
    ) -> None:
        given: dict[str, Any] = {
            "api_key": api_key,
            "workspace_id": workspace_id,
            "agent_id": agent_id,
            "base_url": base_url,
            "outbox": outbox,
            "redact": redact,
            "sip_headers": sip_headers,
            "max_body_bytes": max_body_bytes,
            "outbox_max_records": outbox_max_records,
            "outbox_max_mb": outbox_max_mb,
            "outbox_max_days": outbox_max_days,
        }
        try:
            super().__init__(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            raise ConfigError(_explain(error)) from None

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        parts = urlsplit(value.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an http or https URL")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("must have no user, password, query or fragment")
        return value.strip().rstrip("/")

    @field_validator("outbox")
    @classmethod
    def _check_outbox(cls, value: Path | None) -> Path | None:
        if "\0" in str(value):
            raise ValueError("must be a path")
        if value is not None and os.path.expanduser(value).startswith("~"):
            raise ValueError("begins with ~, and there is no such home directory")
        return value

    @field_validator("redact", "sip_headers", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> tuple[str, ...]:
        given = value.split(",") if isinstance(value, str) else value
        if not isinstance(given, list | tuple):
            raise ValueError("must be names with commas between")
        names = (str(name).strip() for name in cast("Sequence[object]", given))
        return tuple(dict.fromkeys(name for name in names if name))

    @field_validator("redact")
    @classmethod
    def _check_redact(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        rules = tuple(dict.fromkeys(name.lower() for name in value))
        if not set(rules) <= set(BUILT_IN):
            raise ValueError(f"there are the rules {', '.join(BUILT_IN)}")
        return rules

    @property
    def redaction(self) -> Redaction | None:
        """What `redact` asks for, None when it asks for nothing."""
        return Redaction(self.redact) if self.redact else None

    def conform_options(self, redaction: Redaction | None = None) -> ConformOptions:
        """The keyword arguments of `conform` for these settings.

        Args:
            redaction: instead of what `redact` asks for.
        """
        return {
            "redaction": redaction or self.redaction,
            "allowed_sip_headers": self.sip_headers,
            "max_bytes": self.max_body_bytes,
        }

    @property
    def outbox_bounds(self) -> Bounds:
        """How much the outbox keeps of what is not delivered."""
        return Bounds(
            records=self.outbox_max_records,
            bytes=self.outbox_max_mb * 1024 * 1024,
            age_s=self.outbox_max_days * 24 * 3600,
        )

    @property
    def outbox_path(self) -> Path:
        """The outbox file: the one configured, or one below the user's state directory."""
        return absolute_path(self.outbox) if self.outbox else default_outbox_path()


def default_outbox_path() -> Path:
    """The outbox of this user on this machine, where no other is configured."""
    return absolute_path(user_state_path("tuner") / "outbox.sqlite3")


def absolute_path(path: Path) -> Path:
    """The path that means the same file after the process has gone to another directory; `~` is a home."""
    return Path(os.path.expanduser(path)).absolute()


def _explain(error: ValidationError) -> str:
    problems: list[str] = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        name = str(item["loc"][0]) if item["loc"] else "?"
        variable = _PREFIX + name.upper()
        if item["type"] in {"missing", "string_too_short", "too_short"}:
            problems.append(f"{name} is missing: pass {name}= or set {variable}")
        else:
            problems.append(f"{name} is wrong ({item['msg']}): check {name}= or {variable}")
    return "; ".join(problems)
