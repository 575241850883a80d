// @ts-check
/** Opening samples and frames, choosing cells, and the data that belong to what is chosen. */

import { columns, json } from "./api.js";
import { clearImage, fit, goTo, openChannels, showFrame, toImage, view, viewer } from "./image.js";
import { clearLabels, labelAt, loadLabels } from "./labels.js";
import { redraw } from "./marks.js";
import { cellsOf, complain, data, isMovie, rowOf, say, set, state } from "./state.js";
import { clearTranscripts } from "./transcripts.js";

const KEPT_FRAMES = 60;

export const path = (rest) => `${encodeURIComponent(state.sample.name)}/${rest}`;

function reset() {
  Object.assign(data, { cells: new Map(), paths: new Map(), tracks: null, fits: true, review: null, divisions: null });
  Object.assign(data, { trace: null, cell: null, features: null, genes: null, legend: null, density: null });
  clearImage();
  clearLabels();
  clearTranscripts();
}

const hint = (sample) => (sample.has?.review ? "Click on a cell, or press ↓ to go to the first doubt. ? shows the keys." : sample.has?.masks ? "Click on a cell. ? shows the keys." : "");

/** @param {any} sample @param {number} frame */
export async function openSample(sample, frame = 0) {
  const isNew = state.sample?.name !== sample.name;
  reset();
  const fresh = { chosen: [], colour: "", genes: [], extent: "all", hover: 0, playing: false, channels: [] };
  frame = Math.max(0, Math.min(sample.frames - 1, frame));
  set({ sample, frame, shown: -1, ...(isNew ? fresh : {}), message: sample.error ?? (isNew ? hint(sample) : ""), isProblem: !!sample.error });
  if (sample.has?.image) await openChannels(sample);
  if (state.sample !== sample) return;
  if (sample.has?.tracks) await openTracks();
  if (state.sample !== sample) return;
  if (sample.has?.transcripts) json(path("transcripts")).then((f) => set(((data.features = f), {}))).catch(complain);
  if (sample.has?.counts) json(path("genes")).then((g) => set(((data.genes = g), {}))).catch(complain);
  setFrame(state.frame, true); // the user may have gone on meanwhile
  if (isNew) viewer.addOnceHandler("tile-drawn", redraw);
  if (isNew && sample.has?.image) whenOpen(() => requestAnimationFrame(() => requestAnimationFrame(() => fit(true))));
}

function whenOpen(then) {
  if (viewer.world.getItemCount()) then();
  else viewer.world.addOnceHandler("add-item", then);
}

export async function openTracks() {
  const tables = await json(path("tracks"));
  const byId = new Map();
  rowsOf(tables.tracks).forEach((track) => byId.set(track.track_id, track));
  data.tracks = { byId };
  data.fits = tables.fits;
  data.divisions = rowsOf(tables.divisions);
  data.review = rowsOf(tables.review);
}

/** Columns to rows. */
export function rowsOf(table) {
  const names = Object.keys(table);
  if (!names.length) return [];
  return table[names[0]].map((_, k) => Object.fromEntries(names.map((name) => [name, table[name][k]])));
}

export async function loadCells(frame) {
  let cells = cellsOf(frame);
  if (cells || !state.sample.has?.masks) return cells;
  const { sample } = state;
  cells = await columns(path(`cells/${frame}`));
  cells.rows = new Map(Array.from(cells.label, (label, k) => [label, k]));
  if (state.sample !== sample) return cells;
  data.cells.set(frame, cells);
  for (const old of data.cells.keys()) {
    if (data.cells.size <= KEPT_FRAMES) break;
    data.cells.delete(old);
  }
  return cells;
}

async function loadPaths(frame) {
  if (!isMovie() || !state.sample.has?.tracks || data.paths.has(frame)) return;
  const table = await columns(path(`paths/${frame}`));
  const found = new Map();
  for (let k = 0; k < table.n; k++) {
    const track = table.track[k];
    if (!track) continue;
    if (!found.has(track)) found.set(track, { track, at: [], last: 0 });
    const one = found.get(track);
    one.at.push([table.x[k], table.y[k]]);
    one.last = table.frame[k];
  }
  data.paths.set(frame, [...found.values()].filter((one) => one.last === frame));
  if (data.paths.size > KEPT_FRAMES) data.paths.delete(data.paths.keys().next().value);
}

