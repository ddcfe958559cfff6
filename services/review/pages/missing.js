// The clause types that a contract does not have.

import { may, post, query } from "/pages/api.js";
import { excerpt, h, percent, say } from "/pages/dom.js";
import { titleOf } from "/pages/names.js";
import { newId } from "/pages/tab_storage.js";
import { changes, isMine, verdictPill } from "/pages/verdicts.js";

/** The categories with a clause that stands: found or added, and not rejected. The report has the same rule in `report/missing.py`. */
const present = (rows) => new Set(rows.filter((row) => row.verdict !== "reject").map((row) => changes(row).category ?? row.category));

/** The likely ones first.
    @param presence the answer of `/presence`
    @param confirmed by category, the item of a person who confirmed that it is absent
    @param rows the clauses
    @param open shows the passage that comes nearest
    @param changed called once an absence is confirmed */
export function missingOf(id, { items, searched }, { confirmed, rows, open, changed }) {
  const found = present(rows);
  const rejected = new Set(rows.filter((row) => row.verdict === "reject").map((row) => row.category));
  const missing = items.filter((one) => !found.has(one.category)).sort((one, two) => two.probability - one.probability);
  const notes = [...searched.failed_pages.length ? [`Not searched: page ${searched.failed_pages.join(", ")}.`] : [], ...searched.warnings];
  return { count: missing.length, element: h("div", {}, notes.length > 0 && h("ul.reasons", {}, notes.map((one) => h("li", {}, one))), missing.map((one) => row(id, { ...one, rejected: rejected.has(one.category) }, confirmed.get(one.category), open, changed))) };
}

function row(id, one, item, open, changed) {
  const { nearest } = one;
  return h("section.group.missing", {}, h("div.row.apart", {}, h("h2", {}, titleOf(one.category)), item ? verdictPill(item) : h("span.muted", {}, one.rejected ? "rejected by a reviewer" : `${percent(one.probability)} likely to be there`)),
    nearest && h("button.result", { type: "button", onclick: () => open(nearest) }, h("span.clip", {}, excerpt(nearest.text, 160)), h("span.row.apart", {}, h("span.muted", {}, "nearest passage"), h("span.muted", {}, `page ${nearest.page}`))),
    item && h("a.small.see", { href: query("/review", { item: item.id }) }, isMine(item) ? "See or undo the decision" : "See the decision"),
    !item && may("review") && confirmation(id, one.category, changed));
}

function confirmation(id, category, changed) {
  const request = { id: newId("de"), document: id, category, absent: true }; // with its own id a repeated request confirms once
  const status = h("p.status.wrong", { role: "alert" });
  const button = h("button.quiet.see", { type: "button", "aria-label": `Confirm absent: ${titleOf(category)}`, onclick: confirm }, "Confirm absent");
  async function confirm() {
    button.disabled = true;
    status.textContent = "";
    try {
      await post("/v1/items", request);
    } catch (error) {
      button.disabled = false;
      status.textContent = error.message;
      return;
    }
    say(`Confirmed absent: ${titleOf(category)}.`);
    await changed();
  }
  return [button, status];
}
