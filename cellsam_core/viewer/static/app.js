// @ts-check
/** Start: the viewer, the panels, the keys, and a look at the server every few seconds. */

import { json } from "./api.js";
import { choose, hit, openSample, path, setFrame } from "./choose.js";
import { makeViewer } from "./image.js";
import { listenToKeys } from "./keys.js";
import { redraw, startMarks } from "./marks.js";
import { drawPanels } from "./panels.js";
import { loadRows } from "./edit.js";
import "./pointer.js";
import "./review.js";
import "./teach.js";
import "./tools.js";
import { complain, listen, say, set, state } from "./state.js";

const LOOK_EVERY_MS = 3000;
let toldProblem = ""; // a damaged part of the image is told once, not for each tile

async function start() {
  const viewer = makeViewer();
  startMarks();
  listen(drawPanels);
  listen(redraw);
  listenToKeys();
  listenToPointer(viewer);
  const answer = await json("state");
  set({ samples: answer.samples, version: answer.version });
  await openWanted();
  listen(remember);
  window.addEventListener("hashchange", () => openWanted().catch(complain));
  setInterval(look, LOOK_EVERY_MS);
}

/** Open the sample and the frame that the address names. */
async function openWanted() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const named = state.samples.find((s) => s.name === wanted.get("sample"));
  const frame = Number(wanted.get("frame")) || 0;
  if (named && named.name === state.sample?.name) return setFrame(frame);
  return openSample(named ?? state.sample ?? state.samples[0], frame);
}

/** The address keeps sample and frame, so that a reload comes back to them. */
function remember() {
  if (!state.sample) return;
  const words = new URLSearchParams({ sample: state.sample.name, frame: String(state.frame) });
  if (location.hash !== `#${words}`) history.replaceState(null, "", `#${words}`);
}

function listenToPointer(viewer) {
  viewer.addHandler("canvas-click", (event) => {
    if (!event.quick || state.tool) return;
    const { label } = hit(event.position.x, event.position.y);
    choose(state.shown, label, event.originalEvent.shiftKey);
  });
  const picture = document.getElementById("picture");
  let isDue = false;
  window.addEventListener(
    "pointermove",
    (event) => {
      if (isDue) return;
      isDue = true;
      requestAnimationFrame(() => {
        isDue = false;
        const box = picture.getBoundingClientRect();
        const [x, y] = [event.clientX - box.left, event.clientY - box.top];
        const isInside = x >= 0 && y >= 0 && x < box.width && y < box.height;
        hover(isInside ? hit(x, y) : { label: 0, x: 0, y: 0 }, x, y);
      });
    },
    { capture: true, passive: true },
  );
}

function hover(found, x, y) {
  const tip = document.getElementById("hover");
  tip.hidden = !found.label || state.hidden;
  if (found.label) {
    tip.textContent = `cell ${found.label}`;
    tip.style.transform = `translate(${x + 14}px, ${y + 14}px)`;
  }
  if (found.label !== state.hover) set({ hover: found.label });
}

/** Notice results that were made anew, rows of another window, and a server that is gone. */
async function look() {
  try {
    const answer = await json("state");
    const wasGone = !state.connected;
    if (wasGone) set({ connected: true, message: "Connected again.", isProblem: false });
    const now = answer.samples.find((s) => s.name === state.sample?.name);
    set({ samples: answer.samples });
    if (now?.problem && now.problem !== toldProblem) {
      toldProblem = now.problem;
      set({ message: now.problem, isProblem: true });
    }
    if (now && now.version !== state.sample.version) {
      set({ chosen: [], hover: 0 }); // numbers of cells are others now
      await openSample(now, state.frame);
      say("The results were made anew and are shown.");
    } else if (now && wasGone) await openSample(now, state.frame); // tiles may be missing
    else if (now?.has?.masks) await lookAtTables();
  } catch (error) {
    complain(error);
  }
}

/** Load the corrections again if another window, or a person, wrote them. */
async function lookAtTables() {
  const { sample, seen } = state;
  const now = await json(path("seen"));
  const isSame = Object.entries(now).every(([table, checksum]) => seen[table] === checksum);
  if (isSame || state.sample !== sample || state.seen !== seen) return;
  await loadRows();
  say("The table of corrections was changed outside and was loaded again.");
}

start().catch(complain);
