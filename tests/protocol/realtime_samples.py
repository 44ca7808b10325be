"""One correct value of every event, for the tests of the codec."""

from kaiwa.events import client, config, items, server
from kaiwa.events.logprobs import TokenLogprob
from kaiwa.events.response import Cancelled, FailedStatus, FailureDetail, Response
from kaiwa.events.usage import DurationUsage, TokenTranscriptionUsage, Usage

IDS = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
MESSAGE = items.Message(
    id="item_1",
    status="completed",
    role="assistant",
    content=(items.OutputAudio(transcript="Hi."), items.OutputText(text="Hi.")),
)
CALL = items.FunctionCall(id="item_2", status="completed", name="f", call_id="call_1", arguments="{}")
OUTPUT = items.FunctionCallOutput(id="item_3", call_id="call_1", output="ok")
USER = items.Message(
    id="item_4", status="completed", role="user", content=(items.InputAudio(), items.InputText(text="a"))
)
USER_TEXT = items.Message(id="i", role="user", content=(items.InputText(text="a"),))
RESPONSE = Response(id="resp_1", conversation_id="conv_1", output_modalities=("audio",))
DONE = Response(
    id="resp_1",
    status="cancelled",
    status_details=Cancelled(reason="turn_detected"),
    output=(MESSAGE, CALL),
    conversation_id=None,
    output_modalities=("text",),
    usage=Usage(),
    metadata={"topic": "x"},
)
FAILED = Response(
    id="resp_1",
    status="failed",
    status_details=FailedStatus(error=FailureDetail(type="server_error", code="x", message="m")),
    conversation_id="conv_1",
    output_modalities=("audio",),
    usage=Usage(),
)
SESSION = config.SessionConfig(
    id="sess_1",
    model="gpt-realtime",
    tools=(config.FunctionTool(name="f", description="d", parameters={"type": "object"}),),
    tool_choice=config.ForcedFunction(name="f"),
    audio=config.SessionAudio(
        input=config.AudioInput(
            format=config.PcmuFormat(),
            transcription=config.Transcription(model="whisper-1"),
            noise_reduction=config.NoiseReduction(type="near_field"),
            turn_detection=config.SemanticVad(),
        )
    ),
)

