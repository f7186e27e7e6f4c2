/* The charts of a page: one view, one cursor, one highlighted run for all of them. */

import { remember } from "../frame/address.js";
import { Card } from "./card.js";
import { wireExport } from "./export.js";
import { readGroups, rememberGrouping, wireGroups } from "./grouping.js";
import { inGroups } from "./groups.js";
import { wireChartKeys } from "./keys.js";
import { followLive } from "./live.js";
import { wireRuns } from "./runs.js";
import { wireSections } from "./sections.js";
import { onThemeChange, readRunStyle, readTheme } from "../frame/theme.js";
import { wireTips } from "./tips.js";
import { wireToolbar } from "./toolbar.js";
import { wireXMetric } from "./crossing.js";

/** @typedef {import("./plot.js").Run} Run */
/** @typedef {import("./plot.js").Spot} Spot */
/** @typedef {import("./plot.js").View} View */

/** @param {HTMLElement} root @returns {View} the view that the server wrote into the page */
function readView(root) {
  const { x = "step", xMetric = "", log, clip, smooth, from, to } = root.dataset;
  return { x, xMetric, isLog: log === "1", isClipped: clip === "1", smoothing: Number(smooth) || 0, zoom: from && to ? [Number(from), Number(to)] : null };
}

/** The runs that the page lists, the baseline last so that it is drawn over the others. @returns {Run[]} */
function readRuns() {
  const runs = [...document.querySelectorAll("[data-run]")].map((item) => {
    const { run = "", slug = "", name = "" } = /** @type {HTMLElement} */ (item).dataset;
    return { id: run, slug, name, style: readRunStyle(/** @type {Element} */ (item.querySelector(".swatch"))), isHidden: item.classList.contains("hidden") };
  });
  return runs.sort(baselineLast);
}

/** What is painted last lies over the others. @param {Run} one @param {Run} other */
const baselineLast = (one, other) => Number(one.style.isBase) - Number(other.style.isBase);

export class Board {
  /** The page's board, for what stands beside its charts; null where there are none. @type {Board | null} */
  static made = null;

  /** Told of the run that is pointed at. @type {((id: string | null) => void)[]} */
  pointers = [];

  /** @param {HTMLElement} root the element that holds the cards */
  constructor(root) {
    Board.made = this;
    this.root = root;
    this.source = root.dataset.charts ?? "";
    this.view = readView(root);
    this.theme = readTheme(root);
    this.runs = readRuns();
    this.groups = readGroups();
    this.grouping = /** @type {{as: string, centre: import("./groups.js").Centre, band: import("./groups.js").Band}} */ (
      { as: root.dataset.as ?? "colour", centre: root.dataset.centre ?? "mean", band: root.dataset.band ?? "sd" });
    this.hot = /** @type {string | null} */ (null);
    /** @type {[Card, Spot | null] | null} */
    this.last = null;
    /** @type {((board: Board) => void)[]} */
    this.watchers = [];
    /** @type {(() => void)[]} called when other runs are shown */
    this.shownWatchers = [];
    this.cards = /** @type {Card[]} */ ([]);
    this.adopt();
  }

  /** Take over the charts that the page has now. A metric that it had before keeps its chart as it is drawn. */
  adopt() {
    const known = new Map(this.cards.map((card) => [card.metric, card]));
    this.cards = /** @type {HTMLElement[]} */ ([...this.root.querySelectorAll("[data-metric]")]).map((figure) => {
      const card = known.get(figure.dataset.metric ?? "");
      if (!card) return this.begin(figure);
      known.delete(card.metric);
      if (card.figure !== figure) figure.replaceWith(card.figure);
      return card;
    });
    for (const card of known.values()) card.dismiss();
  }

  /** @param {HTMLElement} figure */
  begin(figure) {
    const card = new Card(figure, this);
    wireExport(card);
    return card;
  }

