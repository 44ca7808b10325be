"""The rules of order in a transcript, one class for each thing that has a life of its own.

Knows events as dicts that already have their fields; does not know how they arrived. Sources are given
beside the checks: K-n is a line of the conformance list, B and E are sections of the reference.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection
from typing import Any, Final, Protocol

from kaiwa.errors import KaiwaError

Event = dict[str, Any]

_MIN_CHUNK_MS: Final = 100
_MAX_CHUNK_MS: Final = 400


class ConformanceError(KaiwaError, AssertionError):
    """A server broke a rule of the protocol. `rule` is its short name, `position` the event's index."""

    def __init__(self, rule: str, sentence: str) -> None:
        super().__init__(f"{rule}: {sentence}")
        self.rule = rule
        self.position: int | None = None


def require(holds: bool, rule: str, sentence: str) -> None:
    if not holds:
        raise ConformanceError(rule, sentence)


def _text_of(part: Event) -> Any:
    return part.get("text", part.get("transcript"))


class Rule(Protocol):
    def see(self, event: Event) -> None: ...

    def end(self) -> None:
        """Judge what was left open when the transcript ended."""
        ...


class Conversation:
    """The list of items, replayed from what the server said (E1.3, K-66 to K-91)."""

    def __init__(self, at_front: Collection[str]) -> None:
        self.order: list[str] = []
        self.items: dict[str, Event] = {}
        self.outputs: dict[str, bool] = {}  # item id of a response -> whether it belongs to the conversation
        self.committed: dict[str, str | None] = {}  # item id -> previous_item_id it was announced with
        self._added_after: dict[str, str | None] = {}
        self._done: set[str] = set()
        self._at_front = at_front

    @property
    def tail(self) -> str | None:
        return self.order[-1] if self.order else None

    def see(self, event: Event) -> None:
        match event["type"]:
            case "conversation.item.added":
                self._add(event["item"], event["previous_item_id"])
            case "conversation.item.done":
                self._finish(event["item"], event["previous_item_id"])
            case "conversation.item.deleted":
                self._known(event["item_id"])
                self.order.remove(event["item_id"])
            case "conversation.item.truncated":
                self._known(event["item_id"])
            case _:
                pass

    def end(self) -> None:
        open_items = [item_id for item_id in self.order if item_id not in self._done]
        require(not open_items, "item.done_once", f"{open_items} were added and never done")
        lost = [item_id for item_id in self.committed if item_id not in self.items]
        require(not lost, "speech.committed_item", f"{lost} were committed and never added")

    def is_done(self, item_id: str) -> bool:
        return item_id in self._done

    def _known(self, item_id: str) -> None:
        require(item_id in self.order, "item.known", f"{item_id} is not in the conversation")

    def _add(self, item: Event, previous: str | None) -> None:
        item_id = item["id"]
        deleted = item_id in self._done and item_id not in self.order
        require(item_id not in self.items or deleted, "item.added_once", f"{item_id} was added before")
        self._done.discard(item_id)
        require(
            self.outputs.get(item_id, True), "response.out_of_band", f"{item_id} belongs to no conversation"
        )
        if previous is not None:
            self._known(previous)
        if item_id in self.committed:
            announced = self.committed[item_id]
            require(previous == announced, "item.previous", f"{item_id} was committed after {announced!r}")
        if item_id in self.outputs or item_id in self.committed:
            require(
                previous == self.tail, "item.previous", f"{item_id} follows {self.tail!r}, not {previous!r}"
            )
        if previous is None and item_id not in self._at_front:
            require(not self.order, "item.previous", f"{item_id} is not the first, yet follows null")
        self.order.insert(self.order.index(previous) + 1 if previous is not None else 0, item_id)
        self.items[item_id] = item
        self._added_after[item_id] = previous

    def _finish(self, item: Event, previous: str | None) -> None:
        item_id = item["id"]
        require(item_id in self.items, "item.added_first", f"{item_id} is done before it was added")
        require(item_id not in self._done, "item.done_once", f"{item_id} was done before")
        self._done.add(item_id)
        if item_id in self.order:
            place = self.order.index(item_id)
            now = self.order[place - 1] if place else None
            allowed = (now, self._added_after[item_id])
            require(previous in allowed, "item.previous", f"{item_id} follows {now!r}, not {previous!r}")
        if item_id not in self.outputs and item["type"] != "mcp_list_tools":
            status = item.get("status", "completed")
            require(status == "completed", "item.status", f"a client's item is completed, not {status}")
            require(item == self.items[item_id], "item.same", f"{item_id} changed between added and done")
        self.items[item_id] = item


