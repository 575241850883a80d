// @ts-check
/** Running again, and teaching the model: regions, fine-tuning with progress, and a trial of new weights. */

import { html } from "./vendor/htm-preact.module.js";
import { call, json } from "./api.js";
import { path } from "./choose.js";
import { safely } from "./edit.js";
import { toImage, view } from "./image.js";
import { onLeave } from "./keys.js";
import { addDrawer, redraw, trace } from "./marks.js";
import { addPanel } from "./panels.js";
import { complain, listen, say, set, state } from "./state.js";

const LOOK_EVERY_MS = 1000;
const CONFIG = "config/config.yaml";
let regions = [];
let jobs = null; // what the server says: {allowed, commands, job}
let trial = null; // {frame, old, new}
let countedFor = "";
let isLooking = false;

/** Ask what runs, and again every second while something does. */
async function lookAtJobs() {
  const before = jobs?.job;
  jobs = await json("jobs");
  const now = jobs.job;
  document.body.dataset.job = now ? `${now.name} ${now.state}` : "";
  if (now && before?.id === now.id && before.state === "running" && now.state !== "running") tell(now);
  set();
  if (now?.state === "running" && !isLooking) {
    isLooking = true;
    setTimeout(() => ((isLooking = false), lookAtJobs().catch(complain)), LOOK_EVERY_MS);
  }
}

const NAMES = { workflow: "The workflow", finetune: "Fine-tuning" };
const ENDS = { done: "has ended", failed: "has failed, see its last lines", ended: "was ended" };

function tell(job) {
  set({ message: `${NAMES[job.name]} ${ENDS[job.state]}.`, isProblem: job.state === "failed" });
}

const start = (name) =>
  safely(async () => {
    const { allowed, commands } = jobs ?? {};
    if (!allowed) return say(`Type in a terminal, in the folder above the results: ${commands[name]}`);
    trial = null;
    jobs = await json("jobs", { method: "POST", body: { job: name, sample: state.sample.name } });
    await lookAtJobs();
    return undefined;
  });

const end = safely(async () => {
  await call(`jobs/${jobs.job.id}`, { method: "DELETE" });
  await lookAtJobs();
});

/** Segment what is in view by the weights of the run and by the new ones. */
const tryIt = safely(async () => {
  const v = view();
  const { width, height } = state.sample;
  const [x0, y0] = toImage(v, 0, 0);
  const [x1, y1] = toImage(v, v.w, v.h);
  const box = [Math.max(x0, -0.5), Math.max(y0, -0.5), Math.min(x1, width - 0.5), Math.min(y1, height - 0.5)];
  const frame = state.shown;
  say("Both weights segment the middle of the view. This takes some seconds.");
  const answer = await json(path("try"), { method: "POST", body: { t: frame, box } });
  trial = { frame, ...answer };
  document.body.dataset.trial = `${answer.old.n} ${answer.new.n}`;
  say(`Dashed: ${answer.old.n} cells of the weights of the run. Lines: ${answer.new.n} cells of the new weights. Esc hides them.`);
  redraw();
});

onLeave(() => {
  if (!trial) return false;
  trial = null;
  document.body.dataset.trial = "";
  redraw();
  return true;
});

addDrawer((context, v) => {
  if (!trial || trial.frame !== state.shown) return;
  const looks = [
    ["old", "#ffb84d", [6, 4], 2],
    ["new", "#5ee7ff", [], 2],
  ];
  for (const [name, colour, dash, width] of looks) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.setLineDash(dash);
    for (const outline of trial[name].outlines) {
      trace(context, v, outline, true);
      context.stroke();
    }
  }
  context.setLineDash([]);
});

