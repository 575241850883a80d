// @ts-check
/** Walking through the review queue: confirm, break, or take another cell of the frame before. */

import { html, useEffect, useRef } from "./vendor/htm-preact.module.js";
import { json } from "./api.js";
import { loadCells, path } from "./choose.js";
import { act, onBreak, safely } from "./edit.js";
import { pictureOf } from "./image.js";
import { addActions } from "./keys.js";
import { labelAt, loadLabels } from "./labels.js";
import { currentRow, goToRow, isAway, onRow } from "./queue.js";
import { complain, data, listen, say, set, state } from "./state.js";

const CANVAS_PX = 160; // side of a small picture on the screen
const DIAMETERS = 3.4; // its side, in diameters of the cells
const CHOICES = 3;
let candidatesOf = -1;

async function next(step) {
  const rows = data.review ?? [];
  const k = (state.row ?? -1) + step;
  if (k >= rows.length) return say("That was the last row of the queue.");
  if (k >= 0) await goToRow(k);
  return undefined;
}

async function confirm() {
  const row = currentRow();
  if (!row) return next(1);
  if (isAway()) return goToRow(state.row);
  return decide("confirm", [row]);
}

/** Write the answer to a doubt, and go to the next one. */
async function decide(action, objects) {
  await act(action, objects, "queue");
  const written = state.message;
  set({ confirmed: new Set([...(state.confirmed ?? []), state.row]) });
  await next(1);
  return say(`${written} ${state.message}`); // what was written, and what comes next
}

async function take(k) {
  const row = currentRow();
  const other = state.candidates?.[k];
  if (!row || !other) return undefined;
  if (isAway()) return goToRow(state.row);
  return decide("link", [row, other]);
}

onBreak(() => {
  const row = currentRow();
  return row && !isAway() && state.chosen.length === 1 ? decide("unlink", [row]) : null;
});

addActions([
  { key: "Enter", text: "yes, it is right", group: "Review", tracks: true, movie: true, edits: true, run: safely(confirm) },
  { key: "ArrowDown", text: "next doubt, doubt before", group: "Review", movie: true, run: safely(() => next(1)) },
  { key: "ArrowUp", text: "next doubt, doubt before", group: "Review", movie: true, run: safely(() => next(-1)) },
  ...[1, 2, 3].map((n) => ({ key: String(n), text: "no, it is this cell", group: "Review", tracks: true, movie: true, edits: true, run: safely(() => take(n - 1)) })),
]);

listen(() => {
  const k = state.row ?? -1;
  document.body.dataset.row = String(k);
  if (k === candidatesOf) return;
  candidatesOf = k;
  const row = currentRow();
  set({ candidates: [] });
  if (row && row.frame > 0) {
    json(path(`candidates/${row.frame}/${row.label}`))
      .then((found) => state.row === k && set({ candidates: found.slice(0, CHOICES) }))
      .catch(complain);
  }
});

const tracksOf = (row) => row.track_ids.split(";").map(Number);

/** The question that a row asks. */
function question(row, before) {
  const [first, ...others] = tracksOf(row);
  if (row.event_kind === "bud") return `Is the cell of track ${first} the mother of the bud, track ${others.join(" and ")}?`;
  if (row.event_kind === "mitosis") return `Did the cell of track ${first} divide into tracks ${others.join(" and ")}?`;
  if (before < row.frame - 1) return `Track ${first} was not found between frames ${before} and ${row.frame}. Is it the same cell in both?`;
  return `Track ${first}: is it the same cell in frames ${before} and ${row.frame}?`;
}

/** Words on the button of a candidate. */
function offer(row, candidate) {
  if (!tracksOf(row).includes(candidate.track_id)) return `it is track ${candidate.track_id}`;
  return row.event_kind === "mitosis" ? `no division, it is track ${candidate.track_id}` : `track ${candidate.track_id}, as found`;
}

onRow((row) => {
  const choices = state.candidates ?? [];
  const before = choices[0]?.frame ?? row.frame - 1;
  const [x, y] = choices.length ? [(row.x + choices[0].x) / 2, (row.y + choices[0].y) / 2] : [row.x, row.y];
  const place = { x, y, tracks: tracksOf(row) };
  return html`<p class="question">${question(row, before)} <span class="hint">In light blue: the cells that are meant.</span></p>
    <div class="pair">
      <${Small} frame=${before} ...${place} choices=${choices} key=${`a${state.row}`} />
      <${Small} frame=${row.frame} ...${place} choices=${[]} key=${`b${state.row}`} /></div>
    ${state.readOnly ? null : html`<div class="group"><button onClick=${safely(confirm)}><kbd>Enter</kbd> yes</button>
      ${choices.map((c, k) => html`<button onClick=${safely(() => take(k))}><kbd>${k + 1}</kbd> ${offer(row, c)}</button>`)}
      <button onClick=${safely(() => decide("unlink", [row]))}><kbd>B</kbd> no, a new track begins</button></div>`}`;
});

/** A part of a frame with outlines, and the numbers of the candidates. */
function Small({ frame, x, y, tracks, choices }) {
  const canvas = useRef(null);
  useEffect(() => {
    let isGone = false;
    const show = async () => {
      const cells = await loadCells(frame);
      const side = sideOf(cells);
      const [left, top] = [Math.round(x - side / 2), Math.round(y - side / 2)];
      const [picture] = await Promise.all([pictureOf(frame, left, top, side), loadLabels(frame)]);
      const meant = new Set(Array.from(cells.label).filter((_, k) => tracks.includes(cells.track?.[k])));
      if (!isGone) draw(canvas.current, picture, { frame, left, top, side, meant, choices });
    };
    show().catch(complain);
    return () => {
      isGone = true;
    };
  }, [frame, x, y, choices.length]);
  return html`<figure><canvas ref=${canvas} width=${CANVAS_PX} height=${CANVAS_PX} aria-label=${`Frame ${frame}`}></canvas><figcaption>frame ${frame}</figcaption></figure>`;
}

/** Side of a small picture in pixels of the image. */
function sideOf(cells) {
  const areas = Array.from(cells.area).sort((a, b) => a - b);
  const diameter = 2 * Math.sqrt((areas[areas.length >> 1] ?? 0) / Math.PI);
  return Math.round(Math.max(40, DIAMETERS * diameter));
}

function draw(canvas, picture, { frame, left, top, side, meant, choices }) {
  const context = canvas.getContext("2d");
  const zoom = CANVAS_PX / side;
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, 0, 0, CANVAS_PX, CANVAS_PX);
  const n = Math.min(side, CANVAS_PX);
  const dot = CANVAS_PX / n;
  const ids = new Uint32Array(n * n);
  for (let k = 0; k < n * n; k++) ids[k] = labelAt(frame, left + ((k % n) * side) / n, top + (Math.floor(k / n) * side) / n);
  for (let k = 0; k < n * n; k++) {
    const id = ids[k];
    const isEdge = [k - 1, k + 1, k - n, k + n].some((other) => ids[other] !== undefined && ids[other] !== id);
    if (!id || !isEdge) continue;
    context.fillStyle = meant.has(id) ? "#5ee7ff" : "#ffb84d";
    context.fillRect((k % n) * dot, Math.floor(k / n) * dot, dot, dot);
  }
  context.font = "bold 14px system-ui";
  context.fillStyle = "#5ee7ff";
  context.textAlign = "center";
  choices.forEach((c, k) => context.fillText(String(k + 1), (c.x - left) * zoom, (c.y - top) * zoom + 5));
}
