// The banner below the top bar: a lost connection, decisions that wait for it or were refused, and uncaught errors.

import { byId, count, fill, h, moment, say } from "/pages/dom.js";
import { changed, drop, refused, waiting } from "/pages/undelivered.js";
import { VERDICTS } from "/pages/verdicts.js";

const READABLE = 10_000; // milliseconds for which an error is shown

let reachable = true;
let waited = 0; // decisions that waited when the banner was last drawn
let trouble = ""; // an uncaught error

/** Draw the banner now and after each change. */
export function start() {
  window.addEventListener("undelivered", draw);
  draw();
}

function draw() {
  const [waits, lost] = [waiting().length, refused().length];
  if (waited && !waits) say(`${count(waited, "decision")} sent.`);
  waited = waits;
  const parts = [!reachable && "No connection to the server.", waits > 0 && `${count(waits, "decision is", "decisions are")} waiting for the network.`, trouble,
    lost > 0 && [`${count(lost, "decision was", "decisions were")} not stored.`, h("button.quiet", { type: "button", onclick: show }, "See why")]];
  byId("banner").hidden = !parts.some(Boolean);
  fill(byId("banner"), parts.flat().filter(Boolean).flatMap((part) => [part, " "]));
}

/** The refused decisions with their items and the reasons. */
function show() {
  const list = h("div.refused");
  const box = h("dialog", { "aria-label": "Decisions that were not stored", onclose: () => box.remove() }, h("h2", {}, "Decisions that were not stored"), list, h("form", { method: "dialog" }, h("button.primary", {}, "Close")));
  const remove = (entry) => {
    drop(entry);
    changed();
    if (refused().length) fillList();
    else box.close();
  };
  const fillList = () => fill(list, refused().map((entry) => refusal(entry, () => box.close(), () => remove(entry))));
  fillList();
  document.body.append(box);
  box.showModal();
}

function refusal(entry, close, remove) {
  const { decision: { item, verdict, note }, about, at, reason } = entry;
  return h("section.group", {}, h("h3", {}, about.name), about.document && h("p.muted", {}, about.document), about.text && h("blockquote.quote.clip", {}, about.text),
    h("p", {}, `You ${VERDICTS[verdict]} it on ${moment(new Date(at))}. ${reason}`), note && h("p.remark", {}, `“${note}”`),
    h("div.row", {}, h("a.button", { href: `/review?item=${item}`, onclick: close }, "Open the item"), h("button.quiet", { type: "button", onclick: remove }, "Remove from this list")));
}

window.addEventListener("reached", ({ detail }) => {
  if (detail === reachable) return;
  reachable = detail;
  if (detail) say("Connected again.");
  draw();
});

window.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  if (event.reason?.name === "AbortError" || !reachable) return;
  const text = event.reason?.message ?? "Something went wrong.";
  trouble = text;
  draw();
  setTimeout(() => {
    if (trouble === text) trouble = "";
    draw();
  }, READABLE);
});
