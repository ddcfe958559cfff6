// The page Insights: today, decisions, error rates against the stated risk, and costs, each a tab with its address.

import { get, query, today } from "/pages/api.js";
import { bars, columns, figure, legend } from "/pages/charts.js";
import { count, empty, h, number, percent, select, title } from "/pages/dom.js";
import { titleOf } from "/pages/names.js";

const TABS = [
  ["today", "Today", () => showToday()],
  ["decisions", "Decisions", (context) => showDecisions(context)],
  ["error-rate", "Error rate", async () => (await import("/pages/watch.js")).show()],
  ["costs", "Costs", async (context) => (await import("/pages/costs.js")).show(context)],
];
const PERIODS = [["7", "7 days"], ["30", "30 days"], ["90", "90 days"]];
const VERDICTS = [["accept", "Accepted"], ["correct", "Corrected"], ["reject", "Rejected"]];
const LEGEND = VERDICTS.map(([key, name]) => [`c-${key}`, name]);
const MOST = 20; // clause types in a chart; the table has all
const DAY = 86_400_000;

export async function show(context) {
  const [key, name, load] = TABS.find(([one]) => one === context.params.get("tab")) ?? TABS[0];
  const { element, leave } = await load(context);
  const link = ([one, text]) => h("a.tab", { href: query("/insights", { tab: one === "today" ? null : one }), "aria-current": one === key && "page" }, text);
  return { title: `${name} · Insights`, leave,
    element: h("div.page", {}, h("h1", {}, "Insights"), h("nav.tabs", { "aria-label": "Insights" }, TABS.map(link)), h("section.insight", { "aria-label": name }, element)) };
}

const since = (days) => new Date(Date.now() - days * DAY).toISOString();
const seconds = (value) => (value === null ? "–" : value < 60 ? `${number(value)} s` : `${number(Math.floor(value / 60))} min ${Math.round(value % 60)} s`);

async function showToday() {
  const [now, month, { items: rates }] = await Promise.all([
    get(query("/v1/insights", { since: today() })), get(query("/v1/insights", { since: since(30) })), get("/v1/decisions/error-rates")]);
  const tile = (name, big, text) => h("div.number", {}, h("span.muted", {}, name), h("span.big", {}, big), h("span.muted", {}, text));
  const total = rates.filter((one) => !one.category && !one.kind && !one.source);
  const oldest = now.ages.findLast((one) => one.count);
  return { element: [
    h("div.numbers.tiles", {},
      tile("Waiting", number(now.waiting), oldest ? `the oldest: ${ageOf(oldest)}` : "No items are waiting"),
      tile("Decided today", number(now.decided), VERDICTS.map(([key, name]) => `${number(sum(now.days, key))} ${name.toLowerCase()}`).join(", ")),
      tile("Median time per decision", seconds(now.median_seconds), `${seconds(month.median_seconds)} in the last 30 days`),
      total.map((one) => tile(`Error rate of ${one.adapter}`, share(one.rate), range(one)))),
    now.waiting ? ages(now) : empty("No items are waiting", "New items appear here when documents have been read.")] };
}

/** A share with one decimal place. */
const share = (value) => `${number(Math.round(value * 1000) / 10)}%`;
const range = ({ interval: [low, high] }) => `${share(low)} to ${share(high)} (95% interval)`;
const sum = (rows, key) => rows.reduce((all, one) => all + one[key], 0);
const ageOf = ({ from_days: from, to_days: to }) => (to === null ? `over ${from} days` : from === 0 ? "under 1 day" : `${from} to ${to} days`);

function ages({ ages: all, waiting }) {
  const rows = all.map((one) => [ageOf(one), [["ours", one.count]], number(one.count)]);
  const old = all.at(-1);
  const caption = old.count ? `${count(old.count, "item")} of ${number(waiting)} ${old.count === 1 ? "waits" : "wait"} for over ${old.from_days} days.` : `No item waits for over ${old.from_days} days.`;
  return figure("Age of waiting items", caption, bars(rows), ["Age", "Items"], all.map((one) => [ageOf(one), number(one.count)]));
}

async function showDecisions({ params, go }) {
  const days = PERIODS.some(([key]) => key === params.get("days")) ? params.get("days") : "30";
  const found = await get(query("/v1/insights", { since: since(Number(days)) }));
  const period = h("form.filters", { onsubmit: (event) => event.preventDefault() },
    select("Period", days, PERIODS, (value) => go(query("/insights", { tab: "decisions", days: value }))));
  if (!found.decided) return { element: [period, empty("No decisions in this period", "Choose a longer period, or decide items of the queue.")] };
  const { clause: clauses = [], finding: findings = [] } = Object.groupBy(found.categories, (one) => (one.kind === "clause" ? "clause" : "finding"));
  return { element: [period, h("p.muted", {}, `Median time per decision: ${seconds(found.median_seconds)}, from ${count(found.timed, "decision")}. It is the time since the same person's decision before. Pauses over 10 minutes and bulk decisions are left out.`),
    h("div.charts", {}, byDay(found), byType("Clause types", "Clause type", clauses, titleOf), byType("Findings", "Check", findings, title))] };
}

const all = (one) => one.accept + one.correct + one.reject;
const parts = (one, scale = 1) => VERDICTS.map(([key]) => [`c-${key}`, one[key] * scale]);
const cells = (one) => [...VERDICTS.map(([key]) => number(one[key])), number(all(one))];
const HEADS = [...VERDICTS.map(([, name]) => name), "All"];

function byDay({ days, decided }) {
  const drawn = columns(days.map((one) => [one.day, parts(one), count(all(one), "decision")]));
  const caption = `${count(decided, "decision")} on ${count(days.length, "day")} (UTC). Days without decisions are left out.`;
  return figure("Decisions per day", caption, [legend(LEGEND), drawn], ["Day", ...HEADS], days.toReversed().map((one) => [one.day, ...cells(one)]));
}

/** Clause types or checks, those that people change most often last. */
function byType(name, head, found, nameOf) {
  if (!found.length) return null;
  const ranked = found.toSorted((one, other) => other.accept / all(other) - one.accept / all(one) || all(other) - all(one));
  const shown = ranked.slice(-MOST), last = ranked.at(-1);
  const changed = last.accept < all(last) ? `${nameOf(last.category)} is changed most often.` : "Nothing was changed.";
  const hidden = ranked.length - shown.length;
  return figure(name, `Share accepted, corrected and rejected. ${changed}${hidden ? ` The ${MOST} that are changed most often are drawn.` : ""}`,
    [legend(LEGEND), bars(shown.map((one) => [nameOf(one.category), parts(one, 1 / all(one)), percent(one.accept / all(one))]))],
    [head, ...HEADS, "Accepted"], ranked.map((one) => [nameOf(one.category), ...cells(one), percent(one.accept / all(one))]));
}
