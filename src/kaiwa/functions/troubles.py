"""What goes wrong with Functions apps, told in English and Japanese with the way to mend it.

Knows sentences and what they are recognised by; reads no file and writes no log. A trouble's text may name
functions, bindings, settings and files, and never a value.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from kaiwa.errors import ConfigError


class Trouble(msgspec.Struct, frozen=True):
    code: str
    english: str
    japanese: str

    def __str__(self) -> str:
        return f"{self.english} / {self.japanese}"

    def error(self, place: str) -> ConfigError:
        return ConfigError(place, self.english, f"\n  {self.japanese}")


STORAGE: Final = "127.0.0.1:10000"

_WITHOUT_HTTP: Final = (
    "unable to encode outgoing TypedData",
    "without a $return binding",
    'return annotation "HttpResponse" does not match binding type',
)

NO_SIGNALR_MESSAGE: Final = Trouble(
    "no_signalr_message",
    "azure.functions has no SignalRMessage. Declare the output as `signalRMessages: func.Out[str]` and set it "
    'to JSON: signalRMessages.set(json.dumps([{"target": "token", "arguments": [text]}])).',
    "azure.functions に SignalRMessage はありません。出力を `signalRMessages: func.Out[str]` と宣言し、"
    'JSON を渡してください: signalRMessages.set(json.dumps([{"target": "token", "arguments": [text]}]))。',
)
NO_HTTP_OUTPUT: Final = Trouble(
    "no_http_output",
    "The function returns an HTTP response but has no HTTP output, hence 'unable to encode TypedData'. Add "
    '{"type": "http", "direction": "out", "name": "$return"} to the bindings in its function.json.',
    "関数は HTTP 応答を返しますが HTTP 出力がないため「unable to encode TypedData」になります。function.json の "
    'bindings に {"type": "http", "direction": "out", "name": "$return"} を加えてください。',
)
NO_STORAGE: Final = Trouble(
    "no_storage",
    f"AzureWebJobsStorage is UseDevelopmentStorage=true, but no storage emulator answers at {STORAGE}. Start "
    "one (npx azurite), or set AzureWebJobsStorage to a storage account. HTTP and SignalR need none.",
    f"AzureWebJobsStorage は UseDevelopmentStorage=true ですが、{STORAGE} でストレージ エミュレーターが応答しません。"
    "起動するか (npx azurite)、ストレージ アカウントの接続文字列を設定してください。HTTP と SignalR だけなら不要です。",
)
SERVERLESS: Final = Trouble(
    "serverless_required",
    "AzureSignalRConnectionString names an Azure SignalR Service: its service mode must be Serverless "
    "(Settings of the resource), or clients are refused. Empty the setting to use kaiwa's own hub.",
    "AzureSignalRConnectionString は Azure SignalR Service を指しています。リソースの設定でサービス モードを "
    "Serverless にしないとクライアントは拒否されます。空にすると kaiwa 自身のハブを使います。",
)
SERVICE_REFUSED: Final = Trouble(
    "signalr_service_refused",
    "The Azure SignalR Service took no message. Check AzureSignalRConnectionString (Endpoint and AccessKey) and "
    "that its service mode is Serverless.",
    "Azure SignalR Service がメッセージを受け付けませんでした。AzureSignalRConnectionString (Endpoint と AccessKey) と、"
    "サービス モードが Serverless であることを確認してください。",
)
SERVICE_AWAY: Final = Trouble(
    "signalr_service_away",
    "The Azure SignalR Service could not be reached, or is too busy. Check the Endpoint of "
    "AzureSignalRConnectionString and the network; empty the setting to use kaiwa's own hub.",
    "Azure SignalR Service に接続できないか、混雑しています。AzureSignalRConnectionString の Endpoint とネットワークを"
    "確認してください。空にすると kaiwa 自身のハブを使います。",
)
NO_LOCAL_SETTINGS: Final = Trouble(
    "no_local_settings",
    "There is no local.settings.json here. Copy local.settings.json.example, or set the values as environment "
    "variables.",
    "local.settings.json がありません。local.settings.json.example をコピーするか、環境変数で値を設定してください。",
)
TIMED_OUT: Final = Trouble(
    "function_timed_out",
    "The function took longer than functionTimeout in host.json; its worker was started anew.",
    "関数が host.json の functionTimeout を超えたため、ワーカーを再起動しました。",
)
WORKER_ENDED: Final = Trouble(
    "worker_ended",
    "The process that runs the functions ended in the middle of the call; the log says more.",
    "関数を実行するプロセスが呼び出しの途中で終了しました。詳細はログにあります。",
)
FAILED: Final = Trouble(
    "function_failed",
    "The function raised an exception; the log has it under this invocation.",
    "関数で例外が発生しました。ログのこの呼び出しの箇所を見てください。",
)
BUSY: Final = Trouble(
    "too_many_requests",
    "More requests wait than maxOutstandingRequests in host.json allows.",
    "待機中の要求が host.json の maxOutstandingRequests を超えました。",
)


def empty_name(function: str, kind: str) -> Trouble:
    """A shell that fills in variables turns `"$return"` into `""`: both here-documents and here-strings do."""
    return Trouble(
        "binding_name_invalid",
        f"Function {function}: the binding name of '{kind}' is empty (binding name is invalid). If it was "
        '"$return", the shell ate it while the file was written: quote the here-document '
        "(<<'EOF'), or use @' '@ in PowerShell.",
        f"関数 {function}: '{kind}' のバインディング名 (name) が空です。\"$return\" と書いたのなら、ファイル作成時に"
        "シェルが変数として展開しました。ヒアドキュメントを引用符付き (<<'EOF'、PowerShell では @' '@) にしてください。",
    )


def bad_name(function: str, name: str) -> Trouble:
    return Trouble(
        "binding_name_invalid",
        f"Function {function}: '{name}' is no binding name. Use letters, digits and underscores, or $return.",
        f"関数 {function}: バインディング名 '{name}' は使えません。英数字と下線、または $return にしてください。",
    )


def doubled_name(function: str, name: str) -> Trouble:
    return Trouble(
        "binding_name_doubled",
        f"Function {function}: two bindings are named '{name}'. Give each a name of its own.",
        f"関数 {function}: バインディング名 '{name}' が重複しています。別々の名前にしてください。",
    )


def signalr_as_return(function: str) -> Trouble:
    return Trouble(
        "signalr_named_return",
        f"Function {function}: its SignalR output is named $return, which is the HTTP response's. Name it "
        "signalRMessages, declare `signalRMessages: func.Out[str]`, and keep $return for 'http'.",
        f"関数 {function}: SignalR 出力の名前が $return になっていますが、これは HTTP 応答の名前です。signalRMessages と"
        "名付け、`signalRMessages: func.Out[str]` と宣言し、$return は http に使ってください。",
    )


def no_http_output(function: str) -> Trouble:
    trouble = NO_HTTP_OUTPUT
    return Trouble(
        trouble.code, f"Function {function}: {trouble.english}", f"関数 {function}: {trouble.japanese}"
    )


def no_setting(name: str) -> Trouble:
    return Trouble(
        "setting_missing",
        f"The setting {name} is missing. Put it under Values in local.settings.json, or into the environment.",
        f"設定 {name} がありません。local.settings.json の Values か環境変数に設定してください。",
    )


def placeholder(name: str) -> Trouble:
    return Trouble(
        "setting_is_placeholder",
        f"The setting {name} still holds the example's placeholder. Put your own value there.",
        f"設定 {name} が見本のままです。ご自分の値に置き換えてください。",
    )


def no_module(name: str) -> Trouble:
    return Trouble(
        "module_missing",
        f"The module {name} is not installed for the functions. Run pip install -r requirements.txt into the "
        "app's .venv, or with --target .python_packages/lib/site-packages.",
        f"モジュール {name} が関数の環境にありません。アプリの .venv に requirements.txt をインストールするか、"
        "pip の --target .python_packages/lib/site-packages を使ってください。",
    )


def mismatch(names: str) -> Trouble:
    return Trouble(
        "parameters_differ",
        f"The function's parameters and the bindings of its function.json differ: {names}. Each binding but "
        "$return needs a parameter of its name.",
        f"関数の引数と function.json の bindings が一致しません: {names}。$return 以外のバインディングには同名の引数が要ります。",
    )


def other_port(port: int) -> Trouble:
    return Trouble(
        "base_url_elsewhere",
        f"FUNCTIONS_BASE_URL names another port than {port}, where this app listens: its calls to itself will fail. "
        f"Set it to http://localhost:{port}, or give that port with --port.",
        f"FUNCTIONS_BASE_URL のポートが、このアプリのポート {port} と異なるため、自分自身への呼び出しが失敗します。"
        f"http://localhost:{port} にするか、--port で合わせてください。",
    )


def not_served(function: str, kind: str) -> Trouble:
    return Trouble(
        "trigger_not_served",
        f"Function {function}: '{kind}' is not run here; HTTP and SignalR triggers are.",
        f"関数 {function}: '{kind}' はここでは動きません。動くのは HTTP と SignalR のトリガーです。",
    )


def bad_message(problem: str, japanese: str) -> Trouble:
    return Trouble(
        "signalr_output_invalid",
        f"The SignalR output {problem}. Set one JSON object or an array of them, each with target and "
        "arguments, or with action and groupName.",
        f"SignalR 出力{japanese}。target と arguments、または action と groupName を持つ JSON オブジェクトか、"
        "その配列を渡してください。",
    )


def of_exception(text: str) -> Trouble | None:
    """Return what an exception of an app or of the worker code means, when it is a known trouble."""
    if "has no attribute 'SignalRMessage'" in text or "cannot import name 'SignalRMessage'" in text:
        return NO_SIGNALR_MESSAGE
    if any(words in text for words in _WITHOUT_HTTP):
        return NO_HTTP_OUTPUT
    if STORAGE in text or re.search(r"127\.0\.0\.1.{0,40}\b10000\b", text):
        return NO_STORAGE
    if found := re.search(r"No module named '([\w.]+)'", text):
        return no_module(found[1])
    if found := re.search(
        r"KeyError: '([A-Z][A-Za-z0-9]*_[A-Za-z0-9_]+|AzureSignalRConnectionString)'", text
    ):
        return no_setting(found[1])
    if found := re.search(r"parameters are declared in [\w.]+ but not in [\w.]+: \{([^}]*)\}", text):
        return mismatch(found[1])
    return None
