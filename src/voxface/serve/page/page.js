// The page: a button that listens, a place for a file, and what comes of them.

import {ClipError, faceOfFile} from "./clip.js";
import {MicrophoneError, microphones, openMicrophone} from "./microphone.js";
import {parseMesh} from "./protocol.js";
import {Result, save} from "./result.js";
import {Stream} from "./stream.js";
import {Recording} from "./wav.js";
import {inOneSentence, noFace, PAUSES, seconds} from "./words.js";

const find = (id) => document.getElementById(id);
const WANTS = ["embedding", "coefficients", "measurements", "vertices", "uncertainty", "picture"];
const LOWEST_DB = -60;

const result = new Result();
let token = tokenOfAddress();
let about = null; // of /v1/bundle
let live = null; // {microphone, stream, recording, …} while the page listens
let recording = null;
let uploading = null; // AbortController

// -- what is said --------------------------------------------------------------------------------------------------------

/** Says how it goes; screen readers hear it when they have time. */
function say(words) {
  if (find("status").textContent !== words) find("status").textContent = words;
}

/** Says what went wrong; null: nothing any more. */
function complain(words) {
  find("problem").textContent = words ?? "";
  find("problem").hidden = !words;
}

function voice(words, speaks) {
  find("voice").textContent = words;
  find("voice").classList.toggle("speaks", speaks);
}

function level(rms) {
  const db = Math.max(LOWEST_DB, rms > 0 ? 20 * Math.log10(rms) : LOWEST_DB);
  find("level-bar").style.transform = `scaleX(${1 - db / LOWEST_DB})`;
  if (performance.now() - level.told < 500 && rms > 0) return; // what reads the page aloud is not to be flooded
  level.told = performance.now();
  find("level").setAttribute("aria-valuenow", Math.round(db));
  find("level").setAttribute("aria-valuetext", db > LOWEST_DB ? `${Math.round(db)} decibels of full scale` : "silent");
}

// -- the server ----------------------------------------------------------------------------------------------------------

function tokenOfAddress() {
  return new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
}

const headers = () => token ? {Authorization: `Bearer ${token}`} : {};

/** Asks what the bundle is, and for the topology of the mesh; whether the server answered to it. */
async function greet() {
  try {
    const response = await fetch("v1/bundle", {headers: headers()});
    find("token-form").hidden = response.status !== 401;
    if (response.status === 401) {
      complain(token ? "The token is wrong." : null);
      return false;
    }
    if (!response.ok) throw new Error((await response.json()).errors[0].message);
    about = await response.json();
    const mesh = await fetch("v1/mesh", {headers: headers()});
    if (!mesh.ok) throw new Error(`the mesh: ${mesh.status}`);
    result.setTopology(parseMesh(await mesh.arrayBuffer()));
    const {name, version, licence, provider} = about;
    find("bundle").textContent = `${about.synthetic.notice} ${name} ${version}, ${licence}. voxface ${about.voxface}, ${provider}.`;
    complain(null);
    return true;
  } catch (error) {
    complain(`The server does not answer as it should (${error.message}). Is it running?`);
    return false;
  }
}

// -- live ----------------------------------------------------------------------------------------------------------------

async function start() {
  complain(null);
  uploading?.abort();
  find("record").disabled = true;
  say("Opening the microphone …");
  try {
    // The microphone first: it may only be asked for while the press of the button counts.
    const microphone = await openMicrophone(find("microphone").value, {
      block: (samples, rms) => heard(samples, rms),
      ended: () => stop("The microphone is gone."),
      muted: (is) => complain(is ? "The system has muted the microphone." : null),
    });
    if (!about && !(await greet())) {
      await microphone.stop();
      say("");
      return;
    }
    begin(microphone);
    await listMicrophones(microphone.id);
  } catch (error) {
    say("");
    complain(error instanceof MicrophoneError ? error.message : `It did not begin: ${error.message}`);
  } finally {
    find("record").disabled = false;
  }
}

function begin(microphone) {
  result.clear();
  recording = new Recording(microphone.rate);
  const url = new URL("v1/stream", location.href.split("#")[0]);
  url.protocol = url.protocol.replace("http", "ws");
  const stream = new Stream({
    url, token, hello: {rate: microphone.rate, wants: WANTS, updates_per_second: 4},
    on: {event: (event, parts) => happened(event, parts), link, over: (words) => over(words)},
  });
  live = {microphone, stream, recording, lost: 0};
  live.done = new Promise((done) => { live.finished = done; });
  find("record").textContent = "Stop";
  find("record").classList.add("on");
  for (const id of ["heard", "speech", "confidence", "latency"]) find(id).textContent = "–";
  find("save-wav").disabled = true;
  voice("listening", false);
  say("Listening. Speak for a second or more.");
}

/** A block of the microphone. */
function heard(samples, rms) {
  if (!live) return;
  live.stream.send(samples);
  live.recording.add(samples);
  if (live.recording.full && !live.full) {
    live.full = true;
    say("The recording that can be saved is full; listening goes on.");
  }
  const heardFor = seconds(Math.floor(2 * live.stream.captured / live.microphone.rate) / 2);
  if (find("heard").textContent !== heardFor) find("heard").textContent = heardFor;
  level(rms);
}

