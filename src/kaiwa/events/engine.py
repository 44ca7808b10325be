"""Commands to an engine and its events. All audio here is house audio; all `_ms` are on the session's
audio clock (milliseconds of audio heard since the session began) unless a comment says otherwise.
"""

from __future__ import annotations

from typing import Literal

from kaiwa.events.config import MaxTokens, Modality, ToolChoice
from kaiwa.events.items import Item
from kaiwa.events.logprobs import TokenLogprob
from kaiwa.events.relay import Forward, RelayEvent, Reopen
from kaiwa.events.response import FailureDetail
from kaiwa.events.tools import ToolProgress, ToolSpec
from kaiwa.events.usage import TranscriptionUsage, Usage
from kaiwa.events.value import Value

# --- commands ---------------------------------------------------------------------------------


class Listen(Value, kw_only=True):
    """How to attend to the audio that follows.

    `off`: keep the audio, judge nothing (turn_detection null). `voice`: report VoiceActivity.
    `turns`: report VoiceActivity, and a TurnLikelihood for every Prepare.
    """

    mode: Literal["off", "voice", "turns"]


class Hear(Value, kw_only=True):
    """More of the user's audio. The engine keeps it until it is committed or discarded."""

    pcm: bytes


class Discard(Value, kw_only=True):
    """Audio before `until_ms` will not be asked for again."""

    until_ms: int


class Commit(Value, kw_only=True):
    """The audio from `start_ms` to `end_ms` is the user item `item_id`; keep it for that id."""

    item_id: str
    start_ms: int
    end_ms: int


class Remember(Value, kw_only=True):
    """A user item that arrived whole, with its audio, not through the input buffer."""

    item_id: str
    pcm: bytes


class Transcribe(Value, kw_only=True):
    """Write down the audio of a committed item. Answered by TranscriptDone or TranscriptFailed.

    `logprobs`: say how sure of each token, where the engine can tell.
    """

    item_id: str
    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    logprobs: bool = False


class Follow(Value, kw_only=True):
    """Write down what is heard from `start_ms` on while it is spoken, for the item it will become: words
    that will not be taken back, as TranscriptDeltas. One item at a time. The Commit of that item ends it;
    its Transcribe tells the rest.
    """

    start_ms: int
    transcribe: Transcribe


class Unfollow(Value, kw_only=True):
    """The item will not come: no more of its words."""

    item_id: str


class Generate(Value, kw_only=True):
    """Produce one response from `history`, oldest first.

    User audio parts without a transcript refer to audio the engine holds under the item's id.
    A function call without an output in the history is still running.
    `tools` are those the response may use; `voice` None means the engine's default.
    `progress` is how far running calls are. `words`: the answer is given, no model is asked.
    """

    response_id: str
    history: tuple[Item, ...]
    instructions: str = ""
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    modalities: tuple[Modality, ...] = ("audio",)
    voice: str | None = None
    speed: float = 1.0
    max_output_tokens: MaxTokens = "inf"
    language: str | None = None
    progress: tuple[ToolProgress, ...] = ()
    words: str | None = None


class Prepare(Value, kw_only=True):
    """The user paused at `end_ms`: transcribe, judge the end of the turn and, when `generate` is given,
    compute the likely answer ahead. Nothing of it is reported except a TurnLikelihood.
    Superseded by the next Prepare for the same item; taken up when a Generate with an equal history
    follows (its response id differs). The last item of `generate.history` is the user item `item_id`.
    `transcribe` is what will be asked when the turn is over.
    """

    item_id: str
    start_ms: int
    end_ms: int
    generate: Generate | None = None
    transcribe: Transcribe | None = None


class Abandon(Value, kw_only=True):
    """The user went on speaking (or nothing came of it): drop what was prepared for this item."""

    item_id: str


class Stop(Value, kw_only=True):
    """End a response now. No event of it is wanted any more, not even GenerationEnded."""

    response_id: str


EngineCommand = (
    Listen
    | Hear
    | Discard
    | Commit
    | Remember
    | Transcribe
    | Follow
    | Unfollow
    | Generate
    | Prepare
    | Abandon
    | Stop
    | Forward
    | Reopen
)

# --- events -----------------------------------------------------------------------------------


class VoiceActivity(Value, kw_only=True):
    """Probability that the frame which ended at `audio_ms` holds speech (one per 32 ms frame)."""

    audio_ms: int
    probability: float


class TurnLikelihood(Value, kw_only=True):
    """Judgement on the pause named by a Prepare: how complete the turn sounds, and the words so far."""

    item_id: str
    audio_ms: int
    probability: float
    text: str = ""


class TranscriptDelta(Value, kw_only=True):
    """More words of an item, never taken back; together they are the text of its TranscriptDone."""

    item_id: str
    text: str


class TranscriptDone(Value, kw_only=True):
    """`text` is empty when there were no words in the audio."""

    item_id: str
    text: str
    usage: TranscriptionUsage
    logprobs: tuple[TokenLogprob, ...] | None = None


class TranscriptFailed(Value, kw_only=True):
    item_id: str
    error: FailureDetail


class TextDelta(Value, kw_only=True):
    """More words of the answer. When it is spoken, the text of a clause precedes its audio."""

    response_id: str
    text: str


class AudioDelta(Value, kw_only=True):
    """Speech for the words sent before it: 100 to 400 ms of house audio, even length, not empty."""

    response_id: str
    pcm: bytes


class ArgumentsDelta(Value, kw_only=True):
    """A piece of a call's arguments. `index` tells parallel calls of one response apart."""

    response_id: str
    index: int
    name: str
    delta: str


class ToolCalled(Value, kw_only=True):
    """A call is complete. Preceded by its ArgumentsDeltas, if the model streams them.

    `call_id` None: the session names the call. `confirmed`: the engine has read these very arguments back
    and heard the caller agree.
    """

    response_id: str
    index: int
    name: str
    arguments: str
    call_id: str | None = None
    confirmed: bool = False


class GenerationEnded(Value, kw_only=True):
    """The last event of a response. `usage` None: the session counts by its own rule."""

    response_id: str
    reason: Literal["completed", "max_output_tokens", "content_filter", "failed"] = "completed"
    usage: Usage | None = None
    error: FailureDetail | None = None


class EngineFailed(Value, kw_only=True):
    """The engine as a whole is lost; the conversation cannot go on."""

    error: FailureDetail


EngineEvent = (
    VoiceActivity
    | TurnLikelihood
    | TranscriptDelta
    | TranscriptDone
    | TranscriptFailed
    | TextDelta
    | AudioDelta
    | ArgumentsDelta
    | ToolCalled
    | GenerationEnded
    | EngineFailed
    | RelayEvent
)
