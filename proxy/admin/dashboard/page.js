// The dashboard: asks the admin API once a second while it is seen, and shows what it says.
import { bytes, count, duration, el, forecast, guardWords, modeWords, percent, rate } from "./words.js";
import { draw } from "./chart.js";
import { Figures } from "./figures.js";
import * as tables from "./tables.js";

const everyMs = 1000,
  slowestMs = 15000,
  answerMs = 5000,
  keptSeconds = 600,
  windowSeconds = 20,
  gapSeconds = 10;
const part = (id) => document.getElementById(id);

const figures = new Figures();
const memoryPoints = []; // [unix_s, counted, not evictable]
const limits = { throttle: 0.85, shed: 0.97, horizon: "10s" };
let token = "",
  mode = "",
  uptime = 0,
  rounds = 0,
  failures = 0,
  lastAnswer = 0,
  timer = 0,
  asking = false,
  incidents = [],
  oomTotal = NaN; // as it was when all incidents were asked for

class NoAnswer extends Error {}

async function get(path) {
  try {
    const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(answerMs) });
    if (answer.ok) return await (path === "metrics" ? answer.text() : answer.json());
    throw new Error(`${path} answered ${answer.status}`);
  } catch (error) {
    throw new NoAnswer(error.message);
  }
}

function text(id, words, tone) {
  const element = part(id);
  if (element.textContent !== words) element.textContent = words;
  if (tone !== undefined) element.className = tone;
}

function showStatus(status, at) {
  text(
    "about",
    `${status.version} · up ${duration(status.uptime_s)} · ${count(status.clients)} clients · ${count(status.workers)} workers`,
  );
  const pressure = ({ memory }) =>
    memory.ceiling ? (memory.counted - memory.evictable) / memory.ceiling : 0;
  const backend = status.backends.reduce((most, each) => (pressure(each) > pressure(most) ? each : most));
  showMemory(backend.memory, at);
  const { guard } = status;
  const [tone, words] = guardWords(guard.state, guard.mode, limits);
  text("state", guard.state, tone);
  text("state-words", words);
  text("reason", guard.reason ? `Why: ${guard.reason}.` : "");
  mode = guard.mode;
  text("mode-words", modeWords[mode] ?? "");
  for (const button of part("modes").children)
    button.setAttribute("aria-pressed", String(button.value === mode));
  tables.verdicts(part("verdicts"), guard.verdicts, mode);
  tables.backends(part("backends"), status.backends);
  tables.listeners(part("listeners"), status.listeners);
}

function showMemory(memory, at) {
  const { counted, ceiling } = memory;
  const share = ceiling ? counted / ceiling : NaN;
  const firm = counted === null ? null : counted - (memory.evictable ?? 0);
  const firmShare = ceiling ? firm / ceiling : 0;
  const tone = firmShare >= limits.shed ? "bad" : firmShare >= limits.throttle ? "warn" : "good";
  text("share", ceiling ? percent(share) : bytes(counted), ceiling ? tone : "");
  text(
    "memory",
    ceiling
      ? `${bytes(counted)} of ${bytes(ceiling)}, policy ${memory.policy ?? "unknown"}`
      : "used; no ceiling is known",
  );
  text("forecast", forecast(memory)[1], forecast(memory)[0]);
  const [fill, throttle, shed] = part("bar").children;
  part("bar").className = tone;
  fill.style.width = `${Math.min(100, 100 * share || 0)}%`;
  throttle.style.left = `${100 * limits.throttle}%`;
  shed.style.left = `${100 * limits.shed}%`;

  memoryPoints.push([at, counted, firm]);
  while (at - memoryPoints[0][0] > keptSeconds) memoryPoints.shift();
  drawMemory(memory, at);
}

function drawMemory(memory, at) {
  const { counted, ceiling, evictable, time_to_ceiling_s: left } = memory;
  const from = memoryPoints[0][0];
  const seen = Math.max(windowSeconds, at - from);
  const series = [{ class: "blue", area: true, points: memoryPoints.map(([time, value]) => [time, value]) }];
  if (evictable > 0)
    series.push({ class: "green", points: memoryPoints.map(([time, , value]) => [time, value]) });
  const ahead = seen / 4;
  if (ceiling && left > 0) {
    const until = Math.min(left, ahead);
    series.push({
      class: "blue ahead",
      points: [
        [at, counted],
        [at + until, counted + ((ceiling - counted) * until) / left],
      ],
    });
  }
  const marks = ceiling ? [{ class: "red", value: ceiling, label: `ceiling ${bytes(ceiling)}` }] : [];
  if (ceiling && mode !== "off") {
    marks.push({
      class: "amber",
      value: limits.throttle * ceiling,
      label: `paced from ${percent(limits.throttle, 0)}`,
    });
    marks.push({ class: "amber", value: limits.shed * ceiling, label: "" });
  }
  const max = 1.12 * Math.max(ceiling ?? 0, ...memoryPoints.map(([, value]) => value ?? 0), 1);
  draw(part("memory-chart"), {
    series,
    marks,
    from: at - seen,
    to: at + ahead,
    max,
    base: 1024,
    format: bytes,
  });
}

