"""Words that must stay where they belong, and finding them in whatever a server gave away.

Knows how a word looks when it was quoted, packed or decoded on its way; nothing of servers.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

# Secrets: nobody who is not their owner ever sees one.
SECRETS = {
    "key of the house": "sk-PlantedHouseKey0001",
    "key of the service": "sk-PlantedServiceKey0002",
    "key that the service refuses": "sk-PlantedWrongKey0003",
    "key in a file": "sk-PlantedFiledKey0004",
    "key of the chat model": "sk-PlantedChatKey0005",
    "secret of the Entra client": "PlantedEntraSecret0006",
    "password of Redis": "PlantedRedisPassword0007",
    "password of PostgreSQL": "PlantedPostgresPassword0008",
    "access key of SignalR": "PlantedSignalRAccessKey0009PlantedSignalRAccessKey0009",
    "token of an MCP server": "PlantedMcpToken0010",
    "code of an upstream of the hub": "PlantedUpstreamCode0011",
    "credential of TURN": "PlantedTurnCredential0012",
    "key of OpenAI": "sk-PlantedOpenAIKey0013",
    "token of a client for MCP": "PlantedClientMcpToken0015",
    "key that nobody gave": "sk-PlantedStrangerKey0014",
}
# What people said, typed and had done: in no log, figure or page that others see.
WORDS = {
    "words typed": "PlantedTypedWords2001",
    "words spoken": "PlantedSpokenWords2002",
    "arguments of a tool": "PlantedArguments2003",
    "arguments of a tool that crashes": "PlantedCrash2004",
    "arguments of a tool that refuses": "PlantedRefusal2005",
    "words of a page to its hub": "PlantedHubWords2006",
    "words of an upstream that fails": "PlantedFailing2007",
    "instructions": "PlantedInstructions2008",
    "a document to search": "PlantedEmbedded2009",
    "words in broken JSON": "PlantedBroken2010",
    "arguments over HTTP": "PlantedPosted2011",
    "arguments of an MCP tool": "PlantedRemote2012",
    "name of a customer": "PlantedCustomer2013",
    "words of a page that was dropped": "PlantedDropped2014",
}
# This one a tool of the tests tells on purpose: a search that does not find it is blind.
GIVEN_AWAY = "PlantedToBeFound3001"


def forms_of(word: str) -> list[bytes]:
    """Return how a word may stand in bytes: as it is, in base64 (wherever it begins there), in hex."""
    raw = word.encode()
    packed = [base64.b64encode(b"\0" * shift + raw) for shift in range(3)]
    # What stands beside the word decides the outermost characters.
    inner = [text[4:-4] for text in packed]
    return [raw.lower(), *(text.lower() for text in inner), raw.hex().encode()]


def leaks(given: bytes, planted: Mapping[str, str]) -> list[str]:
    """Return the names of those words that stand in what was given away."""
    plain = re.sub(rb"[\s\\]", b"", given.lower())  # wrapped or escaped they are no safer
    return [name for name, word in planted.items() if any(form in plain for form in forms_of(word))]