class _Part:
    """One content part between its added and its done (B6, K-97 to K-100, K-113 to K-118)."""

    def __init__(self, kind: str, bytes_per_ms: int) -> None:
        self.kind = kind
        self.text = ""
        self.done = False
        self._text_done = False
        self._audio_done = kind == "text"
        self._bytes_per_ms = bytes_per_ms
        self._last_ms: float | None = None

    def see(self, event: Event) -> None:
        name: str = event["type"]
        require(not self.done, "part.deltas_inside", f"{name} after the part was done")
        wanted = "text" if "output_text" in name else "audio"
        require(self.kind == wanted, "part.kind", f"{name} in a part of {self.kind}")
        if name == "response.output_audio.delta":
            self._hear(event["delta"])
        elif name == "response.output_audio.done":
            require(not self._audio_done, "part.done_once", "the audio was done before")
            require(not self._text_done, "part.closing_order", "the audio is done before its transcript")
            self._audio_done = True
        elif name.endswith(".delta"):
            require(not self._text_done, "part.deltas_inside", f"{name} after its done")
            self.text += event["delta"]
        else:
            self._finish_text(_text_of(event))

    def _finish_text(self, whole: str) -> None:
        require(not self._text_done, "part.done_once", "the text was done before")
        require(self._audio_done, "part.closing_order", "the transcript is done after the audio")
        require(whole == self.text, "part.text", f"deltas say {self.text!r}, done says {whole!r}")
        self._text_done = True

    def _hear(self, delta: str) -> None:
        require(not self._audio_done, "part.deltas_inside", "audio after its done")
        require(bool(self.text), "part.transcript_ahead", "audio before any word of its transcript (K-116)")
        try:
            audio = base64.b64decode(delta, validate=True)
        except (binascii.Error, ValueError):
            raise ConformanceError("audio.base64", "a delta is not base64") from None
        whole = self._bytes_per_ms == 8 or len(audio) % 2 == 0
        require(whole, "audio.even", f"{len(audio)} bytes are no whole samples")
        short = self._last_ms is not None and self._last_ms < _MIN_CHUNK_MS
        require(not short, "audio.bounds", f"only the last delta may be as short as {self._last_ms} ms")
        self._last_ms = len(audio) / self._bytes_per_ms
        require(0 < self._last_ms <= _MAX_CHUNK_MS, "audio.bounds", f"a delta of {self._last_ms} ms")

    def finish(self, part: Event) -> None:
        require(not self.done, "part.done_once", "the part was done before")
        require(part["type"] == self.kind, "part.kind", f"{part['type']} closes a part of {self.kind}")
        closed = self._text_done and self._audio_done
        require(closed, "part.closing_order", "the part is done before its text or audio")
        whole = _text_of(part)
        require(whole == self.text, "part.text", f"deltas say {self.text!r}, the part says {whole!r}")
        self.done = True


