// The dashboard's tables and the stories of its incidents, from the documents of /api/v1.
import { bytes, count, duration, el, percent, rate } from "./words.js";
import { draw } from "./chart.js";

const clientsShown = 200;

/** Rows of cells under headings; those in `numbers` are aligned to the right, and names give way to them on a phone. */
function table(headings, numbers, rows) {
  const align = (index, cell) => ({ class: numbers.includes(index) ? "number" : cell?.title ? "name" : "" });
  return el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ...headings.map((text, index) => el("th", align(index), text)))),
    el(
      "tbody",
      {},
      ...rows.map((row) => el("tr", {}, ...row.map((cell, index) => el("td", align(index, cell), cell)))),
    ),
  );
}

const hint = (text) => el("p", { class: "quiet" }, text);
const code = (text) => el("code", { title: text }, text);
const nameless = (name) => (name ? el("span", { title: name }, name) : el("span", { class: "quiet", title: "it has given none" }, "(no name)"));

/** The same content is left alone, so that what a reader has marked or opened stays. */
export function show(target, content, key) {
  const text = JSON.stringify(key);
  if (target.shown === text) return;
  target.shown = text;
  target.replaceChildren(...content());
}

export function growth(target, { top }) {
  show(
    target,
    () =>
      top.length === 0
        ? [hint("Nothing has grown yet: write something through Spillway, and its key pattern appears here.")]
        : [
            table(
              ["key pattern", "client", "command", "written", "without a TTL"],
              [3, 4],
              top
                .slice(0, 15)
                .map((row) => [
                  code(row.pattern),
                  nameless(row.client),
                  row.command,
                  bytes(row.bytes),
                  percent(row.without_ttl, 0),
                ]),
            ),
          ],
    top,
  );
}

export function verdicts(target, { by, other }, mode) {
  const observed = mode === "observe" || by.some((row) => row.would_hold + row.would_refuse > 0);
  const figures = (row) => [
    count(row.held),
    count(row.refused),
    ...(observed ? [count(row.would_hold), count(row.would_refuse)] : []),
    bytes(row.bytes),
  ];
  const headings = [
    "rule",
    "client",
    "held",
    "refused",
    ...(observed ? ["would hold", "would refuse"] : []),
    "refused bytes",
  ];
  const rows = by.map((row) => [
    row.rule ? el("span", { title: row.rule }, row.rule) : el("span", { class: "quiet", title: "no rule matched" }, "(none)"),
    nameless(row.client),
    ...figures(row),
  ]);
  if (other.held + other.refused + other.would_hold + other.would_refuse > 0)
    rows.push(["all others", "", ...figures(other)]);
  show(
    target,
    () =>
      rows.length === 0
        ? [hint("No command was held or refused since the start: all have passed.")]
        : [table(headings, [2, 3, 4, 5, 6], rows)],
    [by, other, observed],
  );
}

const classWords = {
  growing: "writes that grow memory",
  unbounded: "writes of unknown growth",
  script: "scripts",
  ungated: "writes that Redis never refuses",
  freeing: "deletes and the like",
  other: "reads and all else",
};

export function latency(target, figures) {
  const row = (words, name, labels) => {
    const found = figures.histogram(name, labels);
    return [words, rate(found?.perSecond ?? 0), duration(found?.p50), duration(found?.p99)];
  };
  const rows = Object.entries(classWords).map(([kind, words]) =>
    row(words, "spillway_command_seconds", { class: kind }),
  );
  rows.push(row("time held before being sent on", "spillway_hold_seconds", {}));
  show(target, () => [table(["", "a second", "median", "99 % within"], [1, 2, 3], rows)], rows);
}

export function backends(target, list) {
  const rows = list.map(({ address, up, server, memory, keyspace }) => [
    el("code", {}, address),
    el("span", { class: up ? "good" : "bad" }, up ? "up" : "does not answer"),
    server || "–",
    memory.policy || "–",
    `${bytes(memory.counted)} of ${bytes(memory.ceiling)}`,
    bytes(memory.evictable),
    `${count(keyspace.keys)} (${count(keyspace.with_ttl)} with TTL)`,
  ]);
  show(
    target,
    () => [table(["backend", "", "server", "policy", "memory", "evictable", "keys"], [4, 5, 6], rows)],
    list.map(({ memory, ...rest }) => ({
      ...rest,
      counted: bytes(memory.counted),
      all: [memory.ceiling, memory.evictable, memory.policy],
    })),
  );
}

export function listeners(target, list) {
  show(
    target,
    () => [
      table(
        ["listener", "name", "clients"],
        [2],
        list.map((row) => [
          code(row.address),
          row.name || "–",
          `${count(row.clients)} of ${count(row.max_clients)}`,
        ]),
      ),
    ],
    list,
  );
}