function link(state) {
  if (state === "broken") complain("The connection is lost. Trying again; what is said meanwhile is kept for nine seconds.");
  else complain(null);
  if (state === "resumed") say("Connected again; the session goes on.");
  if (state === "renewed") say("Connected again; the server began a new session.");
}

const HAPPENED = {
  "voice-started": () => voice("voice", true),
  "voice-ended": () => voice("listening", false),
  "face": faceCame,
  "no-face": ({reason}) => {
    if (!PAUSES.has(reason)) result.stale(result.face !== null);
    if (!PAUSES.has(reason) || !result.face) say(noFace(reason));
    if (live) live.why = noFace(reason);
    if (!live?.ending) voice(reason, false);
  },
  "speaker-changed": ({speaker}) => say(`Another voice: speaker ${speaker}.`),
  "lost": ({start: from, end}) => {
    if (!live) return;
    live.lost += (end - from) / 16_000;
    if (live.lost >= 0.1) complain(`${seconds(live.lost)} of sound were lost on the way.`);
  },
  "engine-failed": () => complain("An estimate failed; the session goes on."),
  "draining": () => complain("The server is being shut down."),
};

function happened(event, parts) {
  HAPPENED[event.event]?.(event, parts);
}

function faceCame(event, {picture, vertices, uncertainty}) {
  const {event: _, binary: __, ...face} = event;
  const {name, sha256} = about;
  result.show(face, {
    picture, vertices, spread: uncertainty,
    about: {
      voxface: about.voxface, bundle: {name, sha256}, provider: about.provider, source: "microphone", synthetic: about.synthetic,
    },
  });
  if (!live) return;
  const age = live.stream.ageOf(event.position);
  if (age !== null && event.latency_ms?.total !== undefined) {
    const {queue: _q, total: _t, ...stages} = event.latency_ms;
    const inference = Object.values(stages).reduce((sum, each) => sum + each, 0);
    find("latency").textContent = `${Math.round(age)} ms, inference ${Math.round(inference)} ms`;
  }
  if (event.moved_mm === null) {
    say(`Face of speaker ${event.speaker} after ${seconds(event.voiced_s)} of speech: ${inOneSentence(face)}.`);
  } else if (event.converged && live.settled !== event.speaker) {
    live.settled = event.speaker;
    say(`Settled: ${inOneSentence(face)}.`);
  }
}

/** Ends listening; the last face is waited for. */
async function stop(why) {
  if (!live || live.ending) return;
  live.ending = true;
  find("record").disabled = true;
  if (why) complain(why);
  await live.microphone.stop();
  level(0);
  say("Waiting for the last face …");
  live?.stream.finish();
}

/** The session is over. */
async function over(words) {
  const was = live;
  live = null;
  await was.microphone.stop();
  level(0);
  voice("off", false);
  find("record").disabled = false;
  find("record").textContent = "Start listening";
  find("record").classList.remove("on");
  find("save-wav").disabled = !was.recording.frames;
  if (words) complain(words);
  const {face} = result;
  if (face) say(`Done, from ${seconds(face.voiced_s)} of speech: ${inOneSentence(face)}.`);
  else say(was.why ?? noFace("too little speech"));
  was.finished();
}

async function listMicrophones(chosen) {
  const found = await microphones(), select = find("microphone");
  const options = [{id: "", label: "Default"}, ...found.filter(({id}) => id !== "default")].map(({id, label}) => {
    const option = document.createElement("option");
    option.value = id;
    option.textContent = label;
    return option;
  });
  const before = select.value || "";
  select.replaceChildren(...options);
  select.value = found.some(({id}) => id === before) ? before : "";
  find("microphone-row").hidden = found.length < 2 && !chosen;
}

// -- files ---------------------------------------------------------------------------------------------------------------

async function upload(file) {
  if (live) {
    stop();
    await live.done;
  }
  complain(null);
  uploading?.abort();
  const mine = uploading = new AbortController();
  if (!about && !(await greet())) return;
  say(`${file.name}: waiting for the face …`);
  try {
    const found = await faceOfFile(file, {headers: headers(), signal: mine.signal, limits: about.limits});
    result.show(found.face, {...found, about: {voxface: about.voxface, ...found.document, source: "file"}});
    find("heard").textContent = seconds(found.face.duration_s);
    find("latency").textContent = `${Math.round(found.face.timings_ms.total)} ms for the file`;
    say(`${file.name}, ${seconds(found.face.voiced_s)} of speech: ${inOneSentence(found.face)}.`);
  } catch (error) {
    if (error.name === "AbortError") return;
    result.clear();
    say("");
    complain(`${file.name}: ${error instanceof ClipError ? error.message : `the answer cannot be read (${error.message})`}`);
  }
}

// -- what the page listens to --------------------------------------------------------------------------------------------

find("record").addEventListener("click", () => { live ? stop() : start(); });
find("choose").addEventListener("click", () => find("file").click());
find("file").addEventListener("change", ({target}) => {
  if (target.files.length) upload(target.files[0]);
  target.value = "";
});
find("save-wav").addEventListener("click", () => save(recording.wav(), "recording.wav"));
find("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = find("token").value;
  greet();
});
addEventListener("hashchange", () => {
  token = tokenOfAddress();
  greet();
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files.length) upload(event.dataTransfer.files[0]);
});
addEventListener("pagehide", () => { live?.microphone.stop(); });

level(0);
greet();
