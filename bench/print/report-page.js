// Draws a report's charts with uPlot, in the browser. Its data lies in the page as JSON.
(() => {
  const cells = JSON.parse(document.getElementById("data").textContent);
  const colours = ["#0b6e4f", "#d62828", "#3a86ff", "#fb8500", "#8338ec", "#118ab2", "#6a994e", "#b5179e"];
  const dashes = [[], [6, 4], [2, 3]];
  const logarithmic = 3;

  const series = (cell, at) => ({
    label: cell.name,
    stroke: colours[at % colours.length],
    dash: dashes[Math.floor(at / colours.length) % dashes.length],
    width: 2,
    spanGaps: true,
    points: { show: false },
  });

  const duration = (us) => (us >= 1e6 ? `${us / 1e6} s` : us >= 1e3 ? `${us / 1e3} ms` : `${us} µs`);
  const count = (n) => (n >= 1e6 ? `${n / 1e6} M` : n >= 1e3 ? `${n / 1e3} k` : String(n));

  // 1 in 100 took longer: 99 %.
  const percentile = (oneIn) => {
    const digits = Math.max(0, Math.round(Math.log10(oneIn)) - 2);
    return `${(100 - 100 / oneIn).toFixed(digits)} %`;
  };
  const powersOfTen = (values) =>
    values.map((v) => (v && Number.isInteger(+Math.log10(v).toFixed(9)) ? v : null));

  const draw = (id, kept, x, y, options) => {
    const target = document.getElementById(id);
    if (kept.length === 0) {
      target.textContent = "Nothing to draw: not measured in this run.";
      return;
    }
    const data = uPlot.join(kept.map((cell) => [cell[x], cell[y]]));
    const plot = {
      width: Math.min(1140, document.body.clientWidth),
      height: 340,
      legend: { live: false },
      padding: [12, 40, 0, 0],
      ...options,
      series: [{}, ...kept.map(series)],
    };
    new uPlot(plot, data, target);
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
        axes: [{ label: "time (s)" }, { label, size: 80, values: (_plot, values) => values.map(text) }],
      },
    );

  draw(
    "latency",
    cells.filter((cell) => cell.micros.length > 0),
    "oneIn",
    "micros",
    {
      scales: { x: { time: false, distr: logarithmic }, y: { distr: logarithmic } },
      axes: [
        {
          label: "percentile of messages (%)",
          values: (_plot, values) => powersOfTen(values).map((v) => (v === null ? "" : percentile(v))),
        },
        {
          label: "round trip (µs, ms, s)",
          size: 80,
          values: (_plot, values) => powersOfTen(values).map((v) => (v === null ? "" : duration(v))),
        },
      ],
    },
  );
  overTime("throughput", "perSecond", "messages a second", count);
  overTime("cpu", "cpuPercent", "server CPU (% of one core)", String);
  overTime("rss", "rssMb", "resident memory (MB)", String);
})();
