// Figures and states as a person reads them, and elements whose every text is inserted as text.

/** An element. What comes from the server is only ever a child: keys and names are anybody's bytes. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const known = (value) => typeof value === "number" && Number.isFinite(value);

export function bytes(value) {
  if (!known(value)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = Math.abs(value),
    unit = 0;
  for (; size >= 1024 && unit < units.length - 1; unit += 1) size /= 1024;
  const digits = unit === 0 || size >= 100 ? 0 : 1;
  return `${value < 0 ? "−" : ""}${size.toFixed(digits)} ${units[unit]}`;
}

export const count = (value) => (known(value) ? Math.round(value).toLocaleString("en") : "–");
export const percent = (share, digits = 1) => (known(share) ? `${(100 * share).toFixed(digits)} %` : "–");

export function rate(value) {
  return known(value) && value > 0 && value < 10 ? value.toFixed(1) : count(value);
}

export function duration(seconds) {
  if (!known(seconds)) return "–";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

const states = {
  off: ["quiet", () => "The guard is switched off: every command passes, nothing is judged."],
  blind: [
    "warn",
    () => "Without a trustworthy reading of memory every command passes. Nothing is protected now.",
  ],
  plenty: ["good", () => "Memory is far from its ceiling. Every command passes."],
  paced: [
    "warn",
    (would, limits) =>
      `Memory nears its ceiling. Writes that grow it ${would("wait")}, so that it stays ${limits.horizon} away.`,
  ],
  reserve: [
    "bad",
    (would) =>
      `Nearly full. Writes that grow memory ${would("are refused")}; critical ones, reads and deletes pass.`,
  ],
  ceiling: [
    "bad",
    (would) => `Full. Every write that grows memory ${would("is refused")}; reads and deletes pass.`,
  ],
};

/** [class, sentence] of a guard state; in observe it says what would be done. */
export function guardWords(state, mode, limits) {
  const [tone, sentence] = states[state] ?? ["warn", () => "This page does not know this state."];
  const would = (verb) => (mode === "observe" ? `would ${verb.replace(/^(is|are) /, "be ")}` : verb);
  return [tone, sentence(would, limits)];
}

export const modeWords = {
  off: "Off: nothing is judged, held or refused.",
  observe: "Observe: decides and records, but passes every byte.",
  protect: "Protect: holds and refuses writes, so that Redis does not run out of memory.",
};

export function forecast(memory) {
  const { growth_bytes_per_s: growth, time_to_ceiling_s: left, ceiling, headroom } = memory;
  if (!known(memory.counted)) return ["quiet", "No reading of memory yet."];
  if (!known(ceiling))
    return ["quiet", "No ceiling is known: maxmemory is 0, or the service hides it (see monitor.ceiling)."];
  const trend =
    known(growth) && Math.abs(growth) >= 1024 ? `, ${growth > 0 ? "+" : ""}${bytes(growth)}/s` : "";
  if (headroom <= 0) return ["bad", `At the ceiling${trend}.`];
  if (!known(left)) return ["good", `Not growing${trend}; ${bytes(headroom)} of head-room.`];
  return [
    left < 60 ? "bad" : left < 600 ? "warn" : "good",
    `Full in ${duration(left)} at this growth${trend}; ${bytes(headroom)} of head-room.`,
  ];
}
