// The workspace: one item, its position in the document, and one key for each decision.

import { counts, get, Problem, query } from "/pages/api.js";
import { Combobox } from "/pages/combobox.js";
import { decide, history as done } from "/pages/decide.js";
import * as known from "/pages/document_cache.js";
import { byId, certainty, count, empty, excerpt, failure, fill, flowing, h, kbd, moment, say, scrolls, title, typing } from "/pages/dom.js";
import { distance, findingBody, flagBody, isFlag, isSignal, signalBody } from "/pages/findings.js";
import { boxesOf, Claims } from "/pages/claims.js";
import { proposalOf } from "/pages/proposal.js";
import { arithmetic, boxesOfFinding, period, statementOf, statementTable } from "/pages/statement.js";
import { ownWords } from "/pages/text.js";
import { decidedCategory, decidedText, isMine, verdictOf, verdictPill, VERDICTS } from "/pages/verdicts.js";
import { Viewer } from "/pages/viewer.js";

const KIND_KEYS = { c: "contract", r: "report", o: "other" };
const NEAR = 320; // characters of context shown on each side
const KEYS = [
  ["A", "Accept: the clause is right, the finding is an error, the signal needs attention, the sentence says it"], ["R", "Reject: the clause is wrong, the finding is a false alarm, the signal has a good reason"],
  ["C", "Correct the category or the words"],
  ["C R O", "Set the kind of a document: contract, report or other"], ["↵", "Save the correction"], ["S", "Skip this item for now"],
  ["U", "Undo the last decision"], ["N", "Add a note to the decision"],
  ["T", "Switch between page, text and statement"], ["← →", "Previous page, next page"],
  ["+ − 0", "Zoom in, zoom out, fit"], ["H", "Back to the highlight"], ["Esc", "Close the correction or the note"],
  ["?", "These keys"],
];
let categories = null;

export async function show({ params, go, replace }) {
  categories ??= await get("/v1/items/categories");
  const workspace = new Workspace({ params, go, replace });
  await workspace.begin();
  return { title: "Review", element: workspace.element, leave: () => workspace.leave(), wide: true };
}

class Workspace {
  constructor({ params, go, replace }) {
    this.go = go;
    this.replace = replace;
    this.filters = Object.fromEntries(["kind", "document", "category"].filter((n) => params.get(n)).map((n) => [n, params.get(n)]));
    this.wanted = params.get("item");
    this.claims = new Claims(this.filters);
    this.viewer = new Viewer({ onselect: (span) => span && this.moveSpan(span) });
    this.busy = false;
    this.panel = h("section.panel", { "aria-label": "The item" });
    this.element = h("div.workspace.deciding", {}, this.viewer.element, this.panel);
    this.back = (event) => { if (event.persisted) location.reload(); };
    document.addEventListener("keydown", this.key);
    window.addEventListener("pageshow", this.back);
  }

  leave() {
    document.removeEventListener("keydown", this.key);
    window.removeEventListener("pageshow", this.back);
    this.claims.close();
    this.viewer.close();
  }

  async begin() {
    this.tally = await counts();
    try {
      const wanted = this.wanted && await get(`/v1/items/${encodeURIComponent(this.wanted)}`);
      if (wanted?.state === "decided") {
        await this.showDecided(wanted);
        return;
      }
      if (wanted) await this.claims.take(this.wanted);
      await this.present();
      this.recount();
    } catch (error) {
      if (error instanceof Problem && (error.status === 409 || error.status === 404)) this.refused(error);
      else throw error;
    }
  }

  refused(error) {
    fill(this.element, failure(error), h("div.row.centre.below", {},
      h("button.primary", { type: "button", onclick: () => this.go("/review") }, "Review the next item"),
      h("a.button", { href: "/" }, "Back to the queue")));
  }

