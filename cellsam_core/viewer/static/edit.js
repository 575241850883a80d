// @ts-check
/** Corrections of tracks: every action appends rows to the user's table; the results stay as they are. */

import { html } from "./vendor/htm-preact.module.js";
import { json } from "./api.js";
import { objectAt, path, setFrame, visit } from "./choose.js";
import { goTo, toScreen } from "./image.js";
import { addActions } from "./keys.js";
import { addDrawer } from "./marks.js";
import { addPanel, button } from "./panels.js";
import { complain, data, isMovie, listen, say, set, state } from "./state.js";

const undone = [];
const done = [];
const SHOWN = 30;
let shown = SHOWN; // rows of the list of corrections
let loadedFor = "";

/** Load the table of the open sample. */
export async function loadRows() {
  const { sample } = state;
  if (!sample?.has?.masks) return set({ rows: [], cellRows: [], takenBack: [] });
  const listed = await json(path("corrections"));
  if (state.sample === sample) take(listed);
  return undefined;
}

function take(listed) {
  const { rows, taken_back: back, seen, tables, knows_tables: knowsTables, read_only: readOnly, locked } = listed;
  set({ rows: rows.tracks, cellRows: rows.cells, takenBack: [...back.tracks, ...back.cells], seen, tables, knowsTables, readOnly, locked });
}

/** Change a table, "tracks" or "cells". */
export async function change(method, table, rest, body) {
  try {
    const where = path(`corrections/${table}${rest}`);
    const answer = await json(where, { method, body: { ...body, seen: state.seen[table] } });
    take(answer);
    return answer;
  } catch (error) {
    if (error.status === 409) await loadRows();
    throw error;
  }
}

/** Operations of the tables in the words of the buttons. */
const WORDS = { unlink: "break", "set-parent": "parent", "set-mother": "mother", merge: "join", split: "cut", add: "new cell", complete: "region done" };
const wordOf = (row) => WORDS[row.operation] ?? row.operation;

const words = (row) => {
  const cell = row.label ? `, cell ${row.label}` : "";
  const other = row.other_label ? ` and cell ${row.other_label} in frame ${row.other_frame}` : "";
  return `${wordOf(row)}${cell}${isMovie() ? ` in frame ${row.frame}` : ""}${other}`;
};

/** Say what was written, and keep it for undo. */
export function remember(table, { written, notes }) {
  done.push({ table, id: written[0].id });
  undone.length = 0;
  const warning = [...notes, ...written.map(warningOf)].filter(Boolean).join("; ");
  say(`Written: ${written.map(words).join("; ")}. Z takes it back.${warning ? ` Note: ${warning}.` : ""}`);
}

/** @param {string} action @param {Array<{frame: number, label: number}>} objects */
export async function act(action, objects, source = "image") {
  const pairs = objects.map((o) => [o.frame, o.label]);
  const answer = await change("POST", "tracks", "", { action, objects: pairs, source });
  remember("tracks", answer);
  return answer.written;
}

/** What annotators overlook about divisions. */
function warningOf(row) {
  if (row.operation !== "set-parent") return "";
  const parent = objectAt(Number(row.other_frame), Number(row.other_label)).track;
  const track = data.tracks?.byId.get(parent);
  if (!track) return "";
  const others = [...data.tracks.byId.values()].filter((t) => t.parent_id === parent);
  const rows = state.rows.filter((r) => r.operation === "set-parent" && r.other_frame === row.other_frame && r.other_label === row.other_label);
  // Two rows or more name all daughters; one adds a daughter to those that were found.
  const n = rows.length > 1 ? rows.length : others.length + 1;
  if (Number(row.area_px) > Number(row.other_area_px)) return "this daughter is larger than its parent";
  if (track.last_frame === Number(row.other_frame) && n < 2) return "this parent has one daughter only, choose the other one too";
  return n > 2 ? "this parent has three daughters" : "";
}

async function undo() {
  const last = done.at(-1);
  if (!last) return say("There is nothing to take back in this session.");
  const { removed } = await change("DELETE", last.table, `/${last.id}`, {});
  done.pop();
  undone.push({ table: last.table, removed });
  say(`Taken back: ${removed.map(words).join("; ")}. R writes it again.`);
}

