// The task types: how far each is, and how long it still takes.

import { badge, el, list, row, say, set, table } from "./dom.js";
import * as words from "./words.js";

const COLUMNS = [
  ["Task", "name"], ["State", ""], ["Progress", "wide"], ["Time left", "number"], ["Rate", "number"],
  ["Latency", "number"], ["In flight", "number"], ["Failed", "number"], ["Redelivered", "number"], ["Workers", "number"],
];

/** How long a task still takes, in words. */
export function timeLeft(task) {
  if (task.phase === "complete") return "done";
  if (task.phase !== "running" || typeof task.total !== "number" || !(task.rate > 0)) return "–";
  return words.duration(Math.max(0, task.total - task.acknowledged) / task.rate);
}

function share(part, all) {
  return `${Math.min(100, Math.max(0, (part / all) * 100)) || 0}%`;
}

class Bar {
  constructor(name) {
    this.good = el("span", { class: "good" });
    this.bad = el("span", { class: "bad" });
    this.flight = el("span", { class: "flight" });
    this.bar = el("div", { class: "bar", role: "progressbar", "aria-label": `Progress of ${name}`, "aria-valuemin": "0" },
      this.good, this.bad, this.flight);
    this.text = el("span", { class: "of", "aria-hidden": "true" });
    this.root = el("div", { class: "progress" }, this.bar, this.text);
  }

  update(task) {
    const complete = task.phase === "complete";
    const all = typeof task.total === "number" ? Math.max(task.total, task.acknowledged) : null;
    const known = all !== null || complete;
    const most = all ?? Math.max(1, task.acknowledged);
    this.good.style.width = known ? (most ? share(task.acknowledged - task.failed, most) : "100%") : "0%";
    this.bad.style.width = known ? share(task.failed, most) : "0%";
    this.flight.style.width = known ? share(task.in_flight, most) : "0%";
    set(this.bar, "data-known", known ? "yes" : "no");
    const done = words.count(task.acknowledged);
    const text = all === null ? done : `${done} of ${words.count(task.total)}`;
    const percent = known ? words.percent(task.acknowledged, most) : "total not known";
    say(this.text, percent === "–" ? text : `${text} · ${percent}`);
    set(this.bar, "aria-valuetext", this.text.textContent);
    if (known) {
      set(this.bar, "aria-valuemax", most);
      set(this.bar, "aria-valuenow", task.acknowledged);
    } else {
      this.bar.removeAttribute("aria-valuemax");
      this.bar.removeAttribute("aria-valuenow");
    }
  }
}

export class Tasks {
  constructor(parent) {
    this.empty = el("p", { class: "hint" }, "No task has been declared.");
    this.table = table("Tasks", COLUMNS);
    parent.append(this.empty, this.table.root);
  }

  update({ tasks }) {
    this.empty.hidden = tasks.length > 0;
    this.table.root.hidden = !tasks.length;
    list(this.table.body, tasks, (task) => task.type, (task) => this.make(task), (part, task) => this.fill(part, task));
  }

  make(task) {
    const { root, cells } = row(COLUMNS, { "data-task": task.type });
    const [state, bar] = [badge(), new Bar(task.type)];
    cells[0].append(el("strong", {}, task.type));
    cells[1].append(state.root);
    cells[2].append(bar.root);
    return { root, cells, state, bar };
  }

  fill({ root, cells, state, bar }, task) {
    set(root, "data-state", task.phase);
    state.show(task.phase);
    bar.update(task);
    const flight = words.count(task.in_flight) + (task.queued ? ` (${words.count(task.queued)} queued)` : "");
    const texts = [timeLeft(task), words.rate(task.rate), words.seconds(task.latency), flight,
      words.count(task.failed), words.count(task.redelivered), words.count(task.workers)];
    texts.forEach((text, index) => say(cells[3 + index], text));
    set(cells[7], "data-bad", task.failed > 0);
  }
}