export function clients(target, list) {
  const shown = list.slice(0, clientsShown);
  show(
    target,
    () =>
      list.length === 0
        ? [hint("No client is connected.")]
        : [
            table(
              ["address", "name", "user", "library", "db", ""],
              [4],
              shown.map((row) => [
                code(row.address),
                nameless(row.name),
                row.user,
                row.library || "–",
                count(row.db),
                row.held ? el("span", { class: "warn" }, "held") : "",
              ]),
            ),
            ...(list.length > clientsShown
              ? [hint(`${count(clientsShown)} of ${count(list.length)}; all are at /api/v1/clients.`)]
              : []),
          ],
    list,
  );
}

export function incidents(target, list, mode) {
  if (list.length === 0) {
    const opens =
      mode === "observe"
        ? "One opens when Redis refuses a write; what the guard would have refused is counted below."
        : "One opens when Redis or the guard refuses a write, and tells here what happened and why.";
    show(target, () => [hint(`No incident since the start. ${opens}`)], mode);
    return;
  }
  if (target.stories === undefined || target.shown !== "stories") {
    target.stories = new Map();
    target.replaceChildren();
    target.shown = "stories";
  }
  const seen = new Set();
  list.forEach((incident, index) => {
    const fresh = !target.stories.has(incident.id);
    const story = fresh
      ? el("details", {}, el("summary"), el("div", { class: "story" }))
      : target.stories.get(incident.id);
    if (fresh) target.stories.set(incident.id, story);
    seen.add(incident.id);
    if (target.children[index] !== story) target.insertBefore(story, target.children[index] ?? null);
    const text = JSON.stringify(incident);
    if (story.told !== text) {
      story.told = text;
      tell(story, incident);
    }
  });
  for (const [id, story] of target.stories) {
    if (seen.has(id)) continue;
    story.remove();
    target.stories.delete(id);
  }
}

function tell(story, incident) {
  const [summary, body] = story.children;
  const open = incident.closed === null;
  const counts = [
    [incident.oom_replies, "OOM replies of Redis"],
    [incident.refusals, "refusals by the guard"],
    [incident.would_refuse, "that it would have refused"],
  ]
    .filter(([number]) => number > 0)
    .map(([number, words]) => `${count(number)} ${words}`)
    .join(", ");
  summary.replaceChildren(
    el("span", { class: `tag ${open ? "bad" : "quiet"}` }, open ? "open" : "closed"),
    el("b", {}, incident.cause),
    " ",
    `${new Date(incident.opened).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" })}, ${duration(incident.duration_s)}: ${counts}`,
  );
  const chart = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  chart.setAttribute("class", "chart small");
  const list = (title, sentences) =>
    sentences?.length
      ? [el("h3", {}, title), el("ul", {}, ...sentences.map((text) => el("li", {}, text)))]
      : [];
  const who = incident.client.name || incident.client.addr;
  body.replaceChildren(
    el(
      "p",
      {},
      incident.origin === "backend" ? "Redis refused " : "The guard refused ",
      el("code", {}, `${incident.command} ${incident.key}`),
      ` (${bytes(incident.bytes)}) of ${who}, user ${incident.client.user || "–"}; cause `,
      el("code", {}, incident.cause),
      `, confidence ${percent(incident.confidence, 0)}${incident.also.length ? `; also ${incident.also.join(", ")}` : ""}.`,
    ),
    ...list("What to do", incident.advice),
    ...list("Evidence", incident.evidence),
    ...culprits("By key pattern", incident.by_pattern),
    ...culprits("By client", incident.by_client),
    ...culprits("By command", incident.by_command),
    chart,
  );
  story.ontoggle = () => drawCurve(chart, incident.curve);
  if (story.open) drawCurve(chart, incident.curve);
}

function culprits(title, rows) {
  if (!rows?.length) return [];
  return [
    el("h3", {}, title),
    el(
      "div",
      { class: "scroll" },
      table(
        ["", "OOM replies", "refusals", "bytes"],
        [1, 2, 3],
        rows
          .slice(0, 8)
          .map((row) => [
            code(row.name || "(no name)"),
            count(row.oom_replies),
            count(row.refusals),
            bytes(row.bytes),
          ]),
      ),
    ),
  ];
}

function drawCurve(chart, curve) {
  if (curve.length < 2) return;
  const ceiling = curve.at(-1)[2];
  draw(chart, {
    series: [{ class: "blue", area: true, points: curve.map(([at, counted]) => [at, counted]) }],
    marks: ceiling > 0 ? [{ class: "red", value: ceiling, label: `ceiling ${bytes(ceiling)}` }] : [],
    from: curve[0][0],
    to: curve.at(-1)[0],
    max: 1.15 * Math.max(ceiling, ...curve.map(([, counted]) => counted)),
    base: 1024,
    format: bytes,
  });
}
