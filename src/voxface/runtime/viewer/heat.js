// Colours of how far a vertex may be off: those of `voxface run --samples` and of the window of `voxface live`.

// From 0 to the largest, evenly spaced, sRGB. Lightness rises evenly, so that the order can be seen without colours too.
const STOPS = [[38, 32, 98], [42, 98, 142], [32, 148, 126], [122, 196, 78], [250, 230, 70]];

/** Colours [3 N], sRGB bytes, of values [N] between 0 and the largest. */
export function heatColours(values, largest) {
  const colours = new Uint8Array(values.length * 3);
  values.forEach((value, at) => {
    const place = Math.max(0, Math.min(1, value / largest)) * (STOPS.length - 1);
    const before = Math.min(Math.floor(place), STOPS.length - 2), part = place - before;
    for (let k = 0; k < 3; k++) colours[3 * at + k] = STOPS[before][k] * (1 - part) + STOPS[before + 1][k] * part;
  });
  return colours;
}

/** The end of a scale that holds all values: whole millimetres, at least 1. */
export function scaleEnd(values) {
  return Math.max(1, Math.ceil(values.reduce((most, value) => Math.max(most, value), 0)));
}
