// A line over time, in SVG: axes with units, a value under the pointer or the arrow keys.

import { el, say, set, svg } from "./dom.js";
import * as words from "./words.js";

const MARGIN = { top: 22, right: 14, bottom: 24, left: 56 };
const HEIGHT = 190;
/** the plot is never narrower than this, in seconds */
const SHORTEST = 60;
/** a time has so much room at its axis, in pixels, whether it stands in the middle of its mark or beside it */
const ROOM = 88;
const STEPS = [10, 15, 30, 60, 120, 180, 300];

/** Steps of 1, 2 or 5, about so many of them up to a value. */
export function ticks(most, about) {
  const rough = most / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
  const found = [];
  for (let index = 0; index * step < most + step * 0.999; index += 1) found.push(index * step);
  return found;
}

export class Plot {
  /**
   * @param parent where it is drawn
   * @param column which value of a point `[time, ...]` it shows
   * @param name what it shows
   * @param unit what stands at its axis
   * @param show turns a value into words
   * @param nothing what is said as long as there is nothing to show
   */
  constructor(parent, { column, name, unit, show, nothing }) {
    Object.assign(this, { parent, column, name, unit, show, nothing, points: [], chosen: null });
    this.root = svg("svg", { class: "line", role: "img", tabindex: "0" });
    this.tip = el("p", { class: "tip", "aria-live": "off" });
    parent.append(this.root, this.tip);
    this.root.addEventListener("pointermove", (event) => this.point(event));
    this.root.addEventListener("pointerdown", (event) => this.point(event));
    this.root.addEventListener("pointerleave", () => this.choose(null));
    this.root.addEventListener("blur", () => this.choose(null));
    this.root.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(parent);
  }

  update(points) {
    this.points = points;
    this.draw();
  }

  values() {
    return this.points.filter((point) => typeof point[this.column] === "number");
  }

  draw() {
    const width = Math.max(220, Math.floor(this.parent.clientWidth));
    set(this.root, "viewBox", `0 0 ${width} ${HEIGHT}`);
    set(this.root, "width", width);
    set(this.root, "height", HEIGHT);
    const values = this.values();
    this.describe(values);
    if (!values.length) {
      this.root.replaceChildren(svg("text", { class: "empty", x: width / 2, y: HEIGHT / 2 }, this.nothing));
      this.scale = null;
      return;
    }
    const last = this.points[this.points.length - 1][0];
    const first = Math.min(this.points[0][0], last - SHORTEST);
    const most = Math.max(...values.map((point) => point[this.column])) || 1;
    const steps = ticks(most, 4);
    const top = steps[steps.length - 1];
    const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
    this.scale = {
      x: (time) => MARGIN.left + ((time - first) / (last - first)) * inner.width,
      y: (value) => MARGIN.top + (1 - value / top) * inner.height,
      time: (x) => first + ((x - MARGIN.left) / inner.width) * (last - first),
    };
    this.root.replaceChildren(
      svg("text", { class: "unit", x: MARGIN.left, y: 11 }, this.unit),
      ...this.horizontal(steps, width),
      ...this.vertical(first, last, inner.width),
      ...this.lines(),
      this.mark(),
    );
    this.tell();
  }

