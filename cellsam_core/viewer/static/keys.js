// @ts-check
/** Keys. The same list is shown by `?`, and every action is a button as well. */

import { fit, zoomBy } from "./image.js";
import { setFrame } from "./choose.js";
import { data, set, state } from "./state.js";

const PLAY_MS = 150;

/** @type {Array<{key: string, text: string, group: string, run: (event?: any) => void, movie?: boolean, tracks?: boolean, edits?: boolean}>} */
export const ACTIONS = [
  { key: "ArrowLeft", text: "a frame back, a frame on (Shift: ten)", group: "Look", movie: true, run: (e) => step(e?.shiftKey ? -10 : -1) },
  { key: "ArrowRight", text: "a frame back, a frame on (Shift: ten)", group: "Look", movie: true, run: (e) => step(e?.shiftKey ? 10 : 1) },
  { key: " ", text: "play and stop", group: "Look", movie: true, run: () => play() },
  { key: "l", text: "labels: outlines, fills, off", group: "Look", run: () => nextOf("labels", ["outlines", "fills", "off"]) },
  { key: "t", text: "tails on and off", group: "Look", movie: true, run: () => set({ tails: !state.tails }) },
  { key: "q", text: "all, one lineage, one track", group: "Look", movie: true, run: () => nextOf("extent", ["all", "lineage", "track"]) },
  { key: "f", text: "whole image", group: "Look", run: () => fit() },
  { key: "+", text: "closer, farther", group: "Look", run: () => zoomBy(1.5) },
  { key: "-", text: "closer, farther", group: "Look", run: () => zoomBy(1 / 1.5) },
  { key: "h", text: "hold: the image alone", group: "Look", run: () => {} },
  { key: "Escape", text: "leave tool, choice, panel", group: "Look", run: () => leave() },
  { key: "?", text: "these keys", group: "Look", run: () => toggleKeys() },
];

const leaving = [];

/** @param {() => boolean} action true if there was something to leave */
export function onLeave(action) {
  leaving.push(action);
}

/** @param {(typeof ACTIONS)[number][]} more */
export function addActions(more) {
  ACTIONS.push(...more);
}

export const toggleKeys = () => set({ dialog: state.dialog === "keys" ? "" : "keys" });

function leave() {
  for (const action of leaving) if (action()) return;
  if (state.chosen.length || state.tool) return set({ chosen: [], tool: "" });
  set({ dialog: "", drawer: false });
}

/** Go some frames on or back; at an end of the movie the page says so. */
export function step(n) {
  const last = state.sample.frames - 1;
  const isAtEnd = state.frame === (n > 0 ? last : 0);
  if (isAtEnd) return set({ message: `This is the ${n > 0 ? "last" : "first"} frame.`, isProblem: false });
  return setFrame(state.frame + n);
}

function nextOf(name, words) {
  const word = words[(words.indexOf(state[name]) + 1) % words.length];
  const said = { labels: `Labels: ${word}.`, extent: `Shown: ${word}.` };
  set({ [name]: word, message: said[name], isProblem: false });
}

export function play() {
  set({ playing: !state.playing });
  const tick = () => {
    if (!state.playing) return;
    if (state.shown === state.frame) setFrame((state.frame + 1) % state.sample.frames);
    setTimeout(tick, PLAY_MS);
  };
  tick();
}

export function isUsable(action) {
  if (!state.sample) return false;
  if (action.tracks && !data.fits) return false;
  if (action.movie !== undefined && action.movie !== (state.sample.assay === "movie")) return false;
  return !(action.edits && (state.readOnly || !state.sample.has?.masks));
}

const isTyping = (target) =>
  target instanceof HTMLElement && (target.matches("input:not([type=range]):not([type=checkbox]), textarea, select") || target.isContentEditable);

export function listenToKeys() {
  window.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") /** @type {HTMLElement} */ (event.target).blur();
      return;
    }
    if (event.altKey) return toggleChannel(event);
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === "h") return set({ hidden: true });
    const onButton = event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement;
    if (onButton && (key === " " || key === "Enter")) return;
    const action = ACTIONS.find((a) => a.key === key && isUsable(a));
    if (!action) return;
    event.preventDefault();
    action.run(event);
  });
  // A button that was clicked with the mouse must not be pressed again by Enter or Space.
  window.addEventListener("click", (event) => {
    const one = event.target instanceof Element ? event.target.closest("button") : null;
    if (one && event.detail > 0) one.blur();
  });
  window.addEventListener("keyup", (event) => {
    if (event.key.toLowerCase() === "h" && state.hidden) set({ hidden: false });
  });
  window.addEventListener("blur", () => state.hidden && set({ hidden: false }));
}

let toggler = (_k) => {};

/** @param {(k: number) => void} toggle switches a channel on or off */
export function onToggleChannel(toggle) {
  toggler = toggle;
}

function toggleChannel(event) {
  const k = Number(event.code.replace("Digit", "")) - 1;
  if (!(k >= 0 && k < state.channels.length)) return;
  event.preventDefault();
  toggler(k);
}