SAMPLES = [
    server.SessionCreated(event_id="event_1", session=SESSION),
    server.SessionUpdated(event_id="event_1", session=config.SessionConfig(id="sess_1", model="m")),
    server.ItemAdded(event_id="event_1", previous_item_id=None, item=USER),
    server.ItemDone(event_id="event_1", previous_item_id="item_0", item=OUTPUT),
    server.ItemRetrieved(event_id="event_1", item=MESSAGE),
    server.ItemTruncated(event_id="event_1", item_id="item_1", content_index=0, audio_end_ms=5),
    server.ItemDeleted(event_id="event_1", item_id="item_1"),
    server.InputTranscriptionDelta(event_id="event_1", item_id="item_1", content_index=0, delta="a"),
    server.InputTranscriptionCompleted(
        event_id="event_1", item_id="item_1", content_index=0, transcript="a", usage=DurationUsage(seconds=1)
    ),
    server.InputTranscriptionCompleted(
        event_id="event_1",
        item_id="item_1",
        content_index=0,
        transcript="a",
        usage=TokenTranscriptionUsage(total_tokens=2, input_tokens=1, output_tokens=1),
        logprobs=(TokenLogprob(token="a", logprob=-0.5, bytes=(97,)),),
    ),
    server.InputTranscriptionFailed(
        event_id="event_1",
        item_id="item_1",
        content_index=0,
        error=server.TranscriptionError(type="transcription_error", message="m"),
    ),
    server.InputAudioCommitted(event_id="event_1", previous_item_id=None, item_id="item_1"),
    server.InputAudioCleared(event_id="event_1"),
    server.SpeechStarted(event_id="event_1", audio_start_ms=0, item_id="item_1"),
    server.SpeechStopped(event_id="event_1", audio_end_ms=9, item_id="item_1"),
    server.TimeoutTriggered(event_id="event_1", audio_start_ms=0, audio_end_ms=9, item_id="item_1"),
    server.OutputAudioStarted(event_id="event_1", response_id="resp_1"),
    server.OutputAudioStopped(event_id="event_1", response_id="resp_1"),
    server.OutputAudioCleared(event_id="event_1", response_id="resp_1"),
    server.ResponseCreated(event_id="event_1", response=RESPONSE),
    server.ResponseDone(event_id="event_1", response=DONE),
    server.ResponseDone(event_id="event_1", response=FAILED),
    server.OutputItemAdded(event_id="event_1", response_id="resp_1", output_index=0, item=CALL),
    server.OutputItemDone(event_id="event_1", response_id="resp_1", output_index=0, item=MESSAGE),
    server.ContentPartAdded(event_id="event_1", part=server.AudioPart(transcript=""), **IDS),
    server.ContentPartDone(event_id="event_1", part=server.TextPart(text="a"), **IDS),
    server.TextDelta(event_id="event_1", delta="a", **IDS),
    server.TextDone(event_id="event_1", text="a", **IDS),
    server.TranscriptDelta(event_id="event_1", delta="会話", **IDS),
    server.TranscriptDone(event_id="event_1", transcript="会話", **IDS),
    server.AudioDelta(event_id="event_1", delta=b"\0\1\2\3", **IDS),
    server.AudioDone(event_id="event_1", **IDS),
    server.ArgumentsDelta(
        event_id="event_1",
        response_id="resp_1",
        item_id="item_2",
        output_index=0,
        call_id="call_1",
        delta="{",
    ),
    server.ArgumentsDone(
        event_id="event_1",
        response_id="resp_1",
        item_id="item_2",
        output_index=0,
        call_id="call_1",
        name="f",
        arguments="{}",
    ),
    server.McpListToolsInProgress(event_id="event_1", item_id="item_3"),
    server.McpListToolsCompleted(event_id="event_1", item_id="item_3"),
    server.McpListToolsFailed(event_id="event_1", item_id="item_3"),
    server.McpArgumentsDelta(
        event_id="event_1", response_id="resp_1", item_id="item_4", output_index=0, delta="{"
    ),
    server.McpArgumentsDone(
        event_id="event_1", response_id="resp_1", item_id="item_4", output_index=0, arguments="{}"
    ),
    server.McpCallInProgress(event_id="event_1", output_index=0, item_id="item_4"),
    server.McpCallCompleted(event_id="event_1", output_index=0, item_id="item_4"),
    server.McpCallFailed(event_id="event_1", output_index=0, item_id="item_4"),
    server.RateLimitsUpdated(
        event_id="event_1",
        rate_limits=(server.RateLimit(name="tokens", limit=9, remaining=8, reset_seconds=0.0),),
    ),
    server.Failed(
        event_id="event_1",
        error=server.ErrorDetail(
            type="invalid_request_error", code="x", message="m", param=None, event_id=None
        ),
    ),
]

CLIENT_SAMPLES = [
    client.SettingsChanged(
        session=config.SessionUpdate(
            type="realtime",
            instructions="",
            tools=(config.FunctionTool(name="f", parameters={}),),
            audio=config.SessionAudioUpdate(input=config.AudioInputUpdate(turn_detection=None)),
        )
    ),
    client.AudioAppended(audio=b"\0\1"),
    client.AudioAppended(event_id="e", audio=b"\0\1"),
    client.AudioCommitted(event_id="e"),
    client.AudioCleared(),
    client.OutputAudioCleared(),
    client.ItemCreated(item=USER_TEXT, previous_item_id="root"),
    client.ItemCreated(item=items.FunctionCallOutput(call_id="c", output="o")),
    client.ItemRetrieveRequested(item_id="i"),
    client.ItemTruncateRequested(item_id="i", content_index=0, audio_end_ms=5),
    client.ItemDeleteRequested(item_id="i"),
    client.ResponseRequested(),
    client.ResponseRequested(
        response=client.ResponseParams(conversation="none", input=(USER_TEXT,), metadata={"a": "b"})
    ),
    client.ResponseCancelled(response_id="resp_1"),
    client.ResponseCancelled(),
]
