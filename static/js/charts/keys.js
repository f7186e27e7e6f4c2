/* The keys of pages with charts. */

import { offer, seen, walk, wireKeys } from "../frame/keys.js";

const KINDS = ["step", "relative", "time"], SMOOTHER = 0.1, SMOOTHEST = 0.99;

/** @typedef {import("./board.js").Board} Board */

/** The run of the list that has the focus, or that the mouse is on. */
const chosen = () => document.activeElement?.closest("[data-run]") ?? document.querySelector(".runs [data-run]:hover");
const slider = () => /** @type {HTMLInputElement | null} */ (document.getElementById("smooth"));
const clip = () => /** @type {HTMLInputElement | null} */ (seen('[data-chart-toolbar] input[name="clip"]'));
const pin = () => /** @type {HTMLElement | null} */ (chosen()?.querySelector("a.pin-run") ?? null);
const bySeed = () => /** @type {HTMLElement | null} */ (seen('[data-group-toolbar] a[data-set="group"]'));
const differences = () => seen('#differences button[name="params"]');

/** @param {number} by */
function smoothe(by) {
  const box = slider();
  if (!box) return;
  box.value = String(Math.max(0, Math.min(SMOOTHEST, Math.round((Number(box.value) + by) * 100) / 100)));
  box.dispatchEvent(new Event("input"));
}

/** The menu of the chart that has the focus, else of the first that can be seen. */
function exportMenu() {
  const focused = document.activeElement?.closest(".card.chart") ?? seen(".card.chart");
  return /** @type {HTMLDetailsElement | null} */ (focused?.querySelector("details.export") ?? null);
}

function openExport() {
  const menu = exportMenu();
  if (!menu) return;
  // A link takes the focus once it leads somewhere, which it does when the menu opens.
  const enter = () => /** @type {HTMLElement | null} */ (menu.querySelector("a"))?.focus();
  if (menu.open) enter();
  else menu.addEventListener("toggle", enter, { once: true });
  menu.open = true;
  menu.scrollIntoView({ block: "nearest" });
}

/** @param {Board | null} board null where the page has no chart yet */
export function wireChartKeys(board) {
  const eye = (/** @type {HTMLElement} */ item) => /** @type {HTMLElement | null} */ (item.querySelector(".eye input"));
  const hasRuns = () => seen(".runs [data-run]"), filter = () => seen("[data-run-find] input");
  offer([
    { key: "/", says: "filter the runs", there: filter, act: () => filter()?.focus() },
    { key: "j", says: "next run, the one before", there: hasRuns, act: () => walk(".runs [data-run]", 1, eye) },
    { key: "k", says: "next run, the one before", there: hasRuns, act: () => walk(".runs [data-run]", -1, eye) },
    { key: " ", says: "show or hide the run", there: hasRuns },
    { key: "b", says: "the run becomes the baseline", there: () => seen(".runs a.pin-run"), act: () => pin()?.click() },
    { key: "g", says: "group by all but the seed, or not", there: bySeed, act: () => bySeed()?.click() },
    { key: "d", says: "differences only, or all params", there: differences, act: () => differences()?.click() },
  ]);
  if (board) offerViews(board);
  wireKeys();
}

/** @param {Board} board */
function offerViews(board) {
  const has = () => seen("[data-chart-toolbar]"), charts = () => seen(".card.chart");
  offer([
    { key: "x", says: "another x axis: step, relative, wall time", there: has, act: () => board.look({ x: KINDS[(KINDS.indexOf(board.view.x) + 1) % KINDS.length] }) },
    { key: "l", says: "logarithmic y axis, or linear", there: has, act: () => board.look({ isLog: !board.view.isLog }) },
    { key: "s", says: "smoother, rougher", there: slider, act: () => smoothe(SMOOTHER) },
    { key: "S", says: "smoother, rougher", there: slider, act: () => smoothe(-SMOOTHER) },
    { key: "c", says: "clip outliers, or not", there: clip, act: () => clip()?.click() },
    { key: "z", says: "reset the zoom", there: () => board.view.zoom, act: () => board.zoom(null) },
    { key: "n", says: "next chart, the one before", there: charts, act: () => walk(".card.chart", 1) },
    { key: "p", says: "next chart, the one before", there: charts, act: () => walk(".card.chart", -1) },
    { key: "e", says: "export the chart that has the focus, or the first", there: exportMenu, act: openExport },
  ]);
}
