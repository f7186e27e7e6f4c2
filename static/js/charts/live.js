/* Runs that go on: what is new in the charts that can be seen is asked for in one request, and merged into what they have. Nobody looks, nobody asks. */

const TICK_MS = 3000, SLOWEST_MS = 60_000, UNMARKED_MS = 30_000, ADDRESS_MOST = 48_000;

/** @typedef {import("./board.js").Board} Board */
/** @typedef {import("./card.js").Card} Card */
/** @typedef {import("./plot.js").Answer & {frame?: string, marks?: Record<string, string>}} LiveAnswer */
/** @typedef {{experiment: string, mark: string, name?: string, slug?: string, x?: number[], avg?: (number | null)[], min?: (number | null)[], max?: (number | null)[],
 *   nonfinite?: number, nonfinite_at?: number, nonfinite_words?: string[] | null, repeated_steps?: number}} SeriesNews */
/** @typedef {{chart: number, anew?: boolean, added?: number, series?: SeriesNews[]}} News */

/**
 * An answer with what is new in it: the last buckets of some series, as they are now. Equal to what the server would answer anew on the same grid.
 * @param {LiveAnswer} answer with `frame` @param {SeriesNews[]} told @param {{added: number, order: string[]}} how `order`: ids of the runs
 * @returns {LiveAnswer}
 */
export function merged(answer, told, { added, order }) {
  const [kind, ...numbers] = /** @type {string} */ (answer.frame).split("."), [first, width] = numbers.map(Number), unit = kind === "step" ? 1 : 1e6;
  const bucket = (/** @type {number} */ x) => Math.floor((Math.round(x * unit) - first) / width);
  const places = new Map(answer.x.map((x) => [bucket(x), x])), known = new Map([...places.keys()].map((at, i) => [at, i]));
  for (const { x = [] } of told) for (const place of x) places.set(bucket(place), Math.min(place, places.get(bucket(place)) ?? Infinity));
  const buckets = [...places.keys()].sort((one, other) => one - other), index = new Map(buckets.map((at, i) => [at, i]));
  const from = buckets.map((at) => known.get(at) ?? -1);
  const wide = (/** @type {(number | null)[]} */ values) => (buckets.length === answer.x.length ? values : from.map((i) => (i < 0 ? null : values[i])));
  const series = new Map(answer.series.map((one) => [one.experiment, { ...one, avg: wide(one.avg), min: wide(one.min), max: wide(one.max) }]));
  for (const one of told) if (one.x) series.set(one.experiment, grown(series.get(one.experiment), one, one.x.map((x) => /** @type {number} */ (index.get(bucket(x)))), buckets.length));
  return {
    ...answer, x: buckets.map((at) => /** @type {number} */ (places.get(at))), count: answer.count + added,
    series: [...series.values()].sort((one, other) => order.indexOf(one.experiment) - order.indexOf(other.experiment)),
    marks: { ...answer.marks, ...Object.fromEntries(told.map((one) => [one.experiment, one.mark])) },
  };
}

/**
 * One series with its last buckets.
 * @param {import("./plot.js").Series | undefined} before @param {SeriesNews} told @param {number[]} at where its buckets lie @param {number} length
 */
function grown(before, told, at, length) {
  const { experiment, name, slug, avg = [] } = told, nothing = () => new Array(length).fill(null);
  const after = before ? { ...before } : { experiment, name, slug, avg: nothing(), min: nothing(), max: nothing(), nonfinite: 0, nonfinite_at: null, nonfinite_words: [], repeated_steps: 0 };
  for (const [key, values] of /** @type {["avg" | "min" | "max", (number | null)[]][]} */ ([["avg", avg], ["min", told.min ?? avg], ["max", told.max ?? avg]])) {
    after[key] = after[key].slice();
    at.forEach((place, i) => { after[key][place] = values[i]; });
  }
  if (told.nonfinite_at !== undefined) Object.assign(after, { nonfinite: told.nonfinite, nonfinite_at: told.nonfinite_at, nonfinite_words: told.nonfinite_words });
  if (told.repeated_steps) after.repeated_steps = told.repeated_steps;
  return after;
}

