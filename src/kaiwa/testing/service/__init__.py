"""A stand-in for OpenAI's and Azure's services on a real socket, for tests and for `kaiwa emulate`.

    async with running_service() as service:
        ...  # dial service.realtime_url() with service.key

It knows no model and no cloud: a `Script` says what it hears and answers, `Faults` say what goes wrong.
"""

from kaiwa.testing.service.chat_habits import Habits
from kaiwa.testing.service.faults import Faults
from kaiwa.testing.service.running import running_service
from kaiwa.testing.service.script import Call, Fail, Rule, Say, Script
from kaiwa.testing.service.state import Service

__all__ = ["Call", "Fail", "Faults", "Habits", "Rule", "Say", "Script", "Service", "running_service"]
