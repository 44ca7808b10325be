"""The openai package's own models as a judge of what kaiwa writes and reads."""

from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import TypeAdapter

_SERVER = TypeAdapter(RealtimeServerEvent)
_CLIENT = TypeAdapter(RealtimeClientEvent)


def validate_with_openai(event):
    """Return the package's model of a server event, given as a dict or a frame; raise if it fits none."""
    return _SERVER.validate_json(event) if isinstance(event, str | bytes) else _SERVER.validate_python(event)


def validate_client_event_with_openai(frame):
    return _CLIENT.validate_json(frame)
