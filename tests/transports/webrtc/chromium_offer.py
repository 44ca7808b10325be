"""An offer as Chromium 156 makes it, posted before any candidate was gathered."""

AUDIO = """\
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:Nf9J
a=ice-pwd:vbZ6d60kIGpY9bqE9nAczNfD
a=ice-options:trickle
a=fingerprint:sha-256 7A:B3:0C:A1:78:1F:38:0F:24:30:DF:71:32:BF:B9:F2:BB:2E:1F:A2:2B:1F:94:D8:46:F3:91:CD:BD:08:02:CD
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:stream track
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:2937285606 cname:T8lgQsSnrHB4jBPX
"""
CHANNEL = """\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:Nf9J
a=ice-pwd:vbZ6d60kIGpY9bqE9nAczNfD
a=ice-options:trickle
a=fingerprint:sha-256 7A:B3:0C:A1:78:1F:38:0F:24:30:DF:71:32:BF:B9:F2:BB:2E:1F:A2:2B:1F:94:D8:46:F3:91:CD:BD:08:02:CD
a=setup:actpass
a=mid:1
a=sctp-port:5000
a=max-message-size:262144
"""
VIDEO = """\
m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=mid:2
a=sendrecv
a=rtcp-mux
a=rtpmap:96 VP8/90000
"""


def offer(*sections: str, bundle: str = "0 1") -> str:
    head = "v=0\no=- 44 2 IN IP4 127.0.0.1\ns=-\nt=0 0\n"
    group = f"a=group:BUNDLE {bundle}\n" if bundle else ""
    return (head + group + "".join(sections or (AUDIO, CHANNEL))).replace("\n", "\r\n")