class _Output:
    """One output item of a response: a message with parts, or a call with arguments (K-95, K-177)."""

    def __init__(self, item: Event, bytes_per_ms: int) -> None:
        self.id: str = item["id"]
        self.final: Event | None = None
        self._first = item
        self._parts: list[_Part] = []
        self._arguments = ""
        self._arguments_done = False
        self._bytes_per_ms = bytes_per_ms
        # Items of MCP carry no status, and a request for approval is whole when it is shown.
        self._mcp = str(item["type"]).startswith("mcp_")
        opens = self._mcp or item.get("status") == "in_progress"
        require(opens, "output.opens_empty", f"{self.id} is not in_progress")
        if item["type"] == "mcp_approval_request":
            return
        empty = item.get("content", []) == [] and item.get("arguments", "") == ""
        require(empty, "output.opens_empty", f"{self.id} has content before its parts")

    def see(self, event: Event) -> None:
        name: str = event["type"]
        require(self.final is None, "output.done_last", f"{name} after output_item.done of {self.id}")
        require(event["item_id"] == self.id, "output.ids", f"{name} names {event['item_id']}, not {self.id}")
        if "call_arguments" in name:
            self._see_arguments(event)
        elif name == "response.content_part.added":
            right = event["content_index"] == len(self._parts)
            require(right, "output.indexes", f"content_index {event['content_index']} is out of turn")
            part: Event = event["part"]
            require(not _text_of(part), "output.opens_empty", "a part opens empty")
            self._parts.append(_Part(part["type"], self._bytes_per_ms))
        else:
            index: int = event["content_index"]
            require(index < len(self._parts), "part.added_first", f"{name} before content_part.added")
            opened = self._parts[index]
            opened.finish(event["part"]) if name == "response.content_part.done" else opened.see(event)

    def _see_arguments(self, event: Event) -> None:
        kind = "mcp_call" if "mcp" in event["type"] else "function_call"
        require(self._first["type"] == kind, "call.kind", f"{self.id} is no {kind}")
        if not self._mcp:
            same = event["call_id"] == self._first["call_id"]
            require(same, "call.id", f"{event['call_id']} is not {self._first['call_id']}")
        require(not self._arguments_done, "call.done_once", "arguments after their done")
        if "delta" in event:
            self._arguments += event["delta"]
            return
        self._arguments_done = True
        said = event["arguments"]
        require(
            said == self._arguments, "call.arguments", f"deltas say {self._arguments!r}, done says {said!r}"
        )
        named = event.get("name", self._first["name"])
        require(named == self._first["name"], "call.name", f"{named} is not {self._first['name']}")

    def check_final(self, item: Event) -> None:
        """Check the item as shown by any of the events that close it."""
        require(item["id"] == self.id, "output.ids", f"{item['id']} closes {self.id}")
        closed = self._mcp or item.get("status") in ("completed", "incomplete")
        require(closed, "output.status", f"{self.id} is still open")
        require(
            all(part.done for part in self._parts),
            "output.closing_order",
            f"{self.id} closes before its parts",
        )
        if item["type"] in ("function_call", "mcp_call"):
            self._check_call(item)
            return
        if item["type"] == "mcp_approval_request":
            require(item == self._first, "output.same", f"{self.id} changed after it was shown")
            return
        texts = [part.text for part in self._parts]
        content: list[Event] = item.get("content", [])
        shown = [_text_of(part) for part in content]
        require(shown == texts, "output.text", f"{self.id} shows {shown!r}, its parts said {texts!r}")

    def _check_call(self, item: Event) -> None:
        for key in ("server_label", "name") if self._mcp else ("call_id", "name"):
            require(item[key] == self._first[key], f"call.{key}", f"{item[key]} is not {self._first[key]}")
        if item.get("error") is None if self._mcp else item["status"] == "completed":
            require(self._arguments_done, "output.closing_order", f"{self.id} closes before its arguments")
            require(item["arguments"] == self._arguments, "call.arguments", "the item has other arguments")
            try:
                json.loads(item["arguments"])
            except ValueError:
                raise ConformanceError("call.json", f"{item['arguments']!r} is not JSON") from None


