// The workbench: the results of a document, its pages, one item, and one key for each decision.

import { ClauseAdder } from "/pages/add_clause.js";
import { get, may, Problem } from "/pages/api.js";
import { boxesOf, Claims } from "/pages/claims.js";
import { Comments } from "/pages/comments.js";
import { ContractResults } from "/pages/contract_results.js";
import { Correction } from "/pages/correction.js";
import { decide, history as done } from "/pages/decide.js";
import * as known from "/pages/document_cache.js";
import { certainty, count, excerpt, fill, flowing, h, kbd, moment, say, scrolls, title, typing } from "/pages/dom.js";
import { distance, findingBody, flagBody, signalBody, sumOf } from "/pages/findings.js";
import { showKeys } from "/pages/keys.js";
import { clauseType, isFlag, isOfReading, isSignal, kindOf, nameOf, titleOf } from "/pages/names.js";
import { proposalOf } from "/pages/proposal.js";
import { ReportResults } from "/pages/report_results.js";
import { isOpen } from "/pages/results.js";
import { boxesOfFinding, linkCells, period, statementOf, statementTable } from "/pages/statement.js";
import { ownWords } from "/pages/text.js";
import { asDecided } from "/pages/undelivered.js";
import { valueLine } from "/pages/values.js";
import { decidedCategory, decidedText, isAccepted, isMine, machinePill, verdictOf, verdictPill, VERDICTS } from "/pages/verdicts.js";
import { Viewer } from "/pages/viewer.js";

const KIND_KEYS = { c: "contract", r: "report", o: "other" };
const NEAR = 320; // characters of context shown on each side
export const KEYS = [
  ["A", "Accept: the clause is right, the finding is an error, the signal needs attention, the sentence says it"], ["R", "Reject: the clause is wrong, the finding is a false alarm, the signal has a good reason"],
  ["C", "Correct the clause type, the words or the value"], ["C R O", "Set the kind of a document: contract, report or other"], ["↵", "Save the correction"],
  ["S", "Skip this item for now"], ["U", "Undo the last decision"], ["N", "Add a note to the decision"], ["M", "Comment on the item, for other reviewers"],
  ["J K", "Next and previous result in the list"], ["⇧ J", "Next open result"], ["1 2 3", "Choose a list"], ["I", "Add a clause from the selected words"],
  ["T", "Switch between page, text and statement"], ["← →", "Previous page, next page"], ["↑ ↓ ← →", "Move between the cells of a statement, also Home and End"], ["+ − 0", "Zoom in, zoom out, fit"], ["H", "Back to the highlight"],
  ["Esc", "Close the correction or the note"],
];

export class Workbench {
  /** `go(path)` opens another page, `replace(path)` changes the address. */
  constructor({ go, replace, filters = {} }) {
    Object.assign(this, { go, replace, filters });
    this.claims = may("review") ? new Claims(filters) : null;
    this.viewer = new Viewer({ onpick: (key) => this.results?.pick(key), onselect: (span) => this.selected(span) });
    this.bar = h("header.document-bar");
    this.side = h("section.side", { popover: "auto", id: "results", "aria-label": "Results" });
    this.adding = h("div.adder");
    this.panel = h("section.panel", { "aria-label": "The item" });
    this.parts = [this.bar, this.side, this.viewer.element, this.panel, this.adding];
    this.element = h("div.workbench", {}, this.parts);
    linkCells(this.element);
    this.busy = false;
    this.back = (event) => { if (event.persisted) location.reload(); };
    document.addEventListener("keydown", this.key);
    window.addEventListener("pageshow", this.back);
  }

  leave() {
    document.removeEventListener("keydown", this.key);
    window.removeEventListener("pageshow", this.back);
    this.results?.leave();
    this.claims?.close();
    this.viewer.close();
  }

  // The document

  /** Show the list of a document, once. */
  async showDocument(id) {
    if (this.id === id) return;
    this.id = id;
    this.results?.leave();
    this.results = null;
    this.adder = new ClauseAdder(id, (item) => this.added(item));
    fill(this.adding, this.adder.element);
    fill(this.side);
    const document = await get(`/v1/documents/${encodeURIComponent(id)}`);
    if (this.id !== id) return;
    this.document = document;
    this.drawBar();
    await this.listResults();
  }

