// How the page of a build looks: light or dark as the reader has it, narrow and wide.
export const pageStyle = `
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5b6675;--ground:#fff;--line:#dfe3e9;--row:#f5f7f9;--bad:#b3261e;--good:#1a7f4b;
--pulling:#3b82c4;--unpacking:#7c5cc4;--running:#d08a1d;--snapshotting:#2a9d8f;--pushing:#4666d1;--building:#9aa5b1}
@media (prefers-color-scheme:dark){:root{--ink:#e4e8ee;--soft:#98a3b3;--ground:#14181f;--line:#2c343f;--row:#1b212a;--bad:#ff8a80;--good:#5fd39a}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1200px;margin:0 auto;padding:24px 16px 64px}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:32px 0 8px}
header p{margin:4px 0;color:var(--soft)}header ul{list-style:none;padding:0;margin:8px 0}
code,pre{font:13px/1.5 ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere;white-space:pre-wrap}
pre{background:var(--row);padding:12px;margin:8px 0}
header .failure{color:var(--bad);font-weight:600}
table{width:100%;border-collapse:collapse}
th{font-weight:400;color:var(--soft);text-align:left;font-size:13px}
th,td{padding:3px 8px;border-bottom:1px solid var(--line);vertical-align:top}
td:nth-last-child(-n+2),th:nth-last-child(-n+2){text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
tbody tr:hover{background:var(--row)}
small,.number{color:var(--soft)}
.cached{color:var(--good)}.failed{color:var(--bad)}
.bars{width:34%}.bars div{position:relative;height:20px}.bars i{position:absolute;top:4px;height:12px;min-width:2px;border-radius:2px}
i{background:var(--building)}
i.pulling{background:var(--pulling)}i.unpacking{background:var(--unpacking)}i.running{background:var(--running)}
i.snapshotting{background:var(--snapshotting)}i.pushing,i.writing{background:var(--pushing)}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;margin:4px 0;color:var(--soft);font-size:13px}
.legend i{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:6px}
figure{margin:8px 0}figcaption{color:var(--soft);font-size:13px}
svg{display:block;width:100%;height:72px;border-bottom:1px solid var(--line)}polygon{fill:var(--pulling);opacity:.6}
.layer{border-bottom:1px solid var(--line);padding:4px 8px}summary{cursor:pointer}
.head{display:inline-grid;width:calc(100% - 24px);grid-template-columns:64px 1fr 110px 70px 150px;gap:0 10px;align-items:baseline;vertical-align:top}
div.layer{padding-left:24px}div.layer>.head{width:100%}.bar{height:8px;align-self:center}
.bar i{display:block;height:8px;min-width:2px;border-radius:2px}
.size{display:inline-block;min-width:64px;text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.tree{list-style:none;margin:2px 0 6px;padding-left:18px}.tree .tree{padding-left:28px;border-left:1px solid var(--line);margin-left:34px}
.waste td:nth-child(n),.waste th:nth-child(n){text-align:left;white-space:normal}.waste td:nth-child(2n+1){white-space:nowrap}p.soft{margin:4px 0;color:var(--soft)}
@media (max-width:700px){.head{grid-template-columns:52px 1fr 60px}.head .bar{display:none}.head small:last-child{grid-column:2/4}.tree small{display:inline}.bars{width:22%}th,td{padding:3px 4px}small{display:block}}
`;
