/* Groups of runs as curves: centre, band and n at every place of the grid that all runs lie on. Pure functions, no page. */

import { smoothed } from "../frame/numbers.js";

/** @typedef {(number | null)[]} Values */
/** @typedef {"mean" | "median"} Centre */
/** @typedef {"sd" | "se" | "ci" | "range" | "none"} Band */
/** @typedef {{centre: Centre, band: Band, smoothing: number, isLog: boolean}} How */
/** @typedef {{id: string, name: string, style: import("../frame/theme.js").RunStyle, members: string[]}} Group */
/** @typedef {import("./plot.js").Series} Series */
/** @typedef {import("./plot.js").Answer} Answer */
/** @typedef {import("./plot.js").Run} Run */

/** Student's t at 97.5 % for 1 to 30 degrees of freedom. */
const STUDENT = [
  12.7062047, 4.30265273, 3.18244631, 2.77644511, 2.57058184, 2.44691185, 2.36462425, 2.30600414, 2.26215716, 2.22813885, 2.20098516, 2.17881283, 2.16036866, 2.14478669, 2.13144955,
  2.1199053, 2.10981558, 2.10092204, 2.09302405, 2.08596345, 2.07961384, 2.07387307, 2.06865761, 2.06389856, 2.05953855, 2.05552944, 2.05183052, 2.04840714, 2.04522964, 2.04227246,
];
const NORMAL = 1.959963985;

/**
 * Student's t at 97.5 %: half the width of a 95 % interval in standard errors. Past the table by Fisher's expansion, there right to a millionth.
 * @param {number} degrees of freedom, 1 or more
 */
export function student(degrees) {
  if (degrees <= STUDENT.length) return STUDENT[degrees - 1];
  const z = NORMAL, n = degrees;
  return z + (z ** 3 + z) / (4 * n) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * n ** 2) + (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * n ** 3);
}

/**
 * A run between its own points is where its curve is: on the straight line from one to the next. Before its first point and after its last it is nowhere.
 * @param {ArrayLike<number>} xs @param {Values} values @returns {Values}
 */
export function bridged(xs, values) {
  const whole = values.slice();
  let before = -1;
  for (let i = 0; i < whole.length; i++) {
    const value = values[i];
    if (value === null || value === undefined) continue;
    for (let gap = before + 1; before >= 0 && gap < i; gap++) {
      const from = /** @type {number} */ (values[before]), share = (xs[gap] - xs[before]) / (xs[i] - xs[before]);
      whole[gap] = from + (value - from) * share;
    }
    before = i;
  }
  return whole;
}

/** @param {number[]} values at least one */
export const mean = (values) => values.reduce((sum, value) => sum + value / values.length, 0);

