"""Azure SignalR Service, both sides: the client of its REST API, and the service itself in this process."""

from kaiwa.hub.azure.connection_string import Endpoint, read_connection_string
from kaiwa.hub.azure.publisher import AzureSignalR
from kaiwa.hub.azure.service.local import LocalService

__all__ = ["AzureSignalR", "Endpoint", "LocalService", "read_connection_string"]
