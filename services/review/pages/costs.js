// Costs: spending, a comparison with a frontier model, and the payback of training.

import { get, may, query } from "/pages/api.js";
import { bars, columns, figure, powers, reached } from "/pages/charts.js";
import { count, empty, excerpt, h, number, select } from "/pages/dom.js";

const BY = [["day", "Day"], ["document", "Document"], ["kind", "Kind"], ["adapter", "Specialist"], ["provider", "Provider"], ["model", "Model"]];
const KIND = { contract: "Contracts", report: "Reports", other: "Documents" };
const MOST = { day: 60, document: 20 };

export async function show({ params, go }) {
  const by = BY.some(([key]) => key === params.get("by")) ? params.get("by") : "day";
  const costs = await get(query("/v1/costs", { by }));
  const head = h("form.filters", { onsubmit: (event) => event.preventDefault() }, select("Add up by", by, BY, (value) => go(query("/insights", { tab: "costs", by: value }))));
  const { specialists: work, calls } = costs;
  if (!work.documents && !calls) {
    const text = "When contracts or reports are read, this page shows their costs, and what a frontier model would cost for the same.";
    return { element: empty("No costs yet", text, may("documents:write") && h("a.button.primary", { href: "/documents" }, "Upload documents")) };
  }
  const [names, failed] = await Promise.all([by === "document" ? namesOf(ranked(costs.groups, by)) : {}, failures()]);
  return { element: h("div.insight.costs", {}, head, stopped(costs), overview(costs), failed,
    h("div.charts", {}, comparison(costs), by === "day" && saved(costs), million(costs), groups(costs, by, names), training(costs), budgets(costs)), basis(costs)) };
}

const WEEKS = 12;

/** What each of the last weeks saved against frontier prices. */
function saved({ groups: days, frontier }) {
  if (!days.length) return null;
  const weeks = Object.groupBy(days, ({ key }) => mondayOf(key));
  const rows = Object.keys(weeks).sort().slice(-WEEKS).map((week) => {
    const total = (amount) => weeks[week].reduce((sum, one) => sum + amount(one), 0);
    return [week, total(spent), total((one) => one.frontier_usd)];
  });
  const drawn = columns(rows.map(([week, paid, theirs]) => [week, [["ours", Math.max(0, theirs - paid)]], usd(theirs - paid)]));
  return figure("Cost saved per week", `At frontier prices (${frontier.model}), less what was spent. Weeks begin on Monday; those without work are left out.`, drawn,
    ["Week of", "At frontier prices, US$", "Spent US$", "Saved US$"], rows.toReversed().map(([week, paid, theirs]) => [week, exact(theirs), exact(paid), exact(theirs - paid)]));
}

function mondayOf(day) {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  return date.toISOString().slice(0, 10);
}

const dollars = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const cents = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 2 });

/** A rounded amount: cents, or two significant digits below ten cents. */
const usd = (value) => `US$ ${value === 0 ? "0" : Math.abs(value) >= 0.095 ? dollars.format(value) : cents.format(value)}`;

const spent = (one) => one.usd + one.machine_usd;

function stopped(costs) {
  return costs.stopped.map((one) => h("p.notice", { role: "alert" }, `${one.provider} is stopped: ${one.reason}`));
}

/** How many documents failed; null if none did, or if the person may not read documents. */
async function failures() {
  if (!may("documents:read")) return null;
  const { items, next } = await get(query("/v1/documents", { outcome: "failed", limit: 200 }));
  if (!items.length) return null;
  return h("p.muted.small", {}, `${next ? "More than " : ""}${count(items.length, "document")} failed. Failed documents count only if their text was read.`);
}

/** The main figures. */
function overview({ usd: paid, stand_in_usd: played, specialists: work, frontier, calls }) {
  const mine = paid + work.usd;
  const times = mine > 0 && frontier.usd > 0 ? frontier.usd / mine : null;
  const one = (big, text) => h("div.number", {}, h("span.big", {}, big), h("span.muted", {}, text));
  return h("div.numbers", {},
    one(usd(mine), `spent: ${usd(work.usd)} for the machine, ${usd(paid)} for ${count(calls, "call")}${played > 0 ? `, ${standIn(played, paid)}` : ""}`),
    one(usd(frontier.usd), `at frontier prices (${frontier.model}), at least`),
    one(count(work.documents, "document"), `${number(work.tokens_read)} tokens in ${number(Math.round(work.seconds))} s`),
    times !== null && one(factor(times), times >= 0.95 ? "the cost at the frontier model" : "the cost at the frontier model, which would be cheaper"));
}

/** Marks amounts of a test stand-in. */
const standIn = (played, paid) => `${played < paid ? usd(played) : "all"} of it simulated by a test stand-in`;

/** A ratio: whole from ten on, a fraction below one half. */
function factor(times) {
  if (times < 0.5) return `1/${number(Math.round(1 / times))}`;
  return `${number(times < 9.95 ? Math.round(times * 10) / 10 : Math.round(times))} ×`;
}

