"""Items and responses from GA to the preview dialect and back. Source: Realtime reference B4 and B5.

`meant` and `read` go to GA, `shown` and `told` come from it; the first of each pair is the server's side
of a connection, the second the client's.
"""

from __future__ import annotations

from typing import Any, Final, cast

from msgspec import UNSET, UnsetType, structs

from kaiwa.events import client, items
from kaiwa.events.response import Response, ResponseAudio, ResponseOutputFormat
from kaiwa.protocol.realtime import preview_shapes as shapes
from kaiwa.protocol.realtime import rules
from kaiwa.protocol.realtime.preview_editions import FORMATS, PARTS_BY_ROLE, Edition
from kaiwa.protocol.realtime.preview_settings import (
    format_shown,
    modalities_meant,
    modalities_read,
    modalities_shown,
    temperature_shown,
    tool_choice_meant,
    tool_choice_shown,
    voice_shown,
)

_OBJECT: Final = "realtime.item"
_SAME: Final = ("instructions", "tools", "temperature", "conversation", "metadata", "prompt")

# --- items -------------------------------------------------------------------------------------


def item_meant(item: shapes.ClientItem, path: str) -> items.ClientItem:
    """Raises PeerError when a part does not fit the message's role."""
    if isinstance(item, shapes.Message):
        types = [str(part.__struct_config__.tag) for part in item.content]
        rules.check_part_types(item.role, types, path, PARTS_BY_ROLE)
    return cast("items.ClientItem", item_read(item))


def item_read(item: shapes.Item) -> items.AnyItem:
    if not isinstance(item, shapes.Message):
        return structs.replace(item, object=UNSET)
    return items.Message(
        id=item.id,
        status=item.status,
        role=item.role,
        content=tuple(_part_read(part) for part in item.content),
        phase=item.phase,
    )


def item_shown(item: items.AnyItem, object: str | UnsetType = _OBJECT) -> shapes.Item:
    if not isinstance(item, items.Message):
        return structs.replace(item, object=object)
    return shapes.Message(
        id=item.id,
        object=object,
        status=item.status,
        role=item.role,
        content=tuple(_part_shown(part) for part in item.content),
        phase=item.phase,
    )


def item_told(item: items.ClientItem) -> shapes.ClientItem:
    return cast("shapes.ClientItem", item_shown(item, object=UNSET))


def _part_read(part: shapes.Part) -> items.ContentPart:
    match part:
        case shapes.Text():
            return items.OutputText(text=part.text)
        case shapes.Audio():
            return items.OutputAudio(audio=part.audio, transcript=part.transcript)
        case _:
            return part


def _part_shown(part: items.ContentPart) -> shapes.Part:
    match part:
        case items.OutputText():
            return shapes.Text(text=part.text)
        case items.OutputAudio():
            return shapes.Audio(audio=part.audio, transcript=part.transcript)
        case _:
            return part


# --- responses ---------------------------------------------------------------------------------


def params_meant(
    params: shapes.ResponseParams | UnsetType | None,
) -> client.ResponseParams | UnsetType | None:
    """Raises PeerError for what no response can be made of."""
    if params is UNSET or params is None:
        return params
    given = params.input_items if params.input is UNSET else params.input
    late, early = params.max_response_output_tokens, params.max_output_tokens
    return client.ResponseParams(
        output_modalities=modalities_meant(params.modalities, "response.modalities"),
        tool_choice=tool_choice_meant(params.tool_choice, "response.tool_choice"),
        max_output_tokens=early if late is UNSET or late is None else late,
        audio=_output_meant(params),
        input=_input_meant(given) if isinstance(given, tuple) else given,
        **_same(params),
    )


def params_told(params: client.ResponseParams | UnsetType | None) -> shapes.ResponseParams | UnsetType | None:
    """What the preview dialect does not know is left out: reasoning, parallel calls, a response's speed."""
    if params is UNSET or params is None:
        return params
    audio = params.audio or client.ResponseAudioParams()
    output = audio.output or client.ResponseAudioOutput()
    modalities, form = params.output_modalities, output.format
    return shapes.ResponseParams(
        modalities=modalities_shown(modalities) if isinstance(modalities, tuple) else modalities,
        tool_choice=tool_choice_shown(params.tool_choice),
        max_response_output_tokens=params.max_output_tokens,
        voice=output.voice,
        output_audio_format=form if form is None or form is UNSET else format_shown(form),
        input=tuple(one if isinstance(one, items.ItemReference) else item_told(one) for one in params.input)
        if isinstance(params.input, tuple)
        else params.input,
        **_same(params),
    )


def response_shown(response: Response, edition: Edition) -> shapes.Response:
    output = ResponseOutputFormat() if response.audio is UNSET else response.audio.output
    return shapes.Response(
        id=response.id,
        status=response.status,
        status_details=response.status_details,
        output=tuple(item_shown(item) for item in response.output),
        conversation_id=response.conversation_id,
        modalities=modalities_shown(response.output_modalities),
        voice=voice_shown(output.voice, edition),
        output_audio_format=format_shown(output.format),
        temperature=temperature_shown(response.temperature),
        max_output_tokens=response.max_output_tokens,
        usage=response.usage,
        metadata=response.metadata,
    )


def response_read(response: shapes.Response) -> Response:
    output = ResponseOutputFormat(format=FORMATS[response.output_audio_format], voice=response.voice)
    return Response(
        id=response.id,
        status=response.status,
        status_details=response.status_details,
        output=tuple(item_read(item) for item in response.output),
        conversation_id=response.conversation_id,
        output_modalities=modalities_read(response.modalities),
        max_output_tokens=response.max_output_tokens or "inf",
        audio=ResponseAudio(output=output),
        usage=response.usage,
        metadata=response.metadata,
        temperature=response.temperature,
    )


def _output_meant(params: shapes.ResponseParams) -> client.ResponseAudioParams | UnsetType:
    form = params.output_audio_format
    output = client.ResponseAudioOutput(
        voice=params.voice, format=form if form is None or form is UNSET else FORMATS[form]
    )
    return UNSET if output == client.ResponseAudioOutput() else client.ResponseAudioParams(output=output)


def _input_meant(
    given: tuple[shapes.ClientItem | items.ItemReference, ...],
) -> tuple[items.ClientItem | items.ItemReference, ...]:
    return tuple(
        one if isinstance(one, items.ItemReference) else item_meant(one, f"response.input[{index}]")
        for index, one in enumerate(given)
    )


def _same(params: Any) -> dict[str, Any]:
    return {name: getattr(params, name) for name in _SAME}