  /** Read and list the results of the document. */
  async listResults() {
    this.results?.leave();
    this.results = this.resultsOf(this.document);
    this.results.current = this.shown?.result_id ?? null;
    fill(this.side, this.results.element, this.ways());
    await this.results.load();
  }

  resultsOf({ id, kind, reasons }) {
    const common = { id, choose: (row) => this.choose(row), changed: () => this.listed() };
    return kind === "report" ? new ReportResults({ ...common, reasons }) : new ContractResults({ ...common, openWords: (span) => this.openWords(span) });
  }

  /** The rows are known or have changed. */
  listed() {
    if (this.viewer.id === this.id && this.shown && !this.correction) this.viewer.mark({ boxes: this.boxesOfAll(this.shown) });
    this.choosable();
  }

  boxesOfAll(item) {
    const cells = item.finding?.cells ?? item.finding?.inputs;
    const own = cells ? boxesOfFinding(item.boxes, { cells }) : item.boxes ?? [];
    return [...own, ...(this.results?.id === this.documentOf(item) ? this.results.others(item.result_id) : [])];
  }

  drawBar(...more) {
    const { title: called, name, pages, created } = this.document;
    const list = h("button.drawer", { type: "button", popovertarget: "results" }, "Results");
    fill(this.bar, list, h("div.document-name", {}, this.heading(called ?? name), h("p.muted", {}, [called && name, pages ? count(pages, "page") : null, `received ${moment(created)}`].filter(Boolean).join(" · "))), ...more);
  }

  /** The name of the document. */
  heading(name) {
    return h("a.plain", { href: `/documents/${this.id}` }, name);
  }

  /** Buttons below the list. */
  ways() {
    const step = (label, key, sign, by) => h("button.quiet", { type: "button", title: label, onclick: () => this.results.step(by), "aria-keyshortcuts": key }, h("span.unseen", {}, label), h("span", { "aria-hidden": "true" }, sign), kbd(key));
    return h("div.side-foot", {}, step("Previous result", "K", "↑", -1), step("Next result", "J", "↓", 1), this.closer());
  }

  /** Closes the list where it lies above the document. */
  closer() {
    return h("button.quiet.close", { type: "button", popovertarget: "results", popovertargetaction: "hide" }, "Close");
  }

  /** Words can be selected for a new clause, or for a correction. */
  choosable() {
    this.viewer.selecting = Boolean(this.correction) || (may("review") && this.document?.kind === "contract" && this.document.id === this.viewer.id);
  }

  selected(span) {
    if (this.correction) {
      if (span) this.correction.moveSpan(span);
    } else if (span) this.adder?.offer(span);
    else this.adder?.forget();
  }

  /** Show a clause that was added. */
  async added(item) {
    say(`Added: ${titleOf(item.category)}.`);
    this.results?.update(item);
    await this.showDecided(item);
  }

  /** Show words that are no clause. */
  async openWords({ start, end, page }) {
    if (this.side.matches(":popover-open")) this.side.hidePopover();
    const span = { start, end };
    const number = page ?? (await known.info(this.id)).pages.find((one) => one.end > start)?.number ?? 1;
    this.mark(null);
    await this.viewer.open({ id: this.id, boxes: [...await known.boxes(this.id, number, span), ...this.results.others(null)], span, page: number, mode: this.viewer.mode });
    this.choosable();
  }

  // One result

  /** Show a row of the list, and claim it if a reviewer has to decide it. */
  async choose(row) {
    if (this.busy) return;
    if (this.side.matches(":popover-open")) this.side.hidePopover();
    if (row.state === "decided") await this.showDecided(row);
    else if (this.claims && isOpen(row)) await this.take(row);
    else await this.showResult(row);
  }

  /** Claim an item and show it. */
  async take(row) {
    if (this.claims.current?.id === row.id && !this.decided) {
      await this.viewItem(this.claims.current);
      return;
    }
    try {
      await this.claims.take(row.id, row);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      await this.showResult(row, error.message);
      return;
    }
    await this.present();
  }

  /** The next item to decide; null for none. */
  async next() {
    return this.claims.next();
  }

  /** Show the item to decide, or that there is none. */
  async present() {
    const item = await this.next();
    this.clear();
    if (!item) {
      this.nothing();
      return;
    }
    this.shown = item;
    if (this.element.firstChild !== this.bar) fill(this.element, this.parts);
    this.replace(this.address(item));
    this.draw(item);
    await this.viewItem(item);
  }

