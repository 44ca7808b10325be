"""What `GET /api/status` answers: values. Every list is bounded. Times are seconds, `_ms` milliseconds."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from kaiwa.server.readiness import Why

MOST_SESSIONS: Final = 100
MOST_TOOLS: Final = 50
MOST_HUBS: Final = 50
NEWEST: Final = 40
"""So many of the newest measurements of a kind are told."""

Doing = Literal["listening", "hearing", "thinking", "answering", "working"]
"""`hearing`: the caller speaks; `working`: a tool runs, and nothing is said meanwhile."""
Timed = Literal["recognition", "decision", "first_words", "first_sound", "answer"]
"""From the end of speech to the transcript, the answer's beginning, its first words and its first sound;
`answer`: from an answer's beginning to its first words or sound."""


ProcessCondition = Literal["answered", "silent", "refused", "out_of_reach", "other_version", "lost"]


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the parts."""


class SessionState(Answered, frozen=True, kw_only=True):
    """One conversation. `process`: the mark of the one that holds it. `door` is `websocket`, `webrtc` or
    `text`; `waited_ms`: how long its last answer took to its first words or sound, from the end of speech
    where there was any."""

    id: str
    door: str
    agent: str
    model: str
    age_s: float
    doing: Doing
    turns: int
    responses: int
    tools: int
    input_tokens: int
    output_tokens: int
    waited_ms: float | None
    process: str = ""


class Sessions(Answered, frozen=True, kw_only=True):
    """`shown`: the newest, the newest first."""

    open: int
    most: int
    doors: dict[str, int]
    shown: list[SessionState]


class LatencyState(Answered, frozen=True, kw_only=True):
    """The newest turns. None: there were none yet. `newest_ms`: the last one at the end; of several
    processes one process' after another's."""

    step: Timed
    count: int
    p50_ms: float | None
    p95_ms: float | None
    newest_ms: list[float]


class RunningTool(Answered, frozen=True, kw_only=True):
    name: str
    session_id: str
    age_s: float


class FinishedTool(Answered, frozen=True, kw_only=True):
    """The calls of one tool since the house began; those of MCP servers are one. `newest_ms`: how long the
    newest took."""

    name: str
    completed: int
    failed: int
    cancelled: int
    p50_ms: float | None
    p95_ms: float | None
    newest_ms: list[float] = []


class Tools(Answered, frozen=True, kw_only=True):
    """`shown`: those that run longest come first."""

    running: int
    shown: list[RunningTool]
    finished: list[FinishedTool]


class HubState(Answered, frozen=True, kw_only=True):
    """One SignalR hub. A group with members at several processes is one at each."""

    name: str
    connections: int
    groups: int
    called: int
    sent: int
    too_slow: int


class DeploymentStatus(Answered, frozen=True, kw_only=True):
    name: str
    condition: str
    running: int
    first_token_ms_p50: float | None


class RelayState(Answered, frozen=True, kw_only=True):
    """The relay of chat requests. `trouble`: why a changed configuration is not used."""

    running: int
    ended: dict[str, int]
    deployments: list[DeploymentStatus]
    trouble: str | None


class ModelCost(Answered, frozen=True, kw_only=True):
    """What a model used since the house began, in conversations and in relayed requests."""

    model: str
    input_tokens: int
    output_tokens: int
    cost: float


class MessagesCost(Answered, frozen=True, kw_only=True):
    """Messages of 2 KB that Azure SignalR Service took since the house began; one for many is one."""

    count: int
    cost: float


class Cost(Answered, frozen=True, kw_only=True):
    """`currency` None: no prices are known (KAIWA_PRICES). `signalr_messages` None: there were none."""

    currency: str | None
    total: float
    models: list[ModelCost]
    signalr_messages: MessagesCost | None = None


class Refused(Answered, frozen=True, kw_only=True):
    """Requests refused since a limit of their caller was reached."""

    kind: str
    per: str
    count: int


class ErrorState(Answered, frozen=True, kw_only=True):
    """Errors of one kind. `where`: the door, the deployment or the tool."""

    code: str
    where: str
    count: int
    ago_s: float


class TraceState(Answered, frozen=True, kw_only=True):
    """Spans that a collector took, and that none took."""

    delivered: int
    lost: int


class ProcessState(Answered, frozen=True, kw_only=True):
    """One process of the house, in short. `process` is its mark, as in the ids it makes.

    `state`: `answered`; `silent` and `refused` when it was asked; `out_of_reach` for one of another machine
    that does not say where it can be asked (KAIWA_PEER_HOST); `other_version` for an answer that cannot be
    read; `lost` for one that died without a word. All but the first are not in the sums, and what is told of
    them is nothing but `seen_ago_s`.
    """

    process: str
    machine: str
    state: ProcessCondition
    seen_ago_s: float = 0.0
    worker: int | None = None
    version: str = ""
    uptime_s: float = 0.0
    not_ready: Why | None = None
    sessions: int = 0
    most_sessions: int = 0
    tools: int = 0
    streams: int = 0
    errors: int = 0
    cost: float = 0.0


class StatusAnswer(Answered, frozen=True, kw_only=True):
    """`not_ready`: why a balancer should send nobody here; of several processes, when none is ready.

    `process`: who answered, `worker` its number among several. `processes`: all of them, this one first;
    everything else is their sum. `traces` None: none are sent.
    """

    process: str = ""
    machine: str = ""
    worker: int | None = None
    processes: list[ProcessState] = []
    version: str
    uptime_s: float
    not_ready: Why | None
    sessions: Sessions
    latencies: list[LatencyState]
    tools: Tools
    hubs: list[HubState]
    relay: RelayState
    cost: Cost
    limits: list[Refused]
    errors: list[ErrorState]
    traces: TraceState | None
