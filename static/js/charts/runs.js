/* The list of runs beside the charts: eyes (a range of them with shift), the filter, the first of them, All, None. What points at a run here shows it in the charts. */

/** @typedef {import("./board.js").Board} Board */

/** @param {Board} board */
export function wireRuns(board) {
  const items = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(".runs [data-run]")]);
  for (const item of document.querySelectorAll("[data-run]")) point(/** @type {HTMLElement} */ (item), board);
  if (!items.length) return;
  const boxes = items.map((item) => /** @type {HTMLInputElement} */ (item.querySelector(".eye input")));
  const apply = () => {
    items.forEach((item, i) => item.classList.toggle("hidden", !boxes[i].checked));
    board.show(new Set(items.filter((_, i) => boxes[i].checked).map((item) => item.dataset.run ?? "")));
    const count = document.querySelector("[data-shown-count]");
    if (count) count.textContent = String(boxes.filter((box) => box.checked).length);
  };
  for (const box of boxes) {
    box.disabled = false;
    box.addEventListener("change", apply);
  }
  wireRange(items, boxes, apply);
  wireButtons(boxes, apply);
  wireFilter(items);
}

/**
 * Shift takes all the runs from the eye touched last to this one with it, those that the filter leaves out excepted.
 * @param {HTMLElement[]} items @param {HTMLInputElement[]} boxes @param {() => void} apply
 */
function wireRange(items, boxes, apply) {
  let anchor = 0;
  boxes.forEach((box, i) => box.closest(".eye")?.addEventListener("click", (event) => {
    const isShifted = /** @type {MouseEvent} */ (event).shiftKey, isOfBox = event.target === box;
    if (isShifted) {
      // Firefox does not pass a shifted click on from a label to its box, and others select the text between.
      if (!isOfBox) event.preventDefault();
      const isShown = isOfBox ? box.checked : !box.checked, [from, to] = [Math.min(anchor, i), Math.max(anchor, i)];
      boxes.forEach((other, at) => { if (at >= from && at <= to && !items[at].hidden) other.checked = isShown; });
      if (!isOfBox) apply();
    }
    anchor = i;
  }));
}

/** @param {HTMLElement} item @param {Board} board */
function point(item, board) {
  const isShown = () => !item.classList.contains("hidden");
  item.addEventListener("mouseenter", () => board.point(isShown() ? item.dataset.run ?? null : null));
  item.addEventListener("mouseleave", () => board.point(null));
  item.addEventListener("focusin", () => board.point(isShown() ? item.dataset.run ?? null : null));
  item.addEventListener("focusout", () => board.point(null));
}

/** @param {HTMLInputElement[]} boxes @param {() => void} apply */
function wireButtons(boxes, apply) {
  const set = document.querySelector("[data-run-buttons]");
  if (!(set instanceof HTMLElement)) return;
  set.hidden = false;
  set.addEventListener("click", (event) => {
    const which = /** @type {HTMLElement} */ (event.target).closest("button")?.dataset.show;
    if (!which) return;
    const first = leading(boxes, Number(set.querySelector("select")?.value));
    for (const box of boxes) box.checked = which === "all" || (which === "first" && first.has(box));
    apply();
  });
}

/** The first runs of the list, or those of the first groups where it has groups. @param {HTMLInputElement[]} boxes @param {number} count */
function leading(boxes, count) {
  const groups = [...new Set(boxes.map((box) => box.closest("li")?.dataset.member))].slice(0, count);
  return new Set(boxes.filter((box, i) => (box.closest("li")?.dataset.member ? groups.includes(box.closest("li")?.dataset.member) : i < count)));
}

/** @param {HTMLElement[]} items */
function wireFilter(items) {
  const label = document.querySelector("[data-run-find]"), box = label?.querySelector("input");
  if (!(label instanceof HTMLElement) || !box) return;
  label.hidden = items.length < 2;
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items) {
      const text = `${item.dataset.name} ${item.dataset.words}`.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
    }
    for (const head of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-group]"))) head.hidden = items.every((item) => item.hidden || item.dataset.member !== head.dataset.group);
  });
}
