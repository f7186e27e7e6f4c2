/* One plot: uPlot keeps scales, axes and the cursor; charts/paint.js draws the runs. */

import { clock, clockTicks, extent, fences, linearTicks, logTexts, logTicks, nearest, nonPositive, positive, reading, smoothed, span, step, tickTexts, timeTicks } from "../frame/numbers.js";
import { paintHot, paintLines, paintMarks, paintNonFinite, scaler } from "./paint.js";

const TICKS = 6, RIGHT = 14, DOTS_MOST = 20, PROXIMITY = 24, DRAG_LEAST = 4, AIR = 0.04;
// A linear axis ends here, so that its length is still a number.
const LARGEST = 8e307;

/** @typedef {import("../frame/theme.js").RunStyle} RunStyle */
/** @typedef {import("../frame/theme.js").Theme} Theme */
/** @typedef {{id: string, slug: string, name: string, style: RunStyle, isHidden: boolean}} Run */
/** @typedef {{experiment: string, avg: (number | null)[], min: (number | null)[], max: (number | null)[], nonfinite: number, nonfinite_at: number | null, nonfinite_words: string[] | null, repeated_steps?: number, unplaced?: number, n?: number[]}} Series n: of a group, the runs behind each place */
/** @typedef {{x: number[], width: number, count: number, series: Series[]}} Answer */
/** @typedef {{run: Run, style: RunStyle, values: (number | null)[], unsmoothed: (number | null)[], raw: (number | null)[] | null, low: (number | null)[] | null,
 *   high: (number | null)[] | null, nonfiniteAt: number | null, nonfinite: number, oddWords: string[] | null, leftOut: number, n: number[] | null}} Line */
/** @typedef {{x: string, xMetric: string, isLog: boolean, isClipped: boolean, smoothing: number, zoom: [number, number] | null}} View */
/** @typedef {{x: number, left: number, top: number}} Spot where the cursor stands: its x, and its place in CSS pixels of the plotting area */
/** @typedef {{moved: (plot: Plot, at: Spot | null) => void, pointed: (id: string | null) => void, zoomed: (range: [number, number] | null) => void,
 *   range?: (from: number, to: number) => [number, number]}} Listener range: the y scale, where other plots share it */

/**
 * A run's series as it is drawn: only what the axis can show, smoothed over the raw line, the envelope where buckets are wider than one place.
 * @param {Run} run @param {Series | undefined} series @param {View} view @param {number} length
 * @returns {Line}
 */
export function lineOf(run, series, view, length) {
  const nothing = { run, style: run.style, values: new Array(length).fill(null), unsmoothed: [], raw: null, low: null, high: null, nonfiniteAt: null, nonfinite: 0, oddWords: [], leftOut: 0, n: null };
  if (!series || run.isHidden) return nothing;
  const shown = view.isLog ? positive(series.avg) : series.avg;
  const isSmooth = view.smoothing > 0 && !series.n; // the runs of a group were smoothed one by one
  const hasSpread = series.avg.some((value, i) => series.min[i] !== series.max[i]);
  const high = view.isLog ? positive(series.max) : series.max;
  return {
    ...nothing, values: isSmooth ? smoothed(shown, view.smoothing) : shown, unsmoothed: shown, raw: isSmooth ? shown : null,
    low: !hasSpread ? null : view.isLog ? positive(series.min).map((value, i) => value ?? shown[i] ?? high[i]) : series.min, high: hasSpread ? high : null,
    nonfiniteAt: series.nonfinite_at, nonfinite: series.nonfinite, oddWords: series.nonfinite_words, leftOut: view.isLog ? nonPositive(series.avg) : 0, n: series.n ?? null,
  };
}

/** x as people read it. @param {number} value @param {string} kind @param {number} range */
export function xText(value, kind, range) {
  if (kind === "time") return clock(value, range);
  if (kind === "metric") return reading(value);
  return kind === "relative" ? span(value) : step(value);
}

export class Plot {
  /** @param {HTMLElement} host @param {Theme} theme @param {Run[]} runs the baseline last @param {Answer} answer @param {View} view @param {Listener} listener */
  constructor(host, theme, runs, answer, view, listener) {
    this.host = host;
    this.theme = theme;
    this.runs = runs;
    this.answer = answer;
    this.view = view;
    this.listener = listener;
    this.isHovered = false;
    /** @type {Line[]} */
    this.lines = [];
    this.hot = /** @type {string | null} */ (null);
    this.prepare();
    this.u = new uPlot(this.options(), this.data(), host);
    this.dress();
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(host);
  }

