"""Recording live conversations to a file, and playing them back as the service or as the caller.

cassette = load_cassette(Path("booking.jsonl"))
async with replaying(cassette) as replay:
    await my_client(f"{replay.url}/v1/realtime?model=gpt-realtime", key="any")
assert not replay.problems()
"""

from kaiwa.protocol.cassette.matching import AudioRule, Matching
from kaiwa.protocol.cassette.tape import Cassette, CassetteError, UnknownCassetteVersion
from kaiwa.testing.cassettes.caller import CallerReport, replay_as_caller
from kaiwa.testing.cassettes.deck import Deck, load_cassette
from kaiwa.testing.cassettes.proxy import Upstream, recording_proxy
from kaiwa.testing.cassettes.recorder import Recorder
from kaiwa.testing.cassettes.upstream import Replay, replaying

__all__ = [
    "AudioRule",
    "CallerReport",
    "Cassette",
    "CassetteError",
    "Deck",
    "Matching",
    "Recorder",
    "Replay",
    "UnknownCassetteVersion",
    "Upstream",
    "load_cassette",
    "recording_proxy",
    "replay_as_caller",
    "replaying",
]
