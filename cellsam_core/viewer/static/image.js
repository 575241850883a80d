// @ts-check
/** The picture: pan and zoom by OpenSeadragon, one tiled image for each frame and look. */

import { complain, data, set, state } from "./state.js";
import { call, json } from "./api.js";

const KEPT_FRAMES = 24;
const AHEAD = 2;
const PATIENCE_MS = 1500;
const TILE = 512;
const RAW = "raw ";
const RAW_COLOURS = ["ffffff", "00e5a0", "ff5ec4", "ffd640"];

/** @type {any} */
export let viewer = null;
const items = new Map(); // address of a look -> {tiled, isReady, used}
let shownKey = "";
let clock = 0;

export function makeViewer() {
  viewer = OpenSeadragon({
    element: document.getElementById("viewer"),
    drawer: "canvas",
    showNavigationControl: false,
    showNavigator: false,
    animationTime: reduced() ? 0 : 0.25,
    springStiffness: 9,
    blendTime: 0,
    immediateRender: true,
    imageLoaderLimit: 4,
    tileRetryMax: 2,
    tileRetryDelay: 1000,
    maxImageCacheCount: 400,
    maxZoomPixelRatio: 16,
    minZoomImageRatio: 0.5,
    visibilityRatio: 0.3,
    imageSmoothingEnabled: false,
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false, scrollToZoom: true },
    gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: false },
    gestureSettingsPen: { clickToZoom: false, dblClickToZoom: false },
    zoomPerScroll: 1.3,
  });
  viewer.addHandler("canvas-key", (event) => {
    event.preventDefaultAction = true;
  });
  viewer.addHandler("tile-load-failed", (event) => {
    if (event.message === "Image load aborted") return;
    call(event.tile.getUrl().slice("api/".length)).catch(complain); // its sentence says why
  });
  for (const name of ["canvas-drag", "canvas-scroll", "canvas-pinch"]) viewer.addHandler(name, () => (isWhole = false));
  new ResizeObserver(fitAgain).observe(document.getElementById("viewer"));
  return viewer;
}

let isWhole = false; // the whole image is shown, until the user moves

/** Panels that come and go change the room for the image: what was whole stays whole. */
function fitAgain() {
  const again = () => isWhole && state.sample && viewer.world.getItemCount() && fit(true);
  // OpenSeadragon changes the zoom itself in the next picture.
  requestAnimationFrame(() => requestAnimationFrame(again));
}

export const reduced = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Forget the frames of the sample before. */
export function clearImage() {
  for (const item of items.values()) if (item.tiled) viewer.world.removeItem(item.tiled);
  items.clear();
  shownKey = "";
}

/** Grey values of a channel; raw channels are read when they are first shown. */
export async function loadContrast(sample, channel) {
  Object.assign(channel, await json(`${encodeURIComponent(sample.name)}/contrast/${channel.index}`));
}

/** @param {any} sample */
export async function openChannels(sample) {
  const n = sample.channels.filter((name) => !name.startsWith(RAW)).length;
  const colours = n > 1 ? ["4d9bff", "ffb000"] : ["ffffff"];
  const channels = sample.channels.map((name, index) => {
    const isRaw = name.startsWith(RAW);
    const colour = isRaw ? RAW_COLOURS[(index - n) % RAW_COLOURS.length] : colours[index % colours.length];
    return { name, index, on: !isRaw, colour, low: 0, high: 65535, counts: null };
  });
  await Promise.all(channels.filter((c) => c.on).map((c) => loadContrast(sample, c)));
  set({ channels });
}

function look() {
  const on = state.channels.filter((c) => c.on);
  const words = on.map((c) => `${c.index}:${c.colour}:${Math.round(c.low)}:${Math.round(c.high)}`);
  return words.join(",") || "0:000000:0:65535";
}

function source(frame, words) {
  const { name, version, width, height, levels } = state.sample;
  const base = `api/${encodeURIComponent(name)}/image/${version}/${frame}`;
  return {
    width,
    height,
    tileSize: TILE,
    minLevel: 0,
    maxLevel: levels - 1,
    getTileUrl: (level, x, y) => `${base}/${levels - 1 - level}/${x}/${y}?c=${words}`,
  };
}

function itemOf(frame, onReady) {
  const words = look();
  const key = `${state.sample.name}/${state.sample.version}/${frame}?${words}`;
  let item = items.get(key);
  if (!item) {
    item = { key, tiled: null, isReady: false, waiting: [], used: 0, isGone: false };
    items.set(key, item);
    viewer.addTiledImage({
      tileSource: source(frame, words),
      opacity: 0,
      preload: true,
      success: ({ item: tiled }) => {
        if (items.get(key) !== item) return viewer.world.removeItem(tiled);
        item.tiled = tiled;
        tiled.addHandler("fully-loaded-change", ({ fullyLoaded }) => {
          if (fullyLoaded) ready(item);
        });
        if (tiled.getFullyLoaded()) ready(item);
        setTimeout(() => ready(item), PATIENCE_MS);
      },
    });
  }
  item.used = ++clock;
  if (onReady) {
    if (item.isReady) onReady(item);
    else item.waiting.push(onReady);
  }
  return item;
}

