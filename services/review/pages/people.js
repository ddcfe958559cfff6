// The page People, for admins: users, keys, sessions and webhooks of the tenant, each a tab with its address.

import { query } from "/pages/api.js";
import { h } from "/pages/dom.js";

const TABS = [
  ["users", "Users", () => import("/pages/users.js")],
  ["keys", "Keys", () => import("/pages/api_keys.js")],
  ["sessions", "Sessions", () => import("/pages/sessions.js")],
  ["webhooks", "Webhooks", () => import("/pages/webhooks.js")],
];

export async function show(context) {
  const [key, name, load] = TABS.find(([one]) => one === context.params.get("tab")) ?? TABS[0];
  const { title = name, element, list } = await (await load()).show(context);
  const link = ([one, text]) => h("a.tab", { href: query("/people", { tab: one === "users" ? null : one }), "aria-current": one === key && "page" }, text);
  return { title: `${title} · People`, list,
    element: h("div.page.people", {}, h("h1", {}, "People"), h("nav.tabs", { "aria-label": "People" }, TABS.map(link)), h("section", { "aria-label": name }, element)) };
}