  clear() {
    this.comments = null;
    this.correction = null;
    this.panel.classList.remove("correcting");
    this.decided = null;
    this.shown = null;
  }

  /** Show the place of an item, and mark it in the list. */
  async viewItem(item) {
    this.mark(item.result_id);
    await this.openDocument(item);
    if (this.id !== this.documentOf(item)) this.showDocument(this.documentOf(item)).catch((error) => this.tell(error.message, true));
  }

  documentOf(item) {
    return item.document_id ?? this.id;
  }

  mark(key) {
    if (this.results) this.results.mark(key);
  }

  async openDocument(item) {
    const span = item.start === null ? null : { start: item.start, end: item.end, omitted: item.omitted };
    const statement = item.kind === "finding" && item.finding?.statement ? await this.statement(item) : null;
    if (this.shown !== item) return;
    const mode = statement ? null : this.viewer.mode;
    await this.viewer.open({ id: this.documentOf(item), boxes: this.boxesOfAll(item), span, page: item.page, statement: statement && statementTable(statement, item.finding, this.documentOf(item)), mode });
    this.choosable();
    const column = statement?.columns?.[item.finding.column];
    if (column && this.columnFact) this.columnFact.textContent = period(column);
  }

  /** Show a cell of the finding in the document. */
  async showCell(cell) {
    const boxes = this.boxesOfAll({ ...this.shown, finding: { cells: [cell] } });
    const { start, end, page } = cell.place;
    await this.viewer.show({ boxes, span: end ? { start, end } : null, page });
  }

  /** Open a finding of the document by its result id. */
  openFinding(key) {
    this.results?.tabs?.choose("findings");
    this.results?.pick(key);
  }

  async statement(item) {
    try {
      return await statementOf(this.documentOf(item), item.finding);
    } catch (error) {
      if (error instanceof Problem) return null; // its text is shown instead
      throw error;
    }
  }

  /** A result that nobody has to decide, or that somebody else decides now. */
  async showResult(row, problem = null) {
    this.clear();
    this.shown = row;
    const again = isAccepted(row) && this.claims && h("button", { type: "button", onclick: () => this.take(row) }, "Review anyway");
    this.status = h("p.status", { role: "status", class: problem ? "wrong" : null }, problem ?? "");
    fill(this.panel, this.top(row, isAccepted(row) && machinePill()), this.bodyOf(row), h("div.panel-foot", {}, this.status, h("div.row", {}, again)));
    say(`${nameOf(row)}. ${excerpt(ownWords(row), 300)}`);
    await this.viewItem(row);
  }

  /** A decided item. The reviewer who decided it can undo that here. */
  async showDecided(item) {
    this.clear();
    this.decided = item;
    const finding = item.kind === "finding";
    const mine = isMine(item);
    const right = item.correction ?? item;
    const span = right.start === null ? null : { start: right.start, end: right.end };
    this.status = h("p.status", { role: "status" });
    fill(this.panel,
      this.top(item, verdictPill(item)),
      h("div.panel-body", { tabindex: "0", role: "region", "aria-label": "Decision" },
        h("p.asks", {}, `${mine ? "You" : title(item.decided_by)} ${item.absent ? "confirmed this as absent" : `${verdictOf(item)} this`} on ${moment(item.decided)}.${mine ? "" : ` Only ${title(item.decided_by)} can undo it.`}`),
        item.note && h("p.remark", {}, `“${item.note}”`),
        item.absent ? h("p", {}, "No clause of this type.") : h("blockquote.quote", {}, decidedText(item, 2000)), valueLine(item), finding && !isOfReading(item) && !isSignal(item) && !isFlag(item) && sumOf(item.finding ?? {}, (cell) => this.showCell(cell)), this.commentsOn(item)),
      h("div.panel-foot", {}, this.status, h("div.row", {},
        mine && h("button.primary", { type: "button", onclick: () => this.undo(), "aria-keyshortcuts": "U" }, "Undo", kbd("U")), this.onward())));
    say(`${nameOf(item)}: ${verdictOf(item)}.`);
    this.shown = { ...item, boxes: span && span.start !== item.start ? await boxesOf(item, span) : item.boxes, ...span, page: right.page ?? item.page };
    if (this.decided === item) await this.viewItem(this.shown);
  }

