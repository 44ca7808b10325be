"""The small expressions in bindings: `%SETTING%`, `{headers.x-name}`, `{query.name}`, `{routeParameter}`.

Pure. What is not there becomes an empty text for a request's part; a missing setting is a trouble.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kaiwa.functions.messages import BindingError
from kaiwa.functions.troubles import no_setting

_SETTING: Final = re.compile(r"%([^%]+)%")
_PART: Final = re.compile(r"\{(?:(headers|query)\.)?([\w.-]+)\}", re.IGNORECASE)


def with_settings(text: str, settings: Mapping[str, str]) -> str:
    """Raises BindingError for a setting that is not there."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in settings:
            raise BindingError(no_setting(found[1]))
        return settings[found[1]]

    return _SETTING.sub(value, text)


def with_request(
    text: str, headers: Mapping[str, str], query: Mapping[str, str], route: Mapping[str, str]
) -> str:
    """`headers` are by lower-case names."""

    def value(found: re.Match[str]) -> str:
        kind, name = (found[1] or "").lower(), found[2]
        if kind == "headers":
            return headers.get(name.lower(), "")
        return query.get(name, "") if kind == "query" else route.get(name, "")

    return _PART.sub(value, text)