/** The mark of a chart as the server reads it. @param {Card} card @param {string[]} running */
function markOf(card, running) {
  const { frame, marks = {} } = /** @type {LiveAnswer} */ (card.answer);
  return `${frame}:${running.map((id) => marks[id] ?? "").join("_")}:${card.metric}`;
}

/** Pieces of a list whose texts are not too long together. @template T @param {T[]} list @param {(one: T) => string} text @param {number} most */
function pieces(list, text, most) {
  const made = [/** @type {T[]} */ ([])];
  let size = 0;
  for (const one of list) {
    size += encodeURIComponent(text(one)).length + 6;
    if (size > most && made[made.length - 1].length) {
      made.push([]);
      size = 0;
    }
    made[made.length - 1].push(one);
  }
  return made;
}

class Live {
  /** @param {Board | null} board null where no run has a point yet @param {string} source the address that is asked @param {string[]} running ids */
  constructor(board, source, running) {
    this.board = board;
    this.source = source;
    this.running = running;
    this.timer = 0;
    this.pause = TICK_MS;
    this.isAsking = false;
    /** @type {Map<Card, {answer: object | null, seen: string, at: number}>} */
    this.had = new Map();
    this.seen = "";
    document.addEventListener("visibilitychange", () => this.plan(0));
    this.plan(TICK_MS);
  }

  /** @param {number} after ms; nothing happens while the page is hidden or no run goes on */
  plan(after) {
    clearTimeout(this.timer);
    if (document.visibilityState !== "hidden" && this.running.length && !this.isAsking) this.timer = setTimeout(() => this.tick(), after);
  }

  async tick() {
    this.isAsking = true;
    try {
      await this.ask();
      this.pause = TICK_MS;
    } catch (error) {
      this.pause = Math.min(SLOWEST_MS, this.pause * 2);
      if (!(error instanceof TypeError)) throw error;
    } finally {
      this.isAsking = false;
      this.plan(this.pause);
    }
  }

  /** The charts that can be seen and have been answered. @returns {Card[]} */
  cards() {
    return (this.board?.cards ?? []).filter((card) => card.isNear && card.answer && !card.isStale && !card.figure.classList.contains("is-loading"));
  }

  async ask() {
    const cards = this.cards(), marked = cards.filter((card) => /** @type {LiveAnswer} */ (card.answer).frame);
    if (this.board && !cards.length) return;
    const running = [...this.running], words = new Set(cards.map((card) => this.lastSeen(card)));
    const seen = this.board ? (words.size === 1 ? [...words][0] : "") : this.seen;
    for (const some of pieces(marked, (card) => markOf(card, running), ADDRESS_MOST)) {
      const answers = some.map((card) => card.answer), query = new URLSearchParams({ experiments: running.join(",") });
      if (seen) query.set("seen", seen);
      for (const card of some) query.append("mark", markOf(card, running));
      const response = await fetch(`${this.source}?${query}`, { credentials: "same-origin", headers: { Accept: "application/json" } });
      if (response.status === 204) continue;
      if (!response.ok) {
        this.refused(response.status, some);
        return;
      }
      this.take(await response.json(), some, answers, cards);
    }
  }

  /** @param {Card} card the word under which its answer was last brought up to date */
  lastSeen(card) {
    const had = this.had.get(card);
    return had && (had.answer === card.answer || !(/** @type {LiveAnswer} */ (card.answer).frame)) ? had.seen : "";
  }

  /** Signed out: rest. Marks that are not understood: begin anew. Else the server is away: later. @param {number} status @param {Card[]} cards */
  refused(status, cards) {
    if (status === 401 || status === 403 || status === 404) this.running = [];
    else if (status === 422) for (const card of cards) card.expire();
    else throw new TypeError(`The server answered ${status}.`);
  }

  /** @param {{seen: string, ended: string[], charts: News[]}} told @param {Card[]} asked @param {(object | null)[]} answers what they had when asked @param {Card[]} all */
  take(told, asked, answers, all) {
    if (!this.board) {
      if (this.seen && told.seen !== this.seen) location.reload(); // a first point needs a card that this page does not have
      this.seen = told.seen;
    }
    const news = new Map(told.charts.map((one) => [one.chart, one]));
    asked.forEach((card, n) => { if (card.answer === answers[n]) this.bring(card, news.get(n), told.seen); });
    for (const card of all) if (!(/** @type {LiveAnswer} */ (card.answer).frame)) this.renew(card, told.seen);
    this.end(told.ended);
  }

