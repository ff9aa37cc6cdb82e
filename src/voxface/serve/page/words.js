// What events and results are called for people.

const REASONS = {
  "silence": "silence",
  "too quiet": "it is too quiet; come closer to the microphone or turn it up",
  "all-zero microphone": "the microphone gives nothing but zeros; it is muted, or the system does not permit it",
  "noise": "this is noise, not speech",
  "music": "it does not vary as speech does, like music or many voices at once",
  "clipping": "it is too loud and clipped; turn the microphone down",
  "too little speech": "a second of speech is needed",
  "confidence": "the confidence is too low",
  "child": "it sounds like a child's voice, and the faces are of adults",
};
/** Reasons that are only a pause of who speaks: the face stays as it is. */
export const PAUSES = new Set(["silence", "too quiet", "all-zero microphone", "too little speech"]);

/** Why there is no face. */
export const noFace = (reason) => `No face: ${REASONS[reason] ?? reason}.`;

export const percent = (share) => `${Math.round(share * 100)} %`;
export const seconds = (value) => `${value.toFixed(1)} s`;
export const millimetres = (value) => `${value.toFixed(1)} mm`;

/** The name of a measurement: "face_width" is "face width". */
export const measurement = (name) => name.replaceAll("_", " ");

/** Sex with its probability, such as "female, 97 %". */
export function sex({sex: shares}) {
  const [name, share] = Object.entries(shares).reduce((most, each) => each[1] > most[1] ? each : most);
  return `${name}, ${percent(share)}`;
}

/** Age with the interval that holds four of five, such as "about 24 (80 %: 18 to 34)". */
export function age({age: told}) {
  return told ? `about ${Math.round(told.years)} (80 %: ${Math.round(told.low)} to ${Math.round(told.high)})` : "not told";
}

/** A face in one sentence, for who cannot see it. */
export function inOneSentence({attributes, confidence}) {
  return `${sex(attributes)}; age ${age(attributes)}; confidence ${percent(confidence)}`;
}
