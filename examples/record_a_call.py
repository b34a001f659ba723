"""Post one call to a Tuner. Runs offline: the Tuner is a local one."""

from __future__ import annotations

import time

from tuner_core import CallRecord, Segment, TunerClient, TunerConfig
from tuner_core.local.server import LocalTuner


def main() -> None:
    with LocalTuner() as local:  # in production: no config, but TUNER_API_KEY and the like
        config = TunerConfig(
            api_key=local.api_key,
            workspace_id=local.workspace_id,
            agent_id="front-desk",
            base_url=local.base_url,
        )
        ended = int(time.time())
        record = CallRecord(
            call_id="c-81",
            call_type="phone_call",
            sip_call_id="2jf9wCCXa8Zk3Qm7Lr5Tb1Vn0Pd",
            start_timestamp=ended - 42,
            end_timestamp=ended,
            recording_url="https://recordings.example/c-81.wav",
            transcript_with_tool_calls=[Segment.agent("Hello!", start_ms=600, end_ms=1400)],
        )
        with TunerClient(config) as tuner:
            first, second = tuner.create_call(record), tuner.create_call(record)
        print(f"posted as {first.id}, new: {first.is_new}; posted again, new: {second.is_new}")


if __name__ == "__main__":
    main()