  horizontal(steps, width) {
    return steps.flatMap((value) => {
      const y = this.scale.y(value);
      return [
        svg("line", { class: value ? "grid" : "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }),
        svg("text", { class: "tick y", x: MARGIN.left - 8, y: y + 4 }, this.show(value)),
      ];
    });
  }

  vertical(first, last, width) {
    const step = STEPS.find((seconds) => ((last - first) / seconds) * ROOM <= width) ?? STEPS[STEPS.length - 1];
    const write = step < 60 ? words.time : words.hourMinute;
    const made = [];
    for (let time = Math.ceil(first / step) * step; time <= last; time += step) {
      const x = this.scale.x(time);
      made.push(svg("line", { class: "grid", x1: x, x2: x, y1: HEIGHT - MARGIN.bottom, y2: HEIGHT - MARGIN.bottom + 4 }));
      // the words stay inside, whatever is at the edge
      const end = x > MARGIN.left + width - 26 ? "end" : x < MARGIN.left + 20 ? "start" : "middle";
      made.push(svg("text", { class: "tick", x, y: HEIGHT - 6, "text-anchor": end }, write(time)));
    }
    return made;
  }

  lines() {
    const made = [];
    const ground = this.scale.y(0);
    const close = (run) => {
      if (!run.length) return;
      const path = run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
      const [left, right] = [run[0][0].toFixed(1), run[run.length - 1][0].toFixed(1)];
      if (run.length === 1) made.push(svg("circle", { class: "dot", cx: run[0][0], cy: run[0][1], r: 2.5 }));
      made.push(svg("path", { class: "area", d: `M${left} ${ground}L${path}L${right} ${ground}Z` }));
      made.push(svg("path", { class: "curve", d: `M${path}` }));
    };
    let run = [];
    for (const point of this.points) {
      const value = point[this.column];
      if (typeof value === "number") {
        run.push([this.scale.x(point[0]), this.scale.y(value)]);
      } else {
        close(run);
        run = [];
      }
    }
    close(run);
    return made;
  }

  /** Draw where the pointer is, or nothing. */
  mark() {
    this.marker = svg("g", { class: "mark" },
      svg("line", { y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }), svg("circle", { r: 4 }));
    return this.marker;
  }

  point(event) {
    if (!this.scale) return;
    const x = event.clientX - this.root.getBoundingClientRect().left;
    const wanted = this.scale.time(x);
    let nearest = null;
    for (const point of this.values()) {
      if (nearest === null || Math.abs(point[0] - wanted) < Math.abs(nearest[0] - wanted)) nearest = point;
    }
    this.choose(nearest);
  }

  key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const values = this.values();
    if (!step || !values.length) return;
    event.preventDefault();
    const at = this.chosen ? values.findIndex((point) => point[0] >= this.chosen[0]) : values.length - 1;
    this.choose(values[Math.min(values.length - 1, Math.max(0, at + step))]);
    set(this.tip, "aria-live", "polite");
  }

  choose(point) {
    this.chosen = point;
    if (point === null) set(this.tip, "aria-live", "off");
    this.tell();
  }

  /** Say the chosen value, or the last one. */
  tell() {
    const values = this.values();
    if (!this.scale || !values.length) return say(this.tip, "");
    if (this.chosen && this.chosen[0] < this.points[0][0]) this.chosen = null;
    const point = this.chosen ?? values[values.length - 1];
    const value = point[this.column];
    const isNow = !this.chosen && point === this.points[this.points.length - 1];
    say(this.tip, `${this.show(value)} ${isNow ? "now" : `at ${words.time(point[0])}`}`);
    set(this.tip, "data-chosen", this.chosen ? "yes" : "no");
    const [x, y] = [this.scale.x(point[0]).toFixed(1), this.scale.y(value).toFixed(1)];
    set(this.marker, "data-chosen", this.chosen ? "yes" : "no");
    const [line, dot] = this.marker.children;
    set(line, "x1", x);
    set(line, "x2", x);
    set(dot, "cx", x);
    set(dot, "cy", y);
    return undefined;
  }

  describe(values) {
    if (!values.length) return set(this.root, "aria-label", `${this.name}: ${this.nothing}`);
    const numbers = values.map((point) => point[this.column]);
    const span = words.duration(values[values.length - 1][0] - values[0][0]);
    return set(this.root, "aria-label",
      `${this.name} in the last ${span}: from ${this.show(Math.min(...numbers))} to ` +
      `${this.show(Math.max(...numbers))}, now ${this.show(numbers[numbers.length - 1])}. ` +
      "The arrow keys go through the values.");
  }
}
