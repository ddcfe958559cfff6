// The answer of a frontier model about an item. Quotes are verified, the reason is not.

import { flowing, h, number, scrolls } from "/pages/dom.js";

const ANSWERS = { present: "proposes these words:", absent: "finds no such clause here.", error: "finds an error, by this sum:", presentation: "finds a matter of presentation, by this sum:",
  contract: "finds a contract, by these words:", report: "finds a report, by these words:", other: "finds neither contract nor report, by these words:",
  sound: "finds the text readable, by these words:", unsound: "finds the text unreadable:" };

/** The verdict, its quotes or its sum, and its reason. */
export function proposalOf(proposal) {
  if (!proposal?.verdict) return proposal && h("p.proposal.muted", {}, `No frontier model answered: ${proposal.reason}.`);
  const who = proposal.stand_in ? `A test stand-in (${proposal.provider}), not a model,` : `${proposal.provider} (${proposal.model})`;
  const part = (selector, label, ...children) => scrolls(h(selector, { role: "group", "aria-label": label }, children));
  const quotes = proposal.quotes ?? [];
  return h("aside.proposal", { "aria-label": "Proposal of a model" },
    h("p.says", {}, `${who} ${ANSWERS[proposal.verdict]}`),
    proposal.cell && part("div.sum", "The sum", sumOf(proposal)),
    quotes.length > 0 && part("div.quotes", "Quotes", quotes.map((quote) => h("blockquote.quote", {}, flowing(quote.text)))),
    proposal.why && part("div.why", "The reason", h("p.muted", {}, `Reason given by the model (not verified): ${proposal.why}`)));
}

/** The arithmetic of an answer. smallprint computed the sum. */
function sumOf(proposal) {
  const line = (name, amount, sign = "") => h("tr", {}, h("th", { scope: "row" }, name), h("td.figure", {}, `${sign}${number(Number(amount))}`));
  return h("table.inputs", {}, h("caption", {}, "Cells of the report, added up by smallprint"),
    h("tbody", {}, proposal.arithmetic.map((one) => line(one.label, one.value, one.sign < 0 ? "− " : "+ "))),
    h("tfoot", {}, line("Sum", proposal.total), line(`${proposal.cell.label}, as reported`, proposal.cell.value)));
}
