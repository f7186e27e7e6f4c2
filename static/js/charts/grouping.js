/* Groups on the page: their eyes, their count, the toolbar that makes them, and what the run list is sorted by. */

import { remember } from "../frame/address.js";
import { readRunStyle } from "../frame/theme.js";

const PAUSE_MS = 300;
// What goes without saying stays out of the address.
const PLAIN = /** @type {Record<string, string | undefined>} */ ({ as: "colour", centre: "mean", band: "sd" });

/** @typedef {import("./board.js").Board} Board */
/** @typedef {import("./groups.js").Group} Group */

/** The groups that the page lists. @returns {Group[]} */
export function readGroups() {
  return [...document.querySelectorAll("[data-group]")].map((item) => {
    const { group = "", name = "" } = /** @type {HTMLElement} */ (item).dataset;
    const members = membersOf(group).map((member) => member.dataset.run ?? "");
    return { id: group, name, style: readRunStyle(/** @type {Element} */ (item.querySelector(".swatch"))), members };
  });
}

/** @param {string} group @returns {HTMLElement[]} */
const membersOf = (group) => [...document.querySelectorAll(`[data-member="${CSS.escape(group)}"]`)].map((item) => /** @type {HTMLElement} */ (item));

/** @param {Board} board */
export function wireGroups(board) {
  for (const head of document.querySelectorAll("[data-group]")) wireHead(/** @type {HTMLElement} */ (head), board);
  for (const form of document.querySelectorAll("[data-group-toolbar], [data-order]")) wireForm(/** @type {HTMLFormElement} */ (form), board);
  let timer = 0;
  board.watchers.push(() => {
    for (const head of document.querySelectorAll("[data-group]")) count(/** @type {HTMLElement} */ (head));
  });
  board.shownWatchers.push(() => {
    clearTimeout(timer);
    timer = setTimeout(sumUp, PAUSE_MS);
  });
  for (const head of document.querySelectorAll("[data-group]")) count(/** @type {HTMLElement} */ (head));
}

/** The table of groups counts what is shown: the server makes it anew. */
function sumUp() {
  if (document.getElementById("arms")) htmx.ajax("GET", location.href, { target: "#arms", swap: "outerHTML" });
}

/** @param {HTMLElement} head @param {Board} board */
function wireHead(head, board) {
  const box = /** @type {HTMLInputElement} */ (head.querySelector(".eye input")), id = head.dataset.group ?? "";
  box.disabled = false;
  box.addEventListener("change", () => {
    const boxes = membersOf(id).map((member) => /** @type {HTMLInputElement} */ (member.querySelector(".eye input")));
    for (const each of boxes) each.checked = box.checked;
    boxes[0]?.dispatchEvent(new Event("change"));
  });
  head.addEventListener("mouseenter", () => board.point(box.checked ? id : null));
  head.addEventListener("mouseleave", () => board.point(null));
  head.addEventListener("focusin", () => board.point(box.checked ? id : null));
  head.addEventListener("focusout", () => board.point(null));
}

/** Its eye is half open where some of its runs are hidden. @param {HTMLElement} head */
function count(head) {
  const members = membersOf(head.dataset.group ?? ""), shown = members.filter((member) => !member.classList.contains("hidden")).length;
  const box = /** @type {HTMLInputElement} */ (head.querySelector(".eye input")), said = head.querySelector("[data-group-count]");
  box.checked = shown > 0;
  box.indeterminate = shown > 0 && shown < members.length;
  head.classList.toggle("hidden", shown === 0);
  if (said) said.textContent = shown === members.length ? String(shown) : `${shown} of ${members.length}`;
}

/** Centre and band are drawn at once, the rest is asked of the server. @param {HTMLFormElement} form @param {Board} board */
function wireForm(form, board) {
  form.addEventListener("change", (event) => {
    const { name, value } = /** @type {HTMLSelectElement} */ (event.target);
    if (name === "centre" || name === "band") board.gather({ [name]: value });
    else form.requestSubmit();
  });
  form.addEventListener("formdata", ({ formData }) => {
    if (form.matches("[data-group-toolbar]")) formData.set("as", formData.getAll("as").pop() ?? board.grouping.as); // the button's word comes last
    for (const name of new Set(formData.keys())) {
      const said = formData.getAll(name).filter((value) => value !== "" && value !== PLAIN[name]);
      formData.delete(name);
      for (const value of said) formData.append(name, value);
    }
  });
}

/** Keep in the address how groups are drawn. @param {{centre: string, band: string}} how */
export const rememberGrouping = ({ centre, band }) => remember({ centre: centre === PLAIN.centre ? null : centre, band: band === PLAIN.band ? null : band });
