/* Colours and dashes as the stylesheet has them. A canvas knows no custom property: what it needs is read from elements, and again when the theme changes. */

/** @typedef {{ink: string, muted: string, grid: string, rule: string, surface: string, font: string}} Theme */
/** @typedef {{colour: string, dash: number[], isBase: boolean}} RunStyle */

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
 * @param {Element} swatch an `svg.swatch` with one line
 * @returns {RunStyle}
 */
export function readRunStyle(swatch) {
  const style = getComputedStyle(/** @type {Element} */ (swatch.querySelector("line")));
  const dash = style.strokeDasharray === "none" ? [] : style.strokeDasharray.split(/[ ,]+/).map(Number.parseFloat);
  return { colour: style.stroke, dash, isBase: swatch.classList.contains("base") };
}

/**
 * Call `changed` whenever the page turns light or dark.
 * @param {() => void} changed
 */
export function onThemeChange(changed) {
  for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) matchMedia(query).addEventListener("change", changed);
  new MutationObserver(changed).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
}
