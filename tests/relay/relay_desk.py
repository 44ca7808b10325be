"""A relayed conversation in virtual time: a peer in front, a host session as the service behind.

The service is a `Desk`: what a test lets it do (`desk.service.answer(…)`) arrives with `hear`. A breakage,
when one is planted, sits between relay and peer and between relay and service.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.contract.breakages import Breakage, Frame
from tests.contract.desk import Desk

from kaiwa.events import actions, client
from kaiwa.events.budget import Charge
from kaiwa.events.config import SessionConfig
from kaiwa.events.relay import Forward, Reopen, UpstreamOpened
from kaiwa.events.tools import ToolSettled, ToolSpec
from kaiwa.interfaces import Session
from kaiwa.protocol.realtime.dialects import Dialect
from kaiwa.protocol.realtime.passing import client_side, upstream_reader, upstream_writer
from kaiwa.session.relay import unbroken
from kaiwa.session.relay.profile import RelayProfile
from kaiwa.session.relay.reopening import Renewal
from kaiwa.session.relay.session import RelaySession, looks_at
from kaiwa.session.relay.unbroken import UnbrokenSession
from kaiwa.testing.conformance import check_server_event

HOUR_S = 3600.0
TEXT_ONLY: Frame = {"output_modalities": ["text"]}
MEASURE = ToolSpec(name="measure", description="Measure it.", parameters={"type": "object"}, server=True)


class RelayDesk:
    def __init__(
        self,
        planted: Breakage | None = None,
        *,
        profile: RelayProfile | None = None,
        tools: Sequence[ToolSpec] = (),
        dialect: Dialect = "ga",
        behind: Dialect = "ga",
        greets: bool = True,
        renewal: Renewal | None = None,
    ) -> None:
        """`renewal`: the service's sessions last an hour, and the conversation goes on in others."""
        self.planted = planted or Breakage()
        self.frames: list[Frame] = []
        self.texts: list[str] = []
        self.forwarded: list[Frame] = []
        self.runs: list[actions.RunTool] = []
        self.stopped: list[str] = []
        self.charges: list[Charge] = []
        self.hung: tuple[int, str] | None = None
        self.now = 0.0
        self.service = Desk(dialect=behind, config=SessionConfig(model="gpt-realtime", expires_at=3600))
        self.sessions_before: list[Desk] = []
        self.reopens = True
        profile = profile or RelayProfile()
        heard, said = looks_at(profile, tools)
        session = RelaySession(profile, ids=_ids(), tools=tools, now=0.0)
        self.session: Session = session
        if renewal is not None:
            self.session = UnbrokenSession(session, said, renewal, ids=_ids())
            said = said | unbroken.TYPES
        self._codec = client_side(dialect, heard)
        self._read, self._write = upstream_reader(behind, said), upstream_writer(behind)
        self._dialect, self._strict, self._heard = dialect, planted is None, 0
        self._drain()
        if renewal is not None:
            self._feed(UpstreamOpened(lives_s=HOUR_S))
        if greets:
            self.hear()

    # --- the peer ------------------------------------------------------------------------------

    def send(self, frame: Frame | str | bytes, **fields: Any) -> list[Frame]:
        mark = len(self.frames)
        told = {**frame, **fields} if isinstance(frame, dict) else frame
        for one in self.planted.from_peer(told):
            text = json.dumps(one) if isinstance(one, dict) else one
            self._feed(self._codec.decode_client(text, binary=isinstance(text, bytes)))
        self.hear()
        return self.frames[mark:]

    def update(self, **session: Any) -> list[Frame]:
        kind = {"type": "realtime"} if self._dialect == "ga" else {}
        return self.send({"type": "session.update", "session": {**kind, **session}})

    def say(self, text: str) -> list[Frame]:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        return self.send({"type": "conversation.item.create", "item": item})

    def respond(self, **response: Any) -> list[Frame]:
        return self.send({"type": "response.create", **({"response": response} if response else {})})

    def leave(self) -> None:
        self._feed(client.PeerGone())

    # --- the service ---------------------------------------------------------------------------

    def hear(self, *events: Any) -> list[Frame]:
        """Let the relay hear what the service has said meanwhile, or these events of the connection."""
        mark = len(self.frames)
        for event in events:
            self._feed(event)
        while self._heard < len(self.service.frames):
            frame = self.service.frames[self._heard]
            self._heard += 1
            self.hear_text(json.dumps(frame))
        return self.frames[mark:]

    def hear_text(self, text: str) -> list[Frame]:
        """Let the relay hear this frame."""
        mark = len(self.frames)
        for said in self._read(text):
            for event in self.planted.from_engine(said):
                self._feed(event)
        return self.frames[mark:]

    def reopen(self) -> list[Frame]:
        """Let another session begin at the service, with ids of its own."""
        mark = len(self.frames)
        self.sessions_before.append(self.service)
        config = SessionConfig(model="gpt-realtime", expires_at=3600)
        self.service = Desk(config=config, ids=_ids(f"s{len(self.sessions_before)}"))
        self.service.now, self._heard = self.now, 0
        self._feed(UpstreamOpened(lives_s=HOUR_S))
        self.hear()
        return self.frames[mark:]

    def told(self, kind: str) -> list[Frame]:
        """Return the frames of a type that the service was told."""
        return [frame for frame in self.forwarded if frame["type"] == kind]

    def settle(self, call_id: str, output: str = "42") -> list[Frame]:
        mark = len(self.frames)
        self._feed(ToolSettled(call_id=call_id, output=output))
        self.hear()
        return self.frames[mark:]

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.session.next_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            self.session.handle_timer(self.now)
            self._drain()
            self.hear()
        self.now = end

    # --- what came -----------------------------------------------------------------------------

    @property
    def types(self) -> list[str]:
        return [str(frame["type"]) for frame in self.frames]

    def of(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == kind]

    def one(self, kind: str) -> Frame:
        found = self.of(kind)
        assert len(found) == 1, f"{len(found)} × {kind} among {self.types}"
        return found[0]

    def last(self, kind: str) -> Frame:
        found = self.of(kind)
        assert found, f"no {kind} among {self.types}"
        return found[-1]

    # --- between -------------------------------------------------------------------------------

    def _feed(self, event: Any) -> None:
        self.session.receive(event, self.now)
        self._drain()

    def _drain(self) -> None:
        for action in self.session.actions():
            match action:
                case actions.Send(event=event):
                    self._hand_over(self._codec.encode_server(event))
                case actions.Ask(command=Forward() as command):
                    for one in self.planted.to_engine(command):
                        self._pass_on(self._write(one.frame))
                case actions.Ask(command=Reopen()):
                    if self.reopens:
                        self.reopen()
                case actions.RunTool():
                    self.runs.append(action)
                case actions.StopTool(call_id=call_id):
                    self.stopped.append(call_id)
                case actions.Hang(code=code, reason=reason):
                    self.hung = self.planted.close(code, reason)
                case Charge():
                    self.charges.append(action)
                case _:
                    raise AssertionError(f"a relay does not ask for {action}")

    def _pass_on(self, text: str) -> None:
        self.forwarded.append(json.loads(text))
        self.service.now = self.now
        self.service.send(text)

    def _hand_over(self, text: str) -> None:
        if not text:
            return
        if self._strict and '"stand_in.' not in text:
            check_server_event(text, self._dialect)
        self.texts.append(text)
        self.frames += self.planted.to_peer(json.loads(text))


def _ids(maker: str = "kaiwa") -> Any:
    """Counted, and never the first service's."""
    counts: Counter[str] = Counter()

    def next_id(kind: str) -> str:
        counts[kind] += 1
        return f"{kind}_{maker}{counts[kind]:0{21 - len(maker)}}"

    return next_id
