// Reads /metrics and keeps a few minutes of it: rates and quantiles are differences of two readings.

const keptSeconds = 600,
  histogramSeconds = 10;
const counter = "spillway_commands_total";
const verdicts = ["pass", "held", "refused", "would_hold", "would_refuse"];

/** "name{labels}" -> value. Label values here are Spillway's own words, so they need no unescaping. */
export function parse(text) {
  const series = new Map();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const space = line.lastIndexOf(" ");
    const value = line.slice(space + 1);
    series.set(line.slice(0, space), value === "+Inf" ? Infinity : Number(value));
  }
  return series;
}

export class Figures {
  readings = []; // [{ at, series }] of the last seconds, oldest first
  rates = new Map(); // verdict -> [[at, commands a second]]

  add(text, at) {
    const before = this.readings.at(-1);
    this.readings.push({ at, series: parse(text) });
    while (at - this.readings[0].at > histogramSeconds + 2) this.readings.shift();
    for (const verdict of verdicts) {
      const points = this.rates.get(verdict) ?? this.rates.set(verdict, []).get(verdict);
      const gained = before ? this.now(counter, { verdict }) - sum(before, counter, { verdict }) : null;
      points.push([at, gained === null ? null : Math.max(0, gained) / Math.max(0.001, at - before.at)]);
      while (at - points[0][0] > keptSeconds) points.shift();
    }
  }

  /** Counters began anew, or there was a gap: the next reading is compared with none before it. */
  forget() {
    this.readings = [];
  }

  /** The sum over all series of a name that carry these labels. */
  now(name, labels) {
    return this.readings.length === 0 ? NaN : sum(this.readings.at(-1), name, labels);
  }

  /** Count a second, median and 99th percentile of a histogram over the last ten seconds. */
  histogram(name, labels) {
    const last = this.readings.at(-1);
    const first = this.readings.find(({ at }) => last.at - at <= histogramSeconds);
    if (!last || first === last) return null;
    const buckets = [];
    for (const key of last.series.keys()) {
      const bound = key.startsWith(`${name}_bucket{`) && /le="([^"]+)"/.exec(key);
      const wanted = Object.entries(labels).every(([label, value]) => key.includes(`${label}="${value}"`));
      if (!bound || !wanted) continue;
      const limit = bound[1] === "+Inf" ? Infinity : Number(bound[1]);
      buckets.push([limit, last.series.get(key) - (first.series.get(key) ?? 0)]);
    }
    buckets.sort((a, b) => a[0] - b[0]);
    const total = buckets.length === 0 ? 0 : buckets.at(-1)[1];
    return {
      perSecond: total / (last.at - first.at),
      p50: quantile(buckets, total, 0.5),
      p99: quantile(buckets, total, 0.99),
    };
  }
}

function sum({ series }, name, labels = {}) {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  let total = 0;
  for (const [key, value] of series) {
    const same = key === name || key.startsWith(`${name}{`);
    if (same && wanted.every((label) => key.includes(label))) total += value;
  }
  return total;
}

/** Linear within its bucket, as Prometheus' histogram_quantile does it; NaN of nothing. */
function quantile(buckets, total, share) {
  let below = 0,
    from = 0;
  for (const [limit, sum] of buckets) {
    if (total > 0 && sum >= share * total) {
      if (limit === Infinity) return from;
      return from + ((limit - from) * (share * total - below)) / (sum - below);
    }
    [below, from] = [sum, limit];
  }
  return NaN;
}
