"""Which items a peer may add, and what becomes of them. Source: Realtime reference B4, K-66 to K-84."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import UNSET

from kaiwa.events.items import (
    AnyItem,
    ClientItem,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    McpApprovalResponse,
    Message,
    OutputAudio,
    OutputText,
)
from kaiwa.session import errors

MAX_ID_LENGTH = 32
_ALLOWED: dict[str, tuple[type, ...]] = {
    "system": (InputText,),
    "user": (InputText, InputAudio, InputImage),
    "assistant": (OutputText, OutputAudio),
}
_TAGS = {
    InputText: "input_text",
    InputAudio: "input_audio",
    InputImage: "input_image",
    OutputText: "output_text",
    OutputAudio: "output_audio",
}


def check_item(item: ClientItem, param: str = "item") -> None:
    """Raise PeerError for an id that is too long or content that does not fit the role."""
    if isinstance(item.id, str) and len(item.id) > MAX_ID_LENGTH:
        raise errors.too_long(f"{param}.id", len(item.id), MAX_ID_LENGTH)
    if not isinstance(item, Message):
        return
    allowed = _ALLOWED[item.role]
    for index, part in enumerate(item.content):
        if not isinstance(part, allowed):
            supported = tuple(_TAGS[kind] for kind in allowed)
            raise errors.invalid_value(f"{param}.content[{index}].type", _TAGS[type(part)], supported)


def stored(item: ClientItem, item_id: str, new_id: Callable[[str], str]) -> ClientItem:
    """Return the item as the conversation keeps it: with ids, completed, without audio bytes."""
    if isinstance(item, McpApprovalResponse):
        return msgspec.structs.replace(item, id=item_id, object=UNSET)
    if isinstance(item, FunctionCallOutput):
        return msgspec.structs.replace(item, id=item_id, object=UNSET, status=UNSET)
    if isinstance(item, FunctionCall):
        known = new_id("call") if item.call_id is UNSET else item.call_id
        return msgspec.structs.replace(item, id=item_id, object=UNSET, status="completed", call_id=known)
    content = tuple(
        msgspec.structs.replace(part, audio=UNSET) if isinstance(part, InputAudio | OutputAudio) else part
        for part in item.content
    )
    return msgspec.structs.replace(item, id=item_id, object=UNSET, status="completed", content=content)


def audio_of(item: AnyItem) -> bytes:
    """Return the audio a message brought with it, in the wire format; empty when there is none."""
    if not isinstance(item, Message):
        return b""
    return b"".join(
        part.audio
        for part in item.content
        if isinstance(part, InputAudio | OutputAudio) and isinstance(part.audio, bytes)
    )


def wants_transcript(item: AnyItem) -> bool:
    return isinstance(item, Message) and any(
        isinstance(part, InputAudio) and not part.transcript for part in item.content
    )


def words_of(item: AnyItem) -> str:
    """Return the transcript of a message's audio parts."""
    if not isinstance(item, Message):
        return ""
    return "".join(
        part.transcript or "" for part in item.content if isinstance(part, InputAudio | OutputAudio)
    )


def wording(message: Message) -> str | None:
    """Return the words of a user's message, or None when some of it was spoken and not written down."""
    words: list[str] = []
    for part in message.content:
        match part:
            case InputText(text=text):
                words.append(text)
            case InputAudio(transcript=None):
                return None
            case InputAudio(transcript=text):
                words.append(text or "")
            case _:
                pass
    return " ".join(words)
