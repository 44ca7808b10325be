"""The page at `/`: what runs here and how to reach it, Japanese and English. No scripts, no foreign hosts."""

from __future__ import annotations

from html import escape

_PAGE = """<!doctype html><html lang="ja"><meta charset="utf-8"><title>kaiwa 会話</title>
<meta name="viewport" content="width=device-width"><style>
body{{font:16px/1.7 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}}
:root{{color-scheme:light dark}}
code{{background:#8882;padding:.1em .4em;border-radius:.3em}}pre{{background:#8882;padding:1em;overflow:auto}}
</style><h1>会話 kaiwa</h1>
<p>サーバーは動いています。Realtime API のクライアントを次の住所につないでください。<br>
The server is running. Connect any Realtime API client to:</p>
<pre>ws://{host}/v1/realtime?model=gpt-realtime
ws://{host}/openai/v1/realtime?model=gpt-realtime</pre>
<p>エージェント / agents (<code>?model=</code>): {agents}</p>
<p>音声の予約デモ / a spoken booking in the terminal: <code>make demo</code></p></html>"""


def welcome_page(host: str, agents: list[str]) -> str:
    names = ", ".join(f"<code>{escape(name)}</code>" for name in agents)
    return _PAGE.format(host=escape(host), agents=names)