  /** Work out the lines from what the server answered. */
  prepare() {
    const bySeries = new Map(this.answer.series.map((series) => [series.experiment, series]));
    this.lines = this.runs.map((run) => lineOf(run, bySeries.get(run.id), this.view, this.answer.x.length));
  }

  /** @returns {uPlot.AlignedData} */
  data() {
    return [this.answer.x, ...this.lines.map((line) => line.values)];
  }

  /** Draw again from an answer, a view or runs that changed. */
  update({ answer = this.answer, view = this.view, runs = this.runs, theme = this.theme } = {}) {
    const isOther = view.x !== this.view.x || view.isLog !== this.view.isLog || theme !== this.theme || runs.length !== this.runs.length;
    Object.assign(this, { answer, view, runs, theme });
    this.prepare();
    if (!isOther) {
      this.u.setData(this.data(), true);
      this.paintHot();
      return;
    }
    this.u.destroy();
    this.u = new uPlot(this.options(), this.data(), this.host);
    this.dress();
  }

  /** @returns {uPlot.Options} */
  options() {
    return {
      ...this.size(), padding: [8, (u) => this.overhang(u), 0, 0], legend: { show: false }, pxAlign: 1, axes: this.axes(), cursor: this.cursor(), focus: { alpha: 1 },
      scales: {
        x: { time: false, range: () => this.xRange() },
        y: { distr: this.view.isLog ? 3 : 1, range: () => (this.listener.range ?? this.yRange.bind(this))(...this.xRange()) },
      },
      series: [{}, ...this.lines.map(() => ({ paths: () => null, points: { show: false }, stroke: "transparent" }))],
      hooks: {
        draw: [(u) => this.paint(u)],
        setCursor: [(u) => this.moved(u)],
        setSeries: [(_u, i) => { if (this.isHovered) this.listener.pointed(i ? this.runs[i - 1].id : null); }],
        setSelect: [(u) => this.selected(u)],
      },
    };
  }

  /** @returns {uPlot.Axis[]} */
  axes() {
    const { view, theme } = this, { font, muted: stroke } = theme;
    // uPlot's own list of increments ends at 1e16, and past it draws no axis at all: the ticks are ours, this only says that there is room.
    const incrs = (/** @type {uPlot} */ _u, /** @type {number} */ _i, /** @type {number} */ min, /** @type {number} */ max) => [Math.max(5, max / 2 - min / 2)];
    return [
      {
        stroke, font, incrs, size: 28, gap: 7, grid: { show: false }, ticks: { show: false }, border: { show: true, stroke: theme.rule, width: 1 },
        splits: (u, _i, min, max) => this.xTicks(min, max, u.width),
        values: (u, ticks) => this.xTexts(ticks, breadth(u)),
      },
      {
        stroke, font, incrs, gap: 8, grid: { stroke: theme.grid, width: 1 }, ticks: { show: false }, filter: (_u, ticks) => ticks,
        size: (u, texts) => Math.max(44, this.textWidth(u, texts) + 14),
        splits: (_u, _i, min, max) => (view.isLog ? logTicks : linearTicks)(min, max, TICKS),
        values: (_u, ticks) => (view.isLog ? logTexts : tickTexts)(ticks),
      },
    ];
  }

  /** @returns {uPlot.Cursor} */
  cursor() {
    return {
      y: false, focus: { prox: PROXIMITY }, drag: { x: true, y: false, setScale: false, dist: DRAG_LEAST },
      move: (u, left, top) => [this.snapped(u, left), top],
      dataIdx: (_u, i, at) => (i ? nearest(this.lines[i - 1].values, at) : at),
      points: {
        show: this.runs.length <= DOTS_MOST, size: 8, width: 1.5, stroke: () => this.theme.surface,
        fill: (_u, i) => this.lines[i - 1].style.colour,
      },
      bind: { dblclick: () => () => { this.listener.zoomed(null); return null; } },
    };
  }

  /** What lies over uPlot's own layers: the highlighted run, and the tag of the cursor. */
  dress() {
    const { over } = this.u;
    this.overlay = document.createElement("canvas");
    this.overlay.className = "hot-line";
    this.tag = document.createElement("div");
    this.tag.className = "cursor-x";
    this.tag.hidden = true;
    over.prepend(this.overlay);
    over.append(this.tag);
    over.addEventListener("mouseenter", () => { this.isHovered = true; });
    over.addEventListener("mouseleave", () => { this.isHovered = false; this.listener.moved(this, null); this.listener.pointed(null); });
    this.paintHot();
  }

