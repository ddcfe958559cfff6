// The queue as a mode of the workbench: the next item of any document.

import { actor, counts, get, nextAnswer, Offline, Problem, query } from "/pages/api.js";
import { deliver, history as done } from "/pages/decide.js";
import { count, emptyPage, failure, fill, h, kbd, say } from "/pages/dom.js";
import { KEYS, Workbench } from "/pages/workbench.js";

const FILTERS = ["kind", "document", "category", "assignee", "q"];

export async function show({ params, go, replace }) {
  const queue = new Queue({ go, replace, filters: Object.fromEntries(FILTERS.filter((name) => params.get(name)).map((name) => [name, params.get(name)])) });
  await queue.begin(params.get("item"));
  return { title: "Review", element: queue.element, leave: () => queue.leave(), wide: true, keys: KEYS };
}

class Queue extends Workbench {
  async begin(id) {
    this.tally = await counts();
    try {
      const wanted = id && await get(`/v1/items/${encodeURIComponent(id)}`);
      if (wanted?.state === "decided") {
        await this.showDecided(wanted);
        return;
      }
      if (wanted) await this.claims.take(id);
      await this.present();
      this.recount();
    } catch (error) {
      if (error instanceof Problem && (error.status === 409 || error.status === 404)) this.refused(error);
      else throw error;
    }
  }

  /** The next item of the queue; without a connection one of this document. */
  async next() {
    try {
      return await super.next();
    } catch (error) {
      if (!(error instanceof Offline)) throw error;
      const of = (name) => name && name !== actor().name; // somebody else's
      const row = this.results?.nextOpen(new Set([...this.claims.skipped, ...this.results.rows.filter((one) => of(one.assignee) || of(one.lease?.holder)).map((one) => one.id)]));
      if (row) return this.claims.take(row.id, row);
      nextAnswer().then(() => this.element.isConnected && !this.claims.current && this.present());
      throw error;
    }
  }

  refused(error) {
    fill(this.element, failure(error, null, ...this.onward()));
  }

  onward() {
    return [h("button", { type: "button", onclick: () => this.go("/review") }, "Review the next item"), h("a.button", { href: "/" }, "Back to the queue")];
  }

  address(item) {
    return query("/review", { item: item.id, ...this.filters });
  }

  nothing() {
    this.replace(query("/review", this.filters));
    const again = () => { this.claims.forgetSkipped(); this.present(); };
    const skipped = this.claims.skipped.size > 0;
    const filtered = Object.keys(this.filters).length > 0;
    const others = this.tally.waiting > 0 ? `${count(this.tally.waiting, "item waits", "items wait")} for other people${filtered ? " or do not match" : ""}.` : "Everything is decided.";
    fill(this.element, emptyPage("No items left for you",
      [skipped ? "You skipped items in this tab." : "", this.tally.claimed ? `${count(this.tally.claimed, "item is", "items are")} being reviewed in other tabs or by colleagues.` : skipped ? "" : others].join(" ").trim(),
      skipped && h("button.primary", { type: "button", onclick: again }, "Review skipped items"),
      filtered && h("button", { type: "button", onclick: () => this.go("/review") }, "Review the whole queue"),
      done.all().length > 0 && h("button", { type: "button", onclick: () => this.undo() }, "Undo the last decision", kbd("U")),
      h("a.button", { href: "/" }, "Back to the queue")));
    say("No items to review.");
  }

  drawBar() {
    super.drawBar(this.progress());
  }

  withdrawn(item) {
    this.go(`/documents/${item.document_id}`);
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

  /** Count decisions, or one less after an undo. */
  counted(by) {
    for (const name of ["mine_since", "decided_since"]) this.tally[name] = Math.max(0, this.tally[name] + by);
    if (by > 0) this.tally.waiting = Math.max(0, this.tally.waiting - 1);
    this.recount();
  }

  /** Update the counts once what was decided is sent. An item claimed in advance counts as waiting. */
  recount() {
    Promise.all([deliver(), this.claims.settled()]).then(() => counts()).then((fresh) => {
      const ahead = this.claims.items.slice(1).length;
      this.tally = { ...fresh, waiting: fresh.waiting + ahead, claimed: fresh.claimed - ahead };
      this.tallyBox?.replaceWith(this.progress());
    }, () => {});
  }
}
