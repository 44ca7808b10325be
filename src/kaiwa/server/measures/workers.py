"""One page of figures for all workers of a machine: each worker's own, with a label that says whose it is.

Knows Prometheus' text; nothing of what is counted.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from kaiwa.server.cluster.crossing import Refused
from kaiwa.server.cluster.directory import Holder
from kaiwa.server.cluster.house import Cluster
from kaiwa.server.forwarding import FORWARDED, Unreachable
from kaiwa.server.measures.house import Measures

UP: Final = "kaiwa_worker_up"
_ABOUT: Final = re.compile(r"# (?:HELP|TYPE|UNIT) (\S+)")
_END: Final = "# EOF"


class WorkersMeasures:
    """Answers `GET /metrics`, whichever worker is asked."""

    def __init__(self, own: Measures, cluster: Cluster) -> None:
        self._own = own
        self._cluster = cluster

    async def page(self, request: Request) -> Response:
        response, place = await self._own.page(request), self._cluster.place
        if place.count == 1 or FORWARDED in request.headers:
            return response
        siblings = await self._cluster.siblings()
        told = await asyncio.gather(*(self._page_of(request, holder) for holder in siblings.values()))
        pages = {place.number: bytes(response.body).decode(), **dict(zip(siblings, told, strict=True))}
        headers = {name: response.headers[name] for name in ("content-type", "cache-control")}
        return Response(together(dict(sorted(pages.items()))), headers=headers)

    async def _page_of(self, request: Request, holder: Holder | None) -> str | None:
        if holder is None:
            return None
        try:
            return await self._cluster.crossing.text_of(request, holder)
        except (Unreachable, Refused):
            return None


def together(pages: Mapping[int, str | None]) -> str:
    """Return one page of several workers' pages by number; None: that worker did not answer."""
    about: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    ends = False
    for worker, page in pages.items():
        family, known = "", ""
        for line in (page or "").splitlines():
            if line == _END:
                ends = True
            elif (named := _ABOUT.match(line)) is not None:
                if named[1] != family:
                    family, known = named[1], named[1] if named[1] in about else ""
                if not known:
                    about.setdefault(family, []).append(line)
            elif line:
                samples.setdefault(family, []).append(_labelled(line, worker))
    about[UP] = [f"# HELP {UP} 1 where a worker told its figures.", f"# TYPE {UP} gauge"]
    samples[UP] = [
        f'{UP}{{worker="{worker}"}} {0 if page is None else 1}.0' for worker, page in pages.items()
    ]
    lines = [line for family, words in about.items() for line in (*words, *samples.get(family, ()))]
    return "\n".join([*lines, *([_END] if ends else []), ""])


def _labelled(sample: str, worker: int) -> str:
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{worker="{worker}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{worker="{worker}"}} {value}'