  size() {
    return { width: Math.max(120, this.host.clientWidth), height: Math.max(120, this.host.clientHeight) };
  }

  fit() {
    const { width, height } = this.size();
    if (width === this.u.width && height === this.u.height) return;
    this.u.setSize({ width, height });
    this.paintHot();
  }

  /** @returns {[number, number]} */
  xRange() {
    if (this.view.zoom) return this.view.zoom;
    const xs = this.answer.x;
    if (!xs.length) return [0, 1];
    const first = xs[0], last = xs[xs.length - 1];
    return last > first ? [first, last] : [first - 1, last + 1];
  }

  /** The extremes of what is drawn between two x, with a little air. @param {number} from @param {number} to @returns {[number, number]} */
  yRange(from, to) {
    const xs = this.answer.x;
    let first = 0, last = xs.length - 1;
    while (first < last && xs[first] < from) first++;
    while (last > first && xs[last] > to) last--;
    let low = Infinity, high = -Infinity;
    for (const line of this.lines) {
      for (const values of [line.values, line.raw, line.low, line.high]) {
        if (!values) continue;
        const [least, most] = extent(values, first, last);
        low = Math.min(low, least);
        high = Math.max(high, most);
      }
    }
    if (low > high) return this.view.isLog ? [0.1, 1] : [0, 1];
    if (this.view.isClipped) {
      const [least, most] = fences(this.lines.flatMap((line) => line.values.slice(first, last + 1)), this.view.isLog);
      [low, high] = [Math.max(low, least), Math.min(high, most)];
    }
    return this.view.isLog ? airedLog(low, high) : airedLinear(low, high);
  }

  /** @param {number} min @param {number} max @param {number} width */
  xTicks(min, max, width) {
    const most = Math.max(2, Math.min(TICKS, Math.floor(width / (this.view.x === "step" ? 64 : 84))));
    if (this.view.x === "metric") return linearTicks(min, max, most);
    return this.view.x === "step" ? linearTicks(min, max, most, true) : (this.view.x === "time" ? clockTicks : timeTicks)(min, max, most);
  }

  /** @param {number[]} ticks @param {number} range */
  xTexts(ticks, range) {
    return this.view.x === "metric" ? tickTexts(ticks) : ticks.map((tick) => xText(tick, this.view.x, range));
  }

  /** Room at the right, in CSS pixels: for the half of the last x text that stands beyond the plot. @param {uPlot} u */
  overhang(u) {
    const [min, max] = this.xRange(), ticks = this.xTicks(min, max, u.width);
    if (!ticks.length) return RIGHT;
    const beyond = ((max - ticks[ticks.length - 1]) / (max - min)) * (u.bbox.width / devicePixelRatio);
    return Math.max(RIGHT, Math.ceil(this.textWidth(u, this.xTexts(ticks, max - min).slice(-1)) / 2 - beyond) + 2);
  }

  /** @param {uPlot} u @param {string[] | null} texts */
  textWidth(u, texts) {
    u.ctx.save();
    u.ctx.font = this.theme.font;
    const widths = (texts ?? []).map((text) => u.ctx.measureText(text).width);
    u.ctx.restore();
    return Math.max(0, ...widths);
  }

  /** The cursor stands on places that have data. @param {uPlot} u @param {number} left */
  snapped(u, left) {
    if (left < 0 || !this.answer.x.length) return left;
    const at = u.valToPos(this.answer.x[u.posToIdx(left)], "x");
    return at >= 0 && at <= u.over.clientWidth ? at : left;
  }

  /** @param {uPlot} u */
  paint(u) {
    const context = u.ctx, at = scaler(u, this.view.isLog), ratio = devicePixelRatio;
    const { left, top, width, height } = u.bbox;
    context.save(); // uPlot remembers the styles it set, so the canvas goes back to it as it was
    context.save();
    context.beginPath();
    context.rect(left, top - ratio, width, height + 2 * ratio);
    context.clip();
    paintLines(context, this.answer.x, this.lines, at, ratio);
    context.restore();
    paintMarks(context, this.answer.x, this.lines, at, u.bbox, { ground: this.theme.surface, ratio });
    for (const line of this.lines) {
      if (line.nonfiniteAt === null) continue;
      const x = at.x(line.nonfiniteAt);
      if (x >= left - 1 && x <= left + width + 1) paintNonFinite(context, x, top + height, line.style.colour, ratio);
    }
    context.restore();
  }

