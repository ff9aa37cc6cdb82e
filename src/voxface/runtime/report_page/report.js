// The meshes of a report: one view for each face that is on the screen.

import {heatColours} from "./heat.js";
import {openMeshView} from "./mesh-view.js";

const {topology, faces} = JSON.parse(document.getElementById("faces").textContent);

/** Bytes of base64, as their own buffer. */
const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** Numbers, Float32Array, of {step, values}. */
const unpacked = ({step, values}) => Float32Array.from(new Int16Array(bytesOf(values).buffer), (value) => value * step);

class FaceView {
  /** stage: the element of a clip that holds its pictures and buttons. */
  constructor(stage, shared) {
    this.stage = stage;
    this.shared = shared;
    this.face = faces[stage.dataset.mesh];
    this.view = null;
    this.canvas = this.find(".mesh");
    this.hot = this.find(".hot");
    this.choices = [...stage.querySelectorAll(".draws input")];
    for (const each of stage.querySelectorAll(".rendered")) each.hidden = true;
    for (const each of stage.querySelectorAll(".drawn, .mesh-tools, .draws")) each.hidden = false;
    for (const each of [this.hot, ...this.choices]) each?.addEventListener("change", () => this.show());
    this.find(".left").addEventListener("click", () => this.view?.turn(-0.35, 0));
    this.find(".right").addEventListener("click", () => this.view?.turn(0.35, 0));
    this.find(".front").addEventListener("click", () => this.view?.front());
    this.find(".sway").addEventListener("change", ({target}) => this.view?.sway(target.checked));
    this.tell();
  }

  find(what) {
    return this.stage.querySelector(what);
  }

  /** Draws from now on. */
  open() {
    if (this.view) return;
    this.view = openMeshView(this.canvas);
    if (!this.view) return; // as many are drawn as the browser can
    this.view.onsway = (on) => { this.find(".sway").checked = on; };
    this.view.sway(this.find(".sway").checked);
    this.drawSmall();
    this.show();
  }

  /** Draws no longer: browsers have room for few views at a time. */
  close() {
    if (!this.view) return;
    const swaying = this.view.swaying, fresh = this.canvas.cloneNode();
    this.view.close();
    this.find(".sway").checked = swaying;
    this.view = null;
    this.canvas.replaceWith(fresh);
    this.canvas = fresh;
  }

  get chosen() {
    return Math.max(0, this.choices.findIndex((each) => each.checked));
  }

  /** The small pictures of the choices, drawn once. */
  drawSmall() {
    if (this.drawn) return;
    this.drawn = true;
    const {triangles, colours} = this.shared;
    this.choices.forEach((each, at) => {
      this.view.drawOnto(each.parentElement.querySelector("canvas"), {vertices: this.mesh(at), triangles, colours});
    });
  }

  mesh(at) {
    return (this.meshes ??= [])[at] ??= unpacked(this.face.vertices[at]);
  }

  /** What goes with a choice: the heat map is of the mean face. */
  tell() {
    if (!this.hot) return;
    this.hot.disabled = this.chosen > 0;
    this.find(".scale").hidden = !this.hot.checked || this.chosen > 0;
  }

  show() {
    this.tell();
    if (!this.view) return;
    const {face, chosen} = this;
    const hot = this.hot?.checked && chosen === 0;
    const vertices = this.mesh(chosen);
    const colours = hot ? heatColours(unpacked(face.spread), face.largest_mm) : this.shared.colours;
    this.view.show({vertices, triangles: this.shared.triangles, colours});
  }
}

function start() {
  if (!faces) return;
  const trial = document.createElement("canvas").getContext("webgl2");
  if (!trial) {
    document.getElementById("no-webgl").hidden = false;
    return;
  }
  trial.getExtension("WEBGL_lose_context")?.loseContext();
  const shared = {triangles: new Uint32Array(bytesOf(topology.triangles).buffer), colours: bytesOf(topology.colours)};
  const views = new Map();
  const watching = new IntersectionObserver((entries) => {
    for (const {target, isIntersecting} of entries) {
      const view = views.get(target);
      isIntersecting ? view.open() : view.close();
    }
  }, {rootMargin: "10%"});
  for (const stage of document.querySelectorAll("[data-mesh]")) {
    views.set(stage, new FaceView(stage, shared));
    watching.observe(stage);
  }
}

start();
