// The stock client of the Agents SDK over WebRTC, in a page with a microphone that is a tone.
(() => {
  const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebRTC } = OpenAIAgentsRealtime;

  window.begin = async (address, apiKey) => {
    const context = new AudioContext();
    const microphone = context.createMediaStreamDestination();
    const tone = new OscillatorNode(context, { frequency: 300 });
    const gain = new GainNode(context, { gain: 0 });
    tone.connect(gain).connect(microphone);
    tone.start();
    const audioElement = new Audio();
    audioElement.autoplay = true;
    const transport = new OpenAIRealtimeWebRTC({ mediaStream: microphone.stream, audioElement });
    const session = new RealtimeSession(new RealtimeAgent({ name: "desk", instructions: "Be brief." }), {
      transport,
      model: "gpt-realtime",
    });
    const seen = [];
    const errors = [];
    transport.on("*", (event) => seen.push({ ...event, at: performance.now() }));
    session.on("error", (error) => errors.push(String(error.error?.message ?? JSON.stringify(error))));
    for (const name of ["audio_start", "audio_stopped", "audio_interrupted"]) {
      session.on(name, () => seen.push({ type: name, at: performance.now() }));
    }
    let lastLoud = 0;
    audioElement.addEventListener("playing", () => {
      const ear = new AnalyserNode(context, { fftSize: 256 });
      context.createMediaStreamSource(audioElement.srcObject).connect(ear);
      const samples = new Float32Array(ear.fftSize);
      setInterval(() => {
        ear.getFloatTimeDomainData(samples);
        if (Math.hypot(...samples) / 16 > 0.005) lastLoud = performance.now();
      }, 5);
    });
    await session.connect({ apiKey, url: `${address}/v1/realtime/calls` });
    const wait = async (fits, within = 10000) => {
      for (const end = performance.now() + within; performance.now() < end; ) {
        const found = fits();
        if (found) return found;
        await new Promise((met) => setTimeout(met, 10));
      }
      throw new Error(`nothing more after ${seen.map(({ type }) => type)}`);
    };
    window.agents = {
      session,
      transport,
      errors,
      seen,
      speak: (on) => (gain.gain.value = on ? 0.5 : 0),
      of: (type, from = 0) => wait(() => seen.slice(from).find((event) => event.type === type)),
      sound: (after = 0) => wait(() => lastLoud > after),
      lastLoud: () => lastLoud,
    };
  };
})();
