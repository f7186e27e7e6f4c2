/* Scatter and parallel coordinates among the charts of a comparison: what a brush leaves out is hidden on the whole page, and pointing goes both ways. */

import { remember } from "../frame/address.js";
import { readRunStyle } from "../frame/theme.js";
import { Board } from "../charts/board.js";
import { Desk } from "./desk.js";

const CALM_MS = 120;
const board = Board.made;

const items = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".runs [data-run]")]);
const idOf = (/** @type {HTMLElement} */ item) => item.dataset.run ?? "";
const isShown = (/** @type {HTMLElement} */ item) => !item.classList.contains("hidden");
const boxOf = (/** @type {HTMLElement} */ item) => /** @type {HTMLInputElement} */ (item.querySelector(".eye input"));

/** Show these runs: by the eyes, whose change every chart hears; by the list alone where there is no chart. @param {Set<string>} shown */
function show(shown) {
  for (const item of items) boxOf(item).checked = shown.has(idOf(item));
  if (board) {
    boxOf(items[0]).dispatchEvent(new Event("change", { bubbles: true }));
    return;
  }
  for (const item of items) item.classList.toggle("hidden", !shown.has(idOf(item)));
  remember({ hide: items.filter((item) => !isShown(item)).map((item) => item.dataset.slug ?? "") });
  const count = document.querySelector("[data-shown-count]");
  if (count) count.textContent = String(shown.size);
  followTables();
}

/** The rows and columns of hidden runs leave the tables. */
function followTables() {
  const hidden = new Set(items.filter((item) => !isShown(item)).map(idOf));
  for (const row of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("tr[data-of-run]"))) row.hidden = hidden.has(row.dataset.ofRun ?? "");
  for (const head of /** @type {NodeListOf<HTMLTableCellElement>} */ (document.querySelectorAll("th[data-of-run]"))) {
    const isHidden = hidden.has(head.dataset.ofRun ?? "");
    for (const row of head.closest("table")?.rows ?? []) if (row.cells[head.cellIndex] && row.cells[0].colSpan === 1) row.cells[head.cellIndex].hidden = isHidden;
  }
}

/** @param {HTMLElement} root */
function begin(root) {
  let rows = /** @type {(HTMLElement | undefined)[]} */ ([]), colours = /** @type {string[]} */ ([]), isBrushed = false, timer = 0;
  let before = /** @type {Set<string> | null} */ (null);
  const places = /** @type {Map<string, number>} */ (new Map());
  const isRowShown = (/** @type {number} */ row) => { const item = rows[row]; return item !== undefined && isShown(item); };
  const readColours = () => { colours = rows.map((item) => (item ? readRunStyle(/** @type {Element} */ (item.querySelector(".swatch"))).colour : "")); };
  /** @type {Desk} */
  const desk = new Desk(root, {
    noun: "runs",
    query: () => new URLSearchParams(items.map((item) => ["e", item.dataset.slug ?? ""])),
    loaded: (made) => {
      const ids = made.data?.ids ?? [];
      rows = ids.map((id) => items.find((item) => idOf(item) === id));
      ids.forEach((id, row) => places.set(id, row));
      readColours();
      isBrushed = made.brushes.size > 0;
      // A link that was made here names what it hides; one that was written by hand has its brushes alone.
      if (isBrushed && !new URLSearchParams(location.search).has("hide")) made.apply();
      else made.follow(isRowShown);
    },
    changed: (made) => {
      if (!isBrushed && made.brushes.size) before = new Set(items.filter(isShown).map(idOf));
      if (!isBrushed && !made.brushes.size) { made.follow(isRowShown); return; }
      isBrushed = made.brushes.size > 0;
      const earlier = before;
      // A run hidden by its eye stays hidden under a brush.
      const inside = rows.flatMap((item, row) => (item && made.isIn(row) && (!earlier || earlier.has(idOf(item))) ? [idOf(item)] : []));
      clearTimeout(timer);
      timer = setTimeout(() => show(new Set(inside)), CALM_MS);
      if (!isBrushed) before = null;
    },
    pointed: (row) => (board ? board.point(row === null ? null : desk.data?.ids[row] ?? null) : mark(row)),
    colour: (row) => colours[row] || null,
  });
  const mark = (/** @type {number | null} */ row) => items.forEach((item) => item.classList.toggle("hot", row !== null && item === rows[row]));
  const heat = (/** @type {string | null} */ id) => desk.heat(id === null ? null : places.get(id) ?? null);
  if (board) {
    board.pointers.push(heat);
    board.watchers.push(() => { readColours(); if (desk.data) desk.follow(isRowShown); });
  } else {
    for (const item of items) {
      for (const event of ["mouseenter", "focusin"]) item.addEventListener(event, () => heat(isShown(item) ? idOf(item) : null));
      for (const event of ["mouseleave", "focusout"]) item.addEventListener(event, () => heat(null));
      boxOf(item).disabled = false;
      boxOf(item).addEventListener("change", () => {
        show(new Set(items.filter((one) => boxOf(one).checked).map(idOf)));
        if (desk.data) desk.follow(isRowShown);
      });
    }
  }
  return desk;
}

const root = document.querySelector("[data-explore]"), fold = root?.closest("details");
if (root instanceof HTMLElement && fold && items.length) {
  let desk = /** @type {Desk | null} */ (null);
  const open = () => { if (!desk) (desk = begin(root)).load(); };
  fold.addEventListener("toggle", () => {
    remember({ axes: fold.open ? "open" : null });
    if (fold.open) open();
  });
  if (fold.open) open();
}
board?.watchers.push(followTables);
document.addEventListener("htmx:afterSettle", followTables);
followTables();