  /** What is new, into one chart. @param {Card} card @param {News | undefined} news @param {string} seen */
  bring(card, news, seen) {
    if (news?.anew) {
      card.expire();
      return;
    }
    if (news?.series) {
      const order = /** @type {Board} */ (this.board).runs.map((run) => run.id), isDrawn = news.series.some((one) => one.x);
      card.answer = merged(/** @type {LiveAnswer} */ (card.answer), news.series, { added: news.added ?? 0, order });
      if (isDrawn) card.redraw();
    }
    this.had.set(card, { answer: card.answer, seen, at: performance.now() });
  }

  /** A chart whose news cannot be told is asked anew where points came: an empty one at once, the others now and then. @param {Card} card @param {string} seen */
  renew(card, seen) {
    const had = this.had.get(card);
    if (!had || (had.seen !== seen && (!card.answer?.series.length || performance.now() - had.at > UNMARKED_MS))) {
      card.expire();
      this.had.set(card, { answer: card.answer, seen, at: performance.now() });
    }
  }

  /** These runs get no more points. @param {string[]} ended */
  end(ended) {
    this.running = this.running.filter((id) => !ended.includes(id));
    for (const id of ended) document.querySelector(`[data-run="${CSS.escape(id)}"]`)?.removeAttribute("data-running");
    const asks = marker();
    if (ended.length && asks) htmx.trigger(asks, "resumed");
  }
}

/** Whether a run of the page goes on. */
export function hasRunning() {
  return document.querySelector("[data-run][data-running]") !== null;
}

/** @param {Board | null} board null where the page has no chart yet */
export function followLive(board) {
  const running = [...document.querySelectorAll("[data-run][data-running]")].map((item) => /** @type {HTMLElement} */ (item).dataset.run ?? "");
  const source = board ? board.source.replace("/compare/", "/live/") : /** @type {HTMLElement | null} */ (document.querySelector("[data-waits]"))?.dataset.waits;
  let live = running.length && source ? new Live(board, source, running) : null;
  followPage(board, live);
  followComparison(board, (ids) => {
    const begun = ids.filter((id) => !live?.running.includes(id));
    if (!begun.length || !source) return;
    for (const id of begun) document.querySelector(`[data-run="${CSS.escape(id)}"]`)?.setAttribute("data-running", "");
    live ??= new Live(board, source, []);
    live.running.push(...begun);
    live.plan(TICK_MS);
    board?.refresh();
  });
}

/** What asks for the numbers of a comparison while runs of it go on. */
const marker = () => document.getElementById("compare-live");

/**
 * The list and the tables of a comparison came back: what runs now (one that ended is told by its charts, which wait for late points), and a metric that has no chart yet.
 * @param {Board | null} board @param {(running: string[]) => void} follow */
function followComparison(board, follow) {
  let known = { ...marker()?.dataset };
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    if (detail.elt === marker()) detail.path = location.pathname + location.search;
  });
  document.addEventListener("htmx:afterSettle", () => {
    const { metrics, running = "" } = marker()?.dataset ?? {};
    if (!marker() || (metrics === known.metrics && running === known.running)) return;
    if (running !== known.running) follow(running.split(" ").filter(Boolean));
    if (metrics !== known.metrics && board) htmx.ajax("GET", location.href, { target: board.root, swap: "innerHTML" });
    if (marker()?.matches("[data-finder]")) document.querySelector(".finder")?.removeAttribute("hidden");
    known = { metrics, running };
  });
}

/** The live part of an experiment's page came back: a first point or a new metric needs a card that this page does not have. @param {Board | null} board @param {Live | null} live */
function followPage(board, live) {
  const state = () => {
    const { version, metrics } = document.getElementById("live")?.dataset ?? {};
    return { version, metrics };
  };
  let known = state();
  document.addEventListener("htmx:afterSettle", () => {
    const now = state();
    if (now.version === known.version) return;
    if (now.metrics !== known.metrics) location.reload();
    else if (!live) board?.refresh();
    known = now;
  });
}
