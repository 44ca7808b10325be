"""Settings of calls by WebRTC and of SignalR hubs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from kaiwa.server.settings_values import FROM_JSON, Listed, Ports, TextOfTables
from kaiwa.server.settings_words import Group, Names


class CallSettings(Group):
    """Calls (WebRTC)

    Needs the extra `kaiwa[webrtc]`. Every call comes to one UDP port; [WebRTC](webrtc.md) tells how.
    """

    rtc_media: Literal["kaiwa", "direct"] = "kaiwa"
    """The way of the sound when conversations are relayed: `kaiwa`, or `direct` between browser and
    service (docs/webrtc.md#calls-to-azure-openai-and-openai)."""
    rtc_port: Ports = (0,)
    """UDP port of calls; 0 for any that is free. A range (`40000-40003`) makes one media process for each
    port."""
    rtc_host: str | None = None
    """Address that calls come to; None: `KAIWA_HOST`. `0.0.0.0` for every IPv4 address of the machine,
    `::` for those of IPv6 too."""
    rtc_public_ip: Listed = ()
    """Where peers reach this server if not at its own addresses (a container, a router): addresses with
    commas between them, each with a port if that is another one (`203.0.113.7:40000`,
    `[2001:db8::7]:40000`)."""
    rtc_bitrate: Annotated[int, Field(ge=6_000, le=128_000)] = 32_000
    """Bits a second of the sound that is sent."""
    rtc_lossy: bool = False
    """Send sound that survives lost packets, for three times the work."""
    rtc_ice_servers: Annotated[tuple[dict[str, Any], ...], FROM_JSON] = ()
    """STUN and TURN servers for pages that ask kaiwa, as JSON: `[{"urls": "turn:turn.example",
    "username": "u", "credential": "c"}]`. The server needs none itself."""


class HubSettings(Group):
    """SignalR

    What they do is told in [Tokens through a hub](azure-signalr.md).
    """

    azure_signalr: Annotated[SecretStr | None, Names("AzureSignalRConnectionString", "KAIWA_SIGNALR")] = None
    """The connection string of an Azure SignalR Service that messages go through. Without it this server
    has the hub."""
    signalr_hub: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_]{0,127}$")] = "chat"
    """The name of the hub."""
    signalr_token_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    """How long the token of a page is good. The stock client reconnects with its first one."""
    signalr_anonymous_to_all: bool = False
    """The tokens of a request that names nobody go to everybody, as in the tutorial."""
    signalr_service_key: SecretStr | None = None
    """Serve the REST API of Azure SignalR Service to who has this key; two with a comma between to change
    keys."""
    signalr_upstreams: TextOfTables | None = None
    """Where clients' calls and comings are told, as JSON: upstream templates as in Azure."""
