/* Parallel coordinates: an upright axis each, a line each experiment, a brush by dragging along an axis. */

import { isLane, LANE as NONE } from "./axes.js";
import { cut, draggable, Layers } from "./layers.js";

const TOP = 36, BOTTOM = 26, SIDE = 44, LANE = 22, GAP = 64, GRAB = 20, NEAR = 10, MANY = 500;

/** @typedef {import("./desk.js").Desk} Desk */
/** @typedef {import("./axes.js").Scale} Scale */

export class Parallel {
  /** @param {HTMLElement} host @param {Desk} desk */
  constructor(host, desk) {
    this.desk = desk;
    this.layers = new Layers(host, () => this.draw());
    this.tops = /** @type {Float32Array[]} */ ([]);
    this.grabbed = /** @type {Scale | null} */ (null);
    this.from = 0;
    const top = this.layers.top;
    draggable(top, {
      began: (event) => this.grab(this.layers.at(event)),
      moved: (event) => this.drag(this.layers.at(event)[1]),
      clicked: (event) => { const scale = this.axisAt(this.layers.at(event)[0]); if (scale) desk.brush({ [scale.axis.key]: null }); else desk.clear(); },
    });
    top.addEventListener("pointermove", (event) => {
      if (event.buttons) return;
      const at = this.layers.at(event), scale = this.axisAt(at[0]);
      top.style.cursor = scale ? "ns-resize" : "default";
      top.title = scale ? desk.label(scale.axis) : "";
      desk.point(this.nearest(at));
    });
    top.addEventListener("pointerleave", () => desk.point(null));
  }

  get scales() {
    return /** @type {Scale[]} */ (this.desk.axes.lanes.map((key) => this.desk.scales.get(key)).filter(Boolean));
  }

  /** @param {number} n */
  left(n) {
    const count = this.scales.length;
    return count < 2 ? this.layers.width / 2 : SIDE + (n * (this.layers.width - 2 * SIDE)) / (count - 1);
  }

  /** @param {number | null} share */
  top(share) {
    const bottom = this.layers.height - BOTTOM;
    return share === null ? bottom - LANE / 2 : bottom - LANE - share * (bottom - LANE - TOP);
  }

  draw() {
    const { desk, layers, scales } = this;
    if (!layers.host.clientWidth) return;
    layers.fit(2 * SIDE + (scales.length - 1) * GAP);
    const pen = layers.pen(layers.base, desk.theme.font);
    this.tops = scales.map((scale) => Float32Array.from(scale.axis.values, (value) => this.top(scale.share(value))));
    this.lines(pen);
    scales.forEach((scale, n) => this.axis(pen, scale, n));
    this.follow();
  }

  /** All lines, a path for each colour; those that are out lie faint behind the others. @param {CanvasRenderingContext2D} pen */
  lines(pen) {
    const { desk } = this;
    /** @type {Map<string, number[]>} */
    const groups = new Map([["", []]]);
    for (let i = 0; i < desk.count; i++) {
      const colour = desk.isIn(i) ? desk.laneColour(i) : "";
      groups.get(colour)?.push(i) ?? groups.set(colour, [i]);
    }
    for (const [colour, rows] of groups) {
      pen.strokeStyle = colour || desk.theme.grid;
      pen.globalAlpha = colour ? (rows.length > MANY ? 0.25 : 0.75) : 0.8;
      pen.lineWidth = colour && rows.length <= MANY ? 1.5 : 1;
      pen.beginPath();
      for (const i of rows) this.trace(pen, i);
      pen.stroke();
    }
    pen.globalAlpha = pen.lineWidth = 1;
  }

  /** @param {CanvasRenderingContext2D} pen @param {number} i */
  trace(pen, i) {
    this.tops.forEach((tops, n) => (n ? pen.lineTo(this.left(n), tops[i]) : pen.moveTo(this.left(n), tops[i])));
    if (this.tops.length === 1) { pen.moveTo(this.left(0) - 8, this.tops[0][i]); pen.lineTo(this.left(0) + 8, this.tops[0][i]); }
  }

