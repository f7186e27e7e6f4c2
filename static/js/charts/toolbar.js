/* The toolbar over the charts: does at once what its form would ask the server for. */

/** @typedef {import("./board.js").Board} Board */

/** @param {Board} board */
export function wireToolbar(board) {
  const form = document.querySelector("[data-chart-toolbar]");
  if (!(form instanceof HTMLFormElement)) return;
  const slider = /** @type {HTMLInputElement} */ (form.elements.namedItem("smooth"));
  const reset = /** @type {HTMLElement} */ (form.querySelector("[data-zoom-reset]"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = event.submitter; // null where Enter sent it
    if (!(button instanceof HTMLButtonElement)) return;
    board.look(button.name === "x" ? { x: button.value } : { isLog: button.value === "1" });
  });
  const clip = /** @type {HTMLInputElement} */ (form.elements.namedItem("clip"));
  clip.addEventListener("change", () => board.look({ isClipped: clip.checked }));
  let frame = 0;
  slider.addEventListener("input", () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => board.look({ smoothing: Number(slider.value) }));
  });
  reset.addEventListener("click", () => board.zoom(null));
  board.watchers.push(() => show(form, board, reset));
  show(form, board, reset);
  wireCopy();
}

/** Bring the toolbar in line with the view. @param {HTMLFormElement} form @param {Board} board @param {HTMLElement} reset */
function show(form, board, reset) {
  const { x, isLog, smoothing, zoom } = board.view;
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (form.querySelectorAll("button[aria-pressed]"))) {
    button.setAttribute("aria-pressed", String(button.name === "x" ? button.value === x : (button.value === "1") === isLog));
  }
  /** @type {HTMLOutputElement} */ (form.querySelector("output")).value = smoothing ? smoothing.toFixed(2) : "off";
  reset.hidden = !zoom;
}

function wireCopy() {
  const button = document.querySelector("[data-copy-link]");
  if (!(button instanceof HTMLElement) || !navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy link"; }, 2000);
  });
}