class _Response:
    """One response from created to done (B5, B6)."""

    def __init__(self, created: Event, conversation: Conversation) -> None:
        self.created = created
        self.default = created["conversation_id"] is not None
        self._conversation = conversation
        self._outputs: list[_Output] = []
        audio: Event = created.get("audio") or {}
        output: Event = audio.get("output") or {}
        format: Event = output.get("format") or {}
        self._bytes_per_ms = 48 if format.get("type", "audio/pcm") == "audio/pcm" else 8

    def see(self, event: Event) -> None:
        index: int = event["output_index"]
        if event["type"] == "response.output_item.added":
            require(index == len(self._outputs), "output.indexes", f"output_index {index} is out of turn")
            item = event["item"]
            early = item["id"] in self._conversation.items
            require(
                not early, "output.opening_order", "output_item.added comes before conversation.item.added"
            )
            self._outputs.append(_Output(item, self._bytes_per_ms))
            self._conversation.outputs[item["id"]] = self.default
            return
        require(index < len(self._outputs), "output.added_first", f"{event['type']} before output_item.added")
        output = self._outputs[index]
        if event["type"] == "response.output_item.done":
            self._finish_output(output, event["item"])
            return
        shown = not self.default or output.id in self._conversation.items
        require(shown, "output.opening_order", f"{event['type']} before conversation.item.added")
        closed = self.default and self._conversation.is_done(output.id)
        require(not closed, "output.closing_order", f"{event['type']} after conversation.item.done")
        output.see(event)

    def _finish_output(self, output: _Output, item: Event) -> None:
        require(output.final is None, "output.done_once", f"{output.id} was done before")
        output.check_final(item)
        if self.default:
            first = self._conversation.is_done(output.id)
            if item["type"] == "mcp_call" and item.get("error") is None:
                require(not first, "mcp.item_done", f"{output.id} is done before it was called")
                output.final = item
                return
            require(first, "output.closing_order", "conversation.item.done comes before output_item.done")
            same = self._conversation.items[output.id] == item
            require(same, "output.same", f"{output.id} differs from conversation.item.done")
        output.final = item

    def item_done(self, item: Event) -> None:
        """Check conversation.item.done of one of our items."""
        for output in self._outputs:
            if output.id == item["id"]:
                output.check_final(item)

    def finish(self, done: Event) -> None:
        for key in ("conversation_id", "metadata", "output_modalities"):
            same = done[key] == self.created[key]
            require(same, "response.same", f"{key} changed between created and done (K-103, K-108)")
        finals = [output.final for output in self._outputs]
        require(None not in finals, "response.closing_order", "response.done before its items are done")
        require(done["output"] == finals, "response.output", "output differs from the items (K-102)")
        if done["status"] == "completed":
            statuses = {item.get("status", "completed") for item in done["output"]}
            require(statuses <= {"completed"}, "response.output", "a completed response has an open item")


class Responses:
    """Every response begins once and ends once; one of the default conversation at a time (E1.5, E1.6)."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._active: dict[str, _Response] = {}
        self._ended: set[str] = set()
        self._conversation_id: str | None = None

    def see(self, event: Event) -> None:
        name: str = event["type"]
        if name == "response.created":
            self._begin(event["response"])
        elif name == "response.done":
            response = event["response"]
            self._one_of(response["id"], name).finish(response)
            self._ended.add(response["id"])
            del self._active[response["id"]]
        elif name == "conversation.item.done":
            for response in self._active.values():
                response.item_done(event["item"])
        elif name.startswith("response.") and "response_id" in event:
            self._one_of(event["response_id"], name).see(event)

    def end(self) -> None:
        require(not self._active, "response.done_once", f"{sorted(self._active)} never ended")

    def _one_of(self, response_id: str, name: str) -> _Response:
        ended = response_id in self._ended
        require(not ended, "response.done_last", f"{name} after response.done of {response_id}")
        known = response_id in self._active
        require(known, "response.created_first", f"{name} of {response_id}, which was never created")
        return self._active[response_id]

    def _begin(self, created: Event) -> None:
        response_id = created["id"]
        fresh = response_id not in self._active and response_id not in self._ended
        require(fresh, "response.created_once", f"{response_id} was created before")
        response = _Response(created, self._conversation)
        if response.default:
            busy = [other for other, one in self._active.items() if one.default]
            require(not busy, "response.one_at_a_time", f"{response_id} begins while {busy} runs")
            mine = created["conversation_id"]
            same = self._conversation_id in (None, mine)
            require(same, "response.conversation_id", f"{mine} is not {self._conversation_id} (K-104)")
            self._conversation_id = mine
        self._active[response_id] = response


class Speech:
    """speech_started, speech_stopped, committed: one id, one after the other (B6, K-138 to K-155)."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._open: str | None = None
        self._stopped: str | None = None
        self._timed_out: str | None = None
        self._start_ms = -1
        self._end_ms = 0
        self._used: set[str] = set()

    def see(self, event: Event) -> None:
        match event["type"]:
            case "input_audio_buffer.speech_started":
                self._begin(event["item_id"], event["audio_start_ms"])
            case "input_audio_buffer.speech_stopped":
                right = self._open is not None and event["item_id"] == self._open
                require(right, "speech.stopped_item", f"{event['item_id']} stops, {self._open} was speaking")
                later = event["audio_end_ms"] >= self._start_ms
                require(later, "speech.clock", "speech ends before it began")
                self._open, self._stopped, self._end_ms = None, event["item_id"], event["audio_end_ms"]
            case "input_audio_buffer.timeout_triggered":
                self._timed_out = event["item_id"]
            case "input_audio_buffer.committed":
                self._commit(event["item_id"], event["previous_item_id"])
            case "input_audio_buffer.cleared":
                self._open = self._stopped = self._timed_out = None
            case _:
                pass

    def end(self) -> None:
        require(self._stopped is None, "speech.committed", f"{self._stopped} stopped and was never committed")

    def _begin(self, item_id: str, start_ms: int) -> None:
        require(self._open is None, "speech.one_at_a_time", f"{item_id} starts while {self._open} speaks")
        require(self._stopped is None, "speech.committed", f"{self._stopped} was never committed")
        require(item_id not in self._used, "speech.new_item", f"{item_id} names an earlier utterance")
        require(start_ms > self._start_ms, "speech.clock", "the audio clock went back (K-150, K-155)")
        self._used.add(item_id)
        self._open, self._start_ms = item_id, start_ms

    def _commit(self, item_id: str, previous: str | None) -> None:
        expected = self._stopped or self._open or self._timed_out
        right = expected is None or item_id == expected
        require(right, "speech.committed_item", f"{item_id} is committed, {expected} was meant")
        fresh = item_id not in self._conversation.committed and item_id not in self._conversation.items
        require(fresh, "speech.committed_once", f"{item_id} was committed before")
        tail = self._conversation.tail
        require(previous == tail, "item.previous", f"{item_id} follows {tail!r}, not {previous!r}")
        self._conversation.committed[item_id] = previous
        self._used.add(item_id)
        self._open = self._stopped = self._timed_out = None


