/* One chart of a page: asks the server once it is near the window, says what it draws, and what went wrong. */

import { crossingText, xWhere } from "./crossing.js";
import { Facets } from "./facets.js";
import { described, said } from "./groups.js";
import { hasRunning } from "./live.js";
import { askInTurn } from "../frame/asking.js";
import { span, step, zone } from "../frame/numbers.js";
import { oddText } from "./odd.js";
import { breadth, Plot, xText } from "./plot.js";
import { Tooltip } from "./tooltip.js";

const NEAR = "400px", FEW_RUNS = 20, BUCKETS_FEW = 1000, BUCKETS_MANY = 500, KEPT_DRAWN = 60;
const X_NAMES = /** @type {Record<string, string | undefined>} */ ({ step: "step", relative: "time since the start", time: "wall time" });

/** @typedef {import("./board.js").Board} Board */
/** @typedef {Plot | Facets} Drawing what a card shows: to it, small charts are a plot like any other */

export class Card {
  /** @param {HTMLElement} figure @param {Board} board */
  constructor(figure, board) {
    this.figure = figure;
    this.board = board;
    this.metric = figure.dataset.metric ?? "";
    this.direction = figure.dataset.direction ?? "";
    this.host = /** @type {HTMLElement} */ (figure.querySelector(".canvas"));
    this.how = /** @type {HTMLElement} */ (figure.querySelector(".how"));
    this.odd = /** @type {Element | null} */ (null);
    this.plot = /** @type {Drawing | null} */ (null);
    this.answer = /** @type {import("./plot.js").Answer | null} */ (null);
    this.asking = /** @type {AbortController | null} */ (null);
    this.isNear = false;
    this.isStale = true;
    this.isOld = false;
    this.tooltip = new Tooltip(figure);
    this.listen();
  }

  listen() {
    this.watch = new IntersectionObserver((entries) => this.approached(entries[entries.length - 1].isIntersecting), { rootMargin: NEAR });
    this.watch.observe(this.figure);
    this.figure.addEventListener("keydown", (event) => this.key(event));
    this.figure.addEventListener("blur", () => this.leave());
  }

  /** @param {boolean} isNear */
  approached(isNear) {
    this.isNear = isNear;
    if (!isNear) {
      this.rest();
      return;
    }
    if (this.isStale) this.load();
    if (this.isOld) this.draw();
  }

  /** Out of sight it asks for nothing. A page with many charts lets go of its canvas, which is drawn again from the same answer. */
  rest() {
    if (this.figure.classList.contains("is-loading")) {
      this.asking?.abort();
      this.isStale = true;
      this.wait(false);
    }
    if (!this.plot || this.board.cards.length <= KEPT_DRAWN) return;
    this.clear();
    this.isOld = true;
  }

  /** It is no longer in the page. */
  dismiss() {
    this.watch?.disconnect();
    this.asking?.abort();
    this.clear();
  }

  /** The server must be asked again: now if anyone can see it, else when it comes near. */
  expire() {
    this.isStale = true;
    if (this.isNear) this.load();
  }

  /** Ask the server. The last question asked is the one whose answer counts. */
  async load() {
    this.isStale = false;
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    this.wait(true);
    try {
      const response = await askInTurn(this.address(), asking.signal);
      if (!response.ok) throw new Error(await reason(response));
      this.answer = await response.json();
      this.draw();
    } catch (error) {
      if (asking.signal.aborted) return;
      this.fail(error instanceof TypeError ? "The server does not answer." : /** @type {Error} */ (error).message);
    }
    if (this.asking === asking) this.wait(false);
  }

  address() {
    const { runs, view, source } = this.board;
    const query = new URLSearchParams({ metric: this.metric, experiments: runs.map((run) => run.id).join(","), x: view.x });
    if (view.x === "metric") query.set("x_metric", view.xMetric);
    query.set("max_points", String(runs.length <= FEW_RUNS ? BUCKETS_FEW : BUCKETS_MANY));
    if (hasRunning()) query.set("live", "1");
    if (view.zoom) {
      query.set("from", String(view.zoom[0]));
      query.set("to", String(view.zoom[1]));
    }
    return `${source}?${query}`;
  }

  /** The view changed: draw now if anyone can see it, else when it comes near. */
  redraw() {
    this.isOld = true;
    if (this.isNear) this.draw();
  }

  /** Draw what the server answered, in the board's view. */
  draw() {
    this.isOld = false;
    if (!this.answer) return;
    const { view, theme } = this.board, { answer, runs } = this.board.arranged(this.answer);
    if (!this.answer.series.length) {
      this.empty(view.zoom ? "No point in this range." : "None of these runs has a point of this metric.");
      return;
    }
    if (!this.answer.x.length && view.x === "metric" && !view.zoom) {
      this.empty(`No step of these runs has both ${this.metric} and ${view.xMetric}.`);
      return;
    }
    if (runs.every((run) => run.isHidden)) {
      this.empty("Every run is hidden: open an eye in the list.");
      return;
    }
    if (this.plot) this.plot.update({ answer, runs, view, theme });
    else {
      this.host.replaceChildren();
      /** @type {import("./plot.js").Listener} */
      const listener = { moved: (_plot, at) => this.board.moved(this, at), pointed: (id) => this.board.point(id), zoomed: (range) => this.board.zoom(range) };
      const isFaceted = this.board.groups.length && this.board.grouping.as === "charts";
      this.plot = isFaceted ? new Facets(this.host, { answer, runs, view, theme }, listener, (run) => this.board.swatch(run)) : new Plot(this.host, theme, runs, answer, view, listener);
    }
    this.describe();
  }

