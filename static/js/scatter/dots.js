/* A scatter of two axes, coloured by a third: dots on a canvas, a rectangle as a brush, the dot under the pointer. */

import { isLane, LANE as NONE } from "./axes.js";
import { cut, draggable, Layers } from "./layers.js";

const LEFT = 64, RIGHT = 12, TOP = 44, BOTTOM = 40, LANE = 20, RADIUS = 4, SMALL = 2.5, MANY = 500, NEAR = 12;

/** @typedef {import("./desk.js").Desk} Desk */

export class Scatter {
  /** @param {HTMLElement} host @param {Desk} desk */
  constructor(host, desk) {
    this.desk = desk;
    this.layers = new Layers(host, () => this.draw());
    this.places = /** @type {Float32Array} */ (new Float32Array());
    this.from = /** @type {[number, number]} */ ([0, 0]);
    const top = this.layers.top;
    draggable(top, {
      began: (event) => { this.from = this.layers.at(event); return true; },
      moved: (event) => this.drag(this.layers.at(event)),
      clicked: () => desk.brush({ [desk.axes.x]: null, [desk.axes.y]: null }),
    });
    top.addEventListener("pointermove", (event) => { if (!event.buttons) desk.point(this.nearest(this.layers.at(event))); });
    top.addEventListener("pointerleave", () => desk.point(null));
  }

  get scales() {
    const { x, y } = this.desk.axes;
    return [this.desk.scales.get(x), this.desk.scales.get(y)];
  }

  /** Where a share of an axis stands, in pixels; null is the lane. @param {number | null} share */
  left(share) {
    return share === null ? LEFT + LANE / 2 : LEFT + LANE + share * (this.layers.width - LEFT - LANE - RIGHT);
  }

  /** @param {number | null} share */
  top(share) {
    const bottom = this.layers.height - BOTTOM;
    return share === null ? bottom - LANE / 2 : bottom - LANE - share * (bottom - LANE - TOP);
  }

  draw() {
    const [x, y] = this.scales, { desk, layers } = this;
    if (!x || !y || !layers.host.clientWidth) return;
    layers.fit();
    const pen = layers.pen(layers.base, desk.theme.font), count = desk.count;
    this.furniture(pen, x, y);
    this.places = new Float32Array(2 * count);
    for (let i = 0; i < count; i++) {
      this.places[2 * i] = this.left(x.share(x.axis.values[i]));
      this.places[2 * i + 1] = this.top(y.share(y.axis.values[i]));
    }
    this.dots(pen);
    this.follow();
  }

  /** All dots, a path for each colour; those that are out lie faint behind the others. @param {CanvasRenderingContext2D} pen */
  dots(pen) {
    const { desk, places } = this, radius = desk.count > MANY ? SMALL : RADIUS;
    /** @type {Map<string, number[]>} */
    const groups = new Map([["", []]]);
    for (let i = 0; i < desk.count; i++) {
      const colour = desk.isIn(i) ? desk.colour(i) : "";
      groups.get(colour)?.push(i) ?? groups.set(colour, [i]);
    }
    for (const [colour, rows] of groups) {
      pen.fillStyle = colour || desk.theme.rule;
      pen.globalAlpha = colour ? (desk.count > MANY ? 0.6 : 0.9) : 0.5;
      pen.beginPath();
      for (const i of rows) {
        pen.moveTo(places[2 * i] + radius, places[2 * i + 1]);
        pen.arc(places[2 * i], places[2 * i + 1], colour ? radius : SMALL, 0, 7);
      }
      pen.fill();
    }
    pen.globalAlpha = 1;
  }

  /** Lanes, ticks, names. @param {CanvasRenderingContext2D} pen @param {import("./axes.js").Scale} x @param {import("./axes.js").Scale} y */
  furniture(pen, x, y) {
    const { theme } = this.desk, { width, height } = this.layers, bottom = height - BOTTOM, right = width - RIGHT;
    pen.strokeStyle = theme.grid;
    pen.fillStyle = theme.muted;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    pen.beginPath();
    for (const { share, text } of y.ticks(Math.max(2, Math.floor((bottom - TOP) / 28)))) {
      const at = Math.round(this.top(share)) + 0.5;
      pen.moveTo(LEFT + LANE, at);
      pen.lineTo(right, at);
      pen.fillText(cut(pen, text, LEFT - 10), LEFT - 6, at);
    }
    if (y.absence) pen.fillText("none", LEFT - 6, this.top(null));
    pen.textAlign = "center";
    const ticks = x.ticks(Math.max(2, Math.floor((right - LEFT) / (x.isOrdinal ? 64 : 72)))), room = (right - LEFT) / Math.max(1, ticks.length) - 6;
    for (const { share, text } of ticks) {
      const at = Math.round(this.left(share)) + 0.5;
      pen.moveTo(at, TOP);
      pen.lineTo(at, bottom - LANE);
      const kept = cut(pen, text, room);
      if (!x.absence || at - pen.measureText(kept).width / 2 > LEFT + LANE + 6) pen.fillText(kept, at, bottom + 10);
    }
    if (x.absence) pen.fillText("none", this.left(null), bottom + 10);
    pen.stroke();
    pen.strokeStyle = theme.rule;
    pen.strokeRect(LEFT + 0.5, TOP + 0.5, right - LEFT, bottom - TOP);
    pen.setLineDash([2, 3]);
    pen.beginPath();
    pen.moveTo(LEFT + LANE + 0.5, TOP);
    pen.lineTo(LEFT + LANE + 0.5, bottom);
    pen.moveTo(LEFT, bottom - LANE + 0.5);
    pen.lineTo(right, bottom - LANE + 0.5);
    pen.stroke();
    pen.setLineDash([]);
    pen.fillStyle = theme.ink;
    pen.fillText(cut(pen, this.desk.label(x.axis), right - LEFT), (LEFT + right) / 2, height - 10);
    pen.textAlign = "left";
    pen.fillText(cut(pen, this.desk.label(y.axis), right - 8), 8, TOP - 10);
    this.legend(pen, right);
  }