const percent = (share) => `${Math.round(100 * share)} %`;
const clock = (seconds) => (seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`);

function progress() {
  const { job } = jobs;
  if (!job) return null;
  const isRunning = job.state === "running";
  return html`<div class="job" role="group" aria-label=${NAMES[job.name]}>
    <p>${NAMES[job.name]}: ${isRunning ? `${percent(job.share)}, ${clock(job.seconds)}` : `${ENDS[job.state]} (${clock(job.seconds)})`}
      ${isRunning ? html`<button onClick=${end}>end it</button>` : null}</p>
    ${isRunning ? html`<progress max="1" value=${job.share} aria-label="Progress"></progress>` : null}
    ${job.state === "done" ? null : html`<pre>${job.lines.join("\n")}</pre>`}</div>`;
}

const score = (s) => `F1 ${s.f1_50.toFixed(3)}, PQ ${s.pq.toFixed(3)}`;

function outcome() {
  const scores = jobs.job?.scores;
  if (!scores) return null;
  if (scores.step === 0) {
    return html`<p id="outcome">On the held-out cells, no new weights were better than <code>${scores.start}</code> (${score(scores.before)}). Correct more regions, in which the cells are not yet found well.</p>`;
  }
  return html`<div id="outcome"><table><tbody><tr><th>held-out cells, before</th><td>${score(scores.before)}</td></tr><tr><th>after</th><td><b>${score(scores.after)}</b></td></tr></tbody></table>
    <button onClick=${tryIt}>try it on the view</button>
    <p class="hint">To use them, write into the section <code>segment</code> of <code>${CONFIG}</code>, then run again:</p><pre>weights: ${scores.weights}</pre></div>`;
}

addPanel("side", () => {
  if (!state.sample.has?.masks || state.readOnly || !jobs) return null;
  const n = regions.reduce((sum, r) => sum + r.cells, 0);
  const held = regions.filter((r) => r.held_out).length;
  const isBusy = jobs.job?.state === "running";
  return html`<section class="panel" id="teach"><h2>Teach the model <small>${regions.length ? `${regions.length} regions, ${n} cells` : ""}</small></h2>
    ${regions.length ? null : html`<p class="hint">Correct all cells of a region, press <kbd>G</kbd> and drag a box around it. Two to ten regions are enough to begin.</p>`}
    ${regions.length ? html`<table><thead><tr><th>region</th><th>cells</th><th></th></tr></thead><tbody>${regions.map((r) => html`<tr><td>${r.sample}${r.frame ? `, frame ${r.frame}` : ""}</td><td>${r.cells}</td><td>${r.held_out ? "held out" : ""}</td></tr>`)}</tbody></table>` : null}
    ${regions.length > 1 && !held ? html`<p class="hint">All regions show one place. Mark one elsewhere: new weights are judged by cells that they did not learn from.</p>` : null}
    ${regions.length ? html`<button disabled=${isBusy} onClick=${start("finetune")}>${jobs.allowed ? "fine-tune" : "how to fine-tune"}</button>` : null}
    ${regions.length && !jobs.allowed ? html`<pre>${jobs.commands.finetune.replace(" && ", "\n")}</pre>` : null}
    ${progress()} ${outcome()}</section>`;
});

addPanel("head", () => {
  const waiting = Number(document.body.dataset.waiting || 0);
  if (!waiting || state.readOnly || !jobs) return null;
  const isBusy = jobs.job?.state === "running";
  const title = jobs.allowed ? jobs.commands.workflow : "Shows the command to type";
  return html`<button disabled=${isBusy} title=${title} onClick=${start("workflow")}>${isBusy ? "running…" : "Run again"}</button>`;
});

listen(() => {
  const { sample } = state;
  if (!sample?.has?.masks || state.readOnly) return;
  const now = `${sample.name}/${sample.version}/${state.seen?.cells ?? ""}`;
  if (now === countedFor) return;
  countedFor = now;
  json("regions")
    .then((found) => {
      ({ regions } = found);
      document.body.dataset.regions = regions.map((r) => r.cells).join(" ");
      set();
    })
    .catch(complain);
  lookAtJobs().catch(complain);
});
