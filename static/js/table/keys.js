/* The keys of a project's table of experiments, and of the page that asks which to compare. */

import { offer, seen, walk, wireKeys } from "../frame/keys.js";

const ROWS = "tbody tr:has(input[type='checkbox'])";
const box = (/** @type {HTMLElement} */ row) => /** @type {HTMLElement | null} */ (row.querySelector("input[type='checkbox']"));
const row = () => document.activeElement?.closest(ROWS) ?? null;
const rows = () => seen(ROWS);
const compare = () => /** @type {HTMLButtonElement | null} */ (seen("[data-compare]:not([disabled]), form[data-chooser] button[type='submit']"));
const page = (/** @type {string} */ which) => () => seen(`a[rel="${which}"]`);
const filter = () => seen("#filter-text");

offer([
  { key: "/", says: "the filter", there: filter, act: () => filter()?.focus() },
  { key: "j", says: "next experiment, the one before", there: rows, act: () => walk(ROWS, 1, box) },
  { key: "k", says: "next experiment, the one before", there: rows, act: () => walk(ROWS, -1, box) },
  { key: " ", says: "tick the experiment", there: rows },
  { key: "o", says: "open the experiment", there: rows, act: () => /** @type {HTMLElement | null | undefined} */ (row()?.querySelector("a[href]"))?.click() },
  { key: "c", says: "compare those that are ticked", there: compare, act: () => compare()?.click() },
  { key: "n", says: "next page, the one before", there: page("next"), act: () => page("next")()?.click() },
  { key: "p", says: "next page, the one before", there: page("prev"), act: () => page("prev")()?.click() },
]);
wireKeys();
