"""What several workers must agree on before they start, and how their figures become one page."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_metrics
from tests.server.running import at_home

from kaiwa.errors import ConfigError
from kaiwa.server.measures.workers import together
from kaiwa.server.workers import reserved

REDIS = "redis://127.0.0.1:1"


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"workers": 2}, "KAIWA_REDIS_URL"),
        ({"workers": 2, "redis_url": REDIS, "chainlit": True}, "KAIWA_CHAINLIT"),
        ({"workers": 3, "redis_url": REDIS, "rtc_port": "40000-40001"}, "KAIWA_RTC_PORT"),
        ({"workers": 2, "redis_url": REDIS, "peer_port": 65535}, "KAIWA_PEER_PORT"),
        ({"redis_url": REDIS, "peer_host": "10.0.0.7"}, "KAIWA_PEER_HOST"),
        ({"peer_host": "127.0.0.1"}, "KAIWA_PEER_HOST"),
        ({"peer_host": "0.0.0.0", "redis_url": REDIS, "api_key": "k"}, "KAIWA_PEER_HOST"),
    ],
)
def test_what_several_processes_need_is_named(tmp_path: Path, given: dict[str, Any], setting: str) -> None:
    with pytest.raises(ConfigError, match=setting):
        at_home(tmp_path, **given)


def test_several_processes_start_with_what_they_need(tmp_path: Path) -> None:
    settings = at_home(
        tmp_path, workers=4, redis_url=REDIS, rtc_port="40000-40003", peer_host="10.0.0.7", api_key="k"
    )
    assert settings.workers == 4


def test_a_port_is_kept_for_workers_and_taken_by_nobody_else() -> None:
    with reserved("127.0.0.1", 0, "KAIWA_PORT") as kept:
        port = kept.getsockname()[1]
        with reserved("127.0.0.1", port, "KAIWA_PORT") as worker:
            worker.listen()
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        with socket.socket() as stranger, pytest.raises(OSError):
            stranger.bind(("127.0.0.1", port))


PAGE = """# HELP kaiwa_streams_total Streams.
# TYPE kaiwa_streams_total counter
kaiwa_streams_total{reason="a } b",model="m"} 3.0
# HELP kaiwa_tasks Tasks.
# TYPE kaiwa_tasks gauge
kaiwa_tasks 7.0
"""


def test_figures_of_workers_stand_beside_each_other_with_their_number() -> None:
    page = together({0: PAGE, 1: None, 2: PAGE.replace("7.0", "9.0")})

    families = {family.name: family for family in plain_metrics(page)}
    assert [(one.labels["worker"], one.value) for one in families["kaiwa_tasks"].samples] == [
        ("0", 7.0),
        ("2", 9.0),
    ]
    streams = families["kaiwa_streams"].samples
    assert [(one.labels["worker"], one.labels["reason"]) for one in streams] == [
        ("0", "a } b"),
        ("2", "a } b"),
    ]
    up = families["kaiwa_worker_up"].samples
    assert [(one.labels["worker"], one.value) for one in up] == [("0", 1.0), ("1", 0.0), ("2", 1.0)]
    assert page.count("# TYPE kaiwa_tasks") == 1


def test_pages_of_open_metrics_have_one_end() -> None:
    page = PAGE.replace("# HELP kaiwa_streams_total", "# HELP kaiwa_streams").replace(
        "# TYPE kaiwa_streams_total", "# TYPE kaiwa_streams"
    )
    families = list(open_metrics(together({0: f"{page}# EOF\n", 1: f"{page}# EOF\n"})))
    assert {family.name for family in families} == {"kaiwa_streams", "kaiwa_tasks", "kaiwa_worker_up"}
