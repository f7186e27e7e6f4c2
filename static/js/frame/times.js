"use strict";
/* Times in the reader's own zone. The server writes UTC and says so; here each gets the reader's hour, with both zones in its title. */

const ZONED = new Intl.DateTimeFormat("en-GB", { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short" });
const MONTH = new Intl.DateTimeFormat("en", { month: "short" });

/** A moment's parts in the reader's zone. @param {Date} moment */
function zoned(moment) {
  const { year, month, day, hour, minute, second, timeZoneName } = Object.fromEntries(ZONED.formatToParts(moment).map(({ type, value }) => [type, value]));
  return { year, date: `${year}-${month}-${day}`, day: `${Number(day)} ${MONTH.format(moment)}`, time: `${hour}:${minute}`, clock: `${hour}:${minute}:${second}`, zone: timeZoneName };
}

/** The same words as `stamp`, `full` and `clock` of the server's readings. @param {string} how @param {Date} moment */
function spoken(how, moment) {
  const { date, day, time, clock, zone, year } = zoned(moment), now = zoned(new Date());
  if (how === "clock") return clock;
  if (how === "day") return `${day} ${year}, ${zone}`;
  if (how === "full") return `${date} ${time}`;
  return date === now.date ? time : year === now.year ? day : date;
}

/** @param {ParentNode} root */
function localise(root) {
  for (const element of /** @type {NodeListOf<HTMLTimeElement>} */ (root.querySelectorAll("time[data-as]"))) {
    const how = element.dataset.as ?? "", moment = new Date(element.dateTime), { date, clock, zone } = zoned(moment);
    if (how !== "ago") element.textContent = spoken(how, moment);
    if (zone !== "UTC") element.title = `${date} ${clock} ${zone}, ${element.title}`;
    element.removeAttribute("data-as");
  }
}

localise(document);
for (const name of /** @type {const} */ (["htmx:afterSwap", "htmx:oobAfterSwap"])) document.addEventListener(name, () => localise(document));
