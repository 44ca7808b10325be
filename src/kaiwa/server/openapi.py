"""`/openapi.json`: the table of routes as an OpenAPI 3.1 document.

Knows the form. What a request does is told by its `Operation`; one without any appears with its address only,
so that nothing here is untrue.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec

from kaiwa.server.operations import JSON, Content, Operation, Shape
from kaiwa.server.routes import Entry
from kaiwa.tools.agent import Agent
from kaiwa.tools.outcome import AnyTool

Document = dict[str, Any]
FUNCTION_PATH: Final = "/api/functions/{name}"
_REFERENCE: Final = "#/components/schemas/{name}"
_FIELD: Final = re.compile(r"\{(\w+)(?::\w+)?\}")
_ERROR: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code", "param"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": ["string", "null"]},
                "param": {"type": ["string", "null"]},
            },
        }
    },
}
_WORDS: Final = {
    200: "It is done.",
    400: "The request does not fit.",
    401: "The key is missing or wrong.",
    403: "The page's origin may not ask.",
    404: "There is no such thing.",
    409: "Another process holds it, and cannot be asked from here.",
    413: "The request is too large.",
    422: "The idempotency key was used for another request.",
    429: "A limit of the caller is reached.",
    500: "It broke; the details are in the server's log.",
    503: "There is no room now, or what is needed for it does not run here.",
}
_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "api-key"},
}


def document(table: Sequence[Entry], agent: Agent, *, key_required: bool) -> Document:
    """Return the document. The functions of `agent` stand one by one, with the schemas models get."""
    kinds = _structs(table)
    _, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for entry in table:
        for path in entry.paths:
            for address, body in _addresses(entry, path, agent):
                paths.setdefault(address, {})[entry.method.lower()] = body
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kaiwa",
            "version": version("kaiwa"),
            "description": "HTTP requests only; conversations are held over WebSocket and WebRTC.",
        },
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": dict(_ERROR)},
            **({"securitySchemes": _SCHEMES} if key_required else {}),
        },
        **({"security": [{name: []} for name in _SCHEMES]} if key_required else {}),
    }


def _addresses(entry: Entry, path: str, agent: Agent) -> Iterable[tuple[str, Document]]:
    if path == FUNCTION_PATH and entry.told is not None:
        for function in agent.tools:
            yield path.replace("{name}", function.name), _function(entry, entry.told, function)
        return
    plain = _FIELD.sub(r"{\1}", path)
    yield plain, _operation(entry.method, plain, entry.told)


def _function(entry: Entry, told: Operation, function: AnyTool) -> Document:
    address = FUNCTION_PATH.replace("{name}", function.name)
    body = _operation(entry.method, address, told)
    body["summary"] = function.description or function.name
    # Not the schema for models, which leaves out that a parameter may be null: what is really taken.
    schema = function.signature.model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    needed = bool(schema.get("required"))
    body["requestBody"] = {"required": needed, "content": {JSON: {"schema": _inlined(schema)}}}
    return body


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Give a schema with definitions an id, so that references within it stay within it."""
    return {"$id": f"urn:kaiwa:{schema.get('title')}", **schema} if "$defs" in schema else schema


def _operation(method: str, path: str, told: Operation | None) -> Document:
    body: Document = {"operationId": _name(method, path)}
    fields = _FIELD.findall(path)
    parameters: list[Document] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in fields
    ]
    if told is None:
        body["responses"] = {"default": {"description": "Not described here."}}
        return {**body, "parameters": parameters} if parameters else body
    for one in told.query:
        given = {"name": one.name, "in": one.place, "description": one.about, "schema": dict(one.schema)}
        parameters.append(given)
    body |= {"summary": told.summary, "tags": [told.group]}
    if told.about:
        body["description"] = told.about
    if parameters:
        body["parameters"] = parameters
    if told.takes is not None:
        body["requestBody"] = {"required": told.body_needed, "content": _content(told.takes)}
    if not told.keyed:
        body["security"] = []
    body["responses"] = _responses(told)
    return body


def _responses(told: Operation) -> Document:
    gates = () if not told.gated else (401, 403) if told.keyed else (403,)
    error: Document = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    answers = {status: _content(content) for status, content in told.answers.items()}
    answers |= {status: error for status in (*told.errors, *gates) if status not in answers}
    return {
        str(status): {"description": _WORDS.get(status, "It is done."), "content": content}
        for status, content in sorted(answers.items())
    }


def _content(content: Content) -> Document:
    return {media: {"schema": _schema(shape)} for media, shape in content.items()}


def _schema(shape: Shape) -> Document:
    if isinstance(shape, type):
        (schema,), _ = msgspec.json.schema_components([shape], ref_template=_REFERENCE)
        return schema
    return dict(shape)


def _structs(table: Sequence[Entry]) -> list[type[Any]]:
    contents = [
        content
        for entry in table
        if entry.told is not None
        for content in (*entry.told.answers.values(), entry.told.takes or {})
    ]
    shapes = [shape for content in contents for shape in content.values() if isinstance(shape, type)]
    return list(dict.fromkeys(shapes))


def _name(method: str, path: str) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", path).strip("_") or "root"
    return f"{method.lower()}_{words}"