function comparison({ usd: paid, stand_in_usd: played, specialists: work, frontier }) {
  const rows = [
    ["This machine", [["ours", work.usd]], usd(work.usd)],
    ["Paid to frontier models", [["paid", paid]], usd(paid)],
    [`At frontier prices (${frontier.model})`, [["theirs", frontier.read_usd], ["theirs-out", frontier.quoted_usd]], usd(frontier.usd)],
  ];
  const caption = `Frontier model: ${usd(frontier.read_usd)} for ${number(work.tokens_read)} tokens in, ${usd(frontier.quoted_usd)} (lighter) for ${number(work.tokens_quoted)} out.${played > 0 ? ` Paid: ${standIn(played, paid)}.` : ""}`;
  return figure("Actual and alternative costs", caption, bars(rows), ["", "Tokens in", "Tokens out", "US$"], [
    ["This machine", number(work.tokens_read), number(work.tokens_quoted), exact(work.usd)],
    ["Paid to frontier models", "", "", exact(paid)],
    [`${frontier.model}, tokens in`, number(work.tokens_read), "", exact(frontier.read_usd)],
    [`${frontier.model}, tokens out`, "", number(work.tokens_quoted), exact(frontier.quoted_usd)],
  ]);
}

const exact = (value) => (value === null ? "–" : value.toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 6 }));

/** The visible groups: days in order, otherwise the most expensive first. */
function ranked(all, by) {
  if (by === "day") return all.slice(0, MOST.day).toReversed();
  return all.toSorted((one, other) => spent(other) - spent(one) || other.frontier_usd - one.frontier_usd).slice(0, MOST[by] ?? 20);
}

function groups({ groups: all }, by, names) {
  const shown = ranked(all, by);
  const what = BY.find(([key]) => key === by)[1].toLowerCase();
  const title = `By ${what}`;
  if (!shown.length) return h("figure.chart.whole", {}, h("figcaption", {}, h("h2", {}, title), h("p.muted", {}, "No frontier model was asked.")));
  const hidden = all.length - shown.length;
  const caption = `${hidden > 0 ? `${by === "day" ? "The last" : "The most expensive"} ${shown.length} of ${number(all.length)}. ` : ""}${by === "day" ? "Days without work are left out. " : ""}The charts have different scales.`;
  const name = (one) => names[one.key] ?? (by === "kind" ? KIND[one.key] : by === "adapter" && !one.documents ? `${one.key} (provider)` : null) ?? one.key;
  const series = [
    ["Spent", (one) => [["ours", one.machine_usd], ["paid", one.usd]], spent],
    ["At frontier prices", (one) => [["theirs", one.frontier_usd]], (one) => one.frontier_usd],
  ];
  const draw = by === "day" ? columns : bars;
  const drawn = series.map(([text, parts, sum]) => h("div.half", {}, h("h3", {}, text),
    draw(shown.map((one) => [name(one), parts(one), usd(sum(one))]))));
  const heads = [what[0].toUpperCase() + what.slice(1), "Documents", "Seconds", "Tokens in", "Tokens out", "Machine US$", "Calls", "Paid US$", "At frontier prices, US$"];
  const cell = (one) => (by === "document" ? h("a.plain", { href: `/documents/${one.key}` }, name(one)) : name(one));
  return figure(title, caption, h("div.halves", {}, drawn), heads, (by === "day" ? shown.toReversed() : shown).map((one) => [cell(one), number(one.documents),
    number(Math.round(one.seconds * 10) / 10), number(one.tokens_read), number(one.tokens_quoted), exact(one.machine_usd), number(one.calls), exact(one.usd), exact(one.frontier_usd)]), true);
}

async function namesOf(shown) {
  if (!may("documents:read")) return Object.fromEntries(shown.map(({ key }) => [key, key]));
  const found = await Promise.allSettled(shown.map((one) => get(`/v1/documents/${one.key}`)));
  return Object.fromEntries(shown.map((one, at) => [one.key, found[at].status === "fulfilled" ? excerpt(found[at].value.name, 44) : `${one.key.slice(0, 12)}… (deleted)`]));
}