  /** Bring one run to the front; null for none. @param {string | null} id */
  highlight(id) {
    if (id === this.hot) return;
    this.hot = id;
    this.paintHot();
  }

  paintHot() {
    const canvas = /** @type {HTMLCanvasElement} */ (this.overlay), ratio = devicePixelRatio;
    const { clientWidth, clientHeight } = this.u.over;
    canvas.width = Math.round(clientWidth * ratio);
    canvas.height = Math.round(clientHeight * ratio);
    const hot = this.lines.find((line) => line.run.id === this.hot && line.unsmoothed.length);
    if (!hot) return;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.scale(ratio, ratio);
    paintHot(context, this.answer.x, { hot, base: this.lines.find((line) => line.style.isBase) }, scaler(this.u, this.view.isLog, true), this.theme.surface);
  }

  /** uPlot's cursor moved. @param {uPlot} u */
  moved(u) {
    const { left = -1, top = 0, idx } = u.cursor;
    const at = left >= 0 && idx !== null && idx !== undefined ? { x: this.answer.x[idx], left, top } : null;
    this.showTag(at);
    if (this.isHovered) this.listener.moved(this, at);
  }

  /** @param {Spot | null} at */
  showTag(at) {
    const tag = /** @type {HTMLElement} */ (this.tag);
    tag.hidden = at === null;
    if (at === null) return;
    tag.textContent = xText(at.x, this.view.x, breadth(this.u));
    tag.style.transform = `translateX(calc(${Math.round(at.left)}px - 50%))`;
  }

  /** Put the cursor where another plot has it; null takes it away. @param {number | null} x */
  follow(x) {
    const left = x === null ? -10 : this.u.valToPos(x, "x");
    const isInside = left >= 0 && left <= this.u.over.clientWidth;
    this.u.setCursor({ left: isInside ? left : -10, top: -10 });
  }

  /** Move the cursor by places of data, from the keyboard. @param {number} by @returns {Spot | null} */
  shift(by) {
    const xs = this.answer.x;
    if (!xs.length) return null;
    const { left: before = -1, idx } = this.u.cursor, now = before >= 0 ? idx : by > 0 ? -1 : xs.length;
    const at = Math.max(0, Math.min(xs.length - 1, (now ?? 0) + by));
    const left = this.u.valToPos(xs[at], "x");
    this.u.setCursor({ left, top: this.u.over.clientHeight / 2 });
    return { x: xs[at], left, top: 0 };
  }

  /** A range was dragged. @param {uPlot} u */
  selected(u) {
    const { left, width } = u.select;
    if (width < DRAG_LEAST) return;
    const from = u.posToVal(left, "x"), to = u.posToVal(left + width, "x");
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.listener.zoomed(this.view.x === "step" ? wholeRange(from, to) : [from, to]);
  }

  destroy() {
    this.observer.disconnect();
    this.u.destroy();
  }
}

/** How much of x a plot shows. @param {{scales: Record<string, {min?: number, max?: number}>}} u */
export function breadth({ scales: { x: { min = 0, max = 0 } } }) {
  return max - min;
}

/** @param {number} low @param {number} high @returns {[number, number]} */
function airedLinear(low, high) {
  const first = Math.max(low, -LARGEST), last = Math.min(high, LARGEST);
  const air = last > first ? (last - first) * AIR : Math.abs(first) * 0.1 || 1;
  return [first - air, last + air];
}

/** @param {number} low @param {number} high @returns {[number, number]} */
function airedLog(low, high) {
  const first = Math.log10(low), last = Math.log10(high);
  const air = last > first ? (last - first) * AIR : 0.3;
  return [Math.max(10 ** (first - air), Number.MIN_VALUE), Math.min(10 ** (last + air), Number.MAX_VALUE)];
}

/** Steps are whole, and a range holds two of them at least. @param {number} from @param {number} to @returns {[number, number]} */
function wholeRange(from, to) {
  const first = Math.ceil(from), last = Math.floor(to);
  return last > first ? [first, last] : [Math.floor(from), Math.floor(from) + 1];
}
