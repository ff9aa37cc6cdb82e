// The microphone: opened at the rate that the device has, and told of in words where it cannot be.

// What conference software does to a voice changes what is heard in it.
const AS_IT_IS = {echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: {ideal: 1}};
const IN_WORDS = {
  NotAllowedError: "The browser does not let this page use the microphone. Allow it in the settings of the site, "
    + "beside the address, and start again; or choose a sound file.",
  NotFoundError: "No microphone is there. Connect one and start again, or choose a sound file.",
  NotReadableError: "The microphone does not open; another program may be using it.",
  OverconstrainedError: "This microphone is gone. Choose another one.",
};

/** Why there is no microphone, in words. */
export class MicrophoneError extends Error {}

/**
 * Opens a microphone; "" is the default one.
 *
 * on.block(samples: Int16Array, level: RMS of 1) comes every 40 ms, on.ended() once it is unplugged or taken away,
 * on.muted(bool) where the system mutes it. Resolves with {rate, label, id, stop()}; stop resolves once the last block has
 * come.
 */
export async function openMicrophone(id, on) {
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) {
    throw new MicrophoneError(window.isSecureContext
      ? "This browser gives pages no microphone. Choose a sound file."
      : "Browsers give the microphone to pages by https, or at 127.0.0.1, alone. Open the page so, or choose a sound file.");
  }
  // Before anything is waited for: a context that is made later than the press of the button may stay silent.
  let context = new AudioContext({latencyHint: "interactive"});
  let stream = null;
  try {
    const audio = id ? {...AS_IT_IS, deviceId: {exact: id}} : AS_IT_IS;
    stream = await navigator.mediaDevices.getUserMedia({audio});
    let source = null;
    try {
      source = context.createMediaStreamSource(stream);
    } catch { // a browser that does not convert rates
      await context.close();
      context = new AudioContext({latencyHint: "interactive", sampleRate: stream.getAudioTracks()[0].getSettings().sampleRate});
      source = context.createMediaStreamSource(stream);
    }
    await context.audioWorklet.addModule("capture-worklet.js");
    await context.resume();
    return capture(context, stream, source, on);
  } catch (error) {
    for (const track of stream?.getTracks() ?? []) track.stop();
    await context.close();
    throw new MicrophoneError(IN_WORDS[error.name] ?? `The microphone does not open: ${error.message}`);
  }
}

function capture(context, stream, source, on) {
  const [track] = stream.getAudioTracks();
  const node = new AudioWorkletNode(context, "capture", {numberOfInputs: 1, numberOfOutputs: 1});
  const finished = new Promise((done) => {
    node.port.onmessage = ({data}) => {
      if (data.samples.length) on.block(data.samples, data.level);
      if (data.last) done();
    };
  });
  track.addEventListener("ended", () => on.ended());
  track.addEventListener("mute", () => on.muted(true));
  track.addEventListener("unmute", () => on.muted(false));
  source.connect(node).connect(context.destination); // it is silent; some browsers run only what leads somewhere
  let stopping = null;
  async function stop() {
    node.port.postMessage("end");
    await Promise.race([finished, new Promise((done) => setTimeout(done, 300))]); // a context that is halted gives no block
    for (const each of stream.getTracks()) each.stop();
    await context.close();
  }
  return {
    rate: context.sampleRate, label: track.label, id: track.getSettings().deviceId ?? "",
    stop: () => stopping ??= stop(),
  };
}

/** The microphones by name, [{id, label}]; without names, and so left out, until one was allowed. */
export async function microphones() {
  const all = await navigator.mediaDevices?.enumerateDevices?.() ?? [];
  return all.filter((each) => each.kind === "audioinput" && each.label && each.deviceId)
    .map((each) => ({id: each.deviceId, label: each.label}));
}
