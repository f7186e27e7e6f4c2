/* Axes of scatter and parallel coordinates: where a value stands, what a brush takes in, and how a filter says it. Pure functions, no page. */

import { extent, linearTicks, logTexts, logTicks, reading, tickTexts } from "../frame/numbers.js";

/** @typedef {number | string | null} Value a number, a place among words, "NaN" or an infinity, or none */
/** @typedef {{key: string, name: string, how: string, values: Value[], words: string[], literals: (string | null)[], term: string | null, refusal: string, missing: number, odd: number}} Axis */
/** @typedef {[number, number]} Range from and to, both within; infinite where an end is open; of an ordinal axis the places of words; LANE for what has none */
/** @typedef {Map<string, Range>} Brushes by the key of the axis */

export const AGGREGATES = ["last", "min", "max", "avg"];
/** The brush of the lane "none": what has no place on the axis. @type {Range} */
export const LANE = [NaN, NaN];
/** @param {Range | undefined} range */
export const isLane = (range) => range !== undefined && Number.isNaN(range[0]);
const FILTERS = /** @type {Record<string, string>} */ ({ NaN: "= nan", Infinity: "= inf", "-Infinity": "< -1.7976931348623157e308" });
const EDGE = 0.03, THOUSAND = 1000;

export class Scale {
  /** @param {Axis} axis @param {boolean} isLog */
  constructor(axis, isLog) {
    this.axis = axis;
    this.isOrdinal = axis.words.length > 0;
    this.isLog = isLog && !this.isOrdinal;
    const numbers = axis.values.map((value) => (this.isPlaced(value) ? /** @type {number} */ (value) : null));
    this.ends = /** @type {Range} */ (extent(numbers));
    this.isEmpty = this.ends[0] > this.ends[1];
    if (this.isEmpty) this.ends = [1, 1];
    const [low, high] = this.ends.map((value) => this.turn(value));
    this.low = high > low ? low : low - 0.5;
    this.high = high > low ? high : high + 0.5;
  }

  /** Whether a value has a place on the axis; all others stand in its lane. @param {Value} value */
  isPlaced(value) {
    return typeof value === "number" && (!this.isLog || value > 0);
  }

  /** @param {number} value */
  turn(value) {
    return this.isLog ? Math.log10(value) : value;
  }

  /** How far along the axis a value stands, from 0 to 1; null for what stands in the lane. @param {Value} value */
  share(value) {
    // halves, so that no difference overflows
    return this.isPlaced(value) ? EDGE + (1 - 2 * EDGE) * ((this.turn(/** @type {number} */ (value)) / 2 - this.low / 2) / (this.high / 2 - this.low / 2)) : null;
  }

  /** The share at which the end of a brush is drawn, which may lie beyond the axis. @param {number} value */
  edge(value) {
    return Math.max(0, Math.min(1, this.share(value) ?? 0));
  }

  /** The value at a share, with as many digits as a hand can aim at; beyond the data their end, exactly. @param {number} share */
  value(share) {
    const inner = (share - EDGE) / (1 - 2 * EDGE);
    if (this.isOrdinal) return this.low + inner * (this.high - this.low);
    if (inner <= 0) return this.ends[0];
    if (inner >= 1) return this.ends[1];
    const turned = this.low * (1 - inner) + this.high * inner;
    if (this.isLog) return Number((10 ** turned).toPrecision(3));
    const grain = 10 ** Math.floor(Math.log10(this.high / THOUSAND - this.low / THOUSAND));
    const digits = -Math.log10(grain);
    return digits >= 0 && digits <= 100 ? Number(turned.toFixed(digits)) : Number(turned.toPrecision(4));
  }

  /** The range between two shares. @param {number} one @param {number} other @returns {Range} */
  range(one, other) {
    const [from, to] = [this.value(Math.min(one, other)), this.value(Math.max(one, other))];
    if (!this.isOrdinal) return [from, to];
    const [first, last] = [Math.ceil(from), Math.floor(to)], most = this.axis.words.length - 1;
    const near = Math.round((from + to) / 2);
    return /** @type {Range} */ ((first <= last ? [first, last] : [near, near]).map((place) => Math.max(0, Math.min(most, place))));
  }

  /** At most `most` places with their texts. @param {number} most @returns {{share: number, text: string}[]} */
  ticks(most) {
    if (this.isEmpty) return [];
    if (this.isOrdinal) {
      const stride = Math.ceil(this.axis.words.length / most);
      return this.axis.words.map((text, place) => ({ share: /** @type {number} */ (this.share(place)), text })).filter((_, place) => place % stride === 0);
    }
    if (this.ends[0] === this.ends[1]) return [{ share: 0.5, text: reading(this.ends[0]) }];
    const [low, high] = this.isLog ? [10 ** this.low, 10 ** this.high] : [this.low, this.high];
    const ticks = this.isLog ? logTicks(low, high, most) : linearTicks(low, high, most), texts = this.isLog ? logTexts(ticks) : tickTexts(ticks);
    return ticks.map((tick, i) => ({ share: /** @type {number} */ (this.share(tick)), text: texts[i] })).filter(({ share }) => share !== null && Number.isFinite(share));
  }

  /** A value as people read it. @param {Value} value */
  text(value) {
    if (value === null || value === undefined) return "none";
    if (typeof value === "string") return value;
    return this.isOrdinal ? this.axis.words[value] ?? "" : reading(value);
  }

  /** How many stand in the lane, and why, as a sentence; "" where none does. */
  get absence() {
    const { missing, odd, refusal, values } = this.axis;
    const low = this.isLog ? values.filter((value) => typeof value === "number" && value <= 0).length : 0;
    if (refusal) return refusal;
    const parts = [missing ? `${missing} without a value` : "", odd ? `${odd} NaN or infinite` : "", low ? `${low} of zero or less, which a log axis cannot show` : ""].filter(Boolean);
    return parts.length ? `${this.axis.name}: ${parts.join(", ")}; they stand in the lane “none”.` : "";
  }
}