  /** Category, confidence and document. */
  top(item, aside) {
    return h("div.panel-top", {},
      h("div.row", {}, h("span.kind", {}, kindOf(item)), aside,
        h("div.row.place", {}, this.decided || item.confidence === undefined ? null : isSignal(item) ? distance(item) : certainty(item.confidence), item.page && h("span.muted", {}, `page ${item.page}`))),
      h("h1.category", {}, this.decided ? decidedCategory(item, nameOf(item)) : nameOf(item)));
  }

  bodyOf(item) {
    const finding = item.kind === "finding";
    const body = asksKind(item) ? kindBody(item) : asksPage(item) ? pageBody(item) : finding ? this.findingBody(item) : this.clauseBody(item);
    this.body = h(finding ? "div.panel-body" : "div.panel-body.fitted", { tabindex: "0", "aria-label": "Result", role: "region" }, body, this.commentsOn(item));
    return this.body;
  }

  /** The comments on an item; null for a result without one, and for those who may not review. */
  commentsOn(item) {
    this.comments = item.id && this.claims ? new Comments(item) : null;
    return this.comments?.element;
  }

  draw(item) {
    const pressed = this.panel.contains(document.activeElement) ? document.activeElement.getAttribute("aria-keyshortcuts") : null;
    this.note = h("textarea", { rows: 2, maxlength: 4000, "aria-label": "Note", placeholder: "Why? The note is stored with the decision. Client reports print it." });
    this.noteBox = h("div.note", { hidden: true }, this.note);
    this.status = h("p.status", { role: "status" });
    fill(this.panel, this.top(item), this.bodyOf(item), h("div.panel-foot", {}, this.status, this.noteBox, this.buttons(item)));
    if (pressed) this.panel.querySelector(`[aria-keyshortcuts="${CSS.escape(pressed)}"]`)?.focus();
    say(`${nameOf(item)}, ${Math.round(item.confidence * 100)} percent confidence${item.page ? `, page ${item.page}` : ""}. ${excerpt(ownWords(item), 300)}`);
  }

  /** The question, a proposal, and the clause in its context. */
  clauseBody(item) {
    const { asks } = clauseType(item.category);
    const [before, after] = [item.before ?? "", item.after ?? ""];
    const found = h("mark", {}, flowing(ownWords(item)));
    const passage = h("blockquote.quote", {}, h("span.context", {}, flowing(before.length > NEAR ? `… ${before.slice(-NEAR).replace(/^\S{0,80}\s+/, "")}` : before)), found,
      h("span.context", {}, flowing(after.length > NEAR ? `${after.slice(0, NEAR).replace(/\s+\S{0,80}$/, "")} …` : after)));
    return [asks && h("p.asks", {}, asks), valueLine(item), proposalOf(item.proposal), scrolls(h("div.passage", { role: "group", "aria-label": "The clause in its context" }, passage), found)];
  }

  findingBody(item) {
    this.columnFact = null;
    if (isSignal(item)) return signalBody(item, (key) => this.openFinding(key));
    if (isFlag(item)) return flagBody(item);
    const body = findingBody(item, proposalOf(item.proposal), (cell) => this.showCell(cell));
    this.columnFact = body.period;
    return body.parts;
  }

  // Deciding

  /** Set the kind of the document. */
  setKind(kind) {
    return kind === this.shown.finding.kind ? this.decide("accept") : this.decide("correct", { category: kind });
  }

  buttons(item) {
    const finding = item.kind === "finding";
    const act = (kind, key, text, onclick, title) => h(`button.${kind}`, { type: "button", onclick, title, "aria-keyshortcuts": key }, text, kbd(key));
    const kinds = Object.entries(KIND_KEYS).map(([key, kind]) => act(kind === item.finding?.kind ? "good" : "plain", key.toUpperCase(), title(kind), () => this.setKind(kind), `The document is ${kind === "other" ? "neither" : `a ${kind}`}`));
    this.main = asksKind(item) ? h("div.decide", {}, kinds) : h("div.decide", {},
      act("good", "A", "Accept", () => this.decide("accept"), isSignal(item) ? "It needs attention" : isFlag(item) ? "The report says this about its company" : asksPage(item) ? "The page was read badly" : finding ? "The report is wrong here" : "The clause is right"),
      act("bad", "R", "Reject", () => this.decide("reject"), isSignal(item) ? "It has a good reason" : isFlag(item) ? "It says something else" : asksPage(item) ? "The text matches the page" : finding ? "A false alarm" : "The clause is wrong"),
      !finding && act("plain", "C", "Correct", () => this.correct(), "Change the clause type, the words or the value"));
    return [this.main, h("div.row.apart.minor", {},
      h("div.row", {}, act("quiet", "S", "Skip", () => this.skip()), act("quiet", "U", "Undo", () => this.undo()), act("quiet", "N", "Note", () => this.writeNote())),
      act("quiet", "?", "Keys", showKeys))];
  }

