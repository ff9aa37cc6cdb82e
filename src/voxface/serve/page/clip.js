// A whole sound file: sent to the server, which answers with its face.

import {verticesOfGlb} from "./glb.js";
import {bytesOfDataUrl, parseBinary} from "./protocol.js";
import {noFace} from "./words.js";

/** Why a file has no face, in words. */
export class ClipError extends Error {}

/** The face of a file: {face, picture, vertices, spread, glb, document}. */
export async function faceOfFile(file, {headers, signal, limits}) {
  if (limits && file.size > limits.body_bytes) {
    const most = Math.floor(limits.body_bytes / 2 ** 20);
    throw new ClipError(`The file is larger than ${most} MiB, which is the most that the server takes.`);
  }
  const body = new FormData();
  body.append("audio", file, file.name);
  let response, document;
  try {
    response = await fetch("v1/faces?uncertainty=true", {method: "POST", body, headers, signal});
    document = await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ClipError("The server does not answer. Try again when it is there.");
  }
  if (!response.ok) {
    const [error] = document.errors;
    throw new ClipError(error.reason ? noFace(error.reason) : error.message);
  }
  const {face: picture, mesh, uncertainty, ...face} = document.clips[0];
  const glb = bytesOfDataUrl(mesh);
  return {
    face, glb, picture: bytesOfDataUrl(picture), vertices: verticesOfGlb(glb),
    spread: uncertainty ? parseBinary(bytesOfDataUrl(uncertainty).buffer).values : null,
    document: {bundle: document.bundle, provider: document.provider, synthetic: document.synthetic},
  };
}
