// @ts-check
/** The chosen cell: its numbers and its trace. */

import { html, useEffect, useRef } from "./vendor/htm-preact.module.js";
import { setFrame } from "./choose.js";
import { MEASURES, css, scaleColour } from "./colours.js";
import { KINDS, data, isMovie, set, state } from "./state.js";

const EMPTY = { movie: "Click on a cell to see its track and trace.", tissue: "Click on a cell to see its counts." };

export function cell() {
  const chosen = state.chosen.at(-1);
  if (!chosen) return html`<section class="panel"><h2>Cell</h2><p class="hint">${EMPTY[isMovie() ? "movie" : "tissue"]}</p></section>`;
  const one = data.cell?.label === chosen.label && data.cell?.frame === chosen.frame ? data.cell : null;
  return html`<section class="panel" id="cell"><h2>${chosen.track ? `Track ${chosen.track}` : `Cell ${chosen.label}`}</h2>
    ${one ? (isMovie() ? movieFacts(one) : tissueFacts(one)) : null}
    ${isMovie() && state.sample.has?.traces && data.trace ? html`<${Trace} track=${data.trace} isDark=${dark.matches} key=${data.trace.track} />` : null}</section>`;
}

const facts = (rows) => html`<dl>${rows.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;

const round = (value, digits = 2) => (value === null || value === undefined ? null : Number(value.toFixed(digits)));

function area(px) {
  const um = state.sample.pixel_size_um;
  return um ? `${Math.round(px)} px, ${+(px * um * um).toPrecision(3)} µm²` : `${Math.round(px)} px`;
}

function movieFacts(one) {
  const track = data.tracks?.byId.get(one.track_id);
  return facts([
    ["cell", `label ${one.label} in frame ${one.frame}`],
    ["area", area(one.area_px)],
    ["found with score", round(one.score)],
    ["link", one.link_kind && `${KINDS[one.link_kind] ?? one.link_kind}${one.link_probability == null ? "" : `, probability ${round(one.link_probability, 3)}`}`],
    ["frames", track && `${track.first_frame} to ${track.last_frame}`],
    ["generation", track?.generation],
    ["flags", one.flags?.replaceAll(";", ", ")],
  ]);
}

function tissueFacts(one) {
  return html`${facts([
      ["area", area(one.area_px)],
      ["transcripts", one.n_transcripts],
      ["genes", one.n_genes],
      ["found with score", round(one.score)],
    ])}
    ${one.counts?.length ? html`<table class="counts" aria-label="Most frequent genes">${one.counts.map(([gene, n]) => html`<tr><th>${gene}</th><td><meter min="0" max=${one.counts[0][1]} value=${n}></meter></td><td>${n}</td></tr>`)}</table>` : null}`;
}

/** @param {{track: any}} properties */
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => set()); // such as in the evening

function Trace({ track, isDark }) {
  const box = useRef(null);
  const plot = useRef(null);
  useEffect(() => {
    if (!box.current) return undefined;
    plot.current = makePlot(box.current, track, isDark);
    return () => plot.current?.destroy();
  }, [track, isDark]);
  useEffect(() => plot.current?.redraw(false));
  const rows = track.trace?.cell ?? Object.values(track.trace ?? {})[0];
  if (!rows) return html`<p class="hint">This track has no trace.</p>`;
  const hasRatio = Boolean(ratioOf(rows));
  const n = hasRatio ? rows.valid.filter(Boolean).length : rows.frame.length;
  const reasons = hasRatio ? [...new Set(rows.invalid_reason.filter((r, k) => r && !rows.valid[k]))] : [];
  return html`<div class="trace" data-points=${n} ref=${box}></div>
    ${reasons.length ? html`<p class="hint">Left out: ${reasons.join(", ").replaceAll("_", " ")}.</p>` : null}`;
}

const ratioOf = (rows) => ["r_over_r0", "ratio"].find((name) => rows[name]?.some((v) => v !== null));

/** The ratio where there is one, else the mean intensities. */
function series(rows) {
  const pick = ratioOf(rows);
  if (pick) return [[pick === "ratio" ? "ratio" : "R/R0", rows[pick]]];
  return Object.keys(rows).filter((name) => name.endsWith("_mean")).map((name) => [name.replace("_mean", ""), rows[name]]);
}

function makePlot(box, track, isDark) {
  const rows = track.trace?.cell ?? Object.values(track.trace ?? {})[0];
  if (!rows) return null;
  const ink = isDark ? "#ccc" : "#444";
  const lines = series(rows);
  // What makes a ratio invalid, such as a division, says nothing about an intensity.
  const isMasked = Boolean(ratioOf(rows));
  const values = lines.map(([, column]) => column.map((v, k) => (rows.valid[k] || !isMasked ? v : null)));
  const axis = { stroke: ink, grid: { stroke: isDark ? "#333" : "#e5e5e5" }, ticks: { stroke: isDark ? "#333" : "#e5e5e5" }, font: "11px system-ui" };
  const colours = ["#0b84d8", "#e07b00", "#00976b", "#b3589a"];
  const options = {
    width: Math.max(200, box.clientWidth),
    height: 150,
    legend: { show: lines.length > 1 },
    cursor: { y: false },
    scales: { x: { time: false, range: [0, state.sample.frames - 1] } },
    axes: [{ ...axis, label: "frame", incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], labelSize: 16, size: 28, labelFont: "11px system-ui" }, { ...axis, size: sizeOfTicks, label: lines.length > 1 ? "grey value" : isMasked ? lines[0][0] : `${lines[0][0]}, grey value`, labelSize: 16, labelFont: "11px system-ui" }],
    series: [{ label: "frame" }, ...lines.map(([name], k) => ({ label: name, stroke: colours[k % colours.length], width: 1.5, points: { show: values[k].length < 60, size: 5 } }))],
    hooks: { draw: [(u) => drawFrameLine(u, isDark)] },
  };
  const plot = new uPlot(options, [rows.frame, ...values], box);
  plot.over.addEventListener("click", (event) => {
    const at = plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x");
    setFrame(Math.round(at));
  });
  return plot;
}

/** Room for the numbers of an axis. */
const sizeOfTicks = (u, ticks) => 18 + 7 * Math.max(2, ...(ticks ?? []).map((text) => text.length));

function drawFrameLine(u, dark) {
  const x = u.valToPos(state.frame, "x", true);
  u.ctx.save();
  u.ctx.strokeStyle = dark ? "#fff" : "#000";
  u.ctx.lineWidth = 1;
  u.ctx.setLineDash([4, 3]);
  u.ctx.beginPath();
  u.ctx.moveTo(x, u.bbox.top);
  u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
  u.ctx.stroke();
  u.ctx.restore();
}

/** Colour scale of the value that cells are coloured by. */
export function legend() {
  if (!state.colour || !data.legend) return null;
  const { low, high } = data.legend;
  const name = state.colour.startsWith("gene:") ? `transcripts of ${data.genes?.names[+state.colour.slice(5)] ?? ""} in each cell` : (MEASURES[state.colour] ?? state.colour);
  const stops = [0, 0.25, 0.5, 0.75, 1].map((share) => css(scaleColour(share))).join(", ");
  return html`<section class="panel legend"><h2>Colour: ${name}</h2><div class="bar" style=${{ background: `linear-gradient(to right, ${stops})` }}></div>
    <div class="ends"><span>${+low.toPrecision(3)}</span><button class="quiet" onClick=${() => set({ colour: "" })}>no colour</button><span>${+high.toPrecision(3)}</span></div></section>`;
}