  /** The item that can be decided now. */
  get deciding() {
    return this.shown && !this.decided && this.claims?.current === this.shown ? this.shown : null;
  }

  /** Decide the current item. The next one is shown at once, while the decision is sent. */
  async decide(verdict, correction = null) {
    await this.#alone(async () => {
      const item = this.deciding;
      if (!item) return;
      const request = { item: item.id, verdict, note: this.note.value.trim() };
      if (correction) request.correction = correction;
      this.#sent(item, decide(request, item, { stays: true }));
      this.claims.drop(item.id);
      done.push({ item: item.id, verdict, category: nameOf(item) });
      this.counted(1);
      if (this.results?.id === item.document_id) this.results.update(asDecided(item));
      const last = this.results?.id === item.document_id && this.results.allDecided ? " All of that document is decided." : "";
      await this.present();
      const renamed = correction?.category && !asksKind(item) && correction.category !== item.category ? ` Now: ${titleOf(correction.category)}.` : "";
      this.tell(`${title(VERDICTS[verdict])}: ${nameOf(item)}.${renamed}${last}`);
    });
  }

  /** Show in the list what the server has stored. If it refuses, the banner says why. */
  async #sent(item, answered) {
    const answer = await answered.catch(async (error) => {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) return null; // another person signs in, and the page is opened anew
      done.drop(item.id);
      this.counted(-1);
      return { item: await get(`/v1/items/${item.id}`).catch(() => item) };
    });
    if (answer && this.results?.id === item.document_id) this.results.update(answer.item);
  }

  async skip() {
    await this.#alone(async () => {
      const item = this.deciding;
      if (!item) return;
      await this.claims.skip();
      await this.present();
      this.tell(`Skipped: ${nameOf(item)}.`);
    });
  }

  async undo() {
    if (this.decided && !isMine(this.decided)) {
      this.tell(`Only ${title(this.decided.decided_by)} can undo this decision.`, true);
      return;
    }
    const last = this.decided ? { item: this.decided.id, category: nameOf(this.decided) } : done.all().at(-1);
    if (!last) {
      this.tell("Nothing to undo here. Older decisions are on the Decisions page.");
      return;
    }
    await this.#alone(async () => {
      try {
        const known = this.decided ?? this.results?.rows.find((row) => row.id === last.item);
        const answer = await decide({ item: last.item, verdict: "undo", tab: this.claims.stay }, known ?? last);
        const item = answer?.item ?? (known && asDecided(known));
        if (item?.origin === "person" && item.state !== "claimed") { // what a person added is withdrawn
          done.drop(last.item);
          this.withdrawn(item);
          return;
        }
        if (item && this.results?.id === item.document_id) this.results.update(item);
        if (item) await this.claims.putFirst(item);
      } catch (error) {
        if (error instanceof Problem && (error.code === "not_yours" || error.status === 404 || error.status === 409)) done.drop(last.item);
        throw error;
      }
      done.drop(last.item);
      this.counted(-1);
      await this.present();
      this.tell(`Undone: ${last.category}.`);
    });
  }

  /** Run one action at a time, and show its errors at the buttons. */
  async #alone(work) {
    if (this.busy) return;
    this.busy = true;
    this.panel.classList.add("busy");
    try {
      await work();
    } catch (error) {
      await this.#explain(error);
    } finally {
      this.busy = false;
      this.panel.classList.remove("busy");
    }
  }

  async #explain(error) {
    const gone = error instanceof Problem && ["item_taken", "already_decided", "not_found", "lease_lost"].includes(error.code);
    if (!gone || !this.deciding) {
      this.tell(error.message, true);
      return;
    }
    this.claims.drop(this.deciding.id);
    await this.present();
    this.tell(`${error.message.replace(/\.$/, "")}. This is the next item.`, true);
  }

  tell(text, wrong = false) {
    if (!this.status?.isConnected) return;
    this.status.textContent = text;
    this.status.classList.toggle("wrong", wrong);
  }

  writeNote() {
    this.noteBox.hidden = false;
    this.note.focus();
  }

  // Correcting

  correct() {
    const item = this.deciding;
    if (!item || item.kind !== "clause" || this.correction) return;
    this.correction = new Correction(item, this.viewer, { save: (right) => this.decide("correct", right), close: () => this.stopCorrecting(), tell: (text, wrong) => this.tell(text, wrong) });
    this.body.prepend(this.correction.element);
    this.idle(true);
    this.panel.classList.add("correcting");
    this.choosable();
    if (this.viewer.mode !== "page") this.viewer.setMode("text").catch((error) => this.tell(error.message, true));
    this.correction.input.focus({ preventScroll: true });
    this.body.scrollTop = 0;
    this.tell("");
  }

  /** Disable buttons that have no effect during a correction. */
  idle(yes) {
    for (const button of this.panel.querySelectorAll(".decide button, .minor [aria-keyshortcuts=S], .minor [aria-keyshortcuts=U]")) button.disabled = yes;
  }

  stopCorrecting() {
    this.correction.element.remove();
    this.correction = null;
    this.idle(false);
    this.panel.classList.remove("correcting");
    this.openDocument(this.shown);
    this.main.firstChild.focus();
  }

  // Keys

  key = (event) => {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") this.escape(event);
    else if (event.key === "Enter" && this.correction && this.saves(event)) {
      event.preventDefault();
      this.correction.save();
    }
    else if (!event.ctrlKey && !event.metaKey && !event.altKey && !typing(event)) this.plainKey(event);
  };

  /** Enter saves, but not on a button or link or in a note. */
  saves(event) {
    if (event.ctrlKey || event.metaKey) return true;
    return !event.repeat && !event.altKey && !event.isComposing && !event.target.closest?.("button, a, textarea, select, input:not([role=combobox], .value-input)");
  }

  escape() {
    if (document.activeElement === this.note) {
      if (!this.note.value.trim()) this.noteBox.hidden = true;
      (this.correction ? this.correction.input : this.main.firstChild).focus();
    } else if (this.correction) this.stopCorrecting();
  }

  plainKey(event) {
    const item = this.deciding;
    const anywhere = { u: () => this.claims && this.undo(), m: () => this.comments?.write() };
    const whileCorrecting = { n: () => this.writeNote() };
    const listing = { j: () => (event.shiftKey ? this.openNext() : this.results?.step(1)), k: () => this.results?.step(-1), i: () => this.adder?.ask() };
    for (const number of [1, 2, 3]) listing[number] = () => this.results?.tabs?.chooseAt(number);
    const viewing = {
      t: () => this.viewer.toggle(), "+": () => this.viewer.stepZoom(1), "=": () => this.viewer.stepZoom(1), "-": () => this.viewer.stepZoom(-1),
      0: () => this.viewer.fit(), ArrowLeft: () => this.viewer.step(-1), ArrowRight: () => this.viewer.step(1), h: () => this.shown && this.openDocument(this.shown),
    };
    const deciding = { a: () => this.decide("accept"), r: () => this.decide("reject"), c: () => this.correct(), s: () => this.skip(), n: () => this.writeNote() };
    if (item && asksKind(item)) for (const [key, kind] of Object.entries(KIND_KEYS)) deciding[key] = () => this.setKind(kind);
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = (this.correction ? whileCorrecting[name] : anywhere[name] ?? (item && deciding[name]) ?? listing[name]) ?? (this.viewer.id && viewing[name]);
    if (!act || event.repeat && name in deciding) return;
    event.preventDefault();
    act();
  }

  /** Show the next open result of the list. */
  openNext() {
    const row = this.results?.nextOpen();
    if (row) this.choose(row);
  }
}

const asksKind = (item) => isOfReading(item) && item.category === "document_kind";
const asksPage = (item) => isOfReading(item) && !asksKind(item);

/** The question about the kind of a document. */
const kindBody = (item) => [h("p.message", {}, item.text), proposalOf(item.proposal),
  h("p.asks", {}, "Contracts are searched for clauses. Reports are checked for errors. Other documents are only stored.")];

/** The question about a page whose text looks wrong. */
const pageBody = (item) => [h("p.message", {}, item.text), proposalOf(item.proposal),
  h("p.asks", {}, "Compare the page with its text. Search and checks use only the text."),
  h("p.muted.small", {}, "Accept if the page was misread. Reject if the text matches the page.")];
