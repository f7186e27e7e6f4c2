/* Colours and dashes as the stylesheet has them. A canvas knows no custom property: what it needs is read from elements, and again when the theme changes. */

/** @typedef {{ink: string, muted: string, grid: string, rule: string, surface: string, font: string}} Theme */
/** @typedef {{path: Path2D, kind: "full" | "hollow" | "line"}} Mark in a square of MARK_SIDE */
/** @typedef {{colour: string, dash: number[], isBase: boolean, mark: Mark | null}} RunStyle */
export const MARK_SIDE = 10;

/**
 * The colours of a chart's furniture.
 * @param {HTMLElement} host an element of the page
 * @returns {Theme}
 */
export function readTheme(host) {
  const probe = host.appendChild(document.createElement("i"));
  probe.hidden = true;
  const colour = (/** @type {string} */ token) => {
    probe.style.color = `var(--${token})`;
    return getComputedStyle(probe).color;
  };
  const theme = { ink: colour("ink"), muted: colour("ink-3"), grid: colour("grid"), rule: colour("rule-2"), surface: colour("surface"), font: `11px ${getComputedStyle(host).fontFamily}` };
  probe.remove();
  return theme;
}

/**
 * How a run is drawn: what its swatch shows.
 * @param {Element} swatch an `svg.swatch` with one line and its mark
 * @returns {RunStyle}
 */
export function readRunStyle(swatch) {
  const style = getComputedStyle(/** @type {Element} */ (swatch.querySelector("line")));
  const dash = style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(/[ ,]+/).map(Number.parseFloat);
  return { colour: style.stroke, dash, isBase: swatch.classList.contains("base"), mark: readMark(swatch) };
}

/** The symbol of a swatch. @param {Element} swatch @returns {Mark | null} */
function readMark(swatch) {
  const shape = document.getElementById(swatch.querySelector("use")?.getAttribute("href")?.slice(1) ?? "")?.firstElementChild;
  if (!shape) return null;
  const path = new Path2D(shape.getAttribute("d") ?? "");
  if (shape instanceof SVGCircleElement) path.arc(shape.cx.baseVal.value, shape.cy.baseVal.value, shape.r.baseVal.value, 0, 2 * Math.PI);
  return { path, kind: shape.classList.contains("hollow") ? "hollow" : shape.classList.contains("line") ? "line" : "full" };
}

/**
 * Call `changed` whenever the page turns light or dark.
 * @param {() => void} changed
 */
export function onThemeChange(changed) {
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) matchMedia(query).addEventListener("change", changed);
  new MutationObserver(changed).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
}
