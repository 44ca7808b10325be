"""A session in virtual time as its peer sees it: JSON frames in, JSON frames out, ids counted.

The desk plays the engine too: `answer`, `call`, `transcribe` and `hear` say what a model would. A breakage,
when one is planted, sits between session and peer.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from tests.contract.breakages import Breakage, Frame

from kaiwa.events import actions, client, engine
from kaiwa.events import tools as tool_events
from kaiwa.events.budget import Charge
from kaiwa.events.config import SessionConfig
from kaiwa.events.response import FailureDetail
from kaiwa.events.tools import ToolSpec
from kaiwa.events.usage import DurationUsage
from kaiwa.protocol.realtime.dialects import Dialect, codec_for
from kaiwa.session.host import HostSession
from kaiwa.session.policy import HostPolicy
from kaiwa.testing.conformance import check_server_event

FRAME_MS = 32


def silence(ms: int) -> str:
    """Return base64 PCM16 at 24 kHz."""
    return base64.b64encode(bytes(ms * 48)).decode()


def counted() -> Callable[[str], str]:
    """Ids as long as the service's, counted per kind: event_000000000000000000001."""
    counts: Counter[str] = Counter()

    def next_id(kind: str) -> str:
        counts[kind] += 1
        return f"{kind}_{counts[kind]:0{16 if kind == 'call' else 21}}"

    return next_id


