/* What a chart shows, to take away: every point as CSV or Parquet from the server, and the picture as it is drawn, in the present theme, as PNG. */

import { linearTicks, logTexts, logTicks, tickTexts, zone } from "../frame/numbers.js";
import { paintLines, paintMark, paintMarks, paintNonFinite } from "./paint.js";
import { xText } from "./plot.js";

const RATIO = 2, PAD = 16, TICKS = 6, LEAST_WIDTH = 560, HEIGHT = 300, TITLE = 20, LINE = 18, ENTRY = 210, SWATCH = 24, GAP = 8;
const X_TITLES = /** @type {Record<string, string | undefined>} */ ({ step: "step", relative: "time since the start", time: "wall time" });

/** @typedef {import("./card.js").Card} Card */
/** @typedef {import("./card.js").Drawing} Drawing */
/** @typedef {import("./plot.js").Plot} Plot */
/** @typedef {{left: number, top: number, width: number, height: number}} Box */

/** A menu on a chart. @param {Card} card */
export function wireExport(card) {
  card.figure.querySelector("header")?.append(menuOf(card));
}

/** @param {Card} card */
function menuOf(card) {
  const menu = document.createElement("details"), summary = document.createElement("summary"), body = document.createElement("div"), list = document.createElement("ul");
  menu.className = "menu export";
  summary.className = "btn plain";
  summary.title = "Export";
  summary.setAttribute("aria-label", `Export ${card.metric}`);
  summary.append(icon());
  body.className = "menu-body";
  const files = [link("CSV, every point"), link("Parquet, every point")], picture = Object.assign(document.createElement("button"), { type: "button", className: "btn plain", textContent: "PNG, as drawn" });
  for (const each of [...files, picture]) list.appendChild(document.createElement("li")).append(each);
  body.append(list);
  menu.append(summary, body);
  menu.addEventListener("toggle", () => {
    if (!menu.open) return;
    ["csv", "parquet"].forEach((format, i) => offer(files[i], fileAddress(card, format)));
    picture.disabled = !card.plot;
  });
  for (const file of files) file.addEventListener("click", () => { menu.open = false; });
  picture.addEventListener("click", () => {
    menu.open = false;
    summary.focus();
    if (card.plot) save(pictureOf(card.plot, { title: card.metric, how: [card.how.textContent, card.odd?.textContent].filter(Boolean).join(", ") }), card.metric);
  });
  return menu;
}

function icon() {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  made.setAttribute("viewBox", "0 0 16 16");
  made.setAttribute("aria-hidden", "true");
  for (const [name, value] of Object.entries({ d: "M8 2V10M4.8 7L8 10.2L11.2 7M2.5 12.5V13.5H13.5V12.5", fill: "none", stroke: "currentColor", "stroke-width": "1.25" })) path.setAttribute(name, value);
  made.append(path);
  return made;
}

/** @param {string} text */
function link(text) {
  return Object.assign(document.createElement("a"), { textContent: text, download: "" });
}

/** Where a link leads; without an address it is no link. @param {HTMLAnchorElement} file @param {string} address */
function offer(file, address) {
  for (const [name, value] of Object.entries({ href: address, "aria-disabled": address ? "" : "true" })) {
    if (value) file.setAttribute(name, value);
    else file.removeAttribute(name);
  }
}

/**
 * The file of what a chart shows, "" where every run is hidden: its runs whose eye is open, x and range of the view; over another metric, all points by step.
 * @param {Card} card @param {string} format
 */
export function fileAddress(card, format) {
  const { runs, view, source } = card.board, shown = runs.filter((run) => !run.isHidden), isCrossing = view.x === "metric";
  if (!shown.length) return "";
  const query = new URLSearchParams({ metric: card.metric, experiments: shown.map((run) => run.id).join(","), x: isCrossing ? "step" : view.x, format });
  if (view.zoom && !isCrossing) {
    query.set("from", String(view.zoom[0]));
    query.set("to", String(view.zoom[1]));
  }
  return `${source.replace("/compare/", "/points/")}?${query}`;
}

