/* Painting on a plot's canvas: bands, raw lines, lines, marks. Coordinates come from uPlot's scales. */

import { opened } from "../frame/numbers.js";
import { MARK_SIDE } from "../frame/theme.js";

// A tip of a range that is narrower than TIP_WIDTH is a line as well, for its area alone is too thin to be seen: from TIP_LEAST on (CSS pixels), and where it
// is TIP_TIMES as long as nine in ten of the tips of its curve, which the tips of mere noise are not.
const TIP_WIDTH = 6, TIP_LEAST = 6, TIP_TIMES = 3.5, TIP_PLACES_MOST = 24, TIP = 1.25, TIP_ALPHA = 0.8;
const BAND = 0.17, RAW = 0.42, LINE = 1.75, BASE = 2, HOT = 3, MARK = 9;

/** @typedef {import("./plot.js").Line} Line */
/** @typedef {{x: (value: number) => number, y: (value: number) => number}} Scaler */

/**
 * Functions from values to pixels of the canvas. Worked out once a drawing: uPlot's own valToPos is slow for 100,000 points.
 * @param {uPlot} u @param {boolean} isLog @param {boolean} inCss CSS pixels of the plotting area instead of canvas pixels
 * @returns {Scaler}
 */
export function scaler(u, isLog, inCss = false) {
  const transform = isLog ? Math.log10 : (/** @type {number} */ value) => value;
  const along = (/** @type {string} */ key, /** @type {(value: number) => number} */ turn) => {
    const { min = 0, max = 0 } = u.scales[key];
    const from = u.valToPos(min, key, !inCss), to = u.valToPos(max, key, !inCss);
    const slope = (to - from) / (turn(max) - turn(min) || 1), start = from - slope * turn(min);
    return (/** @type {number} */ value) => start + slope * turn(value);
  };
  return { x: along("x", (value) => value), y: along("y", transform) };
}

/**
 * A line through the values that are there.
 * @param {ArrayLike<number>} xs @param {(number | null)[]} ys @param {Scaler} at
 */
function path(xs, ys, at) {
  const line = new Path2D();
  let points = 0, x = 0, y = 0;
  for (let i = 0; i < xs.length; i++) {
    const value = ys[i];
    if (value === null || value === undefined) continue;
    x = at.x(xs[i]);
    y = at.y(value);
    if (points++) line.lineTo(x, y);
    else line.moveTo(x, y);
  }
  if (points === 1) line.arc(x, y, 1, 0, 2 * Math.PI);
  return line;
}

/**
 * The area between two curves, and its narrow tips. A spike of one bucket is a pixel wide at its foot and nothing at its tip.
 * @param {CanvasRenderingContext2D} context @param {ArrayLike<number>} xs @param {Line} line @param {Scaler} at @param {number} ratio canvas pixels a CSS pixel
 */
function band(context, xs, { low, high, style }, at, ratio) {
  if (!low || !high) return;
  const [columns, tops, feet] = /** @type {number[][]} */ ([[], [], []]);
  for (let i = 0; i < xs.length; i++) {
    const least = low[i], most = high[i];
    if (least === null || most === null) continue;
    columns.push(at.x(xs[i]));
    tops.push(at.y(most));
    feet.push(at.y(least));
  }
  const shape = new Path2D();
  columns.forEach((x, i) => shape.lineTo(x, tops[i]));
  for (let i = columns.length - 1; i >= 0; i--) shape.lineTo(columns[i], feet[i]);
  shape.closePath();
  fill(context, shape, style.colour, BAND);
  stroke(context, tips(columns, tops, feet, ratio), style.colour, { width: TIP * ratio, alpha: TIP_ALPHA, dash: [] });
}

/**
 * What of a range stands out beyond everything TIP_WIDTH wide, as upright lines. A single place is such a line whole.
 * @param {number[]} columns @param {number[]} tops @param {number[]} feet pixels @param {number} ratio
 */
function tips(columns, tops, feet, ratio) {
  const lines = new Path2D(), count = columns.length;
  const upright = (/** @type {number} */ x, /** @type {number} */ from, /** @type {number} */ to) => { lines.moveTo(x, from); lines.lineTo(x, to); };
  if (count === 1) upright(columns[0], tops[0], feet[0]);
  const places = Math.min(TIP_PLACES_MOST, Math.ceil((TIP_WIDTH * ratio * (count - 1)) / (columns[count - 1] - columns[0])));
  if (!(places > 1)) return lines;
  for (const [edges, sign] of /** @type {[number[], number][]} */ ([[tops, -1], [feet, 1]])) {
    const outward = edges.map((edge) => sign * edge), wide = opened(outward, places), out = outward.map((edge, i) => edge - wide[i]);
    const usual = Float64Array.from(out).sort()[Math.floor(count * 0.9)], least = Math.max(TIP_LEAST * ratio, TIP_TIMES * usual);
    out.forEach((length, i) => { if (length >= least) upright(columns[i], edges[i], sign * wide[i]); });
  }
  return lines;
}