  /** Say in the head what the lines are, and to those who do not see it what the chart shows. */
  describe() {
    const { view } = this.board, answer = /** @type {import("./plot.js").Answer} */ (this.answer), lines = this.plot?.lines ?? [];
    const shown = lines.filter((line) => line.unsmoothed.length);
    const hasSpread = shown.some((line) => line.low), leftOut = shown.reduce((sum, line) => sum + line.leftOut, 0);
    const { groups, grouping } = this.board, isGrouped = groups.length > 0;
    const parts = [
      isGrouped ? described(grouping) : "", isGrouped ? said(shown.map((line) => line.n ?? [])) : "",
      view.isLog ? "log" : "", view.isClipped ? "outliers clipped" : "", view.smoothing ? `smoothed ${view.smoothing.toFixed(2)}${isGrouped ? "" : " over raw"}` : "", this.buckets(answer, hasSpread && !isGrouped), this.direction,
      this.repeats(answer), leftOut ? `${leftOut} ${this.isThinned(answer, hasSpread) ? "bucket" : "value"}${leftOut === 1 ? "" : "s"} ≤ 0 left out` : "",
    ];
    const odd = oddText(shown, answer.x, view);
    this.how.textContent = parts.filter(Boolean).join(", ");
    this.how.title = this.how.textContent;
    this.warn(odd);
    const word = isGrouped ? "group" : "run", many = shown.length === 1 ? `one ${word}` : `${shown.length} ${word}s`;
    this.host.setAttribute("role", "img");
    this.host.setAttribute("aria-label", [`${this.metric} by ${X_NAMES[view.x] ?? view.xMetric}, ${many}`, this.how.textContent, odd].filter(Boolean).join(", "));
  }

  /** @param {import("./plot.js").Answer} answer @param {boolean} hasSpread */
  buckets(answer, hasSpread) {
    const { view } = this.board;
    if (view.x === "metric") return crossingText(answer, view, hasSpread);
    if (!this.isThinned(answer, hasSpread)) return "";
    return `buckets of ${view.x === "step" ? step(answer.width) : span(answer.width)}${hasSpread ? " with their range" : ""}`;
  }

  /** How many steps of the runs that can be seen hold several values. @param {import("./plot.js").Answer} answer */
  repeats(answer) {
    const hidden = new Set(this.board.runs.filter((run) => run.isHidden).map((run) => run.id));
    const count = answer.series.reduce((sum, series) => sum + (hidden.has(series.experiment) ? 0 : series.repeated_steps ?? 0), 0);
    return count ? `latest of several values at ${step(count)} step${count === 1 ? "" : "s"}` : "";
  }

  /** Whether one place of the answer stands for several points. @param {import("./plot.js").Answer} answer @param {boolean} hasSpread */
  isThinned(answer, hasSpread) {
    return this.board.view.x === "step" ? answer.width > 1 : hasSpread;
  }

  /** @param {string} text */
  warn(text) {
    this.odd ??= this.how.insertAdjacentElement("afterend", Object.assign(document.createElement("span"), { className: "odd" }));
    if (this.odd) Object.assign(this.odd, { textContent: text, title: text });
  }

  /** A sentence where the plot would be. @param {string} text */
  empty(text) {
    this.clear();
    this.how.textContent = this.how.title = "";
    this.host.removeAttribute("role"); // an image would hide the sentence and its button
    this.host.removeAttribute("aria-label");
    this.host.replaceChildren(Object.assign(document.createElement("p"), { className: "chart-note", textContent: text }));
  }

  /** What went wrong, and a way to try again. @param {string} text */
  fail(text) {
    const again = Object.assign(document.createElement("button"), { type: "button", className: "btn", textContent: "Try again" });
    again.addEventListener("click", () => this.load());
    this.empty(text);
    /** @type {HTMLElement} */ (this.host.firstElementChild).setAttribute("role", "alert");
    this.host.firstElementChild?.append(again);
  }

  clear() {
    this.plot?.destroy();
    this.plot = null;
    this.tooltip.hide();
    this.warn("");
  }

  /** The stylesheet shows it only once it lasts. @param {boolean} isWaiting */
  wait(isWaiting) {
    this.figure.classList.toggle("is-loading", isWaiting);
    this.figure.setAttribute("aria-busy", String(isWaiting));
  }

  /** The cursor is over this chart, or moves in it by keys. @param {import("./plot.js").Spot | null} at */
  tell(at) {
    if (!at || !this.plot) {
      this.tooltip.hide();
      return;
    }
    const { view } = this.board;
    const where = view.x === "metric" ? xWhere(view, at.x) : view.x === "step" ? `step ${step(at.x)}` : `${xText(at.x, view.x, breadth(this.plot.u))}${view.x === "time" ? ` ${zone(at.x)}` : ""}`;
    this.tooltip.show(this.plot, where, (run) => this.board.swatch(run), this.board.hot);
  }

  /** Arrows move the cursor, Escape takes it away, and the zoom with it. @param {KeyboardEvent} event */
  key(event) {
    if (event.target !== this.figure || !this.plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (by !== undefined) {
      event.preventDefault();
      this.board.moved(this, this.plot.shift(event.shiftKey ? by * 10 : by));
    } else if (event.key === "Escape") {
      if ((this.plot.u.cursor.left ?? -1) >= 0) this.leave();
      else this.board.zoom(null);
    }
  }

  leave() {
    if (!this.plot || this.plot.isHovered) return;
    this.plot.follow(null);
    this.board.moved(this, null);
  }
}

/** What an error says, in a sentence. @param {Response} response */
async function reason(response) {
  if (response.status === 401 || response.status === 403) return "You are signed out: load the page again.";
  try {
    return (await response.json()).error.message;
  } catch {
    return `The server answered ${response.status}.`;
  }
}