/**
 * Which rows every brush takes in. A row without a value on a brushed axis is out, but where its lane is brushed.
 * @param {Map<string, Scale>} scales @param {Brushes} brushes @param {number} count
 */
export function fitting(scales, brushes, count) {
  const fits = new Uint8Array(count).fill(1);
  for (const [key, range] of brushes) {
    const scale = scales.get(key), values = scale?.axis.values, [from, to] = range;
    if (scale && isLane(range)) scale.axis.values.forEach((value, i) => { if (scale.isPlaced(value)) fits[i] = 0; });
    else if (values) for (let i = 0; i < count; i++) { const value = values[i]; if (!(typeof value === "number" && value >= from && value <= to)) fits[i] = 0; }
  }
  return fits;
}

/** A brush as it stands in an address: words by name, for places change with the data. @param {Scale} scale @param {Range} range */
export function written(scale, range) {
  if (isLane(range)) return `${encodeURIComponent(scale.axis.key)},none`;
  const [from, to] = range;
  const end = (/** @type {number} */ value) => (scale.isOrdinal ? scale.axis.words[value] : Number.isFinite(value) ? String(value) : "");
  return [scale.axis.key, end(from), end(to)].map(encodeURIComponent).join(",");
}

/** The key of a written brush. @param {string} text */
export const keyOf = (text) => decoded(text.split(",")[0]);

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** The range of a written brush; null where it says none. @param {Scale} scale @param {string} text @returns {Range | null} */
export function read(scale, text) {
  const parts = text.split(",").map(decoded);
  if (parts.length === 2 && parts[1] === "none") return LANE;
  if (parts.length !== 3) return null;
  const open = [-Infinity, Infinity];
  const [from, to] = parts.slice(1).map((end, n) => (scale.isOrdinal ? scale.axis.words.indexOf(end) : end.trim() === "" ? open[n] : Number(end)));
  // Number gives NaN for what is none, and no comparison with it holds.
  return from <= to && (scale.isOrdinal ? from >= 0 : Number.isFinite(from) || Number.isFinite(to)) ? [from, to] : null;
}

/**
 * A brush as terms of the language of filters, or why it cannot be one.
 * @param {Scale} scale @param {Range} range @returns {{terms: string, trouble: string}}
 */
export function condition(scale, range) {
  const [from, to] = range;
  const { term, name, literals } = scale.axis;
  const refuse = (/** @type {string} */ why) => ({ terms: "", trouble: `${name} ${why}` });
  if (term === null) return refuse("has a name that a filter cannot spell.");
  if (isLane(range)) return { terms: laneTerms(scale, term), trouble: "" };
  const bounds = [Number.isFinite(from) ? `${term} >= ${from}` : "", Number.isFinite(to) ? `${term} <= ${to}` : ""].filter(Boolean).join(" and ");
  if (!scale.isOrdinal) return { terms: from === to ? `${term} = ${from}` : bounds, trouble: "" };
  const spelled = literals.slice(from, to + 1);
  if (spelled.includes(null)) return refuse("has values that a filter cannot compare, such as lists or very long texts.");
  return { terms: spelled.length === 1 ? `${term} = ${spelled[0]}` : `${term} in (${spelled.join(", ")})`, trouble: "" };
}

/** What stands in the lane, as a filter says it. @param {Scale} scale @param {string} term */
function laneTerms({ axis, isLog }, term) {
  const odd = [...new Set(axis.values.filter((value) => typeof value === "string"))].map((word) => `${term} ${FILTERS[word]}`);
  const low = isLog && axis.values.some((value) => typeof value === "number" && value <= 0) ? [`${term} <= 0`] : [];
  const terms = [...(axis.missing ? [`${term} = none`] : []), ...odd, ...low];
  return terms.length > 1 ? `(${terms.join(" or ")})` : terms[0] ?? `${term} = none`;
}

/** A menu's key by an aggregate. @param {string} key @param {string} how */
export const withAggregate = (key, how) => (key.startsWith("metric:") && AGGREGATES.includes(how) ? `${how}:${key.slice("metric:".length)}` : key);

const BANDS = 12;

/** Colours along a scale: of ten run colours where it has few words, else bands from the first colour to the second. */
export class Shades {
  /** @param {Scale | null} scale @param {string[]} palette ten run colours, as rgb(…) @param {string} none the colour of what has no value */
  constructor(scale, palette, none) {
    this.scale = scale;
    this.none = none;
    this.isList = scale !== null && scale.isOrdinal && scale.axis.words.length <= palette.length;
    this.colours = this.isList ? palette : Array.from({ length: BANDS }, (_, i) => mixed(palette[0], palette[1], i / (BANDS - 1)));
  }

  /** @param {number} i the row @returns {string} */
  at(i) {
    const value = this.scale?.axis.values[i] ?? null, share = this.scale?.share(value) ?? null;
    if (share === null) return this.none;
    return this.isList ? this.colours[/** @type {number} */ (value)] : this.colours[Math.max(0, Math.min(BANDS - 1, Math.floor(((share - EDGE) / (1 - 2 * EDGE)) * BANDS)))];
  }
}

/** @param {string} one @param {string} other rgb(…) @param {number} share */
function mixed(one, other, share) {
  const [from, to] = [one, other].map((colour) => (colour.match(/[\d.]+/g) ?? []).map(Number));
  return `rgb(${[0, 1, 2].map((i) => Math.round(from[i] + (to[i] - from[i]) * share)).join(", ")})`;
}
