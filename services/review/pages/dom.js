// Builds elements. Text always becomes a text node, so nothing from a document is ever markup.

/** h("button.primary", {onclick}, "Accept", kbd) */
export function h(selector, props = {}, ...children) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(props)) set(element, name, value);
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "value" || name === "checked") element[name] = value;
  else if (name === "class") element.className += ` ${value}`;
  else element.setAttribute(name, value === true ? "" : value);
}

export const byId = (id) => document.getElementById(id);

export function fill(element, ...children) {
  element.replaceChildren(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Tell a screen reader, without moving anything. */
export function say(text) {
  byId("say").textContent = text;
}

/** A share in whole percent; what is not certain is never shown as 0% or 100%. */
export const percent = (share) => (share > 0 && share < 1 ? `${Math.min(99, Math.max(1, Math.round(share * 100)))}%` : `${Math.round(share * 100)}%`);

const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 4 });
export const number = (value) => (value === null || value === undefined ? "–" : numbers.format(value));

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
export const moment = (value) => (value ? dates.format(new Date(value)) : "–");

export const count = (n, one, many = `${one}s`) => `${numbers.format(n)} ${n === 1 ? one : many}`;

/** Words for what the machine calls balance_sheet or net_of_tax. */
export const words = (name) => (name ?? "").replaceAll("_", " ");

export const title = (name) => words(name).replace(/^./, (letter) => letter.toUpperCase());

/** Running text without the line ends of its page; paragraphs stay apart. */
export const flowing = (text) => text.replace(/[^\S\n]*\n[^\S\n]*(?!\s*\n)/g, (end, at, all) => (all[at - 1] === "\n" ? end : " "));

/** One line of a text that may have many. */
export function excerpt(text, length = 160) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}

/** How sure the machine is: a quiet bar and the number. */
export function certainty(confidence) {
  const bar = h("span.bar", { "aria-hidden": "true" }, h("span.bar-fill"));
  bar.firstChild.style.inlineSize = percent(confidence);
  return h("span.certainty", { title: `The machine is ${percent(confidence)} sure` }, bar,
    h("span.figure", {}, percent(confidence)));
}

export const kbd = (key) => h("kbd", { "aria-hidden": "true" }, key);

/** A part that scrolls by itself: a key reaches it where it has more than it shows, and `first` is what it opens at. */
export function scrolls(element, first = null) {
  const watch = new ResizeObserver(() => {
    if (!element.clientHeight) return; // it is not on the page yet
    watch.disconnect();
    if (element.scrollHeight > element.clientHeight) element.tabIndex = 0;
    if (first) element.scrollTop = first.offsetTop - element.clientHeight / 4;
  });
  watch.observe(element);
  element.classList.add("scrolls");
  return element;
}

/** What to see where there is nothing, and what to do about it. */
export function empty(title, text, ...actions) {
  return h("section.empty", {}, h("h2", {}, title), h("p", {}, text), h("div.row.centre", {}, actions));
}

export function failure(error, again, ...ways) {
  return h("section.empty.failed", { role: "alert" }, h("h2", {}, error.title ?? "That did not work"),
    h("p", {}, error.message), h("div.row.centre", {}, ways, again && h("button", { type: "button", onclick: again }, "Try again")));
}

export function select(label, value, options, onchange) {
  const box = h("select", { onchange: (event) => onchange(event.target.value) },
    options.map(([key, text]) => h("option", { value: key }, text)));
  if (![...box.options].some((option) => option.value === value)) {
    box.append(h("option", { value }, value));
  }
  box.value = value;
  return h("label.field", {}, h("span", {}, label), box);
}

/** True while somebody types into something. */
export function typing(event) {
  return event.target instanceof Element
    && event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
}
