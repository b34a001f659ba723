"""Frames in, neutral events out: the translation between Pipecat's words and the call timeline's. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias, cast

from pipecat.frames.frames import (
    AggregatedTextFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    ClientConnectedFrame,
    EndFrame,
    Frame,
    InputDTMFFrame,
    InterruptionFrame,
    LLMContextAssistantTurnFrame,
    LLMContextFrame,
    LLMContextUserTurnFrame,
    LLMMessagesAppendFrame,
    MetricsFrame,
    StartFrame,
    StopFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from tuner_core.events import AgentTurn, CallEvent, CallStarted, DigitPressed, UserTurn, Word
from tuner_pipecat._ending import Ending, ended
from tuner_pipecat._listening import Transcript, UserSpeech
from tuner_pipecat._speaking import AgentSpeech
from tuner_pipecat._tools import TOOL_FRAMES, Tools
from tuner_pipecat._usage import Usage

Sender: TypeAlias = Literal["stt", "llm", "tts", "keypad", "output"]
"""What a frame's first sender is, where that matters."""

Taker: TypeAlias = Callable[[Any, float, "Sender | None"], None]

_SAMPLE_BYTES = 2


class FrameTranslator:
    """Collects the frames of one call and gives the events of its timeline.

    Attributes:
        started: True once the pipeline started; before that there is no call.
        usage: totals so far.
    """

    def __init__(self) -> None:
        self.started = False
        self.usage = Usage()
        self._listening = UserSpeech()
        self._speaking = AgentSpeech()
        self._tools = Tools()
        self._events: list[CallEvent] = []
        self._started_at: float | None = None
        self._began = False
        self._latest_at = 0.0
        self._context: Any = None
        self._seeded_messages = 0
        self._ending: Ending = "none"
        self._ended_at: float | None = None
        self._end_reason: Any = None
        self._cut_at: float | None = None
        self._takers = self._table()

    def take(self, frame: Frame, *, at: float, upstream: bool, sender: Sender | None = None) -> None:
        """Take in one frame, once.

        Args:
            frame: at its first push.
            at: Unix seconds of the push.
            upstream: the direction it was pushed in. A broadcast frame exists once each way, and only the one
                that goes downstream counts.
            sender: what pushed it first.
        """
        if upstream and frame.broadcast_sibling_id is not None:
            return
        kind = type(frame)
        if kind not in self._takers:
            known = (taker for base, taker in self._takers.items() if issubclass(kind, base))
            self._takers[kind] = next(known, None)
        taker = self._takers[kind]
        if taker is not None:
            taker(frame, at, sender)
            self._collect()

    def events(self) -> list[CallEvent]:
        """What happened since the last time."""
        events, self._events = self._events, []
        return events

    def begun(self) -> list[CallEvent]:
        """The call's beginning, told once, when it is certain: a pipeline may wait for its caller for long."""
        if self._began or self._started_at is None or not self._latest_at:
            return []
        self._began = True
        return [CallStarted(self._started_at)]

    def finish(self, *, at: float, stated_reason: str | None = None) -> list[CallEvent]:
        """The call is over and no frame follows: the last events, with `CallEnded` at the end.

        Args:
            at: Unix seconds, used when no frame ended the pipeline.
            stated_reason: what the application says was the reason.
        """
        ended_at = self._ended_at if self._ended_at is not None else at
        cut = self._ending != "end" or self._cut_at is not None
        over_at = self._cut_at or (ended_at if cut else at)
        self._speaking.finished(over_at, cut=cut)
        self._listening.finished(over_at)
        self._collect()
        self._add_last_message(over_at)
        self._events.extend(self._tools.finished(over_at))
        self._events.append(CallStarted(self._started_at if self._started_at is not None else ended_at))
        self._events.append(self.usage.report())
        end = max(ended_at, self._latest_at)
        self._events.append(ended(self._ending, self._end_reason, at=end, stated=stated_reason))
        return self.events()

    def _table(self) -> dict[type[Frame], Taker | None]:
        listening, speaking = self._listening, self._speaking
        table: dict[type[Frame], Taker | None] = {
            StartFrame: self._start,
            ClientConnectedFrame: self._client_connected,
            EndFrame: self._end,
            CancelFrame: self._end,
            StopFrame: self._end,
            VADUserStartedSpeakingFrame: lambda f, _, __: listening.voice_started(f.timestamp - f.start_secs),
            VADUserStoppedSpeakingFrame: lambda f, _, __: listening.voice_stopped(f.timestamp - f.stop_secs),
            UserStartedSpeakingFrame: lambda _, at, __: listening.turn_started(at),
            UserStoppedSpeakingFrame: lambda _, at, __: listening.turn_stopped(at),
            TranscriptionFrame: self._transcribed,
            LLMContextUserTurnFrame: self._user_turn,
            LLMMessagesAppendFrame: self._messages_appended,
            LLMContextFrame: self._context_pushed,
            InputDTMFFrame: self._key_pressed,
            TTSStartedFrame: lambda f, _, __: speaking.opened(f.context_id, interruptible=f.interruptible),
            TTSTextFrame: lambda f, _, __: speaking.word(f.context_id, f.text),
            AggregatedTextFrame: self._sentence,
            TTSAudioRawFrame: self._audio,
            TTSStoppedFrame: lambda f, _, __: speaking.closed(f.context_id),
            BotStartedSpeakingFrame: lambda _, at, __: speaking.started(at),
            BotStoppedSpeakingFrame: lambda _, at, __: speaking.stopped(at),
            InterruptionFrame: lambda _, at, __: speaking.interrupted(at),
            LLMContextAssistantTurnFrame: lambda f, at, _: speaking.committed(f.text, at=at),
            MetricsFrame: self._metrics,
        }
        for kind in TOOL_FRAMES:
            table[kind] = lambda f, at, _: self._events.extend(self._tools.take(f, at))
        return table

    def _collect(self) -> None:
        turns: list[UserTurn | AgentTurn] = [*self._listening.turns(), *self._speaking.turns()]
        self._events.extend(turns)
        self._latest_at = (
            max(self._latest_at, *(turn.ended_at for turn in turns)) if turns else self._latest_at
        )

    def _start(self, frame: StartFrame, at: float, sender: Sender | None) -> None:
        if not self.started:
            self.started = True
            self._started_at = at

    def _client_connected(self, frame: ClientConnectedFrame, at: float, sender: Sender | None) -> None:
        # A pipeline may wait for its caller; once anybody spoke, the call has begun.
        if not self._latest_at:
            self._started_at = at

    def _end(self, frame: Frame, at: float, sender: Sender | None) -> None:
        if isinstance(frame, CancelFrame) and self._cut_at is None:
            self._cut_at = at
        if self._ended_at is not None:
            return
        self._ended_at = at
        self._end_reason = getattr(frame, "reason", None)
        self._ending = (
            "end" if isinstance(frame, EndFrame) else "cancel" if isinstance(frame, CancelFrame) else "stop"
        )

    def _transcribed(self, frame: TranscriptionFrame, at: float, sender: Sender | None) -> None:
        transcript = Transcript(
            frame.text,
            at,
            confidence=_confidence(frame.result),
            words=_words(frame.result),
            keyed=sender == "keypad",
        )
        self._listening.transcribed(transcript)

    def _user_turn(self, frame: LLMContextUserTurnFrame, at: float, sender: Sender | None) -> None:
        ended_at = self._listening.written(frame.text, at=at)
        if ended_at is not None:
            self._speaking.user_stopped(ended_at)

    def _key_pressed(self, frame: InputDTMFFrame, at: float, sender: Sender | None) -> None:
        self._events.append(DigitPressed(at, str(frame.button.value)))
        self._speaking.user_stopped(at)

    def _messages_appended(self, frame: LLMMessagesAppendFrame, at: float, sender: Sender | None) -> None:
        for message in frame.messages:
            text = _text_of(message, "user")
            if text:
                self._listening.typed(text, at=at)

    def _context_pushed(self, frame: LLMContextFrame, at: float, sender: Sender | None) -> None:
        if frame.speculation:
            return
        if self._context is None:
            self._seeded_messages = len(frame.context.get_messages())
        self._context = frame.context

    def _sentence(self, frame: AggregatedTextFrame, at: float, sender: Sender | None) -> None:
        if getattr(frame, "will_be_spoken", sender == "tts"):
            self._speaking.sentence(frame.context_id, frame.text, interruptible=frame.interruptible)

    def _audio(self, frame: TTSAudioRawFrame, at: float, sender: Sender | None) -> None:
        # The output transport cuts speech into chunks of its own, which are the same audio again.
        if sender != "output" and frame.sample_rate and frame.num_channels:
            seconds = len(frame.audio) / (_SAMPLE_BYTES * frame.num_channels * frame.sample_rate)
            self._speaking.audio(frame.context_id, seconds, at=at)

    def _metrics(self, frame: MetricsFrame, at: float, sender: Sender | None) -> None:
        kind = sender if sender in ("stt", "llm", "tts") else None
        ttfb_s = self.usage.add(frame.data, kind)
        if ttfb_s is None:
            return
        if kind == "llm":
            self._speaking.llm_responded(ttfb_s)
        elif kind == "tts":
            self._speaking.tts_responded(ttfb_s)
        elif kind == "stt":
            self._listening.stt_responded(ttfb_s)

    def _add_last_message(self, at: float) -> None:
        """The last agent turn out of the conversation's context, where the frames did not show it."""
        messages: list[Any] = self._context.get_messages() if self._context is not None else []
        text = _text_of(messages[-1], "assistant") if len(messages) > self._seeded_messages else ""
        if text and not self._speaking.knows(text):
            self._speaking.committed(text, at=at)
            self._collect()


def _text_of(message: Any, role: str) -> str:
    """The text of a conversation message of one role, empty for any other."""
    if not isinstance(message, Mapping):
        return ""
    entry = cast("Mapping[str, Any]", message)
    content = entry.get("content")
    return content.strip() if entry.get("role") == role and isinstance(content, str) else ""


def _confidence(result: Any) -> float | None:
    """A transcription's confidence where the service's result has one under its usual name."""
    value = _member(result, "confidence")
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None


def _words(result: Any) -> tuple[Word, ...]:
    """Word times in Unix seconds; only results that say so in the shape of `Word` have them."""
    words = _member(result, "words")
    if not isinstance(words, tuple | list):
        return ()
    return tuple(word for word in cast("Iterable[Any]", words) if isinstance(word, Word))


def _member(result: Any, name: str) -> Any:
    if isinstance(result, Mapping):
        return cast("Mapping[str, Any]", result).get(name)
    return getattr(result, name, None)
