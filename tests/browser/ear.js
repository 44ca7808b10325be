// Stands beside the loudspeaker: notes, every few milliseconds, how loud the page is.
{
  const connect = AudioNode.prototype.connect;
  window.heard = [];
  AudioNode.prototype.connect = function (target, ...rest) {
    if (target instanceof AudioDestinationNode) {
      const ear = new AnalyserNode(target.context, { fftSize: 256 });
      const samples = new Float32Array(256);
      connect.call(this, ear);
      setInterval(() => {
        ear.getFloatTimeDomainData(samples);
        window.heard.push([performance.now(), Math.hypot(...samples) / 16]);
      }, 5);
    }
    return connect.call(this, target, ...rest);
  };
  window.loudSince = (ms) => window.heard.filter(([at, level]) => at >= ms && level > 0.003).map(([at]) => at);
}
