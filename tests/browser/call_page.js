// A page that holds its own call, with nothing but what browsers have. `window.call` is the call.
(() => {
  const LOUD = 0.005;

  class Call {
    constructor() {
      this.frames = [];
      this.lastLoud = 0;
      this.context = new AudioContext();
      this.peer = new RTCPeerConnection();
      const microphone = this.context.createMediaStreamDestination();
      const tone = new OscillatorNode(this.context, { frequency: 300 });
      this.gain = new GainNode(this.context, { gain: 0 });
      tone.connect(this.gain).connect(microphone);
      tone.start();
      this.peer.addTrack(microphone.stream.getAudioTracks()[0], microphone.stream);
      this.channel = this.peer.createDataChannel("oai-events");
      this.channel.onmessage = ({ data }) => this.frames.push({ ...JSON.parse(data), at: performance.now() });
      this.channel.onclose = () => (this.closed = true);
      this.peer.ontrack = ({ streams }) => this.listen(streams[0]);
    }

    listen(stream) {
      const player = new Audio();
      player.srcObject = stream;
      player.play();
      const ear = new AnalyserNode(this.context, { fftSize: 256 });
      this.context.createMediaStreamSource(stream).connect(ear);
      const samples = new Float32Array(ear.fftSize);
      setInterval(() => {
        ear.getFloatTimeDomainData(samples);
        if (Math.hypot(...samples) / Math.sqrt(samples.length) > LOUD) this.lastLoud = performance.now();
      }, 5);
    }

    async dial(url, key) {
      await this.peer.setLocalDescription(await this.peer.createOffer());
      const headers = { "Content-Type": "application/sdp", ...(key && { Authorization: `Bearer ${key}` }) };
      const answer = await fetch(url, { method: "POST", headers, body: this.peer.localDescription.sdp });
      if (answer.status !== 201) throw new Error(await answer.text());
      this.id = answer.headers.get("Location").split("/").pop();
      await this.peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
      await this.until((frame) => frame.type === "session.created");
    }

    speak(on) {
      this.gain.gain.value = on ? 0.5 : 0;
    }

    send(type, fields = {}) {
      this.channel.send(JSON.stringify({ type, ...fields }));
    }

    ask(text) {
      const content = [{ type: "input_text", text }];
      this.send("conversation.item.create", { item: { type: "message", role: "user", content } });
      this.send("response.create");
    }

    async until(fits, within = 8000) {
      for (const end = performance.now() + within; performance.now() < end; ) {
        const found = this.frames.find(fits);
        if (found) return found;
        await new Promise((met) => setTimeout(met, 10));
      }
      throw new Error(`nothing more after ${this.frames.map(({ type }) => type)}`);
    }

    of(type) {
      return this.until((frame) => frame.type === type);
    }

    async sound(within = 8000) {
      for (const end = performance.now() + within; performance.now() < end; ) {
        if (this.lastLoud) return;
        await new Promise((met) => setTimeout(met, 10));
      }
      throw new Error("nothing is heard");
    }
  }
  window.call = new Call();
})();
