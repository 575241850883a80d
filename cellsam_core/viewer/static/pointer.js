// @ts-check
/** Work without a mouse: cells are chosen by key, and a tool is led by a cross that arrow keys move. */

import { choose, loadCells, objectAt, visit } from "./choose.js";
import { safely } from "./edit.js";
import { toImage, toScreen, view } from "./image.js";
import { addActions } from "./keys.js";
import { addDrawer, redraw } from "./marks.js";
import { isDrawing, pointAt } from "./tools.js";
import { complain, listen, say, state } from "./state.js";

const STEP_PX = 4; // on the screen; five times as far with Shift
const FAR = 5;
const CROSS_PX = 11;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let at = null; // place of the cross in image pixels
let visited = { frame: -1, row: -1 }; // so that N goes on after a cell was deleted

/** Choose the next cell of the frame; with Shift the one before. */
async function next(step) {
  const cells = await loadCells(state.shown);
  if (!cells?.n) return say("There is no cell in this frame.");
  const last = state.chosen.at(-1);
  const before = visited.frame === state.shown ? visited.row : -1;
  const now = last?.frame === state.shown ? (cells.rows.get(last.label) ?? before) : before;
  const k = now < 0 ? (step > 0 ? 0 : cells.n - 1) : (now + step + cells.n) % cells.n;
  visited = { frame: state.shown, row: k };
  return visit(state.shown, cells.label[k], cells.x[k], cells.y[k]);
}

/** Choose a second cell: the nearest to the first one in this frame, then the next nearest. */
async function second() {
  const [first, other] = state.chosen;
  if (!first) return say("Choose a first cell before, with N.");
  const [home, cells] = await Promise.all([loadCells(first.frame), loadCells(state.shown)]);
  const row = home.rows.get(first.label);
  const far = (k) => Math.hypot(cells.y[k] - home.y[row], cells.x[k] - home.x[row]);
  const order = Array.from(cells.label.keys()).filter((k) => first.frame !== state.shown || cells.label[k] !== first.label);
  if (!order.length) return say("There is no other cell in this frame.");
  order.sort((a, b) => far(a) - far(b));
  const now = other?.frame === state.shown ? order.findIndex((k) => cells.label[k] === other.label) : -1;
  const label = cells.label[order[(now + 1) % order.length]];
  choose(first.frame, first.label);
  return choose(state.shown, objectAt(state.shown, label).label, true);
}

addActions([
  { key: "n", text: "choose the next cell (Shift: back)", group: "Look", run: (e) => safely(() => next(e?.shiftKey ? -1 : 1))() },
  { key: "v", text: "choose a second cell beside it", group: "Look", run: safely(second) },
]);

/** Where the cross begins: at the chosen cell, else in the middle of the view. */
function begin() {
  const v = view();
  const cells = state.chosen.at(-1)?.frame === state.shown ? state.chosen.at(-1) : null;
  if (!cells) return toImage(v, v.w / 2, v.h / 2);
  return loadCells(state.shown).then((found) => {
    const row = found.rows.get(cells.label);
    return row === undefined ? toImage(v, v.w / 2, v.h / 2) : [found.x[row], found.y[row]];
  });
}

async function lead(key, isFar) {
  at ??= await begin();
  const move = MOVES[key];
  if (move) {
    const step = (STEP_PX * (isFar ? FAR : 1)) / view().scale;
    at = [at[0] + move[0] * step, at[1] + move[1] * step];
    pointAt(at[0], at[1], true);
  } else await pointAt(at[0], at[1], false);
  document.body.dataset.cross = at.map((value) => value.toFixed(1)).join(" ");
  redraw();
}

window.addEventListener(
  "keydown",
  (event) => {
    const isLed = event.key in MOVES || event.key === " ";
    if (!state.tool || !isLed || event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    lead(event.key, event.shiftKey).catch(complain);
  },
  { capture: true },
);

addDrawer((context, v) => {
  if (!at || !state.tool) return;
  const [x, y] = toScreen(v, at[0], at[1]);
  context.strokeStyle = isDrawing() ? "#5ee7ff" : "#ffffff";
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(x - CROSS_PX, y);
  context.lineTo(x + CROSS_PX, y);
  context.moveTo(x, y - CROSS_PX);
  context.lineTo(x, y + CROSS_PX);
  context.stroke();
});

listen(() => {
  if (!state.tool) at = null;
});
