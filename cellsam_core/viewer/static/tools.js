// @ts-check
/** Corrections of cells: a box that the model fills, an outline by hand, a cut, and the rest. */

import { html } from "./vendor/htm-preact.module.js";
import { json } from "./api.js";
import { path } from "./choose.js";
import { change, remember, safely } from "./edit.js";
import { toImage, toScreen, view, viewer } from "./image.js";
import { addActions, onLeave } from "./keys.js";
import { addDrawer, redraw, trace } from "./marks.js";
import { addPanel, button } from "./panels.js";
import { complain, listen, say, set, state } from "./state.js";

const CLOSE_PX = 10; // a click this near to the first corner closes an outline
const STEP_PX = 4; // distance of the corners of a free-hand line, on the screen
const LED = "Without a mouse: arrow keys, and Space for a corner.";
const HINTS = {
  box: `Drag a box around one cell: the model draws it. ${LED}`,
  outline: `Click the corners of the cell, or draw around it with the button held; Enter closes. ${LED}`,
  cut: `Draw a line across the chosen cell. ${LED}`,
  region: `Drag a box around a region in which every cell is right. ${LED}`,
};
let drag = null; // {x, y, to: [x, y]} in image pixels
let corners = []; // of the outline or cut that is being drawn
let waitingBox = null;

const LEFT = "The drawing was dropped, since another frame is shown: nothing was written.";
const place = () => `${state.sample?.name} ${state.shown}`;
const here = () => state.chosen.filter((c) => c.frame === state.shown);
const tool = (name) => () => {
  if (name === "cut" && here().length !== 1) return say("Choose one cell of this frame first, then cut it.");
  stop();
  set({ tool: name, proposal: null });
  viewer.setMouseNavEnabled(false);
  say(HINTS[name]);
  if (name === "box") askForModel();
  return undefined;
};

function stop() {
  drag = null;
  corners = [];
  waitingBox = null;
  viewer?.setMouseNavEnabled(true);
  set({ tool: "", proposal: null, redrawn: null });
}

onLeave(() => {
  if (!state.tool && !state.proposal) return false;
  const isDropped = state.proposal || isDrawing() || waitingBox;
  stop();
  say(isDropped ? "The drawing was dropped: nothing was written." : "The tool is off.");
  return true;
});

/** Begin to load the model, and look at it every second until it is there. */
async function askForModel() {
  try {
    const said = await json(path("model"), { method: "POST", body: {} });
    set({ model: said });
    if (said.model === "loading") {
      say(`Loading the model (${said.seconds} s). Boxes that you draw meanwhile wait.`);
      setTimeout(askForModel, 1000);
    } else if (said.model === "ready") {
      if (waitingBox) await draw(waitingBox);
      else if (state.tool === "box") say(HINTS.box);
    } else if (said.reason) set({ message: `No model: ${said.reason} Draw the outline by hand (O).`, isProblem: true });
  } catch (error) {
    complain(error);
  }
}

async function draw(box) {
  if (state.model?.model !== "ready") {
    waitingBox = box;
    redraw();
    return;
  }
  waitingBox = null;
  const frame = state.shown;
  const where = place();
  const answer = await json(path("prompt"), { method: "POST", body: { t: frame, boxes: [box] } });
  if (place() !== where) return void say(LEFT);
  const [one] = answer.cells;
  if (!one) return void say("There is no cell in this box: try another one.");
  set({ proposal: { ...one, box, frame, weights: answer.weights } });
  const doubt = one.predicted_iou < 0.7 ? " The model is not sure of it." : "";
  document.body.dataset.ms = String(answer.ms);
  say(`The model drew a cell. C or Enter accepts it, Esc drops it.${doubt}`);
}

/** Write a row of the table of cells. */
async function write(body) {
  const frame = state.shown;
  remember("cells", await change("POST", "cells", "", { frame, ...body }));
}

async function accept() {
  const { proposal } = state;
  if (!proposal) return say("There is nothing to accept: draw a box first (X).");
  const body = { operation: "add", outline: proposal.outline };
  if (proposal.box) body.box = proposal.box;
  const target = state.redrawn;
  if (target) Object.assign(body, { operation: "redraw", label: target.label });
  await write({ frame: proposal.frame, ...body });
  set({ proposal: null, redrawn: null, chosen: target ? [] : state.chosen });
  return undefined;
}

