"""SignalR hubs in Python, for the stock clients: `class Chat(Hub)` with methods, mounted in any ASGI
application.

Knows nothing of conversations or engines, and may be used alone. `HubWebSocket` is the `ws=` class for
uvicorn with which hubs are fast; without it they work as well.
"""

from kaiwa.hub.backplane import Alone, Backplane, ClientCall, GroupCommand
from kaiwa.hub.clients import CallerClients, Clients, Groups, One, Target
from kaiwa.hub.context import Context
from kaiwa.hub.errors import DeclarationError, HubException
from kaiwa.hub.hub import Hub
from kaiwa.hub.identity import NOBODY, Asking, Elsewhere, Identity, identity_of
from kaiwa.hub.methods import hub_name
from kaiwa.hub.options import HubOptions
from kaiwa.hub.registry import Audience
from kaiwa.hub.sockets import Attachable, HubWebSocket

__all__ = [
    "NOBODY",
    "Alone",
    "Asking",
    "Attachable",
    "Audience",
    "Backplane",
    "CallerClients",
    "ClientCall",
    "Clients",
    "Context",
    "DeclarationError",
    "Elsewhere",
    "GroupCommand",
    "Groups",
    "Hub",
    "HubException",
    "HubOptions",
    "HubWebSocket",
    "Identity",
    "One",
    "Target",
    "hub_name",
    "identity_of",
]
