// What the work cost, what it would have cost otherwise, and when training is paid.

import { get, query } from "/pages/api.js";
import { bars, columns, figure, powers, reached } from "/pages/charts.js";
import { count, empty, excerpt, h, number, select } from "/pages/dom.js";

const BY = [["day", "Day"], ["document", "Document"], ["kind", "Kind"], ["adapter", "Specialist"], ["provider", "Provider"], ["model", "Model"]];
const KIND = { contract: "Contracts", report: "Reports", other: "Documents" };
const MOST = { day: 60, document: 20 };

export async function show({ params, go }) {
  const by = BY.some(([key]) => key === params.get("by")) ? params.get("by") : "day";
  const costs = await get(query("/v1/costs", { by }));
  const head = h("div.row.apart.head", {}, h("h1", {}, "Costs"),
    h("form", { onsubmit: (event) => event.preventDefault() }, select("Add up by", by, BY, (value) => go(query("/costs", { by: value })))));
  const { specialists: work, calls } = costs;
  if (!work.documents && !calls) {
    const text = "Once contracts or reports are read, this page says what that took and cost, and what a frontier model would have cost for the same. Documents from before it was measured are not counted.";
    return { title: "Costs", element: h("div.page", {}, head, empty("Nothing has cost anything yet", text, h("a.button.primary", { href: "/documents" }, "Documents"))) };
  }
  const [names, failed] = await Promise.all([by === "document" ? namesOf(ranked(costs.groups, by)) : {}, failures()]);
  return { title: "Costs", element: h("div.page.costs", {}, head, stopped(costs), glance(costs), failed,
    h("div.charts", {}, together(costs), million(costs), groups(costs, by, names), training(costs), budgets(costs)), basis(costs)) };
}

const dollars = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const cents = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 2 });

/** Money that is read at a glance: cents where there are some, else two figures that say something. */
export const usd = (value) => `US$ ${value === 0 ? "0" : Math.abs(value) >= 0.095 ? dollars.format(value) : cents.format(value)}`;

const spent = (one) => one.usd + one.machine_usd;

function stopped(costs) {
  return costs.stopped.map((one) => h("p.notice", { role: "alert" }, `${one.provider} is stopped: ${one.reason}`));
}

/** In words, how many documents failed, of which there may be no reading to count; nothing if none did. */
async function failures() {
  const { items, next } = await get(query("/v1/documents", { outcome: "failed", limit: 200 }));
  if (!items.length) return null;
  return h("p.muted.small", {}, `${next ? "More than " : ""}${count(items.length, "document")} failed: what failed counts only if its text was read.`);
}

/** Three numbers that say it all. */
function glance({ usd: paid, stand_in_usd: played, specialists: work, frontier, calls }) {
  const mine = paid + work.usd;
  const times = mine > 0 && frontier.usd > 0 ? frontier.usd / mine : null;
  const one = (big, text) => h("div.number", {}, h("span.big", {}, big), h("span.muted", {}, text));
  return h("div.numbers", {},
    one(usd(mine), `spent: ${usd(work.usd)} for the machine, ${usd(paid)} for ${count(calls, "call")}${played > 0 ? `, ${stoodIn(played, paid)}` : ""}`),
    one(usd(frontier.usd), `at least, had ${frontier.model} read everything`),
    one(count(work.documents, "document"), `${number(work.tokens_read)} tokens in ${number(Math.round(work.seconds))} s`),
    times !== null && one(factor(times), times >= 0.95 ? "as much at the frontier model" : "as much at the frontier model: it would be cheaper"));
}

/** What a stand-in plays is marked wherever money is. */
const stoodIn = (played, paid) => `${played < paid ? usd(played) : "all"} of it played by a stand-in for tests, which nobody was paid`;

/** How many times as much: whole from ten on, as a part of one where it is less than a half. */
function factor(times) {
  if (times < 0.5) return `1/${number(Math.round(1 / times))}`;
  return `${number(times < 9.95 ? Math.round(times * 10) / 10 : Math.round(times))} ×`;
}

