// The workers, host by host; those that need a look come first.

import { badge, el, list, row, say, set, table } from "./dom.js";
import { isGone } from "./totals.js";
import * as words from "./words.js";

const COLUMNS = [
  ["Worker", "name"], ["State", ""], ["Task", ""], ["Pace", "number"], ["Done", "number"], ["Failed", "number"],
  ["In hand", "number"], ["Memory", "number"], ["CPU", "number"], ["Heard", "number"],
];
const ORDER = ["lost", "silent", "starting", "working", "idle", "left"];
const place = (worker) => (worker.state === "lost" ? 0 : worker.state === "silent" ? 1 : worker.state === "left" ? 3 : 2);

function compare(one, other) {
  return place(one) - place(other) || one.task.localeCompare(other.task) ||
    (one.pid ?? 0) - (other.pid ?? 0) || one.id.localeCompare(other.id);
}

/** Say how many are in each state. */
export function inStates(workers) {
  return ORDER.map((state) => [workers.filter((worker) => worker.state === state).length, state])
    .filter(([number]) => number).map(([number, state]) => `${words.count(number)} ${state}`).join(", ");
}

function sum(workers, name) {
  const given = workers.map((worker) => worker[name]).filter((value) => typeof value === "number");
  return given.length ? given.reduce((all, value) => all + value, 0) : null;
}

function hostsOf(workers) {
  const hosts = new Map();
  for (const worker of workers) {
    if (!hosts.has(worker.host)) hosts.set(worker.host, []);
    hosts.get(worker.host).push(worker);
  }
  return [...hosts].sort(([one], [other]) => one.localeCompare(other));
}

function heard(worker) {
  if (isGone(worker)) return `${worker.state} ${words.time(worker.since)}`;
  return worker.heard < 1.5 ? "now" : `${words.duration(worker.heard)} ago`;
}

export class Workers {
  constructor(parent, summary) {
    Object.assign(this, { parent, summary });
  }

  update({ workers }) {
    const hosts = hostsOf(workers);
    const text = workers.length
      ? `${inStates(workers)}, on ${words.plural(hosts.length, "host")}.`
      : "No worker has come yet.";
    say(this.summary, text);
    list(this.parent, hosts, ([host]) => host, ([host]) => this.make(host), (part, [, found]) => this.fill(part, found));
  }

  make(host) {
    const note = el("span", { class: "note" });
    const made = table(`Workers on ${host}`, COLUMNS);
    const heading = el("summary", {}, el("h3", {}, host), note);
    return { root: el("details", { class: "host", open: "", "data-host": host }, heading, made.root), note, body: made.body };
  }

  fill(part, workers) {
    const there = workers.filter((worker) => !isGone(worker));
    const facts = [inStates(workers), words.rate(sum(there, "rate"))];
    if (there.some((worker) => worker.memory !== null)) facts.push(words.bytes(sum(there, "memory")));
    if (there.some((worker) => worker.cpu !== null)) facts.push(`${words.core(sum(there, "cpu"))} CPU`);
    say(part.note, facts.filter((fact) => fact !== "–").join(" · "));
    list(part.body, [...workers].sort(compare), (worker) => worker.id, (worker) => this.makeRow(worker),
      (made, worker) => this.fillRow(made, worker));
  }

  makeRow(worker) {
    const { root, cells } = row(COLUMNS, { "data-worker": worker.id });
    const state = badge();
    const pid = el("span", { class: "note" });
    cells[0].append(el("strong", {}, worker.name), " ", pid);
    cells[1].append(state.root);
    return { root, cells, state, pid };
  }

  fillRow({ root, cells, state, pid }, worker) {
    set(root, "data-state", worker.state);
    say(pid, worker.pid === null ? "" : String(worker.pid));
    state.show(worker.state);
    const gone = isGone(worker);
    const hand = worker.hands > 1 ? `${words.count(worker.in_flight)} (${words.count(worker.hands)} hands)`
      : words.count(worker.in_flight);
    const texts = [worker.task, gone ? "–" : words.rate(worker.rate), words.count(worker.done), words.count(worker.failed),
      gone ? "–" : hand, gone ? "–" : words.bytes(worker.memory), gone ? "–" : words.core(worker.cpu), heard(worker)];
    texts.forEach((text, index) => say(cells[2 + index], text));
    set(cells[5], "data-bad", worker.failed > 0);
  }
}
