"""How trouble with the service is told: one error, the right close, and never a secret."""

from __future__ import annotations

import json

import pytest
from tests.relay.relay_desk import RelayDesk

from kaiwa.events.relay import UpstreamClosed, UpstreamRefused, UpstreamUnreachable
from kaiwa.session.relay.profile import RelayProfile

AZURE = "AZURE_OPENAI_"


@pytest.mark.parametrize(
    ("event", "code", "close_code", "names"),
    [
        (UpstreamRefused(status=401), "invalid_api_key", 3000, "AZURE_OPENAI_API_KEY"),
        (UpstreamRefused(code="invalid_api_key"), "invalid_api_key", 3000, "AZURE_OPENAI_API_KEY"),
        (UpstreamRefused(status=403), "insufficient_permissions", 3000, "AZURE_OPENAI_API_KEY"),
        (UpstreamRefused(status=404), "model_not_found", 4004, "AZURE_OPENAI_REALTIME_DEPLOYMENT"),
        (UpstreamRefused(code="beta_api_shape_disabled"), "beta_api_shape_disabled", 4000, "api_version"),
        (UpstreamRefused(status=429), "rate_limit_exceeded", 1013, ""),
        (UpstreamRefused(status=500), "upstream_unavailable", 1011, ""),
        (UpstreamRefused(status=302), "upstream_unavailable", 1011, ""),
        (UpstreamUnreachable(cause="timeout"), "upstream_timeout", 1011, ""),
        (UpstreamUnreachable(cause="network"), "upstream_unreachable", 1011, "AZURE_OPENAI_ENDPOINT"),
        (UpstreamUnreachable(cause="credentials"), "upstream_unauthorized", 1011, "AZURE_OPENAI_API_KEY"),
    ],
)
def test_a_service_that_takes_nobody_in_is_told_with_what_the_operator_mends(
    event: object, code: str, close_code: int, names: str
) -> None:
    desk = RelayDesk(greets=False)
    desk._feed(event)
    error = desk.one("error")["error"]
    assert error["code"] == code and names in error["message"]
    assert desk.hung is not None and desk.hung[0] == close_code
    assert desk.hung[1] == f"{error['type']}.{code}"


@pytest.mark.parametrize(
    ("closed", "code", "close_code"),
    [
        (UpstreamClosed(code=1006), "upstream_closed", 1011),
        (UpstreamClosed(code=1011, reason="internal"), "upstream_closed", 1011),
        (UpstreamClosed(code=1012), "upstream_closed", 1011),
        (UpstreamClosed(code=1013), "upstream_closed", 1013),
        (UpstreamClosed(code=1001, reason="Your session hit the maximum duration of 60 minutes."), "session_expired", 1001),
        (UpstreamClosed(code=4000, reason="invalid_request_error.odd"), "invalid_request_error.odd", 4000),
    ],
)  # fmt: skip
def test_a_connection_that_breaks_is_told_once(closed: UpstreamClosed, code: str, close_code: int) -> None:
    desk = RelayDesk()
    desk.hear(closed)
    assert desk.one("error")["error"]["code"] == code
    assert desk.hung is not None and desk.hung[0] == close_code
    assert desk.send({"type": "response.create"}) == [], "nothing is said after the end"


def test_a_normal_close_needs_no_error() -> None:
    desk = RelayDesk()
    desk.hear(UpstreamClosed(code=1000, reason="OK bye sk-secret"))
    assert desk.of("error") == [] and desk.hung == (1000, "")


def test_an_error_of_the_service_is_not_told_a_second_time() -> None:
    desk = RelayDesk()
    expired = {
        "type": "invalid_request_error",
        "code": "session_expired",
        "message": "Over.",
        "param": None,
        "event_id": None,
    }
    desk.hear_text(json.dumps({"type": "error", "event_id": "event_1", "error": expired}))
    desk.hear(UpstreamClosed(code=1001, reason="Your session hit the maximum duration of 60 minutes."))
    assert desk.one("error")["error"]["code"] == "session_expired"
    assert desk.hung is not None and desk.hung[0] == 1001 and "60 minutes" in desk.hung[1]


def test_an_old_error_does_not_hide_a_loss() -> None:
    desk = RelayDesk()
    desk.send({"type": "response.cancel"})
    desk.wait(60)
    desk.hear(UpstreamClosed(code=1006))
    assert [frame["error"]["code"] for frame in desk.of("error")] == [
        "response_cancel_not_active",
        "upstream_closed",
    ]


def test_reasons_with_words_in_them_stay_here() -> None:
    desk = RelayDesk()
    desk.hear(UpstreamClosed(code=4321, reason="https://secret.openai.azure.com says no to sk-123"))
    assert desk.hung is not None and "secret" not in desk.hung[1] and "sk-" not in json.dumps(desk.frames)


def test_a_session_lasts_as_long_as_the_operator_says() -> None:
    desk = RelayDesk(profile=RelayProfile(lifetime_s=120))
    desk.wait(119)
    assert desk.hung is None
    desk.wait(2)
    assert desk.one("error")["error"]["code"] == "session_expired"
    assert desk.hung == (1001, "Your session hit the maximum duration of 2 minutes.")


def test_a_service_that_never_takes_the_settings_is_given_up() -> None:
    desk = RelayDesk(profile=RelayProfile(session={"instructions": "x"}), greets=False)
    created = desk.service.frames[0]
    desk._pass_on = lambda text: None  # type: ignore[method-assign]  # the service says nothing more
    desk.hear_text(json.dumps(created))
    desk.wait(20)
    assert desk.one("error")["error"]["code"] == "upstream_timeout"
    assert desk.hung is not None and desk.hung[0] == 1011


def test_nothing_is_done_after_the_peer_has_left() -> None:
    desk = RelayDesk()
    desk.leave()
    desk.hear(UpstreamClosed(code=1006))
    assert desk.hung is None and desk.session.next_timer() is None
