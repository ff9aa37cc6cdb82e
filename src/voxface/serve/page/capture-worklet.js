// Runs on the thread of the sound: makes blocks of 40 ms of 16-bit samples, the mean of all channels, with their level.

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.length = Math.round(sampleRate / 25);
    this.ending = false;
    this.begin();
    this.port.onmessage = () => { this.ending = true; };
  }

  begin() {
    this.block = new Int16Array(this.length);
    this.count = 0;
    this.energy = 0;
  }

  /** Hands the block over. */
  post(last) {
    const samples = this.block.slice(0, this.count);
    this.port.postMessage({samples, level: Math.sqrt(this.energy / Math.max(1, this.count)), last}, [samples.buffer]);
    this.begin();
  }

  process([channels]) {
    const frames = channels.length ? channels[0].length : 0;
    for (let at = 0; at < frames; at++) {
      let sum = 0;
      for (const channel of channels) sum += channel[at];
      const value = Math.max(-1, Math.min(1, sum / channels.length)) || 0; // NaN, which some drivers give, becomes 0
      this.energy += value * value;
      this.block[this.count++] = Math.max(-32768, Math.min(32767, Math.round(value * 32768)));
      if (this.count === this.length) this.post(false);
    }
    if (this.ending) this.post(true);
    return !this.ending;
  }
}

registerProcessor("capture", Capture);
