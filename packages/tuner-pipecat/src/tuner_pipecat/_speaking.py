"""What the agent said, when, and how much of it was heard: a model of the playout behind the text-to-speech.

Pipecat tells when the agent's audio begins and stops, and hands text and audio over sentence by sentence, mostly well
before they are played. Two utterances may be played without a pause between them, and an utterance that the caller
cuts short in its first sentence appears in no context and no turn frame at all. So each utterance is followed through
its audio: what was played of it by a given moment says what the caller heard.

Pure: moments are Unix seconds and are passed in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tuner_core.events import AgentTurn, TurnMetrics

_ROUNDING_S = 0.05
"""Differences of playout time below this are the transport's chunk size, not speech."""
_NEXT_UTTERANCE_S = 0.3
"""An utterance that the model lets begin this shortly before the agent fell silent has not begun."""


@dataclass(slots=True)
class _Sentence:
    text: str = field(repr=False)
    audio_s: float = 0.0


@dataclass(slots=True)
class _Utterance:
    """One response of the agent, as one synthesis context.

    Attributes:
        id: Pipecat's id of the synthesis context, or one of ours.
        sentences: in the order in which they were handed to synthesis, with the audio that came back.
        words: text that the synthesis reported as spoken.
        complete: True when no more audio will come.
        interruptible: False for speech that an interruption leaves alone.
        first_audio_at: when its first audio was ready.
        played_s: seconds of its audio that were played.
        started_at: when its first audio was played.
        ended_at: when the last of `played_s` was played.
        over: True when nothing more of it will be played.
        cut_at: when it was cut short.
        committed: what Pipecat wrote to the conversation's context for it.
        metrics: latencies.
    """

    id: str
    sentences: list[_Sentence] = field(default_factory=list[_Sentence], repr=False)
    words: list[str] = field(default_factory=list[str], repr=False)
    complete: bool = False
    interruptible: bool = True
    first_audio_at: float | None = None
    played_s: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    over: bool = False
    cut_at: float | None = None
    committed: str = ""
    metrics: TurnMetrics = field(default_factory=TurnMetrics)

    @property
    def audio_s(self) -> float:
        return sum(sentence.audio_s for sentence in self.sentences)

    @property
    def text(self) -> str:
        """The whole text."""
        written = _joined(sentence.text for sentence in self.sentences)
        return written or self.committed or _joined(self.words)

    @property
    def heard(self) -> str:
        """What was played of the text, to the word, as far as it can be told."""
        if self.cut_at is None:
            return self.text
        # Pipecat commits whole sentences, unless the synthesis reports the words as they are spoken.
        word_timed = len(self.words) > len(self.sentences)
        return self.committed if self.committed and word_timed else self._estimate()

    def _estimate(self) -> str:
        if not self.audio_s:
            return self.committed
        if not all(sentence.audio_s for sentence in self.sentences):
            return _first_part(self.text, self.played_s / self.audio_s)
        heard: list[str] = []
        left = self.played_s + _ROUNDING_S
        for sentence in self.sentences:
            heard.append(_first_part(sentence.text, left / sentence.audio_s))
            left -= sentence.audio_s
            if left <= 0:
                break
        return _joined(heard)


