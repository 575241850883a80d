// @ts-check
/** Requests to the server: one function for all, so that every failure reaches the user. */

const BUSY = 503;
const BUSY_TRIES = 8;
const BUSY_MS = 400;

export class Problem extends Error {
  /** @param {number} status @param {string} sentence @param {string} remedy */
  constructor(status, sentence, remedy) {
    super(remedy ? `${sentence}; ${remedy}` : sentence);
    this.status = status;
  }
}

/**
 * @param {string} path below api/
 * @param {{method?: string, body?: any}} options
 * @returns {Promise<Response>}
 */
export async function call(path, options = {}) {
  const init = { method: options.method ?? "GET", headers: {} };
  if (init.method !== "GET") {
    init.headers = { "content-type": "application/json" };
    init.body = JSON.stringify(options.body ?? {});
  }
  const response = await answerTo(path, init);
  if (response.ok) return response;
  let said = { error: `The server answered ${response.status}`, remedy: "reload the page" };
  try {
    said = await response.json();
  } catch {
    // The sentence above stands.
  }
  throw new Problem(response.status, said.error, said.remedy);
}

/** The answer of the server; a busy one is asked again. */
async function answerTo(path, init, triesLeft = BUSY_TRIES) {
  let response;
  try {
    response = await fetch(`api/${path}`, init);
  } catch {
    throw new Problem(0, "No connection to `cellsam-core view`", "trying again");
  }
  if (response.status !== BUSY || !triesLeft) return response;
  await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
  return answerTo(path, init, triesLeft - 1);
}

/** @param {string} path @param {object} options */
export async function json(path, options = {}) {
  return (await call(path, options)).json();
}

/** Columns of cells: a JSON line, then little-endian values of 4 bytes. */
export async function columns(path, options = {}) {
  const buffer = await (await call(path, options)).arrayBuffer();
  const bytes = new Uint8Array(buffer);
  const end = bytes.indexOf(10);
  const { n, columns: names } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  const table = { n };
  let at = end + 1;
  for (const [name, kind] of names) {
    table[name] = kind === "f4" ? new Float32Array(buffer, at, n) : new Int32Array(buffer, at, n);
    at += 4 * n;
  }
  return table;
}

/** @param {ArrayBuffer} buffer deflated with zlib */
export async function inflate(buffer) {
  const stream = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}