function showFigures(at) {
  const kinds = [
    ["passed", "pass", "blue"],
    ["held", "held", "amber"],
    ["refused", "refused", "red"],
    ...(mode === "observe"
      ? [
          ["would hold", "would_hold", "amber"],
          ["would refuse", "would_refuse", "red"],
        ]
      : []),
  ];
  const series = kinds.map(([, verdict, tone]) => ({ class: tone, points: figures.rates.get(verdict) }));
  const tiles = kinds.map(([words, , tone], index) => [
    words,
    rate(series[index].points.at(-1)?.[1] ?? 0),
    tone,
  ]);
  tiles.push(
    ["waiting now", count(figures.now("spillway_held_commands")), ""],
    ["OOM from Redis", count(figures.now("spillway_oom_replies_total", { origin: "backend" })), ""],
    ["requests kept", bytes(figures.now("spillway_relay_buffer_bytes")), ""],
    ["replies kept", bytes(figures.now("spillway_spool_bytes")), ""],
  );
  tables.show(
    part("rates"),
    () =>
      tiles.map(([words, value, tone]) =>
        el("div", {}, el("dt", { class: tone }, words), el("dd", {}, value)),
      ),
    tiles,
  );
  const seen = Math.max(windowSeconds, at - series[0].points[0][0]);
  const max = 1.1 * Math.max(10, ...series.flatMap(({ points }) => points.map(([, value]) => value)));
  draw(part("rate-chart"), { series, from: at - seen, to: at, max, format: count });
  if (figures.readings.length > 1) tables.latency(part("latency"), figures);
}

async function showConfig() {
  const { file, effective } = await get("api/v1/config");
  const value = (name) => new RegExp(`^${name} = "?([^"\\s#]+)`, "m").exec(effective)?.[1];
  limits.throttle = Number(value("throttle_at") ?? limits.throttle);
  limits.shed = Number(value("shed_at") ?? limits.shed);
  limits.horizon = value("horizon") ?? limits.horizon;
  part("config").lastChild.textContent =
    `# ${file ? `from ${file}` : "no file: defaults and flags"}\n${effective}`;
}

/** Only the newest incident changes, and a new one comes with new OOM replies: the whole list may be megabytes. */
async function newIncidents() {
  const total = figures.now("spillway_oom_replies_total");
  if (incidents[0]?.closed === null) {
    incidents[0] = await get(`api/v1/incidents/${encodeURIComponent(incidents[0].id)}`);
  } else if (total !== oomTotal || rounds % 30 === 0) {
    ({ incidents } = await get("api/v1/incidents"));
    oomTotal = total;
  }
  return incidents;
}

/** All that is due now. The heavier documents come less often, or only while somebody looks at them. */
async function round() {
  const status = await get("api/v1/status");
  const at = Date.now() / 1000;
  if (status.uptime_s < uptime || at - lastAnswer > gapSeconds) {
    // it was restarted, or nobody looked
    figures.forget();
    if (memoryPoints.length > 0) memoryPoints.push([at, null, null]);
  }
  [uptime, lastAnswer] = [status.uptime_s, at];
  if (rounds % 30 === 0) await showConfig();
  showStatus(status, at);
  figures.add(await get("metrics"), at);
  showFigures(at);
  if (rounds % 2 === 0) {
    tables.incidents(part("incidents"), await newIncidents(), mode);
    const growth = await get("api/v1/growth");
    text("growth-window", `by key pattern and client, of the last ${duration(growth.window_s)}`);
    tables.growth(part("growth"), growth);
  }
  if (rounds % 5 === 0 && part("clients").open)
    tables.clients(part("clients").lastChild, (await get("api/v1/clients")).clients);
  rounds += 1;
}

async function turn() {
  clearTimeout(timer);
  if (asking || document.visibilityState === "hidden") return;
  asking = true;
  const began = performance.now();
  try {
    await round();
    failures = 0;
    part("gone").hidden = true;
    text("live", "live", "on");
  } catch (error) {
    failures += 1;
    incidents = [];
    oomTotal = NaN; // so that the next round asks for the whole list
    part("gone").hidden = false;
    const since =
      lastAnswer === 0
        ? ""
        : ` for ${duration(Date.now() / 1000 - lastAnswer)}; what is shown below is of then`;
    const what =
      error instanceof NoAnswer
        ? `Spillway does not answer${since}`
        : "This page cannot show what Spillway answered";
    text("gone", `${what}. (${error.message}) Trying again every ${duration(pause() / 1000)}.`);
    text("live", "not live", "");
  }
  asking = false;
  timer = setTimeout(turn, Math.max(0, pause() - (performance.now() - began)));
}

const pause = () => Math.min(slowestMs, everyMs * 2 ** Math.min(failures, 8));

/** Asks before it switches, and for the token once the server wants one. */
async function switchMode(wanted) {
  if (wanted === mode) return;
  let problem = "";
  for (;;) {
    const needsToken = problem !== "";
    text("ask-words", problem || `Switch the guard from ${mode} to ${wanted}? ${modeWords[wanted]}`);
    part("ask-token").hidden = !needsToken;
    const input = part("ask-token").querySelector("input");
    input.value = "";
    if ((await asked()) !== "yes") return;
    if (needsToken) token = input.value;
    try {
      const headers = {
        "Content-Type": "application/json",
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
      };
      const answer = await fetch("api/v1/mode", {
        method: "POST",
        headers,
        body: JSON.stringify({ mode: wanted }),
        signal: AbortSignal.timeout(answerMs),
      });
      if (answer.ok) break;
      const { error } = await answer.json();
      if (answer.status !== 401) return text("mode-words", `Not switched: ${error}`);
      problem = token
        ? "The token is wrong. Which is the one of admin.token?"
        : `To switch to ${wanted}, give the token that admin.token is set to. It is kept until this page is closed.`;
      token = "";
    } catch (error) {
      return text("mode-words", `Not switched: ${error.message}`);
    }
  }
  turn();
}

function asked() {
  const dialog = part("ask");
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true }),
  );
}

for (const name of ["off", "observe", "protect"]) {
  const button = el("button", { type: "button", value: name, "aria-pressed": "false" }, name);
  button.addEventListener("click", () => switchMode(name));
  part("modes").append(button);
}
part("clients").addEventListener("toggle", () => {
  rounds = 0;
  turn();
});
document.addEventListener("visibilitychange", turn);
turn();
