"""The exception tree. Knows wire error codes; does not know how an error is framed or sent."""

from __future__ import annotations

from typing import Final

INVALID_REQUEST: Final = "invalid_request_error"
SERVER_ERROR: Final = "server_error"


class KaiwaError(Exception):
    """Root of everything kaiwa raises on purpose."""


class PeerError(KaiwaError):
    """The peer broke the protocol; answered with an `error` event, the conversation goes on.

    `code` and `message` follow the service's own wording (Realtime API reference, error table);
    `param` is a dotted path such as `session.audio.output.voice`, or None;
    `event_id` is the id of the offending client event, or None.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        event_id: str | None = None,
        type: str = INVALID_REQUEST,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.event_id = event_id
        self.type = type


class UpstreamError(KaiwaError):
    """A model or service we depend on failed. `retryable` says whether another try may succeed."""

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable


class ToolError(KaiwaError):
    """A tool refuses or fails with a sentence that the model may read."""


class ConfigError(KaiwaError):
    """A setting is wrong. Names the setting and says how to mend it."""

    def __init__(self, setting: str, problem: str, remedy: str) -> None:
        super().__init__(f"{setting}: {problem} {remedy}")
        self.setting = setting
        self.problem = problem
        self.remedy = remedy


class MissingPackage(ConfigError):
    """What a setting or a command asks for needs a package that only an extra of kaiwa brings.

    `otherwise` are a sentence in English and one in Japanese that tell what may be done instead.
    """

    def __init__(
        self, setting: str, package: str, extra: str, *, otherwise: tuple[str, str] | None = None
    ) -> None:
        install = f"pip install 'kaiwa[{extra}]'"
        english, japanese = otherwise or ("", "")
        super().__init__(
            setting,
            f"needs {package}, which is not installed.",
            f"Install it: {install}. {english}".rstrip()
            + f"\n  {package} がありません。{install} で入ります。{japanese}",
        )


class AudioFormatError(KaiwaError):
    """Bytes do not fit the audio format they were declared to have."""