function ready(item) {
  item.isReady = true;
  for (const waiting of item.waiting.splice(0)) waiting(item);
}

/** Resolve when the picture of a frame can be shown, then show it with `alongside`. */
export function showFrame(frame, alongside) {
  if (!state.sample?.has?.image) {
    set({ shown: frame });
    return;
  }
  const asked = frame;
  itemOf(frame, async (item) => {
    if (state.frame !== asked) return;
    await alongside;
    if (state.frame !== asked || items.get(item.key) !== item) return;
    item.tiled.setOpacity(1);
    item.tiled.setPreload(true);
    for (const other of items.values()) {
      if (other !== item && other.tiled) other.tiled.setOpacity(0);
    }
    viewer.forceRedraw();
    shownKey = item.key;
    set({ shown: asked });
    lookAhead(asked);
    tidy();
  });
}

function lookAhead(frame) {
  const near = new Set([shownKey]);
  for (let k = 1; k <= AHEAD; k++) {
    if (frame + k < state.sample.frames) near.add(itemOf(frame + k, null).key);
  }
  // A frame that is waited for is loaded, even if another one has been shown meanwhile.
  for (const item of items.values()) item.tiled?.setPreload(near.has(item.key) || item.waiting.length > 0);
}

function tidy() {
  const old = [...items.values()].filter((i) => i.key !== shownKey).sort((a, b) => a.used - b.used);
  for (const item of old.slice(0, Math.max(0, items.size - KEPT_FRAMES))) {
    items.delete(item.key);
    if (item.tiled) viewer.world.removeItem(item.tiled);
  }
}

/** Screen pixels for each image pixel, and the screen position of the image's corner (CSS px). */
export function view() {
  const { width } = state.sample ?? { width: 1 };
  const bounds = viewer.viewport.getBounds(true);
  const box = viewer.viewport.getContainerSize();
  const scale = box.x / (bounds.width * width);
  return { scale, x: -bounds.x * width * scale, y: -bounds.y * width * scale, w: box.x, h: box.y };
}

// The centre of the first pixel is (0, 0), so that the image begins at -0.5.
export const toScreen = (v, x, y) => [v.x + (x + 0.5) * v.scale, v.y + (y + 0.5) * v.scale];
export const toImage = (v, sx, sy) => [(sx - v.x) / v.scale - 0.5, (sy - v.y) / v.scale - 0.5];

/** A square of a frame as a bitmap, with the look of the channels. */
export async function pictureOf(frame, left, top, side) {
  const { width, height } = state.sample;
  const { getTileUrl, maxLevel } = source(frame, look());
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext("2d");
  const range = (low, size) => [Math.max(0, low >> 9), Math.min((size - 1) >> 9, (low + side - 1) >> 9)];
  const [x0, x1] = range(left, width);
  const [y0, y1] = range(top, height);
  for (let y = y0; y <= y1; y++) {
    for (let x = x0; x <= x1; x++) {
      const response = await call(getTileUrl(maxLevel, x, y).slice("api/".length));
      context.drawImage(await createImageBitmap(await response.blob()), x * TILE - left, y * TILE - top);
    }
  }
  return canvas;
}

export function fit(isAtOnce = false) {
  isWhole = true;
  const { width, height } = state.sample;
  const box = document.getElementById("viewer");
  viewer.viewport.resize(new OpenSeadragon.Point(box.clientWidth, box.clientHeight), true);
  viewer.viewport.fitBounds(new OpenSeadragon.Rect(0, 0, 1, height / width), isAtOnce || reduced());
}

export function zoomBy(factor) {
  isWhole = false;
  viewer.viewport.zoomBy(factor);
  viewer.viewport.applyConstraints();
}

/** Move to a place, and closer if the cells there would be small. */
export function goTo(x, y, radius = 20) {
  isWhole = false;
  const { width } = state.sample;
  const side = Math.max(8 * radius, 60) / width;
  const now = viewer.viewport.getBounds();
  const w = Math.min(now.width, Math.max(side, 0));
  const h = (w * now.height) / now.width;
  const rect = new OpenSeadragon.Rect((x + 0.5) / width - w / 2, (y + 0.5) / width - h / 2, w, h);
  viewer.viewport.fitBounds(rect, reduced());
}
