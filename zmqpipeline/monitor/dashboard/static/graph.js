// Which task waits for which: a graph in layers from left to right.

import { say, set, svg } from "./dom.js";
import * as words from "./words.js";

const NODE = { height: 54, least: 128, most: 200 };
const GAP = { x: 44, most: 96, y: 14 };
const LETTER = 8;

/** Put each task behind all that it waits for; a task that would wait for itself is not followed. */
export function layers(tasks) {
  const known = new Map(tasks.map((task) => [task.type, task]));
  const depth = new Map();
  const visit = (type, path) => {
    if (depth.has(type)) return depth.get(type);
    const before = known.get(type).depends.filter((name) => known.has(name) && !path.has(name));
    const found = Math.max(-1, ...before.map((name) => visit(name, new Set([...path, name])))) + 1;
    depth.set(type, found);
    return found;
  };
  const made = [];
  for (const task of tasks) (made[visit(task.type, new Set([task.type]))] ??= []).push(task);
  return made.filter(Boolean);
}

/** Order each layer by the middle of what its tasks wait for, so that few lines cross. */
function untangle(columns) {
  const place = new Map();
  columns.forEach((column, index) => {
    if (index) {
      const middle = (task) => {
        const rows = task.depends.map((name) => place.get(name)).filter((row) => row !== undefined);
        return rows.length ? rows.reduce((sum, row) => sum + row, 0) / rows.length : 0;
      };
      column.sort((one, other) => middle(one) - middle(other));
    }
    column.forEach((task, row) => place.set(task.type, row - (column.length - 1) / 2));
  });
  return columns;
}

/** Leave out the middle: names that begin alike differ at their ends. */
function shortened(text, width) {
  const most = Math.floor(width / LETTER);
  const end = Math.floor(most / 3);
  return text.length > most ? `${text.slice(0, most - end - 1)}…${text.slice(-end)}` : text;
}

export class Graph {
  constructor(section, parent, rest) {
    Object.assign(this, { section, parent, rest, drawn: "", tasks: [] });
    this.root = svg("svg", { class: "graph", role: "img" });
    parent.append(this.root);
    new ResizeObserver(() => this.draw()).observe(section);
  }

  update(snapshot) {
    this.tasks = snapshot.tasks;
    this.draw();
  }

  draw() {
    const named = new Set(this.tasks.flatMap((task) => task.depends));
    const tied = this.tasks.filter((task) => task.depends.length || named.has(task.type));
    this.section.hidden = !tied.length;
    if (!tied.length) return;
    const loose = this.tasks.length - tied.length;
    const verb = loose === 1 ? "neither waits nor is" : "neither wait nor are";
    say(this.rest, loose ? `${words.plural(loose, "more task")} ${verb} waited for.` : "");
    this.rest.hidden = !loose;
    const states = tied.map((task) => [task.type, task.phase, words.percent(task.acknowledged, task.total), task.depends]);
    const wanted = JSON.stringify([this.parent.clientWidth, states]);
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    this.lay(tied);
  }

  lay(tasks) {
    const columns = untangle(layers(tasks));
    const room = (this.parent.clientWidth - 4 + GAP.x) / columns.length - GAP.x;
    const width = Math.min(NODE.most, Math.max(NODE.least, Math.floor(room)));
    const rows = Math.max(...columns.map((column) => column.length));
    const spare = (this.parent.clientWidth - 4 - columns.length * width) / Math.max(1, columns.length - 1);
    const gap = Math.min(GAP.most, Math.max(GAP.x, spare));
    const size = { x: columns.length * (width + gap) - gap + 4, y: rows * (NODE.height + GAP.y) - GAP.y + 4 };
    const places = new Map();
    columns.forEach((column, index) => {
      const above = (size.y - column.length * (NODE.height + GAP.y) + GAP.y) / 2;
      column.forEach((task, row) => {
        places.set(task.type, { x: 2 + index * (width + gap), y: above + row * (NODE.height + GAP.y) });
      });
    });
    for (const [name, value] of [["viewBox", `0 0 ${size.x} ${size.y}`], ["width", size.x], ["height", size.y]]) {
      set(this.root, name, value);
    }
    const sentences = tasks.filter((task) => task.depends.length)
      .map((task) => `${task.type} (${task.phase}) waits for ${task.depends.join(", ")}`);
    set(this.root, "aria-label", `${sentences.join("; ")}.`);
    this.root.replaceChildren(
      ...tasks.flatMap((task) => this.edges(task, places, width)),
      ...tasks.map((task) => this.node(task, places.get(task.type), width)),
    );
  }

  edges(task, places, width) {
    const to = places.get(task.type);
    const tasks = new Map(this.tasks.map((other) => [other.type, other]));
    return task.depends.filter((name) => places.has(name)).flatMap((name) => {
      const from = places.get(name);
      const [x1, y1, x2, y2] = [from.x + width, from.y + NODE.height / 2, to.x - 1, to.y + NODE.height / 2];
      const bend = Math.max(GAP.x / 2, (x2 - x1) / 2);
      // dashed as long as it holds something up
      const kind = tasks.get(name).phase === "complete" ? "edge" : "edge open";
      return [
        svg("path", { class: kind, d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` }),
        svg("path", { class: "edge", d: `M${x2 - 7} ${y2 - 4.5}L${x2} ${y2}L${x2 - 7} ${y2 + 4.5}` }),
      ];
    });
  }

  node(task, { x, y }, width) {
    const done = words.percent(task.acknowledged, task.total);
    const known = done !== "–" && task.phase !== "complete";
    const share = task.phase === "complete" ? 1 : known ? Math.min(1, task.acknowledged / task.total) : 0;
    return svg("g", { class: "node", "data-state": task.phase, "data-task": task.type, transform: `translate(${x} ${y})` },
      svg("title", {}, task.type),
      svg("rect", { class: "box", width, height: NODE.height, rx: 8 }),
      svg("text", { class: "name", x: 12, y: 21 }, shortened(task.type, width - 24)),
      svg("circle", { class: "dot", cx: 16, cy: 34.5, r: 4 }),
      svg("text", { class: "state", x: 26, y: 38.5 }, known ? `${task.phase} · ${done}` : task.phase),
      svg("rect", { class: "track", x: 12, y: NODE.height - 9, width: width - 24, height: 3, rx: 1.5 }),
      svg("rect", { class: "fill", x: 12, y: NODE.height - 9, width: (width - 24) * share, height: 3, rx: 1.5 }));
  }
}
