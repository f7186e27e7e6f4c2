/* Numbers of charts: smoothing, ranges, ticks and how they are written. Pure functions, no page. */

const THIN = "\u202f";
const MINUS = "−";
const MINUTE = 60, HOUR = 3600, DAY = 86400;
const SPANS = [1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 10 * DAY, 30 * DAY, 60 * DAY, 120 * DAY, 365 * DAY, 730 * DAY, 1825 * DAY];

/** @typedef {(number | null)[]} Values */

/**
 * Exponential moving average with the bias of its start taken out, as TensorBoard does it. Gaps stay gaps.
 * @param {Values} values @param {number} weight 0 (none) to 0.99
 * @returns {Values}
 */
export function smoothed(values, weight) {
  if (!(weight > 0)) return values;
  let sum = 0, norm = 1;
  return values.map((value) => {
    if (value === null) return null;
    sum = sum * weight + value * (1 - weight);
    norm *= weight;
    return sum / (1 - norm);
  });
}

/**
 * Only what a log axis can show.
 * @param {Values} values @returns {Values}
 */
export const positive = (values) => values.map((value) => (value !== null && value > 0 ? value : null));

/** @param {Values} values @returns {number} how many are zero or less */
export const nonPositive = (values) => values.reduce((/** @type {number} */ count, value) => count + (value !== null && value <= 0 ? 1 : 0), 0);

/**
 * A curve without its peaks that are narrower than `width` places: the largest, around each place, of the smallest values of so many neighbours.
 * At the ends two neighbours are enough, so that a curve that begins steeply has no peak there.
 * @param {number[]} values @param {number} width 2 or more
 */
export function opened(values, width) {
  const count = values.length, kept = new Array(count).fill(-Infinity);
  if (count < 2) return values.slice();
  for (let start = 2 - width; start <= count - 2; start++) {
    const first = Math.max(0, start), end = Math.min(count, start + width);
    let least = Infinity;
    for (let i = first; i < end; i++) least = Math.min(least, values[i]);
    for (let i = first; i < end; i++) kept[i] = Math.max(kept[i], least);
  }
  return kept;
}

/**
 * Smallest and largest value from index `first` to `last`, [Infinity, -Infinity] where there is none.
 * @param {Values} values @param {number} first @param {number} last
 * @returns {[number, number]}
 */
export function extent(values, first = 0, last = values.length - 1) {
  let low = Infinity, high = -Infinity;
  for (let i = first; i <= last; i++) {
    const value = values[i];
    if (value === null || value === undefined) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/**
 * Tukey's fences: beyond 1.5 times the middle half's width from it, a value is an outlier. Measured in powers of ten for a log axis.
 * @param {Values} values @param {boolean} isLog
 * @returns {[number, number]}
 */
export function fences(values, isLog = false) {
  const turn = isLog ? Math.log10 : (/** @type {number} */ value) => value;
  const sorted = Float64Array.from(/** @type {number[]} */ (values.filter((value) => value !== null)), turn).sort();
  const at = (/** @type {number} */ share) => sorted[Math.round(share * (sorted.length - 1))];
  const reach = 1.5 * (at(0.75) - at(0.25));
  if (!(reach > 0)) return [-Infinity, Infinity];
  const back = isLog ? (/** @type {number} */ value) => 10 ** value : (/** @type {number} */ value) => value;
  return [back(at(0.25) - reach), back(at(0.75) + reach)];
}

/**
 * The index of the value nearest to `at` that is not null; null before the first and after the last.
 * @param {Values} values @param {number} at
 * @returns {number | null}
 */
export function nearest(values, at) {
  if (values[at] !== null && values[at] !== undefined) return at;
  let before = at - 1, after = at + 1;
  while (before >= 0 && values[before] === null) before--;
  while (after < values.length && values[after] === null) after++;
  if (before < 0 || after >= values.length) return null;
  return at - before <= after - at ? before : after;
}

/** @param {number} raw @returns {number} the next of 1, 2, 2.5, 5 times a power of ten */
function nice(raw) {
  const power = 10 ** Math.floor(Math.log10(raw));
  const ratio = raw / power;
  return (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 2.5 ? 2.5 : ratio <= 5 ? 5 : 10) * power;
}

/**
 * Multiples of `step` within low and high, without the dust of floating point.
 * @param {number} low @param {number} high @param {number} step
 */
function multiples(low, high, step) {
  const ticks = [];
  const digits = Math.max(0, Math.min(100, Math.ceil(-Math.log10(step)) + 2));
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9 && ticks.length < 50; i++) ticks.push(Number((i * step).toFixed(digits)));
  return ticks;
}

/**
 * At most `most` round numbers between low and high.
 * @param {number} low @param {number} high @param {number} most @param {boolean} whole only whole numbers
 */
export function linearTicks(low, high, most = 6, whole = false) {
  if (!(high > low)) return [low];
  let step = nice((high - low) / most);
  if (whole) step = Math.max(1, Math.ceil(step));
  let ticks = multiples(low, high, step);
  while (ticks.length > most) ticks = multiples(low, high, (step = nice(step * 1.01)));
  return ticks;
}

/**
 * At most `most` ticks of a log axis: powers of ten, and round numbers between them where it spans little.
 * @param {number} low @param {number} high @param {number} most
 */
export function logTicks(low, high, most = 6) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  const within = (/** @type {number} */ value) => value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9);
  const powers = (/** @type {number[]} */ mantissas, stride = 1) => {
    const ticks = [];
    for (let power = first; power <= last; power += stride) for (const mantissa of mantissas) ticks.push(Number(`${mantissa}e${power}`));
    return ticks.filter(within);
  };
  for (const mantissas of [[1, 2, 3, 5, 7], [1, 2, 5], [1, 3]]) {
    const ticks = powers(mantissas);
    if (ticks.length <= most && ticks.length > 1) return ticks;
  }
  const tens = powers([1]);
  if (tens.length < 2) return linearTicks(low, high, most);
  return tens.length <= most ? tens : powers([1], Math.ceil((last - first) / (most - 1)));
}

