// The list of a report: findings, unusual ratios, flagged sentences, and what was checked.

import { get, may, query } from "/pages/api.js";
import { day } from "/pages/findings.js";
import { count, fill, h, moment, number, percent, title } from "/pages/dom.js";
import { everything, Results } from "/pages/results.js";
import { statementTable } from "/pages/statement.js";
import { Tabs } from "/pages/tabs.js";

const RISKY = 0.2; // from here on a risk without findings is explained

/** A warning of a filing in which nothing could be checked. */
const UNCHECKED = /(^|: )nothing was checked: /;

/** The summary of a report without open findings. `open` relations do not close. */
function clean(dismissed, filings, unchecked, open) {
  if (dismissed) return "All findings were dismissed before.";
  if (!unchecked) return open ? `No errors found, but ${count(open, "relation")} ${open === 1 ? "does" : "do"} not close. See below.` : "No errors found.";
  if (unchecked >= (filings ?? 1)) return "Nothing was checked. See the notes below.";
  return `No errors found in the checked filings. ${unchecked} of ${count(filings, "filing")} could not be checked.`;
}

export class ReportResults extends Results {
  /** `reasons` are those of the document. */
  constructor({ reasons = [], ...others }) {
    super(others);
    this.hasOnlyWords = reasons.some((reason) => reason.startsWith("no_statements:"));
  }

  async read() {
    if (!may("results:read")) return { findings: [], signals: [], flags: [], about: {} };
    const [findings, about, signals, flags] = await Promise.all(this.hasOnlyWords ? [[], get(query(`${this.path}/narrative-flags`, { limit: 1 })), [], this.all("narrative-flags")]
      : [this.all("findings"), get(query(`${this.path}/findings`, { limit: 1 })), this.optional(this.all("signals"), []), this.optional(this.all("narrative-flags"), [])]);
    return { findings, about, signals, flags };
  }

  rowsOf({ findings, signals, flags }) {
    const row = (about, one, category, text) => ({ id: null, kind: "finding", about, category, text, confidence: one.confidence, page: one.page, boxes: one.boxes, start: one.start ?? null, end: one.end ?? null, finding: one,
      ...this.items.get(one.id), result_id: one.id, level: one.level, dismissed: one.dismissed });
    const rows = [...findings.map((one) => row("finding", one, one.check, one.message)), ...signals.map((one) => row("signal", one, one.title, one.message)), ...flags.map((one) => row("flag", one, one.title, one.text))];
    const known = new Set(rows.map((one) => one.result_id));
    return [...rows, ...[...this.items.values()].filter((item) => item.kind === "finding" && item.stage !== "ingest" && !known.has(item.result_id))];
  }

  /** One sentence of each family and each strong signal gets an item, and findings that nobody dismissed before. */
  expected(row) {
    return row.about === "finding" && !row.dismissed;
  }

  draw() {
    const of = (about) => this.rows.filter((row) => row.about === about);
    const [findings, signals, flags] = [of("finding"), of("signal"), of("flag")];
    this.tabs = new Tabs("Results", [["findings", "Findings", findings.filter((row) => !row.dismissed).length, this.findings(findings)],
      ["signals", "Signals", signals.filter((row) => row.level !== "usual").length, this.signals(signals)], ["sentences", "Sentences", flags.length, this.sentences(flags)]],
    this.tab ?? (this.hasOnlyWords ? "sentences" : "findings"), (key) => this.chosen(key));
    fill(this.element, this.progress(), !may("results:read") && h("p.muted.small", {}, "Your role shows only results to review."), this.hasOnlyWords && h("p.muted.nothing", {}, "No financial statements found, so no figures were checked. The sentences were."), this.tabs.element);
  }

