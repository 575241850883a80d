// @ts-check
/** Labels: tiles of numbers; outlines, fills and hits are made from them for the screen's pixels. */

import { call, inflate } from "./api.js";
import { complain, state } from "./state.js";
import { view } from "./image.js";

const TILE = 512;
const KEPT_TILES = 160;
const LINE_PX = 2;

const tiles = new Map(); // address -> {size, ids} or a promise
let onArrival = () => {};
let field = { w: 0, h: 0, ids: new Uint32Array(0) };

/** @param {() => void} listener */
export function whenTilesArrive(listener) {
  onArrival = listener;
}

export function clearLabels() {
  tiles.clear();
}

function levelAt(scale) {
  const level = Math.floor(Math.log2(1 / scale) + 1e-6);
  return Math.max(0, Math.min(state.sample.levels - 1, level));
}

/** Tiles of a frame that the window shows. */
function inView(v, level) {
  const { width, height } = state.sample;
  const side = TILE << level;
  const range = (at, size, length) => {
    const low = Math.max(0, Math.floor(-at / v.scale / side));
    const high = Math.min(Math.ceil(length / side) - 1, Math.floor((size - at) / v.scale / side));
    return [low, high];
  };
  const [x0, x1] = range(v.x, v.w, width);
  const [y0, y1] = range(v.y, v.h, height);
  const found = [];
  for (let y = y0; y <= y1; y++) for (let x = x0; x <= x1; x++) found.push([x, y]);
  return found;
}

function keyOf(frame, level, x, y) {
  const { name, version } = state.sample;
  return `${encodeURIComponent(name)}/ids/${version}/${frame}/${level}/${x}/${y}`;
}

function load(key) {
  const promise = (async () => {
    const buffer = await inflate(await (await call(key)).arrayBuffer());
    const words = new Uint32Array(buffer);
    const [h, w, n] = words;
    const ids = new Uint32Array(h * w);
    for (let k = 0, at = 0; k < n; k++) {
      const end = at + words[3 + n + k];
      if (words[3 + k]) ids.fill(words[3 + k], at, end);
      at = end;
    }
    tiles.set(key, { w, h, ids });
    for (const old of tiles.keys()) {
      if (tiles.size <= KEPT_TILES) break;
      tiles.delete(old);
    }
    onArrival();
  })();
  promise.catch((error) => {
    tiles.set(key, null); // not asked for again until the results change
    if (error.status !== 404) complain(error);
  });
  tiles.set(key, promise);
  return promise;
}

function tileOf(key) {
  const tile = tiles.get(key);
  if (tile === undefined) {
    load(key);
    return null;
  }
  if (tile && "ids" in tile) {
    tiles.delete(key); // the last used come last
    tiles.set(key, tile);
    return tile;
  }
  return null;
}

/** Resolve when the labels of a frame that the window shows are here. */
export async function loadLabels(frame) {
  if (!state.sample?.has?.masks) return;
  const v = view();
  const level = levelAt(v.scale);
  const waits = inView(v, level).map(([x, y]) => {
    const key = keyOf(frame, level, x, y);
    return tiles.get(key) ?? load(key);
  });
  await Promise.allSettled(waits);
}

/** Number of the cell at an image position; 0 on background or while the labels are on the way. */
export function labelAt(frame, x, y) {
  const { width, height } = state.sample;
  const px = Math.round(x);
  const py = Math.round(y);
  if (px < 0 || py < 0 || px >= width || py >= height) return 0;
  for (let level = 0; level < state.sample.levels; level++) {
    const [lx, ly] = [px >> level, py >> level];
    const tile = tiles.get(keyOf(frame, level, lx >> 9, ly >> 9));
    if (tile && "ids" in tile) return tile.ids[((ly & 511) + 1) * tile.w + (lx & 511) + 1];
  }
  return 0;
}

/**
 * Draw the labels of a frame.
 * @param {CanvasRenderingContext2D} context
 * @param {(label: number) => [number, number]} look pixels of outline and of fill
 */
export function drawLabels(context, frame, look) {
  const v = view();
  const w = Math.round(v.w);
  const h = Math.round(v.h);
  if (w < 1 || h < 1) return;
  fillField(v, w, h, frame);
  const image = context.createImageData(w, h);
  paint(new Uint32Array(image.data.buffer), w, h, look, v.scale < 0.4 ? 1 : LINE_PX);
  context.putImageData(image, 0, 0);
}

/** Find the number of every pixel of the screen. */
function fillField(v, w, h, frame) {
  if (field.w !== w || field.h !== h) field = { w, h, ids: new Uint32Array(w * h) };
  const { ids } = field;
  ids.fill(0);
  const level = levelAt(v.scale);
  const unit = v.scale * (1 << level);
  for (const [tx, ty] of inView(v, level)) {
    const tile = tileOf(keyOf(frame, level, tx, ty));
    if (!tile) continue;
    const left = Math.max(0, Math.ceil(v.x + tx * TILE * unit - 0.5));
    const right = Math.min(w, Math.ceil(v.x + (tx * TILE + tile.w - 2) * unit - 0.5));
    const top = Math.max(0, Math.ceil(v.y + ty * TILE * unit - 0.5));
    const bottom = Math.min(h, Math.ceil(v.y + (ty * TILE + tile.h - 2) * unit - 0.5));
    if (right <= left || bottom <= top) continue;
    const columns = new Int32Array(right - left);
    for (let x = left; x < right; x++) {
      const at = Math.floor((x + 0.5 - v.x) / unit) - tx * TILE;
      columns[x - left] = Math.min(tile.w - 3, Math.max(0, at)) + 1;
    }
    let before = -1;
    for (let y = top; y < bottom; y++) {
      const row = Math.min(tile.h - 3, Math.max(0, Math.floor((y + 0.5 - v.y) / unit) - ty * TILE));
      const to = y * w + left;
      if (row === before) {
        ids.copyWithin(to, to - w, to - w + columns.length);
        continue;
      }
      before = row;
      const from = (row + 1) * tile.w;
      for (let k = 0; k < columns.length; k++) ids[to + k] = tile.ids[from + columns[k]];
    }
  }
}

function paint(out, w, h, look, line) {
  const { ids } = field;
  const cache = new Map();
  let last = 0;
  let outline = 0;
  let fill = 0;
  const up = line * w;
  for (let y = 0, at = 0; y < h; y++) {
    for (let x = 0; x < w; x++, at++) {
      const id = ids[at];
      if (id === 0) continue;
      if (id !== last) {
        let found = cache.get(id);
        if (!found) {
          found = look(id);
          cache.set(id, found);
        }
        last = id;
        [outline, fill] = found;
      }
      const isEdge =
        (x >= line && ids[at - line] !== id) ||
        (x + line < w && ids[at + line] !== id) ||
        (y >= line && ids[at - up] !== id) ||
        (y + line < h && ids[at + up] !== id);
      out[at] = isEdge ? outline : fill;
    }
  }
}
