// A live session: sound goes, events and what belongs to them come. A connection that breaks is made again, and the session
// resumed.

import {VERSION, parseBinary, subprotocols} from "./protocol.js";

const KEPT_S = 9; // of sound that is sent again after a break; the server lets ten seconds wait
const CONGESTED_S = 3; // of sound that waits in the browser, from which on it is reported lost instead
const PATIENCE_MS = 120_000; // of trying to connect again
const BEAT_MS = 2000; // between questions whether the server is there
const MOST_SILENT = 3; // of them without a word, after which it is not
const FINISH_MS = 10_000; // for the last face
const HOPELESS = new Set([1000, 4400, 4408, 4409, 4415, 4429]);

export class Stream {
  /**
   * hello: fields of the protocol's hello, with rate; samples are s16le of one channel.
   * on.event(event, parts): every event, with the binary messages of a face by their names.
   * on.link("connected" | "resumed" | "renewed" | "broken"); on.over(words): once, and nothing more comes; null if all is
   * well.
   */
  constructor({url, token, hello, on}) {
    this.url = url;
    this.token = token;
    this.hello = {...hello, format: "s16le", channels: 1};
    this.on = on;
    this.session = null;
    this.received = 0; // number of the newest event
    this.base = 0; // frame at which the server's session began
    this.captured = 0; // frames so far; every frame has one number, also across sessions
    this.sent = 0; // frame up to which all was sent or reported
    this.recent = []; // [{first, samples, at}]: the newest blocks
    this.finishing = this.ended = false;
    this.brokenSince = null;
    this.tries = 0;
    this.beat = setInterval(() => this.look(), BEAT_MS);
    this.connect();
  }

  /** Takes samples, Int16Array. */
  send(samples) {
    if (this.ended || this.finishing) return;
    this.recent.push({first: this.captured, samples, at: performance.now()});
    this.captured += samples.length;
    const oldest = this.captured - KEPT_S * this.hello.rate;
    const old = ({first, samples: {length}}) => first + length < oldest;
    while (!this.greeting && this.recent.length && old(this.recent[0])) this.recent.shift();
    this.flush();
  }

  /** Asks for the last face and the end. */
  finish() {
    if (this.ended || this.finishing) return;
    this.flush();
    this.finishing = true;
    if (this.open) this.tell({type: "finish"});
    setTimeout(() => this.end("The server did not answer to the end in time."), FINISH_MS);
  }

  /** Milliseconds since the sample at 16 kHz with this number was captured; null where that is no longer known. */
  ageOf(position) {
    const frame = position * this.hello.rate / 16_000;
    const block = this.recent.findLast((each) => each.first <= frame);
    return block && frame <= this.captured ? performance.now() - block.at : null;
  }

  get open() {
    return this.welcomed && this.socket.readyState === WebSocket.OPEN;
  }

  tell(document) {
    this.socket.send(JSON.stringify(document));
  }

  /** Sends what was captured since, as far as the line takes it. */
  flush() {
    if (!this.open || this.finishing) return;
    const congested = this.socket.bufferedAmount > CONGESTED_S * this.hello.rate * 2;
    for (const {first, samples} of congested ? [] : this.recent) {
      if (first + samples.length <= this.sent) continue;
      if (first > this.sent) this.tell({type: "lost", frames: first - this.sent});
      const from = Math.max(0, this.sent - first);
      this.socket.send(from ? samples.slice(from) : samples);
      this.sent = first + samples.length;
    }
  }

  /** Asks a server that says nothing whether it is there; a line that is dead without a word is given up. */
  look() {
    const {socket} = this;
    if (socket.readyState === WebSocket.CLOSED) return; // and will be made again
    if (++this.silent <= MOST_SILENT) {
      if (this.open) this.tell({type: "ping"});
      return;
    }
    this.socket = {readyState: WebSocket.CLOSED, close() {}};
    socket.close();
    this.closed(1006, "");
  }

  connect() {
    this.welcomed = this.greeting = false;
    this.goodbye = this.refusal = null; // others may have come while the line was broken, and may go again
    this.silent = 0;
    this.awaited = []; // names of binary messages that follow a face
    const socket = this.socket = new WebSocket(this.url, subprotocols(this.token));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      // A session that is gone begins anew with the oldest sound that is still here.
      this.restart = this.recent[0]?.first ?? this.captured;
      this.greeting = true; // until the welcome none of it is let go
      const resume = this.session
        ? {session: this.session, received: this.received, frames: this.restart} : undefined;
      this.tell({type: "hello", version: VERSION, ...this.hello, resume});
    };
    socket.onmessage = ({data}) => {
      this.silent = 0;
      if (socket === this.socket) typeof data === "string" ? this.text(JSON.parse(data)) : this.binary(data);
    };
    socket.onclose = ({code, reason}) => {
      if (socket === this.socket) this.closed(code, reason);
    };
  }

  text(event) {
    if (event.event === "refused") {
      this.refusal = `The server has no room now: ${event.message}. Try again in ${Math.ceil(event.retry_s)} seconds.`;
    } else if (event.event === "welcome") {
      this.welcome(event);
    } else if (event.event === "goodbye") {
      this.goodbye = event;
    } else {
      if (event.number) this.received = Math.max(this.received, event.number);
      if (event.binary?.length) {
        this.awaited = [...event.binary];
        this.parts = {};
        this.face = event;
      } else {
        this.on.event(event, {});
      }
    }
  }

  binary(buffer) {
    const message = parseBinary(buffer);
    if (message.kind !== this.awaited.shift()) return; // not of a face that is waited for
    this.parts[message.kind] = message.values;
    if (!this.awaited.length) this.on.event(this.face, this.parts);
  }

  welcome(event) {
    const again = this.session !== null;
    if (event.resumed) {
      this.sent = this.base + event.frames;
    } else {
      this.base = this.sent = again ? this.restart : 0;
      this.received = 0;
    }
    this.session = event.session;
    this.welcomed = true;
    this.greeting = false;
    this.brokenSince = null;
    this.tries = 0;
    this.on.link(!again ? "connected" : event.resumed ? "resumed" : "renewed", event);
    const finishing = this.finishing;
    this.finishing = false;
    this.flush();
    this.finishing = finishing;
    if (finishing) this.tell({type: "finish"});
  }

  closed(code, reason) {
    this.welcomed = false;
    if (this.ended) return;
    if (this.goodbye && (code === 1000 || this.finishing)) return this.end(null);
    if (this.refusal && this.session === null) return this.end(this.refusal);
    if (code === 4503 && !this.refusal) return this.end("The server has too much to do, and ended the session. Try again in a moment.");
    if (HOPELESS.has(code)) return this.end(`The server ended the session: ${reason || code}.`);
    const now = performance.now();
    if (this.brokenSince === null) {
      this.brokenSince = now;
      this.on.link("broken");
    }
    if (now - this.brokenSince > PATIENCE_MS) {
      return this.end(this.refusal ?? "The server does not answer. Start again when it is there.");
    }
    setTimeout(() => !this.ended && this.connect(), Math.min(4000, 250 * 2 ** this.tries++));
  }

  end(words) {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.beat);
    this.socket.close();
    this.on.over(words);
  }
}
