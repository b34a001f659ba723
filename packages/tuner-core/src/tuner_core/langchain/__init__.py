"""LangChain and LangGraph in a call's record: nodes, tools and tokens, beside whatever else is recorded.

```python
from tuner_core.langchain import TunerCallbackHandler

timeline = CallTimeline(call_id="c-81")
reply = await graph.ainvoke(state, config={"callbacks": [TunerCallbackHandler(timeline)]})
```

Needs the extra: `pip install 'tuner-core[langchain]'`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuner_core.errors import ConfigError

if TYPE_CHECKING:
    from tuner_core.langchain.callback import TunerCallbackHandler

__all__ = ["TunerCallbackHandler"]


def __getattr__(name: str) -> object:
    if name != "TunerCallbackHandler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from tuner_core.langchain.callback import TunerCallbackHandler
    except ImportError as error:
        if not (error.name or "").startswith("langchain_core"):
            raise
        raise ConfigError(
            "TunerCallbackHandler needs LangChain: pip install 'tuner-core[langchain]'"
        ) from None
    return TunerCallbackHandler
