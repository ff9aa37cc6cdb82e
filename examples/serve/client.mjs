// A client of `voxface serve` for a browser or for Node (22; from 20.10 on with --experimental-websocket): no package needed.
//
//     voxface serve                                        # in another terminal
//     node examples/serve/client.mjs http://127.0.0.1:8765 16-bit.wav
//
// In a browser the same code works on a page of the server's own origin, with samples of an AudioWorklet in place of a file. A
// page cannot give the handshake a header, so the token goes in a subprotocol.

const VERSION = 1;
const KINDS = {1: "vertices", 2: "picture", 3: "uncertainty", 4: "triangles", 5: "colours"};
const ARRAYS = {1: Float32Array, 2: Uint32Array, 3: Uint8Array};

/** The token as a subprotocol: base64url without padding. */
export function tokenSubprotocol(token) {
  const text = btoa(String.fromCharCode(...new TextEncoder().encode(token)));
  return "voxface-token-" + text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** A binary message: {kind, position, rows, columns, values}. */
export function parseBinary(buffer) {
  const head = new DataView(buffer);
  if (head.getUint32(0, false) !== 0x76786631) throw new Error("no message of voxface, version 1"); // "vxf1"
  const kind = KINDS[head.getUint8(4)];
  const values = new ARRAYS[head.getUint8(5)](buffer, 24);
  return {
    kind, values, columns: head.getUint16(6, true), rows: head.getUint32(8, true), position: Number(head.getBigInt64(16, true)),
  };
}

/** Connects and greets; `on` gets every event, and binary messages as {event: "binary", ...}. Resolves with a session. */
export function openStream(url, {token, on, ...hello}) {
  const subprotocols = ["voxface-v1", ...(token ? [tokenSubprotocol(token)] : [])];
  const socket = new WebSocket(url.replace(/^http/, "ws").replace(/\/$/, "") + "/v1/stream", subprotocols);
  socket.binaryType = "arraybuffer";
  return new Promise((resolve, reject) => {
    const closed = new Promise((done) => socket.addEventListener("close", (e) => done({code: e.code, reason: e.reason})));
    socket.addEventListener("open", () => socket.send(JSON.stringify({type: "hello", version: VERSION, ...hello})));
    socket.addEventListener("error", () => reject(new Error(`${url}: no connection; is the server there, and the token right?`)));
    socket.addEventListener("message", ({data}) => {
      if (typeof data !== "string") return on({event: "binary", ...parseBinary(data)});
      const event = JSON.parse(data);
      if (event.event === "refused") reject(new Error(`refused: ${event.message}`));
      if (event.event !== "welcome") return on(event);
      resolve({
        welcome: event,
        send: (samples) => socket.send(samples), // Int16Array or Float32Array, as the hello said
        finish: () => socket.send('{"type":"finish"}'),
        closed,
      });
    });
  });
}

/** Samples of a WAV file of 16-bit PCM. */
function parseWav(buffer) {
  const view = new DataView(buffer);
  let at = 12, rate = 0, channels = 0;
  while (at + 8 <= view.byteLength) {
    const name = String.fromCharCode(...new Uint8Array(buffer, at, 4)), size = view.getUint32(at + 4, true);
    if (name === "fmt ") {
      channels = view.getUint16(at + 10, true);
      rate = view.getUint32(at + 12, true);
      if (view.getUint16(at + 22, true) !== 16) throw new Error("give a WAV file of 16-bit PCM");
    }
    if (name === "data") return {rate, channels, samples: new Int16Array(buffer.slice(at + 8, at + 8 + (size & ~1)))};
    at += 8 + size + (size & 1);
  }
  throw new Error("no WAV file; give one of 16-bit PCM: ffmpeg -i FILE -c:a pcm_s16le voice.wav");
}

async function main([url, path]) {
  const {readFile} = await import("node:fs/promises");
  const bytes = await readFile(path);
  const {rate, channels, samples} = parseWav(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  let vertices = 0;
  const session = await openStream(url, {
    token: globalThis.process.env.VOXFACE_TOKEN,
    rate, channels, format: "s16le", pace: "wait", wants: ["measurements", "vertices"],
    on: (event) => {
      if (event.event === "binary") vertices = event.rows;
      else if (event.event === "face") {
        console.log(`face after ${event.voiced_s.toFixed(1)} s of speech: ${event.measurements_mm.face_width.toFixed(1)} mm wide`);
      } else console.log(JSON.stringify(event));
    },
  });
  const block = Math.round(rate / 10) * channels;
  for (let at = 0; at < samples.length; at += block) session.send(samples.slice(at, at + block));
  session.finish();
  const {code, reason} = await session.closed;
  console.log(`closed with ${code} (${reason}); the mesh has ${vertices} vertices`);
}

if (globalThis.process?.argv?.[1]?.endsWith("client.mjs")) {
  main(globalThis.process.argv.slice(2)).catch((error) => {
    console.error(String(error.message ?? error));
    globalThis.process.exitCode = 1;
  });
}