/** Show a frame as soon as its picture, labels and cells are here. */
export function setFrame(frame, isForced = false) {
  if (!state.sample) return;
  const wanted = Math.max(0, Math.min(state.sample.frames - 1, frame));
  if (wanted === state.frame && !isForced && state.shown === wanted) return;
  set({ frame: wanted });
  const alongside = Promise.all([loadLabels(wanted), loadCells(wanted), loadPaths(wanted)]).catch(complain);
  showFrame(wanted, alongside);
  alongside.then(() => loadAhead(wanted + 1));
}

/** Load what belongs to the next frame while the user looks at this one. */
function loadAhead(frame) {
  if (frame >= state.sample.frames || state.frame !== frame - 1) return;
  Promise.all([loadCells(frame), loadLabels(frame), loadPaths(frame)]).catch(complain);
}

export const objectAt = (frame, label) => {
  const row = rowOf(frame, label);
  const track = row >= 0 ? (cellsOf(frame).track?.[row] ?? 0) : 0;
  return { frame, label, track };
};

/** @param {number} label @param {boolean} isAdded to the cells chosen before */
export function choose(frame, label, isAdded = false) {
  const one = objectAt(frame, label);
  const others = state.chosen.filter((c) => !(c.frame === frame && c.label === label));
  if (!label) return set({ chosen: isAdded ? state.chosen : [] });
  if (isAdded && others.length < state.chosen.length) set({ chosen: others });
  else set({ chosen: isAdded ? [...others.slice(-1), one] : [one] });
  const last = state.chosen.at(-1);
  if (last) loadChosen(last).catch(complain);
}

async function loadChosen(one) {
  const { sample, message } = state;
  const [cell, trace] = await Promise.all([
    json(path(`cell/${one.frame}/${one.label}`)),
    one.track ? json(path(`trace/${one.track}`)) : null,
  ]);
  if (state.sample !== sample || state.chosen.at(-1) !== one) return;
  data.cell = { ...cell, frame: one.frame };
  data.trace = trace ? { track: one.track, ...trace } : null;
  set();
  // What was said meanwhile, such as a note on what was written, stays.
  if (state.message !== message) return;
  const area = cell.area_px ? `, ${Math.round(cell.area_px)} px` : "";
  say(one.track ? `Frame ${one.frame}, track ${one.track} chosen${area}.` : `Cell ${one.label} chosen${area}.`);
}

/** Choose a track in its first frame, or in the frame shown if it is there. */
export async function chooseTrack(id) {
  const track = data.tracks?.byId.get(id);
  if (!track) return;
  const { objects } = await json(path(`trace/${id}`));
  const k = Math.max(0, objects.frame.indexOf(track.first_frame));
  await visit(objects.frame[k], objects.label[k], objects.x[k], objects.y[k]);
}

/** Go to a cell and choose it. */
export async function visit(frame, label, x, y) {
  const cells = await loadCells(frame);
  const row = cells?.rows.get(label);
  const radius = Math.max(26, row === undefined ? 0 : 2 * Math.sqrt(cells.area[row] / Math.PI));
  setFrame(frame);
  goTo(x, y, radius);
  choose(frame, label);
}

/** Cell under a point of the screen, relative to the picture. */
export function hit(px, py) {
  const [x, y] = toImage(view(), px, py);
  return { x, y, label: state.shown < 0 ? 0 : labelAt(state.shown, x, y) };
}

/** Colour by a value: "", area, score, transcripts, genes, or the count of a gene. */
export async function colourBy(word) {
  const match = /^gene:(\d+)$/.exec(word);
  if (match) {
    const cells = await loadCells(0);
    const table = await columns(path(`values/${match[1]}`));
    cells[word] = table.count;
  }
  data.legend = null;
  set({ colour: word });
}

/** Show the transcripts of some features as points. */
export async function showGenes(genes) {
  set({ genes });
  if (!genes.length) return;
  const features = await json(path(`transcripts?g=${genes.join(",")}`));
  if (state.genes.join() === genes.join()) set(((data.features = features), {}));
}
