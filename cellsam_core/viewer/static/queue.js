// @ts-check
/** The review queue: links, divisions and buds that are most likely wrong. */

import { html } from "./vendor/htm-preact.module.js";
import { visit } from "./choose.js";
import { complain, data, set, state } from "./state.js";

const SHOWN = 8;

export const currentRow = () => data.review?.[state.row ?? -1] ?? null;

/** Go to a row of the queue. */
export async function goToRow(k) {
  const row = data.review?.[k];
  if (!row) return;
  set({ row: k });
  await visit(row.frame, row.label, row.x, row.y, 26);
}

const actions = [];

/** Buttons of the module that edits. */
export function addRowActions(action) {
  actions.push(action);
}

export function queue() {
  const rows = data.review;
  if (!rows) return null;
  if (!rows.length) return html`<section class="panel" id="queue"><h2>Review</h2><p class="hint">No link or division is in doubt.</p></section>`;
  const now = state.row ?? -1;
  const first = Math.max(0, Math.min(now - 2, rows.length - SHOWN));
  const share = rows[Math.max(0, now)].lineages_right;
  return html`<section class="panel" id="queue"><h2>Review <small>${now < 0 ? `${rows.length} doubts` : `${now + 1} of ${rows.length}`}</small></h2>
    <p class="hint">Expected share of right lineages once checked up to here: <b>${(100 * share).toFixed(1)} %</b></p>
    ${actions.map((action) => action())}
    <table><thead><tr><th></th><th>event</th><th>frame</th><th>track</th><th>probability</th></tr></thead><tbody>
      ${rows.slice(first, first + SHOWN).map((row, i) => html`<tr class=${first + i === now ? "on" : ""} onClick=${() => goToRow(first + i).catch(complain)}>
        <td>${state.confirmed?.has(first + i) ? "✓" : first + i + 1}</td><td><button class="quiet" onClick=${(e) => { e.stopPropagation(); goToRow(first + i).catch(complain); }}>${row.event_kind}</button></td><td>${row.frame}</td><td>${row.track_ids}</td><td>${row.probability.toFixed(3)}</td></tr>`)}
    </tbody></table>
    </section>`;
}