/** A name for a file: without what file systems take for something else, and never hidden. @param {string} name */
export function fileName(name) {
  const trimmed = (/** @type {string} */ text) => text.replace(/^[\s.-]+|[\s.-]+$/gu, "");
  return trimmed([...trimmed(name.replace(/[\s/\\:*?"'<>|`%;&\p{Cc}\p{Cf}\p{Cs}]+/gu, "-"))].slice(0, 60).join(""));
}

/** @param {HTMLCanvasElement} canvas @param {string} name */
function save(canvas, name) {
  canvas.toBlob((blob) => {
    if (!blob) return;
    const address = URL.createObjectURL(blob), file = `${fileName(name) || "chart"}.png`;
    Object.assign(document.createElement("a"), { href: address, download: file }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }, "image/png");
}

/**
 * A chart with title, axes and legend, twice as fine as it is large; the small charts of groups beside each other.
 * @param {Drawing} plot @param {{title: string, how: string}} words
 */
export function pictureOf(plot, { title, how }) {
  if ("parts" in plot) return beside(plot.parts.map((part) => single(part, { title: `${title}, ${part.runs[0].name}`, how })));
  return single(plot, { title, how });
}

/** Pictures of one size in rows of two. @param {HTMLCanvasElement[]} pictures */
function beside(pictures) {
  const [{ width, height }] = pictures, columns = Math.min(2, pictures.length);
  const canvas = Object.assign(document.createElement("canvas"), { width: width * columns, height: height * Math.ceil(pictures.length / columns) });
  pictures.forEach((picture, i) => canvas.getContext("2d")?.drawImage(picture, (i % columns) * width, Math.floor(i / columns) * height));
  return canvas;
}

/** The y scale, which small charts share. @param {Plot} plot @param {number} from @param {number} to */
const rangeOf = (plot, from, to) => plot.listener.range?.(from, to) ?? plot.yRange(from, to);

/** @param {Plot} plot @param {{title: string, how: string}} words */
function single(plot, { title, how }) {
  const canvas = document.createElement("canvas"), context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")), { theme } = plot;
  const shown = plot.lines.filter((line) => line.unsmoothed.length), width = Math.max(LEAST_WIDTH, plot.host.clientWidth), columns = Math.max(1, Math.floor((width - 2 * PAD) / ENTRY));
  const top = PAD + TITLE + LINE, legend = top + HEIGHT + 2 * LINE + PAD, height = legend + Math.ceil(shown.length / columns) * LINE + PAD;
  Object.assign(canvas, { width: width * RATIO, height: height * RATIO });
  context.scale(RATIO, RATIO);
  context.fillStyle = theme.surface;
  context.fillRect(0, 0, width, height);
  const write = writer(context, theme.font);
  write(title, PAD, PAD + 13, { colour: theme.ink, size: 14, weight: 600, most: width - 2 * PAD });
  write(how, PAD, PAD + TITLE + 10, { colour: theme.muted, most: width - 2 * PAD });
  const ticks = ticksOf(plot, width), wide = (/** @type {string} */ text) => context.measureText(text).width;
  const left = PAD + LINE + GAP + Math.max(...ticks.y.map(({ text }) => wide(text)), 20), right = Math.max(PAD, Math.max(0, ...ticks.x.slice(-1).map(({ text }) => wide(text))) / 2 + GAP / 2);
  const box = { left, top, width: width - left - right, height: HEIGHT }, at = scales(plot, box);
  axes(context, plot, box, at, ticks, write);
  write(xTitle(plot), left + box.width / 2, top + HEIGHT + 2 * LINE - 2, { colour: theme.muted, align: "center" });
  upright(context, PAD + 10, top + HEIGHT / 2, () => write(title, 0, 0, { colour: theme.muted, align: "center", most: HEIGHT }));
  curves(context, plot, box, at);
  shown.forEach((line, i) => entry(context, line, PAD + (i % columns) * ENTRY, legend + Math.floor(i / columns) * LINE, write, theme));
  return canvas;
}

/** @param {Plot} plot */
const xTitle = (plot) => (X_TITLES[plot.view.x] ?? plot.view.xMetric) + (plot.view.x === "time" ? `, ${zone(plot.xRange()[0])}` : "");

/** @typedef {(text: string, x: number, y: number, how: {colour: string, size?: number, weight?: number, align?: CanvasTextAlign, most?: number}) => void} Write */

/** @param {CanvasRenderingContext2D} context @param {string} font @returns {Write} */
function writer(context, font) {
  return (text, x, y, { colour, size = 11, weight = 400, align = "left", most = Infinity }) => {
    Object.assign(context, { font: `${weight} ${font.replace(/^\d+px/, `${size}px`)}`, fillStyle: colour, textAlign: align });
    context.fillText(cut(context, text, most), x, y);
  };
}

/** A text that is not wider than `most`. @param {CanvasRenderingContext2D} context @param {string} text @param {number} most */
function cut(context, text, most) {
  if (context.measureText(text).width <= most) return text;
  const letters = [...text];
  while (letters.length > 1 && context.measureText(`${letters.join("")}…`).width > most) letters.length -= Math.max(1, Math.floor(letters.length / 10));
  return `${letters.join("")}…`;
}

/** @param {Plot} plot @param {number} width */
function ticksOf(plot, width) {
  const [from, to] = plot.xRange(), [low, high] = rangeOf(plot, from, to), y = (plot.view.isLog ? logTicks : linearTicks)(low, high, TICKS);
  const texts = (plot.view.isLog ? logTexts : tickTexts)(y);
  return {
    x: plot.xTicks(from, to, width).map((at) => ({ at, text: xText(at, plot.view.x, to - from) })),
    y: y.map((at, i) => ({ at, text: String(texts[i] ?? "") })),
  };
}

/** From values to CSS pixels. @param {Plot} plot @param {Box} box @returns {import("./paint.js").Scaler} */
function scales(plot, { left, top, width, height }) {
  const [from, to] = plot.xRange(), turn = plot.view.isLog ? Math.log10 : (/** @type {number} */ value) => value, [low, high] = rangeOf(plot, from, to).map(turn);
  return { x: (value) => left + ((value - from) / (to - from || 1)) * width, y: (value) => top + height - ((turn(value) - low) / (high - low || 1)) * height };
}

/** @param {CanvasRenderingContext2D} context @param {Plot} plot @param {Box} box @param {import("./paint.js").Scaler} at @param {ReturnType<typeof ticksOf>} ticks @param {Write} write */
function axes(context, { theme }, { left, top, width, height }, at, ticks, write) {
  context.lineWidth = 1;
  for (const tick of ticks.y) {
    rule(context, theme.grid, left, at.y(tick.at), left + width, at.y(tick.at));
    write(tick.text, left - GAP, at.y(tick.at) + 4, { colour: theme.muted, align: "right" });
  }
  rule(context, theme.rule, left, top + height, left + width, top + height);
  for (const tick of ticks.x) write(tick.text, at.x(tick.at), top + height + LINE - 2, { colour: theme.muted, align: "center" });
}

/** @param {CanvasRenderingContext2D} context @param {string} colour @param {number} x @param {number} y @param {number} toX @param {number} toY */
function rule(context, colour, x, y, toX, toY) {
  context.strokeStyle = colour;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(toX, toY);
  context.stroke();
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {() => void} draw */
function upright(context, x, y, draw) {
  context.save();
  context.translate(x, y);
  context.rotate(-Math.PI / 2);
  draw();
  context.restore();
}

/** @param {CanvasRenderingContext2D} context @param {Plot} plot @param {Box} box @param {import("./paint.js").Scaler} at */
function curves(context, plot, { left, top, width, height }, at) {
  context.save();
  context.beginPath();
  context.rect(left, top - 1, width, height + 2);
  context.clip();
  paintLines(context, plot.answer.x, plot.lines, at, 1);
  context.restore();
  paintMarks(context, plot.answer.x, plot.lines, at, { left, top, width, height }, { ground: plot.theme.surface, ratio: 1 });
  for (const { nonfiniteAt, style } of plot.lines) {
    const x = nonfiniteAt === null ? -1 : at.x(nonfiniteAt);
    if (x >= left - 1 && x <= left + width + 1) paintNonFinite(context, x, top + height, style.colour, 1);
  }
}

/** One run of the legend. @param {CanvasRenderingContext2D} context @param {import("./plot.js").Line} line @param {number} x @param {number} y @param {Write} write @param {import("../frame/theme.js").Theme} theme */
function entry(context, { run, style }, x, y, write, { ink, surface: ground }) {
  context.lineWidth = style.isBase ? 2 : 1.75;
  context.setLineDash(style.dash);
  rule(context, style.colour, x, y, x + SWATCH, y);
  context.setLineDash([]);
  paintMark(context, x + SWATCH / 2, y, style, { ground, ratio: 1 });
  write(run.name, x + SWATCH + GAP, y + 4, { colour: ink, most: ENTRY - SWATCH - 3 * GAP });
}
