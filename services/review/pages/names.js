// Names for people: of clause types, of results and of the questions to people.

import { get } from "/pages/api.js";
import { title } from "/pages/dom.js";

let all = [];
let known = new Map();

/** Load the names of the clause types once. */
export async function loadNames() {
  if (all.length) return;
  all = await get("/v1/items/categories");
  known = new Map(all.map((one) => [one.name, one]));
}

/** The clause types as {name, title, subject, asks}, by subject. */
export const clauseTypes = () => all;

/** The clause type of a category; for one that a tenant taught, with its own name. */
export const clauseType = (category) => known.get(category) ?? { name: category, title: category, subject: "Other", asks: "" };

/** The name of a clause type. */
export const titleOf = (category) => clauseType(category).title;

/** A signal is unusual but not wrong. */
export const isSignal = (item) => item.about === "signal";

/** A flagged sentence about the company. */
export const isFlag = (item) => item.about === "flag";

/** Whether an item asks about the document, not about a result. */
export const isOfReading = (item) => item.stage === "ingest";

/** What an item is: `Clause`, `Finding`, `Signal` … */
export const kindOf = (item) => (isOfReading(item) ? "Question" : isSignal(item) ? "Signal" : isFlag(item) ? "Sentence" : title(item.kind));

/** The name of an item. */
export const nameOf = (item) => (isSignal(item) || isFlag(item) ? item.finding.title : item.kind === "finding" ? title(item.category) : titleOf(item.category));
