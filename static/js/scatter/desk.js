/* The desk of scatter and parallel coordinates: its axes, brushes and colours, kept in the address; the page around it is told what fits. */

import { askInTurn } from "../frame/asking.js";
import { AGGREGATES, condition, fitting, keyOf, read, Scale, Shades, withAggregate, written } from "./axes.js";
import { AxisRows } from "./axis_rows.js";
import { remember } from "../frame/address.js";
import { reading } from "../frame/numbers.js";
import { onThemeChange, readTheme } from "../frame/theme.js";
import { Parallel } from "./parallel.js";
import { Scatter } from "./dots.js";

/** @typedef {import("./axes.js").Axis} Axis */
/** @typedef {import("./axes.js").Range} Range */
/** @typedef {{ids: string[], slugs: string[], names: string[], beyond: number, axes: Axis[], isStoreAway: boolean}} Data */
/** @typedef {{x: string, y: string, colour: string, lanes: string[]}} Axes */
/**
 * The page around the desk.
 * @typedef {{noun: string, query: () => URLSearchParams, loaded: (desk: Desk) => void, changed: (desk: Desk) => void, pointed: (row: number | null) => void, colour: (row: number) => string | null}} Page
 */

const ALL = { x: "sx", y: "sy", colour: "sc" };

export class Desk {
  /** @param {HTMLElement} root @param {Page} page */
  constructor(root, page) {
    this.root = root;
    this.page = page;
    const { x, y, colour, lanes, logs, most, lanesMost } = JSON.parse(root.dataset.setup ?? "{}");
    this.axes = /** @type {Axes} */ ({ x, y, colour, lanes });
    this.logs = new Set(/** @type {string[]} */ (logs));
    this.most = /** @type {number} */ (most);
    this.lanesMost = /** @type {number} */ (lanesMost);
    const query = new URLSearchParams(location.search);
    this.colouring = query.get("pcol") ?? (root.dataset.colouring || "own");
    this.wanted = query.getAll("br");
    this.brushes = /** @type {import("./axes.js").Brushes} */ (new Map());
    this.scales = /** @type {Map<string, Scale>} */ (new Map());
    this.data = /** @type {Data | null} */ (null);
    this.inside = new Uint8Array();
    this.hot = /** @type {number | null} */ (null);
    this.asking = /** @type {AbortController | null} */ (null);
    this.paint = readPaint(root);
    this.shades = this.laneShades = new Shades(null, this.palette, this.theme.muted);
    this.scatter = new Scatter(this.part("scatter"), this);
    this.parallel = new Parallel(this.part("parallel"), this);
    this.rows = new AxisRows(this.part("axis-rows"), this);
    this.listen();
  }

  /** @param {string} name @returns {HTMLElement} */
  part(name) {
    return /** @type {HTMLElement} */ (this.root.querySelector(`[data-${name}]`));
  }

  get theme() {
    return this.paint.theme;
  }

  /** The colour of brushes, and of what has no colour of its own. */
  get accent() {
    return this.paint.accent;
  }

  get palette() {
    return this.paint.palette;
  }

  get count() {
    return this.data?.slugs.length ?? 0;
  }

  /** @param {number} row */
  isIn(row) {
    return this.inside[row] === 1;
  }

  /** The colour of a dot. @param {number} row */
  colour(row) {
    return this.shades.scale ? this.shades.at(row) : this.page.colour(row) ?? this.accent;
  }

  /** The colour of a line. @param {number} row */
  laneColour(row) {
    return this.laneShades.scale ? this.laneShades.at(row) : this.page.colour(row) ?? this.accent;
  }

  /** @param {Axis} axis */
  label(axis) {
    return `${axis.name}${axis.how === "param" ? "" : `, ${axis.how}`}${this.scales.get(axis.key)?.isLog ? ", log" : ""}`;
  }

  get keys() {
    const { x, y, colour, lanes } = this.axes;
    return [...new Set([x, y, colour, ...lanes])].filter(Boolean);
  }

  /** Ask the server for the values of all axes; the last question asked is the one whose answer counts. */
  async load() {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    this.root.setAttribute("aria-busy", "true");
    try {
      const response = await askInTurn(this.address(), asking.signal);
      if (!response.headers.get("Content-Type")?.includes("json")) throw new Error(response.ok ? "You are signed out: load the page again." : `The server answered ${response.status}: load the page again.`);
      const answer = await response.json();
      if (!response.ok) throw new Error(answer.error.message);
      this.take(answer);
    } catch (error) {
      if (asking.signal.aborted) return;
      this.say(error instanceof TypeError ? "The server does not answer: is it running?" : /** @type {Error} */ (error).message);
    }
    this.root.removeAttribute("aria-busy");
  }

  /** @param {string | null} format */
  address(format = null) {
    const query = this.page.query();
    for (const key of this.keys) query.append("axis", key);
    if (format) query.set("format", format);
    return `${this.root.dataset.explore}?${query}`;
  }

