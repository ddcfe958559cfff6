// The audit: who decided what, and when. It only grows.

import { actor, get, query } from "/pages/api.js";
import { empty, excerpt, h, moment, select, title } from "/pages/dom.js";

const VERDICTS = { accept: "accepted", reject: "rejected", correct: "corrected", undo: "undone" };

export async function show({ params, go }) {
  const by = params.get("by") ?? "";
  const read = (cursor) => get(query("/v1/decisions", { by, limit: 100, cursor }));
  let page = await read(null);
  const rows = h("tbody", {}, page.items.map(row));
  const more = h("button", { type: "button", hidden: page.next === null, onclick: async () => {
    page = await read(page.next);
    rows.append(...page.items.map(row));
    more.hidden = page.next === null;
  } }, "Show more");
  const file = (format) => h("a.button", { href: `/v1/exports?format=${format}`, download: true }, format.toUpperCase());
  const head = h("div.row.apart.head", {}, h("h1", {}, "Decisions"),
    h("div.row.tight", { role: "group", "aria-label": "Export all decided items" }, h("span.muted", {}, "Export what is decided"), file("jsonl"), file("csv"), file("xlsx")));
  const filters = h("form.filters", { onsubmit: (event) => event.preventDefault() },
    select("Made by", by, [["", "Everybody"], [actor().name, "Me"]], (value) => go(query("/decisions", { by: value }))));
  const heads = ["When", "Who", "What", "Category", "Text", "Document"];
  const list = page.items.length
    ? [h("table.list.audit", {}, h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col" }, text)))), rows), h("div.row.centre.below", {}, more)]
    : empty("Nothing has been decided yet", "Every decision is listed here, with who made it and when; undoing one is listed too.", h("a.button.primary", { href: "/review" }, "Start reviewing"));
  const hint = h("p.muted.small", {}, "In CSV and XLSX, a cell that a spreadsheet would run as a formula has an apostrophe in front; the column “defused” names such cells.");
  return { title: "Decisions", element: h("div.page", {}, head, filters, list, page.items.length > 0 && hint) };
}

function row(one) {
  const right = one.correction;
  const renamed = right && right.category !== one.category;
  const reworded = right && right.text !== one.text;
  return h("tr", {},
    h("td.time", {}, moment(one.time)), h("td", {}, one.actor), h("td", {}, h("span.pill", { class: one.verdict }, VERDICTS[one.verdict])),
    h("td.what", {}, renamed ? [h("del", {}, one.category), " ", h("ins", {}, right.category)] : one.kind === "finding" ? title(one.category) : one.category),
    h("td.words", {}, reworded ? [h("del", {}, excerpt(one.text, 140)), " ", h("ins", {}, excerpt(right.text, 140))] : h("span.clip", {}, excerpt(one.text, 220)),
      one.note && h("p.said", {}, `“${excerpt(one.note, 300)}”`)),
    h("td.document", {}, one.document_name ? h("a.plain", { href: `/documents/${one.document_id}` }, excerpt(one.document_name, 44)) : h("span.muted", {}, "deleted")));
}