/** How far the reader's zone is ahead of UTC at a moment, in seconds. @param {number} seconds since 1970 */
const ahead = (seconds) => -60 * (new Date(seconds * 1000).getTimezoneOffset() || 0);

/** What the reader's zone is called at a moment. @param {number} seconds since 1970 */
export const zone = (seconds) => new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts(new Date(seconds * 1000)).find(({ type }) => type === "timeZoneName")?.value ?? "UTC";

/** Ticks of wall time, at round hours and days of the reader's zone. @param {number} low @param {number} high @param {number} most */
export function clockTicks(low, high, most = 6) {
  const shift = ahead(low);
  return timeTicks(low + shift, high + shift, most).map((tick) => tick - ahead(tick - shift));
}

/**
 * At most `most` ticks of a time axis in seconds, at round spans.
 * @param {number} low @param {number} high @param {number} most
 */
export function timeTicks(low, high, most = 6) {
  if (!(high > low)) return [low];
  const step = SPANS.find((span) => (high - low) / span <= most - 1) ?? nice((high - low) / (most - 1));
  return multiples(low, high, step);
}

/** @param {string} text a number with a point @returns {string} thin spaces between thousands, a real minus */
const grouped = (text) => text.replace(/\d+/, (whole) => (whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, THIN) : whole)).replace("-", MINUS);

/**
 * A reading: 4 significant digits, as the server writes it.
 * @param {number | null | undefined} value @param {number} digits
 */
export function reading(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : `${MINUS}Infinity`;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return grouped(value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e"));
  if (Number.isInteger(value)) return grouped(String(value));
  return grouped(value.toFixed(Math.max(0, digits - 1 - Math.floor(Math.log10(size)))));
}

/** @param {number} value @returns {string} a step: whole, with thin spaces between thousands */
export const step = (value) => String(Math.round(value * 1e6) / 1e6).replace(/\B(?=(\d{3})+$)/g, THIN).replace("-", MINUS);

/**
 * Ticks with the decimals that tell them apart.
 * @param {number[]} ticks
 */
export function tickTexts(ticks) {
  const sizes = ticks.filter((tick) => tick !== 0).map(Math.abs);
  const smallest = Math.min(...sizes), largest = Math.max(...sizes);
  if (!sizes.length || largest >= 1e6 || largest < 1e-4 || smallest < 1e-5) return ticks.map((tick) => (tick === 0 ? "0" : reading(tick, 3)));
  const decimals = Math.max(...ticks.map((tick) => (String(Number(tick.toPrecision(6))).split(".")[1] ?? "").length));
  return ticks.map((tick) => grouped(tick.toFixed(decimals)));
}

/** Ticks of a log axis, each with the digits that it needs. @param {number[]} ticks */
export const logTexts = (ticks) => ticks.map((tick) => {
  const size = Math.abs(tick);
  return size >= 1e-4 && size < 1e6 ? grouped(String(Number(tick.toPrecision(6)))) : reading(tick, 2);
});

/**
 * A span of time in its two largest units: 43 s, 12 min 5 s.
 * @param {number} seconds
 */
export function span(seconds) {
  const sign = seconds < 0 ? MINUS : "", size = Math.abs(seconds);
  if (size < 1) return size === 0 ? "0" : `${sign}${Number((size * 1000).toPrecision(3))} ms`;
  if (size < MINUTE) return `${sign}${Number(size.toPrecision(4))} s`;
  for (const [unit, name, rest, restName] of /** @type {[number, string, number, string][]} */ ([[DAY, "d", HOUR, "h"], [HOUR, "h", MINUTE, "min"], [MINUTE, "min", 1, "s"]])) {
    if (size < unit) continue;
    const left = Math.floor((size % unit) / rest);
    return `${sign}${Math.floor(size / unit)} ${name}${left ? ` ${left} ${restName}` : ""}`;
  }
  return "";
}

/**
 * A moment in the reader's zone, as much of it as a range of `range` seconds needs.
 * @param {number} seconds since 1970 @param {number} range
 */
export function clock(seconds, range) {
  const iso = new Date((seconds + ahead(seconds)) * 1000).toISOString();
  if (range > 5 * DAY) return iso.slice(0, 10);
  if (range > DAY) return `${iso.slice(5, 10)} ${iso.slice(11, 16)}`;
  if (range > 10 * MINUTE) return iso.slice(11, 16);
  return range > 5 ? iso.slice(11, 19) : iso.slice(14, 23);
}
