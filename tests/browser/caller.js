// Stands in for the microphone: what the test says is what the page's stream carries, in real time.
{
  const context = new AudioContext({ sampleRate: 24000 });
  const out = context.createMediaStreamDestination();
  const silence = new ConstantSourceNode(context, { offset: 0 }); // a microphone sends even when nobody speaks
  silence.connect(out);
  silence.start();
  navigator.mediaDevices.getUserMedia = async () => out.stream.clone();

  window.say = (base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const samples = Float32Array.from(new Int16Array(bytes.buffer), (sample) => sample / 32768);
    const sound = context.createBuffer(1, samples.length, 24000);
    sound.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(context, { buffer: sound });
    source.connect(out);
    return new Promise((resolve) => {
      source.onended = resolve;
      source.start();
    });
  };
}
