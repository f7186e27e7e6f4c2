/* The axes as a list: from and to of each brush by keyboard, log, and for parallel coordinates what adds, moves and removes them. */

import { isLane, LANE, withAggregate } from "./axes.js";

/** @typedef {import("./desk.js").Desk} Desk */
/** @typedef {import("./axes.js").Scale} Scale */
/** @typedef {HTMLInputElement | HTMLSelectElement} Field */

export class AxisRows {
  /** @param {HTMLElement} host @param {Desk} desk */
  constructor(host, desk) {
    this.host = host;
    this.desk = desk;
    this.fields = /** @type {Map<string, {ends: Field[], log: HTMLInputElement, none: HTMLInputElement, clear: HTMLButtonElement}>} */ (new Map());
    const form = /** @type {HTMLFormElement} */ (desk.part("add-axis"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const [name, how] = ["name", "how"].map((one) => /** @type {HTMLSelectElement} */ (form.elements.namedItem(one)).value);
      this.add(withAggregate(name, how));
    });
    desk.part("clear-brushes").addEventListener("click", () => desk.clear());
  }

  /** @param {string} key */
  add(key) {
    const { desk } = this, { lanes } = desk.axes;
    if (!key || lanes.includes(key)) return;
    if (lanes.length >= desk.lanesMost) desk.say(`Parallel coordinates have ${desk.lanesMost} axes at most: remove one first.`);
    else if (!desk.keys.includes(key) && desk.keys.length >= desk.most) desk.say(`At most ${desk.most} axes are drawn at once: remove one first.`);
    else desk.arrange({ lanes: [...lanes, key] });
  }

  /** A row each axis, those of the parallel coordinates first and in their order. */
  build() {
    const { desk } = this, { lanes, x, y, colour } = desk.axes, focused = this.focused();
    this.fields.clear();
    const keys = [...new Set([...lanes, x, y, colour])].filter((key) => desk.scales.has(key));
    this.host.replaceChildren(...keys.map((key) => this.row(/** @type {Scale} */ (desk.scales.get(key)), lanes.indexOf(key))));
    if (focused) /** @type {HTMLElement | null} */ (this.host.querySelector(focused))?.focus();
    this.refresh();
  }

  /** What finds the focused button again once the list is made anew; a button that is gone gives its focus to its neighbour. */
  focused() {
    const at = document.activeElement;
    const { verb, key } = at instanceof HTMLElement && this.host.contains(at) ? at.dataset : {};
    if (!verb || !key) return "";
    return verb === "remove" ? "button" : `[data-verb="${verb}"][data-key="${CSS.escape(key)}"]`;
  }

  /** @param {Scale} scale @param {number} place its place among the parallel axes, -1 for none */
  row(scale, place) {
    const { key, name } = scale.axis, row = element("li", "axis-row"), title = element("span", "axis-name", this.desk.label(scale.axis));
    title.title = name;
    title.dir = "auto";
    const ends = ["from", "to"].map((end) => this.end(scale, end));
    const log = Object.assign(document.createElement("input"), { type: "checkbox", disabled: scale.isOrdinal });
    log.addEventListener("change", () => this.desk.setLog(key, log.checked));
    const label = element("label", "check");
    label.append(log, " log");
    const clear = this.button("clear", "Clear", `Clear the brush of ${name}`, key, () => this.desk.brush({ [key]: null }));
    const none = Object.assign(document.createElement("input"), { type: "checkbox" }), lane = element("label", "check");
    none.addEventListener("change", () => this.desk.brush({ [key]: none.checked ? LANE : null }));
    none.setAttribute("aria-label", `${name}: none`);
    lane.append(none, " none");
    lane.hidden = !scale.absence;
    this.fields.set(key, { ends, log, none, clear });
    row.append(title, ends[0], element("span", "muted", "to"), ends[1], lane, clear, label);
    if (place >= 0) row.append(this.verbs(key, name, place));
    return row;
  }

  /** @param {string} key @param {string} name @param {number} place */
  verbs(key, name, place) {
    const set = element("span", "btn-set"), { lanes } = this.desk.axes;
    const moved = (/** @type {number} */ by) => () => {
      const order = [...lanes];
      [order[place], order[place + by]] = [order[place + by], order[place]];
      this.desk.arrange({ lanes: order });
    };
    const left = this.button("left", "←", `Move ${name} to the left`, key, moved(-1)), right = this.button("right", "→", `Move ${name} to the right`, key, moved(1));
    left.disabled = place === 0;
    right.disabled = place === lanes.length - 1;
    set.append(left, right, this.button("remove", "×", `Remove ${name} from the parallel coordinates`, key, () => this.desk.arrange({ lanes: lanes.filter((one) => one !== key) })));
    return set;
  }

  /** @param {string} verb @param {string} text @param {string} label @param {string} key @param {() => void} act */
  button(verb, text, label, key, act) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "btn", textContent: text, title: label });
    button.setAttribute("aria-label", label);
    Object.assign(button.dataset, { verb, key });
    button.addEventListener("click", act);
    return button;
  }

  /** One end of a brush: a number, or one of the words. @param {Scale} scale @param {string} end @returns {Field} */
  end(scale, end) {
    const { name, words } = scale.axis;
    const field = scale.isOrdinal ? document.createElement("select") : Object.assign(document.createElement("input"), { type: "number", step: "any", placeholder: end });
    field.className = scale.isOrdinal ? "select" : "input";
    field.setAttribute("aria-label", `${name}: ${end}`);
    if (field instanceof HTMLSelectElement) field.append(new Option(end, ""), ...words.map((word, place) => new Option(word.slice(0, 60), String(place))));
    field.disabled = scale.isEmpty;
    field.addEventListener("change", () => this.typed(scale));
    return field;
  }

  /** A field was changed: an empty end is open. @param {Scale} scale */
  typed(scale) {
    const { key } = scale.axis, texts = (this.fields.get(key)?.ends ?? []).map((field) => field.value);
    if (texts.every((text) => text === "")) return this.desk.brush({ [key]: null });
    const open = scale.isOrdinal ? [0, scale.axis.words.length - 1] : [-Infinity, Infinity];
    const [from, to] = texts.map((text, n) => (text === "" ? open[n] : Number(text)));
    this.desk.brush({ [key]: from <= to ? [from, to] : [to, from] });
  }

  /** Bring fields in line with the brushes. */
  refresh() {
    for (const [key, { ends, log, none, clear }] of this.fields) {
      const range = this.desk.brushes.get(key);
      ends.forEach((field, n) => { if (field !== document.activeElement || !range) field.value = range && Number.isFinite(range[n]) ? String(range[n]) : ""; });
      log.checked = this.desk.logs.has(key);
      none.checked = isLane(range);
      clear.hidden = !range;
    }
    this.desk.part("clear-brushes").hidden = !this.desk.brushes.size;
  }
}

/** @param {string} tag @param {string} className @param {string} text */
function element(tag, className, text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}