/**
 * Everything of a plot, back to front: bands, raw lines, lines, the baseline last.
 * @param {CanvasRenderingContext2D} context @param {ArrayLike<number>} xs @param {Line[]} lines @param {Scaler} at @param {number} ratio canvas pixels a CSS pixel
 */
export function paintLines(context, xs, lines, at, ratio) {
  context.lineJoin = "round";
  for (const line of lines) band(context, xs, line, at, ratio);
  for (const line of lines) if (line.raw) stroke(context, path(xs, line.raw, at), line.style.colour, { width: ratio, alpha: RAW, dash: [] });
  for (const line of lines) {
    const width = (line.style.isBase ? BASE : LINE) * ratio;
    stroke(context, path(xs, line.values, at), line.style.colour, { width, alpha: 1, dash: line.style.dash.map((length) => length * ratio) });
  }
}

/**
 * One run in front of all others, which fade behind a veil of the ground's colour.
 * @param {CanvasRenderingContext2D} context @param {ArrayLike<number>} xs @param {{hot: Line, base: Line | undefined}} lines @param {Scaler} at @param {string} ground
 */
export function paintHot(context, xs, { hot, base }, at, ground) {
  const { width, height } = context.canvas;
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.globalAlpha = 0.62;
  context.fillStyle = ground;
  context.fillRect(0, 0, width, height);
  context.restore();
  context.lineJoin = "round";
  if (base && base !== hot) stroke(context, path(xs, base.values, at), base.style.colour, { width: BASE, alpha: 1, dash: [] });
  band(context, xs, hot, at, 1);
  if (hot.raw) stroke(context, path(xs, hot.raw, at), hot.style.colour, { width: 1, alpha: RAW, dash: [] });
  stroke(context, path(xs, hot.values, at), hot.style.colour, { width: HOT, alpha: 1, dash: hot.style.dash });
}

/**
 * The marks of lines at the end of what is seen of them, the baseline's last.
 * @param {CanvasRenderingContext2D} context @param {ArrayLike<number>} xs @param {Line[]} lines @param {Scaler} at
 * @param {{left: number, top: number, width: number, height: number}} box @param {{ground: string, ratio: number}} how
 */
export function paintMarks(context, xs, lines, at, { left, top, width, height }, how) {
  for (const { values, style } of lines) {
    let last = values.length - 1;
    while (last >= 0 && (values[last] === null || values[last] === undefined || at.x(xs[last]) > left + width + 1)) last--;
    if (last < 0) continue;
    const x = at.x(xs[last]), y = at.y(Number(values[last]));
    if (x >= left - 1 && y >= top - 1 && y <= top + height + 1) paintMark(context, x, y, style, how);
  }
}

/**
 * A run's mark about a place, as its swatch has it.
 * @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {Line["style"]} style @param {{ground: string, ratio: number}} how
 */
export function paintMark(context, x, y, { mark, colour }, { ground, ratio }) {
  if (!mark) return;
  const scale = (MARK * ratio) / MARK_SIDE;
  context.save();
  context.translate(x - (MARK * ratio) / 2, y - (MARK * ratio) / 2);
  context.scale(scale, scale);
  context.setLineDash([]);
  Object.assign(context, { globalAlpha: 1, fillStyle: mark.kind === "hollow" ? ground : colour, strokeStyle: mark.kind === "full" ? ground : colour, lineWidth: { full: 1, hollow: 1.75, line: 2.25 }[mark.kind] });
  if (mark.kind !== "line") context.fill(mark.path);
  context.stroke(mark.path);
  context.restore();
}

/**
 * A cross on the x axis where a run stopped being a number.
 * @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {string} colour @param {number} ratio
 */
export function paintNonFinite(context, x, y, colour, ratio) {
  const reach = 3.5 * ratio, cross = new Path2D();
  cross.moveTo(x - reach, y - reach);
  cross.lineTo(x + reach, y + reach);
  cross.moveTo(x + reach, y - reach);
  cross.lineTo(x - reach, y + reach);
  stroke(context, cross, colour, { width: 1.75 * ratio, alpha: 1, dash: [] });
}

/** @param {CanvasRenderingContext2D} context @param {Path2D} shape @param {string} colour @param {number} alpha */
function fill(context, shape, colour, alpha) {
  context.globalAlpha = alpha;
  context.fillStyle = colour;
  context.fill(shape);
  context.globalAlpha = 1;
}

/** @param {CanvasRenderingContext2D} context @param {Path2D} line @param {string} colour @param {{width: number, alpha: number, dash: number[]}} how */
function stroke(context, line, colour, { width, alpha, dash }) {
  context.globalAlpha = alpha;
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.stroke(line);
  context.setLineDash([]);
  context.globalAlpha = 1;
}