class Transcriptions:
    """Each user audio item is written down at most once (K-164 to K-169)."""

    _PREFIX: Final = "conversation.item.input_audio_transcription."

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._settled: set[str] = set()
        self._deltas: dict[str, str] = {}

    def see(self, event: Event) -> None:
        name: str = event["type"]
        if not name.startswith(self._PREFIX):
            return
        item_id = event["item_id"]
        once = item_id not in self._settled
        require(once, "transcription.once", f"{name} after the transcription of {item_id} was settled")
        if name.endswith("delta"):
            self._deltas[item_id] = self._deltas.get(item_id, "") + event.get("delta", "")
        elif name.endswith(("completed", "failed")):
            self._settled.add(item_id)
            self._check_item(item_id)
        if name.endswith("completed"):
            said = self._deltas.get(item_id, event["transcript"])
            right = said == event["transcript"]
            require(
                right, "transcription.text", f"deltas say {said!r}, completed says {event['transcript']!r}"
            )

    def end(self) -> None:
        pass

    def _check_item(self, item_id: str) -> None:
        content: list[Event] = self._conversation.items.get(item_id, {}).get("content", [])
        parts = [part.get("type") for part in content]
        known = item_id in self._conversation.committed or "input_audio" in parts
        require(known, "transcription.item", f"{item_id} is no audio of the user")


class Playback:
    """output_audio_buffer events of transports that pace the audio themselves (B6, K-253)."""

    _PREFIX: Final = "output_audio_buffer."

    def __init__(self) -> None:
        self._playing: str | None = None

    def see(self, event: Event) -> None:
        name: str = event["type"]
        if not name.startswith(self._PREFIX):
            return
        if name.endswith("started"):
            require(self._playing is None, "playback.one_at_a_time", f"{self._playing} is still playing")
            self._playing = event["response_id"]
            return
        right = event["response_id"] == self._playing
        require(right, "playback.started_first", f"{name} of {event['response_id']}, {self._playing} plays")
        self._playing = None

    def end(self) -> None:
        require(self._playing is None, "playback.ends", f"{self._playing} never stopped playing")
