"""One process that spends from a budget in Redis until it is told to stop, and says how much it spent.

Words: address, limit, pieces, what to do at the end (settle or die).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from kaiwa.errors import UpstreamError
from kaiwa.policy.amounts import Amount, Limit, Want
from kaiwa.policy.caller import Caller
from kaiwa.policy.holds import LimitReached
from kaiwa.policy.redis import RedisLedger

PIECE = 7
LEASE_S = 1.5


async def stream(ledger: RedisLedger, who: Caller, pieces: int) -> int:
    want = Want(most=Amount(requests=1, tokens=200), least=Amount(requests=1, tokens=1))
    try:
        hold = await ledger.reserve(who, want)
    except UpstreamError:  # a machine with much to do: Redis took its time
        return 0
    if isinstance(hold, LimitReached):
        return 0
    used = 0
    with hold:
        for _ in range(pieces):
            used += PIECE
            if not hold.spend(Amount(tokens=PIECE)):
                break
            await asyncio.sleep(0.001)
    return used


async def main(url: str, most: int, pieces: int, end: str) -> None:
    who = Caller(id="everybody", limits=(Limit(kind="tokens", per="day", most=most),))
    ledger = RedisLedger(url, lease_s=LEASE_S, away="closed")
    async with ledger.running():
        if end == "die":
            hold = await ledger.reserve(who, Want(most=Amount(tokens=most)))
            assert not isinstance(hold, LimitReached)
            sys.stdout.write("holding\n")
            sys.stdout.flush()
            await asyncio.sleep(30)
            os.kill(os.getpid(), signal.SIGKILL)
        spent = 0
        for _ in range(4):
            spent += sum(await asyncio.gather(*(stream(ledger, who, pieces) for _ in range(10))))
    sys.stdout.write(f"{spent}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