  /** @param {Data} data */
  take(data) {
    const isFirst = !this.data;
    this.data = data;
    if (this.inside.length !== this.count) this.inside = new Uint8Array(this.count).fill(1);
    this.scale();
    if (isFirst) this.readBrushes();
    else for (const key of this.brushes.keys()) if (!this.scales.has(key)) this.brushes.delete(key);
    this.rows.build();
    if (isFirst) this.page.loaded(this);
    else this.apply();
    this.draw();
  }

  /** Scales and shades of the axes as they are looked at now. */
  scale() {
    this.scales = new Map((this.data?.axes ?? []).map((axis) => [axis.key, new Scale(axis, this.logs.has(axis.key))]));
    const last = this.axes.lanes[this.axes.lanes.length - 1] ?? "";
    this.shades = new Shades(this.scales.get(this.axes.colour) ?? null, this.palette, this.theme.muted);
    this.laneShades = new Shades(this.colouring === "last" ? this.scales.get(last) ?? null : null, this.palette, this.theme.muted);
  }

  readBrushes() {
    for (const text of this.wanted) {
      const scale = this.scales.get(keyOf(text)), range = scale ? read(scale, text) : null;
      if (range) this.brushes.set(keyOf(text), range);
    }
  }

  /** Set brushes, null to take one away. @param {Record<string, Range | null>} changes */
  brush(changes) {
    const before = [...this.brushes].join(";");
    for (const [key, range] of Object.entries(changes)) {
      if (range) this.brushes.set(key, range);
      else this.brushes.delete(key);
    }
    if (before === [...this.brushes].join(";")) return;
    this.apply();
    this.rows.refresh();
    this.draw();
  }

  clear() {
    this.brush(Object.fromEntries([...this.brushes.keys()].map((key) => [key, null])));
  }

  /** What fits the brushes is in, the page follows, and the address holds it. */
  apply() {
    this.inside = fitting(this.scales, this.brushes, this.count);
    this.keep();
    this.page.changed(this);
  }

  /** The page shows other rows than the brushes left. @param {(row: number) => boolean} isShown */
  follow(isShown) {
    this.inside = Uint8Array.from({ length: this.count }, (_, row) => Number(isShown(row)));
    this.draw();
  }

  keep() {
    const { x, y, colour, lanes } = this.axes;
    remember({
      sx: x || null, sy: y || null, sc: colour || null, pc: lanes, lg: [...this.logs].filter((key) => this.keys.includes(key)),
      br: [...this.brushes].flatMap(([key, range]) => { const scale = this.scales.get(key); return scale ? [written(scale, range)] : []; }),
      pcol: this.colouring === (this.root.dataset.colouring || "own") ? null : this.colouring,
    });
  }

  draw() {
    this.scatter.draw();
    this.parallel.draw();
    this.describe();
  }