  /** Change how all charts are looked at. Another x or range is asked of the server, the rest drawn at once. @param {Partial<View>} changes */
  look(changes) {
    const before = this.view;
    this.view = { ...before, ...changes };
    const isOtherX = this.view.x !== before.x || (this.view.x === "metric" && this.view.xMetric !== before.xMetric);
    if (isOtherX) this.view.zoom = null;
    const { x, xMetric, isLog, isClipped, smoothing, zoom } = this.view;
    remember({
      x: x === "step" ? null : x, x_metric: x === "metric" ? xMetric : null, log: isLog ? "1" : null, clip: isClipped ? "1" : null, smooth: smoothing ? String(smoothing) : null,
      from: zoom ? String(zoom[0]) : null, to: zoom ? String(zoom[1]) : null,
    });
    const isOtherRange = isOtherX || String(zoom) !== String(before.zoom);
    for (const card of this.cards) {
      if (!isOtherX) card.redraw();
      if (isOtherRange) card.expire();
    }
    for (const watcher of this.watchers) watcher(this);
  }

  /** What a chart draws of an answer: the runs, or the groups that they are in. @param {import("./plot.js").Answer} answer */
  arranged(answer) {
    if (!this.groups.length) return { answer, runs: this.runs };
    const made = inGroups(answer, this.runs, this.groups, { ...this.grouping, smoothing: this.view.smoothing, isLog: this.view.isLog });
    return this.grouping.as === "charts" ? made : { ...made, runs: made.runs.sort(baselineLast) };
  }

  /** Change the centre or the band of groups. @param {Partial<Board["grouping"]>} changes */
  gather(changes) {
    this.grouping = { ...this.grouping, ...changes };
    rememberGrouping(this.grouping);
    for (const card of this.cards) card.redraw();
  }

  /** @param {[number, number] | null} range */
  zoom(range) {
    if (String(range) !== String(this.view.zoom)) this.look({ zoom: range });
  }

  /** The cursor moved in one chart: the others follow. @param {Card} card @param {Spot | null} at */
  moved(card, at) {
    this.last = [card, at];
    for (const other of this.cards) {
      if (other === card) continue;
      other.tooltip.hide();
      other.plot?.follow(at ? at.x : null);
    }
    card.tell(at);
  }

  /** Bring one run to the front in every chart and list; null for none. @param {string | null} id */
  point(id) {
    id = this.groups.find((group) => id !== null && group.members.includes(id))?.id ?? id;
    if (id === this.hot) return;
    this.hot = id;
    for (const card of this.cards) card.plot?.highlight(id);
    for (const item of document.querySelectorAll("[data-run], [data-group]")) {
      const { run, group, member } = /** @type {HTMLElement} */ (item).dataset;
      item.classList.toggle("hot", id !== null && [run, group, member].includes(id));
    }
    if (this.last?.[1]) this.last[0].tell(this.last[1]);
    for (const pointer of this.pointers) pointer(id);
  }

  /** Show these runs and hide the others. @param {Set<string>} shown ids */
  show(shown) {
    this.runs = this.runs.map((run) => ({ ...run, isHidden: !shown.has(run.id) }));
    remember({ hide: this.runs.filter((run) => run.isHidden).map((run) => run.slug) });
    for (const card of this.cards) card.redraw();
    for (const watcher of this.watchers) watcher(this);
    for (const watcher of this.shownWatchers) watcher();
  }

  /** New points came: every chart asks again, those out of sight when they come near. */
  refresh() {
    for (const card of this.cards) card.expire();
  }

  /** The page turned light or dark. */
  recolour() {
    const styles = new Map(readRuns().map((run) => [run.id, run.style]));
    this.theme = readTheme(this.root);
    this.runs = this.runs.map((run) => ({ ...run, style: styles.get(run.id) ?? run.style }));
    this.groups = readGroups();
    for (const card of this.cards) card.redraw();
  }

  /** A copy of the swatch that the page's list has for a run or a group. @param {Run} run */
  swatch(run) {
    return /** @type {Element} */ (document.querySelector(`[data-run="${CSS.escape(run.id)}"] .swatch, [data-group="${CSS.escape(run.id)}"] .swatch`)?.cloneNode(true));
  }
}

const root = document.querySelector("[data-charts]");
if (root instanceof HTMLElement) {
  if (typeof uPlot === "undefined") {
    for (const host of root.querySelectorAll(".canvas")) host.textContent = "The chart library is not installed: run make run again, or npm install, and start the server anew.";
  } else {
    const board = new Board(root);
    wireToolbar(board);
    wireXMetric(board);
    wireSections(board);
    wireTips();
    wireRuns(board);
    wireGroups(board);
    followLive(board);
    wireChartKeys(board);
    onThemeChange(() => board.recolour());
  }
} else {
  followLive(null);
  wireChartKeys(null);
}
