// @ts-check
/** What the page shows. `set` changes it; whoever listens draws anew, once for each picture. */

export const state = {
  samples: [],
  sample: null, // description of the open sample
  version: "",
  frame: 0, // frame that is asked for
  shown: -1, // frame that is drawn
  channels: [],
  labels: "outlines", // outlines, fills, off
  tails: true,
  hidden: false,
  extent: "all", // all, lineage, track
  colour: "", // tissue: "", area, score, transcripts, or gene:INDEX
  genes: [], // indices of features drawn as points
  chosen: [], // objects {frame, label, track}
  hover: 0,
  tool: "",
  dialog: "",
  drawer: false, // small screens: the panels are open
  playing: false,
  connected: true,
  readOnly: true,
  locked: "", // why no correction can be written
  rows: [], // rows of the table of corrections
  cellRows: [], // rows of the table of corrections of cells
  takenBack: [], // what the results have of rows that are no longer in the tables
  seen: {},
  knowsTables: true, // false before the first report
  tables: [], // names of the tables of corrections
  proposal: null, // outline that is not accepted yet
  redrawn: null, // cell that is drawn anew
  model: null,
  row: -1, // row of the review queue
  confirmed: new Set(),
  candidates: [],
  message: "",
  isProblem: false,
};

/** Data of the open sample, filled when they arrive. */
export const data = { cells: new Map(), tracks: null, fits: true, trace: null, cell: null, features: null };

const listeners = new Set();
let isDue = false;

/** @param {() => void} listener */
export function listen(listener) {
  listeners.add(listener);
}

/** @param {object} patch */
export function set(patch = {}) {
  Object.assign(state, patch);
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    mirror();
    for (const listener of listeners) listener();
  });
}

/** For tests and style sheets. */
function mirror() {
  const body = document.body.dataset;
  body.sample = state.sample?.name ?? "";
  body.frame = String(state.shown);
  body.tool = state.tool;
  body.chosen = state.chosen.map((c) => `${c.frame}:${c.label}`).join(" ");
  body.hover = String(state.hover);
  body.busy = String(state.shown !== state.frame);
  body.connected = String(state.connected);
  body.drawer = state.drawer ? "open" : "";
  body.keys = state.dialog;
}

/** @param {string} message */
export function say(message) {
  set({ message, isProblem: false });
}

/** Every promise of the page ends here. @param {any} error */
export function complain(error) {
  if (error?.status === 0) set({ connected: false });
  else if (error?.status !== 410) set({ message: String(error?.message ?? error), isProblem: true });
  if (!("status" in (error ?? {}))) console.error(error);
}

/** Kinds of links and events in plain words; the others are plain already. */
export const KINDS = { start: "none, the track begins here", rescue: "far link", mitosis: "division" };

export const isMovie = () => state.sample?.assay === "movie";

/** Cells of a frame, or null while they are on the way. */
export const cellsOf = (frame) => data.cells.get(frame) ?? null;

/** Index of a label in the columns of a frame; -1 if it is not there. */
export function rowOf(frame, label) {
  return cellsOf(frame)?.rows.get(label) ?? -1;
}
