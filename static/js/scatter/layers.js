/* Two canvases over each other: what is drawn seldom, and what follows the pointer. Both as sharp as the screen. */

/** @typedef {CanvasRenderingContext2D} Pen */

export class Layers {
  /** @param {HTMLElement} host @param {() => void} resized */
  constructor(host, resized) {
    this.host = host;
    this.base = document.createElement("canvas");
    this.top = document.createElement("canvas");
    this.top.className = "over";
    host.replaceChildren(this.base, this.top);
    this.width = this.height = 0;
    new ResizeObserver(() => { if (host.clientWidth) resized(); }).observe(host);
  }

  /** Take the size of the host, or a larger width. @param {number} least */
  fit(least = 0) {
    this.width = Math.max(least, this.host.clientWidth);
    this.height = this.host.clientHeight;
    for (const canvas of [this.base, this.top]) {
      canvas.style.width = `${this.width}px`;
      canvas.style.height = `${this.height}px`;
      canvas.width = Math.round(this.width * devicePixelRatio);
      canvas.height = Math.round(this.height * devicePixelRatio);
    }
  }

  /** A clean pen in CSS pixels. @param {HTMLCanvasElement} canvas @param {string} font @returns {Pen} */
  pen(canvas, font) {
    const pen = /** @type {Pen} */ (canvas.getContext("2d"));
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.font = font;
    return pen;
  }

  /** Where a pointer stands. @param {PointerEvent | MouseEvent} event @returns {[number, number]} */
  at(event) {
    const box = this.top.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  /** Save what is drawn as a PNG on its ground. @param {string} ground @param {string} name */
  save(ground, name) {
    const whole = document.createElement("canvas"), pen = /** @type {Pen} */ (whole.getContext("2d"));
    [whole.width, whole.height] = [this.base.width, this.base.height];
    pen.fillStyle = ground;
    pen.fillRect(0, 0, whole.width, whole.height);
    for (const canvas of [this.base, this.top]) pen.drawImage(canvas, 0, 0);
    whole.toBlob((blob) => {
      if (!blob) return;
      const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `${name}.png` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }
}

/** As much of a text as a width has room for. @param {Pen} pen @param {string} text @param {number} width */
export function cut(pen, text, width) {
  const letters = [...text.slice(0, 300)];
  if (pen.measureText(text).width <= width) return text;
  let [low, high] = [0, letters.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (pen.measureText(`${letters.slice(0, middle).join("")}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return low ? `${letters.slice(0, low).join("")}…` : "";
}

/**
 * A drag with a pointer. `moved` is called once a frame; a press without a move is a click.
 * @param {HTMLElement} element @param {{began: (event: PointerEvent) => boolean, moved: (event: PointerEvent) => void, clicked: (event: PointerEvent) => void}} calls
 */
export function draggable(element, { began, moved, clicked }) {
  let isDown = false, isMoved = false, frame = 0, from = [0, 0];
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    [isDown, isMoved, from] = [began(event), false, [event.clientX, event.clientY]];
    if (isDown) element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    if (!isDown || (!isMoved && Math.hypot(event.clientX - from[0], event.clientY - from[1]) < 4)) return;
    isMoved = true;
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => moved(event));
  });
  element.addEventListener("pointerup", (event) => {
    if (isDown && isMoved) { cancelAnimationFrame(frame); moved(event); }
    if (!isMoved && event.button === 0) clicked(event);
    isDown = false;
  });
  element.addEventListener("pointercancel", () => { isDown = false; });
}
