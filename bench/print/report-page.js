// Draws a report's charts with uPlot, in the browser. Its data lies in the page as JSON.
(() => {
  const cells = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colours = {
    light: ["#0b6e4f", "#b42318", "#2563eb", "#b45309", "#7c3aed", "#0e7490", "#4d7c0f", "#be185d"],
    dark: ["#4ade80", "#f87171", "#60a5fa", "#fbbf24", "#c4b5fd", "#22d3ee", "#a3e635", "#f472b6"],
  };
  const dashes = [[], [6, 4], [2, 3]];
  const logarithmic = 3;
  const HEIGHT = 320;
  const NARROW = 500;

  /** A cell has the same colour in every chart. */
  const series = (cell) => {
    const at = cells.indexOf(cell);
    const palette = dark.matches ? colours.dark : colours.light;
    return {
      label: cell.name,
      stroke: palette[at % palette.length],
      dash: dashes[Math.floor(at / palette.length) % dashes.length],
      width: 2,
      spanGaps: true,
      points: { show: false },
    };
  };

  const duration = (us) => (us >= 1e6 ? `${us / 1e6} s` : us >= 1e3 ? `${us / 1e3} ms` : `${us} µs`);
  const count = (n) => (n >= 1e6 ? `${n / 1e6} M` : n >= 1e3 ? `${n / 1e3} k` : String(n));

  // 1 in 100 took longer: 99 %.
  const percentile = (oneIn) => {
    const digits = Math.max(0, Math.round(Math.log10(oneIn)) - 2);
    return `${(100 - 100 / oneIn).toFixed(digits)} %`;
  };
  const powersOfTen = (values) =>
    values.map((v) => (v && Number.isInteger(+Math.log10(v).toFixed(9)) ? v : null));

  const axis = (style) => {
    const text = getComputedStyle(document.documentElement);
    const line = text.getPropertyValue("--line");
    return {
      stroke: text.getPropertyValue("--text"),
      grid: { stroke: line, width: 1 },
      ticks: { stroke: line, width: 1 },
      font: "12px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif",
      ...style,
    };
  };

  const plots = [];
  const draw = (id, kept, x, y, options) => {
    const target = document.getElementById(id);
    if (kept.length === 0) {
      target.textContent = "Nothing to draw: not measured in this run.";
      return;
    }
    const plot = {
      width: target.clientWidth,
      height: HEIGHT,
      legend: { live: false },
      padding: [12, 24, 0, 0],
      ...options,
      axes: options.axes.map(axis),
      series: [{}, ...kept.map(series)],
    };
    plots.push({ target, plot: new uPlot(plot, uPlot.join(kept.map((cell) => [cell[x], cell[y]])), target) });
  };

  const overTime = (id, y, label, text) =>
    draw(
      id,
      cells.filter((cell) => cell[y].some((value) => value !== null)),
      "seconds",
      y,
      {
        scales: {
          x: { time: false, range: (_plot, _min, max) => [0, max || 1] },
          y: { range: (_plot, _min, max) => [0, (max || 1) * 1.08] },
        },
        axes: [{ label: "time (s)" }, { label, size: 64, values: (_plot, values) => values.map(text) }],
      },
    );

  const drawAll = () => {
    for (const { plot } of plots.splice(0)) plot.destroy();
    draw(
      "latency",
      cells.filter((cell) => cell.micros.length > 0),
      "oneIn",
      "micros",
      {
        scales: {
          // No further than the messages reach: of a thousand, none is the slowest of ten thousand.
          x: { time: false, distr: logarithmic, range: (_plot, min, max) => [min, Math.max(max, 10 * min)] },
          y: { distr: logarithmic },
        },
        axes: [
          {
            label: "percentile of messages",
            values: (_plot, values) => powersOfTen(values).map((v) => (v === null ? "" : percentile(v))),
          },
          {
            label: "round trip",
            size: 64,
            values: (_plot, values) => powersOfTen(values).map((v) => (v === null ? "" : duration(v))),
          },
        ],
      },
    );
    overTime("throughput", "perSecond", "messages a second", count);
    overTime("cpu", "cpuPercent", "server CPU (% of one core)", String);
    overTime("rss", "rssMb", "resident memory (MB)", String);
  };

  const height = (width) => (width < NARROW ? 0.75 * HEIGHT : HEIGHT);
  const fit = () => {
    for (const { target, plot } of plots)
      plot.setSize({ width: target.clientWidth, height: height(target.clientWidth) });
  };

  drawAll();
  fit();
  addEventListener("resize", fit);
  dark.addEventListener("change", () => {
    drawAll();
    fit();
  });
})();