async function closeOutline() {
  if (corners.length < 3) return;
  const outline = corners;
  corners = [];
  set({ proposal: { outline, frame: state.shown } });
  await accept();
}

const onCells = (operation, n) =>
  safely(async () => {
    const chosen = here();
    if (chosen.length !== n) return say(n === 1 ? "Choose one cell of this frame first." : "Choose two cells of this frame first (Shift + click).");
    await write({ operation, label: chosen[0].label, ...(n === 2 ? { other: chosen[1].label } : {}) });
    return set({ chosen: [] });
  });

function redrawCell() {
  const [one] = here();
  if (!one) return say("Choose the cell to draw anew first.");
  tool("box")();
  set({ redrawn: one });
  return say("Drag a box around the cell, or press O to draw its outline by hand. C accepts.");
}

const group = "Cells";
addActions([
  { key: "x", text: "box: the model draws the cell", group, edits: true, run: tool("box") },
  { key: "o", text: "outline by hand", group, edits: true, run: () => { const kept = state.redrawn; tool("outline")(); set({ redrawn: kept }); } },
  { key: "c", text: "accept the drawn cell", group, edits: true, run: safely(accept) },
  { key: "e", text: "draw the chosen cell anew", group, edits: true, run: redrawCell },
  { key: "k", text: "cut the chosen cell", group, edits: true, run: tool("cut") },
  { key: "j", text: "join the two chosen cells", group, edits: true, run: onCells("merge", 2) },
  { key: "d", text: "delete: it is no cell", group, edits: true, run: onCells("delete", 1) },
  { key: "g", text: "region: all cells in it are right", group, edits: true, run: tool("region") },
]);

addPanel("tools", () => {
  if (!state.sample?.has?.masks || state.readOnly) return null;
  const on = (name) => state.tool === name;
  return html`<span class="group"><b>Cells</b>${button("x", "box", on("box"))}${button("o", "outline", on("outline"))}${button("e", "redraw", Boolean(state.redrawn))}${button("k", "cut", on("cut"))}${button("j", "join")}${button("d", "delete")}${button("g", "region done", on("region"))}
    ${state.proposal ? button("c", "accept") : null}</span>`;
});

const at = (event) => {
  const box = document.getElementById("picture").getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top, box];
};

const isOn = (event) => {
  if (!state.tool || event.button > 0) return false;
  return event.target instanceof Element && document.getElementById("viewer").contains(event.target);
};

window.addEventListener("pointerdown", (event) => {
  if (!isOn(event)) return;
  const [sx, sy] = at(event);
  const [x, y] = toImage(view(), sx, sy);
  drag = { x, y, sx, sy, to: [x, y], line: [[x, y]] };
}, { capture: true });

window.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [sx, sy] = at(event);
  const point = toImage(view(), sx, sy);
  drag.to = point;
  const [lx, ly] = toScreen(view(), ...drag.line.at(-1));
  if (Math.hypot(sx - lx, sy - ly) >= STEP_PX) drag.line.push(point);
  redraw();
}, { capture: true });

window.addEventListener("pointerup", (event) => {
  if (!drag) return;
  const done = drag;
  drag = null;
  const [sx, sy] = at(event);
  const isClick = Math.hypot(sx - done.sx, sy - done.sy) < 4;
  finish(done, isClick, sx, sy).catch(complain);
  redraw();
}, { capture: true });

async function finish(done, isClick, sx, sy) {
  const box = [Math.min(done.x, done.to[0]), Math.min(done.y, done.to[1]), Math.max(done.x, done.to[0]), Math.max(done.y, done.to[1])];
  if (state.tool === "box" && !isClick) return draw(box);
  if (state.tool === "region" && !isClick) {
    const [x0, y0, x1, y1] = box;
    await write({ operation: "complete", outline: [[x0, y0], [x1, y0], [x1, y1], [x0, y1]] });
    return stop();
  }
  if (state.tool === "cut" && !isClick) {
    await write({ operation: "split", label: here()[0].label, cut: done.line });
    set({ chosen: [] });
    return stop();
  }
  if (state.tool !== "outline") return undefined;
  if (!isClick) {
    corners = done.line;
    return closeOutline();
  }
  if (corners.length > 2) {
    const [fx, fy] = toScreen(view(), ...corners[0]);
    if (Math.hypot(sx - fx, sy - fy) < CLOSE_PX) return closeOutline();
  }
  corners.push([done.x, done.y]);
  return undefined;
}

