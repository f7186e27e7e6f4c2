"use strict";
/* Small behaviour of every page. Each part works on marks in the HTML, and every page works without it. */

/* "/" goes to the search box, unless something is being typed, or keys of one letter are turned off (frame/keys.js). */
document.addEventListener("keydown", (event) => {
  const typing = /** @type {Element} */ (event.target).closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || localStorage.getItem("keys") === "off" || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = /** @type {HTMLInputElement | null} */ (document.querySelector("[data-slash]"));
  if (box) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

/** Buttons that copy: data-copy names the element whose text is meant. @param {HTMLElement} button */
async function copy(button) {
  const source = /** @type {HTMLElement} */ (document.getElementById(button.dataset.copy ?? ""));
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection()?.selectAllChildren(source);
    button.textContent = "Ctrl C";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

const openMenus = () => /** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll("details.menu[open]"));

document.addEventListener("click", (event) => {
  const target = /** @type {Element} */ (event.target), button = /** @type {HTMLElement | null} */ (target.closest("[data-copy]"));
  if (button) copy(button);
  for (const menu of openMenus()) {
    if (!menu.contains(target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of openMenus()) {
    menu.open = false;
    menu.querySelector("summary")?.focus();
  }
});

/* Choosing experiments for the comparison. What was chosen stays chosen when the table is filtered, sorted or turned over. */
const chosen = /** @type {Set<string>} */ (new Set());
const boxes = () => /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll('input[name="e"][form="compare"]:not([type="hidden"])')]);

/** @param {HTMLInputElement} box */
function remember(box) {
  if (box.checked) chosen.add(box.value);
  else chosen.delete(box.value);
}

/** @param {HTMLElement} form @param {Set<string>} seen */
function keepUnseen(form, seen) {
  form.replaceChildren(...[...chosen].filter((slug) => !seen.has(slug)).map((slug) => {
    const kept = document.createElement("input");
    Object.assign(kept, { type: "hidden", name: "e", value: slug });
    return kept;
  }));
}

function showChosen() {
  const form = document.getElementById("compare");
  if (!form) return;
  const rows = boxes();
  for (const box of rows) {
    box.checked = chosen.has(box.value);
    box.closest("tr")?.classList.toggle("selected", box.checked);
  }
  keepUnseen(form, new Set(rows.map((box) => box.value)));
  const button = /** @type {HTMLButtonElement} */ (document.querySelector("[data-compare]"));
  button.disabled = chosen.size < 2;
  button.textContent = chosen.size ? `Compare ${chosen.size}` : "Compare";
  button.title = chosen.size < 2 ? "Tick two experiments or more" : "";
  const all = /** @type {HTMLInputElement | null} */ (document.querySelector("[data-select-all]"));
  if (!all) return;
  const ticked = rows.filter((box) => box.checked).length;
  all.hidden = false;
  all.checked = rows.length > 0 && ticked === rows.length;
  all.indeterminate = ticked > 0 && ticked < rows.length;
}

document.addEventListener("change", (event) => {
  const target = /** @type {HTMLInputElement} */ (event.target);
  if (target.matches("[data-select-all]")) {
    for (const box of boxes()) {
      box.checked = target.checked;
      remember(box);
    }
    showChosen();
  } else if (target.matches('input[name="e"][form="compare"]')) {
    remember(target);
    showChosen();
  }
});

/* HTMX. Empty fields stay out of the address; what polls rests while nobody looks, and catches up at once. */
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb !== "get") return;
  for (const [name, value] of [...event.detail.parameters.entries()]) {
    if (value === "") event.detail.parameters.delete(name);
  }
});

/** Whether it is about what polls. @param {Event} event */
const isPolling = ({ target }) => /** @type {Element} */ (target).matches("[data-live]");

document.addEventListener("htmx:beforeRequest", (event) => {
  if (!isPolling(event)) return;
  const isChoosing = event.detail.target.contains(document.activeElement) && document.activeElement?.matches("select");
  if (document.hidden || isChoosing) event.preventDefault();
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  for (const live of document.querySelectorAll("[data-live]")) htmx.trigger(live, "resumed");
});

/* A table that is swapped, out of band too, keeps its place: how far it was scrolled, and what in it had the focus. */
const places = /** @type {Map<string, {scrolled: [number, number][], focus: string}>} */ (new Map());

/** @param {Element} target @param {boolean} isLive */
function leave(target, isLive) {
  const focused = target.contains(document.activeElement) ? document.activeElement : null;
  const href = focused?.getAttribute("href"), value = focused instanceof HTMLInputElement ? focused.value : "";
  places.set(target.id, {
    scrolled: [...target.querySelectorAll(".table-wrap")].map(({ scrollLeft, scrollTop }) => [scrollLeft, isLive ? scrollTop : 0]),
    focus: typeof href === "string" ? `a[href="${CSS.escape(href)}"]` : value && `input[value="${CSS.escape(value)}"]`,
  });
}

/** @param {Element} target */
function comeBack({ id }) {
  const place = places.get(id), target = document.getElementById(id);
  places.delete(id);
  if (!place || !target) return;
  target.querySelectorAll(".table-wrap").forEach((table, i) => table.scrollTo(...(place.scrolled[i] ?? [0, 0])));
  if (place.focus) /** @type {HTMLElement | null} */ (target.querySelector(place.focus))?.focus({ preventScroll: true });
}

document.addEventListener("htmx:beforeSwap", ({ detail }) => leave(detail.target, detail.requestConfig.elt.matches("[data-live]")));
document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => leave(detail.target, true));
for (const name of /** @type {const} */ (["htmx:afterSwap", "htmx:oobAfterSwap"])) document.addEventListener(name, ({ detail }) => comeBack(detail.target));

/** A refused or failed request says so, instead of nothing. @param {string} text */
function complain(text) {
  document.getElementById("went-wrong")?.remove();
  const banner = document.createElement("div");
  banner.id = "went-wrong";
  banner.className = "banner error";
  banner.setAttribute("role", "alert");
  banner.textContent = text;
  document.getElementById("main")?.prepend(banner);
}

document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if (isPolling(event) && status !== 401) return;
  complain(status === 401 || status === 403 ? "This is not yours to do, or you are signed out: load the page again." : `The server answered ${status}: load the page again.`);
});
document.addEventListener("htmx:sendError", (event) => {
  if (!isPolling(event)) complain("The server does not answer: is it running?");
});

/* What scrolls can be scrolled by keys: where nothing in it takes the focus, it takes it itself. */
const FOCUSABLE = "a[href], button, input:not([type='hidden']), select, textarea, summary, [tabindex]";

function openToKeys() {
  for (const scroller of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".table-wrap, .prose-box, pre, .pointed"))) {
    const scrolls = scroller.scrollWidth > scroller.clientWidth || scroller.scrollHeight > scroller.clientHeight;
    if (scrolls && !scroller.querySelector(FOCUSABLE)) scroller.tabIndex = 0;
  }
}

addEventListener("resize", openToKeys);

function settle() {
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-copy]"))) button.hidden = false;
  showChosen();
  openToKeys();
}

document.addEventListener("htmx:afterSettle", settle);
addEventListener("pageshow", () => {
  for (const box of boxes()) remember(box);
  settle();
});
