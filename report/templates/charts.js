"use strict";
// Charts take their colours and their width from the page, so that they follow it from light to dark, and to paper.
const drawn = [...document.querySelectorAll("script[data-chart]")].map((script) => ({
  place: document.getElementById(script.dataset.chart),
  chart: JSON.parse(script.textContent),
}));
function draw() {
  const style = getComputedStyle(document.documentElement);
  const [text, line] = ["--text", "--line"].map((name) => style.getPropertyValue(name).trim());
  const axis = { color: text, gridcolor: line, linecolor: line, zerolinecolor: line };
  for (const { place, chart } of drawn) {
    const own = chart.layout;
    const layout = { ...own, font: { color: text, size: 12 }, xaxis: { ...own.xaxis, ...axis }, yaxis: { ...own.yaxis, ...axis } };
    layout.width = place.clientWidth; // plotly's own way to fit is late for paper
    Plotly.react(place, chart.data, layout, { displayModeBar: false });
  }
}
draw();
addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
matchMedia("print").addEventListener("change", draw);