  /** A decided item. The reviewer who decided it can undo that here. */
  async showDecided(item) {
    this.decided = item;
    const finding = item.kind === "finding";
    const mine = isMine(item);
    this.status = h("p.status", { role: "status" });
    fill(this.panel,
      h("div.panel-top", {},
        h("div.row.apart", {}, h("span.kind", {}, kindOf(item)), verdictPill(item)),
        h("h1.category", {}, decidedCategory(item, nameOf(item))),
        h("a.where", { href: `/documents/${item.document_id}` }, item.document || item.document_id)),
      h("div.panel-body", { tabindex: "0", role: "region", "aria-label": "Decision" },
        h("p.asks", {}, `${mine ? "You" : title(item.decided_by)} ${item.absent ? "confirmed this as absent" : `${verdictOf(item)} this`} on ${moment(item.decided)}.${mine ? "" : ` Only ${title(item.decided_by)} can undo it.`}`),
        item.absent ? h("p", {}, "No clause of this type.") : h("blockquote.quote", {}, decidedText(item, 2000)), finding && !isOfReading(item) && !isSignal(item) && !isFlag(item) && arithmetic(item.finding ?? {})),
      h("div.panel-foot", {}, this.status, h("div.row", {},
        mine && h("button.primary", { type: "button", onclick: () => this.undo(), "aria-keyshortcuts": "U" }, "Undo", kbd("U")),
        h("button", { type: "button", onclick: () => this.go("/review") }, "Review the next item"), h("a.button", { href: "/" }, "Back to the queue"))));
    say(`${nameOf(item)}: ${verdictOf(item)}.`);
    const right = item.correction ?? item;
    const span = right.start === null ? null : { start: right.start, end: right.end };
    await this.openDocument({ ...item, boxes: span && span.start !== item.start ? await boxesOf(item, span) : item.boxes, ...span, page: right.page ?? item.page });
  }

  /** Show the current item, or that no item is open. */
  async present() {
    const item = await this.claims.next();
    this.correcting = null;
    this.decided = null;
    this.viewer.selecting = false;
    if (!item) {
      this.nothing();
      return;
    }
    if (this.element.firstChild !== this.viewer.element) fill(this.element, this.viewer.element, this.panel);
    this.replace(query("/review", { item: item.id, ...this.filters }));
    this.draw(item);
    await this.openDocument(item);
  }

  async openDocument(item) {
    const span = item.start === null ? null : { start: item.start, end: item.end, omitted: item.omitted };
    const statement = item.kind === "finding" && item.finding?.statement ? await this.statement(item) : null;
    if ((this.decided ?? this.claims.current)?.id !== item.id) return;
    const boxes = item.finding ? boxesOfFinding(item.boxes, item.finding) : item.boxes;
    await this.viewer.open({ id: item.document_id, boxes, span, page: item.page, statement: statement && statementTable(statement, item.finding) });
    const column = statement?.columns?.[item.finding.column];
    if (column && this.columnFact) this.columnFact.textContent = period(column);
  }

  async statement(item) {
    try {
      return await statementOf(item.document_id, item.finding);
    } catch (error) {
      if (error instanceof Problem) return null; // its text is shown instead
      throw error;
    }
  }

  nothing() {
    this.replace(query("/review", this.filters));
    const again = () => { this.claims.forgetSkipped(); this.present(); };
    const skipped = this.claims.skipped.size > 0;
    const filtered = Object.keys(this.filters).length > 0;
    fill(this.element, empty("No items to review here",
      [skipped ? "You skipped items in this tab." : "", this.tally.claimed ? `${count(this.tally.claimed, "item is", "items are")} being reviewed in other tabs or by colleagues.` : skipped ? "" : "Everything is decided."].join(" ").trim(),
      skipped && h("button.primary", { type: "button", onclick: again }, "Review skipped items"),
      filtered && h("button", { type: "button", onclick: () => this.go("/review") }, "Review the whole queue"),
      done.all().length > 0 && h("button", { type: "button", onclick: () => this.undo() }, "Undo the last decision", kbd("U")),
      h("a.button", { href: "/" }, "Back to the queue")));
    say("No items to review.");
  }

  draw(item) {
    const pressed = this.panel.contains(document.activeElement) ? document.activeElement.getAttribute("aria-keyshortcuts") : null;
    const finding = item.kind === "finding";
    this.note = h("textarea", { rows: 2, maxlength: 4000, "aria-label": "Note", placeholder: "Why? The note is stored with the decision." });
    this.noteBox = h("div.note", { hidden: true }, this.note);
    this.status = h("p.status", { role: "status" });
    this.form = h("div.correction", { hidden: true });
    const body = asksKind(item) ? kindBody(item) : asksPage(item) ? pageBody(item) : finding ? this.findingBody(item) : this.clauseBody(item);
    this.body = h(finding ? "div.panel-body" : "div.panel-body.fitted", { tabindex: "0", "aria-label": "Result", role: "region" }, this.form, body);
    fill(this.panel,
      h("div.panel-top", {},
        h("div.row.apart", {}, h("span.kind", {}, kindOf(item)), this.progress()),
        h("h1.category", {}, nameOf(item)),
        h("div.row.apart.place", {}, isSignal(item) ? distance(item) : certainty(item.confidence),
          h("a.where", { href: `/documents/${item.document_id}`, title: item.document || item.document_id }, item.document || item.document_id))),
      this.body,
      h("div.panel-foot", {}, this.status, this.noteBox, this.buttons(item)));
    if (pressed) this.panel.querySelector(`[aria-keyshortcuts="${CSS.escape(pressed)}"]`)?.focus();
    say(`${nameOf(item)}, ${Math.round(item.confidence * 100)} percent sure. ${excerpt(ownWords(item), 300)}`);
  }

