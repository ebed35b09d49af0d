// The totals of the run, and how its two single roles are.

import { badge, el, list, say, set } from "./dom.js";
import * as words from "./words.js";

/** What a process has only while it is there. */
const OF_LIVING = new Set(["Memory", "CPU", "Loop lag", "Rate"]);

/** A process that is not there any more. */
export const isGone = (worker) => worker.state === "lost" || worker.state === "left";

function total(tasks) {
  const known = tasks.length && tasks.every((task) => typeof task.total === "number");
  return known ? tasks.reduce((sum, task) => sum + task.total, 0) : null;
}

function tiles(snapshot) {
  const all = total(snapshot.tasks);
  const there = snapshot.workers.filter((worker) => !isGone(worker));
  const busy = there.filter((worker) => worker.state === "working").length;
  const lost = snapshot.workers.filter((worker) => worker.state === "lost").length;
  const silent = there.filter((worker) => worker.state === "silent").length;
  const trouble = [[lost, "lost"], [silent, "silent"]].filter(([number]) => number);
  return [
    ["Done", words.count(snapshot.acknowledged),
      all === null ? `${words.count(snapshot.handed_out)} handed out`
        : `of ${words.count(all)}, ${words.percent(snapshot.acknowledged, all)}`, ""],
    ["Throughput", words.rate(snapshot.rate), "tasks acknowledged", ""],
    ["Latency", words.seconds(snapshot.latency), "from hand-out to done", ""],
    ["In flight", words.count(snapshot.in_flight), `${words.count(snapshot.queued)} to redeliver`, ""],
    ["Failed", words.count(snapshot.failed), `${words.count(snapshot.redelivered)} redelivered`,
      snapshot.failed ? "failed" : ""],
    ["Workers", words.count(there.length),
      trouble.map(([number, word]) => `${number} ${word}`).join(", ") || `${busy} working`,
      lost ? "lost" : silent ? "silent" : ""],
  ];
}

export class Totals {
  constructor(parent) {
    this.parent = parent;
  }

  update(snapshot) {
    list(this.parent, tiles(snapshot), ([name]) => name, ([name]) => {
      const value = el("p", { class: "value" });
      const note = el("p", { class: "note" });
      const id = name.toLowerCase().replace(" ", "-");
      return { root: el("div", { class: "tile", "data-total": id }, el("h2", {}, name), value, note), value, note };
    }, (part, [, value, note, kind]) => {
      say(part.value, value);
      say(part.note, note);
      set(part.root, "data-kind", kind);
    });
  }
}

function processFacts(process) {
  return [
    ["Host", process.host],
    ["Process", process.pid === null ? "–" : String(process.pid)],
    ["Memory", words.bytes(process.memory)],
    ["CPU", words.core(process.cpu)],
    ["Loop lag", words.seconds(process.lag)],
  ];
}

function roles({ distributor, collector, metadata_worker: metadata, phase }, gone) {
  const hub = gone ? "gone" : phase === "ended" ? "ended" : "working";
  const found = [["Distributor", hub, processFacts(distributor)]];
  if (collector) {
    const facts = [
      ["Class", collector.name],
      ...processFacts(collector),
      ["Collected", words.count(collector.collected)],
      ["Rate", words.rate(collector.rate)],
      ["Queue", words.count(collector.queue)],
    ];
    found.push(["Collector", collector.state, isGone(collector) ? facts.filter(([name]) => !OF_LIVING.has(name)) : facts]);
  }
  if (metadata) {
    found.push(["Metadata worker", "left", [
      ["Class", metadata.name || "–"],
      ...processFacts(metadata).filter(([name]) => name !== "Loop lag"),
      ["Done", words.time(metadata.since)],
    ]]);
  }
  return found;
}

export class Roles {
  constructor(parent) {
    this.parent = parent;
  }

  update(snapshot, gone) {
    list(this.parent, roles(snapshot, gone), ([name]) => name, ([name]) => {
      const state = badge();
      const facts = el("dl", { class: "facts" });
      return { root: el("div", { class: "role" }, el("h3", {}, name, " ", state.root), facts), state, facts };
    }, (part, [, state, facts]) => {
      part.state.show(state);
      list(part.facts, facts, ([name]) => name, ([name]) => {
        const value = el("dd");
        return { root: el("div", {}, el("dt", {}, name), value), value };
      }, (fact, [, value]) => say(fact.value, value));
    });
  }
}