  /** @param {CanvasRenderingContext2D} pen @param {Scale} scale @param {number} n */
  axis(pen, scale, n) {
    const { theme } = this.desk, left = Math.round(this.left(n)) + 0.5, bottom = this.layers.height - BOTTOM, room = this.scales.length > 1 ? this.left(1) - this.left(0) : this.layers.width;
    pen.strokeStyle = theme.muted;
    pen.beginPath();
    pen.moveTo(left, TOP);
    pen.lineTo(left, bottom - LANE);
    pen.stroke();
    pen.textBaseline = "middle";
    pen.textAlign = "center";
    pen.fillStyle = theme.ink;
    pen.fillText(cut(pen, scale.axis.name, Math.min(room - 6, 2 * SIDE - 8 + (n && n < this.scales.length - 1 ? room : 0))), left, 12);
    pen.fillStyle = theme.muted;
    pen.fillText(scale.isLog ? `${scale.axis.how}, log` : scale.axis.how, left, 26);
    const isLast = n === this.scales.length - 1 && n > 0;
    const texts = /** @type {{share: number | null, text: string}[]} */ (scale.ticks(Math.max(2, Math.floor((bottom - TOP) / 30))));
    if (scale.absence) texts.push({ share: null, text: "none" });
    pen.textAlign = isLast ? "right" : "left";
    for (const { share, text } of texts) this.tick(pen, cut(pen, text, Math.min(room - 14, 80)), isLast ? left - 6 : left + 6, this.top(share));
  }

  /** A text that stands out from the lines behind it. @param {CanvasRenderingContext2D} pen @param {string} text @param {number} left @param {number} top */
  tick(pen, text, left, top) {
    pen.lineWidth = 3;
    pen.lineJoin = "round";
    pen.strokeStyle = this.desk.theme.surface;
    pen.strokeText(text, left, top);
    pen.lineWidth = 1;
    pen.fillText(text, left, top);
  }

  /** The brushes and the line that is pointed at. */
  follow() {
    const { desk, layers } = this;
    if (!layers.width) return;
    const pen = layers.pen(layers.top, desk.theme.font);
    pen.fillStyle = pen.strokeStyle = desk.accent;
    this.scales.forEach((scale, n) => {
      const range = desk.brushes.get(scale.axis.key);
      if (!range) return;
      const reach = scale.isOrdinal ? 0.3 : 0, lane = this.top(null);
      const [low, high] = isLane(range) ? [lane + LANE / 2 - 2, lane - LANE / 2 + 2] : [this.top(scale.edge(range[0] - reach)), this.top(scale.edge(range[1] + reach))];
      pen.globalAlpha = 0.22;
      pen.fillRect(this.left(n) - 9, high - 1, 18, low - high + 2);
      pen.globalAlpha = 1;
      pen.strokeRect(this.left(n) - 9, high - 1, 18, low - high + 2);
    });
    if (desk.hot === null) return;
    pen.lineWidth = 3;
    pen.lineJoin = "round";
    pen.strokeStyle = desk.theme.ink;
    pen.beginPath();
    this.trace(pen, desk.hot);
    pen.stroke();
    pen.lineWidth = 1.5;
    pen.strokeStyle = desk.laneColour(desk.hot);
    pen.stroke();
  }

  /** The axis under a place. @param {number} left @returns {Scale | null} */
  axisAt(left) {
    const { scales } = this;
    const n = scales.findIndex((_, at) => Math.abs(this.left(at) - left) <= GRAB);
    return n < 0 ? null : scales[n];
  }

  /** @param {[number, number]} at */
  grab([left, top]) {
    this.grabbed = this.axisAt(left);
    this.from = top;
    return this.grabbed !== null && (!this.grabbed.isEmpty || this.isInLane(top));
  }

  /** Whether a place is in the lane "none" of the axis that is grabbed. @param {number} top */
  isInLane(top) {
    return Boolean(this.grabbed?.absence) && top > this.layers.height - BOTTOM - LANE;
  }

  /** @param {number} to */
  drag(to) {
    const scale = this.grabbed;
    if (!scale) return;
    if (this.isInLane(this.from)) return this.desk.brush({ [scale.axis.key]: NONE });
    const bottom = this.layers.height - BOTTOM - LANE, share = (/** @type {number} */ at) => (bottom - at) / (bottom - TOP);
    this.desk.brush({ [scale.axis.key]: scale.range(share(this.from), share(to)) });
  }

  /** The line near a place. @param {[number, number]} at @returns {number | null} */
  nearest([left, top]) {
    const count = this.tops.length;
    if (!count) return null;
    let n = 0;
    while (n < count - 2 && this.left(n + 1) < left) n++;
    const one = this.tops[n], other = this.tops[Math.min(n + 1, count - 1)], width = this.left(n + 1) - this.left(n) || 1, share = Math.max(0, Math.min(1, (left - this.left(n)) / width));
    let best = null, distance = NEAR;
    for (let i = 0; i < this.desk.count; i++) {
      if (!this.desk.isIn(i)) continue;
      const away = Math.abs(one[i] + (other[i] - one[i]) * share - top);
      if (away < distance) [best, distance] = [i, away];
    }
    return best;
  }
}
