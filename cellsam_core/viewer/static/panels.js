// @ts-check
/** All panels around the picture; each is a function from the state to markup. */

import { html, render } from "./vendor/htm-preact.module.js";
import { openSample, setFrame } from "./choose.js";
import { ACTIONS, isUsable, onToggleChannel, toggleKeys } from "./keys.js";
import { cell, legend } from "./cell.js";
import { lineage } from "./lineage.js";
import { doubt, queue } from "./queue.js";
import { genePanel, doubtfulCells } from "./tissue.js";
import { loadContrast } from "./image.js";
import { complain, data, isMovie, set, state } from "./state.js";

const extra = { tools: [], side: [], head: [] };

/** Panels of other modules, such as those that edit. @param {"tools"|"side"|"head"} where */
export function addPanel(where, panel) {
  extra[where].push(panel);
}

export function drawPanels() {
  put("head", html`<${Head} />`);
  put("keys", state.dialog === "keys" ? html`<${Keys} />` : null);
  put("banner", html`<${Banner} />`);
  put("tools", html`<${Tools} />`);
  put("time", html`<${Time} />`);
  put("side", html`<${Side} />`);
  put("say", html`<span class=${state.isProblem ? "problem" : ""}>${state.message}</span>`);
  const curtain = document.getElementById("curtain");
  const missing = state.sample && !state.sample.has?.image;
  curtain.hidden = !missing;
  if (missing) curtain.textContent = state.sample.error ?? "The image is not made yet: run the workflow (snakemake).";
}

const put = (id, markup) => render(markup, document.getElementById(id));

function Head() {
  const { samples, sample, channels } = state;
  return html`<h1>cellsam_core</h1>
    <label>Sample
      <select aria-label="Sample" value=${sample?.name} onChange=${(e) => openSample(samples.find((s) => s.name === e.target.value))}>
        ${samples.map((s) => html`<option value=${s.name} selected=${s.name === sample?.name}>${s.name}</option>`)}
      </select>
    </label>
    <div class="channels" role="group" aria-label="Channels">${channels.map((c, k) => html`<${Channel} channel=${c} k=${k} key=${c.name} />`)}</div>
    ${extra.head.map((panel) => panel())}
    ${state.connected ? null : html`<strong class="problem" role="alert">No connection, trying again</strong>`}
    <button class="quiet drawer" aria-expanded=${String(state.drawer)} aria-controls="side" onClick=${() => set({ drawer: !state.drawer })}>☰ Panels</button>
    <button class="quiet" aria-pressed=${String(state.dialog === "keys")} onClick=${toggleKeys} title="Keys (?)"><kbd>?</kbd> Keys</button>`;
}

/** Change the look of a channel. */
export async function change(k, patch) {
  const { sample } = state;
  const one = { ...state.channels[k] };
  if (patch.on && !one.counts) await loadContrast(sample, one);
  if (state.sample !== sample) return;
  set({ channels: state.channels.map((c, i) => (i === k ? { ...c, ...(patch.on ? one : {}), ...patch } : c)) });
  clearTimeout(change.timer);
  change.timer = setTimeout(() => setFrame(state.frame, true), 60);
}

onToggleChannel((k) => change(k, { on: !state.channels[k].on }).catch(complain));

