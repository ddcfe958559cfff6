// Reports, sorted by risk.

import { get, may, query } from "/pages/api.js";
import { count, empty, h, moment, nameLines, percent, select } from "/pages/dom.js";

const ONLY = [["", "All reports"], ["true", "Flagged"], ["false", "Not flagged"]];
const ORDERS = [["-risk", "Highest risk first"], ["risk", "Lowest risk first"]];
const LEAST = [["", "Any"], ["0.05", "5% or more"], ["0.2", "20% or more"], ["0.5", "50% or more"]];
const HINT = "Risk is the probability that the most suspicious place in a report is an error. Use it to decide where to look first. A report can have a risk without findings: then no suspicion was strong enough.";

export async function show({ params, go }) {
  const chosen = { flagged: params.get("flagged") ?? "", min_risk: params.get("min_risk") ?? "", order: params.get("order") ?? "-risk" };
  const read = (cursor) => get(query("/v1/reports", { ...chosen, limit: 50, cursor }));
  let page = await read(null);
  const rows = h("tbody", {}, page.items.map(row));
  const more = h("button", { type: "button", hidden: page.next === null, onclick: async () => {
    page = await read(page.next);
    rows.append(...page.items.map(row));
    more.hidden = page.next === null;
  } }, "Show more");
  const filter = (change) => {
    const { order, ...rest } = { ...chosen, ...change };
    go(query("/reports", { ...rest, order: order === "-risk" ? "" : order }));
  };
  const filters = h("form.filters", { "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
    select("Show", chosen.flagged, ONLY, (flagged) => filter({ flagged })), select("Risk", chosen.min_risk, LEAST, (min_risk) => filter({ min_risk })),
    select("Order", chosen.order, ORDERS, (order) => filter({ order })));
  return { title: "Reports", element: h("div.page", {}, h("h1", {}, "Reports"), filters, page.items.length ? [h("p.muted.small", {}, HINT), table(rows), h("div.row.centre.below", {}, more)] : nothing(chosen, go)) };
}

function table(rows) {
  const heads = [["th", "Risk"], ["th", "Report"], ["th", "Status"], ["th.figure", "Findings"], ["th.figure", "Sentences"], ["th.figure", "Filings"], ["th", "Checked"]];
  const open = (event) => {
    if (!event.target.closest("a")) event.target.closest("tr[data-item]")?.querySelector("a.open")?.click();
  };
  return h("table.list.reports", { onclick: open }, h("thead", {}, h("tr", {}, heads.map(([selector, text]) => h(selector, { scope: "col" }, text)))), rows);
}

function row(report) {
  const bar = h("span.bar", { "aria-hidden": "true" }, h("span.bar-fill"));
  bar.firstChild.style.inlineSize = percent(report.risk);
  const [first, second] = nameLines(report.title, report.name || report.document_id);
  return h("tr", { "data-item": report.document_id },
    h("td.sure", {}, h("span.certainty", { class: report.flagged ? "flagged" : "" }, bar, h("span.figure", {}, percent(report.risk)))),
    h("td.document", {}, may("documents:read") ? h("a.open", { href: `/documents/${report.document_id}` }, first) : first, second && h("span.sub", {}, second),
      report.warnings > 0 && h("p.family", {}, `Partly unread (${count(report.warnings, "note")})`)),
    h("td", {}, h("div.row.tight", {}, report.flagged && h("span.pill.failed", {}, "flagged"), progress(report))),
    h("td.figure", {}, report.findings, report.dismissed > 0 && h("p.family", {}, `${report.dismissed} dismissed before`)), h("td.figure", {}, report.narrative_flags ?? "–"), h("td.figure", {}, report.filings), h("td.time", {}, moment(report.updated)));
}

// How many findings are decided.
function progress(report) {
  if (!report.decided) return null;
  return h("span.pill", {}, report.decided >= report.findings ? "decided" : `${report.decided} decided`);
}

function nothing(chosen, go) {
  if (chosen.flagged || chosen.min_risk) return empty("No reports match these filters", "Other reports may.", h("button", { type: "button", onclick: () => go("/reports") }, "Show all reports"));
  return empty("No reports yet", "A financial report appears here after it is uploaded and checked.", may("documents:write") && h("a.button.primary", { href: "/documents" }, "Upload documents"));
}
