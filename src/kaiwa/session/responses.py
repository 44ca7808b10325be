"""One response's life on the wire: its items, parts and deltas, and the bracket that closes them.

Source: Realtime reference B6. Does not know turns, other responses or who runs a call.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from kaiwa.audio.formats import duration_ms
from kaiwa.events import server
from kaiwa.events.items import (
    AnyItem,
    FunctionCall,
    ItemStatus,
    McpApprovalRequest,
    McpCall,
    Message,
    OutputAudio,
    OutputText,
    ToolExecutionError,
)
from kaiwa.events.response import ResponseStatus, StatusDetails
from kaiwa.events.tools import ToolCall
from kaiwa.events.usage import InputTokens, Usage
from kaiwa.session.alignment import Alignment
from kaiwa.session.conversation import Conversation, Entry
from kaiwa.session.history import is_json
from kaiwa.session.mcp import RemoteTool
from kaiwa.session.mcp_calls import AwaitedCall, RemoteCall
from kaiwa.session.outbox import Outbox
from kaiwa.session.plan import Plan
from kaiwa.session.speech_out import SpeechOut

CONTENT_INDEX = 0
_CUT_OFF = ToolExecutionError(message="The call was cut off; it was not made.")


@dataclass(slots=True)
class _Open:
    """An output item while it is being produced."""

    index: int
    item_id: str
    entry: Entry
    pieces: list[str] = field(default_factory=list[str])

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class LiveResponse:
    """Produces the events of one response. Nothing may be fed to it after `end`."""

    def __init__(self, plan: Plan, outbox: Outbox, conversation: Conversation, read: InputTokens) -> None:
        self.id = outbox.new_id("resp")
        self.plan = plan
        self.read = read
        self._outbox = outbox
        self._conversation = conversation if plan.in_conversation else None
        self._shown = plan.response(self.id, conversation.id)
        self._items: list[AnyItem] = []
        self._message: _Open | None = None
        self._calls: dict[int, _Open] = {}
        self._closed_calls: set[int] = set()
        self._awaited: set[int] = set()
        self._speech: SpeechOut | None = None
        self._broken = False
        self.audio_ms = 0.0
        self._audio_bytes = 0
        self.written: list[str] = []
        self.remote_calls: list[RemoteCall] = []
        outbox.send(server.ResponseCreated, response=self._shown)

    @property
    def message_id(self) -> str | None:
        """The item the response is speaking in, if it has one."""
        return self._message.item_id if self._message else None

    def add_text(self, text: str) -> None:
        if not text:
            return
        message = self._open_message()
        message.pieces.append(text)
        self.written.append(text)
        kind = server.TextDelta
        if self.plan.spoken:
            kind = server.TranscriptDelta
            assert message.entry.alignment is not None, "a spoken message has an alignment"
            message.entry.alignment.add_text(text)
        self._outbox.send(kind, **self._place(message), delta=text)

    def add_audio(self, pcm: bytes) -> float:
        """Send speech in the response's format; return how many ms of it went out."""
        if not self.plan.spoken or not pcm or len(pcm) % 2:
            return 0.0
        self._open_message()
        if self._speech is None:
            self._speech = SpeechOut(self.plan.format)
        return sum(self._send_audio(piece) for piece in self._speech.push(pcm))

    def flush_audio(self) -> float:
        """Send the audio still held back; return how many ms of it went out."""
        return sum(self._send_audio(piece) for piece in self._speech.flush()) if self._speech else 0.0

    def add_arguments(self, index: int, name: str, delta: str) -> None:
        if index in self._closed_calls or not delta:
            return
        tool = self.plan.remote.get(name)
        if tool is not None and tool.approval:  # shown when it is complete
            self._awaited.add(index)
            return
        call = self._calls.get(index) or self._open_call(index, name, None)
        call.pieces.append(delta)
        self.written.append(delta)
        item, place = _call(call), self._item_place(call)
        if isinstance(item, McpCall):
            self._outbox.send(server.McpArgumentsDelta, **place, delta=delta)
        else:
            self._outbox.send(server.ArgumentsDelta, **place, call_id=item.call_id, delta=delta)

    def add_call(
        self, index: int, name: str, arguments: str, call_id: str | None
    ) -> ToolCall | AwaitedCall | None:
        """Complete a call and close its item.

        None when it was complete already, and for a call in `remote_calls`: that begins after the response.
        """
        if index in self._closed_calls:
            return None
        tool = self.plan.remote.get(name)
        if tool is not None and tool.approval:
            return self._add_request(index, tool, arguments)
        call = self._calls.get(index) or self._open_call(index, name, call_id)
        whole = arguments if arguments.strip() else "{}"
        streamed = call.text
        if not whole.startswith(streamed) and not is_json(streamed):
            self._broken = True
            self._close_call(index, call)
            return None
        self.add_arguments(index, name, whole[len(streamed) :] if whole.startswith(streamed) else "")
        del self._calls[index]
        self._closed_calls.add(index)
        item = _call(call)
        if isinstance(item, McpCall):
            assert tool is not None, "an MCP call was opened for a tool"
            self._complete_remote(call, item, tool)
            return None
        return self._complete_call(call, item, tool)

    def add_approved(self, awaited: AwaitedCall) -> None:
        """Make a call that the client has approved."""
        item_id, tool = self._outbox.new_id("item"), awaited.tool
        item = McpCall(
            id=item_id,
            server_label=tool.label,
            name=tool.name,
            arguments="",
            approval_request_id=awaited.request_id,
        )
        call = self._open_item(item_id, Entry(item=item, called=tool.spec.name))
        call.pieces.append(awaited.arguments)
        self._outbox.send(server.McpArgumentsDelta, **self._item_place(call), delta=call.text)
        self._complete_remote(call, item, tool)

    @property
    def whole(self) -> bool:
        """False when a call was begun and not completed in good order."""
        return not self._calls and not self._awaited and not self._broken

    def end(self, status: ResponseStatus, details: StatusDetails | None, usage: Usage) -> None:
        """Close what is open, in order, and the response."""
        item_status: ItemStatus = "completed" if status == "completed" else "incomplete"
        for index, call in list(self._calls.items()):
            self._close_call(index, call)
        if self._message is not None:
            self._close_message(self._message, item_status)
        self._outbox.send(
            server.ResponseDone,
            response=msgspec.structs.replace(
                self._shown, status=status, status_details=details, output=tuple(self._items), usage=usage
            ),
        )

    def _open_message(self) -> _Open:
        if self._message is None:
            item_id = self._outbox.new_id("item")
            item = Message(id=item_id, status="in_progress", role="assistant", content=())
            alignment = Alignment() if self.plan.spoken else None
            entry = Entry(item=item, alignment=alignment, passing=self.plan.passing)
            if self.plan.spoken and self._conversation is not None:
                entry.sound = self._conversation.sounds.keep(self.plan.format)
            self._message = self._open_item(item_id, entry)
            part = server.AudioPart(transcript="") if self.plan.spoken else server.TextPart(text="")
            self._outbox.send(server.ContentPartAdded, **self._place(self._message), part=part)
        return self._message

    def _open_call(self, index: int, name: str, call_id: str | None) -> _Open:
        item_id = self._outbox.new_id("item")
        tool = self.plan.remote.get(name)
        if tool is not None and not tool.own:
            remote = McpCall(id=item_id, server_label=tool.label, name=tool.name, arguments="")
            self._calls[index] = self._open_item(item_id, Entry(item=remote, called=name))
            return self._calls[index]
        if call_id is None or (self._conversation and self._conversation.knows_call(call_id)):
            call_id = self._outbox.new_id("call")
        item = FunctionCall(id=item_id, status="in_progress", name=name, call_id=call_id, arguments="")
        self._calls[index] = self._open_item(item_id, Entry(item=item))
        return self._calls[index]

    def _add_request(self, index: int, tool: RemoteTool, arguments: str) -> AwaitedCall:
        self._awaited.discard(index)
        self._closed_calls.add(index)
        item_id, whole = self._outbox.new_id("item"), arguments if arguments.strip() else "{}"
        self.written.append(whole)
        item = McpApprovalRequest(id=item_id, server_label=tool.label, name=tool.name, arguments=whole)
        self._close_item(self._open_item(item_id, Entry(item=item, called=tool.spec.name)), item)
        return AwaitedCall(item_id, tool, whole)

    def _complete_call(self, call: _Open, item: FunctionCall, tool: RemoteTool | None) -> ToolCall:
        item = msgspec.structs.replace(item, arguments=call.text, status="completed")
        self._outbox.send(
            server.ArgumentsDone,
            **self._item_place(call),
            call_id=item.call_id,
            name=item.name,
            arguments=item.arguments,
        )
        self._close_item(call, item)
        return ToolCall(
            call_id=str(item.call_id),
            name=tool.name if tool else item.name,
            arguments=item.arguments,
            response_id=self.id,
            listing_id=tool.listing_id if tool else None,
        )

    def _complete_remote(self, call: _Open, item: McpCall, tool: RemoteTool) -> None:
        """Close the call's place in the response; its item is done when the server has answered."""
        item = msgspec.structs.replace(item, arguments=call.text)
        self._outbox.send(server.McpArgumentsDone, **self._item_place(call), arguments=item.arguments)
        self._items[call.index] = item
        if self._conversation is not None:
            self._conversation.replace(call.item_id, item)
        self._outbox.send(server.OutputItemDone, response_id=self.id, output_index=call.index, item=item)
        wanted = ToolCall(
            call_id=call.item_id,
            name=tool.name,
            arguments=item.arguments,
            response_id=self.id,
            listing_id=tool.listing_id,
        )
        self.remote_calls.append(RemoteCall(wanted, call.index))

    def _open_item(self, item_id: str, entry: Entry) -> _Open:
        opened = _Open(len(self._items), item_id, entry)
        self._items.append(entry.item)
        self._outbox.send(
            server.OutputItemAdded, response_id=self.id, output_index=opened.index, item=entry.item
        )
        if self._conversation is not None:
            previous = self._conversation.add(item_id, entry)
            self._outbox.send(server.ItemAdded, previous_item_id=previous, item=entry.item)
        return opened

    def _send_audio(self, wire: bytes) -> float:
        message = self._message
        if message is None:
            return 0.0
        audio_ms = duration_ms(self.plan.format, len(wire))
        # From the sum of bytes: a sum of durations falls short of what a client may truncate to (K-122).
        self._audio_bytes += len(wire)
        self.audio_ms = duration_ms(self.plan.format, self._audio_bytes)
        if message.entry.heard is None:
            message.entry.audio_ms = self.audio_ms
            if self._conversation is not None and message.entry.sound is not None:
                self._conversation.sounds.add(message.entry.sound, wire)
        assert message.entry.alignment is not None, "a spoken message has an alignment"
        message.entry.alignment.add_audio(audio_ms)
        self._outbox.send(server.AudioDelta, **self._place(message), delta=wire)
        return audio_ms

    def _close_call(self, index: int, call: _Open) -> None:
        """Close a call that was cut off: nobody may carry it out."""
        del self._calls[index]
        self._closed_calls.add(index)
        item = _call(call)
        if isinstance(item, McpCall):
            self._close_item(call, msgspec.structs.replace(item, arguments=call.text, error=_CUT_OFF))
        else:
            self._close_item(call, msgspec.structs.replace(item, arguments=call.text, status="incomplete"))

    def _close_message(self, message: _Open, status: ItemStatus) -> None:
        place, text = self._place(message), message.text
        if self.plan.spoken:
            self._outbox.send(server.AudioDone, **place)
            self._outbox.send(server.TranscriptDone, **place, transcript=text)
            part, content = server.AudioPart(transcript=text), OutputAudio(transcript=text)
        else:
            self._outbox.send(server.TextDone, **place, text=text)
            part, content = server.TextPart(text=text), OutputText(text=text)
        self._outbox.send(server.ContentPartDone, **place, part=part)
        item = message.entry.item
        self._close_item(message, msgspec.structs.replace(item, status=status, content=(content,)))

    def _close_item(self, opened: _Open, item: AnyItem) -> None:
        self._items[opened.index] = item
        if self._conversation is not None:
            self._conversation.replace(opened.item_id, item)
            previous = self._conversation.previous_id(opened.item_id)
            self._outbox.send(server.ItemDone, previous_item_id=previous, item=item)
        self._outbox.send(server.OutputItemDone, response_id=self.id, output_index=opened.index, item=item)

    def _item_place(self, opened: _Open) -> dict[str, object]:
        return {"response_id": self.id, "item_id": opened.item_id, "output_index": opened.index}

    def _place(self, opened: _Open) -> dict[str, object]:
        return {**self._item_place(opened), "content_index": CONTENT_INDEX}


def _call(opened: _Open) -> FunctionCall | McpCall:
    item = opened.entry.item
    assert isinstance(item, FunctionCall | McpCall), "an open call holds a call"
    return item
