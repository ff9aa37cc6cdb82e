// What was recorded in the page, in its memory alone, and a WAV file of it.

const MOST_S = 600;

export class Recording {
  /** rate: Hz. */
  constructor(rate) {
    this.rate = rate;
    this.blocks = [];
    this.frames = 0;
  }

  /** Adds samples, Int16Array, until the recording is ten minutes long. */
  add(samples) {
    if (this.full) return;
    this.blocks.push(samples);
    this.frames += samples.length;
  }

  get full() {
    return this.frames >= MOST_S * this.rate;
  }

  /** A WAV file: 16-bit PCM of one channel. */
  wav() {
    const head = new DataView(new ArrayBuffer(44)), size = this.frames * 2;
    const text = (at, letters) => [...letters].forEach((letter, i) => head.setUint8(at + i, letter.charCodeAt(0)));
    text(0, "RIFF");
    head.setUint32(4, 36 + size, true);
    text(8, "WAVEfmt ");
    head.setUint32(16, 16, true);
    head.setUint16(20, 1, true); // PCM
    head.setUint16(22, 1, true);
    head.setUint32(24, this.rate, true);
    head.setUint32(28, this.rate * 2, true);
    head.setUint16(32, 2, true);
    head.setUint16(34, 16, true);
    text(36, "data");
    head.setUint32(40, size, true);
    return new Blob([head, ...this.blocks], {type: "audio/wav"});
  }
}
