"""What is read out of an offer, and what is answered."""

from __future__ import annotations

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st
from tests.transports.webrtc.chromium_offer import AUDIO, CHANNEL, VIDEO, offer
from tests.transports.webrtc.firefox_offer import firefox_offer

from kaiwa.errors import PeerError
from kaiwa.transports.webrtc.answer import Address, Facts, write_answer
from kaiwa.transports.webrtc.offer import Codec, read_offer

FACTS = Facts(
    session_id=7,
    ufrag="ours",
    password="ours-and-long-enough-for-anyone",
    fingerprint=":".join(["AB"] * 32),
    ssrc=4711,
    addresses=(Address("203.0.113.7", 40000), Address("2001:db8::7", 40000)),
)


def answered(sdp: str) -> SessionDescription:
    """Let somebody else's parser read our answer."""
    return SessionDescription.parse(write_answer(read_offer(sdp), FACTS))


def test_a_browsers_offer_is_understood() -> None:
    read = read_offer(offer())
    assert (read.audio, read.channel, read.ufrag, read.setup) == (0, 1, "Nf9J", "actpass")
    assert read.codec == Codec(name="opus", payload_type=111)
    assert (read.max_message_bytes, read.sctp_port) == (262144, 5000)


def test_the_answer_has_everything_a_browser_needs() -> None:
    audio, channel = answered(offer()).media
    assert [line.rtp.muxId for line in (audio, channel)] == ["0", "1"]
    assert audio.ice.iceLite and audio.ice.usernameFragment == "ours"
    assert [(one.ip, one.port) for one in audio.ice_candidates] == [
        ("203.0.113.7", 40000),
        ("2001:db8::7", 40000),
    ]
    assert audio.ice_candidates[0].priority > audio.ice_candidates[1].priority
    assert audio.ice_candidates_complete
    assert audio.dtls.role == "client"
    assert audio.msid == "realtimeapi audio"
    assert audio.rtp.codecs[0].parameters == {"minptime": 10, "useinbandfec": 1}
    assert channel.sctp_port == 5000


def test_the_answer_has_one_stream_and_one_end_of_candidates() -> None:
    text = write_answer(read_offer(offer()), FACTS)
    assert text.count("a=msid:") == 1
    assert text.count("a=end-of-candidates") == 1
    assert "a=group:BUNDLE 0 1\r\n" in text


def test_firefox_is_understood_and_answered() -> None:
    read = read_offer(firefox_offer())
    assert read.codec == Codec(name="opus", payload_type=109)
    assert (read.audio, read.channel, read.ufrag, read.setup) == (0, 1, "a81b09d2", "actpass")
    assert [name for name, _ in read.fingerprints] == ["sha-256"]
    assert read.max_message_bytes == 1_073_741_823
    audio, channel = answered(firefox_offer()).media
    assert [codec.payloadType for codec in audio.rtp.codecs] == [109]
    assert (audio.direction, audio.dtls.role) == ("sendrecv", "client")
    assert [line.rtp.muxId for line in (audio, channel)] == ["0", "1"]
    assert all(candidate.protocol == "udp" for candidate in audio.ice_candidates)


@pytest.mark.parametrize("sdp", [offer(), firefox_offer()], ids=["Chromium", "Firefox"])
def test_what_kaiwa_does_not_speak_is_left_out_of_the_answer(sdp: str) -> None:
    """No congestion control by the receiver, no redundancy, no header extensions: so nobody sends them."""
    text = write_answer(read_offer(sdp), FACTS)
    for left_out in (
        "a=extmap",
        "a=rtcp-fb",
        "transport-cc",
        "red/48000",
        "G722",
        "telephone-event",
        "tcptype",
    ):
        assert left_out not in text
    assert text.count("a=rtpmap:") == 1


def test_lines_are_answered_in_their_order_and_others_are_refused() -> None:
    media = answered(offer(CHANNEL, VIDEO, AUDIO, bundle="1 2 0")).media
    assert [(line.kind, line.port > 0) for line in media] == [
        ("application", True),
        ("video", False),
        ("audio", True),
    ]
    text = write_answer(read_offer(offer(CHANNEL, VIDEO, AUDIO, bundle="1 2 0")), FACTS)
    assert "a=group:BUNDLE 1 0\r\n" in text


def test_an_offer_of_sound_alone_is_answered() -> None:
    read = read_offer(offer(AUDIO, bundle=""))
    assert read.channel is None
    assert len(answered(offer(AUDIO, bundle="")).media) == 1


@pytest.mark.parametrize(
    ("formats", "expected"),
    [("0 8 13", Codec(name="pcmu", payload_type=0)), ("8 0", Codec(name="pcma", payload_type=8))],
)
def test_g711_is_taken_where_there_is_no_opus(formats: str, expected: Codec) -> None:
    read = read_offer(offer(AUDIO.replace("111 63 9 0 8 13 110 126", formats), CHANNEL))
    assert read.codec == expected
    assert answered(offer(AUDIO.replace("111 63 9 0 8 13 110 126", formats), CHANNEL)).media[0].rtp.codecs


def test_a_peer_that_only_listens_is_only_sent_to() -> None:
    assert (
        answered(offer(AUDIO.replace("a=sendrecv", "a=recvonly"), CHANNEL)).media[0].direction == "sendonly"
    )
    muted = answered(offer(AUDIO.replace("a=sendrecv", "a=sendonly"), CHANNEL)).media[0]
    assert (muted.direction, muted.msid) == ("recvonly", None)


def test_a_peer_that_insists_begins_the_handshake() -> None:
    active = offer(AUDIO.replace("actpass", "active"), CHANNEL.replace("actpass", "active"))
    assert answered(active).media[0].dtls.role == "server"


def test_attributes_of_the_session_count_for_its_lines() -> None:
    own = ("a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup")
    lines = [line for line in AUDIO.splitlines(keepends=True) if line.startswith(own)]
    bare = "".join(line for line in AUDIO.splitlines(keepends=True) if not line.startswith(own))
    assert read_offer(offer("".join(lines), bare, bundle="")).ufrag == "Nf9J"


@pytest.mark.parametrize(
    ("sdp", "sentence"),
    [
        ("", "does not begin with v=0"),
        ("hello", "does not begin with v=0"),
        (offer(CHANNEL), "no m=audio line"),
        (offer(AUDIO.replace("m=audio 9", "m=audio 0"), CHANNEL), "no m=audio line"),
        (offer(AUDIO.replace("111 63 9 0 8", "9 13"), CHANNEL), "neither Opus nor G.711"),
        (offer(AUDIO.replace("a=ice-ufrag:Nf9J\n", ""), CHANNEL), "no a=ice-ufrag"),
        (offer(AUDIO.replace("sha-256", "sha-1"), CHANNEL), "no a=fingerprint"),
        (offer(AUDIO, CHANNEL, bundle=""), "not in one BUNDLE group"),
        (offer(AUDIO.replace("111 63", "x 63"), CHANNEL), "no number up to 127"),
        (offer(AUDIO.replace("actpass", "holdconn"), CHANNEL), "none of actpass"),
        (offer(*[VIDEO] * 17), "more than 16"),
        (offer() + "a=x\r\n" * 30_000, "longer than"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_sentence(sdp: str, sentence: str) -> None:
    with pytest.raises(PeerError, match=sentence) as refused:
        read_offer(sdp)
    assert refused.value.code == "invalid_sdp"


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    for sdp in (text, "v=0\n" + text, offer() + text, offer().replace("UDP", text), "v=0\nm=" + text):
        try:
            write_answer(read_offer(sdp), FACTS)
        except PeerError:
            continue
