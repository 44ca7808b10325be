"""What never gets into a cassette, and what is blackened on demand: words, audio, ids.

Knows the names of fields in frames of the Realtime API and of chat completions. A frame in which nothing is
to hide stays the text it was; one in which something is becomes JSON of the same shape.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, Literal, cast
from urllib.parse import parse_qsl, urlencode

import msgspec

Kind = Literal["words", "audio", "ids"]
KINDS: Final[tuple[Kind, ...]] = ("words", "audio", "ids")
HIDDEN: Final = "***"

_SECRET_NAMES: Final = (
    "authorization", "api_key", "api-key", "apikey", "client_secret", "access_token", "refresh_token",
    "id_token", "password", "secret", "authentication", "connection_string", "headers",
)  # fmt: skip
_SECRET_FIELD: Final = re.compile(r'"(?:' + "|".join(_SECRET_NAMES) + r')"\s*:', re.IGNORECASE)
# Keys of OpenAI, ephemeral keys, JSON web tokens.
_SECRET_TEXT: Final = re.compile(
    r"\b(?:sk-[\w-]{16,}|ek_\w{16,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)|\bBearer [\w.~+/-]{20,}=*"
)
_QUERY_SECRETS: Final = frozenset(
    {"api-key", "api_key", "authorization", "access_token", "code", "sig", "token"}
)
# kaiwa's own: who has the token may take the conversation over while it lives (docs/resume.md).
_RESUME: Final = "resume"
_NO_TOKENS: Final = ("on", "event")
_RESUME_FRAME: Final = '"kaiwa.session.resum'
_RESUME_TOKEN: Final = re.compile(r'("token"\s*:\s*")[^"]*')
_WORDS: Final = frozenset(
    {
        "text",
        "transcript",
        "delta",
        "instructions",
        "arguments",
        "output",
        "prompt",
        "content",
        "refusal",
        "input",
    }
)
_AUDIO_TYPES: Final = frozenset(
    {"input_audio_buffer.append", "response.output_audio.delta", "response.audio.delta"}
)
_SNIFFED: Final = 160
_ROOT: Final = "root"


def is_audio(frame: str) -> bool:
    """Tell from its beginning whether a frame is mostly sound."""
    start = frame[:_SNIFFED]
    return any(f'"{kind}"' in start for kind in _AUDIO_TYPES)


def is_id_field(name: str) -> bool:
    return name == "id" or name.endswith("_id")


def without_credentials(path: str, query: str) -> str:
    """Return path and query of a request with the credentials of the query left out."""
    kept = [
        (name, value)
        for name, value in parse_qsl(query, keep_blank_values=True)
        if name.lower() not in _QUERY_SECRETS and (name != _RESUME or value in _NO_TOKENS)
    ]
    return f"{path}?{urlencode(kept)}" if kept else path


class Redactor:
    """Blackens one recording: the same id gets the same stand-in throughout.

    `secrets` are texts that must not be seen whatever surrounds them: the keys in use.
    """

    def __init__(self, kinds: Iterable[str] = (), secrets: Iterable[str] = ()) -> None:
        self.kinds = frozenset(kinds)
        unknown = self.kinds - frozenset(KINDS)
        if unknown:
            raise ValueError(f"{sorted(unknown)[0]!r} cannot be redacted; there are {', '.join(KINDS)}")
        self._secrets = tuple(sorted({one for one in secrets if len(one) >= 4}, key=len, reverse=True))
        self._ids: dict[str, str] = {}

    def frame(self, text: str) -> str:
        """Return a frame as it may be kept."""
        sound = is_audio(text)
        if self._touches(text, sound):
            text = self._rewritten(text)
        return self._without_secrets(text, sound)

    def text(self, text: str) -> str:
        """Return a text that is no frame with the secrets taken out."""
        return self._without_secrets(text, sound=False)

    def _touches(self, text: str, sound: bool) -> bool:
        if "ids" in self.kinds or ("audio" in self.kinds and (sound or '"audio"' in text)):
            return True
        return not sound and ("words" in self.kinds or _SECRET_FIELD.search(text) is not None)

    def _rewritten(self, text: str) -> str:
        try:
            frame: object = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return "" if self.kinds else text
        if not isinstance(frame, dict):
            return text if not self.kinds else ""
        kind = str(cast(dict[str, Any], frame).get("type", ""))
        return msgspec.json.encode(self._value("", frame, kind)).decode()

    def _without_secrets(self, text: str, sound: bool) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        if sound:
            return text
        if _RESUME_FRAME in text[:_SNIFFED]:
            text = _RESUME_TOKEN.sub(rf"\g<1>{HIDDEN}", text)
        return _SECRET_TEXT.sub(HIDDEN, text)

    def _value(self, name: str, value: Any, kind: str) -> Any:
        if name.lower() in _SECRET_NAMES:
            return _hidden(value)
        if isinstance(value, dict):
            entries = cast(dict[str, Any], value)
            return {key: self._value(key, entry, kind) for key, entry in entries.items()}
        if isinstance(value, list):
            return [self._value(name, entry, kind) for entry in cast(list[Any], value)]
        if isinstance(value, str):
            return self._text(name, value, kind)
        return None if name == "logprobs" and "words" in self.kinds else value

    def _text(self, name: str, value: str, kind: str) -> str:
        if name == "audio" or (name == "delta" and kind in _AUDIO_TYPES):
            return _silent(value) if "audio" in self.kinds else value
        if is_id_field(name):
            return self._stand_in(value) if "ids" in self.kinds else value
        if "words" not in self.kinds:
            return value
        if name in ("arguments", "output"):
            return _masked_json(value)
        return _masked(value) if name in _WORDS or name == "token" else value

    def _stand_in(self, value: str) -> str:
        if not value or value == _ROOT:
            return value
        kind = re.split(r"[_-]", value, maxsplit=1)[0][:8] if re.match(r"[a-z]+[_-]", value) else "id"
        return self._ids.setdefault(value, f"{kind}_{len(self._ids) + 1}")


def _hidden(value: Any) -> Any:
    """Return a secret with its shape kept, so that a reader of the frame does not stumble."""
    if isinstance(value, dict):
        return {name: _hidden(entry) for name, entry in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_hidden(entry) for entry in cast(list[Any], value)]
    return HIDDEN if isinstance(value, str) else value


def _silent(audio: str) -> str:
    return "A" * len(audio.rstrip("=")) + "=" * (len(audio) - len(audio.rstrip("=")))


def _masked(text: str) -> str:
    return "".join("x" if char.isalnum() else char for char in text)


def _masked_json(text: str) -> str:
    """Mask the values of an object written as text, and keep its keys; other texts are masked whole."""
    try:
        value: object = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return _masked(text)
    return msgspec.json.encode(_masked_value(value)).decode()


def _masked_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked_value(entry) for name, entry in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [_masked_value(entry) for entry in cast(list[Any], value)]
    if isinstance(value, str):
        return _masked(value)
    return value if isinstance(value, bool) or value is None else 0