async function redo() {
  const last = undone.at(-1);
  if (!last) return say("There is nothing to write again.");
  const { written } = await change("POST", last.table, "", { again: last.removed });
  undone.pop();
  done.push({ table: last.table, id: written[0].id });
  say(`Written again: ${written.map(words).join("; ")}.`);
}

export const safely = (run) => () => void Promise.resolve(run()).catch(complain);
const chosen = (action) => safely(() => act(action, state.chosen));

let answerDoubt = () => null;

/** @param {() => Promise<any> | null} answer breaks the link of the doubt that is looked at; null without one */
export function onBreak(answer) {
  answerDoubt = answer;
}

/** The later of two chosen cells becomes daughter, or bud, of the earlier. */
const family = safely(() => act((data.divisions ?? []).some((d) => d.kind === "bud") ? "set-mother" : "set-parent", state.chosen));

addActions([
  { key: "a", text: "link: the two are one cell", group: "Tracks", tracks: true, movie: true, edits: true, run: chosen("link") },
  { key: "b", text: "break: a new track begins here", group: "Tracks", tracks: true, movie: true, edits: true, run: safely(() => answerDoubt() ?? act("unlink", state.chosen)) },
  { key: "s", text: "swap what follows of the two", group: "Tracks", tracks: true, movie: true, edits: true, run: chosen("swap") },
  { key: "m", text: "parent: the earlier of the two", group: "Tracks", tracks: true, movie: true, edits: true, run: family },
  { key: "z", text: "take the last one back", group: "Corrections", edits: true, run: safely(undo) },
  { key: "r", text: "write it again", group: "Corrections", edits: true, run: safely(redo) },
]);

addPanel("tools", () => {
  if (!state.sample?.has?.masks || state.readOnly) return null;
  const tracks = isMovie() && state.sample.has.tracks && data.fits;
  return html`<span class="group">${button("z", "undo")}${button("r", "redo")}</span>
    ${tracks ? html`<span class="group"><b>Tracks</b>${button("a", "link")}${button("b", "break")}${button("s", "swap")}${button("m", "parent")}</span>` : null}`;
});

addPanel("head", () => {
  const lost = all().filter((r) => r.lost).length;
  if (lost) return html`<span class="waiting problem" title="They are first in the list of corrections">${lost} ${lost > 1 ? "corrections" : "correction"} lost</span>`;
  const waiting = all().filter((r) => r.waiting).length;
  const back = state.takenBack.length;
  const told = [waiting ? `${waiting} ${waiting > 1 ? "corrections wait" : "correction waits"}` : "", back ? `${back} taken back` : ""].filter(Boolean);
  return told.length ? html`<span class="waiting" title="The results change when the workflow runs again">${told.join(", ")}</span>` : null;
});

addPanel("side", () => {
  if (!state.sample.has?.masks) return null;
  const names = state.tables.map((name, k) => html`${k ? " and " : ""}<code>${name}</code>`);
  const rows = all().reverse().sort((a, b) => Number(Boolean(b.lost)) - Number(Boolean(a.lost)));
  return html`<section class="panel" id="history"><h2>Corrections <small>${rows.length}</small></h2>
    ${state.readOnly ? html`<p class="hint">${state.locked}</p>` : null}
    ${rows.length ? html`<p class="hint">In ${names}. The results change when <code>snakemake</code> runs again.</p>` : html`<p class="hint">Choose a cell, Shift + click a second one, then use the buttons above the image. Corrections are written into ${names}.</p>`}
    ${state.knowsTables ? null : html`<p class="hint">Before the first report, the page cannot know whether the sample sheet names other tables. If it does, the next run says so, and you put the rows into one.</p>`}
    ${foundAnyway(rows)}
    <table><tbody>${state.takenBack.slice(0, SHOWN).map((row) => html`<tr class="wait"><td>${wordOf(row)}</td><td>${isMovie() ? `frame ${row.frame}` : ""}</td><td colspan="2">taken back, until the next run</td></tr>`)}${rows.slice(0, shown).map((row) => html`<tr class=${row.waiting ? "wait" : ""} title=${row.lost ? `Not carried out: ${row.lost}` : ""}>
      <td><button class="quiet" onClick=${safely(() => look(row))}>${wordOf(row)}</button>${row.lost ? html` <strong class="problem">lost</strong>` : null}</td><td>${isMovie() ? `frame ${row.frame}` : ""}</td><td>${row.label ? `cell ${row.label}` : ""}</td>
      <td>${row.id && !state.readOnly ? html`<button class="quiet" aria-label=${`Remove ${words(row)}`} onClick=${safely(() => remove(row))}>remove</button>` : "by hand"}</td></tr>`)}</tbody></table>
    ${rows.length > shown ? html`<button class="quiet" onClick=${() => set((shown += SHOWN))}>show ${Math.min(SHOWN, rows.length - shown)} more of ${rows.length}</button>` : null}</section>`;
});

