"""OpenTelemetry spans of a call, sent to Tuner with the call's id: of this call only, with its tenant's key only.

```python
from tuner_core.tracing import CallTrace

with CallTrace("c-81"):                 # TUNER_API_KEY, TUNER_BASE_URL
    await answer(call)                  # every span started in here, in any task or thread that inherits the context
```

Needs the extra: `pip install 'tuner-core[otel]'`. Importing this package does not import OpenTelemetry.
"""

from __future__ import annotations

from tuner_core.tracing.call_spans import TraceOutcome
from tuner_core.tracing.call_trace import CallTrace, set_up_tracing

__all__ = ["CallTrace", "TraceOutcome", "set_up_tracing"]
