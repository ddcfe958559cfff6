// The items that this tab has claimed: the current one, and the next one, loaded in advance.
// A heartbeat renews the leases while the reviewer is active. Leaving releases them at once.

import { get, Offline, post, Problem } from "/pages/api.js";
import * as known from "/pages/document_cache.js";
import { claim, enter, leave } from "/pages/tab_session.js";
import { recall, remember } from "/pages/tab_storage.js";
import { waiting } from "/pages/undelivered.js";

const IDLE = 15 * 60_000; // without input for so long, the leases are not renewed
const SKIPPED = "skipped";

export class Claims {
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

  /** Claim one item and make it the current one. Without a connection the known `row` is taken, and claimed later. */
  async take(id, row = null) {
    const item = await claim({ item: id }, this.stay).catch((error) => {
      if (row && error instanceof Offline) return { ...row, lease: null };
      throw error;
    });
    this.items = [item, ...this.items.filter((other) => other.id !== item.id)];
    this.skipped.delete(id);
    load(item);
    return item;
  }

  /** The next item; null if none is waiting. Claims one more in advance. */
  async next() {
    if (!this.items.length) await this.#claimOne();
    if (this.items.length) this.ahead();
    return this.current;
  }

  /** Claim one more item in advance. Errors are ignored. */
  ahead() {
    if (this.items.length < 2 && !this.closed) this.#claimOne().catch(() => {});
  }

  /** Resolves after the claim that is in progress, if any. */
  settled() {
    return Promise.resolve(this.fetching).catch(() => {});
  }

  #claimOne() {
    this.fetching ??= this.#claim().finally(() => { this.fetching = null; });
    return this.fetching;
  }

  async #claim() {
    const skip = [...this.skipped, ...this.items.map((item) => item.id), ...waiting().map((one) => one.decision.item)].slice(-500);
    const item = await claim({ ...this.filters, skip }, this.stay);
    if (!item || this.closed) return;
    this.items.push(item);
    load(item);
  }

  /** Release all items but one. */
  async release(id) {
    const others = this.items.filter((item) => item.id !== id);
    this.items = this.items.filter((item) => item.id === id);
    await Promise.all(others.map((item) => release(item).catch(() => {})));
  }

  /** Remove an item that is decided or taken by others. */
  drop(id) {
    this.items = this.items.filter((item) => item.id !== id);
  }

  /** Release the current item. This tab does not offer it again until the others are done. */
  async skip() {
    const item = this.current;
    this.drop(item.id);
    this.skipped.add(item.id);
    remember(SKIPPED, [...this.skipped].slice(-400));
    await release(item).catch((error) => { if (!(error instanceof Offline)) throw error; });
  }

  forgetSkipped() {
    this.skipped.clear();
    remember(SKIPPED, []);
  }

  /** Make an undone item the current one. At most two items stay claimed. */
  async putFirst(item) {
    if (!item.lease) { // the server had closed this tab, or is not reached
      await this.take(item.id, item);
      return;
    }
    this.items = [item, ...this.items.filter((other) => other.id !== item.id)];
    load(item);
    while (this.items.length > 2) release(this.items.pop()).catch(() => {});
  }

  async #beat() {
    if (this.closed) return;
    if (Date.now() - this.touched < IDLE) await Promise.all(this.items.map((item) => this.#keep(item)));
    const ends = Math.min(...this.items.flatMap((item) => (item.lease ? Date.parse(item.lease.until) : [])), Date.now() + 180_000);
    const wait = Math.min(60_000, Math.max(1_000, (ends - Date.now()) / 3));
    if (!this.closed) this.timer = setTimeout(() => this.#beat(), wait);
  }

  async #keep(item) {
    try {
      item.lease = (item.lease ? await post(`/v1/items/${item.id}/keep`) : await claim({ item: item.id }, this.stay)).lease;
    } catch (error) {
      // Drop the item in advance. For the current one, the decision reports the error.
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

const release = async (item) => item.lease && post(`/v1/items/${item.id}/release`, { number: item.lease.number });

/** Load the document of an item in advance. */
function load(item) {
  known.info(item.document_id).then((details) => {
    if (known.hasPictures(details)) known.image(item.document_id, item.page ?? details.pages[0]?.number ?? 1);
    else if (item.kind === "clause") known.text(item.document_id).catch(() => {});
  }).catch(() => {});
}

export const boxesOf = (item, span) => get(`/v1/items/${item.id}/boxes?start=${span.start}&end=${span.end}`);