/** A sentence about added cells that the segmentation finds now. */
function foundAnyway(rows) {
  const added = rows.filter((r) => r.operation === "add");
  const n = added.filter((r) => r.found_anyway).length;
  return n ? html`<p class="hint">Added cells that the segmentation now finds by itself: ${n} of ${added.length}. These rows are no longer needed. Your outlines are used as long as the rows are there.</p>` : null;
}

/** All rows of both tables, in the order of time; rows by hand come first. */
function all() {
  const rows = [...(state.rows ?? []).map((r) => ({ ...r, table: "tracks" })), ...(state.cellRows ?? []).map((r) => ({ ...r, table: "cells" }))];
  return rows.sort((a, b) => (a.time ?? "").localeCompare(b.time ?? ""));
}

async function look(row) {
  if (row.y && row.waiting) return visit(Number(row.frame), Number(row.label), Number(row.x), Number(row.y));
  const corner = row.y ? [row.x, row.y] : (row.outline || row.anchor || "").split(";")[0].split(" ");
  setFrame(Number(row.frame)); // cells may have other numbers since the row was written
  return corner.length === 2 ? goTo(Number(corner[0]), Number(corner[1]), 30) : undefined;
}

async function remove(row) {
  const { removed } = await change("DELETE", row.table, `/${row.id}`, {});
  undone.push({ table: row.table, removed });
  for (const gone of removed) {
    const k = done.findIndex((one) => one.id === gone.id);
    if (k >= 0) done.splice(k, 1);
  }
  say(`Removed: ${removed.map(words).join("; ")}. R writes it again.`);
}

/** Corrections that wait are drawn at once, dashed. */
addDrawer((context, v) => {
  for (const row of state.rows ?? []) {
    if (!row.waiting || !row.y) continue;
    const isHere = Number(row.frame) === state.shown;
    const isOther = row.other_y && Number(row.other_frame) === state.shown;
    if (!isHere && !isOther) continue;
    const [x, y] = toScreen(v, Number(row.x), Number(row.y));
    context.strokeStyle = row.operation === "delete" || row.operation === "unlink" ? "#ff6b5e" : "#5ee7ff";
    context.lineWidth = 2;
    context.setLineDash([5, 4]);
    context.beginPath();
    if (row.other_y) {
      const [ox, oy] = toScreen(v, Number(row.other_x), Number(row.other_y));
      context.moveTo(ox, oy);
      context.lineTo(x, y);
      context.stroke();
      context.beginPath();
      context.arc(isHere ? x : ox, isHere ? y : oy, 7, 0, 7);
    } else {
      const r = Math.max(6, 0.5 * Math.sqrt(Number(row.area_px)) * v.scale);
      context.moveTo(x - r, y - r);
      context.lineTo(x + r, y + r);
      if (row.operation === "delete") {
        context.moveTo(x - r, y + r);
        context.lineTo(x + r, y - r);
      }
    }
    context.stroke();
    context.setLineDash([]);
  }
});

listen(() => {
  const now = `${state.sample?.name}/${state.sample?.version}`;
  document.body.dataset.waiting = String(all().filter((r) => r.waiting).length + state.takenBack.length);
  document.body.dataset.rows = String(all().length);
  if (!state.sample || now === loadedFor) return;
  if (!loadedFor.startsWith(`${state.sample.name}/`)) done.length = undone.length = 0;
  loadedFor = now;
  set({ rows: [], cellRows: [], takenBack: [], row: -1, confirmed: new Set() });
  loadRows().catch(complain);
});

