"use strict";
/* Small behaviour of every page. Each part works on marks in the HTML, and every page works without it. */

/* "/" goes to the search box, unless something is being typed, or keys of one letter are turned off (frame/keys.js). */
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || localStorage.getItem("keys") === "off" || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = document.querySelector("[data-slash]");
  if (box) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

/* Buttons that copy: data-copy names the element whose text is meant. */
async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source);
    button.textContent = "Ctrl C";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

/* Choosing experiments for the comparison. What was chosen stays chosen when the table is filtered, sorted or turned over. */
const chosen = new Set();
const boxes = () => [...document.querySelectorAll('input[name="e"][form="compare"]:not([type="hidden"])')];

function remember(box) {
  if (box.checked) chosen.add(box.value);
  else chosen.delete(box.value);
}

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
    box.closest("tr").classList.toggle("selected", box.checked);
  }
  keepUnseen(form, new Set(rows.map((box) => box.value)));
  const button = document.querySelector("[data-compare]");
  button.disabled = chosen.size < 2;
  button.textContent = chosen.size ? `Compare ${chosen.size}` : "Compare";
  button.title = chosen.size < 2 ? "Tick two experiments or more" : "";
  const all = document.querySelector("[data-select-all]");
  if (!all) return;
  const ticked = rows.filter((box) => box.checked).length;
  all.hidden = false;
  all.checked = rows.length > 0 && ticked === rows.length;
  all.indeterminate = ticked > 0 && ticked < rows.length;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-select-all]")) {
    for (const box of boxes()) {
      box.checked = event.target.checked;
      remember(box);
    }
    showChosen();
  } else if (event.target.matches('input[name="e"][form="compare"]')) {
    remember(event.target);
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

document.addEventListener("htmx:beforeRequest", (event) => {
  if (!event.target.matches("[data-live]")) return;
  const isChoosing = event.detail.target.contains(document.activeElement) && document.activeElement.matches("select");
  if (document.hidden || isChoosing) event.preventDefault();
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  for (const live of document.querySelectorAll("[data-live]")) window.htmx.trigger(live, "resumed");
});

/* A table that is swapped, out of band too, keeps its place: how far it was scrolled, and what in it had the focus. */
const places = new Map();

function leave(target, isLive) {
  const focused = target.contains(document.activeElement) ? document.activeElement : null;
  places.set(target.id, {
    scrolled: [...target.querySelectorAll(".table-wrap")].map(({ scrollLeft, scrollTop }) => [scrollLeft, isLive ? scrollTop : 0]),
    focus: focused && (focused.href ? `a[href="${CSS.escape(focused.getAttribute("href"))}"]` : focused.value && `input[value="${CSS.escape(focused.value)}"]`),
  });
}

function comeBack({ id }) {
  const place = places.get(id), target = document.getElementById(id);
  places.delete(id);
  if (!place || !target) return;
  target.querySelectorAll(".table-wrap").forEach((table, i) => table.scrollTo(...(place.scrolled[i] ?? [0, 0])));
  if (place.focus) target.querySelector(place.focus)?.focus({ preventScroll: true });
}

document.addEventListener("htmx:beforeSwap", ({ detail }) => leave(detail.target, detail.requestConfig.elt.matches("[data-live]")));
document.addEventListener("htmx:oobBeforeSwap", ({ detail }) => leave(detail.target, true));
for (const name of ["htmx:afterSwap", "htmx:oobAfterSwap"]) document.addEventListener(name, ({ detail }) => comeBack(detail.target));

/* A refused or failed request says so, instead of nothing. */
function complain(text) {
  document.getElementById("went-wrong")?.remove();
  const banner = document.createElement("div");
  banner.id = "went-wrong";
  banner.className = "banner error";
  banner.setAttribute("role", "alert");
  banner.textContent = text;
  document.getElementById("main").prepend(banner);
}

document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  if (event.target.matches("[data-live]") && status !== 401) return;
  complain(status === 401 || status === 403 ? "This is not yours to do, or you are signed out: load the page again." : `The server answered ${status}: load the page again.`);
});
document.addEventListener("htmx:sendError", (event) => {
  if (!event.target.matches("[data-live]")) complain("The server does not answer: is it running?");
});

/* What scrolls can be scrolled by keys: where nothing in it takes the focus, it takes it itself. */
const FOCUSABLE = "a[href], button, input:not([type='hidden']), select, textarea, summary, [tabindex]";

function openToKeys() {
  for (const scroller of document.querySelectorAll(".table-wrap, .prose-box, pre, .pointed")) {
    const scrolls = scroller.scrollWidth > scroller.clientWidth || scroller.scrollHeight > scroller.clientHeight;
    if (scrolls && !scroller.querySelector(FOCUSABLE)) scroller.tabIndex = 0;
  }
}

addEventListener("resize", openToKeys);

function settle() {
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  showChosen();
  openToKeys();
}

document.addEventListener("htmx:afterSettle", settle);
addEventListener("pageshow", () => {
  for (const box of boxes()) remember(box);
  settle();
});
