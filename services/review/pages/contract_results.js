// The list of a contract: clauses, terms, and what is missing.

import { get, may } from "/pages/api.js";
import { fill, h, select } from "/pages/dom.js";
import { missingOf } from "/pages/missing.js";
import { clauseType, clauseTypes } from "/pages/names.js";
import { Results } from "/pages/results.js";
import { recall, remember } from "/pages/tab_storage.js";
import { Tabs } from "/pages/tabs.js";
import { termsOf } from "/pages/terms.js";

const ORDER = "order of clauses";
const ORDERS = [["subject", "By subject"], ["page", "By page"], ["confidence", "By confidence"]];

export class ContractResults extends Results {
  /** Calls `openWords(span)` with words that are no clause. */
  constructor({ openWords, ...others }) {
    super(others);
    this.openWords = openWords;
    this.order = recall(ORDER)[0] ?? "subject";
  }

  async read() {
    const nothing = { items: [], searched: { failed_pages: [], warnings: [] } };
    const [clauses, values, presence] = await Promise.all([this.all("clauses"), this.optional(this.all("values", {}), []),
      may("results:read") ? this.optional(get(`${this.path}/presence`), nothing) : nothing]);
    return { clauses, values, presence };
  }

  rowsOf({ clauses }) {
    const found = clauses.map((one) => this.items.get(one.id) ?? { ...one, id: null, result_id: one.id, kind: "clause" });
    const ids = new Set(clauses.map((one) => one.id));
    const others = [...this.items.values()].filter((item) => item.kind === "clause" && !ids.has(item.result_id) && !item.absent);
    return [...found, ...others].sort((a, b) => a.start - b.start);
  }

  expected() {
    return true;
  }

  draw() {
    const { values, presence } = this.answers;
    const confirmed = [...this.items.values()].filter((item) => item.absent);
    const missing = missingOf(this.id, presence, {
      confirmed: new Map(confirmed.map((item) => [item.category, item])),
      rows: this.rows,
      open: (one) => this.openWords(one),
      changed: () => this.load(),
    });
    const terms = termsOf(values, this.rows, (one) => (one.result_id ? this.choose(one) : this.openWords(one)));
    const lists = may("results:read") ? [["terms", "Terms", terms.count, terms.element], ["missing", "Missing", missing.count, missing.element]] : [];
    this.tabs = new Tabs("Results", [["clauses", "Clauses", this.rows.length, this.clauses()], ...lists], this.tab, (key) => this.chosen(key));
    fill(this.element, this.progress(), !lists.length && h("p.muted.small", {}, "Your role shows only clauses to review, no terms and no missing clauses."), this.tabs.element);
  }

  clauses() {
    if (!this.rows.length) return h("p.muted.nothing", {}, "No clauses found.");
    return [select("Order", this.order, ORDERS, (order) => this.sort(order)), this.order === "subject" ? this.bySubject()
      : this.group(this.order === "page" ? "By page" : "Least certain first", this.order === "page" ? this.rows : [...this.rows].sort((a, b) => a.confidence - b.confidence))];
  }

  sort(order) {
    this.order = order;
    remember(ORDER, [order]);
    this.draw();
    this.element.querySelector("select").focus();
  }

  bySubject() {
    const place = new Map(clauseTypes().map((one, at) => [one.name, at]));
    const rows = [...this.rows].sort((a, b) => (place.get(a.category) ?? 99) - (place.get(b.category) ?? 99) || a.category.localeCompare(b.category));
    const subjects = [...new Set(rows.map((row) => clauseType(row.category).subject))];
    return subjects.map((subject) => this.group(subject, rows.filter((row) => clauseType(row.category).subject === subject)));
  }
}
