/* The view lives in the address, so that a link holds it. Forms and links of the page carry on what scripts changed there. */

/** @typedef {Record<string, string | string[] | null>} Changes */

// Browsers refuse an address that changes too often, as it would under a slider.
const PAUSE_MS = 200;
let waiting = /** @type {Changes} */ ({}), free = 0, timer = 0;

/**
 * Set names of the query; null or an empty list takes a name away. The order of the others stays.
 * @param {Changes} changes
 */
export function remember(changes) {
  Object.assign(waiting, changes);
  clearTimeout(timer);
  if (performance.now() >= free) write();
  else timer = setTimeout(write, free - performance.now());
}

function write() {
  const address = changed(waiting);
  [waiting, free] = [{}, performance.now() + PAUSE_MS];
  if (address.href !== location.href) history.replaceState(history.state, "", address);
  carry();
}

/** The present address with some names of its query set. @param {Changes} changes */
export function changed(changes) {
  const address = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    address.searchParams.delete(name);
    for (const one of value === null ? [] : [value].flat()) address.searchParams.append(name, one);
  }
  return address;
}

/** Bring the hidden inputs of forms in line with the address. `data-carries` names what the form itself sets. */
function carry() {
  for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form[data-carries]"))) {
    const own = form.dataset.carries ?? "";
    for (const input of form.querySelectorAll('input[type="hidden"]')) input.remove();
    for (const [name, value] of new URLSearchParams(location.search)) {
      if (own.includes(` ${name} `)) continue;
      form.prepend(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    }
  }
}

/* Links that set one name, like the pin of a baseline, keep the rest as it is now and not as the page was made. */
document.addEventListener("click", (event) => {
  if (Object.keys(waiting).length) write();
  const link = /** @type {HTMLElement} */ (event.target).closest("a[data-set]");
  if (!(link instanceof HTMLAnchorElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
  link.href = changed({ [link.dataset.set ?? ""]: link.dataset.value ?? null }).href;
});
document.addEventListener("htmx:afterSettle", carry);
