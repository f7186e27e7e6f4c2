/* Small charts, one for each group, in the place of one plot: the same x, the same y scale, one cursor. To its card it is a plot like any other. */

import { Plot } from "./plot.js";

/** @typedef {import("./plot.js").Answer} Answer */
/** @typedef {import("./plot.js").Run} Run */
/** @typedef {import("./plot.js").View} View */
/** @typedef {import("./plot.js").Listener} Listener */
/** @typedef {import("./plot.js").Spot} Spot */
/** @typedef {{answer: Answer, runs: Run[], view: View, theme: import("./plot.js").Theme}} Drawn */

// What a plot's own uPlot is where no group is shown.
const NOTHING = Object.freeze({ cursor: { left: -10, top: -10, idxs: [] }, scales: { x: { min: 0, max: 1 } } });

export class Facets {
  /** @param {HTMLElement} host @param {Drawn} drawn @param {Listener} listener @param {(run: Run) => Element} swatch */
  constructor(host, drawn, listener, swatch) {
    this.host = host;
    this.listener = listener;
    this.swatch = swatch;
    /** @type {Plot[]} */
    this.parts = [];
    /** @type {Plot | null} */
    this.active = null;
    this.drawn = drawn;
    host.classList.add("has-facets");
    this.build();
  }

  get u() { return (this.active ?? this.parts[0])?.u ?? NOTHING; }

  get lines() { return this.parts.flatMap((part) => part.lines); }

  get isHovered() { return this.parts.some((part) => part.isHovered); }

  /** The runs that have a chart: those shown that have a point. */
  charted() {
    const known = new Set(this.drawn.answer.series.map((series) => series.experiment));
    return this.drawn.runs.filter((run) => !run.isHidden && known.has(run.id));
  }

  build() {
    this.names = this.charted().map((run) => run.id).join();
    this.active = null;
    this.host.replaceChildren();
    this.parts = this.charted().map((run) => new Plot(this.frame(run), this.drawn.theme, [run], this.of(run), this.drawn.view, {
      moved: (plot, at) => this.moved(plot, at), pointed: (id) => this.listener.pointed(id), zoomed: (range) => this.listener.zoomed(range), range: (from, to) => this.range(from, to),
    }));
    for (const part of this.parts) part.u.setData(part.data(), true); // now that the scale of all is known
  }

  /** @param {Run} run @returns {Answer} */
  of(run) {
    return { ...this.drawn.answer, series: this.drawn.answer.series.filter((series) => series.experiment === run.id) };
  }

  /** The place of one small chart, under its name. @param {Run} run */
  frame(run) {
    const frame = document.createElement("div"), head = document.createElement("p"), name = document.createElement("span"), place = document.createElement("div");
    frame.className = "facet";
    place.className = "facet-plot";
    name.textContent = run.name;
    name.dir = "auto";
    name.title = run.name;
    head.append(this.swatch(run), name);
    frame.append(head, place);
    this.host.append(frame);
    return place;
  }

  /** The y scale that all share. @param {number} from @param {number} to @returns {[number, number]} */
  range(from, to) {
    const ranges = this.parts.filter((part) => part.lines.some((line) => line.unsmoothed.length)).map((part) => part.yRange(from, to));
    if (!ranges.length) return this.drawn.view.isLog ? [0.1, 1] : [0, 1];
    return [Math.min(...ranges.map(([low]) => low)), Math.max(...ranges.map(([, high]) => high))];
  }

  /** @param {Partial<Drawn>} changes */
  update(changes) {
    this.drawn = { ...this.drawn, ...changes };
    if (this.charted().map((run) => run.id).join() !== this.names) {
      this.clear();
      this.build();
      return;
    }
    const runs = this.charted();
    // Twice: the scale that they share is known once each has its new lines.
    for (let pass = 0; pass < 2; pass++) this.parts.forEach((part, i) => part.update({ ...this.drawn, runs: [runs[i]], answer: this.of(runs[i]) }));
  }

  /** @param {Plot} plot @param {Spot | null} at */
  moved(plot, at) {
    this.active = plot;
    for (const part of this.parts) if (part !== plot) part.follow(at ? at.x : null);
    this.listener.moved(plot, at);
  }

  /** @param {number | null} x */
  follow(x) {
    for (const part of this.parts) part.follow(x);
  }

  /** @param {number} by */
  shift(by) {
    this.active = this.active ?? this.parts[0] ?? null;
    if (!this.active) return null;
    const at = this.active.shift(by);
    for (const part of this.parts) if (part !== this.active) part.follow(at ? at.x : null);
    return at;
  }

  /** @param {string | null} id */
  highlight(id) {
    for (const part of this.parts) part.host.parentElement?.classList.toggle("hot", part.runs[0].id === id);
  }

  clear() {
    for (const part of this.parts) part.destroy();
    this.parts = [];
  }

  destroy() {
    this.clear();
    this.host.classList.remove("has-facets");
    this.host.replaceChildren();
  }
}