  findings(rows) {
    const { warnings, filings, risk, coverage } = this.answers.about;
    const open = rows.filter((row) => !row.dismissed);
    const dismissed = rows.filter((row) => row.dismissed);
    return [open.length > 0 ? this.group("Does not add up", open)
        : !this.hasOnlyWords && may("results:read") && h("p.muted.nothing", {}, clean(dismissed.length, filings, warnings?.filter((one) => UNCHECKED.test(one)).length ?? 0, coverage?.not_closing)),
      coverage && h("p.muted.nothing", {}, coverage.summary),
      !rows.length && risk >= RISKY && h("p.muted.nothing", {}, `The risk is still ${percent(risk)}. No suspicion was strong enough to be a finding. Check the statements yourself if this report matters.`),
      dismissed.length > 0 && h("details.lines", {}, h("summary", {}, `${count(dismissed.length, "finding")} dismissed in an earlier report of this company`),
        dismissed.map((row) => [this.line(row), h("p.remark", {}, `${title(row.dismissed.by)} dismissed it on ${moment(row.dismissed.time)}: “${row.dismissed.reason}”`)])),
      coverage?.items.length > 0 && this.notClosing(coverage),
      !this.hasOnlyWords && may("results:read") && this.earlier(),
      warnings?.length > 0 && h("details.lines", {}, h("summary", {}, `Partly unread (${count(warnings.length, "note")})`), h("ul.notes", {}, warnings.map((one) => h("li", {}, one))))];
  }

  /** The relations that do not close, by check, with the usual lawful reason of each. */
  notClosing({ items, not_closing: all }) {
    const checks = [...new Set(items.map((one) => one.check))];
    const line = (one) => h("p", {}, one.message, " ", h("span.muted", {}, [one.page && `page ${one.page}`, one.filing].filter(Boolean).join(" · ")));
    return h("section.lines", {}, h("h2", {}, "Does not close"), checks.map((check) => {
      const own = items.filter((one) => one.check === check);
      return h("details", { open: true }, h("summary", {}, `${own[0].title ?? title(check)} (${own.length})`), own.map(line), own[0].possible_explanation && h("p.muted", {}, `May be lawful: ${own[0].possible_explanation}`));
    }), items.length < all && h("p.muted", {}, `Not shown: ${number(all - items.length)} more.`));
  }

  /** Earlier reports of the company, read when opened. */
  earlier() {
    const inside = h("div", {});
    const line = ({ document_id: id, end, risk }) => h("li", {}, h("a", { href: `/documents/${id}` }, day(end)), h("span.muted", {}, ` risk ${percent(risk)}`));
    const read = async (event) => {
      if (!event.target.open) return;
      this.reading ??= everything(`${this.path}/history`, { limit: 5 });
      try {
        const compared = (await this.reading).flatMap((one) => one.compared);
        const own = [...new Map(compared.map((one) => [`${one.document_id} ${one.end}`, one])).values()];
        fill(inside, own.length ? h("ul.notes", {}, own.map(line)) : h("p.muted.nothing", {}, "No earlier report of this company is here."));
      } catch (error) {
        this.reading = null;
        fill(inside, h("p.wrong", {}, error.message));
      }
    };
    return h("details.lines", { ontoggle: read }, h("summary", {}, "Earlier reports"), inside);
  }

  signals(rows) {
    const odd = rows.filter((row) => row.level !== "usual");
    const usual = rows.filter((row) => row.level === "usual");
    return [odd.length ? this.group("Unusual ratios", odd) : h("p.muted.nothing", {}, may("results:read") ? "No ratio stands out among other companies." : "No ratio to review."),
      usual.length > 0 && h("details.lines", {}, h("summary", {}, count(usual.length, "usual ratio")), usual.map((row) => this.line(row)))];
  }

  /** The flagged sentences by family. */
  sentences(rows) {
    const families = [...new Set(rows.map((row) => row.finding.title))];
    return families.length ? families.map((family) => this.group(family, rows.filter((row) => row.finding.title === family))) : h("p.muted.nothing", {}, may("results:read") ? "No sentence was flagged." : "No sentence to review.");
  }

  /** The statements of the first filing; null if there are none. */
  async statements() {
    if (this.hasOnlyWords || !may("documents:read")) return null;
    const { items } = await this.optional(get(query(`${this.path}/statements`, { limit: 1 })), { items: [] });
    const tables = items.flatMap((filing) => filing.statements.map((one) => statementTable(one, {}, this.id)));
    return tables.length ? h("div", {}, tables) : null;
  }
}
