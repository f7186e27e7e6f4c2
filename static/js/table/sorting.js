"use strict";
/* Shift-click on the head of a column sorts by it as well; without this script "then by" does, where the columns are arranged. */
document.addEventListener("click", (event) => {
  const link = /** @type {Element} */ (event.target).closest("a[data-also]");
  if (!(link instanceof HTMLAnchorElement) || !event.shiftKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  htmx.ajax("GET", link.dataset.also ?? "", { source: link.closest("#table"), target: "#table", swap: "outerHTML" });
}, true);

/* A filter that is typed is one entry of the history, whatever was asked for on the way; what leads to the same address is none. */
let isTyped = false;
document.addEventListener("htmx:beforeHistoryUpdate", ({ detail }) => {
  const wasTyped = isTyped;
  isTyped = detail.requestConfig.triggeringEvent?.type === "input";
  if ((isTyped && wasTyped) || new URL(detail.history.path, location.href).href === location.href) detail.history.type = "replace";
});

/* The filter is asked for while it is typed: leaving its box, perhaps for a link of the table, asks no second time. */
document.addEventListener("change", (event) => {
  if (/** @type {Element} */ (event.target).id === "filter-text") event.stopPropagation();
}, true);
