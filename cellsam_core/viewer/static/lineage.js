// @ts-check
/** The lineage of the chosen track: time to the right, one line a track. */

import { html } from "./vendor/htm-preact.module.js";
import { chooseTrack } from "./choose.js";
import { colourOf, css } from "./colours.js";
import { complain, data, state } from "./state.js";

const ROW = 22;
const WIDTH = 300;
const LEFT = 10;

export function lineage() {
  if (!data.tracks) return null;
  const chosen = data.tracks.byId.get(state.chosen.at(-1)?.track);
  if (!chosen) return null;
  const { rows, height } = layout(chosen.lineage_id);
  const isParent = new Set(rows.map(({ track }) => track.parent_id)); // their numbers stand above the line
  const last = Math.max(1, state.sample.frames - 1);
  const at = (frame) => LEFT + ((WIDTH - 50) * frame) / last;
  const y = (row) => 12 + row * ROW;
  return html`<section class="panel" id="lineage"><h2>Lineage ${chosen.lineage_id}</h2>
    <svg viewBox=${`0 0 ${WIDTH} ${y(height)}`} role="group" aria-label=${`Lineage of track ${chosen.track_id}`}>
      <line class="now" x1=${at(state.frame)} x2=${at(state.frame)} y1="0" y2=${y(height)} />
      ${rows.map(({ track, row, parentRow }) => html`<g class=${track.track_id === chosen.track_id ? "track on" : "track"} role="button" tabindex="0" data-track=${track.track_id}
          aria-label=${`Track ${track.track_id}, frames ${track.first_frame} to ${track.last_frame}`}
          onClick=${() => chooseTrack(track.track_id).catch(complain)} onKeyDown=${(e) => e.key === "Enter" && (e.stopPropagation(), chooseTrack(track.track_id).catch(complain))}>
        <rect x=${at(track.first_frame) - 4} y=${y(row) - ROW / 2} width=${at(track.last_frame) - at(track.first_frame) + 38} height=${ROW} rx="4" class="hit" />
        ${parentRow === null ? null : html`<path class="join" d=${`M${at(track.first_frame)},${y(parentRow)}V${y(row)}`} stroke=${css(colourOf(track.track_id))} />`}
        <line x1=${at(track.first_frame)} x2=${Math.max(at(track.last_frame), at(track.first_frame) + 3)} y1=${y(row)} y2=${y(row)} stroke=${css(colourOf(track.track_id))} />
        ${isParent.has(track.track_id) ? html`<text x=${at(track.first_frame) + 2} y=${y(row) - 4}>${track.track_id}</text>` : html`<text x=${at(track.last_frame) + 6} y=${y(row) + 4}>${track.track_id}</text>`}</g>`)}
    </svg></section>`;
}

/** Rows of a lineage: a parent lies in the middle of its daughters. */
function layout(id) {
  const members = [...data.tracks.byId.values()].filter((t) => t.lineage_id === id);
  const children = new Map();
  for (const track of members) {
    if (!children.has(track.parent_id)) children.set(track.parent_id, []);
    children.get(track.parent_id).push(track);
  }
  const rows = [];
  let next = 0;
  const place = (track) => {
    const own = { track, row: 0, parentRow: null };
    rows.push(own);
    const daughters = (children.get(track.track_id) ?? []).map(place);
    own.row = daughters.length ? (daughters[0].row + daughters.at(-1).row) / 2 : next++;
    if (daughters.length === 1) own.row = Math.max(0, daughters[0].row - 0.5);
    for (const daughter of daughters) daughter.parentRow = own.row;
    return own;
  };
  const ids = new Set(members.map((t) => t.track_id));
  members.filter((t) => !ids.has(t.parent_id)).forEach(place);
  return { rows, height: next };
}