class AgentSpeech:
    """Follows the agent's utterances from synthesis to the end of their playout."""

    def __init__(self) -> None:
        self._utterances: list[_Utterance] = []
        self._changed: dict[str, _Utterance] = {}
        self._speaking_since: float | None = None
        self._played_until = 0.0
        self._count = 0
        self._llm_ttft_s: float | None = None
        self._user_ended_at: float | None = None

    def knows(self, text: str) -> bool:
        """True when an utterance with this text was seen, spoken or not."""
        wanted = _squeezed(text)
        return any(wanted in (_squeezed(each.text), _squeezed(each.committed)) for each in self._utterances)

    def user_stopped(self, at: float) -> None:
        """The caller's last sound of a turn: what the agent says next answers it."""
        self._user_ended_at = at

    def llm_responded(self, ttft_s: float) -> None:
        """The language model's first token of the response that is spoken next."""
        if self._llm_ttft_s is None:
            self._llm_ttft_s = ttft_s

    def tts_responded(self, ttfb_s: float) -> None:
        """The first byte of audio of the newest utterance."""
        newest = self._utterances[-1] if self._utterances else None
        if newest is not None and newest.metrics.tts_ttfb_s is None:
            newest.metrics = replace(newest.metrics, tts_ttfb_s=ttfb_s)

    def opened(self, context_id: str | None, *, interruptible: bool = True) -> None:
        """Synthesis of an utterance began."""
        if context_id is None or self._find(context_id) is None:
            self._open(context_id, interruptible=interruptible)

    def sentence(self, context_id: str | None, text: str, *, interruptible: bool = True) -> None:
        """A piece of text was handed to synthesis."""
        if text.strip():
            utterance = self._of(context_id, interruptible=interruptible)
            utterance.sentences.append(_Sentence(text.strip()))

    def word(self, context_id: str | None, text: str) -> None:
        """Synthesis reported a piece of text as spoken."""
        if text.strip():
            self._of(context_id).words.append(text.strip())

    def audio(self, context_id: str | None, seconds: float, *, at: float) -> None:
        """Audio of an utterance is ready to be played."""
        utterance = self._of(context_id)
        if utterance.first_audio_at is None:
            utterance.first_audio_at = at
        if not utterance.sentences:
            utterance.sentences.append(_Sentence(""))
        utterance.sentences[-1].audio_s += seconds

    def closed(self, context_id: str | None) -> None:
        """Synthesis of an utterance is complete."""
        utterance = self._find(context_id)
        if utterance is not None:
            utterance.complete = True

    def started(self, at: float) -> None:
        """The agent's audio began."""
        if self._speaking_since is None:
            self._speaking_since = self._played_until = at

    def stopped(self, at: float) -> None:
        """The agent's audio ended by itself, or because it was interrupted just before."""
        if self._speaking_since is None:
            return
        self._play_until(at)
        current = next(
            (each for each in self._utterances if each.started_at is not None and not each.over), None
        )
        if current is not None:
            current.played_s, current.ended_at = current.audio_s, at
            current.over = current.complete
            self._changed[current.id] = current
        for utterance in self._utterances:
            if utterance.cut_at is not None and (utterance.ended_at or at) >= self._speaking_since:
                utterance.ended_at = at
                self._changed[utterance.id] = utterance
        self._speaking_since = None

    def interrupted(self, at: float) -> None:
        """The caller took the floor: what is not played by now will not be."""
        if self._speaking_since is not None:
            self._play_until(at, exact=True)
        for utterance in self._utterances:
            if utterance.over or not utterance.interruptible:
                continue
            utterance.over = True
            if utterance.started_at is not None:
                utterance.cut_at = utterance.ended_at = at
                self._changed[utterance.id] = utterance

    def committed(self, text: str, *, at: float) -> None:
        """Pipecat wrote an agent turn to the context of the conversation."""
        said = _squeezed(text)
        pending = [each for each in self._utterances if not each.committed and self._may_be_committed(each)]
        for utterance in pending:
            own = _squeezed(utterance.text)
            if own and (own.startswith(said) or said.startswith(own)):
                utterance.committed = text
                break
        else:
            bare = next((each for each in reversed(pending) if not _squeezed(each.text)), None)
            self._commit_elsewhere(bare, text, at)
            return
        if utterance.started_at is not None:
            self._changed[utterance.id] = utterance

    def finished(self, at: float, *, cut: bool) -> None:
        """The call is over; `cut` when it ended while the agent may still have been speaking."""
        if cut:
            self.interrupted(at)
        self.stopped(at)

    def turns(self) -> Iterator[AgentTurn]:
        """The turns that are new or have changed since the last time, the last state of each."""
        changed, self._changed = self._changed, {}
        for utterance in changed.values():
            turn = _turn(utterance)
            if turn is not None:
                yield turn

    def _may_be_committed(self, utterance: _Utterance) -> bool:
        """False for what was cut short or dropped before the newest utterance: its turn is over and settled."""
        unheard = utterance.cut_at is not None or utterance.started_at is None
        return utterance is self._utterances[-1] or not (utterance.over and unheard)

    def _commit_elsewhere(self, bare: _Utterance | None, text: str, at: float) -> None:
        """A turn whose text no utterance has: audio without text, or no synthesis at all."""
        utterance = bare or self._open(None)
        utterance.committed = text
        if utterance.started_at is None:
            utterance.started_at = self._played_until if self._speaking_since is not None else at
            utterance.ended_at = at
        utterance.over = utterance.over or self._speaking_since is None
        self._changed[utterance.id] = utterance

    def _play_until(self, at: float, *, exact: bool = False) -> None:
        """Let the model play from where it stands to `at`."""
        with_audio = [each for each in self._utterances if not each.over and each.first_audio_at is not None]
        for utterance in with_audio:
            assert utterance.first_audio_at is not None
            begin = max(self._played_until, utterance.first_audio_at)
            left = utterance.audio_s - utterance.played_s
            played = min(left, at - begin)
            first = utterance.started_at is None
            follows = first and begin > (self._speaking_since or 0.0)
            if not first and left <= _ROUNDING_S and utterance is not with_audio[-1]:
                # Another one has audio: no more will come for this, whether or not anybody said so.
                utterance.over = True
                continue
            if played <= 0 and (not first or follows):
                break
            if follows and not exact and at - begin < _NEXT_UTTERANCE_S:
                break
            self._begin(utterance, begin)
            utterance.played_s += max(played, 0.0)
            utterance.ended_at = self._played_until = begin + max(played, 0.0)
            self._changed[utterance.id] = utterance
            if utterance.audio_s - utterance.played_s > _ROUNDING_S:
                break
            utterance.over = utterance.complete or utterance is not with_audio[-1]

    def _begin(self, utterance: _Utterance, at: float) -> None:
        if utterance.started_at is not None:
            return
        utterance.started_at = at
        if self._user_ended_at is not None:
            utterance.metrics = replace(utterance.metrics, e2e_latency_s=max(at - self._user_ended_at, 0.0))
            self._user_ended_at = None

    def _of(self, context_id: str | None, *, interruptible: bool = True) -> _Utterance:
        return self._find(context_id) or self._open(context_id, interruptible=interruptible)

    def _find(self, context_id: str | None) -> _Utterance | None:
        """The utterance of a context; without an id the newest one that is still being made."""
        for utterance in reversed(self._utterances):
            if utterance.id == context_id or (
                context_id is None and not utterance.complete and not utterance.over
            ):
                return utterance
        return None

    def _open(self, context_id: str | None, *, interruptible: bool = True) -> _Utterance:
        self._count += 1
        utterance = _Utterance(context_id or f"agent-{self._count}", interruptible=interruptible)
        utterance.metrics = TurnMetrics(llm_ttft_s=self._llm_ttft_s)
        self._llm_ttft_s = None
        self._utterances.append(utterance)
        return utterance


def _turn(utterance: _Utterance) -> AgentTurn | None:
    if utterance.started_at is None or not utterance.text:
        return None
    cut = utterance.cut_at is not None
    return AgentTurn(
        text=utterance.heard,
        started_at=utterance.started_at,
        ended_at=max(utterance.ended_at or utterance.started_at, utterance.started_at),
        id=utterance.id,
        interrupted=cut,
        interrupted_at=utterance.cut_at,
        intended_text=utterance.text if cut else None,
        metrics=utterance.metrics,
    )


def _first_part(text: str, share: float) -> str:
    """So many of the words as `share` of the audio held."""
    words = text.split()
    return " ".join(words[: int(len(words) * min(max(share, 0.0), 1.0))])


def _joined(parts: Iterator[str] | list[str]) -> str:
    return " ".join(part for part in parts if part)


def _squeezed(text: str) -> str:
    """Text reduced to what two spellings of it have in common."""
    return re.sub(r"\W+", "", text).lower()
