"use strict";
(function () {
  // ---- what was recorded ------------------------------------------------------------------------------
  const data = JSON.parse(document.getElementById("data").textContent);
  if (!data.panels) return;
  const byId = (id) => document.getElementById(id);

  /** Undo the differences; null stays null. */
  function summed(differences, step) {
    let last = 0;
    return differences.map((each) => (each === null ? null : (last += each) * step));
  }
  for (const panel of data.panels) {
    panel.times = summed(panel.times, data.time_step);
    for (const curve of panel.curves) curve.values = summed(curve.values, curve.step);
    panel.hidden = new Set();
  }

  // ---- how it is written ------------------------------------------------------------------------------
  function digits(value) {
    const size = Math.abs(value);
    return size >= 999.5 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(4)));
  }
  function bytes(value) {
    let unit = 0;
    while (Math.abs(value) >= 1024 && unit < 4) { value /= 1024; unit++; }
    return `${Number(value.toPrecision(4))} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
  }
  function written(value, unit) {
    if (value === null || value === undefined) return "–";
    if (unit === "bytes") return bytes(value);
    if (unit === "share") return `${(value * 100).toFixed(1)} %`;
    return `${digits(value)} ${unit}`;
  }
  function seconds(at) { return `${at < 0 ? "−" : "+"}${Math.abs(at).toFixed(3)} s`; }
  function clock(at) {
    if (data.zero_ms === null) return "";
    const date = new Date(data.zero_ms + Math.round(at * 1000));
    return isNaN(date) ? "" : `${date.toISOString().slice(11, 23)} UTC`;
  }

  // ---- colours: of the page, so that light, dark and paper are decided in one place ----------------------
  let printing = false;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => dark.matches && !printing;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const PARTS = {
    "anonymous": ["#3b6fb6", "#5b8fd6"], "shared and tmpfs": ["#86b1dd", "#3f6c9e"], "page cache": ["#8fbf7f", "#5e9950"],
    "slab, reclaimable": ["#f2c14e", "#c99a2c"], "slab, unreclaimable": ["#e08e45", "#d07a30"],
    "page tables": ["#b07aa1", "#a06a96"], "kernel stacks and vmalloc": ["#9c755f", "#8d6a56"],
    "per CPU": ["#7a8b99", "#6b7b88"], "huge pages": ["#59a39f", "#478e8a"], "other": ["#bab0ac", "#77706d"],
    "unaccounted": ["#c2185b", "#e0457f"], "free": ["#eef1f4", "#2a3036"],
  };
  const LINES = [
    ["#3b6fb6", "#7fb0f5"], ["#c2410c", "#fb923c"], ["#2e7d32", "#7bc67e"], ["#8e44ad", "#c792ea"],
    ["#00838f", "#4dd0e1"], ["#ad1457", "#f48fb1"], ["#795548", "#bcaaa4"], ["#5f6b00", "#d4e157"],
  ];
  // Also told apart without colours.
  const DASHES = [[], [8, 4], [2, 3], [12, 4, 2, 4], [5, 5], [1, 5], [14, 6], [8, 3, 2, 3]];
  const MARKS = {
    "kernel kill": "#d32f2f", "rule": "#8e44ad", "action": "#1976d2", "direct reclaim": "#e67e22", "kswapd": "#c9a227",
    "gap in sampling": "#7f8c8d", "recorder": "#95a5a6",
  };
  const SORTS = Object.keys(MARKS);
  const shownSorts = new Set(SORTS);
  function curveColour(panel, place) {
    const curve = panel.curves[place];
    if (panel.kind === "stack" && PARTS[curve.name]) return PARTS[curve.name][isDark() ? 1 : 0];
    if (curve.limit) return colour(panel.kind === "stack" ? "--text" : "--dim");
    return LINES[place % LINES.length][isDark() ? 1 : 0];
  }
  function dash(panel, place) {
    const curve = panel.curves[place];
    if (curve.limit) return [[4, 4], [2, 3], [9, 4], [12, 3, 2, 3]][place % 4];
    return panel.kind === "stack" ? [] : DASHES[place % DASHES.length];
  }

  // ---- what is looked at ------------------------------------------------------------------------------
  const within = (at) => Math.min(Math.max(at, data.from), data.to);
  const state = { from: data.from, to: data.to, at: within(0), a: data.from, b: within(0) };
  const charts = [];
  const KEYS = ["from", "to", "a", "b", "at"];

  function fragment() {
    const parts = [];
    for (const key of KEYS) parts.push(`${key}=${state[key].toFixed(4)}`);
    return `#${parts.join("&")}`;
  }
  function readFragment() {
    const found = {};
    for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
      if (KEYS.includes(key) && value !== "" && isFinite(value)) found[key] = within(Number(value));
    }
    if (!Object.keys(found).length) return false;
    Object.assign(state, found);
    if (!(state.from < state.to)) { state.from = data.from; state.to = data.to; }
    if ("at" in found && !(state.from <= state.at && state.at <= state.to)) {
      const half = (state.to - state.from) / 2;
      setView(state.at - half, state.at + half);
    }
    return true;
  }
  let addressTimer = 0;
  function changed() {
    byId("link").href = fragment();
    clearTimeout(addressTimer);
    // Not on every move of the pointer: browsers limit how often an address may change.
    addressTimer = setTimeout(() => {
      try { history.replaceState(null, "", fragment()); } catch { /* a file some browsers do not let change its address */ }
    }, 300);
  }

  function setView(from, to) {
    const least = 0.02;
    from = Math.max(from, data.from);
    to = Math.min(to, data.to);
    if (to - from < least) {
      const middle = (from + to) / 2;
      from = Math.max(data.from, middle - least / 2);
      to = Math.min(data.to, from + least);
    }
    state.from = from;
    state.to = to;
    for (const chart of charts) chart.plot.setScale("x", { min: from, max: to });
    drawSoon();
    changed();
  }
  function zoom(factor) {
    const half = (state.to - state.from) * factor / 2;
    const middle = state.at >= state.from && state.at <= state.to ? state.at : (state.from + state.to) / 2;
    let from = middle - half, to = middle + half;
    if (from < data.from) { to += data.from - from; from = data.from; }
    if (to > data.to) { from -= to - data.to; to = data.to; }
    setView(from, to);
  }

  // ---- the cursor -------------------------------------------------------------------------------------
  /** The place of the reading that held at a moment; of a rate, of the span the moment lies in. */
  function placeAt(panel, at) {
    const times = panel.times;
    let low = 0, high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (panel.kind === "rates" ? times[middle] < at - 1e-6 : times[middle] <= at + 1e-6) low = middle + 1; else high = middle;
    }
    return panel.kind === "rates" ? Math.min(low, times.length - 1) : low - 1;
  }
  function valueAt(panel, curve, at) {
    const place = placeAt(panel, at);
    return place < 0 ? null : curve.values[place];
  }
  let frame = 0, quiet = 0;
  function setCursor(at) {
    state.at = within(at);
    changed();
    drawSoon();
  }
  /** The charts take in a new scale or size only after the script has ended. */
  function drawSoon() { if (!frame) frame = requestAnimationFrame(drawCursor); }
  function drawCursor() {
    frame = 0;
    const now = byId("now");
    now.textContent = `${seconds(state.at)}   ${clock(state.at)}`;
    for (const chart of charts) {
      const seen = state.at >= state.from && state.at <= state.to;
      chart.plot.setCursor({ left: seen ? chart.plot.valToPos(state.at, "x") : -10, top: seen ? 0 : -10 }, false);
      if (chart.tell) chart.tell();
    }
    drawFigures();
    clearTimeout(quiet);
    quiet = setTimeout(() => {
      for (const chart of charts) if (chart.describe) chart.describe();
    }, 250);
  }

  // ---- marks in the charts ----------------------------------------------------------------------------
  function drawMarks(plot) {
    const { ctx, bbox } = plot;
    const ratio = uPlot.pxRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const x = (at) => plot.valToPos(at, "x", true);
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    ctx.font = `bold ${11 * ratio}px sans-serif`;
    for (const [at, name] of [[state.a, " a"], [state.b, " b"]]) {
      ctx.fillStyle = colour("--link");
      ctx.fillRect(x(at), bbox.top, ratio, bbox.height);
      ctx.fillText(name, x(at), bbox.top + 2 * ratio);
    }
    for (const marker of data.markers) {
      if (!shownSorts.has(marker.sort) || marker.sort === "recorder") continue;
      ctx.fillStyle = ctx.strokeStyle = MARKS[marker.sort];
      if (marker.sort === "gap in sampling") {
        // Shorter ones are in the lane above only, until one has zoomed in.
        const width = x(marker.to) - x(marker.at);
        if (width < 3 * ratio) continue;
        ctx.globalAlpha = 0.22;
        ctx.fillRect(x(marker.at), bbox.top, width, bbox.height);
        ctx.globalAlpha = 1;
      } else if (marker.at === marker.to) {
        ctx.lineWidth = (marker.sort === "kernel kill" ? 2 : 1) * ratio;
        ctx.setLineDash(marker.sort === "kernel kill" ? [] : marker.sort === "rule" ? [6 * ratio, 3 * ratio] : [2 * ratio, 3 * ratio]);
        ctx.beginPath();
        ctx.moveTo(x(marker.at), bbox.top);
        ctx.lineTo(x(marker.at), bbox.top + bbox.height);
        ctx.stroke();
      }
    }
    ctx.restore();
  }

  /** Lanes: what happened, each kind on a line of its own and in a shape of its own. */
  function drawLanes(plot) {
    const { ctx, bbox } = plot;
    const ratio = uPlot.pxRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const marker of data.markers) {
      if (!shownSorts.has(marker.sort)) continue;
      const y = plot.valToPos(SORTS.length - 1 - SORTS.indexOf(marker.sort), "y", true);
      const left = plot.valToPos(marker.at, "x", true), right = plot.valToPos(marker.to, "x", true);
      const size = 5 * ratio;
      ctx.fillStyle = MARKS[marker.sort];
      ctx.beginPath();
      if (marker.to > marker.at) ctx.rect(left, y - size * 0.8, Math.max(right - left, ratio), size * 1.6);
      else if (marker.sort === "kernel kill") { ctx.moveTo(left - size, y - size); ctx.lineTo(left + size, y - size); ctx.lineTo(left, y + size); }
      else if (marker.sort === "action") ctx.rect(left - size * 0.8, y - size * 0.8, size * 1.6, size * 1.6);
      else ctx.arc(left, y, size * 0.8, 0, 7);
      ctx.fill();
    }
    ctx.restore();
  }

  /** Free blocks: the more, the stronger the colour, by the logarithm. */
  function drawHeat(panel) {
    let most = 1;
    for (const curve of panel.curves) for (const value of curve.values) if (value > most) most = value;
    return (plot) => {
      const { ctx, bbox } = plot;
      const [strong, blank] = ["--heat", "--heat-back"].map((name) => colour(name).split(",").map(Number));
      // Opaque, so that neighbours which share a pixel do not add up.
      const tone = (value) => {
        const share = 0.15 + 0.85 * Math.log2(1 + value) / Math.log2(1 + most);
        return `rgb(${strong.map((each, place) => Math.round(blank[place] + (each - blank[place]) * share)).join(",")})`;
      };
      const edges = panel.times.map((at) => Math.round(plot.valToPos(at, "x", true)));
      edges.push(Math.round(plot.valToPos(data.to, "x", true)));
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      panel.curves.forEach((curve, order) => {
        const top = Math.round(plot.valToPos(order + 0.5, "y", true));
        const height = Math.round(plot.valToPos(order - 0.5, "y", true)) - top - 1;
        for (let place = 0; place < panel.times.length; place++) {
          const value = curve.values[place];
          let last = place;
          while (last + 1 < panel.times.length && curve.values[last + 1] === value) last++;
          if (value > 0) {
            ctx.fillStyle = tone(value);
            ctx.fillRect(edges[place], top, Math.max(edges[last + 1] - edges[place], 1), height);
          }
          place = last;
        }
      });
      ctx.restore();
    };
  }

  // ---- charts -----------------------------------------------------------------------------------------
  const HEIGHTS = { stack: 300, heat: 170, log: 170, lines: 170, rates: 170 };
  // The same for all charts, so that a moment is at the same place in each.
  const LEFT_PX = 104, RIGHT_PX = 78;
  const isApart = (panel) => panel.curves.some((curve) => curve.apart);
  const rightPx = data.panels.some(isApart) ? RIGHT_PX : 20;

  function binarySplits(min, max, count) {
    let step = 1;
    while ((max - min) / step > count) step *= 2;
    const found = [];
    for (let at = Math.ceil(min / step) * step; at <= max; at += step) found.push(at);
    return found;
  }
  function logSplits(min, max) {
    const all = [];
    for (let power = Math.floor(Math.log2(min)); power <= Math.log2(max); power++) if (2 ** power >= min) all.push(2 ** power);
    const every = Math.ceil(all.length / 6) || 1;
    return all.filter((_, place) => place % every === 0);
  }
  function axes(panel) {
    const unit = panel.kind === "heat" ? "" : panel.curves[0].unit;
    const look = () => ({ stroke: () => colour("--dim"), grid: { stroke: () => colour("--grid"), width: 1 }, ticks: { stroke: () => colour("--grid"), width: 1 },
      font: "11px system-ui, 'DejaVu Sans', sans-serif" });
    const x = { ...look(), size: 28, values: (plot, splits) => splits.map((at) => `${Number(at.toFixed(4))} s`) };
    const y = { ...look(), scale: "y", size: LEFT_PX, values: (plot, splits) => splits.map((value) => (value === null ? "" : unit === "share" ? `${digits(value * 100)} %` : written(value, unit))) };
    if (panel.kind === "log") y.splits = (plot, axis, min, max) => logSplits(min, max);
    else if (unit === "bytes") y.splits = (plot, axis, min, max) => binarySplits(min, max, panel.kind === "stack" ? 7 : 4);
    if (panel.kind === "log") y.filter = (plot, splits) => splits;
    if (panel.kind === "heat") {
      y.splits = () => panel.curves.map((_, order) => order).filter((order) => order % 2 === 0);
      y.values = (plot, splits) => splits.map((order) => `order ${order}`);
    }
    if (panel.kind === "lanes") {
      y.splits = () => SORTS.map((_, place) => place);
      y.values = (plot, splits) => splits.map((place) => SORTS[SORTS.length - 1 - place]);
      y.grid = { show: false };
    }
    const found = [x, y];
    const right = { ...look(), scale: "apart", side: 1, size: RIGHT_PX, grid: { show: false },
      splits: (plot, axis, min, max) => binarySplits(min, max, 4), values: (plot, splits) => splits.map((value) => written(value, "bytes")) };
    if (isApart(panel)) found.push(right);
    return found;
  }
  function yRange(panel) {
    if (panel.kind === "heat") return () => [-0.5, panel.curves.length - 0.5];
    if (panel.kind === "log") return (plot, min, max) => (min === null || min === undefined ? [4096, 1 << 20] : [Math.max(4096, min * 0.7), Math.max(max, 8192) * 1.4]);
    if (panel.kind === "lanes") return () => [-0.7, SORTS.length - 0.3];
    const least = { share: 0.01, "pages/s": 10, "/s": 1, ms: 1, bytes: 65536 }[panel.curves[0].unit] || 1;
    return (plot, min, max) => {
      const low = min < 0 ? min * 1.05 : 0;
      return [low, Math.max(panel.kind === "stack" ? max * 1.02 : max * 1.06, least)];
    };
  }
  /** Values as they are drawn: of a stack, each with all below it; what is hidden counts nothing. */
  function drawn(panel) {
    const sums = new Array(panel.times.length).fill(0);
    return panel.curves.map((curve, place) => {
      if (panel.hidden.has(place)) return curve.values.map(() => null);
      if (panel.kind !== "stack" || curve.limit) return curve.values;
      return curve.values.map((value, index) => (value === null ? null : (sums[index] += value)));
    });
  }
  /** The curves in the order they are drawn: of a stack the highest first, so that lower ones cover it. */
  function order(panel) {
    const places = panel.curves.map((_, place) => place);
    if (panel.kind !== "stack") return places;
    const parts = places.filter((place) => !panel.curves[place].limit).reverse();
    return [...parts, ...places.filter((place) => panel.curves[place].limit)];
  }
  function series(panel, place) {
    const curve = panel.curves[place];
    const found = { label: curve.name, scale: curve.apart ? "apart" : "y", points: { show: false }, spanGaps: false,
      stroke: () => curveColour(panel, place), width: curve.limit ? 1.2 : 1.5, dash: dash(panel, place) };
    if (panel.kind === "heat" || panel.kind === "lanes") found.paths = () => null;
    if (panel.kind === "rates") found.paths = uPlot.paths.stepped({ align: -1 });
    if (panel.kind === "stack" && !curve.limit) { found.fill = () => curveColour(panel, place); found.width = 0; }
    return found;
  }

  // All are as wide; to ask each would have the page laid out anew for each.
  let chartWidth = 0;
  function addChart(holder, panel, options, height) {
    const values = drawn(panel), places = order(panel);
    const plot = new uPlot({
      width: chartWidth, height, padding: [8, isApart(panel) ? 0 : rightPx, 0, 0],
      scales: { x: { time: false, min: state.from, max: state.to, range: (plot, min, max) => [min, max] },
        y: { range: yRange(panel), distr: panel.kind === "log" ? 3 : 1, log: 2 },
        apart: { range: (plot, min, max) => [0, Math.max(max * 1.06, 4096)] } },
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false, dist: 4 },
        // The cursor stays where it was when the pointer leaves.
        bind: { dblclick: () => () => { setView(data.from, data.to); return null; }, mouseleave: () => null } },
      series: [{}, ...places.map((place) => series(panel, place))],
      axes: axes(panel),
      hooks: {
        setCursor: [(plot) => { if (plot.cursor.event && plot.cursor.left >= 0) setCursor(plot.posToVal(plot.cursor.left, "x")); }],
        setSelect: [(plot) => {
          const { left, width } = plot.select;
          if (width > 3) setView(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
        ...options,
      },
    }, [panel.times, ...places.map((place) => values[place])], holder);
    for (const canvas of holder.querySelectorAll("canvas")) canvas.setAttribute("aria-hidden", "true");
    const chart = { plot, holder, panel, height };
    charts.push(chart);
    return chart;
  }

  /** A chart is a slider for time: a screen reader says where it stands, and what was then. */
  function makeSlider(chart, name) {
    const { holder, panel } = chart;
    holder.tabIndex = 0;
    const set = (attribute, value) => holder.setAttribute(attribute, value);
    set("role", "slider");
    set("aria-label", `${name}: moment`);
    set("aria-valuemin", data.from.toFixed(3));
    set("aria-valuemax", data.to.toFixed(3));
    chart.describe = () => {
      set("aria-valuenow", state.at.toFixed(3));
      const figures = panel.curves.filter((_, place) => !panel.hidden.has(place))
        .map((curve) => `${curve.name} ${written(valueAt(panel, curve, state.at), curve.unit)}`);
      set("aria-valuetext", [seconds(state.at), ...figures].join(", "));
    };
    holder.addEventListener("keydown", (event) => keyed(event, panel));
    chart.describe();
  }

  function drawing(name, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }
  function addLegend(chart, list) {
    const { panel, plot } = chart;
    const places = order(panel);
    const outs = panel.curves.map((curve, place) => {
      const item = document.createElement("li"), button = document.createElement("button");
      // Drawn, not a background: those are not printed.
      const swatch = drawing("svg", { class: "swatch", width: 22, height: 10, "aria-hidden": "true" });
      const out = document.createElement("b");
      button.type = "button";
      button.title = curve.source;
      button.setAttribute("aria-pressed", "true");
      button.append(swatch, `${curve.name} `, out);
      item.append(button);
      list.append(item);
      button.addEventListener("click", () => {
        if (!panel.hidden.delete(place)) panel.hidden.add(place);
        button.setAttribute("aria-pressed", String(!panel.hidden.has(place)));
        const values = drawn(panel);
        plot.setData([panel.times, ...places.map((each) => values[each])], false);
        // Not only anew: the y scale may be another one now.
        plot.setScale("x", { min: state.from, max: state.to });
      });
      return { out, swatch };
    });
    if (panel.kind === "heat") list.querySelectorAll("button").forEach((button) => { button.disabled = true; });
    chart.paint = () => outs.forEach(({ swatch }, place) => {
      if (panel.kind === "heat") { swatch.style.display = "none"; return; }
      const isPart = panel.kind === "stack" && !panel.curves[place].limit;
      const look = { stroke: curveColour(panel, place), "stroke-width": isPart ? 10 : 2 };
      if (!isPart) look["stroke-dasharray"] = dash(panel, place).join(" ") || "none";
      swatch.replaceChildren(drawing("line", { x1: 0, x2: 22, y1: 5, y2: 5, ...look }));
    });
    chart.tell = () => {
      const place = placeAt(panel, state.at);
      outs.forEach(({ out }, each) => {
        const curve = panel.curves[each];
        out.textContent = written(place < 0 ? null : curve.values[place], curve.unit);
      });
    };
    chart.paint();
  }

  // ---- keys -------------------------------------------------------------------------------------------
  function keyed(event, panel) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const place = placeAt(panel, state.at);
    const step = (direction) => {
      if (event.shiftKey) return setCursor(state.at + direction);
      const times = panel.times;
      let next = place + direction;
      if (panel.kind === "rates" && direction > 0 && times[place] > state.at + 1e-6) next = place;
      while (next > 0 && next < times.length - 1 && panel.curves.every((curve) => curve.values[next] === null)) next += direction;
      if (next >= 0 && next < times.length) setCursor(times[next]);
    };
    const events = data.markers.filter((marker) => marker.sort !== "gap in sampling" && shownSorts.has(marker.sort));
    const actions = {
      ArrowLeft: () => step(-1), ArrowRight: () => step(1), ArrowDown: () => step(-1), ArrowUp: () => step(1),
      Home: () => setCursor(state.from), End: () => setCursor(state.to),
      PageUp: () => { const last = events.filter((marker) => marker.at < state.at - 1e-4).pop(); if (last) setCursor(last.at); },
      PageDown: () => { const next = events.find((marker) => marker.at > state.at + 1e-4); if (next) setCursor(next.at); },
      "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), "−": () => zoom(2), "0": () => setView(data.from, data.to),
      a: () => setEnd("a"), b: () => setEnd("b"), z: zoomToSpan, k: () => setCursor(0),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
    // The cursor stays in sight.
    if (state.at < state.from || state.at > state.to) {
      const half = (state.to - state.from) / 2;
      setView(state.at - half, state.at + half);
    }
  }
  function setEnd(name) {
    state[name] = state.at;
    redraw();
    drawFigures();
    changed();
  }
  function zoomToSpan() { if (state.a !== state.b) setView(Math.min(state.a, state.b), Math.max(state.a, state.b)); }
  function redraw() { for (const chart of charts) { chart.plot.redraw(false, true); if (chart.paint) chart.paint(); } }

  // ---- all figures, and the comparison of a and b ------------------------------------------------------
  const figureRows = [];
  function addFigures() {
    const table = byId("figures");
    for (const panel of data.panels) {
      const head = document.createElement("tbody"), headRow = head.insertRow(), title = document.createElement("th");
      head.className = "head";
      title.colSpan = 6;
      title.scope = "rowgroup";
      title.textContent = panel.title;
      headRow.append(title);
      const body = document.createElement("tbody");
      for (const curve of panel.curves) {
        const row = body.insertRow(), name = document.createElement("th");
        name.scope = "row";
        name.textContent = curve.name;
        name.title = curve.source;
        row.append(name);
        const cells = [0, 1, 2, 3, 4].map(() => row.insertCell());
        figureRows.push({ panel, curve, cells });
      }
      table.append(head, body);
    }
  }
  function drawFigures() {
    byId("a-at").textContent = `a = ${seconds(state.a)} ${clock(state.a)}`;
    byId("b-at").textContent = `b = ${seconds(state.b)} ${clock(state.b)}`;
    const length = state.b - state.a;
    for (const { panel, curve, cells } of figureRows) {
      const [now, a, b] = [state.at, state.a, state.b].map((at) => valueAt(panel, curve, at));
      const known = a !== null && b !== null && a !== undefined && b !== undefined;
      const signed = (value) => `${value > 0 ? "+" : ""}${written(value, curve.unit)}`;
      const grown = known ? b - a : null;
      const perSecond = known && length && curve.unit === "bytes" ? `${signed(grown / length)}/s` : "–";
      [written(now, curve.unit), written(a, curve.unit), written(b, curve.unit), known ? signed(grown) : "–", perSecond]
        .forEach((text, place) => { if (cells[place].textContent !== text) cells[place].textContent = text; });
    }
  }

  // ---- all together -----------------------------------------------------------------------------------
  const lanes = { key: "events", title: "What happened when", kind: "lanes", times: [data.from, data.to],
    curves: [{ name: "events", unit: "", values: [0, 0], limit: false }], hidden: new Set() };

  function build() {
    byId("tools").hidden = byId("compare").hidden = false;
    const holder = byId("events-chart");
    holder.hidden = false;
    chartWidth = holder.clientWidth;
    addLanes(holder);
    for (const place of document.querySelectorAll(".chart[data-panel]")) {
      const panel = data.panels[Number(place.dataset.panel)];
      const hooks = panel.kind === "heat" ? { drawAxes: [drawHeat(panel)], draw: [drawMarks] } : { draw: [drawMarks] };
      const chart = addChart(place, panel, hooks, HEIGHTS[panel.kind] || 170);
      addLegend(chart, document.querySelector(`[data-legend="${place.dataset.panel}"]`));
      makeSlider(chart, panel.title);
    }
    addFigures();
  }
  function addLanes(holder) {
    const chart = addChart(holder, lanes, { draw: [drawLanes] }, 150);
    makeSlider(chart, lanes.title);
    chart.describe = () => {
      holder.setAttribute("aria-valuenow", state.at.toFixed(3));
      const near = data.markers.filter((marker) => marker.at <= state.at + 0.05 && marker.to >= state.at - 0.05);
      holder.setAttribute("aria-valuetext", [seconds(state.at), ...near.map((marker) => marker.text)].join(", "));
    };
  }

  function resize() {
    const width = printing ? 680 : charts[0].holder.clientWidth;
    if (width === 0 || width === chartWidth) return;
    chartWidth = width;
    for (const chart of charts) chart.plot.setSize({ width, height: chart.height });
    drawSoon();
  }
  build();
  if (readFragment()) setView(state.from, state.to);
  drawSoon();
  byId("link").href = fragment();

  byId("zoom-in").addEventListener("click", () => zoom(0.5));
  byId("zoom-out").addEventListener("click", () => zoom(2));
  byId("zoom-all").addEventListener("click", () => setView(data.from, data.to));
  byId("zoom-span").addEventListener("click", zoomToSpan);
  byId("set-a").addEventListener("click", () => setEnd("a"));
  byId("set-b").addEventListener("click", () => setEnd("b"));
  for (const box of document.querySelectorAll("[data-sort]")) {
    box.addEventListener("change", () => {
      if (box.checked) shownSorts.add(box.dataset.sort); else shownSorts.delete(box.dataset.sort);
      redraw();
    });
  }
  addEventListener("hashchange", () => { if (readFragment()) { setView(state.from, state.to); redraw(); } });
  new ResizeObserver(() => requestAnimationFrame(resize)).observe(document.querySelector("main"));
  dark.addEventListener("change", redraw);
  // On paper nothing can be unfolded.
  let unfolded = [];
  addEventListener("beforeprint", () => {
    printing = true;
    unfolded = [...document.querySelectorAll("#findings details:not([open])")];
    for (const each of unfolded) each.open = true;
    resize();
    redraw();
  });
  addEventListener("afterprint", () => {
    printing = false;
    for (const each of unfolded) each.open = false;
    resize();
    redraw();
  });
})();