  /** The question, a proposal, and the clause in its context. */
  clauseBody(item) {
    const asks = categories.find((one) => one.name === item.category)?.asks;
    const before = item.before.length > NEAR ? `… ${item.before.slice(-NEAR).replace(/^\S{0,80}\s+/, "")}` : item.before;
    const after = item.after.length > NEAR ? `${item.after.slice(0, NEAR).replace(/\s+\S{0,80}$/, "")} …` : item.after;
    const found = h("mark", {}, flowing(ownWords(item)));
    const passage = h("blockquote.quote", {}, h("span.context", {}, flowing(before)), found, h("span.context", {}, flowing(after)));
    return [asks && h("p.asks", {}, asks), proposalOf(item.proposal),
      scrolls(h("div.passage", { role: "group", "aria-label": "The clause in its context" }, passage), found)];
  }

  findingBody(item) {
    this.columnFact = null;
    if (isSignal(item)) return signalBody(item);
    if (isFlag(item)) return flagBody(item);
    const body = findingBody(item, proposalOf(item.proposal));
    this.columnFact = body.period;
    return body.parts;
  }

  /** Set the kind of the document. */
  setKind(kind) {
    return kind === this.claims.current.finding.kind ? this.decide("accept") : this.decide("correct", { category: kind });
  }

  progress() {
    const { mine_since: mine, decided_since: all, waiting, claimed } = this.tally;
    const open = waiting + claimed;
    const bar = h("span.progress", { "aria-hidden": "true" }, h("span.progress-fill"));
    bar.firstChild.style.inlineSize = `${all + open ? (100 * all) / (all + open) : 0}%`;
    this.tallyBox = h("span.tally", { title: `${count(all, "decision")} by all reviewers today, ${open} open` }, bar,
      h("span.figure", {}, `${mine} today`), h("span.muted", {}, `${waiting} waiting`), h("span.muted", {}, `${claimed} being reviewed`));
    return this.tallyBox;
  }

  buttons(item) {
    const finding = item.kind === "finding";
    const act = (kind, key, text, onclick, title) => h(`button.${kind}`, { type: "button", onclick, title, "aria-keyshortcuts": key }, text, kbd(key));
    const kinds = Object.entries(KIND_KEYS).map(([key, kind]) => act(kind === item.finding?.kind ? "good" : "plain", key.toUpperCase(), title(kind), () => this.setKind(kind), `The document is ${kind === "other" ? "neither" : `a ${kind}`}`));
    this.main = asksKind(item) ? h("div.decide", {}, kinds) : h("div.decide", {},
      act("good", "A", "Accept", () => this.decide("accept"), isSignal(item) ? "It needs attention" : isFlag(item) ? "The report says this about its company" : asksPage(item) ? "The page was read badly" : finding ? "The report is wrong here" : "The clause is right"),
      act("bad", "R", "Reject", () => this.decide("reject"), isSignal(item) ? "It has a good reason" : isFlag(item) ? "It says something else" : asksPage(item) ? "The text matches the page" : finding ? "A false alarm" : "The clause is wrong"),
      !finding && act("plain", "C", "Correct", () => this.correct(), "Change the category or the words"));
    return [this.main, h("div.row.apart.minor", {},
      h("div.row", {}, act("quiet", "S", "Skip", () => this.skip()), act("quiet", "U", "Undo", () => this.undo()), act("quiet", "N", "Note", () => this.writeNote())),
      act("quiet", "?", "Keys", help))];
  }

