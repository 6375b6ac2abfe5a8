/** The look of the page of results. */
export const pageStyle = `
:root { color-scheme: light dark; --ink:#1c2430; --dim:#667085; --paper:#fbfbfc; --card:#ffffff; --line:#98a2b3; --rule:#e4e7ec;
  --accent:#175cd3; --good:#067647; --warn:#b54708; --bad:#b42318; --stripe:#f5f7fa; --markwarn:#fef0c7; }
@media (prefers-color-scheme: dark) { :root { --ink:#e6e9ef; --dim:#98a2b3; --paper:#0f1319; --card:#171c24; --line:#667085;
  --rule:#2a313c; --accent:#84adff; --good:#47cd89; --warn:#fdb022; --bad:#f97066; --stripe:#1b212b; --markwarn:#3d2c05; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin:0; background:var(--paper); color:var(--ink); font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif; }
header, main, footer { max-width: 1080px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 40px; }
h1 { font-size: 26px; line-height:1.25; margin: 0 0 6px; letter-spacing:-.01em; }
h2 { font-size: 18px; margin: 0 0 12px; }
h4 { font-size: 13px; margin: 14px 0 4px; color:var(--dim); font-weight:600; }
p { margin: 0 0 10px; max-width: 72ch; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
.facts, .note, .dim, footer { color: var(--dim); }
.facts b { color: var(--ink); font-weight: 600; }
.note { font-size: 13px; margin-top: 8px; }
.warn { color: var(--warn); }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 20px 22px; margin: 20px 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
thead th { text-align: left; font-weight: 600; color: var(--dim); border-bottom: 1.5px solid var(--line); padding: 4px 12px 6px; vertical-align: bottom; font-size: 13px; }
tbody td { padding: 5px 12px; border-bottom: 1px solid var(--rule); white-space: nowrap; }
tbody tr:nth-child(even) { background: var(--stripe); }
tbody tr:last-child td { border-bottom: none; }
th.number, td.number { text-align: right; }
td.axis { font-weight: 600; }
td.source, th.source { text-align: left; color: var(--dim); }
tr.stale td:not(.source), tr.missing td:not(.source) { color: var(--dim); font-style: italic; }
.none { color: var(--dim); }
.mark { display:inline-block; font-size: 11.5px; line-height: 1.4; border-radius: 4px; padding: 0 6px; background: var(--markwarn); color: var(--warn); cursor: help; font-style: normal; }
.conclusions { border-left: 4px solid var(--accent); } .conclusions p { margin: 4px 0; }
dl.values { display: grid; grid-template-columns: repeat(auto-fill, minmax(215px, 1fr)); gap: 0 26px; margin: 0; font-size: 14px; }
dl.values div { display: flex; justify-content: space-between; gap: 12px; border-bottom: 1px solid var(--rule); padding: 4px 0; }
dl.values dt { color: var(--dim); overflow-wrap: anywhere; } dl.values dd { margin: 0; font-variant-numeric: tabular-nums; white-space: nowrap; }
dl.values.stale dd { font-style: italic; color: var(--dim); }
figure { margin: 0; } figcaption { color: var(--dim); font-size: 13px; margin-top: 8px; }
.chart svg { max-width: 100%; height: auto; }
.paper { max-width: 100%; background: #fff; border-radius: 6px; padding: 6px; }
table.facts { color: var(--ink); font-size: 13px; }
table.facts th { text-align: left; font-weight: 500; color: var(--dim); padding: 2px 18px 2px 0; vertical-align: top; white-space: nowrap; }
table.facts td { padding: 2px 0; border: none; white-space: normal; overflow-wrap: anywhere; }
table.facts tr:nth-child(even) { background: none; }
code { font: 12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace; }
details { border-top: 1px solid var(--rule); padding: 7px 0; } details:first-of-type { border-top: none; }
details:has(:target) { background: var(--stripe); margin: 0 -22px; padding: 7px 22px; }
summary { cursor: pointer; font-size: 14px; overflow-wrap: anywhere; }
details > div { margin: 8px 0 4px 18px; scroll-margin-top: 60px; }
footer { padding: 4px 24px 40px; font-size: 13px; }
@media print { body { background: #fff; } section { border: none; padding: 0; break-inside: avoid; } details { break-inside: avoid; } }
`;
