"""The four things asked of a container, each atomic. Knows the Azure library; no reservation.

Only creating, point reads, replacing with an etag, deleting and plain queries: what holds on one document
without a transaction. Every container is partitioned by `/id`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from kaiwa.apps.rentacar.cosmos.account import Account
from kaiwa.errors import ConfigError, MissingPackage

Document = dict[str, Any]
NAMES: Final = ("locations", "reservations", "calendars")


class Container:
    def __init__(self, proxy: Any) -> None:
        self._proxy = proxy

    async def read(self, id: str) -> Document | None:
        from azure.cosmos.exceptions import CosmosResourceNotFoundError

        try:
            return dict(await self._proxy.read_item(id, partition_key=id))
        except CosmosResourceNotFoundError:
            return None

    async def create(self, document: Document) -> bool:
        """Return False when there is one of this id."""
        from azure.cosmos.exceptions import CosmosResourceExistsError

        try:
            await self._proxy.create_item(document)
        except CosmosResourceExistsError:
            return False
        return True

    async def replace(self, document: Document) -> bool:
        """Put it in the place of what was read; return False when that has changed or gone since."""
        from azure.core import MatchConditions
        from azure.cosmos.exceptions import CosmosAccessConditionFailedError, CosmosResourceNotFoundError

        unchanged = {"etag": document["_etag"], "match_condition": MatchConditions.IfNotModified}
        try:
            await self._proxy.replace_item(document["id"], document, **unchanged)
        except (CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
            return False
        return True

    async def delete(self, id: str) -> None:
        from azure.cosmos.exceptions import CosmosResourceNotFoundError

        try:
            await self._proxy.delete_item(id, partition_key=id)
        except CosmosResourceNotFoundError:
            return

    async def all(self) -> list[Document]:
        return [dict(document) async for document in self._proxy.query_items("SELECT * FROM c")]


@dataclass(frozen=True)
class Containers:
    """An open connection to the database's containers."""

    locations: Container
    reservations: Container
    calendars: Container
    _client: Any
    _credential: Any

    async def aclose(self) -> None:
        await _close(self._client, self._credential)


async def open_containers(account: Account) -> Containers:
    """Connect; make database and containers where they are missing. Raises ConfigError."""
    client, credential = _connected(account)
    from azure.core.exceptions import AzureError
    from azure.cosmos import PartitionKey

    try:
        database = await _made(partial(client.create_database_if_not_exists, account.database))
        proxies: list[Any] = []
        for name in NAMES:
            make = partial(database.create_container_if_not_exists, name, PartitionKey("/id"))
            proxies.append(await _made(make))
    except AzureError as failure:
        await _close(client, credential)
        raise ConfigError("KAIWA_DATABASE", _problem(failure), _remedy(failure)) from failure
    except BaseException:
        await _close(client, credential)
        raise
    locations, reservations, calendars = (Container(proxy) for proxy in proxies)
    return Containers(locations, reservations, calendars, client, credential)


async def present_containers(account: Account) -> frozenset[str]:
    """Return which of the containers are there; make nothing. Raises ConfigError."""
    client, credential = _connected(account)
    from azure.core.exceptions import AzureError
    from azure.cosmos.exceptions import CosmosResourceNotFoundError

    database, present = client.get_database_client(account.database), set[str]()
    try:
        for name in NAMES:
            try:
                await database.get_container_client(name).read()
            except CosmosResourceNotFoundError:
                continue
            present.add(name)
    except AzureError as failure:
        raise ConfigError("KAIWA_DATABASE", _problem(failure), _remedy(failure)) from failure
    finally:
        await _close(client, credential)
    return frozenset(present)


def _connected(account: Account) -> tuple[Any, Any]:
    """Return a client, which has asked nothing yet, and its credential. Raises ConfigError."""
    try:
        from azure.cosmos.aio import CosmosClient
    except ImportError as missing:
        raise MissingPackage("KAIWA_DATABASE", "azure-cosmos", "cosmos") from missing
    credential = account.key or _entra_id()
    local: dict[str, Any] = {"connection_verify": False, "enable_endpoint_discovery": False}
    return CosmosClient(account.endpoint, credential, **(local if account.emulated else {})), credential


async def _made(make: Callable[[], Awaitable[Any]]) -> Any:
    """Make what is missing. The library looks first: in between another process may have made it."""
    from azure.cosmos.exceptions import CosmosResourceExistsError

    try:
        return await make()
    except CosmosResourceExistsError:
        return await make()


async def _close(client: Any, credential: Any) -> None:
    await client.close()
    if not isinstance(credential, str):
        await credential.close()


def _entra_id() -> Any:
    from azure.identity.aio import DefaultAzureCredential

    return DefaultAzureCredential()


def _problem(failure: BaseException) -> str:
    status = getattr(failure, "status_code", None)
    return f"Cosmos DB refuses ({status})." if status else "no Cosmos DB answers at its address."


def _remedy(failure: BaseException) -> str:
    match getattr(failure, "status_code", None):
        case 401:
            return "Check the key."
        case 403:
            return (
                "Give the identity the role 'Cosmos DB Built-in Data Contributor', and make the database"
                " and its containers (locations, reservations, calendars; partition key /id) first."
            )
        case _:
            return "Check address, network and credential."