  async decide(verdict, correction = null) {
    await this.#alone(async () => {
      const item = this.claims.current;
      const request = { item: item.id, verdict, note: this.note.value.trim() };
      if (correction) request.correction = correction;
      await decide(request);
      this.claims.drop(item.id);
      done.push({ item: item.id, verdict, category: nameOf(item) });
      this.tally.mine_since += 1;
      this.tally.decided_since += 1;
      this.tally.waiting = Math.max(0, this.tally.waiting - 1);
      await this.present();
      this.tell(`${title(VERDICTS[verdict])}: ${nameOf(item)}.`);
      this.recount();
    });
  }

  /** Update the counts. An item claimed in advance counts as waiting. */
  recount() {
    this.claims.settled().then(() => counts()).then((fresh) => {
      const ahead = this.claims.items.slice(1).length;
      this.tally = { ...fresh, waiting: fresh.waiting + ahead, claimed: fresh.claimed - ahead };
      this.tallyBox?.replaceWith(this.progress());
    }, () => {});
  }

  async skip() {
    await this.#alone(async () => {
      const item = this.claims.current;
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
      this.tell("Nothing to undo in this tab. You can undo older decisions on the page Decisions.");
      return;
    }
    await this.#alone(async () => {
      try {
        const answer = await decide({ item: last.item, verdict: "undo", tab: this.claims.stay });
        if (answer.item.origin === "person" && answer.item.state !== "claimed") { // what a person added is withdrawn
          done.drop(last.item);
          this.go(`/documents/${answer.item.document_id}`);
          return;
        }
        await this.claims.putFirst(answer.item);
      } catch (error) {
        if (error instanceof Problem && (error.code === "not_yours" || error.status === 404 || error.status === 409)) done.drop(last.item);
        throw error;
      }
      done.drop(last.item);
      this.tally.mine_since = Math.max(0, this.tally.mine_since - 1);
      this.tally.decided_since = Math.max(0, this.tally.decided_since - 1);
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
    if (!gone || !this.claims.current) {
      this.tell(error.message, true);
      return;
    }
    this.claims.drop(this.claims.current.id);
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
    const item = this.claims.current;
    if (!item || item.kind !== "clause" || this.correcting) return;
    const span = { start: item.start, end: item.end };
    this.correcting = { item, category: item.category, span, text: item.text };
    const combobox = new Combobox("Category", withOwn(item.category), (name) => { this.correcting.category = name; this.drawCorrection(); this.save.focus(); });
    combobox.set(item.category);
    this.preview = h("blockquote.quote.new");
    this.save = h("button.primary", { type: "button", onclick: () => this.saveCorrection(), title: "Save (Enter)", "aria-keyshortcuts": "Enter" }, "Save the correction", kbd("↵"));
    const nudge = (edge, step, label, sign) => h("button.quiet", { type: "button", "aria-label": label, title: label, onclick: (event) => this.nudge(edge, step, event.detail > 0) }, sign);
    fill(this.form, h("h2", {}, "Correction"), combobox.element,
      h("div.row.apart", {}, h("span.label", {}, "Words"), h("span.muted", {}, "select them in the document")),
      this.preview,
      h("div.row.apart.nudges", {},
        h("span.row.tight", {}, "Begin", nudge("start", -1, "Begin a word earlier", "‹"), nudge("start", 1, "Begin a word later", "›")),
        h("span.row.tight", {}, "End", nudge("end", -1, "End a word earlier", "‹"), nudge("end", 1, "End a word later", "›"))),
      h("div.row", {}, this.save, h("button", { type: "button", onclick: () => this.stopCorrecting() }, "Cancel", kbd("Esc"))));
    this.form.hidden = false;
    this.idle(true);
    this.panel.classList.add("correcting");
    this.viewer.selecting = true;
    if (this.viewer.mode !== "page") this.viewer.setMode("text").catch((error) => this.tell(error.message, true));
    this.drawCorrection();
    combobox.input.focus({ preventScroll: true });
    this.body.scrollTop = 0;
    this.tell("");
  }

  drawCorrection() {
    const { item, category, span, text } = this.correcting;
    this.preview.textContent = flowing(text);
    this.save.disabled = category === item.category && span.start === item.start && span.end === item.end;
  }

  async nudge(edge, step, clicked) {
    if (!this.correcting) return;
    const text = await known.text(this.correcting.item.document_id);
    if (!this.correcting) return;
    await this.moveSpan(text.moved(this.correcting.span, edge, step));
    if (clicked && this.correcting) this.save.focus({ preventScroll: true }); // so that Enter saves
  }

  async moveSpan(span) {
    const { correcting } = this;
    if (!correcting) return;
    const text = await known.text(correcting.item.document_id);
    correcting.span = span;
    correcting.text = text.slice(span.start, span.end);
    this.drawCorrection();
    document.getSelection().removeAllRanges();
    await this.viewer.mark({ span });
    const boxes = await boxesOf(correcting.item, span).catch(() => null);
    if (boxes && this.correcting === correcting && correcting.span === span) await this.viewer.mark({ boxes });
  }

  async saveCorrection() {
    const { item, category, span, text } = this.correcting;
    if (this.save.disabled) {
      this.tell("Nothing is changed yet. Choose another category or select other words.", true);
      return;
    }
    const right = { category };
    if (span.start !== item.start || span.end !== item.end) Object.assign(right, { ...span, text });
    await this.decide("correct", right);
  }

  /** Disable buttons that have no effect during a correction. */
  idle(yes) {
    for (const button of this.panel.querySelectorAll(".decide button, .minor [aria-keyshortcuts=S], .minor [aria-keyshortcuts=U]")) button.disabled = yes;
  }

  stopCorrecting() {
    const item = this.claims.current;
    this.correcting = null;
    this.viewer.selecting = false;
    this.form.hidden = true;
    this.idle(false);
    this.panel.classList.remove("correcting");
    this.openDocument(item);
    this.main.firstChild.focus();
  }

  // Keys

  key = (event) => {
    if (event.defaultPrevented || byId("dialog")?.open) return;
    if (event.key === "Escape") this.escape(event);
    else if (event.key === "Enter" && this.correcting && this.saves(event)) {
      event.preventDefault();
      this.saveCorrection();
    }
    else if (!event.ctrlKey && !event.metaKey && !event.altKey && !typing(event)) this.plainKey(event);
  };

  /** Enter saves, but not on a button or link or in a note. */
  saves(event) {
    if (event.ctrlKey || event.metaKey) return true;
    return !event.repeat && !event.altKey && !event.isComposing && !event.target.closest?.("button, a, textarea, select, input:not([role=combobox])");
  }

  escape() {
    if (document.activeElement === this.note) {
      if (!this.note.value.trim()) this.noteBox.hidden = true;
      (this.correcting ? this.form.querySelector("input") : this.main.firstChild).focus();
    } else if (this.correcting) this.stopCorrecting();
  }

  plainKey(event) {
    const item = this.claims.current;
    const anywhere = { u: () => this.undo(), "?": help };
    const whileCorrecting = { n: () => this.writeNote(), "?": help };
    const viewing = {
      t: () => this.viewer.toggle(), "+": () => this.viewer.stepZoom(1), "=": () => this.viewer.stepZoom(1), "-": () => this.viewer.stepZoom(-1),
      0: () => this.viewer.fit(), ArrowLeft: () => this.viewer.step(-1), ArrowRight: () => this.viewer.step(1),
      h: () => (item ? this.openDocument(item) : this.showDecided(this.decided)),
    };
    const deciding = {
      a: () => this.decide("accept"), r: () => this.decide("reject"), c: () => this.correct(), s: () => this.skip(), n: () => this.writeNote(),
    };
    if (item && asksKind(item)) for (const [key, kind] of Object.entries(KIND_KEYS)) deciding[key] = () => this.setKind(kind);
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = (this.correcting ? whileCorrecting[name] : anywhere[name] ?? (item && deciding[name])) ?? ((item ?? this.decided) && viewing[name]);
    if (!act || event.repeat && name in deciding) return;
    event.preventDefault();
    act();
  }
}

