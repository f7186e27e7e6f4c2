/* Params beside a run's name in the tooltip: which, and what they are. Both come with the page. */

import { remember } from "../frame/address.js";

const NONE = "."; // an address that says nothing would mean the usual

let known = /** @type {{names: string[], runs: Record<string, string[]>}} */ ({ names: [], runs: {} });
let chosen = /** @type {string[]} */ ([]);

/** The chosen params of a run in a line; "" where none is chosen. @param {string} id */
export function tipOf(id) {
  const values = known.runs[id];
  if (!values) return "";
  return chosen.map((name) => `${name} ${values[known.names.indexOf(name)]}`).join(" · ");
}

export function wireTips() {
  const list = document.querySelector("[data-tips]"), form = document.querySelector("[data-tips-form]");
  if (!(list instanceof HTMLElement) || !(form instanceof HTMLFormElement)) return;
  known = JSON.parse(list.dataset.tips ?? "");
  const read = () => /** @type {HTMLInputElement[]} */ ([...form.querySelectorAll("input:checked")]).map((box) => box.value);
  chosen = read();
  form.addEventListener("change", () => {
    chosen = read();
    remember({ tip: chosen.length ? chosen : NONE });
    const said = document.querySelector("[data-tips-said]");
    if (said) said.textContent = chosen.join(", ") || "names alone";
  });
}
