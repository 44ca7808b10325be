"""The hubs of several processes as one, over Redis. Fits `kaiwa.hub.Backplane`.

Everything for all, groups and users passes through Redis, so every client sees it in one order, whichever
server it is at. Redis remembers nothing: while it is away each server delivers to its own clients, and what
the others miss is counted. Nothing is sent twice.

Knows channels and bytes; how a connection works is `link`'s.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import socket
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Final

from kaiwa.errors import ConfigError
from kaiwa.hub.backplane import DONE, Answer, ClientCall, GroupCommand, Handed, House
from kaiwa.hub.redis import wire
from kaiwa.hub.redis.address import SETTING, address_of
from kaiwa.hub.redis.channels import Channels
from kaiwa.hub.redis.flights import Flights
from kaiwa.hub.redis.link import Awaited, Link, Lost, open_link
from kaiwa.hub.redis.resp import Refused, command
from kaiwa.hub.registry import Audience
from kaiwa.protocol.signalr.connection import GONE
from kaiwa.protocol.signalr.encoding import Outgoing

log = logging.getLogger("kaiwa.hub")

QUIET_S: Final = 5.0
"""Redis has hung when it answers nothing for this long while it should."""
FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 5.0
MOST_WAITING_BYTES: Final = 64 * 2**20
"""Full: Redis cannot follow. The connection is given up, as when it is lost, and a new one made."""
MOST_TASKS: Final = 10_000
"""Full: what another server asks of ours is not done, and it gives up by itself."""
CHECK_S: Final = 1.0
"""How often a server that waits for another looks whether that one still lives."""
ACK_S: Final = 30.0
ASKED_S: Final = 300.0
"""How long a client of ours may take to answer another server."""
PARTING_S: Final = 2.0
AWAY: Final = "The other servers cannot be reached at the moment."


class RedisBackplane:
    """`prefix` names the hub: the same in all its servers, another for each hub. Of one that ASP.NET Core
    serves too it is the full name of its class, such as `Shop.ChatHub`; `channel_prefix` is the ChannelPrefix
    of its configuration, if it has one.

    Raises ConfigError for what is no address of a Redis, and at the start when Redis refuses the password or
    is older than 6. One that cannot be reached is no error: the hub serves alone until it is there.
    """

    def __init__(self, url: str, prefix: str, *, channel_prefix: str = "", quiet_s: float = QUIET_S) -> None:
        if not prefix:
            raise ConfigError("prefix", "must not be empty.", "Name the hub, the same in all its servers.")
        self._address = address_of(url)
        self._address.context()
        self.server = f"{socket.gethostname()}_{secrets.token_hex(16)}"
        self._names = Channels(prefix, self.server, channel_prefix)
        self._name = f"kaiwa-hub-{secrets.token_hex(8)}"
        self._number = 0
        self._quiet_s = quiet_s
        self._house: House | None = None
        self._link: Link | None = None
        self._living: asyncio.Task[None] | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._running = 0
        self._watched: dict[bytes, tuple[Audience, int]] = {}
        self._subscribing: asyncio.Future[Any] | None = None
        self._flights = Flights(self._deliver)
        self._alone = 0
        self._acks: dict[int, asyncio.Future[None]] = {}
        self._ack_ids = count(1)
        self._asked: dict[str, asyncio.Future[Answer]] = {}
        self.unreadable = 0
        """Messages that no hub had written."""

    @property
    def lost(self) -> int:
        """How many messages of this server others may not have got."""
        return self._flights.lost + self._alone

    @property
    def is_connected(self) -> bool:
        return self._link is not None

    # Life.

    async def start(self, house: House) -> None:
        self._house = house
        tried = asyncio.Event()
        self._living = asyncio.create_task(self._live(tried))
        try:
            await self._connect()
        except Refused as refused:
            await self.stop()
            raise _mended(refused) from refused
        except (OSError, TimeoutError) as fault:
            log.warning("hub: Redis cannot be reached; serving alone", extra={"cause": type(fault).__name__})
        tried.set()

    async def stop(self) -> None:
        """Give Redis a moment to take what waits for it, then part."""
        if self._link is not None:
            with suppress(OSError, TimeoutError, Refused):
                async with asyncio.timeout(PARTING_S):
                    await self._link.ask(b"PING")
        link, self._link = self._link, None
        if link is not None:
            link.close()
        living, self._living = self._living, None
        if living is not None:
            living.cancel()
            await asyncio.wait([living])
        self._house = self._tasks = None

    async def _live(self, tried: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            await tried.wait()
            while True:
                if self._link is not None:
                    await self._mind(self._link)
                await self._reconnect()

    async def _mind(self, link: Link) -> None:
        """Return when the connection has ended, or has hung and is given up."""
        while not link.over.is_set():
            replies, waited = link.replies, link.waits
            with suppress(TimeoutError):
                async with asyncio.timeout(self._quiet_s):
                    await link.over.wait()
            if link.over.is_set():
                return
            if waited and link.waits and link.replies == replies:
                log.warning("hub: Redis does not answer; connecting again")
                link.abort()
                return
            link.send(command(b"PING"), Awaited())

    async def _reconnect(self) -> None:
        delay = FIRST_DELAY_S
        began = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # not all servers at once
            try:
                await self._connect()
            except (OSError, TimeoutError, Refused) as fault:
                cause = fault.code if isinstance(fault, Refused) else type(fault).__name__
                log.warning("hub: Redis cannot be reached", extra={"cause": cause})
                delay = min(2 * delay, LONGEST_DELAY_S)
                continue
            away_s = round(asyncio.get_running_loop().time() - began, 3)
            log.info("hub: Redis is back", extra={"away_s": away_s, "lost": self.lost})
            return

    async def _connect(self) -> None:
        """Connect and subscribe to everything that is watched. Raises Refused, OSError and TimeoutError."""
        link = await open_link(self._address, self._name, self._heard, self._ended)
        await self._end_former(link)
        names = self._names
        channels = [names.all, names.groups, names.acks, names.returns, *self._watched]
        self._link = link  # what is published from here on comes after the subscriptions
        waiting = link.subscribe(channels)
        try:
            async with asyncio.timeout(self._quiet_s):
                await asyncio.gather(*waiting)
        except BaseException:
            link.abort()
            raise

    async def _end_former(self, link: Link) -> None:
        """Have Redis drop what it has not read of the connection before, if it still has that.

        One that hung would otherwise publish what was given up and delivered here alone. Numbers begin anew
        when Redis does, so the name is looked at. Raises OSError.
        """
        former, self._number = self._number, link.number
        if not former:
            return
        number = str(former).encode()
        with suppress(Refused):  # before 6.2, or not allowed
            listed = await link.ask(b"CLIENT", b"LIST", b"ID", number)
            if f" name={self._name} ".encode() in listed:
                await link.ask(b"CLIENT", b"KILL", b"ID", number)

    def _ended(self, link: Link) -> None:
        if link is self._link:
            self._link = None
            log.warning("hub: the connection to Redis is lost", extra={"lost": self.lost})

    # Sending.

    def publish(self, audience: Audience, message: Outgoing) -> Handed:
        link = self._link
        if link is not None and self._flights.waiting_bytes > MOST_WAITING_BYTES:
            log.warning("hub: too much waits for Redis; connecting again")
            link.abort()
            link = None
        if link is None:
            self._alone += 1
            self._deliver(audience, message)
            return DONE
        channel = self._names.of(audience)
        payload = wire.write_message(message, audience.excluded)
        echoes = audience.kind == "all" or channel in self._watched
        flight = self._flights.leave(audience, message, channel, payload, echoes)
        link.send(command(b"PUBLISH", channel, payload), flight)
        return flight

    def _deliver(self, audience: Audience, message: Outgoing) -> None:
        if self._house is not None:
            self._house.deliver(audience, message)

    async def watch(self, audiences: Sequence[Audience]) -> None:
        """Listen for these too; return when Redis says so for all that were watched up to now, or is away."""
        fresh: list[bytes] = []
        for audience in audiences:
            channel = self._names.of(audience)
            _, watching = self._watched.get(channel, (audience, 0))
            self._watched[channel] = (audience, watching + 1)
            if not watching:
                fresh.append(channel)
        if fresh and self._link is not None:
            self._subscribing = self._link.subscribe(fresh)[-1]
        if self._subscribing is not None and not self._subscribing.done():
            await asyncio.wait([self._subscribing])

    async def unwatch(self, audiences: Sequence[Audience]) -> None:
        emptied: list[bytes] = []
        for audience in audiences:
            channel = self._names.of(audience)
            _, watching = self._watched.get(channel, (audience, 0))
            if watching > 1:
                self._watched[channel] = (audience, watching - 1)
            elif watching:
                del self._watched[channel]
                emptied.append(channel)
        if emptied and self._link is not None:
            self._link.unsubscribe(emptied)

    # Asking other servers.

    async def command(self, command: GroupCommand) -> None:
        """Have whoever holds the connection do it. That nobody does, or does it in time, is no error."""
        id = next(self._ack_ids)
        done = self._acks[id] = asyncio.get_running_loop().create_future()
        place = self._names.connection(command.connection_id)
        payload = wire.write_command(id, self.server, command)
        try:
            async with asyncio.timeout(ACK_S):
                if await self._publish(self._names.groups, payload) and await self._is_anywhere(place):
                    await self._wait_for(done, place)
        except TimeoutError:
            log.warning("hub: no server said that it changed a group")
        except (Lost, Refused):
            log.warning("hub: a change of a group is lost, Redis is away")
        finally:
            del self._acks[id]

    async def ask(self, call: ClientCall, connection_id: str) -> Answer | None:
        answer = self._asked[call.invocation_id] = asyncio.get_running_loop().create_future()
        place = self._names.connection(connection_id)
        payload = wire.write_call(call, self._names.returns_name)
        try:
            if not await self._publish(place, payload):
                return None
            return await self._wait_for(answer, place) or Answer(error=GONE)
        except (Lost, Refused):
            return Answer(error=AWAY)
        finally:
            del self._asked[call.invocation_id]

    async def _publish(self, channel: bytes, payload: bytes) -> int:
        """Return how many servers got it. Raises Lost and Refused."""
        link = self._link
        if link is None:
            raise Lost
        return int(await link.ask(b"PUBLISH", channel, payload))

    async def _is_anywhere(self, channel: bytes) -> bool:
        """Say whether any server listens to a channel. Raises Lost and Refused."""
        link = self._link
        if link is None:
            raise Lost
        return bool((await link.ask(b"PUBSUB", b"NUMSUB", channel))[1])

    async def _wait_for(self, future: asyncio.Future[Any], place: bytes) -> Any:
        """Return what comes; None when the server that was asked has gone. Raises Lost and Refused."""
        while not (await asyncio.wait([future], timeout=CHECK_S))[0]:
            if not await self._is_anywhere(place) and not future.done():
                return None
        return future.result()

    # What comes.

    def _heard(self, channel: bytes, payload: bytes) -> None:
        if self._link is None or self._flights.is_echo(channel, payload, self._link.oldest):
            return
        try:
            self._take(channel, payload)
        except wire.Unreadable:
            self.unreadable += 1
            log.warning("hub: a message in Redis cannot be read")

    def _take(self, channel: bytes, payload: bytes) -> None:
        names = self._names
        if channel == names.all:
            self._pass_on(Audience("all"), payload)
        elif channel == names.groups:
            self._take_command(wire.read_command(payload))
        elif channel == names.acks:
            done = self._acks.get(wire.read_ack(payload))
            if done is not None and not done.done():
                done.set_result(None)
        elif channel == names.returns:
            invocation_id, answer = wire.read_answer(payload)
            asked = self._asked.get(invocation_id)
            if asked is not None and not asked.done():
                asked.set_result(answer)
        elif channel in self._watched:
            self._pass_on(self._watched[channel][0], payload)

    def _pass_on(self, audience: Audience, payload: bytes) -> None:
        carried = wire.read_carried(payload)
        if carried.invocation_id is not None and carried.returns is not None:
            self._spawn(self._answer(carried, carried.returns, audience.name))
            return
        if carried.excluded:
            audience = Audience(audience.kind, audience.name, frozenset(carried.excluded))
        self._deliver(audience, wire.message_of(carried))

    def _take_command(self, commanded: wire.Commanded) -> None:
        if commanded.server != self.server:
            self._spawn(self._carry_out(commanded))

    async def _carry_out(self, commanded: wire.Commanded) -> None:
        if self._house is not None and await self._house.change_group(commanded.command):
            with suppress(Lost, Refused):
                await self._publish(self._names.acks_of(commanded.server), wire.write_ack(commanded.id))

    async def _answer(self, carried: wire.Carried, returns: str, connection_id: str) -> None:
        """Ask a client here for another server."""
        call = wire.call_of(carried)
        answer: Answer | None = None
        if self._house is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(ASKED_S):
                    answer = await self._house.ask(call, connection_id)
        payload = wire.write_answer(
            call.invocation_id, answer or Answer(error=GONE), wire.protocol_for_answer(carried)
        )
        with suppress(Lost, Refused):
            await self._publish(self._names.named(returns), payload)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._tasks is None or self._running >= MOST_TASKS:
            work.close()
            return
        self._running += 1
        self._tasks.create_task(self._counted(work))

    async def _counted(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (wire.Unreadable, TypeError):  # a value that one of the protocols cannot hold
            self.unreadable += 1
            log.warning("hub: what another server asked cannot be read or written")
        finally:
            self._running -= 1


def _mended(refused: Refused) -> ConfigError:
    if refused.code in ("WRONGPASS", "NOAUTH"):
        return ConfigError(SETTING, "has a user or password that Redis refuses.", "Mend them.")
    if refused.code == "NOPERM":
        return ConfigError(
            SETTING, "names a user that may not publish and subscribe.", "Allow it `+@pubsub` and `&*`."
        )
    return ConfigError(SETTING, "is not of a Redis that speaks RESP3.", "Use Redis 6 or later, or Valkey.")
