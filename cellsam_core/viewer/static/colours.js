// @ts-check
/** Colours of equal lightness for tracks, and a scale for values. */

const cache = new Map();

/** @param {number} id @returns {[number, number, number]} */
export function colourOf(id) {
  let found = cache.get(id);
  if (!found) {
    found = oklch(0.8, 0.13, (id * 137.508) % 360);
    cache.set(id, found);
  }
  return found;
}

function oklch(lightness, chroma, hue) {
  const a = chroma * Math.cos((hue * Math.PI) / 180);
  const b = chroma * Math.sin((hue * Math.PI) / 180);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((v) => Math.round(255 * gamma(Math.min(1, Math.max(0, v)))));
}

const gamma = (v) => (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055);

// Viridis, without its darkest part, which would not show on a dark image.
const STOPS = ["472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725"].map(parse);

/** @param {number} share 0 to 1 @returns {[number, number, number]} */
export function scaleColour(share) {
  const at = Math.min(1, Math.max(0, share)) * (STOPS.length - 1);
  const low = Math.min(STOPS.length - 2, Math.floor(at));
  const part = at - low;
  return STOPS[low].map((v, k) => Math.round(v + part * (STOPS[low + 1][k] - v)));
}

/** @param {string} hex */
export function parse(hex) {
  return [0, 2, 4].map((k) => parseInt(hex.slice(k, k + 2), 16));
}

/** @param {number[]} rgb */
export const css = (rgb, alpha = 1) => `rgb(${rgb[0]} ${rgb[1]} ${rgb[2]} / ${alpha})`;

/** Little-endian pixel of a canvas. */
export const pixel = (rgb, alpha) =>
  ((Math.round(alpha * 255) << 24) | (rgb[2] << 16) | (rgb[1] << 8) | rgb[0]) >>> 0;

/** What cells of a tissue can be coloured by, beside their counts, with units. */
export const MEASURES = { area: "area, px", score: "score of the model", transcripts: "transcripts", genes: "genes found" };

// Safe for colour-blind eyes (Okabe and Ito); each gene has a shape of its own as well.
export const POINT_COLOURS = ["56b4e9", "e69f00", "009e73", "f0e442", "d55e00", "cc79a7", "0072b2", "ffffff"];
export const SHAPES = ["disc", "plus", "square", "cross", "triangle", "ring", "diamond", "bar"];
