// @ts-check
/** What is drawn over the picture: outlines and fills, tails, transcripts, length of the scale. */

import { colourOf, css, pixel, scaleColour } from "./colours.js";
import { cellsOf, data, isMovie, set, state } from "./state.js";
import { toScreen, view, viewer } from "./image.js";
import { drawLabels, whenTilesArrive } from "./labels.js";
import { drawTranscripts } from "./transcripts.js";

const CHOSEN = pixel([255, 255, 255], 1);
const CHOSEN_FILL = pixel([255, 255, 255], 0.22);
const PLAIN = [255, 214, 64];
const ON_COLOURS = [255, 84, 214]; // seen on blue, on orange, and on white where both are bright
const FILL = 0.45;
const drawers = [];
let isDue = false;

/** @param {(context: CanvasRenderingContext2D, v: any) => void} drawer */
export function addDrawer(drawer) {
  drawers.push(drawer);
}

/** Begin a path through points of the image. */
export function trace(context, v, points, isClosed = false) {
  context.beginPath();
  points.forEach(([x, y], k) => {
    const [sx, sy] = toScreen(v, x, y);
    if (k) context.lineTo(sx, sy);
    else context.moveTo(sx, sy);
  });
  if (isClosed) context.closePath();
}

export function startMarks() {
  whenTilesArrive(redraw);
  for (const name of ["update-viewport", "resize", "open", "animation"]) viewer.addHandler(name, redraw);
  new ResizeObserver(redraw).observe(document.getElementById("picture"));
}

export function redraw() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    draw();
  });
}

function canvasOf(id, ratio, v) {
  const canvas = /** @type {HTMLCanvasElement} */ (document.getElementById(id));
  const w = Math.round(v.w * ratio);
  const h = Math.round(v.h * ratio);
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, w, h);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

function draw() {
  if (!state.sample) return;
  const v = view();
  if (!(v.w > 0 && v.scale > 0)) return;
  const labels = canvasOf("labels", 1, v);
  const marks = canvasOf("marks", Math.min(2, devicePixelRatio || 1), v);
  if (state.shown >= 0 && !state.hidden) {
    if (state.labels !== "off" && state.sample.has?.masks) drawLabels(labels, state.shown, lookOf());
    if (isMovie() && state.tails && v.scale > 0.2) drawTails(marks, v);
    drawTranscripts(marks, v, redraw);
    for (const drawer of drawers) drawer(marks, v);
  }
  drawScale(marks, v);
  document.body.dataset.scale = v.scale.toFixed(3);
}

/** Tracks that are shown; null shows all. */
function extent() {
  if (!isMovie() || state.extent === "all" || !state.chosen.length || !data.tracks) return null;
  const { byId } = data.tracks;
  const own = state.chosen.map((c) => byId.get(c.track)).filter(Boolean);
  if (state.extent === "track") return new Set(own.map((t) => t.track_id));
  const lineages = new Set(own.map((t) => t.lineage_id));
  return new Set([...byId.values()].filter((t) => lineages.has(t.lineage_id)).map((t) => t.track_id));
}

/** Function from a label to the pixels of its outline and fill. */
function lookOf() {
  const cells = cellsOf(state.shown);
  const only = extent();
  const here = new Set(state.chosen.filter((c) => c.frame === state.shown).map((c) => c.label));
  const tracks = new Set(state.chosen.filter((c) => c.frame !== state.shown).map((c) => c.track));
  const isFilled = state.labels === "fills";
  const value = valueOf(cells);
  const plain = state.channels.filter((c) => c.on).length > 1 ? ON_COLOURS : PLAIN;
  return (label) => {
    const row = cells ? (cells.rows.get(label) ?? -1) : -1;
    const track = row >= 0 && cells.track ? cells.track[row] : 0;
    if (only && !only.has(track)) return [0, 0];
    if (here.has(label) || (track && tracks.has(track))) return [CHOSEN, CHOSEN_FILL];
    if (label === state.hover) return [CHOSEN, pixel([255, 255, 255], 0.1)];
    let rgb = track ? colourOf(track) : plain;
    let fill = isFilled ? FILL : 0;
    if (value) {
      const share = row >= 0 ? value(row) : NaN;
      if (Number.isNaN(share)) return [pixel([128, 128, 128], 1), 0];
      rgb = scaleColour(share);
      fill = 0.65;
    } else if (isFilled && !track) rgb = colourOf(label);
    return [pixel(rgb, 1), fill ? pixel(rgb, fill) : 0];
  };
}

/** Function from a row to its place on the colour scale, 0 to 1; null for no scale. */
function valueOf(cells) {
  const values = cells && state.colour ? cells[state.colour] : null;
  if (!values) {
    if (data.legend) data.legend = null;
    return null;
  }
  if (data.legend?.values !== values) {
    let low = Infinity;
    let high = -Infinity;
    for (const number of values) {
      if (number < low) low = number;
      if (number > high) high = number;
    }
    data.legend = { values, low, high };
    set();
  }
  const { low, high } = data.legend;
  return (row) => (high > low ? (values[row] - low) / (high - low) : 0);
}

/** Paths of the last frames, one line a track. */
function drawTails(context, v) {
  const paths = data.paths?.get(state.shown);
  if (!paths) return;
  const only = extent();
  const chosen = new Set(state.chosen.map((c) => c.track));
  context.lineJoin = "round";
  for (const path of paths) {
    if (path.at.length < 2 || (only && !only.has(path.track))) continue;
    trace(context, v, path.at);
    const isChosen = chosen.has(path.track);
    context.strokeStyle = isChosen ? "white" : css(colourOf(path.track), 0.85);
    context.lineWidth = isChosen ? 2.5 : 1.5;
    context.stroke();
  }
}

/** Length that is 1, 2 or 5 times a power of ten and about a sixth of the width. */
function drawScale(context, v) {
  const um = state.sample.pixel_size_um;
  const perUnit = um ? v.scale / um : v.scale;
  const wanted = v.w / 6 / perUnit;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const length = [5, 2, 1].map((k) => k * power).find((k) => k <= wanted) ?? power;
  const w = length * perUnit;
  const [x, y] = [v.w - w - 16, v.h - 16];
  context.fillStyle = "rgb(0 0 0 / 0.55)";
  context.fillRect(x - 8, y - 22, w + 16, 32);
  context.fillStyle = "white";
  context.fillRect(x, y, w, 3);
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  context.fillText(`${+length.toPrecision(3)} ${um ? "µm" : "px"}`, x + w / 2, y - 6);
}