export const isDrawing = () => drag !== null || corners.length > 0;

/** The place of the cross, which keys lead: it moves, or Space sets a corner there. */
export async function pointAt(x, y, isMove) {
  if (isMove) {
    if (drag) Object.assign(drag, { to: [x, y], line: [drag.line[0], [x, y]] });
    return undefined;
  }
  if (state.tool === "outline") return void corners.push([x, y]);
  if (!drag) {
    drag = { x, y, sx: 0, sy: 0, to: [x, y], line: [[x, y]] };
    return say("Now the opposite corner, or the end of the line: arrow keys, then Space.");
  }
  const done = { ...drag, to: [x, y], line: [drag.line[0], [x, y]] };
  drag = null;
  return finish(done, false, 0, 0);
}

/** Enter closes an outline or accepts a proposal; while a tool is used, it answers no doubt. */
window.addEventListener("keydown", (event) => {
  const isInTool = state.tool === "outline" || ((state.tool || state.proposal) && !(event.target instanceof HTMLButtonElement));
  if (event.key !== "Enter" || !isInTool) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (state.proposal) accept().catch(complain);
  else if (corners.length > 2) closeOutline().catch(complain);
  else say(state.tool === "outline" ? "An outline needs three corners or more." : "Enter does nothing in this tool. Esc leaves it.");
}, { capture: true });

const parsed = new Map();
function pointsOf(text) {
  if (!parsed.has(text)) parsed.set(text, text.split(";").map((p) => p.trim().split(/\s+/).map(Number)));
  return parsed.get(text);
}

const LOOKS = { add: "#5ee7ff", redraw: "#5ee7ff", complete: "#7dff8a", delete: "#ff6b5e", merge: "#ffd640", split: "#ffd640" };

addDrawer((context, v) => {
  context.lineWidth = 2;
  context.setLineDash([5, 4]);
  for (const row of state.cellRows ?? []) {
    if (!row.waiting || Number(row.frame) !== state.shown) continue;
    context.strokeStyle = LOOKS[row.operation];
    const names = row.operation === "redraw" ? ["outline"] : ["outline", "anchor", "other"];
    for (const name of names) {
      if (!row[name]) continue;
      trace(context, v, pointsOf(row[name]), !(row.operation === "split" && name === "other"));
      context.stroke();
      if (row.operation === "delete") {
        context.fillStyle = "rgb(255 107 94 / 0.3)";
        context.fill();
      }
    }
  }
  context.setLineDash([]);
  const box = drag && (state.tool === "box" || state.tool === "region") ? [drag.x, drag.y, ...drag.to] : waitingBox;
  context.strokeStyle = "#5ee7ff";
  if (box) {
    const [ax, ay] = toScreen(v, box[0], box[1]);
    const [bx, by] = toScreen(v, box[2], box[3]);
    context.strokeRect(Math.min(ax, bx), Math.min(ay, by), Math.abs(bx - ax), Math.abs(by - ay));
  }
  const line = drag && (state.tool === "cut" || state.tool === "outline") && drag.line.length > 1 ? drag.line : corners;
  if (line.length) {
    trace(context, v, line, false);
    context.stroke();
    for (const [x, y] of corners) {
      const [sx, sy] = toScreen(v, x, y);
      context.strokeRect(sx - 3, sy - 3, 6, 6);
    }
  }
  if (state.proposal && state.proposal.frame === state.shown) {
    trace(context, v, state.proposal.outline, true);
    context.fillStyle = "rgb(94 231 255 / 0.25)";
    context.fill();
    context.stroke();
  }
});

let begun = ""; // where the drawing was begun
/** A drawing belongs to the frame in which it was begun. */
listen(() => {
  const isAny = state.proposal || state.redrawn || waitingBox || isDrawing();
  if (isAny && begun !== place()) {
    stop();
    say(LEFT);
  }
  begun = place();
});

listen(() => {
  document.body.dataset.proposal = state.proposal ? "yes" : "";
  document.body.dataset.model = state.model?.model ?? "";
  document.body.dataset.cellrows = String((state.cellRows ?? []).length);
});

