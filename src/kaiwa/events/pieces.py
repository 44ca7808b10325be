"""What somebody who asked reads of the answer, piece by piece: for doors that stream text.

The tag is the name of the piece on the wire (`event:` of a typed stream, target of a hub).
"""

from __future__ import annotations

from typing import Literal

from kaiwa.events.value import Value

FinishReason = Literal["stop", "length", "content_filter", "cancelled", "error"]


class _Piece(Value, tag_field="type", kw_only=True):
    pass


class TextPiece(_Piece, tag="text", kw_only=True):
    text: str


class CallPiece(_Piece, tag="tool_call", kw_only=True):
    """A tool was called. `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str


class ProgressPiece(_Piece, tag="tool_progress", kw_only=True):
    """How far a running call is; `fraction` from 0 to 1."""

    call_id: str
    fraction: float
    text: str = ""


class ResultPiece(_Piece, tag="tool_result", kw_only=True):
    """What the model reads of a call's outcome."""

    call_id: str
    output: str


class UsagePiece(_Piece, tag="usage", kw_only=True):
    """Tokens of all responses of the answer; `responses` counts them."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    responses: int = 0


class ErrorPiece(_Piece, tag="error", kw_only=True):
    code: str
    message: str


class NoticePiece(_Piece, tag="notice", kw_only=True):
    """What the house has to say besides the answer; `budget_near`: not much is left of a budget."""

    code: str
    message: str


class FinishPiece(_Piece, tag="finish", kw_only=True):
    """Always the last one."""

    reason: FinishReason


Piece = (
    TextPiece | CallPiece | ProgressPiece | ResultPiece | UsagePiece | ErrorPiece | NoticePiece | FinishPiece
)
