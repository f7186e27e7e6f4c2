/* x is another metric: its chooser in the toolbar, and what the head and the cursor of a chart say then. */

import { reading, step } from "../frame/numbers.js";

const OFFERED_MOST = 300;

/** @typedef {import("./board.js").Board} Board */
/** @typedef {import("./plot.js").View} View */

/** @param {Board} board */
export function wireXMetric(board) {
  const form = document.querySelector("[data-x-metric-form]"), input = document.querySelector('input[form="x-metric"]');
  if (!(form instanceof HTMLFormElement) || !(input instanceof HTMLInputElement)) return;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.value.trim()) board.look({ x: "metric", xMetric: input.value.trim() });
  });
  input.addEventListener("change", () => {
    if (input.value.trim()) form.requestSubmit();
  });
  complete(input);
}

/** Where the page has only some of the names, the others are asked for once somebody types. @param {HTMLInputElement} input */
function complete(input) {
  const list = input.list, all = list?.dataset.all;
  if (!list || !all) return;
  let names = /** @type {string[] | null} */ (null);
  input.addEventListener("input", async () => {
    const typed = input.value.toLowerCase();
    names ??= await namesAt(all);
    const fitting = names.filter((name) => name.toLowerCase().includes(typed)).slice(0, OFFERED_MOST);
    list.replaceChildren(...fitting.map((name) => Object.assign(document.createElement("option"), { value: name })));
  });
}

/** @param {string} address @returns {Promise<string[]>} none where the server does not answer: a name can be typed all the same */
async function namesAt(address) {
  try {
    const response = await fetch(address, { credentials: "same-origin", headers: { Accept: "application/json" } });
    return response.ok ? (await response.json()).names.map((/** @type {{name: string}} */ each) => each.name) : [];
  } catch {
    return [];
  }
}

/**
 * What such a chart shows. A curve may turn back in x, so it is drawn as what fell into each bucket.
 * @param {import("./plot.js").Answer} answer @param {View} view @param {boolean} hasSpread
 */
export function crossingText(answer, view, hasSpread) {
  const unplaced = answer.series.reduce((sum, series) => sum + (series.unplaced ?? 0), 0);
  const how = hasSpread ? `mean and range of buckets of ${reading(answer.width, 3)} of ${view.xMetric}` : `over ${view.xMetric}`;
  return unplaced ? `${how}, ${step(unplaced)} point${unplaced === 1 ? "" : "s"} without it left out` : how;
}

/** Where the cursor stands. @param {View} view @param {number} x */
export const xWhere = (view, x) => `${view.xMetric} ${reading(x, 6)}`;
