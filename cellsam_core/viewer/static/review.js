// @ts-check
/** Walking through the review queue: confirm, break, or take another cell of the frame before. */

import { html, useEffect, useRef } from "./vendor/htm-preact.module.js";
import { json } from "./api.js";
import { path } from "./choose.js";
import { act } from "./edit.js";
import { pictureOf } from "./image.js";
import { addActions } from "./keys.js";
import { labelAt, loadLabels } from "./labels.js";
import { addRowActions, currentRow, goToRow } from "./queue.js";
import { complain, data, listen, say, set, state } from "./state.js";

const SIDE = 56; // pixels of the image in each small picture
const ZOOM = 3;
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
  await act("confirm", [row], "queue");
  mark();
  return next(1);
}

function mark() {
  set({ confirmed: new Set([...(state.confirmed ?? []), state.row]) });
}

async function take(k) {
  const row = currentRow();
  const other = state.candidates?.[k];
  if (!row || !other) return undefined;
  await act("link", [row, other], "queue");
  mark();
  return next(1);
}

const safely = (run) => () => void Promise.resolve(run()).catch(complain);

addActions([
  { key: "Enter", text: "queue: right as it is, next", group: "Review", tracks: true, movie: true, edits: true, run: safely(confirm) },
  { key: "ArrowDown", text: "queue: next", group: "Review", movie: true, run: safely(() => next(1)) },
  { key: "ArrowUp", text: "queue: back", group: "Review", movie: true, run: safely(() => next(-1)) },
  ...[1, 2, 3].map((n) => ({ key: String(n), text: `queue: it is cell ${n} of the frame before`, group: "Review", tracks: true, movie: true, edits: true, run: safely(() => take(n - 1)) })),
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

addRowActions(() => {
  const row = currentRow();
  if (!row) return html`<button onClick=${safely(() => next(1))}><kbd>↓</kbd> start</button>`;
  return html`<div class="pair">
      <${Small} frame=${row.frame - 1} x=${row.x} y=${row.y} choices=${state.candidates ?? []} key=${`a${state.row}`} />
      <${Small} frame=${row.frame} x=${row.x} y=${row.y} own=${row.label} key=${`b${state.row}`} /></div>
    ${state.readOnly ? null : html`<div class="group"><button onClick=${safely(confirm)}><kbd>Enter</kbd> right</button>
      ${(state.candidates ?? []).map((c, k) => html`<button onClick=${safely(() => take(k))}><kbd>${k + 1}</kbd> it is track ${c.track_id}</button>`)}
      <button onClick=${safely(async () => { await act("unlink", [row], "queue"); mark(); await next(1); })}><kbd>B</kbd> break</button></div>`}`;
});

/** A part of a frame, three times as large, with outlines and the numbers of the candidates. */
function Small({ frame, x, y, choices = [], own = 0 }) {
  const canvas = useRef(null);
  useEffect(() => {
    let isGone = false;
    const left = Math.round(x) - SIDE / 2;
    const top = Math.round(y) - SIDE / 2;
    Promise.all([pictureOf(frame, left, top, SIDE), loadLabels(frame)])
      .then(([bitmap]) => !isGone && draw(canvas.current, bitmap, frame, left, top, choices, own))
      .catch(complain);
    return () => {
      isGone = true;
    };
  }, [frame, x, y, choices.length]);
  return html`<figure><canvas ref=${canvas} width=${SIDE * ZOOM} height=${SIDE * ZOOM} aria-label=${`Frame ${frame}`}></canvas><figcaption>frame ${frame}</figcaption></figure>`;
}

function draw(canvas, bitmap, frame, left, top, choices, own) {
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, 0, 0, SIDE * ZOOM, SIDE * ZOOM);
  const ids = new Map();
  const at = (px, py) => {
    const key = py * 4096 + px;
    if (!ids.has(key)) ids.set(key, labelAt(frame, left + px, top + py));
    return ids.get(key);
  };
  for (let py = 0; py < SIDE; py++) {
    for (let px = 0; px < SIDE; px++) {
      const id = at(px, py);
      if (!id || (at(px - 1, py) === id && at(px + 1, py) === id && at(px, py - 1) === id && at(px, py + 1) === id)) continue;
      context.fillStyle = id === own || choices[0]?.label === id ? "#ffffff" : "#ffb84d";
      context.fillRect(px * ZOOM + 1, py * ZOOM + 1, 1.5, 1.5);
    }
  }
  context.font = "bold 14px system-ui";
  context.fillStyle = "#5ee7ff";
  choices.forEach((c, k) => context.fillText(String(k + 1), (c.x - left) * ZOOM, (c.y - top) * ZOOM));
}
