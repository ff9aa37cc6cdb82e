// The words of the server's protocol, version 1: docs/serve.md of voxface describes it.

export const VERSION = 1;
const HEADER = 24;
const KINDS = {1: "vertices", 2: "picture", 3: "uncertainty", 4: "triangles", 5: "colours"};
const ARRAYS = {1: Float32Array, 2: Uint32Array, 3: Uint8Array};

/** Subprotocols of a WebSocket: a page cannot give its handshake a header, so the token is one of them, in base64url. */
export function subprotocols(token) {
  if (!token) return ["voxface-v1"];
  const text = btoa(String.fromCharCode(...new TextEncoder().encode(token)));
  return ["voxface-v1", "voxface-token-" + text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")];
}

/** The binary message that begins at a byte: {kind, rows, columns, position, values, end}; values is a copy. */
export function parseBinary(buffer, start = 0) {
  const head = new DataView(buffer, start, HEADER);
  const kind = KINDS[head.getUint8(4)], array = ARRAYS[head.getUint8(5)];
  if (head.getUint32(0, false) !== 0x76786631 || !kind || !array) throw new Error("no message of voxface, version 1"); // "vxf1"
  const columns = head.getUint16(6, true), rows = head.getUint32(8, true);
  const from = start + HEADER, end = from + rows * columns * array.BYTES_PER_ELEMENT;
  return {kind, rows, columns, position: Number(head.getBigInt64(16, true)), values: new array(buffer.slice(from, end)), end};
}

/** Binary messages that follow one another, as /v1/mesh gives them: {triangles, vertices, colours}. */
export function parseMesh(buffer) {
  const found = {};
  for (let at = 0; at < buffer.byteLength;) {
    const message = parseBinary(buffer, at);
    found[message.kind] = message.values;
    at = message.end;
  }
  return found;
}

/** The bytes of a `data:` URL in base64. `fetch` would do it too, but the policy of the page lets it reach the server alone. */
export function bytesOfDataUrl(url) {
  const text = atob(url.slice(url.indexOf(",") + 1));
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}