function Channel({ channel, k }) {
  const { name, on, colour, low, high } = channel;
  return html`<details class="channel">
    <summary><input type="checkbox" checked=${on} aria-label=${`Show ${name}`} title=${`Alt+${k + 1}`} onClick=${(e) => e.stopPropagation()} onChange=${(e) => change(k, { on: e.target.checked }).catch(complain)} />
      <span class="dot" style=${{ background: `#${colour}` }}></span>${name} <span class="soft" title="Contrast and colour">▾</span></summary>
    <div class="pop">
      <${Histogram} channel=${channel} />
      <label>black from <input type="range" min="0" max="65534" step="64" value=${low} aria-label=${`${name}: black from`} onInput=${(e) => change(k, { low: Math.min(+e.target.value, high - 1) })} /></label>
      <label>full from <input type="range" min="1" max="65535" step="64" value=${high} aria-label=${`${name}: full from`} onInput=${(e) => change(k, { high: Math.max(+e.target.value, low + 1) })} /></label>
      <label>colour <input type="color" value=${`#${colour}`} aria-label=${`${name}: colour`} onChange=${(e) => change(k, { colour: e.target.value.slice(1) })} /></label>
    </div>
  </details>`;
}

function Histogram({ channel }) {
  if (!channel.counts) return html`<p class="hint">Show the channel to see its grey values.</p>`;
  const high = Math.log1p(Math.max(...channel.counts));
  const bars = channel.counts.map((n, k) => `M${k},40V${40 - (38 * Math.log1p(n)) / high}`).join("");
  return html`<svg viewBox="0 0 256 40" class="histogram" aria-hidden="true"><path d=${bars} />
    <line x1=${channel.low / 256} x2=${channel.low / 256} y1="0" y2="40" /><line x1=${channel.high / 256} x2=${channel.high / 256} y1="0" y2="40" /></svg>`;
}

const nameOf = (key) => ({ " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" })[key] ?? (key.length === 1 ? key.toUpperCase() : key);

/** A button of an action, with its key. */
export function button(key, label, isPressed) {
  const action = ACTIONS.find((a) => a.key === key && isUsable(a));
  if (!action) return null;
  return html`<button aria-pressed=${isPressed === undefined ? undefined : String(isPressed)} title=${`${action.text} (${nameOf(key)})`} onClick=${(e) => action.run(e)}><kbd>${nameOf(key)}</kbd> ${label}</button>`;
}

function Tools() {
  if (!state.sample) return null;
  return html`${extra.tools.map((panel) => panel())}
    <span class="group"><b>View</b>${button("l", `labels: ${state.labels}`)}${button("t", "tails", state.tails)}${button("q", `show: ${state.extent}`)}${button("f", "whole image")}${button("+", "closer")}${button("-", "farther")}</span>`;
}

function Time() {
  const { sample, frame } = state;
  if (!sample || sample.frames < 2) return null;
  const seconds = sample.times_s?.[frame];
  const when = seconds === undefined ? "" : ` · ${seconds < 600 ? `${+seconds.toFixed(1)} s` : `${+(seconds / 60).toFixed(1)} min`}`;
  const ticks = [...new Set((data.divisions ?? []).map((d) => d.frame))];
  return html`${button(" ", state.playing ? "stop" : "play", state.playing)}
    ${button("ArrowLeft", "")} ${button("ArrowRight", "")}
    <div class="slider"><input type="range" min="0" max=${sample.frames - 1} value=${frame} aria-label="Frame" onInput=${(e) => setFrame(+e.target.value)} />
      <svg class="ticks" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">${ticks.map((t) => html`<rect x=${(1000 * t) / (sample.frames - 1) - 2} width="4" height="10" />`)}</svg></div>
    <output>frame ${frame} of ${sample.frames - 1}${when}</output>`;
}

function Side() {
  const { sample } = state;
  if (!sample) return null;
  const missing = [];
  if (!sample.has?.masks) missing.push("masks");
  if (isMovie() && !sample.has?.tracks) missing.push("tracks");
  if (!isMovie() && !sample.has?.counts) missing.push("counts");
  const close = html`<button class="quiet drawer" onClick=${() => set({ drawer: false })}>close the panels</button>`;
  return html`${close}${missing.length ? html`<section class="note">Not made yet: ${missing.join(", ")}. Run <code>snakemake</code>.</section>` : null}
    ${isMovie() ? doubt() : null} ${cell()} ${isMovie() ? lineage() : null} ${legend()}
    ${isMovie() ? queue() : html`${genePanel()} ${doubtfulCells()}`}
    ${extra.side.map((panel) => panel())}`;
}

const GROUPS = ["Review", "Tracks", "Cells", "Corrections", "Look"];

/** Keys that have the same words share a line. */
function rowsOfKeys(actions) {
  const rows = new Map();
  for (const { text, key } of actions) rows.set(text, [...(rows.get(text) ?? []), key]);
  return rows;
}

/** The keys of what can be done now; they stay while the user works. */
function Keys() {
  const usable = ACTIONS.filter(isUsable);
  const groups = GROUPS.filter((name) => usable.some((a) => a.group === name));
  const keys = (name) => [...rowsOfKeys(usable.filter((a) => a.group === name))].map(([text, names]) => html`<tr><th>${names.map((key) => html`<kbd>${nameOf(key)}</kbd> `)}</th><td>${text}</td></tr>`);
  return html`<section class="panel keymap" aria-label="Keys">
    <button class="quiet close" aria-label="Close the keys" onClick=${() => set({ dialog: "" })}>close <kbd>?</kbd></button>
    ${groups.map((name) => html`<section><h3>${name}</h3><table>${keys(name)}</table></section>`)}
    <section><h3>Mouse</h3><table><tr><th>click</th><td>choose a cell</td></tr><tr><th>Shift + click</th><td>choose a second cell</td></tr><tr><th>drag, wheel</th><td>move, zoom</td></tr><tr><th><kbd>Alt</kbd><kbd>1</kbd></th><td>first channel on and off</td></tr></table></section></section>`;
}

function Banner() {
  const text = "The tracks belong to other masks than those that are shown. Run the workflow again; until then, tracks cannot be corrected.";
  return isMovie() && data.fits === false ? html`<p class="banner problem" role="alert">${text}</p>` : null;
}
