"""What a function puts into a `signalR` output: messages and changes of groups (rule S-59).

Knows the JSON of the binding and is pure; who delivers it is another matter. Source: the output binding of
the Functions extension for Azure SignalR Service.
"""

from __future__ import annotations

from typing import Any, Final, Literal, cast

import msgspec

from kaiwa.errors import KaiwaError
from kaiwa.functions.troubles import Trouble, bad_message

Change = Literal["add", "remove", "removeAll"]
MAX_ACTIONS: Final = 10_000


class BindingError(KaiwaError):
    """A function gave a binding what it cannot use, or a binding asks for what is not there."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(str(trouble))
        self.trouble = trouble


class SignalRMessage(msgspec.Struct, frozen=True):
    """To one connection, else one user, else one group, else everybody."""

    target: str
    arguments: list[Any]
    connection_id: str = ""
    user_id: str = ""
    group: str = ""


class GroupAction(msgspec.Struct, frozen=True):
    action: Change
    group: str = ""
    connection_id: str = ""
    user_id: str = ""


SignalRAction = SignalRMessage | GroupAction


def actions_of(text: str) -> list[SignalRAction]:
    """Return what an output asks for, in its order. Raises BindingError."""
    try:
        read: Any = msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise BindingError(bad_message("is no JSON", "が JSON ではありません")) from None
    written = cast(list[Any], read) if isinstance(read, list) else [read]
    if len(written) > MAX_ACTIONS:
        raise BindingError(
            bad_message(f"has more than {MAX_ACTIONS} entries", f"の要素が {MAX_ACTIONS} を超えています")
        )
    return [_action(each) for each in written]


def _action(written: Any) -> SignalRAction:
    if not isinstance(written, dict):
        raise BindingError(bad_message(f"holds a {_kind(written)}", f"に {_kind(written)} が含まれています"))
    fields = {str(name).lower(): value for name, value in cast(dict[Any, Any], written).items()}
    return _group_action(fields) if fields.get("action") else _message(fields)


def _message(fields: dict[str, Any]) -> SignalRMessage:
    target, arguments = fields.get("target"), fields.get("arguments", [])
    if not isinstance(target, str) or not target:
        raise BindingError(bad_message("has an entry without a target", "に target のない要素があります"))
    if not isinstance(arguments, list):
        raise BindingError(
            bad_message("has arguments that are no array", "の arguments が配列ではありません")
        )
    return SignalRMessage(
        target=target,
        arguments=cast(list[Any], arguments),
        connection_id=_text(fields, "connectionid"),
        user_id=_text(fields, "userid"),
        group=_text(fields, "groupname"),
    )


def _group_action(fields: dict[str, Any]) -> GroupAction:
    change = {"add": "add", "remove": "remove", "removeall": "removeAll"}.get(str(fields["action"]).lower())
    if change is None:
        raise BindingError(
            bad_message(
                "has an action other than add, remove and removeAll",
                "の action が add、remove、removeAll のいずれでもありません",
            )
        )
    action = GroupAction(
        cast(Change, change),
        _text(fields, "groupname"),
        _text(fields, "connectionid"),
        _text(fields, "userid"),
    )
    if not (action.group or change == "removeAll"):
        raise BindingError(
            bad_message("has an action without a groupName", "に groupName のない action があります")
        )
    if not (action.connection_id or action.user_id):
        raise BindingError(
            bad_message(
                "has an action without connectionId or userId",
                "に connectionId も userId もない action があります",
            )
        )
    return action


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return "" if value is None else str(value)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    return "string" if isinstance(value, str) else "number or boolean"
