// Builds elements. Text always becomes a text node, so text of documents is never markup.

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

/** Announce a text to screen readers. */
export function say(text) {
  byId("say").textContent = text;
}

/** A share in whole percent. Only 0 and 1 show as 0% and 100%. */
export const percent = (share) => (share > 0 && share < 1 ? `${Math.min(99, Math.max(1, Math.round(share * 100)))}%` : `${Math.round(share * 100)}%`);

const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 4 });
export const number = (value) => (value === null || value === undefined ? "–" : numbers.format(value));

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
export const moment = (value) => (value ? dates.format(new Date(value)) : "–");

export const count = (n, one, many = `${one}s`) => `${numbers.format(n)} ${n === 1 ? one : many}`;

/** Words from an identifier such as balance_sheet. */
export const words = (name) => (name ?? "").replaceAll("_", " ");

export const title = (name) => words(name).replace(/^./, (letter) => letter.toUpperCase());

/** Text without line ends inside paragraphs. */
export const flowing = (text) => text.replace(/[^\S\n]*\n[^\S\n]*(?!\s*\n)/g, (end, at, all) => (all[at - 1] === "\n" ? end : " "));

/** The names of a document for a list: the first part of its title, then the other parts and its file. */
export function nameLines(title, file) {
  const [first, ...others] = title ? title.split(" · ") : [file];
  return [first, title ? [...others, file].join(" · ") : ""];
}

/** The name of a document for people, in one line. */
export const labelOf = ({ title, name }) => title ?? name;

/** A link to a document, and the rest of its title and its file below. */
export function documentLink(id, title, file, length = 60) {
  const [first, second] = nameLines(title, file || id);
  return [h("a.plain", { href: `/documents/${encodeURIComponent(id)}`, title: title ?? file }, excerpt(first, length)), second && h("span.sub", { title: second }, second)];
}

/** A text shortened to one line. */
export function excerpt(text, length = 160) {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length - 1)}…` : line;
}

/** The confidence as a bar and a number. */
export function certainty(confidence) {
  const bar = h("span.bar", { "aria-hidden": "true" }, h("span.bar-fill"));
  bar.firstChild.style.inlineSize = percent(confidence);
  return h("span.certainty", { title: `Confidence: ${percent(confidence)}` }, bar,
    h("span.figure", {}, percent(confidence)));
}

export const kbd = (key) => h("kbd", { "aria-hidden": "true" }, key);

/** Make an element scrollable, also by keyboard, and scroll to `first`. */
export function scrolls(element, first = null) {
  const watch = new ResizeObserver(() => {
    if (!element.clientHeight) return; // not on the page yet
    if (element.scrollHeight > element.clientHeight) element.tabIndex = 0;
    if (first) element.scrollTop = first.offsetTop - element.clientHeight / 4;
    first = null;
  });
  watch.observe(element);
  element.classList.add("scrolls");
  return element;
}

/** The head of a column without a visible name. */
export const unseenHead = (text) => h("th", { scope: "col" }, h("span.unseen", {}, text));

/** The text and actions of an empty list. */
export function empty(title, text, ...actions) {
  return h("section.empty", {}, h("h2", {}, title), h("p", {}, text), h("div.row.centre", {}, actions));
}

/** The same as a whole page. */
export function emptyPage(title, text, ...actions) {
  const section = empty(title, text, ...actions);
  section.firstChild.replaceWith(h("h1", {}, title));
  return section;
}

export function failure(error, again, ...ways) {
  return h("section.empty.failed", { role: "alert" }, h("h1", {}, error.title ?? "That did not work"),
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

/** Whether a key event belongs to an input. */
export function typing(event) {
  return event.target instanceof Element
    && event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]") !== null;
}