function together({ usd: paid, stand_in_usd: played, specialists: work, frontier }) {
  const rows = [
    ["This machine", [["ours", work.usd]], usd(work.usd)],
    ["Paid to frontier models", [["paid", paid]], usd(paid)],
    [`Had ${frontier.model} read everything`, [["theirs", frontier.read_usd], ["theirs-out", frontier.quoted_usd]], usd(frontier.usd)],
  ];
  const said = `Of the last, ${usd(frontier.read_usd)} for ${number(work.tokens_read)} tokens in and ${usd(frontier.quoted_usd)} (lighter) for ${number(work.tokens_quoted)} out.${played > 0 ? ` Of what was paid, ${stoodIn(played, paid)}.` : ""}`;
  return figure("What it cost, and would have cost", said, bars(rows), ["", "Tokens in", "Tokens out", "US$"], [
    ["This machine", number(work.tokens_read), number(work.tokens_quoted), exact(work.usd)],
    ["Paid to frontier models", "", "", exact(paid)],
    [`${frontier.model}, tokens in`, number(work.tokens_read), "", exact(frontier.read_usd)],
    [`${frontier.model}, tokens out`, "", number(work.tokens_quoted), exact(frontier.quoted_usd)],
  ]);
}

const exact = (value) => (value === null ? "–" : value.toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 6 }));

/** The groups that are shown, in the order that they are shown: days as they came, else the dearest first. */
function ranked(all, by) {
  if (by === "day") return all.slice(0, MOST.day).toReversed();
  return all.toSorted((one, other) => spent(other) - spent(one) || other.frontier_usd - one.frontier_usd).slice(0, MOST[by] ?? 20);
}

function groups({ groups: all, frontier }, by, names) {
  const shown = ranked(all, by);
  const what = BY.find(([key]) => key === by)[1].toLowerCase();
  const title = `By ${what}`;
  if (!shown.length) return h("figure.chart.whole", {}, h("figcaption", {}, h("h2", {}, title), h("p.muted", {}, "No frontier model was asked.")));
  const left = all.length - shown.length;
  const said = `${left > 0 ? `${by === "day" ? "The last" : "The dearest"} ${shown.length} of ${number(all.length)}. ` : ""}${by === "day" ? "Days without work are left out. " : ""}Each chart has a scale of its own.`;
  const name = (one) => names[one.key] ?? (by === "kind" ? KIND[one.key] : by === "adapter" && !one.documents ? `${one.key} (provider)` : null) ?? one.key;
  const series = [
    ["Spent", (one) => [["ours", one.machine_usd], ["paid", one.usd]], spent],
    [`Had ${frontier.model} read it`, (one) => [["theirs", one.frontier_usd]], (one) => one.frontier_usd],
  ];
  const draw = by === "day" ? columns : bars;
  const drawn = series.map(([text, parts, sum]) => h("div.half", {}, h("h3", {}, text),
    draw(shown.map((one) => [name(one), parts(one), usd(sum(one))]))));
  const heads = [what[0].toUpperCase() + what.slice(1), "Documents", "Seconds", "Tokens in", "Tokens out", "Machine US$", "Calls", "Paid US$", `Had ${frontier.model} read it, US$`];
  const cell = (one) => (by === "document" ? h("a.plain", { href: `/documents/${one.key}` }, name(one)) : name(one));
  return figure(title, said, h("div.halves", {}, drawn), heads, (by === "day" ? shown.toReversed() : shown).map((one) => [cell(one), number(one.documents),
    number(Math.round(one.seconds * 10) / 10), number(one.tokens_read), number(one.tokens_quoted), exact(one.machine_usd), number(one.calls), exact(one.usd), exact(one.frontier_usd)]), true);
}

async function namesOf(shown) {
  const found = await Promise.allSettled(shown.map((one) => get(`/v1/documents/${one.key}`)));
  return Object.fromEntries(shown.map((one, at) => [one.key, found[at].status === "fulfilled" ? excerpt(found[at].value.name, 44) : `${one.key.slice(0, 12)}… (deleted)`]));
}

function training({ training: all }) {
  const rows = all.map((one) => {
    const name = [`${one.adapter} `, h("span.version", {}, one.version)];
    if (one.after_documents === null) {
      const saves = one.saved_each_usd > 0 ? `; each document saves ${usd(one.saved_each_usd)}` : "";
      const why = one.hours === null ? `the hours of its training were not kept${saves}` : "a frontier model for all would be cheaper than the machine and what was asked for these documents";
      return h("div.paid-row", {}, h("span.bar-label", {}, name), h("span.muted", {}, `Not known when it is paid: ${why}.`));
    }
    const left = one.after_documents - one.documents;
    const words = left > 0 ? `${number(one.documents)} of ${number(one.after_documents)} documents` : `paid since document ${number(one.after_documents)}`;
    return h("div.paid-row", {}, h("span.bar-label", {}, name), reached("ours", one.documents, one.after_documents), h("span.figure", {}, words),
      h("span.muted.small", {}, `${number(Math.round(one.hours * 100) / 100)} hours${one.machine ? ` on ${one.machine}` : ""} at ${usd(one.hour_usd)} an hour are ${usd(one.usd)}; each document saves ${usd(one.saved_each_usd)}${one.paid_each_usd > 0 ? `, after ${usd(one.paid_each_usd)} that went to frontier models` : ""}.`));
  });
  const said = "The hours of a specialist's trainings, as they were measured, those of folds where their runs were kept (what else was learned for it is not counted), against what each document saves: the price of a frontier model, less the machine, less what frontier models were paid all the same.";
  return figure("When training has paid for itself", said, h("div.bars", {}, rows), ["Specialist", "Hours", "US$ an hour", "US$", "Paid with each US$", "Saved with each US$", "Paid after", "So far"],
    all.map((one) => [`${one.adapter} ${one.version}`, number(one.hours), exact(one.hour_usd), exact(one.usd), exact(one.paid_each_usd), exact(one.saved_each_usd), number(one.after_documents), number(one.documents)]));
}

