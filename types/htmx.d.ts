/* What the pages use of htmx, which comes as a plain script. The types of uPlot, the other plain script, are its own. */

declare var htmx: {
  ajax(verb: "GET", path: string, how: { source?: Element | null; target: Element | string; swap: string }): Promise<void>;
  trigger(element: Element, name: string): void;
};

/* The events that are listened for, each with what is read of its detail. */
interface DocumentEventMap {
  "htmx:configRequest": CustomEvent<{ elt: Element; verb: string; path: string; parameters: FormData }>;
  "htmx:beforeRequest": CustomEvent<{ target: Element }>;
  "htmx:beforeSwap": CustomEvent<{ target: Element; requestConfig: { elt: Element } }>;
  "htmx:afterSwap": CustomEvent<{ target: Element }>;
  "htmx:oobBeforeSwap": CustomEvent<{ target: Element }>;
  "htmx:oobAfterSwap": CustomEvent<{ target: Element }>;
  "htmx:afterSettle": CustomEvent<{ target: Element }>;
  "htmx:beforeHistoryUpdate": CustomEvent<{ history: { type: "push" | "replace"; path: string }; requestConfig: { triggeringEvent?: Event } }>;
  "htmx:responseError": CustomEvent<{ xhr: XMLHttpRequest }>;
  "htmx:sendError": CustomEvent<{ xhr: XMLHttpRequest }>;
}
