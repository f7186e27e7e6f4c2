/* The readings beside the cursor, sorted by value. It never lies over the cursor. */

import { reading } from "../frame/numbers.js";
import { tipOf } from "./tips.js";

const ROWS_MOST = 12, AWAY = 12;

/** @typedef {import("./card.js").Drawing} Drawing */
/** @typedef {{run: import("./plot.js").Run, value: number, raw: number | null, low: number | null, high: number | null, n: number | null}} Row */

/**
 * The readings at an index of a plot, largest first.
 * @param {Drawing} plot
 * @returns {Row[]}
 */
export function rowsAt(plot) {
  const rows = [];
  for (const part of "parts" in plot ? plot.parts : [plot]) for (const [i, line] of part.lines.entries()) {
    const at = part.u.cursor.idxs?.[i + 1] ?? -1, value = line.values[at] ?? null;
    if (value === null) continue;
    rows.push({
      run: line.run, value, raw: line.raw ? line.raw[at] : null, low: line.low ? line.low[at] : null, high: line.high ? line.high[at] : null, n: line.n ? line.n[at] : null,
    });
  }
  return rows.sort((one, other) => other.value - one.value);
}

/**
 * As many rows as fit: the baseline and the hovered run always, the others from the top.
 * @param {Row[]} rows @param {string | null} hot
 */
function fitting(rows, hot) {
  if (rows.length <= ROWS_MOST) return rows;
  const kept = new Set(rows.filter((row) => row.run.style.isBase || row.run.id === hot));
  for (const row of rows) if (kept.size < ROWS_MOST) kept.add(row);
  return rows.filter((row) => kept.has(row));
}

export class Tooltip {
  /** @param {HTMLElement} card */
  constructor(card) {
    this.card = card;
    this.box = document.createElement("div");
    this.box.className = "tooltip chart-tooltip";
    this.box.hidden = true;
    card.append(this.box);
  }

  hide() {
    this.box.hidden = true;
  }

  /** @param {Drawing} plot @param {string} x what the cursor stands on @param {(run: import("./plot.js").Run) => Element} swatch @param {string | null} hot */
  show(plot, x, swatch, hot) {
    const rows = rowsAt(plot);
    this.box.hidden = rows.length === 0;
    if (!rows.length) return;
    const kept = fitting(rows, hot);
    this.box.replaceChildren(this.head(x, rows), this.list(kept, swatch, hot));
    if (kept.length < rows.length) this.box.append(element("p", "muted", `and ${rows.length - kept.length} more`));
    this.place(plot);
  }

  /** @param {string} x @param {Row[]} rows */
  head(x, rows) {
    const head = document.createElement("header");
    const what = rows.some((row) => row.n !== null) ? "centre, band, n" : rows.some((row) => row.raw !== null) ? "smoothed, raw" : rows.some((row) => row.low !== null) ? "mean, range" : "";
    head.append(element("span", "", x), element("span", "", what));
    return head;
  }

  /** @param {Row[]} rows @param {(run: import("./plot.js").Run) => Element} swatch @param {string | null} hot */
  list(rows, swatch, hot) {
    const list = document.createElement("ul");
    for (const row of rows) {
      const item = document.createElement("li");
      if (row.run.id === hot) item.className = "hot";
      const name = element("span", "run", row.run.name);
      name.dir = "auto";
      const spread = row.raw !== null ? reading(row.raw) : row.low !== null && row.low !== row.high ? `${reading(row.low, 3)} to ${reading(row.high, 3)}` : "";
      const counted = row.n === null ? "" : `n ${row.n}`;
      item.append(swatch(row.run), name, element("span", "", reading(row.value)), element("span", "spread", [spread, counted].filter(Boolean).join(", ")));
      const tip = tipOf(row.run.id);
      if (tip) item.append(Object.assign(element("small", "tip", tip), { dir: "auto" }));
      list.append(item);
    }
    return list;
  }

  /** Right of the cursor where there is room, else left; under the plot where there is none on either side. @param {Drawing} plot */
  place({ u }) {
    if (!("over" in u)) return; // small charts of which none is shown
    const { left: x = 0, top: y = 0 } = u.cursor, card = this.card.getBoundingClientRect(), over = u.over.getBoundingClientRect(), box = this.box;
    const cursor = over.left - card.left + x, page = document.documentElement.clientWidth;
    const roomRight = page - card.left - cursor - AWAY - 8, roomLeft = card.left + cursor - AWAY - 8;
    const top = Math.max(0, over.top - card.top + Math.min(y, over.height - box.offsetHeight));
    const isBelow = Math.max(roomRight, roomLeft) < box.offsetWidth;
    const left = isBelow ? 8 : roomRight >= box.offsetWidth ? cursor + AWAY : cursor - AWAY - box.offsetWidth;
    box.style.left = `${Math.round(left)}px`;
    box.style.top = `${Math.round(isBelow ? card.height - 4 : top)}px`;
  }
}

/** @param {string} name @param {string} style @param {string} text */
function element(name, style, text) {
  const made = document.createElement(name);
  if (style) made.className = style;
  made.textContent = text;
  return made;
}
