"""The embedded dialogue engine: a deterministic chat model that works from any tools it is given."""

from kaiwa.engines.dialogue.model import DialogueModel

__all__ = ["DialogueModel"]
