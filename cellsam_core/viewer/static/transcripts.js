// @ts-check
/** Transcripts: points when close, counts in squares when far. */

import { call, inflate } from "./api.js";
import { POINT_COLOURS, SHAPES, css, parse } from "./colours.js";
import { complain, data, set, state } from "./state.js";
import { toScreen } from "./image.js";

const BIN = 512;
const STEPS = 64;
export const MAX_POINTS = 20000;
const KEPT = 200;
const bins = new Map();

export function clearTranscripts() {
  bins.clear();
}

function fetched(key, make, redraw) {
  let found = bins.get(key);
  if (found === undefined) {
    found = null;
    bins.set(key, null);
    call(key)
      .then((response) => response.arrayBuffer())
      .then(make)
      .then((made) => {
        bins.set(key, made);
        for (const old of bins.keys()) {
          if (bins.size <= KEPT) break;
          bins.delete(old);
        }
        redraw();
      })
      .catch(complain);
  }
  return found;
}

/** @param {CanvasRenderingContext2D} context */
export function drawTranscripts(context, v, redraw) {
  const features = data.features;
  if (!features?.counts || !state.genes.length) {
    document.body.dataset.transcripts = "";
    return tellDensity(null);
  }
  const rows = features.counts.length;
  const columns = features.counts[0].length;
  const clip = (at, size, n) => [
    Math.max(0, Math.floor(-at / v.scale / BIN)),
    Math.min(n - 1, Math.floor((size - at) / v.scale / BIN)),
  ];
  const [x0, x1] = clip(v.x, v.w, columns);
  const [y0, y1] = clip(v.y, v.h, rows);
  const places = [];
  let expected = 0;
  for (let y = y0; y <= y1; y++) {
    for (let x = x0; x <= x1; x++) {
      const share =
        overlap(v.x + x * BIN * v.scale, BIN * v.scale, v.w) * overlap(v.y + y * BIN * v.scale, BIN * v.scale, v.h);
      expected += features.counts[y][x] * share;
      if (features.counts[y][x]) places.push([x, y]);
    }
  }
  const query = `g=${state.genes.join(",")}`;
  const base = encodeURIComponent(state.sample.name);
  const { version } = state.sample;
  if (expected > MAX_POINTS) {
    document.body.dataset.transcripts = "density";
    const density = fetched(`${base}/density/${version}?${query}`, makeDensity, redraw);
    if (density) drawDensity(context, v, density);
    return tellDensity(density);
  }
  let drawn = 0;
  for (const [x, y] of places) {
    const part = fetched(`${base}/points/${version}/${x}/${y}?${query}`, makePoints, redraw);
    if (part) drawn += drawPoints(context, v, part, x, y);
  }
  document.body.dataset.transcripts = `points ${drawn}`;
  return tellDensity(null);
}

/** Show or hide the scale of the density in the panel. */
function tellDensity(density) {
  if ((data.density ?? null) !== density) set(((data.density = density), {}));
}

const overlap = (at, side, size) => Math.max(0, Math.min(at + side, size) - Math.max(at, 0)) / side;

function makePoints(buffer) {
  const n = buffer.byteLength / 6;
  return {
    x: new Uint16Array(buffer, 0, n),
    y: new Uint16Array(buffer, 2 * n, n),
    gene: new Uint16Array(buffer, 4 * n, n),
  };
}

function drawPoints(context, v, part, column, row) {
  const size = Math.max(1.8, Math.min(5, 2 * Math.sqrt(v.scale)));
  let drawn = 0;
  state.genes.forEach((gene, k) => {
    const colour = css(parse(POINT_COLOURS[k % POINT_COLOURS.length]));
    context.fillStyle = colour;
    context.strokeStyle = colour;
    context.lineWidth = 1.2;
    const shape = SHAPES[k % SHAPES.length];
    for (let i = 0; i < part.x.length; i++) {
      if (part.gene[i] !== gene) continue;
      const x = column * BIN + part.x[i] / STEPS - 0.5;
      const y = row * BIN + part.y[i] / STEPS - 0.5;
      const [sx, sy] = toScreen(v, x, y);
      if (sx < -5 || sy < -5 || sx > v.w + 5 || sy > v.h + 5) continue;
      drawShape(context, shape, sx, sy, size);
      drawn++;
    }
  });
  return drawn;
}

/** @param {CanvasRenderingContext2D} c */
export function drawShape(c, shape, x, y, r) {
  if (shape === "square") return c.fillRect(x - r, y - r, 2 * r, 2 * r);
  if (shape === "bar") return c.fillRect(x - r, y - r / 3, 2 * r, (2 * r) / 3);
  c.beginPath();
  if (shape === "disc" || shape === "ring") c.arc(x, y, r, 0, 7);
  else if (shape === "plus") {
    c.moveTo(x - r, y);
    c.lineTo(x + r, y);
    c.moveTo(x, y - r);
    c.lineTo(x, y + r);
  } else if (shape === "cross") {
    c.moveTo(x - r, y - r);
    c.lineTo(x + r, y + r);
    c.moveTo(x + r, y - r);
    c.lineTo(x - r, y + r);
  } else {
    c.moveTo(x, y - r * 1.2);
    c.lineTo(x + r * 1.1, shape === "triangle" ? y + r : y);
    if (shape === "diamond") c.lineTo(x, y + r * 1.2);
    c.lineTo(x - r * 1.1, shape === "triangle" ? y + r : y);
    c.closePath();
  }
  if (["plus", "cross", "ring"].includes(shape)) c.stroke();
  else c.fill();
}

async function makeDensity(buffer) {
  const words = new Uint32Array(await inflate(buffer));
  const [rows, columns, side] = words;
  let high = 1;
  for (let k = 3; k < words.length; k++) high = Math.max(high, words[k]);
  const image = new ImageData(columns, rows);
  for (let k = 3, at = 0; k < words.length; k++, at += 4) {
    if (words[k]) image.data.set(densityColour(Math.log1p(words[k]) / Math.log1p(high)), at);
  }
  return { bitmap: await createImageBitmap(image), side, rows, columns, high };
}

/** Red, green, blue and opacity of a density, on a logarithmic scale. */
const densityColour = (share) => [255, 80 + 175 * share, 40 + 180 * share, 40 + 200 * share];

/** The same as stops of a gradient, on black. */
export const densityStops = () => [0, 0.25, 0.5, 0.75, 1].map((share) => {
  const [r, g, b, a] = densityColour(share);
  return css([r, g, b].map((v) => Math.round((v * a) / 255)));
}).join(", ");

function drawDensity(context, v, density) {
  const { bitmap, side, rows, columns } = density;
  context.imageSmoothingEnabled = side * v.scale < 3;
  context.drawImage(bitmap, v.x, v.y, columns * side * v.scale, rows * side * v.scale);
}
