// glTF binary files (GLB), written and read.

import {normalsOf} from "./normals.js";

const linear = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;

/**
 * A GLB file in metres of vertices [3 N] in millimetres, triangles [3 F] and colours [3 N], sRGB bytes; synthetic: what the
 * server's documents say of the face under that name.
 */
export function writeGlb(vertices, triangles, colours, synthetic) {
  const count = vertices.length / 3;
  const metres = Float32Array.from(vertices, (value) => value / 1000);
  const rgba = new Uint16Array(count * 4).fill(65535);
  for (let at = 0; at < count; at++) {
    for (let k = 0; k < 3; k++) rgba[4 * at + k] = Math.round(linear(colours[3 * at + k] / 255) * 65535);
  }
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  metres.forEach((value, at) => {
    low[at % 3] = Math.min(low[at % 3], value);
    high[at % 3] = Math.max(high[at % 3], value);
  });
  const parts = [metres, normalsOf(vertices, triangles), rgba, Uint32Array.from(triangles)];
  let offset = 0;
  const views = parts.map((part, at) => {
    const view = {buffer: 0, byteOffset: offset, byteLength: part.byteLength, target: at === 3 ? 34963 : 34962};
    offset += part.byteLength; // of numbers of 4 bytes, or 8 a vertex: always a multiple of 4
    return view;
  });
  const text = JSON.stringify({
    asset: {version: "2.0", generator: synthetic.software, extras: {synthetic}},
    scene: 0,
    scenes: [{nodes: [0], extras: {synthetic}}],
    nodes: [{mesh: 0, name: "face"}],
    meshes: [{primitives: [{attributes: {POSITION: 0, NORMAL: 1, COLOR_0: 2}, indices: 3, material: 0}], extras: {synthetic}}],
    materials: [{pbrMetallicRoughness: {metallicFactor: 0, roughnessFactor: 0.7}}],
    buffers: [{byteLength: offset}],
    bufferViews: views,
    accessors: [
      {bufferView: 0, componentType: 5126, count, type: "VEC3", min: low, max: high},
      {bufferView: 1, componentType: 5126, count, type: "VEC3"},
      {bufferView: 2, componentType: 5123, normalized: true, count, type: "VEC4"},
      {bufferView: 3, componentType: 5125, count: triangles.length, type: "SCALAR"},
    ],
  });
  const json = new TextEncoder().encode(text + " ".repeat(-text.length & 3));
  const words = (...numbers) => Uint32Array.from(numbers);
  const head = words(0x46546c67, 2, 28 + json.length + offset, json.length, 0x4e4f534a); // "glTF", "JSON"
  return new Blob([head, json, words(offset, 0x004e4942), ...parts], {type: "model/gltf-binary"}); // "BIN"
}

/** The vertices of a GLB file of the server, Float32Array [3 N], millimetres. */
export function verticesOfGlb(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = view.getUint32(12, true);
  const document = JSON.parse(new TextDecoder().decode(bytes.subarray(20, 20 + size)));
  const accessor = document.accessors[document.meshes[0].primitives[0].attributes.POSITION];
  const from = 28 + size + (document.bufferViews[accessor.bufferView].byteOffset ?? 0);
  const metres = new Float32Array(bytes.slice(from, from + accessor.count * 12).buffer);
  return metres.map((value) => value * 1000);
}
