// @ts-check
/** The review queue: links, divisions and buds that are most likely wrong. */

import { html } from "./vendor/htm-preact.module.js";
import { visit } from "./choose.js";
import { KINDS, complain, data, say, set, state } from "./state.js";

const SHOWN = 8;

export const currentRow = () => data.review?.[state.row ?? -1] ?? null;

let arrived = -1; // row that the user has been led to

/** True once the user has gone elsewhere: then no key answers the doubt, which is out of sight. */
export function isAway() {
  const [row, last] = [currentRow(), state.chosen.at(-1)];
  return arrived === state.row && !(row && last?.frame === row.frame && last.label === row.label);
}

/** Go to a row of the queue. */
export async function goToRow(k) {
  const row = data.review?.[k];
  if (!row) return;
  set({ row: k });
  await visit(row.frame, row.label, row.x, row.y);
  arrived = k;
  say(`Doubt ${k + 1} of ${data.review.length}, in frame ${row.frame}.`);
}

let ask = () => null;

/** @param {(row: any) => any} markup question, pictures and buttons of a row, by the module that edits */
export function onRow(markup) {
  ask = markup;
}

/** The doubt that is looked at; it stands above all other panels. */
export function doubt() {
  const row = currentRow();
  if (!row) return null;
  const back = () => html`<button onClick=${() => goToRow(state.row).catch(complain)}><kbd>Enter</kbd> back to it</button>`;
  return html`<section class="panel" id="doubt"><h2>Doubt ${state.row + 1} <small>of ${data.review.length}</small></h2>${isAway() ? back() : [ask(row), share(state.row)]}</section>`;
}

/** How right the lineages are expected to be, so that the user knows when to stop. */
const share = (k) => html`<p class="hint">When the first ${k ? `${k + 1} doubts are` : "doubt is"} checked, <b class="share">${(100 * data.review[k].lineages_right).toFixed(1)} %</b> of the lineages are expected to be right.</p>`;

export function queue() {
  const rows = data.review;
  if (!rows) return null;
  if (!rows.length) return html`<section class="panel" id="queue"><h2>Review</h2><p class="hint">No link or division is in doubt.</p></section>`;
  const now = state.row ?? -1;
  const first = Math.max(0, Math.min(now - 2, rows.length - SHOWN));
  return html`<section class="panel" id="queue"><h2>Review <small>${rows.length} doubts</small></h2>
    ${now < 0 ? share(0) : null}
    ${now < 0 ? html`<button onClick=${() => goToRow(0).catch(complain)}><kbd>↓</kbd> start</button>` : null}
    <table><thead><tr><th></th><th>event</th><th>frame</th><th>tracks</th><th>probability</th></tr></thead><tbody>
      ${rows.slice(first, first + SHOWN).map((row, i) => html`<tr class=${first + i === now ? "on" : ""} onClick=${() => goToRow(first + i).catch(complain)}>
        <td>${state.confirmed?.has(first + i) ? "✓" : first + i + 1}</td><td><button class="quiet" onClick=${(e) => { e.stopPropagation(); goToRow(first + i).catch(complain); }}>${KINDS[row.event_kind] ?? row.event_kind}</button></td><td>${row.frame}</td><td>${row.track_ids.replaceAll(";", ", ")}</td><td>${row.probability.toFixed(3)}</td></tr>`)}
    </tbody></table>
    </section>`;
}
