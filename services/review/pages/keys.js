// Keys of every page: their list, other pages, rows of lists, and a box that finds pages, actions and documents.

import { get, may, query } from "/pages/api.js";
import { byId, fill, h, nameLines, say, typing } from "/pages/dom.js";

const PLACES = { q: "/", d: "/documents", c: "/decisions", i: "/insights", p: "/people" };
const COMMON = [
  ["?", "These keys"], ["Ctrl K", "Find a page, an action or a document (⌘ K on a Mac)"],
  ["G Q", "Go to the queue"], ["G D", "Documents"], ["G C", "Decisions"], ["G I", "Insights"], ["G P", "People"],
];
const ROWS = [["J K", "Next and previous row"], ["X", "Select the row"], ["↵", "Open the row"]];
const SOON = 1_500; // milliseconds between G and the letter
const TYPED = 200; // milliseconds after the last letter until documents are searched
const REVIEW = "/review"; // has no search: one key too many must not leave the item
const OFF = "smallprint.single-keys-off"; // in this browser

let context = null; // what `start` was given
let went = 0; // when G was pressed

/** `view()` is the view on the screen, `links()` are [address, name] of the pages, `go(path)` opens one, `search()` goes to a search box.
    A view may have `keys` as [key, text] and a `list` whose rows the keys choose. */
export function start(given) {
  context = given;
  window.addEventListener("keydown", pressed, { capture: true }); // before the keys of a page
  byId("keys").onclick = showKeys;
}

const areOff = () => localStorage.getItem(OFF) !== null;

function pressed(event) {
  if (byId("nav").hidden || document.querySelector("dialog[open]") || event.altKey) return;
  const key = event.key.toLowerCase();
  if ((event.ctrlKey || event.metaKey) && key === "k") act(event, showCommands);
  if (event.ctrlKey || event.metaKey || typing(event) || key.length !== 1 || key === " ") return;
  if (areOff()) {
    event.stopImmediatePropagation();
    return;
  }
  const to = Date.now() - went < SOON && PLACES[key];
  went = key === "g" && !to ? Date.now() : 0;
  const list = context.view()?.list;
  if (to) act(event, () => context.links().some(([href]) => href === to) && context.go(to));
  else if (key === "?") act(event, showKeys);
  else if (key === "/" && location.pathname !== REVIEW) act(event, context.search);
  else if (list && "jkx".includes(key)) act(event, () => inRows(list, key));
}

function act(event, work) {
  event.preventDefault();
  event.stopImmediatePropagation();
  work();
}

/** Move the focus to the next or previous row, or select the row. */
function inRows(list, key) {
  const rows = [...list.querySelectorAll("tbody tr")].filter((row) => row.querySelector("a"));
  const at = rows.indexOf(document.activeElement.closest("tr"));
  if (key === "x") rows[at]?.querySelector(".choose input")?.click();
  else rows[at < 0 ? 0 : at + (key === "j" ? 1 : -1)]?.querySelector("a").focus();
}

function dialog(label, ...children) {
  const box = h("dialog", { "aria-label": label, onclose: () => box.remove() }, children);
  document.body.append(box);
  box.showModal();
  box.scrollTop = 0; // the button with the focus may be at its end
  return box;
}

const listOf = (keys) => h("dl.keys", {}, keys.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what))));

export function showKeys() {
  const view = context.view();
  const own = [...(view?.list ? ROWS.filter(([key]) => key !== "X" || view.list.querySelector(".choose")) : []), ...(view?.keys ?? [])];
  const searched = view?.focus ? "Search this page" : "Search all documents";
  const common = location.pathname === REVIEW ? COMMON : [...COMMON, ["/", searched]];
  const single = h("input", { type: "checkbox", checked: !areOff(), onchange: () => (single.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "")) });
  dialog("Keys", h("h2", {}, "Keys"), own.length > 0 && [h("h3", {}, view.title), listOf(own)], h("h3", {}, "Every page"), listOf(common),
    h("label.row", {}, single, "Single keys work in this browser"), h("form", { method: "dialog" }, h("button.primary", { autofocus: true }, "Close")));
}

/** The actions of the page: its buttons that have a key. */
function actions() {
  const name = (button) => [...(button.labels?.[0] ?? button).childNodes].filter((one) => one.nodeName !== "KBD").map((one) => one.textContent).join(" ").trim();
  return [...byId("view").querySelectorAll("[aria-keyshortcuts]:not(:disabled)")].filter((one) => one.checkVisibility())
    .map((button) => ({ text: name(button), about: "This page", run: () => button.click() }));
}

function showCommands() {
  const known = [...actions(), ...context.links().map(([href, text]) => ({ text, about: "Page", run: () => context.go(href) }))];
  let found = [], at = 0, timer = null, turn = 0;
  const list = h("ul.options.still", { id: "commands", role: "listbox", "aria-label": "Found" });
  const input = h("input", { type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "commands", "aria-autocomplete": "list", "aria-label": "Page, action or document", placeholder: "Page, action or document", autocomplete: "off", spellcheck: "false", autofocus: true, oninput: () => find(), onkeydown: move });
  const box = dialog("Find", input, list);

  function find() {
    const words = input.value.trim().toLowerCase();
    at = 0;
    draw(known.filter(({ text }) => text.toLowerCase().includes(words)));
    clearTimeout(timer);
    const mine = ++turn;
    if (words && may("documents:read")) timer = setTimeout(() => documents(words).then((more) => { if (mine === turn) draw([...found, ...more]); }, () => {}), TYPED);
  }

  function draw(rows) {
    found = rows;
    fill(list, found.map(({ text, about }, index) => h("li", { role: "option", id: `command-${index}`, "aria-selected": String(index === at), onclick: () => choose(index) }, text, h("span.muted", {}, about))));
    if (found[at]) input.setAttribute("aria-activedescendant", `command-${at}`);
    else input.removeAttribute("aria-activedescendant");
    list.children[at]?.scrollIntoView({ block: "nearest" });
    if (!found.length) say("Nothing found");
  }

  function move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter") choose(at);
    else if (!step || !found.length) return;
    event.preventDefault();
    if (!step) return;
    at = (at + step + found.length) % found.length;
    draw(found);
  }

  function choose(index) {
    if (!found[index]) return;
    box.close();
    found[index].run();
  }

  find();
}

async function documents(words) {
  const { items } = await get(query("/v1/documents", { q: words, limit: 8 }));
  return items.map(({ id, title, name }) => {
    const [text, about] = nameLines(title, name);
    return { text, about: about || "Document", run: () => context.go(`/documents/${id}`) };
  });
}
