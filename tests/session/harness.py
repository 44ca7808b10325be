"""A conversation in virtual time: counted ids, a hand-moved clock, and the transcript as short lines.

Lines: what the session says to the peer (its wire name and what matters), `ask …` to the engine,
`run …`/`stop …` to the tools, `hang …`. Hear and Discard commands are left out unless asked for.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from kaiwa.events import actions, client, engine, server
from kaiwa.events import tools as tool_events
from kaiwa.events.config import AudioInput, AudioOutput, SemanticVad, ServerVad, SessionAudio, SessionConfig
from kaiwa.events.items import FunctionCallOutput, InputText, Message
from kaiwa.events.own import WordsHeard
from kaiwa.protocol.realtime.ga import GaCodec
from kaiwa.session.host import HostSession
from kaiwa.session.policy import HostPolicy
from kaiwa.testing.conformance import check_transcript

FRAME_MS = 32
FRAME = bytes(FRAME_MS * 48)
QUIET_COMMANDS = (engine.Hear, engine.Discard)


def counted():
    counts: Counter[str] = Counter()

    def next_id(prefix: str) -> str:
        counts[prefix] += 1
        return f"{prefix}_{counts[prefix]}"

    return next_id


def configured(
    detection: ServerVad | SemanticVad | None = None,
    *,
    modalities: tuple[str, ...] = ("audio",),
    output: AudioOutput | None = None,
    **fields: Any,
) -> SessionConfig:
    audio_input = fields.pop("input", None) or AudioInput(turn_detection=detection)
    audio = SessionAudio(input=audio_input, output=output or AudioOutput())
    return SessionConfig(model="m", output_modalities=modalities, audio=audio, **fields)


def said(text: str, **fields: Any) -> client.ItemCreated:
    return client.ItemCreated(item=Message(role="user", content=(InputText(text=text),)), **fields)


def output_of(call_id: str, output: str = "42") -> client.ItemCreated:
    return client.ItemCreated(item=FunctionCallOutput(call_id=call_id, output=output))


def sound(ms: int) -> bytes:
    return bytes(ms * 48)


class Talk:
    """Drives one session and keeps everything it did."""

    def __init__(
        self,
        config: SessionConfig | None = None,
        *,
        policy: HostPolicy | None = None,
        tools=(),
        at_front=(),
        kind=HostSession,
        **options: Any,
    ) -> None:
        self.now = 0.0
        self.audio_ms = 0
        self.session = kind(
            config or configured(),
            ids=counted(),
            policy=policy or HostPolicy(),
            tools=tools,
            now=0.0,
            **options,
        )
        self.all: list[actions.Action] = []
        self.at_front = at_front
        self._drain()

    def do(self, *events: Any) -> list[str]:
        """Feed events, one after another, and return what followed."""
        mark = len(self.all)
        for event in events:
            self.session.receive(event, self.now)
            self._drain()
        return self._lines(mark)

    def wait(self, seconds: float) -> list[str]:
        """Let time pass, waking the session whenever it asked for it."""
        mark, end = len(self.all), self.now + seconds
        while (due := self.session.next_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self.session.handle_timer(self.now)
            self._drain()
        self.now = end
        return self._lines(mark)

    def hear(self, ms: int, probability: float) -> list[str]:
        """The peer sends audio in real time; the engine judges each frame."""
        mark = len(self.all)
        for _ in range(ms // FRAME_MS):
            self.wait(FRAME_MS / 1000)
            self.do(client.AudioAppended(audio=FRAME))
            self.audio_ms += FRAME_MS
            self.do(engine.VoiceActivity(audio_ms=self.audio_ms, probability=probability))
        return self._lines(mark)

    def speak(self, ms: int) -> list[str]:
        return self.hear(ms, 0.95)

    def pause(self, ms: int) -> list[str]:
        return self.hear(ms, 0.02)

    def settle(self, call_id: str, output: str = "42") -> list[str]:
        return self.do(tool_events.ToolSettled(call_id=call_id, output=output))

    @property
    def events(self) -> list[server.ServerEvent]:
        return [action.event for action in self.all if isinstance(action, actions.Send)]

    def of(self, kind: type) -> list[Any]:
        """Return the events or commands of one kind, in order."""
        values = [getattr(action, "event", getattr(action, "command", action)) for action in self.all]
        return [value for value in values if isinstance(value, kind)]

    def check(self, *, complete: bool = True) -> None:
        """Hold everything said so far against the protocol."""
        codec = GaCodec()
        frames = [frame for event in self.events if (frame := codec.encode_server(event))]
        check_transcript(frames, complete=complete, at_front=self.at_front)

    def _drain(self) -> None:
        self.all.extend(self.session.actions())

    def _lines(self, mark: int) -> list[str]:
        return [line for action in self.all[mark:] if (line := shown(action))]


def shown(action: actions.Action) -> str:
    match action:
        case actions.Send(event=event):
            name = str(type(event).__struct_config__.tag)
            return f"{name} {_detail(event)}".strip()
        case actions.Ask(command=command):
            return "" if isinstance(command, QUIET_COMMANDS) else f"ask {_command(command)}"
        case actions.RunTool(call=call):
            return f"run {call.call_id} {call.name}({call.arguments})"
        case actions.StopTool(call_id=call_id):
            return f"stop {call_id}"
        case actions.ListTools() | actions.ForgetTools():
            return ""
        case actions.Charge():
            return ""
        case actions.Hang(code=code, reason=reason):
            return f"hang {code} {reason}"


def _command(command: engine.EngineCommand) -> str:
    match command:
        case engine.Listen(mode=mode):
            return f"Listen {mode}"
        case engine.Generate(response_id=response_id) | engine.Stop(response_id=response_id):
            return f"{type(command).__name__} {response_id}"
        case engine.Commit() | engine.Prepare():
            ahead = " ahead" if isinstance(command, engine.Prepare) and command.generate else ""
            return f"{type(command).__name__} {command.item_id} {command.start_ms}..{command.end_ms}{ahead}"
        case _:
            return f"{type(command).__name__} {getattr(command, 'item_id', '')}"


def _detail(event: server.ServerEvent) -> str:
    match event:
        case server.ItemAdded() | server.ItemDone():
            return f"{event.item.id} after {event.previous_item_id}"
        case server.OutputItemAdded() | server.OutputItemDone():
            return f"{event.item.id} {getattr(event.item, 'status', '')}".strip()
        case server.ResponseCreated(response=response):
            return response.id
        case server.ResponseDone(response=response):
            reason = getattr(response.status_details, "reason", "")
            return f"{response.id} {response.status} {reason}".strip()
        case (
            server.TextDelta()
            | server.TranscriptDelta()
            | server.ArgumentsDelta()
            | server.McpArgumentsDelta()
        ):
            return event.delta
        case server.AudioDelta(delta=delta):
            return f"{len(delta)} bytes"
        case server.SpeechStarted(audio_start_ms=ms, item_id=item_id):
            return f"{item_id} {ms}"
        case server.SpeechStopped(audio_end_ms=ms, item_id=item_id):
            return f"{item_id} {ms}"
        case server.InputAudioCommitted(item_id=item_id, previous_item_id=previous):
            return f"{item_id} after {previous}"
        case server.ItemTruncated(item_id=item_id, audio_end_ms=ms):
            return f"{item_id} {ms}"
        case server.ItemDeleted(item_id=item_id):
            return item_id
        case WordsHeard(item_id=item_id, transcript=words):
            return f"{item_id} {words}"
        case server.InputTranscriptionCompleted(item_id=item_id, transcript=text):
            return f"{item_id} {text}"
        case server.OutputAudioStarted() | server.OutputAudioStopped() | server.OutputAudioCleared():
            return event.response_id
        case server.Failed(error=error):
            return f"{error.code} {error.param} {error.event_id}"
        case _:
            return ""
