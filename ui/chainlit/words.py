"""Every sentence that the page says by itself, in Japanese and English. Chainlit brings its own words."""

# ruff: noqa: E501  sentences stay whole

from __future__ import annotations

from typing import Final

JA: Final = {
    "author": "kaiwa",
    "hearing": "…",
    "running": "実行中",
    "lost": "結果不明（接続が切れました）",
    "failed": "失敗",
    "unreachable": "**会話サーバーにつながりません。** `make run` で起動しているか、`KAIWA_URL`（{url}）が正しいか確かめてください。",
    "invalid_api_key": "**キーが違います。** `KAIWA_API_KEY` をサーバーと同じ値にして、起動し直してください。",
    "invalid_api_key_keyed": "**キーが使えません。** いったんログアウトして、有効なキーで入り直してください。",
    "model_not_found": "**その話し相手はいません。** 設定で別の相手を選んでください。（{detail}）",
    "server_busy": "**ただいま満席です。** 少し待ってからもう一度お試しください。（上限は `KAIWA_MAX_SESSIONS`）",
    "refused": "**サーバーに断られました。** {detail}",
    "server_said": "**サーバーからの知らせ：** {detail}",
    "again": "つなぎ直しています…",
    "back": "つなぎ直しました。ここまでの会話は伝えてあります。",
    "NotAllowedError": "**マイクの使用が許可されていません。** アドレス欄の左にある設定アイコンからマイクを「許可」にして、もう一度ボタンを押してください。文字でも話せます。",
    "NotFoundError": "**マイクが見つかりません。** マイクをつなぎ、OS の設定で入力装置として選ばれているか確かめてください。文字でも話せます。",
    "NotReadableError": "**マイクを開けません。** ほかのアプリが使っている可能性があります。閉じてから、もう一度お試しください。文字でも話せます。",
    "no_microphone": "**マイクを使えませんでした。** ブラウザーは https か localhost のページにだけマイクを許します。文字でも話せます。",
    "interrupted": "中断",
    "agent": "話す相手",
    "voice": "声",
    "voice_about": "「おまかせ」なら、その相手の声です。",
    "language": "話す言葉",
    "vad": "話し終わりの判断",
    "vad_server": "無音の長さで（server_vad）",
    "vad_semantic": "言葉の意味も見て（semantic_vad）",
    "threshold": "音声とみなすしきい値",
    "silence_ms": "話し終わりとみなす無音（ミリ秒）",
    "instructions": "指示",
    "instructions_about": "空のままなら、その相手の指示です。",
    "debug": "イベントを表示（デバッグ）",
    "debug_title": "イベント",
    "own_voice": "おまかせ",
}

EN: Final = {
    "author": "kaiwa",
    "hearing": "…",
    "running": "running",
    "lost": "outcome unknown (the connection was lost)",
    "failed": "failed",
    "unreachable": "**The conversation server does not answer.** See whether `make run` is running and `KAIWA_URL` ({url}) is right.",
    "invalid_api_key": "**The key is wrong.** Set `KAIWA_API_KEY` to the server's and start again.",
    "invalid_api_key_keyed": "**The key cannot be used.** Log out and come in with a valid one.",
    "model_not_found": "**There is no such agent.** Choose another one in the settings. ({detail})",
    "server_busy": "**All sessions are in use.** Wait a moment and try again. (`KAIWA_MAX_SESSIONS` is the bound.)",
    "refused": "**The server refused.** {detail}",
    "server_said": "**The server says:** {detail}",
    "again": "Connecting again…",
    "back": "Connected again. The agent has been told the conversation so far.",
    "NotAllowedError": "**The microphone is not allowed.** Allow it by the icon left of the address and press the button again. You can also type.",
    "NotFoundError": "**No microphone was found.** Plug one in and see that the system has chosen it as its input. You can also type.",
    "NotReadableError": "**The microphone cannot be opened.** Another program may be using it; close that and try again. You can also type.",
    "no_microphone": "**The microphone could not be used.** Browsers allow it to pages at https or localhost only. You can also type.",
    "interrupted": "interrupted",
    "agent": "Agent",
    "voice": "Voice",
    "voice_about": "Left alone it is the agent's own.",
    "language": "Language",
    "vad": "How a turn ends",
    "vad_server": "By silence (server_vad)",
    "vad_semantic": "By the meaning too (semantic_vad)",
    "threshold": "Threshold of what counts as voice",
    "silence_ms": "Silence that ends a turn (milliseconds)",
    "instructions": "Instructions",
    "instructions_about": "Left empty they are the agent's own.",
    "debug": "Show events (debug)",
    "debug_title": "Events",
    "own_voice": "The agent's own",
}

AGENTS: Final = {
    "concierge": {
        "ja": "コンシェルジュ（予約・天気・資料検索）",
        "en": "Concierge (booking, weather, search)",
    },
    "rentacar": {"ja": "レンタカー予約", "en": "Rental car desk"},
    "weather": {"ja": "天気", "en": "Weather"},
    "library": {"ja": "資料検索", "en": "Library"},
    "kaiwa-local": {"ja": "素のエンジン", "en": "Plain engine"},
}


def words_for(language: str | None) -> dict[str, str]:
    """Japanese, unless the browser asks for another language."""
    return JA if not language or language.lower().startswith("ja") else EN


def agent_title(name: str, language: str) -> str:
    titles = AGENTS.get(name)
    return titles[language] if titles else name