/** What was read, by kind; an older service tells one sum. */
const kindsOf = (work) => (work.kinds ?? [{ ...work, kind: "other" }]).filter((one) => one.usd_per_million > 0);

function million({ specialists: work, frontier, quoted }) {
  const kinds = kindsOf(work);
  const [low, high] = quoted.small_million;
  const day = new Date(quoted.as_of).toLocaleDateString(undefined, { dateStyle: "medium", timeZone: "UTC" });
  const rows = [
    ...kinds.map((one) => [`${KIND[one.kind] ?? one.kind} read on this machine, measured`, "ours", one.usd_per_million, one.usd_per_million, usd(one.usd_per_million)]),
    [`${frontier.model} in, list of ${frontier.as_of}`, "theirs", frontier.input_usd, frontier.input_usd, usd(frontier.input_usd)],
    [`${frontier.model} out`, "theirs", frontier.output_usd, frontier.output_usd, usd(frontier.output_usd)],
    ["Small model out, quoted", "quoted", low, high, `US$ ${dollars.format(low)} to ${dollars.format(high)}`],
    ["Frontier model out, quoted", "quoted", quoted.frontier_million, quoted.frontier_million, usd(quoted.frontier_million)],
  ].filter((row) => row && row[2] > 0);
  const paces = kinds.map((one) => `${number(Math.round(one.tokens_per_second))} tokens a second of ${(KIND[one.kind] ?? one.kind).toLowerCase()}`);
  const speed = paces.length ? `Read here: ${paces.join(", ")}. ` : "";
  const said = `${speed}Each step is ten times more. “Quoted” are figures of an article as quoted on ${day}, which nobody here measured; by them ${number(quoted.tokens_a_day)} tokens a day cost ${usd(quoted.frontier_day)} against US$ ${quoted.small_day[0]} to ${quoted.small_day[1]}.`;
  return figure("A million tokens", said, powers(rows), ["", "US$ for a million"], [
    ...rows.map(([label, , from, to]) => [label, from === to ? exact(from) : `${exact(from)} to ${exact(to)}`]),
    [`${number(quoted.tokens_a_day)} tokens a day at a frontier model, quoted`, exact(quoted.frontier_day)],
    [`${number(quoted.tokens_a_day)} tokens a day at a small model, quoted`, `${exact(quoted.small_day[0])} to ${exact(quoted.small_day[1])}`],
  ]);
}

function budgets({ budgets: all }) {
  if (!all.some((one) => one.most_usd > 0)) return null;
  const rows = all.map((one) => h("div.paid-row", {}, h("span.bar-label", {}, one.period), reached("paid", one.usd, one.most_usd), h("span.figure", {}, `${usd(one.usd)} of ${usd(one.most_usd)}`),
    one.usd > one.most_usd && h("span.small.changed", {}, `passed by ${usd(one.usd - one.most_usd)}: a bill was above what was set aside for it, or the budget was lowered since`)));
  return figure("Budgets", "What counts as spent on frontier models, in UTC. No call is made whose worst case would pass them; a provider that bills more than that is stopped at the first such bill.", h("div.bars", {}, rows), ["Period", "Spent US$", "At most US$"],
    all.map((one) => [one.period, exact(one.usd), exact(one.most_usd)]));
}

function basis({ specialists: work, frontier }) {
  return h("p.muted.small", {}, `The machine counts with ${usd(work.hour_usd)} an hour, which whoever runs it can state. Tokens are those of our own specialists. ${frontier.model} counts with its list price of ${frontier.as_of} (US$ ${number(frontier.input_usd)} in, ${number(frontier.output_usd)} out, a million): the text once, and once the words of what was found: clauses, and of a report its findings and the sentences about its filer. Its instructions, thoughts and the form of its answer would come on top.`);
}