  /** Say what is drawn, what is left out, and why. */
  describe() {
    const { data, count } = this;
    if (!data) return;
    const shown = this.inside.reduce((sum, one) => sum + one, 0), { noun } = this.page;
    const brushes = ["", "the brush", "both brushes"][this.brushes.size] ?? `all ${this.brushes.size} brushes`, [some, all] = [shown, count].map((number) => reading(number));
    const parts = [brushes ? `${some} of ${all} ${noun} fit ${brushes}.` : `${shown === count ? all : `${some} of ${all}`} ${noun} drawn.`];
    if (data.beyond) parts.push(`${reading(data.beyond)} more are not drawn: narrow the filter to see them.`);
    if (data.isStoreAway) parts.push("The metric store is away: metrics have no values until it is back.");
    this.say(parts.join(" "));
    this.part("absent").textContent = [...this.scales.values()].map((scale) => scale.absence).filter(Boolean).join(" ");
    const { x, y, colour, lanes } = this.axes, name = (/** @type {string} */ key) => { const axis = this.scales.get(key)?.axis; return axis ? this.label(axis) : key; };
    this.title("scatter", `${name(y)} over ${name(x)}${colour ? `, coloured by ${name(colour)}` : ""}`);
    this.title("parallel", lanes.map(name).join(" · "));
    for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (this.root.querySelectorAll("[data-file]"))) link.href = this.address(link.dataset.file);
  }

  /** @param {string} chart @param {string} text */
  title(chart, text) {
    const host = this.part(chart), how = host.closest("figure")?.querySelector(".how");
    if (how instanceof HTMLElement) how.textContent = how.title = text;
    host.setAttribute("role", "img");
    host.setAttribute("aria-label", `${chart === "scatter" ? "Scatter" : "Parallel coordinates"}: ${text}. ${this.part("said").textContent}`);
  }

  /** @param {string} text */
  say(text) {
    const said = this.part("said");
    if (said.textContent !== text) said.textContent = text;
  }

  /** Point at a row here: the page follows. @param {number | null} row */
  point(row) {
    if (row === this.hot) return;
    this.heat(row);
    this.page.pointed(row);
  }

  /** The page points at a row. @param {number | null} row */
  heat(row) {
    if (row === this.hot) return;
    this.hot = row;
    this.scatter.follow();
    this.parallel.follow();
    const said = this.part("hot"), { x, y, colour } = this.axes;
    const values = row === null ? [] : [...new Set([x, y, colour])].flatMap((key) => { const scale = this.scales.get(key); return scale ? [`${this.label(scale.axis)}: ${scale.text(scale.axis.values[row])}`] : []; });
    said.textContent = row === null ? "" : [this.data?.names[row], ...values].join(" · ");
    said.title = said.textContent;
  }

  /** The brushes as one filter, and why some of them cannot be in it. */
  filter() {
    const found = [...this.brushes].flatMap(([key, range]) => { const scale = this.scales.get(key); return scale ? [condition(scale, range)] : []; });
    return { terms: found.map((one) => one.terms).filter(Boolean).join(" and "), troubles: found.map((one) => one.trouble).filter(Boolean) };
  }

  // What a person changes

  /** Other axes: what is not known yet is asked of the server. @param {Partial<Axes>} changes */
  arrange(changes) {
    this.axes = { ...this.axes, ...changes };
    for (const key of this.brushes.keys()) if (!this.keys.includes(key)) this.brushes.delete(key);
    if (this.keys.every((key) => this.scales.has(key))) {
      this.scale();
      this.rows.build();
      this.apply();
      this.draw();
    } else {
      this.keep();
      this.load();
    }
  }

  /** @param {string} key @param {boolean} isLog */
  setLog(key, isLog) {
    if (isLog) this.logs.add(key);
    else this.logs.delete(key);
    this.scale();
    this.rows.refresh();
    this.keep();
    this.draw();
    this.showChoosers();
  }

  listen() {
    const form = /** @type {HTMLFormElement} */ (this.part("axes-form"));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", (event) => this.chose(form, /** @type {HTMLInputElement} */ (event.target)));
    this.showChoosers();
    const colouring = /** @type {HTMLSelectElement} */ (this.root.querySelector("[data-lane-colour]"));
    colouring.value = this.colouring === "last" ? "last" : "own";
    colouring.addEventListener("change", () => { this.colouring = colouring.value; this.scale(); this.keep(); this.draw(); });
    for (const button of this.root.querySelectorAll("[data-png]")) {
      const chart = /** @type {HTMLElement} */ (button).dataset.png === "scatter" ? this.scatter : this.parallel;
      button.addEventListener("click", () => chart.layers.save(this.theme.surface, chart === this.scatter ? "scatter" : "parallel-coordinates"));
    }
    document.addEventListener("keydown", (event) => {
      const at = document.activeElement ?? document.body, isElsewhere = !this.root.contains(at) && !at.contains(this.root);
      if (event.key === "Escape" && !isElsewhere && !event.defaultPrevented) this.clear();
    });
    onThemeChange(() => { this.paint = readPaint(this.root); this.scale(); this.draw(); });
  }

  /** A chooser was changed. @param {HTMLFormElement} form @param {HTMLInputElement} field */
  chose(form, field) {
    for (const [axis, name] of /** @type {[keyof typeof ALL, string][]} */ (Object.entries(ALL))) {
      if (field.name === "lg" && field.dataset.of === name) { this.setLog(this.axes[axis], field.checked); return; }
      if (field.name !== name && field.name !== `${name}how`) continue;
      const [chosen, how] = [name, `${name}how`].map((one) => /** @type {HTMLSelectElement} */ (form.elements.namedItem(one)).value);
      this.arrange({ [axis]: withAggregate(chosen, how) });
      this.showChoosers();
    }
  }

  /** Bring the choosers in line with the axes. */
  showChoosers() {
    const form = /** @type {HTMLFormElement} */ (this.part("axes-form"));
    for (const [axis, name] of /** @type {[keyof typeof ALL, string][]} */ (Object.entries(ALL))) {
      const select = /** @type {HTMLSelectElement} */ (form.elements.namedItem(name)), how = /** @type {HTMLSelectElement} */ (form.elements.namedItem(`${name}how`));
      const [kind, own] = parted(this.axes[axis]);
      if (own && ![...select.options].some((option) => option.value === own)) select.append(new Option(own.slice(own.indexOf(":") + 1).slice(0, 60), own));
      select.value = own;
      select.title = select.selectedOptions[0]?.title ?? "";
      how.value = AGGREGATES.includes(kind) ? kind : "";
      how.hidden = !own || kind === "param";
      const log = form.querySelector(`[data-of="${name}"]`);
      if (log instanceof HTMLInputElement) [log.checked, log.disabled] = [this.logs.has(this.axes[axis]), !this.axes[axis]];
    }
  }
}

/** The kind of an axis, and the key by which the menus list it. @param {string} key */
function parted(key) {
  const at = key.indexOf(":"), kind = key.slice(0, at);
  return !key ? ["", ""] : [kind, kind === "param" ? key : `metric:${key.slice(at + 1)}`];
}

/** The stylesheet's colours as a canvas takes them. @param {HTMLElement} root */
function readPaint(root) {
  const probe = root.appendChild(document.createElement("i"));
  probe.hidden = true;
  const colour = (/** @type {string} */ token) => { probe.style.color = `var(--${token})`; return getComputedStyle(probe).color; };
  const paint = { theme: readTheme(root), accent: colour("accent"), palette: Array.from({ length: 10 }, (_, i) => colour(`c${i + 1}`)) };
  probe.remove();
  return paint;
}
