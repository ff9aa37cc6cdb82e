// The mesh in WebGL 2: it turns by itself, by dragging, by keys; drawn only when something has changed.

import {normalsOf} from "./normals.js";

const VERTEX = `#version 300 es
in vec3 place;
in vec3 normal;
in vec3 colour;
uniform mat3 turn;
uniform vec3 centre;
uniform vec2 scale;
out vec3 facing;
out vec3 shade;
void main() {
  vec3 turned = turn * (place - centre);
  facing = turn * normal;
  shade = colour;
  float distance = 900.0 - turned.z; // millimetres from the eye
  gl_Position = vec4(turned.xy * scale * 900.0, (distance - 900.0) * distance / 400.0, distance);
}`;
// The lights of the pictures that voxface draws of meshes: key and fill from the front, and a little from everywhere.
const FRAGMENT = `#version 300 es
precision highp float;
in vec3 facing;
in vec3 shade;
out vec4 shown;
void main() {
  vec3 n = normalize(facing);
  float light = 0.28 + 0.75 * max(0.0, dot(n, normalize(vec3(0.45, 0.6, 0.8))))
    + 0.25 * max(0.0, dot(n, normalize(vec3(-0.8, 0.1, 0.5))));
  if (!gl_FrontFacing) light = 0.12;
  shown = vec4(pow(pow(shade, vec3(2.2)) * light, vec3(1.0 / 2.2)), 1.0);
}`;
const FRAME_MM = 335;
const SWAY = 0.6; // radians to each side
const SWAY_S = 9;
const FASTEST_MS = 30; // between pictures while it turns by itself: enough for the eye, and easy on a phone

/** A view on a canvas, or null where there is no WebGL 2. */
export function openMeshView(canvas) {
  const gl = canvas.getContext("webgl2", {antialias: true, alpha: true, powerPreference: "low-power"});
  return gl && new MeshView(canvas, gl);
}