class Desk:
    """One peer of one host session."""

    def __init__(
        self,
        planted: Breakage | None = None,
        *,
        dialect: Dialect = "ga",
        config: SessionConfig | None = None,
        policy: HostPolicy | None = None,
        tools: Sequence[ToolSpec] = (),
        ids: Callable[[str], str] | None = None,
    ) -> None:
        self.planted = planted or Breakage()
        self.now = 0.0
        self.audio_ms = 0
        self.frames: list[Frame] = []
        self.asked: list[Any] = []
        self.tool_actions: list[actions.RunTool | actions.StopTool] = []
        self.charges: list[Charge] = []
        self.hung: tuple[int, str] | None = None
        self._codec = codec_for(dialect)
        self._dialect = dialect
        self._strict = planted is None
        self.session = HostSession(
            config or SessionConfig(model="gpt-realtime", expires_at=3600),
            ids=ids or counted(),
            policy=policy or HostPolicy(),
            tools=tools,
            now=0.0,
        )
        self._drain()

    # --- the peer ------------------------------------------------------------------------------

    def send(self, frame: Frame | str | bytes, **fields: Any) -> list[Frame]:
        """Send one frame and return what followed. A string is sent as it is, bytes as a binary message;
        `fields` are added to an object."""
        mark = len(self.frames)
        told = {**frame, **fields} if isinstance(frame, dict) else frame
        for heard in self.planted.from_peer(told):
            text = json.dumps(heard) if isinstance(heard, dict) else heard
            event = self._codec.decode_client(text, binary=isinstance(text, bytes))
            self._feed(event)
        return self.frames[mark:]

    def update(self, **session: Any) -> list[Frame]:
        """Send session.update; `type` is added on GA."""
        kind = {"type": "realtime"} if self._dialect_is_ga else {}
        return self.send({"type": "session.update", "session": {**kind, **session}})

    def turn_detection(self, value: Frame | None) -> list[Frame]:
        if self._dialect_is_ga:
            return self.update(audio={"input": {"turn_detection": value}})
        return self.update(turn_detection=value)

    def item(self, item: Frame, **fields: Any) -> list[Frame]:
        return self.send({"type": "conversation.item.create", "item": item}, **fields)

    def say(self, text: str, **item: Any) -> list[Frame]:
        """Create a user message."""
        content = [{"type": "input_text", "text": text}]
        return self.item({"type": "message", "role": "user", "content": content, **item})

    def respond(self, **response: Any) -> list[Frame]:
        """Send response.create."""
        body = {"response": response} if response else {}
        return self.send({"type": "response.create", **body})

    def cancel(self, **fields: Any) -> list[Frame]:
        return self.send({"type": "response.cancel"}, **fields)

    def append(self, ms: int) -> list[Frame]:
        """Append silence in one frame; nobody judges it."""
        self.audio_ms += ms
        return self.send({"type": "input_audio_buffer.append", "audio": silence(ms)})

    def commit(self) -> list[Frame]:
        return self.send({"type": "input_audio_buffer.commit"})

    def of(self, kind: str) -> list[Frame]:
        """Return all frames of a type, in order."""
        return [frame for frame in self.frames if frame["type"] == kind]

    def one(self, kind: str) -> Frame:
        """Return the only frame of a type."""
        found = self.of(kind)
        assert len(found) == 1, f"{len(found)} × {kind} among {self.types}"
        return found[0]

    def last(self, kind: str) -> Frame:
        found = self.of(kind)
        assert found, f"no {kind} among {self.types}"
        return found[-1]

    @property
    def types(self) -> list[str]:
        return [str(frame.get("type")) for frame in self.frames]

    # --- the engine ----------------------------------------------------------------------------

    @property
    def generating(self) -> str:
        """The id of the response that the engine was asked for last."""
        return self.asked_for(engine.Generate)[-1].response_id

    def asked_for(self, kind: type) -> list[Any]:
        """Return the engine commands of one kind, in order."""
        return [command for command in self.asked if isinstance(command, kind)]

    def engine_says(self, *events: Any) -> list[Frame]:
        mark = len(self.frames)
        for event in events:
            for heard in self.planted.from_engine(event):
                self._feed(heard)
        return self.frames[mark:]

    def words(self, *pieces: str, audio_ms: int = 0) -> list[Frame]:
        """The engine answers with more words, each piece followed by its audio."""
        for piece in pieces:
            self.engine_says(engine.TextDelta(response_id=self.generating, text=piece))
            if audio_ms:
                self.engine_says(engine.AudioDelta(response_id=self.generating, pcm=bytes(audio_ms * 48)))
        return self.frames

    def call(self, name: str, arguments: str = "{}", index: int = 0, pieces: int = 1) -> list[Frame]:
        """The engine calls a tool, its arguments streamed in `pieces`."""
        rid, size = self.generating, max(1, -(-len(arguments) // pieces))
        deltas = [arguments[start : start + size] for start in range(0, len(arguments), size)]
        return self.engine_says(
            *(engine.ArgumentsDelta(response_id=rid, index=index, name=name, delta=one) for one in deltas),
            engine.ToolCalled(response_id=rid, index=index, name=name, arguments=arguments),
        )

    def end(self, reason: str = "completed", error: FailureDetail | None = None) -> list[Frame]:
        return self.engine_says(
            engine.GenerationEnded(response_id=self.generating, reason=reason, error=error)  # type: ignore[arg-type]
        )

    def answer(self, *pieces: str, audio_ms: int = 0) -> list[Frame]:
        """The engine gives its whole answer."""
        mark = len(self.frames)
        self.words(*pieces, audio_ms=audio_ms)
        self.end()
        return self.frames[mark:]

    def transcribe(self, text: str, *pieces: str) -> list[Frame]:
        """Recognition of the audio that was asked for last is done."""
        item_id = self.asked_for(engine.Transcribe)[-1].item_id
        deltas = [engine.TranscriptDelta(item_id=item_id, text=piece) for piece in pieces]
        usage = DurationUsage(seconds=1)
        return self.engine_says(*deltas, engine.TranscriptDone(item_id=item_id, text=text, usage=usage))

    def hear(self, ms: int, probability: float) -> list[Frame]:
        """The peer sends audio in real time; the engine judges each 32 ms frame."""
        mark = len(self.frames)
        for _ in range(ms // FRAME_MS):
            self.wait(FRAME_MS / 1000)
            self.append(FRAME_MS)
            self.engine_says(engine.VoiceActivity(audio_ms=self.audio_ms, probability=probability))
        return self.frames[mark:]

    def speak(self, ms: int) -> list[Frame]:
        return self.hear(ms, 0.95)

    def pause(self, ms: int) -> list[Frame]:
        return self.hear(ms, 0.02)

    def settle(self, call_id: str, output: str = "42") -> list[Frame]:
        """A tool of the server has its outcome."""
        return self.engine_says(tool_events.ToolSettled(call_id=call_id, output=output))

    def wait(self, seconds: float) -> list[Frame]:
        """Let time pass, waking the session whenever it asked for it."""
        mark, end = len(self.frames), self.now + seconds
        while (due := self.session.next_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self.session.handle_timer(self.now)
            self._drain()
        self.now = end
        return self.frames[mark:]

    def leave(self) -> None:
        self._feed(client.PeerGone())

    # --- between -------------------------------------------------------------------------------

    @property
    def _dialect_is_ga(self) -> bool:
        return self._dialect == "ga"

    def _feed(self, event: Any) -> None:
        self.session.receive(event, self.now)
        self._drain()

    def _drain(self) -> None:
        for action in self.session.actions():
            match action:
                case actions.Send(event=event):
                    self._hand_over(self._codec.encode_server(event))
                case actions.Ask(command=command):
                    self.asked += self.planted.to_engine(command)
                case actions.Hang(code=code, reason=reason):
                    self.hung = self.planted.close(code, reason)
                case Charge():
                    self.charges.append(action)
                case _:
                    self.tool_actions.append(action)

    def _hand_over(self, text: str | None) -> None:
        if not text:  # the dialect has no such event
            return
        if self._strict:
            check_server_event(text, self._dialect)
        self.frames += self.planted.to_peer(json.loads(text))
