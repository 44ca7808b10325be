"""The other processes of a house: asked how they are, all at once and not for long.

Knows where they are and that they answer as this one does; adds nothing up.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from starlette.requests import Request

from kaiwa.server.cluster.crossing import Refused
from kaiwa.server.cluster.directory import Seen
from kaiwa.server.cluster.house import Cluster
from kaiwa.server.forwarding import Unreachable
from kaiwa.server.status.answer import ProcessCondition, ProcessState, StatusAnswer
from kaiwa.server.status.sums import in_short, summed

PATIENCE_S: Final = 2.0
"""Who does not answer in that time is told of as silent: the page asks again as often."""
Heard = StatusAnswer | ProcessCondition


class Processes:
    """The house as its processes tell of it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def together(self, request: Request, own: StatusAnswer, newest: int) -> StatusAnswer:
        """Return one answer for all processes, with so many of the newest measurements of each kind."""
        others = (await self._cluster.directory.seen())[1:]
        heard = await asyncio.gather(*(self._ask(request, one) for one in others))
        told = [one for one in heard if isinstance(one, StatusAnswer)]
        states = [in_short(own), *(_state(seen, one) for seen, one in zip(others, heard, strict=True))]
        return msgspec.structs.replace(summed([own, *told], newest), processes=states)

    async def alone(self, request: Request, mark: str) -> StatusAnswer | None:
        """Return what another process tells of itself; None: it is none, or does not answer."""
        for seen in (await self._cluster.directory.seen())[1:]:
            if seen.holder.process == mark:
                heard = await self._ask(request, seen)
                return heard if isinstance(heard, StatusAnswer) else None
        return None

    async def _ask(self, request: Request, seen: Seen) -> Heard:
        if seen.lost:
            return "lost"
        if not self._cluster.directory.here.reaches(seen.holder):
            return "out_of_reach"
        try:
            async with asyncio.timeout(PATIENCE_S):
                text = await self._cluster.crossing.text_of(request, seen.holder)
            return msgspec.json.decode(text, type=StatusAnswer)
        except (Unreachable, TimeoutError):
            return "silent"
        except Refused:
            return "refused"
        except msgspec.DecodeError:
            return "other_version"


def _state(seen: Seen, heard: Heard) -> ProcessState:
    if isinstance(heard, StatusAnswer):
        return in_short(heard)
    machine = seen.holder.machine.partition(" ")[0]
    return ProcessState(process=seen.holder.process, machine=machine, state=heard, seen_ago_s=seen.ago_s)
