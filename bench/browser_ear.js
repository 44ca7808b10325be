// Stands beside a page's microphone and loudspeaker: how loud both are, block by block, on the clock of the
// page's audio. `window.ear.blocks` is [moment, microphone, loudspeaker, stream of the call], the levels as peaks;
// `window.ear.told` is when the server said that speech had started. Set in before the page's own scripts.
{
  const WORKLET = `registerProcessor("ear", class extends AudioWorkletProcessor {
    process(inputs) {
      const peaks = inputs.map((input) => (input[0] ?? []).reduce((most, one) => Math.max(most, Math.abs(one)), 0));
      this.port.postMessage([currentTime, ...peaks]);
      return true;
    }
  });`;
  const address = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }));
  const connect = AudioNode.prototype.connect;
  const createSource = AudioContext.prototype.createMediaStreamSource;
  const media = navigator.mediaDevices;
  const getUserMedia = media.getUserMedia.bind(media);
  const microphones = new WeakSet();
  const ears = new Map();
  window.ear = { blocks: [], told: [], context: null };

  const beside = (context) => {
    if (!ears.has(context)) ears.set(context, open(context));
    return ears.get(context);
  };
  const open = async (context) => {
    window.ear.context = context;
    await context.audioWorklet.addModule(address);
    const ear = new AudioWorkletNode(context, "ear", { numberOfInputs: 3, numberOfOutputs: 1 });
    ear.port.onmessage = ({ data }) => window.ear.blocks.push(data);
    connect.call(ear, context.destination); // a node that leads nowhere is not run
    return ear;
  };

  media.getUserMedia = async (wish) => {
    const stream = await getUserMedia(wish);
    microphones.add(stream);
    return stream;
  };
  AudioContext.prototype.createMediaStreamSource = function (stream) {
    const source = createSource.call(this, stream);
    void beside(this).then((ear) => connect.call(source, ear, 0, microphones.has(stream) ? 0 : 2));
    return source;
  };
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      void beside(target.context).then((ear) => connect.call(this, ear, 0, 1));
    }
    return connect.call(this, target, ...rest);
  };

  const parse = JSON.parse;
  JSON.parse = (text, ...rest) => {
    const value = parse(text, ...rest);
    if (value?.type === "input_audio_buffer.speech_started") window.ear.told.push(window.ear.context.currentTime);
    return value;
  };
}
