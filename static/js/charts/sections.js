/* Sections of charts: which are open is kept in the address; a section that comes without charts asks for them when it is opened. */

import { changed, remember } from "../frame/address.js";

/** @typedef {import("./board.js").Board} Board */

/** @param {Board} board */
export function wireSections(board) {
  const host = board.root, known = new WeakMap();
  const sections = () => /** @type {HTMLDetailsElement[]} */ ([...host.querySelectorAll("details[data-section]")]);
  const note = () => { for (const section of sections()) known.set(section, section.open); };
  let opening = "";
  note();
  host.addEventListener("toggle", (event) => {
    const section = /** @type {HTMLDetailsElement} */ (event.target);
    // A page that was just read says so of every section that is open in it.
    if (!(section instanceof HTMLDetailsElement) || known.get(section) === section.open) return;
    known.set(section, section.open);
    const state = stateOf(sections());
    remember(state);
    if (!section.open || !section.querySelector("[data-unloaded]")) return;
    opening = section.dataset.section ?? "";
    ask(changed(state).href, host);
  }, true);
  host.addEventListener("click", (event) => {
    if (!/** @type {HTMLElement} */ (event.target).closest("[data-unloaded] button")) return;
    event.preventDefault();
    ask(changed(stateOf(sections())).href, host);
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target !== host) return;
    board.adopt();
    note();
    if (opening) /** @type {HTMLElement | null} */ (host.querySelector(`[data-section="${CSS.escape(opening)}"] summary`))?.focus({ preventScroll: true });
    opening = "";
  });
}

/** @param {string} address @param {HTMLElement} host */
function ask(address, host) {
  htmx.ajax("GET", address, { target: host, swap: "innerHTML" });
}

/**
 * What the address says of sections: those whose state is not their own. Sections that the page does not show now keep what it said.
 * @param {HTMLDetailsElement[]} sections
 */
function stateOf(sections) {
  const said = new URLSearchParams(location.search), here = new Set(sections.map((section) => section.dataset.section));
  const list = (/** @type {string} */ name, /** @type {boolean} */ isOpen) => [
    ...said.getAll(name).filter((key) => !here.has(key)),
    ...sections.filter((section) => section.open === isOpen && (section.dataset.own === "open") !== isOpen).map((section) => section.dataset.section ?? ""),
  ];
  return { fold: list("fold", false), open: list("open", true) };
}