class MeshView {
  constructor(canvas, gl) {
    this.canvas = canvas;
    this.gl = gl;
    this.yaw = this.pitch = 0;
    this.zoom = 1;
    this.swaying = false;
    this.mesh = null;
    this.setUp();
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.lost = true;
    });
    canvas.addEventListener("webglcontextrestored", () => {
      this.lost = false;
      this.setUp();
      if (this.mesh) this.show(this.mesh);
    });
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(canvas);
    this.listen();
  }

  /** Gives its memory and its place among the few views that a browser draws back; the canvas cannot be used again. */
  close() {
    this.sway(false);
    this.resized.disconnect();
    this.lost = true;
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  /** Shows a mesh: vertices [3 N] in millimetres, triangles [3 F], colours [3 N] as sRGB bytes. */
  show(mesh) {
    const {gl, buffers} = this, {vertices, triangles, colours} = mesh;
    const moved = vertices !== this.mesh?.vertices || !this.uploaded;
    if (moved) {
      this.fill(gl.ARRAY_BUFFER, buffers.place, vertices);
      this.fill(gl.ARRAY_BUFFER, buffers.normal, normalsOf(vertices, triangles));
      this.centre ??= centreOf(vertices);
    }
    this.fill(gl.ARRAY_BUFFER, buffers.colour, colours);
    if (triangles !== this.mesh?.triangles || !this.uploaded) this.fill(gl.ELEMENT_ARRAY_BUFFER, buffers.triangles, triangles);
    this.mesh = mesh;
    this.uploaded = true;
    this.draw();
  }

  /** Turns by radians, and no longer by itself. */
  turn(yaw, pitch) {
    this.sway(false);
    this.yaw += yaw;
    this.pitch = Math.max(-1.2, Math.min(1.2, this.pitch + pitch));
    this.draw();
  }

  /** The front again. */
  front() {
    this.sway(false);
    this.yaw = this.pitch = 0;
    this.zoom = 1;
    this.draw();
  }

  /** Turns by itself, or stops that; `onsway(bool)` is told. */
  sway(on) {
    if (on === this.swaying) return;
    this.swaying = on;
    this.since = performance.now() - Math.asin(Math.max(-1, Math.min(1, this.yaw / SWAY))) / (2 * Math.PI) * SWAY_S * 1000;
    this.onsway?.(on);
    if (on) this.draw();
  }

  draw() {
    if (!this.waiting) {
      this.waiting = true;
      requestAnimationFrame((now) => this.frame(now));
    }
  }

  frame(now) {
    this.waiting = false;
    if (this.lost || !this.uploaded) return;
    if (this.swaying) {
      this.draw();
      if (now - (this.drawn ?? 0) < FASTEST_MS) return;
      this.yaw = SWAY * Math.sin((now - this.since) / 1000 / SWAY_S * 2 * Math.PI);
    }
    this.drawn = now;
    const {canvas} = this, density = Math.min(2, window.devicePixelRatio || 1);
    const width = Math.round(canvas.clientWidth * density), height = Math.round(canvas.clientHeight * density);
    if (width && height) this.paint(width, height);
  }

  /** Draws the front of a mesh onto another canvas, as large as that is, and what was shown again. */
  drawOnto(target, mesh) {
    const {mesh: before, yaw, pitch, zoom, canvas} = this;
    Object.assign(this, {yaw: 0, pitch: 0, zoom: 1});
    this.show(mesh);
    this.paint(target.width, target.height);
    target.getContext("2d").drawImage(canvas, 0, 0); // before this turn of the event loop ends the picture is there
    Object.assign(this, {yaw, pitch, zoom});
    if (before) this.show(before);
  }

  paint(width, height) {
    const {gl, canvas, places} = this;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
    gl.viewport(0, 0, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const [sy, cy, sp, cp] = [Math.sin(this.yaw), Math.cos(this.yaw), Math.sin(this.pitch), Math.cos(this.pitch)];
    gl.uniformMatrix3fv(places.turn, false, [cy, sp * sy, -cp * sy, 0, cp, sp, sy, -sp * cy, cp * cy]);
    gl.uniform3fv(places.centre, this.centre);
    const scale = 2 * this.zoom * Math.min(width, height) / FRAME_MM;
    gl.uniform2f(places.scale, scale / width, scale / height);
    gl.drawElements(gl.TRIANGLES, this.mesh.triangles.length, gl.UNSIGNED_INT, 0);
  }

  setUp() {
    const {gl} = this, program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    this.places = Object.fromEntries(["turn", "centre", "scale"].map((name) => [name, gl.getUniformLocation(program, name)]));
    this.buffers = {triangles: gl.createBuffer()};
    for (const name of ["place", "normal", "colour"]) {
      const buffer = this.buffers[name] = gl.createBuffer(), at = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.enableVertexAttribArray(at);
      gl.vertexAttribPointer(at, 3, name === "colour" ? gl.UNSIGNED_BYTE : gl.FLOAT, name === "colour", 0, 0);
    }
    gl.enable(gl.DEPTH_TEST);
    gl.clearColor(0, 0, 0, 0);
    this.uploaded = false;
  }

  fill(target, buffer, data) {
    this.gl.bindBuffer(target, buffer);
    this.gl.bufferData(target, data, this.gl.DYNAMIC_DRAW);
  }

  listen() {
    const {canvas} = this;
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) this.turn(event.movementX * 0.01, event.movementY * 0.01);
    });
    const keys = {
      ArrowLeft: () => this.turn(-0.15, 0), ArrowRight: () => this.turn(0.15, 0),
      ArrowUp: () => this.turn(0, -0.15), ArrowDown: () => this.turn(0, 0.15),
      "+": () => this.magnify(1.15), "=": () => this.magnify(1.15), "-": () => this.magnify(1 / 1.15),
      Home: () => this.front(),
    };
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || !keys[event.key]) return;
      keys[event.key]();
      event.preventDefault();
    });
  }

  magnify(by) {
    this.zoom = Math.max(0.6, Math.min(3, this.zoom * by));
    this.draw();
  }
}

/** The middle of a mesh's box. */
function centreOf(vertices) {
  const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  vertices.forEach((value, at) => {
    low[at % 3] = Math.min(low[at % 3], value);
    high[at % 3] = Math.max(high[at % 3], value);
  });
  return low.map((value, at) => (value + high[at]) / 2);
}
