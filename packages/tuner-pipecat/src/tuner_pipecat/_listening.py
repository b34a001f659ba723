"""What the user said and when, from voice activity, transcriptions and Pipecat's turns. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tuner_core.events import TurnMetrics, UserTurn, Word


@dataclass(frozen=True, slots=True)
class Transcript:
    """One final transcription.

    Attributes:
        text: as recognised.
        at: when it was ready, in Unix seconds.
        confidence: 0 to 1, None when the service tells none.
        words: with times, when the service tells them.
        keyed: True for keys pressed, which a keypad aggregator writes as text.
    """

    text: str = field(repr=False)
    at: float
    confidence: float | None = None
    words: tuple[Word, ...] = field(default=(), repr=False)
    keyed: bool = False


@dataclass(slots=True)
class UserSpeech:
    """Puts the user's turns together; a turn that Pipecat never wrote to the context is kept as well."""

    _started_at: float | None = None
    _ended_at: float | None = None
    _turn_started_at: float | None = None
    _transcripts: list[Transcript] = field(default_factory=list[Transcript], repr=False)
    _unwritten: UserTurn | None = None
    _turns: list[UserTurn] = field(default_factory=list[UserTurn])
    _count: int = 0
    _stt_ttfb_s: float | None = None

    def voice_started(self, at: float) -> None:
        """The first sound of a stretch of speech."""
        # Outside a turn, an earlier stretch that no word came of was noise.
        if self._started_at is None or (self._turn_started_at is None and not self._transcripts):
            self._started_at = at
        self._ended_at = None

    def voice_stopped(self, at: float) -> None:
        """The last sound of a stretch of speech."""
        self._ended_at = at

    def turn_started(self, at: float) -> None:
        """The user took the floor."""
        self._keep_unwritten()
        self._turn_started_at = at

    def turn_stopped(self, at: float) -> None:
        """The user's turn is over; a turn that the context has not got by the next one was never written to it."""
        text = " ".join(transcript.text for transcript in self._transcripts if not transcript.keyed)
        if text:
            self._unwritten = self._turn(text, at, written=False)
        self._turn_started_at = None

    def transcribed(self, transcript: Transcript) -> None:
        """A final transcription arrived."""
        if transcript.text.strip():
            self._transcripts.append(transcript)

    def stt_responded(self, ttfb_s: float) -> None:
        """The recogniser's own figure of its latency."""
        self._stt_ttfb_s = ttfb_s

    def written(self, text: str, *, at: float) -> float | None:
        """Pipecat wrote a user turn to the context: its text is the authority.

        Returns:
            The moment of the turn's last sound, None when no voice was heard in it.
        """
        self._unwritten = None
        ended_at = self._ended_at
        for transcript in self._transcripts:
            if transcript.keyed:
                text = text.replace(transcript.text, "", 1)
        if text.strip():
            self._turns.append(self._turn(text.strip(), at, written=True))
        self._begin_anew()
        return ended_at

    def typed(self, text: str, *, at: float) -> None:
        """Text that was given to the agent as the user's, without being spoken."""
        self._turns.append(UserTurn(text, at, at, id=self._next_id(), source="injected"))

    def finished(self, at: float) -> None:
        """The call is over: what was heard and not made a turn is one now."""
        if self._transcripts and self._unwritten is None:
            self.turn_stopped(at)
        self._keep_unwritten()

    def turns(self) -> Iterator[UserTurn]:
        """The turns since the last time."""
        turns, self._turns = self._turns, []
        yield from turns

    def _keep_unwritten(self) -> None:
        if self._unwritten is not None:
            self._turns.append(self._unwritten)
            self._unwritten = None
            self._begin_anew()

    def _begin_anew(self) -> None:
        self._transcripts.clear()
        self._started_at = self._ended_at = self._stt_ttfb_s = None

    def _turn(self, text: str, at: float, *, written: bool) -> UserTurn:
        spoken = [transcript for transcript in self._transcripts if not transcript.keyed]
        ready = spoken[-1].at if spoken else None
        ended_at = self._ended_at if self._ended_at is not None else ready if ready is not None else at
        started_at = next(
            (known for known in (self._started_at, self._turn_started_at) if known is not None), ended_at
        )
        confidences = [transcript.confidence for transcript in spoken if transcript.confidence is not None]
        measured = self._ended_at is not None
        return UserTurn(
            text,
            min(started_at, ended_at),
            ended_at,
            id=self._next_id(),
            words=tuple(word for transcript in spoken for word in transcript.words),
            metrics=TurnMetrics(
                stt_latency_s=max(ready - ended_at, 0.0)
                if measured and ready is not None
                else self._stt_ttfb_s,
                eou_delay_s=max(at - ended_at, 0.0) if measured and written else None,
                transcript_confidence=min(confidences) if confidences else None,
            ),
        )

    def _next_id(self) -> str:
        self._count += 1
        return f"user-{self._count}"