function training({ training: all }) {
  const rows = all.map((one) => {
    const name = [`${one.adapter} `, h("span.version", {}, one.version)];
    if (one.after_documents === null) {
      const saves = one.saved_per_document_usd > 0 ? `. Each document saves ${usd(one.saved_per_document_usd)}` : "";
      const why = one.hours === null ? `its training hours were not recorded${saves}` : "a frontier model alone would be cheaper for these documents";
      return h("div.paid-row", {}, h("span.bar-label", {}, name), h("span.muted", {}, `Payback unknown: ${why}.`));
    }
    const left = one.after_documents - one.documents;
    const words = left > 0 ? `${number(one.documents)} of ${number(one.after_documents)} documents` : `paid back since document ${number(one.after_documents)}`;
    return h("div.paid-row", {}, h("span.bar-label", {}, name), reached("ours", one.documents, one.after_documents), h("span.figure", {}, words),
      h("span.muted.small", {}, `${number(Math.round(one.hours * 100) / 100)} hours${one.machine ? ` on ${one.machine}` : ""} at ${usd(one.hour_usd)} an hour cost ${usd(one.usd)}. Each document saves ${usd(one.saved_per_document_usd)}${one.paid_per_document_usd > 0 ? `, after ${usd(one.paid_per_document_usd)} paid to frontier models` : ""}.`));
  });
  const caption = "Measured training hours against the saving of each document. The saving is the price of a frontier model, less the machine and the calls that were paid.";
  return figure("Payback of training", caption, h("div.bars", {}, rows), ["Specialist", "Hours", "US$ an hour", "US$", "Paid each US$", "Saved each US$", "Paid back after", "So far"],
    all.map((one) => [`${one.adapter} ${one.version}`, number(one.hours), exact(one.hour_usd), exact(one.usd), exact(one.paid_per_document_usd), exact(one.saved_per_document_usd), number(one.after_documents), number(one.documents)]));
}

/** The work by kind. */
const kindsOf = (work) => work.kinds.filter((one) => one.usd_per_million > 0);

function million({ specialists: work, frontier, quoted }) {
  const kinds = kindsOf(work);
  const [low, high] = quoted.small_million;
  const day = new Date(quoted.as_of).toLocaleDateString(undefined, { dateStyle: "medium", timeZone: "UTC" });
  const rows = [
    ...kinds.map((one) => [`${KIND[one.kind] ?? one.kind} on this machine, measured`, "ours", one.usd_per_million, one.usd_per_million, usd(one.usd_per_million)]),
    [`${frontier.model} in, list of ${frontier.as_of}`, "theirs", frontier.input_usd, frontier.input_usd, usd(frontier.input_usd)],
    [`${frontier.model} out`, "theirs", frontier.output_usd, frontier.output_usd, usd(frontier.output_usd)],
    ["Small model out, quoted", "quoted", low, high, `US$ ${dollars.format(low)} to ${dollars.format(high)}`],
    ["Frontier model out, quoted", "quoted", quoted.frontier_million, quoted.frontier_million, usd(quoted.frontier_million)],
  ].filter((row) => row && row[2] > 0);
  const paces = kinds.map((one) => `${number(Math.round(one.tokens_per_second))} tokens a second of ${(KIND[one.kind] ?? one.kind).toLowerCase()}`);
  const speed = paces.length ? `This machine: ${paces.join(", ")}. ` : "";
  const caption = `${speed}Logarithmic scale. “Quoted” figures are from an article of ${day} and were not measured here. They give ${number(quoted.tokens_a_day)} tokens a day a price of ${usd(quoted.frontier_day)} with a frontier model, and US$ ${quoted.small_day[0]} to ${quoted.small_day[1]} with a small one.`;
  return figure("A million tokens", caption, powers(rows), ["", "US$ for a million"], [
    ...rows.map(([label, , from, to]) => [label, from === to ? exact(from) : `${exact(from)} to ${exact(to)}`]),
    [`${number(quoted.tokens_a_day)} tokens a day at a frontier model, quoted`, exact(quoted.frontier_day)],
    [`${number(quoted.tokens_a_day)} tokens a day at a small model, quoted`, `${exact(quoted.small_day[0])} to ${exact(quoted.small_day[1])}`],
  ]);
}

function budgets({ budgets: all }) {
  if (!all.some((one) => one.max_usd > 0)) return null;
  const rows = all.map((one) => h("div.paid-row", {}, h("span.bar-label", {}, one.period), reached("paid", one.usd, one.max_usd), h("span.figure", {}, `${usd(one.usd)} of ${usd(one.max_usd)}`),
    one.usd > one.max_usd && h("span.small.changed", {}, `exceeded by ${usd(one.usd - one.max_usd)}: a bill was above its estimate, or the budget was lowered`)));
  return figure("Budgets", "Spending on frontier models, in UTC. A call is refused if its worst case would exceed a budget. A provider that bills more than the worst case is stopped.", h("div.bars", {}, rows), ["Period", "Spent US$", "At most US$"],
    all.map((one) => [one.period, exact(one.usd), exact(one.max_usd)]));
}

function basis({ specialists: work, frontier }) {
  return h("p.muted.small", {}, `The machine costs ${usd(work.hour_usd)} an hour (a setting). Tokens are those of the specialists. ${frontier.model} is counted at its list price of ${frontier.as_of}: US$ ${number(frontier.input_usd)} for a million tokens in, and ${number(frontier.output_usd)} out. That covers the text and the results, each counted once. Instructions and reasoning would cost extra.`);
}