  /** What the colours mean. @param {CanvasRenderingContext2D} pen @param {number} right */
  legend(pen, right) {
    const { shades, theme } = this.desk, scale = shades.scale;
    if (!scale) return;
    let at = 8;
    const write = (/** @type {string} */ text, /** @type {number} */ most) => { const kept = cut(pen, text, most); pen.fillText(kept, at, 12); at += pen.measureText(kept).width + 8; };
    pen.fillStyle = theme.muted;
    write(`Colour: ${this.desk.label(scale.axis)}`, right / 3);
    if (!shades.isList) {
      write(scale.text(scale.ends[0]), 80);
      for (const colour of shades.colours) { pen.fillStyle = colour; pen.fillRect(at, 8, 7, 8); at += 7; }
      at += 8;
      pen.fillStyle = theme.muted;
      write(scale.text(scale.ends[1]), 80);
      return;
    }
    for (const [place, word] of scale.axis.words.entries()) {
      if (at > right - 60) { write("…", 20); break; }
      pen.fillStyle = shades.colours[place];
      pen.fillRect(at, 8, 8, 8);
      at += 12;
      pen.fillStyle = theme.muted;
      write(word, 80);
    }
  }

  /** The brush and the dot that is pointed at. */
  follow() {
    const [x, y] = this.scales, { desk, layers } = this;
    if (!x || !y || !layers.width) return;
    const pen = layers.pen(layers.top, desk.theme.font), { hot } = desk;
    const across = desk.brushes.get(x.axis.key), up = desk.brushes.get(y.axis.key);
    if (across || up) this.frame(pen, this.span(x, across, (share) => this.left(share)), this.span(y, up, (share) => this.top(share)));
    if (hot === null) return;
    pen.beginPath();
    pen.arc(this.places[2 * hot], this.places[2 * hot + 1], RADIUS + 3, 0, 7);
    pen.fillStyle = desk.colour(hot);
    pen.fill();
    pen.lineWidth = 2;
    pen.strokeStyle = desk.theme.ink;
    pen.stroke();
  }

  /** The ends of a brush in pixels, half a word's room beyond its words. @param {import("./axes.js").Scale} scale @param {import("./axes.js").Range | undefined} range @param {(share: number | null) => number} place */
  span(scale, range, place) {
    if (!range) return [place(0), place(1)];
    if (isLane(range)) return [place(null) - (LANE / 2 - 2) * Math.sign(place(1) - place(0)), place(null) + (LANE / 2 - 2) * Math.sign(place(1) - place(0))];
    const reach = scale.isOrdinal ? 0.3 : 0;
    return [place(scale.edge(range[0] - reach)), place(scale.edge(range[1] + reach))];
  }

  /** @param {CanvasRenderingContext2D} pen @param {number[]} across @param {number[]} up */
  frame(pen, [left, right], [low, high]) {
    pen.fillStyle = pen.strokeStyle = this.desk.accent;
    pen.globalAlpha = 0.1;
    pen.fillRect(left, high, right - left, low - high);
    pen.globalAlpha = 1;
    pen.strokeRect(left, high, right - left, low - high);
  }

  /** @param {[number, number]} to */
  drag(to) {
    const [x, y] = this.scales;
    if (!x || !y) return;
    const { width, height } = this.layers, bottom = height - BOTTOM - LANE;
    const across = (/** @type {number} */ at) => (at - LEFT - LANE) / (width - LEFT - LANE - RIGHT), up = (/** @type {number} */ at) => (bottom - at) / (bottom - TOP);
    const ranges = { [x.axis.key]: taken(x, across(this.from[0]), across(to[0])), [y.axis.key]: taken(y, up(this.from[1]), up(to[1])) };
    this.desk.brush(ranges);
  }

  /** The dot near a place, one that is in first. @param {[number, number]} at @returns {number | null} */
  nearest([left, top]) {
    let best = null, distance = NEAR * NEAR;
    for (let i = 0; i < this.desk.count; i++) {
      if (!this.desk.isIn(i)) continue;
      const away = (this.places[2 * i] - left) ** 2 + (this.places[2 * i + 1] - top) ** 2;
      if (away < distance) [best, distance] = [i, away];
    }
    return best;
  }
}

/** What a drag takes in of an axis: its lane where it began and ended there; nothing of one without values. @param {import("./axes.js").Scale} scale @param {number} from @param {number} to */
function taken(scale, from, to) {
  if (scale.absence && Math.max(from, to) < 0) return NONE;
  return scale.isEmpty ? null : scale.range(from, to);
}
