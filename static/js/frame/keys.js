/* Keys of one letter, and the sheet that says which there are on this page: opened by ? or by its button, turned off by the box in it. */

const OFF = "keys";

/**
 * One key. `there` is whether it works on this page just now; a key without an element to work on is neither listed nor taken. What the browser does by
 * itself has no `act`: it is only listed.
 * @typedef {{key: string, says: string, there: () => unknown, act?: (event: KeyboardEvent) => void}} Shortcut
 */

/** @type {Shortcut[]} */
const shortcuts = [];

/** Add keys to this page. @param {Shortcut[]} more */
export function offer(more) {
  shortcuts.push(...more);
}

/** @param {string} selector @returns {HTMLElement | null} the first that can be seen */
export function seen(selector) {
  return /** @type {HTMLElement[]} */ ([...document.querySelectorAll(selector)]).find((element) => element.checkVisibility()) ?? null;
}

/** Whether a press belongs to what has the focus: to text that is typed, or to a choice that letters change. @param {EventTarget | null} target */
function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio", "range", "button", "submit"].includes(target.type);
  return target.closest("textarea, select, [contenteditable]") !== null;
}

export const isOff = () => localStorage.getItem(OFF) === "off";

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isOff() || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  const found = shortcuts.find((each) => each.key === event.key && each.act && each.there());
  if (!found?.act) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  found.act(event);
}

/** Go through elements: the next after the one that has the focus, or the first that can be seen. @param {string} selector @param {number} by @param {(item: HTMLElement) => HTMLElement | null} focus */
export function walk(selector, by, focus = (item) => item) {
  const items = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(selector)]).filter((item) => item.checkVisibility());
  const now = items.findIndex((item) => item.contains(document.activeElement));
  const next = items[now < 0 ? (by > 0 ? 0 : items.length - 1) : Math.max(0, Math.min(items.length - 1, now + by))];
  const target = next ? focus(next) : null;
  target?.focus();
  target?.scrollIntoView({ block: "nearest" });
}

// The sheet ---------------------------------------------------------------------------------------------------------------------------------------

/** @template {keyof HTMLElementTagNameMap} N @param {N} name @param {Partial<HTMLElementTagNameMap[N]>} fields @param {(Node | string)[]} inside @returns {HTMLElementTagNameMap[N]} */
function made(name, fields = {}, inside = []) {
  const element = Object.assign(document.createElement(name), fields);
  element.append(...inside);
  return element;
}

function listed() {
  const byText = new Map();
  for (const { key, says, there } of shortcuts) if (there()) byText.set(says, [...(byText.get(says) ?? []), key]);
  const rows = [...byText].flatMap(([says, keys]) => [made("dt", {}, keys.map((/** @type {string} */ key) => made("kbd", { textContent: key === " " ? "space" : key }))), made("dd", { textContent: says })]);
  return made("dl", { className: "keys" }, rows);
}

function openSheet() {
  const box = made("input", { type: "checkbox", checked: !isOff() }), close = made("button", { className: "btn", type: "button", textContent: "Close" });
  const title = made("h2", { id: "keys-title", textContent: "Keys" });
  const sheet = made("dialog", { className: "sheet" }, [made("header", {}, [title, close]), listed(), made("label", { className: "check" }, [box, " Keys of one letter work"])]);
  sheet.setAttribute("aria-labelledby", title.id);
  box.addEventListener("change", () => {
    if (box.checked) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "off");
    showHints();
  });
  close.addEventListener("click", () => sheet.close());
  sheet.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });
  sheet.addEventListener("close", () => sheet.remove());
  document.body.append(sheet);
  sheet.showModal();
}

/** The search box of the page's head says "/" only where "/" leads there. */
function showHints() {
  const hint = document.querySelector(".search kbd");
  if (hint instanceof HTMLElement) hint.hidden = isOff() || shortcuts.some((each) => each.key === "/" && each.there());
}

/** Listen, and show the sheet's button. To be called once a page, after its keys were offered. */
export function wireKeys() {
  offer([{ key: "?", says: "this sheet", there: () => true, act: openSheet }]);
  document.addEventListener("keydown", pressed, true);
  const button = made("button", { type: "button", className: "btn plain keys-button", title: "Keys of this page (?)" }, ["Keys ", made("kbd", { textContent: "?" })]);
  button.addEventListener("click", openSheet);
  document.querySelector(".crumbs")?.append(button);
  showHints();
}
