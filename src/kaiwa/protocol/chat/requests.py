"""Completions and responses as a client asks for them: read, checked, told as one kind of question. Pure.

Source: OpenAI API reference, "Chat Completions", "Responses" and "Embeddings". What a question cannot be
given here is refused by name; what makes no difference (temperature, seed, metadata) is let pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NoReturn

from msgspec import Meta

from kaiwa.errors import PeerError
from kaiwa.events.config import ForcedFunction, ToolChoice
from kaiwa.events.items import FunctionCall, FunctionCallOutput, InputText, Item, Message, OutputText
from kaiwa.events.tools import ToolSpec
from kaiwa.events.value import Value

Limit = Annotated[int, Meta(ge=1)]
_ELSEWHERE = "The embedded model cannot; a model behind KAIWA_UPSTREAMS may."


class Part(Value, kw_only=True):
    type: str
    text: str | None = None
    refusal: str | None = None


Content = str | tuple[Part, ...] | None


class FunctionNamed(Value, kw_only=True):
    name: str
    arguments: str = "{}"


class CallMade(Value, kw_only=True):
    id: str
    type: str = "function"
    function: FunctionNamed


class ChatMessage(Value, kw_only=True):
    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: Content = None
    tool_calls: tuple[CallMade, ...] = ()
    tool_call_id: str | None = None


class FunctionOffered(Value, kw_only=True):
    name: Annotated[str, Meta(max_length=64)]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolOffered(Value, kw_only=True):
    type: str
    function: FunctionOffered | None = None


class StreamOptions(Value, kw_only=True):
    include_usage: bool = False


class Format(Value, kw_only=True):
    type: str


class ChatCompletionAsked(Value, kw_only=True):
    """The body of `POST …/chat/completions`, as far as it makes a difference."""

    model: str = ""
    messages: tuple[ChatMessage, ...]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None
    n: int = 1
    tools: tuple[ToolOffered, ...] = ()
    tool_choice: Any = "auto"
    parallel_tool_calls: bool = True
    response_format: Format | None = None
    stop: Any = None
    logprobs: bool = False
    modalities: tuple[str, ...] = ()
    functions: Any = None


class InputItem(Value, kw_only=True):
    type: str = "message"
    role: Literal["developer", "system", "user", "assistant"] = "user"
    content: Content = None
    call_id: str | None = None
    name: str | None = None
    arguments: str = "{}"
    output: Content = None


class ResponseTool(Value, kw_only=True):
    type: str
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None


class TextAsked(Value, kw_only=True):
    format: Format | None = None


class ResponseAsked(Value, kw_only=True):
    """The body of `POST …/responses`, as far as it makes a difference."""

    model: str = ""
    input: str | tuple[InputItem, ...]
    instructions: str | None = None
    stream: bool = False
    max_output_tokens: Limit | None = None
    tools: tuple[ResponseTool, ...] = ()
    tool_choice: Any = "auto"
    parallel_tool_calls: bool = True
    text: TextAsked | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    background: bool = False
    metadata: dict[str, Any] | None = None


class EmbeddingAsked(Value, kw_only=True):
    """The body of `POST …/embeddings`. Inputs that are tokens, not words, do not fit."""

    model: str = ""
    input: str | tuple[str, ...]
    dimensions: Annotated[int, Meta(ge=8, le=4096)] | None = None
    encoding_format: Literal["float", "base64"] = "float"


class Question(Value, kw_only=True):
    """What is asked in either API. `usage`: the stream tells at its end what it cost."""

    model: str
    instructions: str
    history: tuple[Item, ...]
    tools: tuple[ToolSpec, ...]
    tool_choice: ToolChoice
    limit: int | None
    stream: bool
    usage: bool
    parallel: bool


def question_of_chat(asked: ChatCompletionAsked) -> Question:
    """Raises PeerError for what cannot be done here, and for messages that do not belong together."""
    _refuse_in_chat(asked)
    tools = tuple(_tool_of_chat(tool, position) for position, tool in enumerate(asked.tools))
    system = [message for message in asked.messages if message.role in ("system", "developer")]
    return Question(
        model=asked.model,
        instructions="\n\n".join(_words(message.content, "messages") for message in system),
        history=tuple(_history(asked.messages)),
        tools=tools,
        tool_choice=_choice(asked.tool_choice, tools),
        limit=asked.max_completion_tokens or asked.max_tokens,
        stream=asked.stream,
        usage=asked.stream_options is not None and asked.stream_options.include_usage,
        parallel=asked.parallel_tool_calls,
    )


def question_of_response(asked: ResponseAsked) -> Question:
    """Raises PeerError for what cannot be done here, and for items that do not belong together."""
    _refuse_in_responses(asked)
    tools = tuple(_tool_of_response(tool, position) for position, tool in enumerate(asked.tools))
    given = (InputItem(content=asked.input),) if isinstance(asked.input, str) else asked.input
    system = [item for item in given if item.type == "message" and item.role in ("system", "developer")]
    instructions = [asked.instructions or "", *(_words(item.content, "input") for item in system)]
    return Question(
        model=asked.model,
        instructions="\n\n".join(text for text in instructions if text),
        history=tuple(_items(given)),
        tools=tools,
        tool_choice=_choice(asked.tool_choice, tools),
        limit=asked.max_output_tokens,
        stream=asked.stream,
        usage=True,
        parallel=asked.parallel_tool_calls,
    )


# --- what is refused ---------------------------------------------------------------------------------


def _refuse_in_chat(asked: ChatCompletionAsked) -> None:
    if not asked.messages:
        _refuse("messages", "'messages' must have at least one message.", "empty_array")
    if asked.n != 1:
        _refuse("n", f"This server gives one answer a request: 'n' must be 1, not {asked.n}.")
    _refuse_format(asked.response_format, "response_format")
    if asked.stop:
        _refuse("stop", f"'stop' cannot be honoured here. {_ELSEWHERE}")
    if asked.logprobs:
        _refuse("logprobs", f"'logprobs' cannot be told here. {_ELSEWHERE}")
    if set(asked.modalities) - {"text"}:
        _refuse("modalities", f"Answers are text here. {_ELSEWHERE}")
    if asked.functions:
        _refuse("functions", "'functions' is the form of 2023. Offer them as 'tools'.")


def _refuse_in_responses(asked: ResponseAsked) -> None:
    _refuse_format(asked.text.format if asked.text else None, "text.format")
    if asked.previous_response_id is not None:
        _refuse("previous_response_id", "Nothing is stored here. Send the earlier items as 'input'.")
    if asked.conversation is not None:
        _refuse("conversation", "Nothing is stored here. Send the earlier items as 'input'.")
    if asked.background:
        _refuse("background", "Nothing is stored here, so an answer cannot be fetched later.")


def _refuse_format(format: Format | None, param: str) -> None:
    if format is not None and format.type != "text":
        _refuse(param, f"Answers have no form but text here. {_ELSEWHERE}")


def _refuse(param: str, message: str, code: str = "unsupported_value") -> NoReturn:
    raise PeerError(code, message, param=param)


# --- messages and items ------------------------------------------------------------------------------


def _history(messages: Sequence[ChatMessage]) -> list[Item]:
    """Return what was said and called. Raises PeerError for a result without its call, or a call without."""
    items: list[Item] = []
    open_calls: set[str] = set()
    for position, message in enumerate(messages):
        place = f"messages[{position}]"
        if message.role in ("system", "developer"):
            continue
        if message.role in ("tool", "function"):
            items.append(_result(message.tool_call_id, message.content, open_calls, place))
            continue
        _all_answered(open_calls, place)
        if (words := _words(message.content, f"{place}.content")) or not message.tool_calls:
            items.append(_said(message.role, words))
        items += [_call(call.id, call.function.name, call.function.arguments) for call in message.tool_calls]
        open_calls |= {call.id for call in message.tool_calls}
    _all_answered(open_calls, "messages")
    return items


def _items(given: Sequence[InputItem]) -> list[Item]:
    items: list[Item] = []
    open_calls: set[str] = set()
    for position, item in enumerate(given):
        place = f"input[{position}]"
        match item.type:
            case "message":
                if item.role not in ("system", "developer"):
                    items.append(_said(item.role, _words(item.content, f"{place}.content")))
            case "function_call":
                if item.call_id is None or item.name is None:
                    _refuse(
                        place, "A function_call has a 'call_id' and a 'name'.", "missing_required_parameter"
                    )
                items.append(_call(item.call_id, item.name, item.arguments))
                open_calls.add(item.call_id)
            case "function_call_output":
                items.append(_result(item.call_id, item.output, open_calls, place))
            case "reasoning":
                continue
            case _:
                _refuse(
                    f"{place}.type", f"An item of type '{item.type[:64]}' means nothing here. {_ELSEWHERE}"
                )
    _all_answered(open_calls, "input")
    return items


def _said(role: str, words: str) -> Message:
    if role == "assistant":
        return Message(role="assistant", content=(OutputText(text=words),))
    return Message(role="user", content=(InputText(text=words),))


def _call(call_id: str, name: str, arguments: str) -> FunctionCall:
    return FunctionCall(call_id=call_id, name=name, arguments=arguments)


def _result(call_id: str | None, content: Content, open_calls: set[str], place: str) -> FunctionCallOutput:
    if call_id is None or call_id not in open_calls:
        _refuse(
            place, "A tool's result must follow the message with its call, by the call's id.", "invalid_value"
        )
    open_calls.discard(call_id)
    return FunctionCallOutput(call_id=call_id, output=_words(content, place))


def _all_answered(open_calls: set[str], place: str) -> None:
    if open_calls:
        text = f"The results of these calls are missing: {', '.join(sorted(open_calls))[:200]}."
        _refuse(place, text, "invalid_value")


def _words(content: Content, place: str) -> str:
    """Return the text. Raises PeerError for images, sound and files."""
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if part.text is None and part.refusal is None:
            _refuse(place, f"Content of type '{part.type[:64]}' is not understood here. {_ELSEWHERE}")
    return "\n".join(part.text or part.refusal or "" for part in content)


# --- tools -------------------------------------------------------------------------------------------


def _tool_of_chat(tool: ToolOffered, position: int) -> ToolSpec:
    if tool.type != "function" or tool.function is None or not tool.function.name:
        _refuse(f"tools[{position}]", f"A tool of type '{tool.type[:64]}' cannot be used here. {_ELSEWHERE}")
    return _spec(tool.function.name, tool.function.description, tool.function.parameters)


def _tool_of_response(tool: ResponseTool, position: int) -> ToolSpec:
    if tool.type != "function" or not tool.name:
        _refuse(f"tools[{position}]", f"A tool of type '{tool.type[:64]}' cannot be used here. {_ELSEWHERE}")
    return _spec(tool.name, tool.description, tool.parameters)


def _spec(name: str, description: str | None, parameters: dict[str, Any] | None) -> ToolSpec:
    return ToolSpec(name=name, description=description or "", parameters=parameters or {})


def _choice(choice: Any, tools: Sequence[ToolSpec]) -> ToolChoice:
    """Return the choice, in either API's form. Raises PeerError for one without such a tool."""
    if choice in ("none", "auto"):
        return choice
    if choice == "required" and tools:
        return "required"
    match choice:
        case {"type": "function", "function": {"name": str(name)}} | {"type": "function", "name": str(name)}:
            if any(tool.name == name for tool in tools):
                return ForcedFunction(name=name)
            _refuse("tool_choice", f"'tools' has no function '{name[:64]}'.", "invalid_value")
        case _:
            _refuse(
                "tool_choice",
                "'tool_choice' is none, auto, required, or a function of 'tools'.",
                "invalid_value",
            )
