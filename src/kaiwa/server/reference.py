"""`/docs`: the OpenAPI document as a page to read, and `/openapi.json` itself.

The page is plain HTML with one style, made here from the document: no script runs and nothing is loaded.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from kaiwa.server.openapi import Document, document
from kaiwa.server.routes import Entry
from kaiwa.tools.agent import Agent

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem }
details { border: 1px solid #8886; border-radius: .4rem; margin: .4rem 0; padding: .3rem .7rem }
summary { cursor: pointer } code, pre { font: 14px/1.5 ui-monospace, monospace }
pre { overflow-x: auto; background: #8881; padding: .5rem } .method { font-weight: 700 }
h2 { margin-top: 2rem } dt { font-weight: 700 } :root { color-scheme: light dark }
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
}


class Reference:
    """`table` gives the routes once all are known; `agent` is whose functions pages may call."""

    def __init__(self, table: Callable[[], Sequence[Entry]], agent: Agent, *, key_required: bool) -> None:
        self._table = table
        self._agent = agent
        self._key_required = key_required

    async def document(self, request: Request) -> Response:
        """`GET /openapi.json`."""
        return JSONResponse(self._document())

    async def page(self, request: Request) -> Response:
        """`GET /docs`."""
        return HTMLResponse(_page(self._document()), headers=HEADERS)

    def _document(self) -> Document:
        return document(self._table(), self._agent, key_required=self._key_required)


def _page(told: Document) -> str:
    groups: dict[str, list[str]] = {}
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            group = operation.get("tags", ["not described yet"])[0]
            groups.setdefault(group, []).append(_operation(method, path, operation))
    chapters = (f"<h2>{escape(name)}</h2>\n{''.join(entries)}" for name, entries in groups.items())
    schemas = _json(told["components"]["schemas"])
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>kaiwa: HTTP</title><style>{_STYLE}</style></head><body>"
        f"<h1>kaiwa {escape(told['info']['version'])}</h1><p>{escape(told['info']['description'])} "
        '<a href="/openapi.json">openapi.json</a></p>'
        f"{''.join(chapters)}<h2>Schemas</h2>{schemas}</body></html>\n"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [f"<p>{escape(operation['description'])}</p>" if "description" in operation else ""]
    if "parameters" in operation:
        rows = (
            f"<dt><code>{escape(one['name'])}</code> ({one['in']})</dt>"
            f"<dd>{escape(one.get('description', ''))} <code>{escape(json.dumps(one['schema']))}</code></dd>"
            for one in operation["parameters"]
        )
        parts.append(f"<dl>{''.join(rows)}</dl>")
    if "requestBody" in operation:
        parts.append(f"<h4>Takes</h4>{_json(operation['requestBody']['content'])}")
    for status, answer in operation["responses"].items():
        kinds = ", ".join(answer.get("content", {}))
        parts.append(f"<p><b>{status}</b> {escape(answer['description'])} <code>{escape(kinds)}</code></p>")
    return (
        f'<details><summary><span class="method">{method.upper()}</span> <code>{escape(path)}</code> '
        f"{escape(operation.get('summary', ''))}</summary>{''.join(parts)}</details>\n"
    )


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=1, ensure_ascii=False))}</pre>"
