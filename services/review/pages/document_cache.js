// A cache of page sizes, texts and page images, so that the next item shows at once.

import { get, may, query, Problem } from "/pages/api.js";
import { Text } from "/pages/text.js";

class Recent {
  constructor(most) {
    this.most = most;
    this.kept = new Map();
  }

  get(key, make) {
    const value = this.kept.get(key) ?? make();
    this.kept.delete(key);
    this.kept.set(key, value);
    if (this.kept.size > this.most) this.kept.delete(this.kept.keys().next().value);
    return value;
  }

  drop(key) {
    this.kept.delete(key);
  }
}

const infos = new Recent(20);
const texts = new Recent(4);
const images = new Recent(16);
const wordBlocks = new Recent(12);
const BLOCK = 10; // pages whose words come at once

const PATIENCE = 30_000; // milliseconds for which a page image is retried

const path = (id, rest) => `/v1/documents/${encodeURIComponent(id)}/${rest}`;

/** Pages with sizes and offsets; an empty list if the document has not been read. */
export function info(id) {
  return infos.get(id, () => remembering(infos, id, (may("review") ? get(query("/v1/items/pages", { document: id })) : infoOfIngest(id))
    .catch((error) => {
      if (error instanceof Problem && [404, 409].includes(error.status)) {
        return { id, name: "", kind: "", media_type: "", page_count: 0, pages: [] };
      }
      throw error;
    }).then((details) => {
      if (!details.page_count) infos.drop(id); // read it again later
      return details;
    })));
}

/** The same from ingest, for those who may not review. */
async function infoOfIngest(id) {
  const [details, { items, complete }] = await Promise.all([get(`/v1/documents/${encodeURIComponent(id)}`), get(path(id, "pages"))]);
  return { ...details, page_count: complete ? details.pages : 0, pages: items.map((one) => ({ ...one, number: one.page })) };
}

/** The document's text. */
export function text(id) {
  return texts.get(id, () => remembering(texts, id, get(path(id, "text"), { text: true }).then((s) => new Text(s))));
}

/** The words of a page with their places, in points. */
export async function words(id, page) {
  const first = page - ((page - 1) % BLOCK);
  const key = `${id}/${first}`;
  const items = await wordBlocks.get(key, () => remembering(wordBlocks, key, get(query(path(id, "words"), { page: first })).then((answer) => answer.items)));
  return items.find((one) => one.page === page)?.words ?? [];
}

function remembering(cache, key, promise) {
  promise.catch(() => cache.drop(key));
  return promise;
}

/** The image element of a page; with a scale of 2 it has double the pixels in each direction. */
export function image(id, number, scale = 1) {
  const key = `${id}/${number}/${scale}`;
  return images.get(key, () => {
    const picture = new Image();
    picture.alt = "";
    picture.draggable = false;
    picture.decoding = "async";
    const address = path(id, `pages/${number}.png${scale > 1 ? `?scale=${scale}` : ""}`);
    let asked = false;
    picture.addEventListener("error", async (event) => {
      if (asked) return images.drop(key);
      asked = true;
      event.stopImmediatePropagation(); // retry before the viewer sees the error
      if (await drawn(address)) picture.src = address;
      else picture.dispatchEvent(new Event("error"));
    });
    picture.src = address;
    return picture;
  });
}

/** Retry a page image while the server is busy (429). Returns whether it is available. */
async function drawn(address) {
  const until = Date.now() + PATIENCE;
  for (;;) {
    const answer = await fetch(address).catch(() => null);
    if (answer?.status !== 429 || Date.now() > until) {
      await answer?.blob().catch(() => null);
      return Boolean(answer?.ok);
    }
    const seconds = Number(answer.headers.get("retry-after")) || 1;
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
  }
}

export const hasPictures = (known) => /^(application\/pdf|image\/.*)$/.test(known.media_type);

/** The boxes of words on a page, one for each line; none if the places of its words are unknown. */
export async function boxes(id, page, span) {
  const found = [];
  for (const { start, end, x0, y0, x1, y1 } of await words(id, page).catch(() => [])) {
    if (start >= span.end || end <= span.start) continue;
    const line = found.at(-1);
    if (line && x0 >= line.x1 && y0 < line.y1 && y1 > line.y0) Object.assign(line, { x1, y0: Math.min(y0, line.y0), y1: Math.max(y1, line.y1) });
    else found.push({ page, x0, y0, x1, y1 });
  }
  return found;
}
