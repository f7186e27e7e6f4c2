/* How a page asks for what takes the server a while: a few questions at a time, and again where it has no room just now. */

const AT_ONCE = 4; // two of a person are answered at once and four may wait (config/limits/lane.py): there is room for a link beside them
const AGAIN_MOST = 3, AGAIN_S = 5, TOO_MANY = 429;

let asked = 0;
const waiting = /** @type {(() => void)[]} */ ([]);

/** The answer of an address, as JSON is asked for. @param {string} address @param {AbortSignal} signal @returns {Promise<Response>} */
export async function askInTurn(address, signal) {
  if (asked < AT_ONCE) asked += 1;
  else await new Promise((/** @type {(value?: undefined) => void} */ resolve) => waiting.push(resolve));
  try {
    return await askPatiently(address, signal);
  } finally {
    const next = waiting.shift();
    if (next) next();
    else asked -= 1;
  }
}

/** @param {string} address @param {AbortSignal} signal @returns {Promise<Response>} the last one, where the server has no room again and again */
async function askPatiently(address, signal) {
  for (let left = AGAIN_MOST; ; left -= 1) {
    const response = await fetch(address, { signal, credentials: "same-origin", headers: { Accept: "application/json" } });
    if (response.status !== TOO_MANY || !left) return response;
    await pause(Number(response.headers.get("Retry-After")) || AGAIN_S, signal);
  }
}

/** @param {number} seconds @param {AbortSignal} signal ends it at once @returns {Promise<void>} */
function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
