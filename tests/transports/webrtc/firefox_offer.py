"""An offer in the shape Firefox gives it: the fingerprint once for all lines, attributes in another order,
payload types of its own, candidates over TCP, and messages of a gigabyte."""

HEAD = """\
v=0
o=mozilla...THIS_IS_SDPARTA-99.0 4327261771880257373 0 IN IP4 0.0.0.0
s=-
t=0 0
a=sendrecv
a=fingerprint:sha-256 1C:57:0F:2A:9E:44:B1:D3:60:7B:EE:12:0A:95:C8:3F:76:D0:41:8B:2E:F9:13:A4:5D:60:C7:8E:09:B2:34:FA
a=group:BUNDLE 0 1
a=ice-options:trickle
a=msid-semantic:WMS *
"""
AUDIO = """\
m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 0.0.0.0
a=candidate:0 1 UDP 2122252543 5f3ad1c8-2d1b-4f6e-9b0a-6f2f5b8f8a11.local 51234 typ host
a=candidate:1 1 TCP 2105524479 5f3ad1c8-2d1b-4f6e-9b0a-6f2f5b8f8a11.local 9 typ host tcptype active
a=sendrecv
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:6f0f8ee1d0d6a2f7c3c9f1d3d0a4b5c6
a=ice-ufrag:a81b09d2
a=mid:0
a=msid:{2f1c6a0e-9a70-4f6e-a3d5-1f8f0c4b8a21} {9b6f1b1e-4c55-4a7e-8f0b-7d2a64c3f010}
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000/1
a=setup:actpass
a=ssrc:1837562913 cname:{c2b4c1a7-0e11-4b3a-8a7f-6bd1c50f4a77}
"""
CHANNEL = """\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=sendrecv
a=ice-pwd:6f0f8ee1d0d6a2f7c3c9f1d3d0a4b5c6
a=ice-ufrag:a81b09d2
a=mid:1
a=setup:actpass
a=sctp-port:5000
a=max-message-size:1073741823
"""


def firefox_offer() -> str:
    return (HEAD + AUDIO + CHANNEL).replace("\n", "\r\n")
