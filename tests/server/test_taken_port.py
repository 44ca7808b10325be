"""A port that somebody else listens at: said by its setting, before models are loaded."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.server.running import at_home

from kaiwa.errors import ConfigError
from kaiwa.server.listening import look_for_ports


@pytest.mark.parametrize(("setting", "name"), [("port", "KAIWA_PORT"), ("tls_port", "KAIWA_TLS_PORT")])
def test_a_port_that_is_taken_is_named_by_its_setting(tmp_path: Path, setting: str, name: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"{name}: 127.0.0.1 with port {port} .*end what listens there"):
            look_for_ports(at_home(tmp_path, **{"tls_self_signed": True, setting: port}))
    look_for_ports(at_home(tmp_path, **{"tls_self_signed": True, setting: port}))
