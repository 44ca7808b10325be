"""Many streams and many faults at once, through `kaiwa serve`: the soak of the bench, made short."""

from __future__ import annotations

import asyncio

import pytest
from bench.gateway import fake_azure
from bench.gateway_houses import Patience, running
from bench.gateway_soak import HONEST, MENDED, soaked_by

pytestmark = pytest.mark.clients

STREAMS = 40
SECONDS = 4.0
FAULT_SHARE = 0.3


async def test_mixed_faults_at_once_leave_no_stream_without_its_proper_end():
    patience = Patience(service_s=5, heartbeat_s=0.5)
    async with asyncio.timeout(60), fake_azure(6) as ports, running(["kaiwa"], ports, patience) as doors:
        soaked = await soaked_by(doors["kaiwa"], STREAMS, SECONDS, fault_share=FAULT_SHARE)

    assert not soaked.failures
    assert soaked.streams >= STREAMS, "each place had a stream"
    struck = set(soaked.faults) - {"none"}
    assert struck & set(MENDED) and struck & set(HONEST), "faults of both kinds were met"
