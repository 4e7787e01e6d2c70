// The style sheet and the script of report.html: sortable tables, and a row lights up its curves. The page reads well
// without the script and on paper.
#pragma once

namespace regatta {

inline constexpr const char* kReportStyle = R"css(
:root { color-scheme: light; --ink: #1c2430; --soft: #5d6877; --rule: #dfe4ea; --paper: #fff; --tint: #f5f7f9; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 28px 24px 48px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 26px; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 34px 0 10px; }
p { margin: 6px 0; }
.soft, .none { color: var(--soft); }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0; }
.card { border: 1px solid var(--rule); border-radius: 8px; padding: 10px 16px; min-width: 130px; max-width: 100%; }
.card b { display: block; font-size: 22px; font-weight: 600; line-height: 1.3; overflow-wrap: anywhere; }
.card span { color: var(--soft); font-size: 13px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px; text-align: left; border-bottom: 1px solid var(--rule); vertical-align: top; white-space: nowrap; }
th { font-weight: 600; border-bottom: 2px solid #b9c2cc; background: var(--paper); }
th.sort { cursor: pointer; user-select: none; }
th.sort:hover { background: var(--tint); }
th[aria-sort=ascending]::after { content: " \25B2"; font-size: 10px; }
th[aria-sort=descending]::after { content: " \25BC"; font-size: 10px; }
td.n, th.n { text-align: right; }
td.text { white-space: normal; overflow-wrap: anywhere; min-width: 220px; }
.dense table { font-size: 13px; } .dense th, .dense td { padding: 4px 7px; }
tr.lit td { background: #eef4fb; }
tr.first td { font-weight: 600; }
code, pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { background: var(--tint); border: 1px solid var(--rule); border-radius: 6px; padding: 10px 12px; margin: 8px 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 5px; margin-right: 7px; }
.bad { color: #a4262c; }
.good { color: #1a7f4b; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; font-size: 14px; margin: 0 0 10px; }
.legend .lit { font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(480px, 100%), 1fr)); gap: 18px; }
figure { margin: 0; border: 1px solid var(--rule); border-radius: 8px; padding: 10px 12px 6px; break-inside: avoid; }
figcaption { font-weight: 600; font-size: 14px; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 12px; fill: var(--soft); }
svg text.label { font-size: 13px; fill: var(--ink); }
.grid { stroke: #e8ecf0; stroke-width: 1; fill: none; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.k0 .line { stroke: #b4bcc6; stroke-width: 1.2; } .k0 circle { fill: #b4bcc6; } .dot.k0 { background: #d5dae0; }
.k1 .line { stroke: #0072b2; stroke-width: 2.4; } .k1 circle, .dot.k1 { fill: #0072b2; background: #0072b2; }
.k2 .line { stroke: #d55e00; } .k2 circle, .dot.k2 { fill: #d55e00; background: #d55e00; }
.k3 .line { stroke: #009e73; } .k3 circle, .dot.k3 { fill: #009e73; background: #009e73; }
.k4 .line { stroke: #cc79a7; } .k4 circle, .dot.k4 { fill: #cc79a7; background: #cc79a7; }
.k5 .line { stroke: #e69f00; } .k5 circle, .dot.k5 { fill: #e69f00; background: #e69f00; }
.k6 .line { stroke: #56b4e9; } .k6 circle, .dot.k6 { fill: #56b4e9; background: #56b4e9; }
circle { fill-opacity: .85; stroke: #fff; stroke-width: 1; }
circle.off { fill-opacity: .35; }
p.off { color: var(--soft); font-size: 13px; overflow-wrap: anywhere; }
svg.dim g { opacity: .18; }
svg.dim g.lit { opacity: 1; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 18px; margin: 6px 0; font-size: 14px; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--soft); }
footer { margin-top: 40px; color: var(--soft); font-size: 13px; border-top: 1px solid var(--rule); padding-top: 10px; }
@media print {
  body { max-width: none; padding: 0; font-size: 11px; }
  table { font-size: 10px; } th, td { padding: 3px 5px; } .wide { overflow: visible; }
  .charts { grid-template-columns: 1fr 1fr; } h2 { break-after: avoid; } tr { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)css";

inline constexpr const char* kReportScript = R"js(
'use strict';
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    head.classList.add('sort');
    head.tabIndex = 0;
    const sort = () => {
      const sign = head.getAttribute('aria-sort') === 'ascending' ? -1 : 1;
      heads.forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', sign > 0 ? 'ascending' : 'descending');
      const keyed = Array.from(table.tBodies[0].rows).map(row => {
        const cell = row.cells[column];
        const text = cell.dataset.v === undefined ? cell.textContent.trim() : cell.dataset.v;
        return { row, text, number: text === '' ? NaN : Number(text) };
      });
      keyed.sort((a, b) => {
        if (Number.isNaN(a.number) !== Number.isNaN(b.number)) return Number.isNaN(a.number) ? 1 : -1;
        const order = Number.isNaN(a.number) ? a.text.localeCompare(b.text) : a.number - b.number;
        return sign * order;
      });
      for (const item of keyed) table.tBodies[0].appendChild(item.row);
    };
    head.addEventListener('click', sort);
    head.addEventListener('keydown', event => { if (event.key === 'Enter') sort(); });
  });
}
const keyed = Array.from(document.querySelectorAll('[data-key]')).filter(mark => mark.dataset.key !== '');
const light = key => {
  for (const mark of keyed) mark.classList.toggle('lit', key !== null && mark.dataset.key === key);
  for (const svg of document.querySelectorAll('svg')) {
    svg.classList.toggle('dim', key !== null && svg.querySelector('g.lit') !== null);
  }
};
for (const mark of keyed) {
  mark.addEventListener('mouseenter', () => light(mark.dataset.key));
  mark.addEventListener('mouseleave', () => light(null));
}
)js";

}  // namespace regatta
