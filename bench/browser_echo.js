// A page whose microphone comes back from the server: over WebRTC, or over a raw WebSocket by the console's own
// audio threads. `window.echo("webrtc")` begins; `window.ear` hears both ends.
{
  const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
  const plain = { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } };

  const byWebRtc = async (context, stream) => {
    const peer = new RTCPeerConnection();
    peer.createDataChannel("oai-events");
    peer.addTrack(stream.getAudioTracks()[0], stream);
    const arrived = new Promise((met) => (peer.ontrack = ({ streams }) => met(streams[0])));
    await peer.setLocalDescription();
    const answer = await fetch("/calls", { method: "POST", body: peer.localDescription.sdp });
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    const back = await arrived;
    const element = new Audio(); // Chromium lets the stream flow only while an element plays it
    element.muted = true;
    element.srcObject = back;
    await element.play();
    context.createMediaStreamSource(back).connect(context.destination);
  };

  const byWebSocket = async (context, microphone) => {
    const socket = new WebSocket("/socket");
    await new Promise((met) => (socket.onopen = met));
    await context.audioWorklet.addModule("/console/microphone-worklet.js");
    await context.audioWorklet.addModule("/console/speaker-worklet.js");
    const pieces = new AudioWorkletNode(context, "kaiwa-microphone", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    const speaker = new AudioWorkletNode(context, "kaiwa-speaker", { numberOfInputs: 0, outputChannelCount: [1] });
    pieces.port.onmessage = ({ data }) => {
      const samples = Int16Array.from(data, (sample) => Math.max(-1, Math.min(1, sample)) * 32767);
      const audio = base64(new Uint8Array(samples.buffer));
      socket.send(JSON.stringify({ type: "input_audio_buffer.append", audio }));
    };
    socket.onmessage = ({ data }) => {
      const bytes = Uint8Array.from(atob(JSON.parse(data).delta), (letter) => letter.charCodeAt(0));
      const samples = Float32Array.from(new Int16Array(bytes.buffer), (sample) => sample / 32768);
      speaker.port.postMessage({ do: "play", item: "echo", samples }, [samples.buffer]);
    };
    speaker.connect(context.destination);
    microphone.connect(pieces);
  };

  window.echo = async (way) => {
    const context = new AudioContext({ sampleRate: 24000, latencyHint: "interactive" });
    await context.resume();
    const stream = await navigator.mediaDevices.getUserMedia(plain);
    const microphone = context.createMediaStreamSource(stream);
    await (way === "webrtc" ? byWebRtc(context, stream) : byWebSocket(context, microphone));
  };
}
