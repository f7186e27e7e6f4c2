/* A run that goes on: when its live part comes back changed, the charts ask for the new points. */

/** @typedef {import("./charts.js").Board} Board */

/** @param {Board | null} board null where the page has no chart yet */
export function followLive(board) {
  const state = () => {
    const { version, metrics } = document.getElementById("live")?.dataset ?? {};
    return { version, metrics };
  };
  let known = state();
  document.addEventListener("htmx:afterSettle", () => {
    const now = state();
    if (now.version === known.version) return;
    // A first point or a new metric needs a card that this page does not have.
    if (now.metrics !== known.metrics) location.reload();
    else board?.refresh();
    known = now;
  });
}
