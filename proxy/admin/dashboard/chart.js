// Line charts over time as plain SVG: all that the dashboard needs of a chart library.

const space = { left: 64, right: 8, top: 10, bottom: 20 };

function svg(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** A round number of about a quarter of the range, in powers of `base`. */
function step(range, base) {
  const raw = range / 4 || 1;
  const power = base ** Math.floor(Math.log(raw) / Math.log(base));
  const factors = base === 10 ? [1, 2, 5, 10] : [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
  return power * factors.find((factor) => factor * power >= raw);
}

function clock(seconds, from, to) {
  const options = { hour: "2-digit", minute: "2-digit", hour12: false };
  if (to - from < 900) options.second = "2-digit";
  return new Date(seconds * 1000).toLocaleTimeString("en-GB", options);
}

/**
 * Draws into an <svg>:
 *   series  [{ class, points: [[unix_s, value]], area }]; a value that is null breaks the line
 *   marks   [{ class, value, label }]: levels across the whole width
 *   from, to, max: the ranges; base 1024 rules bytes, 10 all else; format: value -> text
 */
export function draw(target, { series, marks = [], from, to, max, base = 10, format }) {
  const { clientWidth: width, clientHeight: height } = target;
  if (width === 0 || height === 0) return; // not shown
  target.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const x = (time) => space.left + ((width - space.left - space.right) * (time - from)) / (to - from || 1);
  const y = (value) => height - space.bottom - ((height - space.top - space.bottom) * value) / (max || 1);
  const parts = [];
  const every = step(max, base);
  for (let value = 0; value <= max; value += every) {
    parts.push(
      svg("line", { class: "grid", x1: space.left, x2: width - space.right, y1: y(value), y2: y(value) }),
    );
    parts.push(svg("text", { x: space.left - 6, y: y(value) + 4, "text-anchor": "end" }, format(value)));
  }
  for (const [share, anchor] of [
    [0, "start"],
    [0.5, "middle"],
    [1, "end"],
  ]) {
    const time = from + (to - from) * share;
    parts.push(svg("text", { x: x(time), y: height - 5, "text-anchor": anchor }, clock(time, from, to)));
  }
  for (const line of series) parts.push(...lines(line, x, y, from));
  for (const mark of marks.filter(({ value }) => value <= max)) {
    const at = y(mark.value);
    parts.push(
      svg("line", { class: `mark ${mark.class}`, x1: space.left, x2: width - space.right, y1: at, y2: at }),
    );
    parts.push(svg("text", { x: space.left + 4, y: at - 3 }, mark.label));
  }
  target.replaceChildren(...parts);
}

/** One polyline for each stretch of known values. */
function lines({ class: name, points, area }, x, y, from) {
  const stretches = [[]];
  points.forEach(([time, value], index) => {
    if (value === null) stretches.push([]);
    else if (time >= from || (points[index + 1]?.[0] ?? 0) >= from) {
      stretches.at(-1).push([x(Math.max(time, from)).toFixed(1), y(value).toFixed(1)]);
    }
  });
  return stretches
    .filter((stretch) => stretch.length > 0)
    .flatMap((stretch) => {
      const line = svg("polyline", { class: name, points: stretch.join(" ") });
      if (!area) return [line];
      const closed = [[stretch[0][0], y(0)], ...stretch, [stretch.at(-1)[0], y(0)]];
      return [svg("polygon", { class: "area", points: closed.join(" ") }), line];
    });
}