/** @param {number[]} values at least one, left as they are */
export function median(values) {
  const sorted = Float64Array.from(values).sort(), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The deviation of a sample. @param {number[]} values at least two */
export function deviation(values) {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

/**
 * How far the band reaches from the mean; null where one run alone says nothing of it.
 * @param {number[]} values @param {Band} band
 */
export function reach(values, band) {
  if (values.length < 2 || band === "none" || band === "range") return null;
  const spread = deviation(values);
  if (band === "sd") return spread;
  const error = spread / Math.sqrt(values.length);
  return band === "se" ? error : error * student(values.length - 1);
}

/**
 * Runs as one: `avg` is the centre, `min` and `max` the band, `n` the runs behind each place. Deviations and errors lie about the mean, whatever the centre is.
 * @param {ArrayLike<number>} xs @param {Series[]} members @param {How} how
 * @returns {{avg: Values, min: Values, max: Values, n: number[]}}
 */
export function together(xs, members, { centre, band, smoothing }) {
  const lines = members.map(({ avg }) => bridged(xs, smoothed(avg, smoothing)));
  const edges = (/** @type {"min" | "max"} */ name) => members.map((member, i) => member[name].map((value, at) => value ?? lines[i][at]));
  const [lows, highs] = band === "range" ? [edges("min"), edges("max")] : [[], []];
  const made = { avg: /** @type {Values} */ ([]), min: /** @type {Values} */ ([]), max: /** @type {Values} */ ([]), n: /** @type {number[]} */ ([]) };
  for (let at = 0; at < xs.length; at++) {
    const values = present(lines, at), middle = values.length ? mean(values) : null, away = reach(values, band);
    const isRange = band === "range" && values.length > 0;
    made.n.push(values.length);
    made.avg.push(middle === null ? null : centre === "median" ? median(values) : middle);
    made.min.push(isRange ? Math.min(...present(lows, at)) : middle === null || away === null ? null : middle - away);
    made.max.push(isRange ? Math.max(...present(highs, at)) : middle === null || away === null ? null : middle + away);
  }
  return made;
}

/** @param {Values[]} lines @param {number} at @returns {number[]} */
function present(lines, at) {
  const values = [];
  for (const line of lines) if (line[at] !== null && line[at] !== undefined) values.push(/** @type {number} */ (line[at]));
  return values;
}

/**
 * A band that reaches zero or less ends at the foot of a log axis instead of having a hole: at the least that the axis shows of the group.
 * @param {Values} low @param {Values} centre @returns {Values}
 */
export function footed(low, centre) {
  const least = Math.min(...[...low, ...centre].filter((value) => value !== null && value > 0).map(Number));
  return low.map((value) => (value !== null && value <= 0 && Number.isFinite(least) ? least : value));
}

/**
 * What a chart draws instead of the runs: a line for each group, of the runs whose eye is open, in the order of the groups.
 * @param {Answer} answer @param {Run[]} runs @param {Group[]} groups @param {How} how
 * @returns {{answer: Answer, runs: Run[]}}
 */
export function inGroups(answer, runs, groups, how) {
  const shown = new Set(runs.filter((run) => !run.isHidden).map((run) => run.id));
  const bySeries = new Map(answer.series.map((series) => [series.experiment, series]));
  const series = [], drawn = [];
  for (const { id, name, style, members } of groups) {
    const mine = members.filter((member) => shown.has(member)).flatMap((member) => bySeries.get(member) ?? []);
    drawn.push({ id, slug: id, name, style, isHidden: !members.some((member) => shown.has(member)) });
    if (mine.length) series.push(asSeries(id, answer.x, mine, how));
  }
  return { answer: { ...answer, series }, runs: drawn };
}

/** @param {string} id @param {number[]} xs @param {Series[]} members @param {How} how @returns {Series} */
function asSeries(id, xs, members, how) {
  const made = together(xs, members, how), odd = members.filter((member) => member.nonfinite_at !== null).map((member) => /** @type {number} */ (member.nonfinite_at));
  return {
    ...made, min: how.isLog ? footed(made.min, made.avg) : made.min, experiment: id,
    nonfinite: members.reduce((sum, member) => sum + member.nonfinite, 0), nonfinite_at: odd.length ? Math.min(...odd) : null,
    nonfinite_words: members.some((member) => member.nonfinite_words === null) ? null : [...new Set(members.flatMap((member) => member.nonfinite_words ?? []))],
  };
}

/** How many runs lines stand for: "n 5", or "n 3 to 5" where it changes. @param {number[][]} counts */
export function said(counts) {
  const all = counts.flat().filter((count) => count > 0);
  if (!all.length) return "";
  const [least, most] = all.reduce(([low, high], count) => [Math.min(low, count), Math.max(high, count)], [Infinity, 0]);
  return least === most ? `n ${least}` : `n ${least} to ${most}`;
}

/** What a chart says of its lines and bands. @param {{centre: Centre, band: Band}} how */
export function described({ centre, band }) {
  const of = centre === "median" ? "mean " : "";
  return { sd: `${centre}, ${of}± sd`, se: `${centre}, ${of}± standard error`, ci: `${centre}, 95% CI${of ? " of the mean" : ""}`, range: `${centre}, min to max`, none: centre }[band];
}
