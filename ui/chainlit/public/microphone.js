// Tells the app why the microphone did not open: Chainlit itself only ends the voice mode.
{
  const devices = navigator.mediaDevices;
  if (devices?.getUserMedia) {
    const open = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (wanted) => {
      try {
        return await open(wanted);
      } catch (error) {
        window.postMessage({ kaiwa_microphone: error.name }, location.origin);
        await new Promise((passed) => setTimeout(passed, 50)); // the reason goes before the end of the voice mode
        throw error;
      }
    };
  }
}
