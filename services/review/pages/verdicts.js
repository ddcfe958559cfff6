// The words for verdicts.

import { actor } from "/pages/api.js";
import { excerpt, h, moment } from "/pages/dom.js";
import { titleOf } from "/pages/names.js";
import { ownWords } from "/pages/text.js";

export const VERDICTS = { accept: "accepted", reject: "rejected", correct: "corrected", undo: "undone" };

/** The verdict about an item, or of a decision: `accepted`, or `added` for a clause that a person added. */
export function verdictOf(one) {
  if (one.origin !== "person" || one.verdict !== "accept") return VERDICTS[one.verdict];
  return one.absent ? "confirmed absent" : "added";
}

/** The verdict as a pill: "rejected · ada". */
export function verdictPill(item) {
  return h("span.pill", { class: item.verdict, title: moment(item.decided) }, `${verdictOf(item)} · ${item.decided_by}`);
}

/** Whether it was accepted automatically. */
export const isAccepted = (item) => item?.route === "accept" && item.state === "waiting";

/** The pill of a result that was accepted automatically. */
export const machinePill = () => h("span.pill.machine", { title: "Accepted within the risk that the policy states, without review" }, "accepted automatically");

/** Whether the signed-in reviewer decided it, and so can undo it. */
export const isMine = (item) => item.state === "decided" && item.decided_by === actor()?.name;

/** What a correction changed in an item or a decision. */
export function changes(one) {
  const right = one.verdict === "correct" ? one.correction : null;
  return { category: right && right.category !== one.category ? right.category : null, text: right && right.text !== one.text ? right.text : null };
}

/** The text after a decision: struck through if rejected, old and new if corrected. */
export function decidedText(item, length) {
  const { text } = changes(item);
  if (item.verdict === "reject") return h("del", {}, excerpt(ownWords(item), length));
  return text === null ? excerpt(ownWords(item), length) : [h("del", {}, excerpt(ownWords(item), length)), " ", h("ins", {}, excerpt(text, length))];
}

/** The category after a decision. */
export function decidedCategory(item, name) {
  const { category } = changes(item);
  return category === null ? name : [h("del", {}, name), " ", h("ins", {}, titleOf(category))];
}