/** Whether the item asks about the document, not about a result. */
const isOfReading = (item) => item.stage === "ingest";
const asksKind = (item) => isOfReading(item) && item.category === "document_kind";
const asksPage = (item) => isOfReading(item) && !asksKind(item);

/** The question about the kind of a document. */
const kindBody = (item) => [h("p.message", {}, item.text), proposalOf(item.proposal),
  h("p.asks", {}, "Contracts are searched for clauses. Reports are checked for errors. Other documents are only stored.")];

/** The question about a page whose text looks wrong. */
const pageBody = (item) => [h("p.message", {}, item.text), proposalOf(item.proposal),
  h("p.asks", {}, "Compare the page with its text. Search and checks use only the text."),
  h("p.muted.small", {}, "Accept if the text is wrong. Reject if the text matches the page.")];

const kindOf = (item) => (isOfReading(item) ? "Question" : isSignal(item) ? "Signal" : isFlag(item) ? "Sentence" : title(item.kind));

const nameOf = (item) => (isSignal(item) || isFlag(item) ? item.finding.title : item.kind === "finding" ? title(item.category) : item.category);

function withOwn(category) {
  return categories.some((one) => one.name === category) ? categories : [{ name: category, asks: "as found" }, ...categories];
}

function help() {
  const dialog = byId("dialog") ?? document.body.appendChild(h("dialog", { id: "dialog", "aria-label": "Keys" }));
  fill(dialog, h("h2", {}, "Keys"), h("dl.keys", {}, KEYS.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)))),
    h("form", { method: "dialog" }, h("button.primary", {}, "Close")));
  dialog.showModal();
}
