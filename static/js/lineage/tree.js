// The tree of a lineage: pan by dragging, zoom by buttons, keys and ctrl + wheel; one choice for drawing and list, kept in the address.
const frame = document.querySelector("[data-tree]");
if (frame instanceof HTMLElement) {
  const drawing = /** @type {SVGSVGElement} */ (frame.querySelector("svg"));
  const full = { width: drawing.viewBox.baseVal.width, height: drawing.viewBox.baseVal.height };
  const [LEAST, MOST] = [0.1, 4];
  let scale = 1;

  const zoom = (/** @type {number} */ wanted, x = frame.clientWidth / 2, y = frame.clientHeight / 2) => {
    const next = Math.min(MOST, Math.max(LEAST, wanted));
    const [left, top] = [(frame.scrollLeft + x) / scale, (frame.scrollTop + y) / scale];
    scale = next;
    drawing.setAttribute("width", String(full.width * scale));
    drawing.setAttribute("height", String(full.height * scale));
    frame.scrollTo(left * scale - x, top * scale - y);
  };
  const fit = () => zoom(Math.min(1, frame.clientWidth / full.width, frame.clientHeight / full.height), 0, 0);

  for (const each of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-zoom]"))) each.hidden = false;
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-zoom-by]"))) {
    button.addEventListener("click", () => zoom(scale * Number(button.dataset.zoomBy)));
  }
  document.querySelector("[data-zoom-fit]")?.addEventListener("click", fit);
  /** @type {Record<string, () => void>} */
  const keys = { "+": () => zoom(scale * 1.25), "=": () => zoom(scale * 1.25), "-": () => zoom(scale * 0.8), 0: () => zoom(1), f: fit };
  frame.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== frame) return;
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  frame.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const box = frame.getBoundingClientRect();
    zoom(scale * Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });

  let drag = /** @type {{x: number, y: number, left: number, top: number, moved: boolean} | null} */ (null);
  frame.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch" || event.button || /** @type {Element} */ (event.target).closest("input")) return;
    drag = { x: event.clientX, y: event.clientY, left: frame.scrollLeft, top: frame.scrollTop, moved: false };
  });
  window.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    drag.moved ||= Math.hypot(x, y) > 4;
    if (!drag.moved) return;
    frame.classList.add("is-dragged");
    frame.scrollTo(drag.left - x, drag.top - y);
  });
  window.addEventListener("pointerup", () => {
    frame.classList.remove("is-dragged");
    setTimeout(() => { drag = null; }); // after the click that follows where the drag ended on what it began on
  });
  frame.addEventListener("click", (event) => { if (drag?.moved) event.preventDefault(); }, { capture: true });
  frame.addEventListener("dragstart", (event) => event.preventDefault());

  // The list's boxes follow the drawing's and are not sent twice.
  const picks = (/** @type {string} */ within) => /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll(`${within} input.pick`)]);
  const [drawn, listed, unseen] = [picks("[data-tree]"), picks("#list"), picks("#unseen")];
  for (const box of listed) box.removeAttribute("name");
  const all = [...drawn, ...listed, ...unseen];
  const said = /** @type {HTMLElement} */ (document.querySelector("[data-picked]"));
  const clear = /** @type {HTMLElement} */ (document.querySelector("[data-clear]"));
  const keep = () => {
    const chosen = [...drawn, ...unseen].filter((box) => box.checked).map((box) => box.value);
    clear.hidden = !chosen.length;
    said.textContent = `${chosen.length} arm${chosen.length === 1 ? "" : "s"} selected`;
    const carry = (/** @type {string} */ address) => {
      const url = new URL(address, location.href);
      url.searchParams.delete("e");
      for (const value of chosen) url.searchParams.append("e", value);
      return url;
    };
    history.replaceState(history.state, "", carry(location.href));
    for (const each of document.querySelectorAll("[data-keeps]")) {
      const name = each.matches("form") ? "action" : "href";
      each.setAttribute(name, carry(each.getAttribute(name) ?? "").href);
    }
    for (const form of document.querySelectorAll("[data-carries]")) {
      for (const old of form.querySelectorAll("input[name=e]")) old.remove();
      for (const value of chosen) form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "e", value }));
    }
  };
  for (const box of all) box.addEventListener("change", () => {
    for (const other of all) if (other.value === box.value) other.checked = box.checked;
    keep();
  });
  clear.addEventListener("click", (event) => {
    event.preventDefault();
    for (const box of all) box.checked = false;
    keep();
  });
  keep();
  document.querySelector(".tree .here")?.scrollIntoView({ block: "nearest", inline: "center" });
}
