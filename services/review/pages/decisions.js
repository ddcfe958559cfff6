// All decisions: who, what and when.

import { actor, get, query } from "/pages/api.js";
import { decide, history } from "/pages/decide.js";
import { documentLink, empty, excerpt, h, moment, say, select, title, unseenHead } from "/pages/dom.js";
import { titleOf } from "/pages/names.js";
import { enter, leave } from "/pages/tab_session.js";
import { shown } from "/pages/values.js";
import { changes, decidedCategory, verdictOf } from "/pages/verdicts.js";

export async function show({ params, go }) {
  const by = params.get("by") ?? "";
  const read = (cursor) => get(query("/v1/decisions", { by, limit: 100, cursor }));
  let page = await read(null);
  const seen = new Set(); // only the newest decision of an item can be undone
  const rows = h("tbody");
  const add = (items) => rows.append(...items.map((one) => {
    const stands = !seen.has(one.item_id);
    seen.add(one.item_id);
    return row(one, stands && undoable(one) && undoButton(one, rows));
  }));
  add(page.items);
  const more = h("button", { type: "button", hidden: page.next === null, onclick: async () => {
    page = await read(page.next);
    add(page.items);
    more.hidden = page.next === null;
  } }, "Show more");
  const file = (format) => h("a.button", { href: `/v1/exports?format=${format}&state=decided`, download: true }, format.toUpperCase());
  const head = h("div.row.apart.head", {}, h("h1", {}, "Decisions"),
    h("div.row.tight", { role: "group", "aria-label": "Export all decided items" }, h("span.muted", {}, "Export decided items"), file("jsonl"), file("csv"), file("xlsx")));
  const filters = h("form.filters", { onsubmit: (event) => event.preventDefault() },
    select("Made by", by, [["", "All reviewers"], [actor().name, "Me"]], (value) => go(query("/decisions", { by: value }))));
  const heads = ["When", "Who", "What", "Category", "Text", "Document"];
  const list = page.items.length
    ? [h("table.list.audit", {}, h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)), unseenHead("Undo"))), rows), h("div.row.centre.below", {}, more)]
    : empty("No decisions yet", "Every decision is listed here with its reviewer and time. An undo is listed too.", h("a.button.primary", { href: "/review" }, "Start reviewing"));
  const hint = h("p.muted.small", {}, "In CSV and XLSX, cells that look like formulas start with an apostrophe.");
  return { title: "Decisions", list: rows.parentElement, element: h("div.page", {}, head, filters, list, page.items.length > 0 && hint) };
}

const undoable = (one) => one.verdict !== "undo" && one.actor === actor().name && one.document_name;

/** Undo a decision: the item is open again, and the undo is a new row. */
function undoButton(one, rows) {
  const button = h("button.quiet", { type: "button", "aria-label": `Undo: ${verdictOf(one)}, ${title(titleOf(one.category))}`, onclick: undo }, "Undo");
  async function undo() {
    button.disabled = true;
    const stay = enter();
    try {
      const answer = await decide({ item: one.item_id, verdict: "undo", tab: stay }, one);
      history.drop(one.item_id);
      if (!answer) {
        button.replaceWith(h("span.muted", {}, "Undo is waiting"));
        return;
      }
      const { decision, item } = answer;
      const open = item.origin === "model" || item.state === "claimed"; // what a person added is withdrawn
      const next = open ? h("a", { href: query("/review", { item: item.id }) }, "Review it again") : h("a", { href: `/documents/${item.document_id}` }, "Open the document");
      button.replaceWith(next);
      next.focus();
      rows.prepend(row(decision));
      say(open ? "Undone. The item is open again." : "Undone.");
    } catch (error) {
      button.disabled = false;
      button.after(h("p.wrong", { role: "alert" }, error.message));
    } finally {
      leave(stay);
    }
  }
  return button;
}

function row(one, action = null) {
  const { text: reworded } = changes(one);
  return h("tr", {},
    h("td.time", {}, moment(one.time)), h("td", {}, one.actor), h("td", {}, h("span.pill", { class: one.verdict }, verdictOf(one))),
    h("td.what", {}, decidedCategory(one, title(titleOf(one.category)))),
    h("td.words", {}, reworded !== null ? [h("del", {}, excerpt(one.text, 140)), " ", h("ins", {}, excerpt(reworded, 140))] : h("span.clip", {}, one.absent ? "No clause of this type" : excerpt(one.text, 220)),
      one.correction?.value && h("p", {}, h("span.label", {}, "Value"), " ", h("ins", {}, shown(one.correction))),
      one.note && h("p.remark", {}, `“${excerpt(one.note, 300)}”`)),
    h("td.document", {}, one.document_name ? documentLink(one.document_id, one.title, one.document_name, 44) : h("span.muted", {}, "deleted")),
    h("td.action", {}, action));
}
