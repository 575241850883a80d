// @ts-check
/** Panels of a tissue: genes as colours and as points, and cells that are least sure. */

import { html } from "./vendor/htm-preact.module.js";
import { colourBy, showGenes, visit } from "./choose.js";
import { MEASURES, POINT_COLOURS, SHAPES } from "./colours.js";
import { densityStops } from "./transcripts.js";
import { cellsOf, complain, data, set, state } from "./state.js";

const LISTED = 60;
const DOUBTS = 12;
const MAX_GENES = 8;

export function genePanel() {
  const { genes, features } = data;
  if (!genes && !features) return null;
  const word = (state.search ?? "").toLowerCase();
  const counted = genes?.names ?? [];
  const seen = features?.names ?? [];
  const names = [...new Set([...counted, ...seen])].filter((n) => n.toLowerCase().includes(word)).sort();
  const values = [["", "nothing"], ...Object.entries(MEASURES), ...counted.map((n, k) => [`gene:${k}`, n])];
  return html`<section class="panel" id="genes"><h2>Genes</h2>
    <label>colour cells by <select aria-label="Colour cells by" value=${state.colour} onChange=${(e) => colourBy(e.target.value).catch(complain)}>
      ${values.map(([value, name]) => html`<option value=${value} selected=${value === state.colour}>${name}</option>`)}</select></label>
    <p class="hint">Tick a gene to see its transcripts, at most eight. "colour" colours the cells by its count.</p>
    <label>search <input type="search" value=${state.search ?? ""} aria-label="Search genes" onInput=${(e) => set({ search: e.target.value })} /></label>
    <p class="heads"><span>gene</span><span>transcripts</span></p>
    <ul class="genes">${names.slice(0, LISTED).map((name) => row(name, seen.indexOf(name), counted.indexOf(name)))}</ul>
    ${names.length > LISTED ? html`<p class="hint">${names.length - LISTED} more: search by name.</p>` : null}
    ${densityLegend()}</section>`;
}

/** Scale of the map of the density, while it is shown. */
function densityLegend() {
  const one = data.density;
  if (!one) return null;
  const um = state.sample.pixel_size_um;
  const side = um ? `${+(one.side * um).toPrecision(2)} µm` : `${one.side} px`;
  return html`<div class="legend" id="density"><h3>Density: transcripts in squares of ${side}</h3>
    <div class="bar" style=${{ background: `linear-gradient(to right, ${densityStops()})` }}></div>
    <div class="ends"><span>1</span><span>${one.high}</span></div><p class="hint">Zoom in to see each transcript.</p></div>`;
}

function row(name, feature, gene) {
  const k = state.genes.indexOf(feature);
  return html`<li key=${name}><label><input type="checkbox" checked=${k >= 0} disabled=${feature < 0 || (k < 0 && state.genes.length >= MAX_GENES)} aria-label=${`Transcripts of ${name}`} onChange=${() => toggle(feature)} />
    ${k >= 0 ? html`<span class="shape" style=${{ color: `#${POINT_COLOURS[k % 8]}` }} title=${SHAPES[k % 8]}>${glyph(SHAPES[k % 8])}</span>` : null}${name}</label>
    <span>${feature >= 0 ? data.features.totals[feature] : ""}</span>
    ${gene >= 0 ? html`<button class="quiet" aria-label=${`Colour by ${name}`} onClick=${() => colourBy(`gene:${gene}`).catch(complain)}>colour</button>` : html`<span></span>`}</li>`;
}

const glyph = (shape) => ({ disc: "●", plus: "+", square: "■", cross: "×", triangle: "▲", ring: "○", diamond: "◆", bar: "▬" })[shape];

function toggle(feature) {
  const genes = state.genes.includes(feature) ? state.genes.filter((g) => g !== feature) : [...state.genes, feature];
  showGenes(genes).catch(complain);
}

export function doubtfulCells() {
  const cells = cellsOf(0);
  if (!cells?.score) return null;
  if (data.doubts?.cells !== cells) {
    const order = Array.from(cells.label.keys()).filter((k) => cells.score[k] === cells.score[k]);
    order.sort((a, b) => cells.score[a] - cells.score[b]);
    data.doubts = { cells, order: order.slice(0, DOUBTS) };
  }
  return html`<section class="panel" id="doubts"><h2>Least sure cells</h2><table><thead><tr><th>cell</th><th>score</th><th>area, px</th></tr></thead><tbody>
    ${data.doubts.order.map((k) => html`<tr onClick=${() => visit(0, cells.label[k], cells.x[k], cells.y[k]).catch(complain)}>
      <td><button class="quiet">${cells.label[k]}</button></td><td>${cells.score[k].toFixed(2)}</td><td>${Math.round(cells.area[k])}</td></tr>`)}</tbody></table></section>`;
}
