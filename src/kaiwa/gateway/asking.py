"""What a client asks for, read once: which operation, which model, in a stream or not. Opens nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, cast

import msgspec

from kaiwa.errors import PeerError
from kaiwa.policy.caller import ANYBODY, Caller
from kaiwa.policy.holds import Hold
from kaiwa.policy.running import FreeHold
from kaiwa.upstream.pool.deployment import Deployment

Operation = Literal["chat/completions", "responses", "embeddings"]
# Before this version Azure refuses a body with `stream_options`.
_TELLS_USAGE: Final = "2024-09-01"
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `body` is what may be sent; `raw` the bytes that came, and `given` what was read in them.

    `headers` go on to the service; `hold` is its share of the caller's limits. `id` names it for `DELETE` and
    for whoever resumes it.
    """

    id: str
    operation: Operation
    model: str
    body: dict[str, Any]
    raw: bytes = b""
    given: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    size_bytes: int = 0
    headers: Sequence[tuple[str, str]] = ()
    caller: Caller = ANYBODY
    hold: Hold = msgspec.field(default_factory=FreeHold)
    affinity: str | None = None
    resumable: bool = False
    said_trailers: bool = False
    began: float = 0.0

    def __repr__(self) -> str:
        return f"Asked({self.id})"

    @property
    def streams(self) -> bool:
        return self.body.get("stream") is True and self.operation != "embeddings"

    @property
    def choices(self) -> int:
        number = self.body.get("n")
        return number if isinstance(number, int) and number > 0 else 1

    @property
    def wants_usage(self) -> bool:
        """Whether the client itself asked a stream for its usage. Streams of responses always tell it."""
        if self.operation != "chat/completions":
            return True
        options = self.body.get("stream_options")
        return isinstance(options, dict) and cast(dict[str, Any], options).get("include_usage") is True

    def sent_to(self, deployment: Deployment, model: str) -> bytes:
        """Return the body as this deployment wants it: under its own name, and telling its usage.

        For a caller with rules it is written anew: a text that says a member twice may be read differently
        elsewhere.
        """
        changed = dict(self.body)
        tells = deployment.kind != "azure-classic" or (deployment.api_version or "") >= _TELLS_USAGE
        if tells and changed.get("stream") is True and not self.wants_usage:
            options = changed.get("stream_options")
            kept = cast(dict[str, Any], options) if isinstance(options, dict) else {}
            changed["stream_options"] = {**kept, "include_usage": True}
        changed["model"] = model
        if deployment.kind == "azure-classic" and self.given and "model" not in self.given:
            del changed["model"]  # the path names it, as the client's did
        verbatim = None if self.caller.bound else _with_more(self.raw, self.given, changed)
        return verbatim or msgspec.json.encode(changed)


def with_headers(asked: Asked, headers: Sequence[tuple[str, str]]) -> Asked:
    """Return the request with these fields instead of its own of the same names."""
    named = {name for name, _ in headers}
    kept = [field for field in asked.headers if field[0].lower() not in named]
    return msgspec.structs.replace(asked, headers=(*kept, *headers))


def read_body(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of a request. Raises PeerError."""
    try:
        return _OBJECT.decode(raw)
    except msgspec.ValidationError:
        raise PeerError("invalid_type", "The body of your request must be a JSON object.") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise PeerError("invalid_json", "We could not parse the JSON body of your request.") from None


def model_of(body: dict[str, Any], deployment: str | None) -> str:
    """Return the name of the model: the deployment of the path, else what the body says. Raises PeerError."""
    model = deployment or body.get("model")
    if not isinstance(model, str) or not model:
        raise PeerError("missing_required_parameter", "you must provide a model parameter", param="model")
    return model


def _with_more(raw: bytes, given: dict[str, Any], wanted: dict[str, Any]) -> bytes | None:
    """Write what is new behind the members that came; None: some of those are others now, or gone.

    Long prompts are neither written anew nor changed in any letter.
    """
    if not given:
        return None
    same = 0
    for name, value in wanted.items():
        if name in given:
            if given[name] is not value and given[name] != value:
                return None
            same += 1
    if same != len(given):
        return None
    if same == len(wanted):
        return raw
    more = msgspec.json.encode({name: value for name, value in wanted.items() if name not in given})
    return b"%b,%b" % (raw[: raw.rindex(b"}")], more[1:])
