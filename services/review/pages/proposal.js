// What a frontier model says of an item: its quotes are the document's own words, the reason is the model's.

import { flowing, h, number, scrolls } from "/pages/dom.js";

const SAID = { present: "proposes these words:", absent: "finds no such clause here.", error: "takes it for an error, by this sum:", presentation: "takes it for a matter of presentation, by this sum:",
  contract: "takes it for a contract, by these words:", report: "takes it for a report, by these words:", other: "takes it for neither contract nor report, by these words:",
  sound: "finds the text sound, by these words:", unsound: "finds the text spoiled:" };

/** The verdict, its words or its sum, and its reason: each no taller than leaves room for the others. */
export function proposalOf(proposal) {
  if (!proposal?.verdict) return proposal && h("p.proposal.muted", {}, `No model of others answered: ${proposal.reason}.`);
  const who = proposal.stand_in ? `A stand-in for tests (${proposal.provider}), no model,` : `${proposal.provider} (${proposal.model})`;
  const part = (selector, label, ...children) => scrolls(h(selector, { role: "group", "aria-label": label }, children));
  const quotes = proposal.quotes ?? [];
  return h("aside.proposal", { "aria-label": "Proposal of a model" },
    h("p.says", {}, `${who} ${SAID[proposal.verdict]}`),
    proposal.cell && part("div.sum", "The sum", sumOf(proposal)),
    quotes.length > 0 && part("div.quotes", "The words", quotes.map((quote) => h("blockquote.quote", {}, flowing(quote.text)))),
    proposal.why && part("div.why", "The reason", h("p.muted", {}, `In its own words, which nobody verified: ${proposal.why}`)));
}

/** The arithmetic of an answer: cells of the report, whose sum was made here. */
function sumOf(proposal) {
  const line = (name, amount, sign = "") => h("tr", {}, h("th", { scope: "row" }, name), h("td.figure", {}, `${sign}${number(Number(amount))}`));
  return h("table.inputs", {}, h("caption", {}, "Cells that the report has; their sum was made here"),
    h("tbody", {}, proposal.arithmetic.map((one) => line(one.label, one.value, one.sign < 0 ? "− " : "+ "))),
    h("tfoot", {}, line("Sum", proposal.total), line(`${proposal.cell.label}, as it stands there`, proposal.cell.value)));
}
