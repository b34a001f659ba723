"""Tokens and names of the models that a chain asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tuner_core.events import UsageReported


class TokenCount:
    """Adds up the tokens of a call, whichever models took them."""

    def __init__(self) -> None:
        self._tokens = 0
        self._model: str | None = None

    def add(self, response: Any) -> bool:
        """Count one answer, as `on_llm_end` gives it; False when it says nothing of tokens or model."""
        found = False
        for generations in getattr(response, "generations", None) or ():
            for generation in generations:
                message = getattr(generation, "message", None)
                found = self._add_message(message) or found
        return found

    def report(self) -> UsageReported:
        """The totals so far."""
        return UsageReported(llm_model=self._model, llm_tokens=self._tokens or None)

    def _add_message(self, message: Any) -> bool:
        usage = _mapping(getattr(message, "usage_metadata", None))
        told = _mapping(getattr(message, "response_metadata", None))
        counts = [usage.get("input_tokens"), usage.get("output_tokens")]
        tokens = sum(count for count in counts if isinstance(count, int))
        model = told.get("model_name") or told.get("model")
        self._tokens += tokens
        if isinstance(model, str):
            self._model = model
        return tokens > 0 or isinstance(model, str)


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
