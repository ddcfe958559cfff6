// The items that this tab holds: the one on the table, and the next one, claimed and loaded ahead.
// A heartbeat keeps them while somebody works here; leaving gives them back at once.

import { get, post, Problem } from "/pages/api.js";
import * as known from "/pages/documents-known.js";
import { claim, enter, leave } from "/pages/stay.js";
import { recall, remember } from "/pages/tab.js";

const IDLE = 15 * 60_000; // without a touch for so long, leases run out by themselves
const SKIPPED = "skipped";

export class Held {
  constructor(filters) {
    this.filters = filters;
    this.items = [];
    this.stay = enter();
    this.skipped = new Set(recall(SKIPPED));
    this.touched = Date.now();
    this.fetching = null;
    this.closed = false;
    this.touch = () => { this.touched = Date.now(); };
    for (const name of ["pointerdown", "keydown", "wheel"]) window.addEventListener(name, this.touch, { passive: true });
    this.timer = setTimeout(() => this.#beat(), 20_000);
  }

  get current() {
    return this.items[0] ?? null;
  }

  /** Claim this very item and put it on the table. */
  async take(id) {
    const item = await claim({ item: id }, this.stay);
    this.items = [item, ...this.items.filter((other) => other.id !== item.id)];
    this.skipped.delete(id);
    load(item);
    return item;
  }

  /** The next item on the table; null if nothing waits. Claims ahead. */
  async next() {
    if (!this.items.length) await this.#claimOne();
    if (this.items.length) this.ahead();
    return this.current;
  }

  /** Claim one more, quietly, so that it shows at once later. */
  ahead() {
    if (this.items.length < 2 && !this.closed) this.#claimOne().catch(() => {});
  }

  #claimOne() {
    this.fetching ??= this.#claim().finally(() => { this.fetching = null; });
    return this.fetching;
  }

  async #claim() {
    const skip = [...this.skipped, ...this.items.map((item) => item.id)].slice(-500);
    const item = await claim({ ...this.filters, skip }, this.stay);
    if (!item || this.closed) return;
    this.items.push(item);
    load(item);
  }

  /** What is decided, or taken by others, leaves the table. */
  drop(id) {
    this.items = this.items.filter((item) => item.id !== id);
  }

  /** Not now: the item goes back, and isn't offered again in this tab until all others are done. */
  async skip() {
    const item = this.current;
    this.drop(item.id);
    this.skipped.add(item.id);
    remember(SKIPPED, [...this.skipped].slice(-400));
    await giveBack(item);
  }

  forgetSkipped() {
    this.skipped.clear();
    remember(SKIPPED, []);
  }

  /** An undone item comes back in front; with three in hand the last one goes back. */
  async putFirst(item) {
    if (!item.lease) { // its tab was taken to have left
      await this.take(item.id);
      return;
    }
    this.items = [item, ...this.items.filter((other) => other.id !== item.id)];
    load(item);
    while (this.items.length > 2) giveBack(this.items.pop()).catch(() => {});
  }

  async #beat() {
    if (this.closed) return;
    if (Date.now() - this.touched < IDLE) await Promise.all(this.items.map((item) => this.#keep(item)));
    const ends = Math.min(...this.items.map((item) => Date.parse(item.lease.until)), Date.now() + 180_000);
    const wait = Math.min(60_000, Math.max(1_000, (ends - Date.now()) / 3));
    if (!this.closed) this.timer = setTimeout(() => this.#beat(), wait);
  }

  async #keep(item) {
    try {
      item.lease = (await post(`/v1/items/${item.id}/keep`)).lease;
    } catch (error) {
      // One that waits behind is simply gone; for the one on the table, deciding will say so.
      if (error instanceof Problem && item !== this.current) this.drop(item.id);
    }
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    for (const name of ["pointerdown", "keydown", "wheel"]) window.removeEventListener(name, this.touch);
    this.items = [];
    leave(this.stay);
  }
}

const giveBack = (item) => post(`/v1/items/${item.id}/release`, { number: item.lease.number });

/** Fetch what the item will need when it is shown. */
function load(item) {
  known.info(item.document_id).then((details) => {
    if (known.hasPictures(details)) known.image(item.document_id, item.page ?? details.pages[0]?.number ?? 1);
    else if (item.kind === "clause") known.text(item.document_id).catch(() => {});
  }).catch(() => {});
}

export const boxesOf = (item, span) => get(`/v1/items/${item.id}/boxes?start=${span.start}&end=${span.end}`);
