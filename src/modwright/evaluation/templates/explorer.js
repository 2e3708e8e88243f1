"use strict";
// The threshold explorer: what precision, recall, flag rate and review load become as thresholds move.
// It reads counts per threshold and writes numbers as text; nothing of the data becomes markup.
(() => {
  const curves = JSON.parse(document.getElementById("explorer-data").textContent);
  const tool = document.getElementById("explorer-tool");
  const part = (name) => tool.querySelector(`[data-part="${name}"]`);
  const SVG = "http://www.w3.org/2000/svg";
  const WIDTH = 640, HEIGHT = 150, EDGE = 8;
  const Z = 1.959963984540054;
  let curve = curves[0];
  let share = 0;

  function wilson(rate, rows) {
    const spread = (Z * Z) / rows;
    const centre = (rate + spread / 2) / (1 + spread);
    const half = (Z * Math.sqrt((rate * (1 - rate)) / rows + spread / (4 * rows))) / (1 + spread);
    return [Math.max(0, centre - half), Math.min(1, centre + half)];
  }

  function precision(hits, alarms) {
    const flagged = share * hits + (1 - share) * alarms;
    return flagged > 0 ? (share * hits) / flagged : null;
  }

  function outcome(act, review) {
    const rates = (place) => [curve.found[place] / curve.positives, curve.alarms[place] / curve.negatives];
    const [hits, alarms] = rates(act);
    const [seen, disturbed] = rates(Math.min(act, review));
    const [fewHits, manyHits] = wilson(hits, curve.positives);
    const [fewAlarms, manyAlarms] = wilson(alarms, curve.negatives);
    const value = precision(hits, alarms);
    return {
      precision: [value, value === null ? null : precision(fewHits, manyAlarms), value === null ? null : precision(manyHits, fewAlarms)],
      recall: [hits, fewHits, manyHits],
      helped: seen,
      flagged: share * hits + (1 - share) * alarms,
      wrong: (1 - share) * alarms,
      review: share * (seen - hits) + (1 - share) * (disturbed - alarms),
      missed: share * (1 - seen),
    };
  }

  const fixed = (value, places = 2) => (value === null ? "–" : value.toFixed(places));
  const thousand = (value) => (value > 0 && value < 0.01 ? (1000 * value).toFixed(1) : String(Math.round(1000 * value)));
  const scored = (value) => (value > 1 ? "never" : value <= 0 ? "always" : value.toFixed(3));
  const write = (name, text) => { part(name).textContent = text; };

  function show() {
    const act = Number(part("act").value);
    const review = Math.min(Number(part("review").value), act);
    part("review").value = String(review);
    const found = outcome(act, review);
    write("act-score", scored(curve.thresholds[act]));
    write("review-score", review < act ? scored(curve.thresholds[review]) : "– (nobody looks)");
    part("act").setAttribute("aria-valuetext", scored(curve.thresholds[act]));
    part("review").setAttribute("aria-valuetext", scored(curve.thresholds[review]));
    for (const name of ["precision", "recall"]) {
      const [value, low, high] = found[name];
      write(name, fixed(value));
      write(`${name}-span`, value === null ? "" : `${fixed(low)}–${fixed(high)}`);
    }
    write("helped", review < act ? `with people’s help ${fixed(found.helped)}` : "");
    for (const name of ["flagged", "wrong", "review-load", "missed"]) {
      write(name, thousand(found[name === "review-load" ? "review" : name]));
    }
    mark(act, review);
  }

  const across = (place) => EDGE + ((WIDTH - 2 * EDGE) * place) / (curve.thresholds.length - 1);
  const down = (value) => HEIGHT - 2 - (HEIGHT - 4) * value;

  function shape(name, attributes) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    return made;
  }

  function line(values, name) {
    const points = values.map((value, place) => (value === null ? null : `${across(place).toFixed(1)},${down(value).toFixed(1)}`));
    return shape("polyline", { class: name, points: points.filter((point) => point !== null).join(" ") });
  }

  function draw() {
    const plot = part("plot");
    const every = curve.thresholds.map((_, place) => outcome(place, place));
    plot.replaceChildren(
      ...[0, 0.25, 0.5, 0.75, 1].map((value) => shape("line", { class: "grid", x1: EDGE, x2: WIDTH - EDGE, y1: down(value), y2: down(value) })),
      shape("rect", { class: "between", "data-part": "between", x: 0, y: 0, width: 0, height: HEIGHT }),
      line(every.map((found) => found.flagged), "line-flagged"),
      line(every.map((found) => found.recall[0]), "line-recall"),
      line(every.map((found) => found.precision[0]), "line-precision"),
      shape("line", { class: "now", "data-part": "now", x1: 0, x2: 0, y1: 0, y2: HEIGHT }),
    );
  }

  function mark(act, review) {
    const now = part("now"), between = part("between");
    for (const end of ["x1", "x2"]) now.setAttribute(end, String(across(act)));
    between.setAttribute("x", String(across(review)));
    between.setAttribute("width", String(across(act) - across(review)));
  }

  function set(act, review) {
    part("act").value = String(act);
    part("review").value = String(review);
    show();
  }

  function button(text, act, review) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", () => set(act, review));
    return made;
  }

  function measured() {
    return curve.positives / (curve.positives + curve.negatives);
  }

  function prevalence(value) {
    share = Math.min(1, Math.max(0, value));
    draw();
    show();
  }

  function choose(number) {
    curve = curves[number];
    const last = curve.thresholds.length - 1;
    for (const name of ["act", "review"]) part(name).max = String(last);
    const points = Object.entries(curve.points);
    const buttons = points.map(([name, place]) => button(name, place, place));
    if (curve.band !== null) buttons.push(button("review band", curve.band[1], curve.band[0]));
    part("points").replaceChildren(...buttons);
    share = curve.deployment === null ? measured() : curve.deployment;
    part("share").value = String(Number((100 * share).toPrecision(3)));
    write("measured", `measured here: ${(100 * measured()).toPrecision(3)} %`);
    draw();
    const half = curve.thresholds.findIndex((value) => value >= 0.5);
    const first = curve.points.default ?? (points.length ? points[0][1] : half < 0 ? last : half);
    set(first, first);
  }

  part("which").addEventListener("change", (event) => choose(Number(event.target.value)));
  part("act").addEventListener("input", show);
  part("review").addEventListener("input", show);
  part("share").addEventListener("input", (event) => {
    const value = Number(event.target.value);
    if (event.target.value !== "" && Number.isFinite(value)) prevalence(value / 100);
  });
  choose(Number(part("which").value));
  tool.hidden = false;
})();
