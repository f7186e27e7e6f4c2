/* What a chart's head says of values that are no finite numbers. Pure. */

import { step } from "../frame/numbers.js";
import { xText } from "./plot.js";

const NAMES = /** @type {Record<string, string>} */ ({ NaN: "NaN", Infinity: "infinity", "-Infinity": "−infinity" });

/** @typedef {import("./plot.js").Line} Line */
/** @typedef {import("./plot.js").View} View */

/**
 * Which values they are and where: "infinity at step 100" for one alone, "NaN from step 100" only where nothing finite comes after it.
 * @param {Line[]} lines @param {number[]} xs @param {View} view
 */
export function oddText(lines, xs, { x: kind, zoom }) {
  const odd = lines.filter((line) => line.nonfiniteAt !== null);
  if (!odd.length) return "";
  const what = named(odd), count = odd.reduce((sum, line) => sum + line.nonfinite, 0);
  if (zoom) return `${what} in this range`;
  const first = Math.min(...odd.map((line) => Number(line.nonfiniteAt)));
  const where = kind === "step" ? `step ${step(first)}` : xText(first, kind, kind === "metric" ? 0 : 60);
  const runs = odd.length > 1 ? ` in ${odd.length} ${odd[0].n ? "groups" : "runs"}` : "";
  if (count === 1) return `${what} at ${where}`;
  if (kind !== "metric" && odd.every((line) => isLasting(line, xs))) return `${what} from ${where}${runs}`;
  return `${what} first at ${where}, ${step(count)} points${runs}`;
}

/** @param {Line[]} lines */
function named(lines) {
  if (lines.some((line) => line.oddWords === null)) return "NaN or infinity";
  const words = [...new Set(lines.flatMap((line) => line.oddWords ?? []))].map((word) => NAMES[word]).sort();
  return words.length ? words.join(" and ") : "NaN or infinity";
}

/** Whether no finite value stands in the bucket of the first one or after it. @param {Line} line @param {number[]} xs */
function isLasting({ nonfiniteAt, nonfinite, unsmoothed }, xs) {
  let bucket = xs.length - 1;
  while (bucket > 0 && xs[bucket] > Number(nonfiniteAt)) bucket--;
  return nonfinite > 1 && unsmoothed.every((value, i) => i < bucket || value === null || value === undefined);
}
