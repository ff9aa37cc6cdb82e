// The face that is shown: picture, mesh, numbers, and what of it can be saved.

import {writeGlb} from "./glb.js";
import {heatColours, scaleEnd} from "./heat.js";
import {openMeshView} from "./mesh-view.js";
import {age, inOneSentence, measurement, millimetres, percent, seconds, sex} from "./words.js";

const CLAY = [196, 190, 184]; // of the mean head before a voice
const find = (id) => document.getElementById(id);

export class Result {
  /** topology: triangles, colours and the mean head, of /v1/mesh. */
  constructor() {
    this.view = openMeshView(find("mesh"));
    this.topology = null;
    this.clear();
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    if (!this.view) {
      find("mesh-view").hidden = find("mesh-tools").hidden = true;
      find("no-webgl").hidden = false;
    } else {
      this.view.onsway = (on) => { find("sway").checked = on; };
      this.view.sway(!still.matches);
      still.addEventListener("change", () => this.view.sway(!still.matches));
      find("sway").addEventListener("change", (event) => this.view.sway(event.target.checked));
      find("turn-left").addEventListener("click", () => this.view.turn(-0.35, 0));
      find("turn-right").addEventListener("click", () => this.view.turn(0.35, 0));
      find("front").addEventListener("click", () => this.view.front());
      find("uncertainty").addEventListener("change", () => this.draw());
    }
    find("save-png").addEventListener("click", () => save(this.png, "face.png"));
    find("save-glb").addEventListener("click", () => save(this.glb(), "mesh.glb"));
    find("save-json").addEventListener("click", () => save(this.json(), "result.json"));
  }

  /** No face: the mean head as if of clay. */
  clear() {
    this.face = this.about = this.png = this.vertices = this.spread = this.file = null;
    find("picture").hidden = true;
    find("no-picture").hidden = false;
    find("told").hidden = true;
    find("untold").hidden = false;
    for (const id of ["save-png", "save-glb", "save-json"]) find(id).disabled = true;
    this.stale(false);
    this.draw();
  }

  /** Whether the face is not of what is heard now. */
  stale(is) {
    find("stage").classList.toggle("stale", is);
    find("stale").hidden = !is;
  }

  /** Takes what never changes of a mesh. */
  setTopology(topology) {
    this.topology = topology;
    this.draw();
  }

  /**
   * Shows a face: its document; picture (bytes of a PNG file); vertices [3 N], mm; spread [N], mm, or none; glb (a file's
   * bytes), or none; about: what the JSON says besides.
   */
  show(face, {picture, vertices, spread, glb, about}) {
    Object.assign(this, {face, about, vertices, spread: spread ?? null, file: glb ?? null});
    this.png = new Blob([picture], {type: "image/png"});
    const image = find("picture"), before = image.src;
    image.src = URL.createObjectURL(this.png);
    if (before.startsWith("blob:")) URL.revokeObjectURL(before);
    image.alt = `Mean face of people with such a voice: ${inOneSentence(face)}`;
    image.hidden = false;
    find("no-picture").hidden = true;
    this.stale(false);
    this.tell();
    this.draw();
    for (const id of ["save-png", "save-glb", "save-json"]) find(id).disabled = false;
  }

  tell() {
    const {face} = this;
    find("told").hidden = false;
    find("untold").hidden = true;
    find("sex").textContent = sex(face.attributes);
    find("age").textContent = age(face.attributes);
    find("size").textContent =
      `${Math.round(face.measurements_mm.face_width)} mm wide, ${Math.round(face.measurements_mm.face_length)} mm long`;
    find("confidence").textContent = percent(face.confidence);
    find("speech").textContent = seconds(face.voiced_s);
    const rows = Object.entries(face.measurements_mm).map(([name, value]) => {
      const row = document.createElement("tr"), head = document.createElement("th"), cell = document.createElement("td");
      head.scope = "row";
      head.textContent = measurement(name);
      cell.textContent = millimetres(value);
      row.append(head, cell);
      return row;
    });
    find("measurements").replaceChildren(...rows);
  }

  draw() {
    const hot = find("uncertainty").checked && this.spread !== null;
    find("uncertainty").disabled = this.face !== null && this.spread === null;
    find("scale").hidden = !hot;
    find("mesh-caption").textContent = this.face || !this.view ? "Mesh" : "Mean head, before a voice";
    if (!this.topology || !this.view) return;
    const {triangles, vertices: mean, colours} = this.topology, vertices = this.vertices ?? mean;
    let shown = this.vertices ? colours : colours.map((_, at) => CLAY[at % 3]);
    if (hot) {
      const largest = scaleEnd(this.spread);
      shown = heatColours(this.spread, largest);
      find("scale-end").textContent = `${largest} mm`;
    }
    this.view.show({vertices, triangles, colours: shown});
  }

  glb() {
    if (this.file) return new Blob([this.file], {type: "model/gltf-binary"});
    return writeGlb(this.vertices, this.topology.triangles, this.topology.colours, this.face.synthetic);
  }

  json() {
    return new Blob([JSON.stringify({...this.about, face: this.face}, null, 1) + "\n"], {type: "application/json"});
  }
}

/** Has the browser save a blob under a name. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
