/* Scatter and parallel coordinates over a project's experiments: a brush becomes a filter of the table, and a comparison of what fits. */

import { Desk } from "./desk.js";

const COMPARED = 100, NAMED = 20, LONGEST = 2000;

/** @param {HTMLElement} root */
function begin(root) {
  const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (document.querySelector(`[data-${name}]`));
  const { table = "", compare = "", experiment = "" } = root.dataset, asked = new URLSearchParams(root.dataset.filter);

  /** @param {string} text @param {HTMLElement} link @param {string | null} address */
  const offer = (text, link, address) => {
    link.textContent = text;
    link.hidden = address === null;
    link.setAttribute("href", address ?? "");
  };

  /** The filter of the page with the brushes' terms. @param {Desk} desk */
  const filter = (desk) => {
    const { terms, troubles } = desk.filter(), words = asked.get("q") ?? "", isFilter = root.dataset.isFilter === "1";
    const whole = !words || !isFilter ? terms : `${/\bor\b/i.test(words) ? `(${words})` : words}${terms ? ` and ${terms}` : ""}`;
    if (words && !isFilter && terms) troubles.push(`These conditions take the place of the words “${words}”: the filter has either.`);
    if (whole.length > LONGEST) troubles.push(`These conditions have ${whole.length} characters and a filter ${LONGEST} at most: brush fewer values.`);
    return { whole, troubles, isUsable: terms !== "" && whole.length <= LONGEST };
  };

  /** @param {Desk} desk */
  const changed = (desk) => {
    const { whole, troubles, isUsable } = filter(desk), fits = (desk.data?.slugs ?? []).flatMap((_, row) => (desk.isIn(row) ? [row] : []));
    part("terms").textContent = desk.brushes.size ? whole : "";
    part("troubles").textContent = troubles.join(" ");
    const query = new URLSearchParams(asked);
    query.set("q", whole);
    offer("Apply to the table", part("apply"), isUsable ? `${table}?${query}` : null);
    const first = fits.slice(0, COMPARED).map((row) => ["e", desk.data?.slugs[row] ?? ""]);
    offer(fits.length > COMPARED ? `Compare the first ${COMPARED}` : `Compare these ${fits.length}`, part("compare-first"), first.length > 1 ? `${compare}?${new URLSearchParams(first)}` : null);
    part("first").replaceChildren(...fits.slice(0, NAMED).map((row) => named(desk, row)));
    part("further").textContent = fits.length > NAMED ? `and ${fits.length - NAMED} more` : fits.length ? "" : "None fits.";
  };

  /** @param {Desk} desk @param {number} row */
  const named = (desk, row) => {
    const item = document.createElement("li"), name = desk.data?.names[row] ?? "";
    const link = Object.assign(document.createElement("a"), { textContent: name, title: name, dir: "auto", href: experiment.replace("SLUG", encodeURIComponent(desk.data?.slugs[row] ?? "")) });
    for (const event of ["mouseenter", "focus"]) link.addEventListener(event, () => desk.heat(row));
    for (const event of ["mouseleave", "blur"]) link.addEventListener(event, () => desk.heat(null));
    item.dataset.row = String(row);
    item.append(link);
    return item;
  };

  new Desk(root, {
    noun: "experiments",
    query: () => new URLSearchParams(asked),
    loaded: (desk) => desk.apply(),
    changed,
    pointed: (row) => { for (const item of part("first").children) item.classList.toggle("hot", /** @type {HTMLElement} */ (item).dataset.row === String(row)); },
    colour: () => null,
  }).load();
}

const root = document.querySelector("[data-explore]");
if (root instanceof HTMLElement) begin(root);
