// Takes what the server sends, and shows it; asks for nothing else, and sends nothing.

import { say, set } from "./dom.js";
import { Failures } from "./failures.js";
import { Graph } from "./graph.js";
import { Plot } from "./plot.js";
import { Tasks } from "./tasks.js";
import { isGone, Roles, Totals } from "./totals.js";
import { inStates, Workers } from "./workers.js";
import * as words from "./words.js";

/** so far back the plots go, in seconds, as on the server */
const SPAN = 15 * 60;
/** that the distributor is back is said for so long, in milliseconds */
const BACK = 10_000;
/** a worker that was lost needs a look for so long, in seconds: later, another one has long taken its place */
const RECENT = 5 * 60;
/** a connection that the browser has given up is tried again after so many milliseconds */
const AGAIN = 3_000;

const at = (id) => document.getElementById(id);
const sections = [
  new Totals(at("totals")),
  new Tasks(at("tasks")),
  new Graph(at("graph-section"), at("graph"), at("graph-rest")),
  new Workers(at("hosts"), at("workers-summary")),
  new Failures(at("failures"), at("failures-summary")),
  new Roles(at("roles")),
];
const plots = [
  new Plot(at("throughput"), {
    column: 1, name: "Throughput", unit: "tasks acknowledged in a second", show: words.rate,
    nothing: "Nothing has been heard yet.",
  }),
  new Plot(at("latency"), {
    column: 2, name: "Latency", unit: "from hand-out to acknowledgement, mean", show: words.seconds,
    nothing: "No task has been acknowledged yet.",
  }),
];

let points = [];
let run = null;
let link = "connecting";
let backUntil = 0;
let source = null;
let retry = null;

// -- what is said of the run as a whole -----------------------------------------

function trouble({ workers, time }) {
  const text = inStates(workers.filter((worker) => worker.state === "silent" ||
    (worker.state === "lost" && time - worker.since < RECENT)));
  return text ? ` Workers that need a look: ${text}.` : "";
}

function sentence(snapshot) {
  const back = Date.now() < backUntil ? "The distributor is back. " : "";
  if (snapshot.phase === "ended") return ["ended", "The run has ended. The next run at this address will appear by itself."];
  if (snapshot.waits_for.length) return ["waiting", `${back}The run waits for ${snapshot.waits_for.join(", ")}.${trouble(snapshot)}`];
  const doing = {
    waiting: "The run has not begun.", running: "The run goes on.", complete: "All tasks are done.", stopping: "The run is being stopped.",
  }[snapshot.phase] ?? "";
  const bad = trouble(snapshot);
  return [back ? "back" : bad ? "trouble" : "live", `${back}${doing}${bad}`];
}

function notice(kind, text) {
  set(at("notice"), "data-kind", kind);
  say(at("notice"), text);
  set(document.body, "data-link", link);
}

// -- snapshots ---------------------------------------------------------------------

function show(snapshot) {
  for (const section of sections) section.update(snapshot, link === "gone" || link === "offline");
  set(at("phase"), "data-state", snapshot.phase);
  say(at("phase"), snapshot.phase);
  say(at("run"), snapshot.run.slice(0, 8));
  set(at("run"), "title", snapshot.run);
  say(at("uptime"), words.duration(snapshot.uptime));
  const there = snapshot.workers.filter((worker) => !isGone(worker)).length;
  document.title = `${snapshot.phase}, ${words.rate(snapshot.rate)}, ${words.plural(there, "worker")} - zmqpipeline`;
}

function plot() {
  for (const each of plots) each.update(points);
}

function interrupt() {
  const last = points[points.length - 1];
  if (last && last[1] !== null) points.push([last[0], null, null]);
}

function add(snapshot) {
  while (points.length && points[points.length - 1][0] >= snapshot.time) points.pop();
  if (run !== null && run !== snapshot.run) interrupt();
  run = snapshot.run;
  points.push([snapshot.time, snapshot.rate, snapshot.latency]);
  points = points.filter((point) => point[0] >= snapshot.time - SPAN);
}

function onSnapshot(event) {
  const snapshot = JSON.parse(event.data);
  if (link === "gone" || link === "offline") backUntil = link === "gone" ? Date.now() + BACK : 0;
  link = snapshot.phase === "ended" ? "ended" : "live";
  say(at("clock"), words.time(Date.now() / 1000));
  add(snapshot);
  show(snapshot);
  plot();
  notice(...sentence(snapshot));
}

function onGone(event) {
  const { since, why, snapshot } = JSON.parse(event.data);
  link = snapshot === null ? "waiting" : "gone";
  if (snapshot === null) {
    notice("waiting", `No distributor has answered yet. The run appears here as soon as one does.${why ? ` Now, ${why}.` : ""}`);
    return;
  }
  interrupt();
  show(snapshot);
  plot();
  say(at("clock"), words.time(since));
  set(at("phase"), "data-state", "gone");
  say(at("phase"), "distributor gone");
  document.title = "distributor gone - zmqpipeline";
  notice("gone", `The distributor is gone: nothing was heard of it since ${words.time(since)}` +
    `${why ? ` (${why})` : ""}. What stands here is the last that it said; as soon as it is back, this page goes on.`);
}

// -- the connection to the server ----------------------------------------------------

async function loadHistory() {
  try {
    const answer = await fetch("history.json");
    const loaded = await answer.json();
    const [last, value] = loaded.length ? loaded[loaded.length - 1] : [-Infinity, null];
    // what has come meanwhile goes on behind it; a gap has the time of the point before it
    const isNew = ([time, rate]) => time > last || (time === last && rate === null && value !== null);
    points = [...loaded, ...points.filter(isNew)];
    plot();
  } catch {
    // the server has gone just now; the connection finds out as well
  }
}

function onError() {
  link = "offline";
  notice("gone", "The dashboard itself does not answer: its command has ended, or cannot be reached. " +
    "This page goes on as soon as it is there again.");
  if (source.readyState === EventSource.CLOSED) {
    clearTimeout(retry);
    retry = setTimeout(connect, AGAIN);
  }
}

function connect() {
  clearTimeout(retry);
  source?.close();
  source = new EventSource("events");
  source.addEventListener("open", loadHistory);
  source.addEventListener("snapshot", onSnapshot);
  source.addEventListener("gone", onGone);
  source.addEventListener("error", onError);
}

// a browser has few connections for each server: a page that nobody sees gives its own back
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(retry);
    source?.close();
  } else {
    connect();
  }
});
if (!document.hidden) connect();
