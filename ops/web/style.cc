#include "ops/web/assets.h"

namespace contimg::ops {

// Colours are named for what they mean; the dark scheme replaces only their values.
std::string_view StyleSheet() {
  return R"css(
:root {
  color-scheme: light dark;
  --paper: #f4f5f7; --panel: #ffffff; --ink: #1b1f27; --dim: #5c6573; --line: #dfe2e8; --soft: #eceef2;
  --link: #1a5fb4; --focus: #1a5fb4;
  --good: #12754a; --warning: #b36b00; --bad: #c7291f; --unknown: #6b7280;
  --good-wash: #e4f5ec; --warning-wash: #fdf1dc; --bad-wash: #fde8e6; --unknown-wash: #eceef2;
  --collecting: #8b95a7; --ready: #4f83e3; --running: #0893b0; --awaiting: #9a5fd0; --done: #2a9d6a;
  --failed: #dd8500; --dead: #d3362d; --held: #a98a14; --cancelled: #8d8d8d;
  --active: #2f7fd0; --retired: #7b8698; --refused: #d3362d; --grid: #b9c0cb;
  --mono: ui-monospace, "SF Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0e1116; --panel: #161b22; --ink: #e4e8ee; --dim: #97a1b0; --line: #2a313c; --soft: #1f2630;
    --link: #7db4ff; --focus: #7db4ff;
    --good: #45c98a; --warning: #f0b13c; --bad: #ff6b61; --unknown: #97a1b0;
    --good-wash: #10271c; --warning-wash: #2b2110; --bad-wash: #321615; --unknown-wash: #1f2630;
    --collecting: #7f8a9d; --ready: #6d9cf0; --running: #2cb8d6; --awaiting: #b98ae6; --done: #38b27c;
    --failed: #f0a234; --dead: #f4574d; --held: #d0b23c; --cancelled: #7a7f88;
    --active: #4f9be8; --retired: #8593a8; --refused: #f4574d; --grid: #48525f;
  }
}
* { box-sizing: border-box; }
html { font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
body { margin: 0; background: var(--paper); color: var(--ink); font-variant-numeric: tabular-nums; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; border-radius: 3px; }
h1, h2, h3, h4, p, ul, ol, dl, dd { margin: 0; padding: 0; }
h1 { font-size: 1.5rem; line-height: 1.2; }
h2 { font-size: 1.02rem; margin-bottom: .6rem; }
h3 { font-size: .95rem; margin: .9rem 0 .4rem; }
h4 { font-size: .85rem; margin: .8rem 0 .3rem; color: var(--dim); }
ul, ol { list-style: none; }
small { color: var(--dim); }
code { font-family: var(--mono); font-size: .86em; overflow-wrap: anywhere; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: .5rem; top: .5rem; background: var(--panel); padding: .5rem; z-index: 9; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

header { display: flex; align-items: center; gap: .4rem 1.2rem; flex-wrap: wrap; padding: .7rem 1.4rem;
  background: var(--panel); border-bottom: 1px solid var(--line); }
.brand { font-weight: 700; font-size: 1.15rem; letter-spacing: -.01em; color: var(--ink); }
header nav { display: flex; gap: .2rem; flex: 1; }
header nav a { padding: .25rem .7rem; border-radius: .4rem; color: var(--dim); }
header nav a[aria-current] { background: var(--soft); color: var(--ink); font-weight: 600; }
.light { display: inline-flex; align-items: center; gap: .45rem; color: var(--ink); font-weight: 600; }
.clock { color: var(--dim); white-space: nowrap; }
.clock abbr { text-decoration: none; }
main { padding: 1.2rem 1.4rem 2rem; max-width: 112rem; margin: 0 auto; }
footer { display: flex; gap: 1.2rem; padding: 0 1.4rem 1.5rem; color: var(--dim); font-size: .85rem; max-width: 112rem;
  margin: 0 auto; }

.light i, .health h1 i { display: inline-block; width: .72em; height: .72em; border-radius: 50%; background: var(--unknown); }
.light.good i, .health.good i { background: var(--good); }
.light.warning i, .health.warning i { background: var(--warning); border-radius: 0; clip-path: polygon(50% 4%, 100% 96%, 0 96%); }
.light.bad i, .health.bad i { background: var(--bad); border-radius: .12em; }
.health { border-radius: .7rem; padding: .9rem 1.2rem; margin-bottom: 1.1rem; background: var(--unknown-wash);
  border-left: .35rem solid var(--unknown); display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1.1rem; }
.health h1 { display: flex; align-items: center; gap: .6rem; }
.health p { color: var(--ink); }
.health ul { flex-basis: 100%; margin-top: .3rem; }
.health li { padding: .25rem 0 .25rem 1rem; border-left: .25rem solid var(--warning); margin: .3rem 0; overflow-wrap: anywhere; }
.health li.red { border-color: var(--bad); }
.health.good { background: var(--good-wash); border-color: var(--good); }
.health.warning { background: var(--warning-wash); border-color: var(--warning); }
.health.bad { background: var(--bad-wash); border-color: var(--bad); }

.columns { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.1rem; }
.columns > div { display: grid; gap: 1.1rem; align-content: start; min-width: 0; }
@media (min-width: 70rem) { .columns { grid-template-columns: minmax(0, 1fr) 25rem; } }
@media (max-width: 69.99rem) {  /* one column, the urgent first */
  .columns > div { display: contents; }
  .failures { order: 1; } .work { order: 2; } .validity { order: 3; } .images { order: 4; } .disks { order: 5; }
}
section { background: var(--panel); border: 1px solid var(--line); border-radius: .7rem; padding: 1rem 1.2rem; min-width: 0; }
.health { border-top: 0; border-right: 0; border-bottom: 0; }
.head { display: flex; align-items: baseline; flex-wrap: wrap; gap: .3rem 1rem; margin-bottom: .6rem; }
.head h2 { margin: 0; }
.head p { color: var(--dim); font-size: .88rem; }
.head nav { margin-left: auto; }
.spans { display: flex; gap: .15rem; font-size: .88rem; }
.spans a { padding: .15rem .55rem; border-radius: .35rem; }
.spans a[aria-current] { background: var(--soft); color: var(--ink); font-weight: 600; }
.empty { color: var(--dim); }
.problem { color: var(--bad); }

.lane { display: grid; grid-template-columns: 17rem minmax(0, 1fr); align-items: center; gap: .8rem; }
.lane-name { display: flex; align-items: center; gap: .5rem; font-size: .88rem; min-width: 0; }
.lane-name .note { margin-left: auto; color: var(--dim); white-space: nowrap; }
.lane-name a, .lane-name span:first-of-type { color: var(--ink); white-space: nowrap; }
.track { display: block; width: 100%; overflow: hidden; background: var(--soft); border-radius: 3px; margin: 2px 0; }
.axis .track { background: none; overflow: visible; }
.axis .lane-name { color: var(--dim); justify-content: flex-end; }
.axis text { fill: var(--dim); font-size: .76rem; text-anchor: middle; }
.axis text.day { fill: var(--ink); font-weight: 600; }
.tick { stroke: var(--grid); stroke-width: 1; }
.tick.day { stroke: var(--dim); stroke-width: 1.5; }
.now { stroke: var(--ink); stroke-width: 2; stroke-opacity: .7; }
.bar { shape-rendering: crispEdges; }
.bar.dead, .bar.failed, .bar.held { stroke: var(--it); stroke-width: 1.5; }
.track a:hover .bar { stroke: var(--ink); stroke-width: 2; }
.mark { width: .7rem; height: .7rem; border-radius: 2px; flex: none; display: inline-block; }
.collecting { --it: var(--collecting); } .ready { --it: var(--ready); } .running { --it: var(--running); }
.awaiting_calibration { --it: var(--awaiting); } .done { --it: var(--done); } .failed { --it: var(--failed); }
.dead { --it: var(--dead); } .held { --it: var(--held); } .cancelled { --it: var(--cancelled); }
.mark, .bar { background: var(--it); fill: var(--it); }
.table.active, .mark.active { --it: var(--active); }
.table.retired, .mark.retired { --it: var(--retired); }
.table.failed, .mark.failed-table { --it: var(--refused); }
.bar.table { stroke: var(--panel); stroke-width: 1; fill-opacity: .85; }
.bar.table.retired { fill-opacity: .45; stroke: var(--retired); }
.bar.table.failed { fill-opacity: .55; }
.covers { grid-column: 2; margin: .15rem 0 0 17.8rem; color: var(--dim); font-size: .82rem; text-align: center; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; color: var(--dim); font-size: .82rem; margin-top: .5rem; }
.legend span { display: inline-flex; align-items: center; gap: .4rem; }
@media (max-width: 52rem) {
  .lane { grid-template-columns: minmax(0, 1fr); gap: 0; margin-bottom: .3rem; }
  .axis .lane-name, .axis .minor { display: none; }
  .covers { margin-left: 0; }
}

.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(11.5rem, 1fr)); gap: 1rem; }
.card { position: relative; min-width: 0; }
.card > a { display: block; }
.card img, .nopicture { display: block; width: 100%; height: auto; aspect-ratio: 1; border-radius: .5rem; background: #0b0c11; }
.nopicture { background: var(--soft); color: var(--dim); display: grid; place-items: center; font-size: .85rem; }
.card .when { display: block; margin-top: .35rem; font-weight: 600; font-size: .88rem; overflow-wrap: anywhere; }
.card .grade { position: absolute; top: .5rem; right: .5rem; box-shadow: 0 1px 4px #0008; }
.card dl { font-size: .82rem; margin-top: .15rem; }
.card dl div { display: flex; justify-content: space-between; gap: .5rem; }
.card dt { color: var(--dim); }
.grade { display: inline-grid; place-items: center; min-width: 1.7em; height: 1.7em; border-radius: .4em; font-weight: 700;
  color: #fff; background: var(--unknown); font-size: .95rem; }
.grade.a { background: #12754a; } .grade.b { background: #577300; } .grade.c { background: #9a5b00; } .grade.f { background: #c7291f; }

.badge { display: inline-block; padding: .05rem .55rem; border-radius: 1rem; font-size: .82rem; font-weight: 600;
  white-space: nowrap; border: 1.5px solid var(--it); color: var(--ink); }
.badge::before { content: ""; display: inline-block; width: .55em; height: .55em; border-radius: 50%; background: var(--it);
  margin-right: .4em; }
.kind { display: inline-block; font-family: var(--mono); font-size: .78rem; padding: 0 .4rem; border-radius: .3rem;
  background: var(--soft); color: var(--dim); }
.id { font-weight: 600; overflow-wrap: anywhere; }
.job { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .1rem .8rem; padding: .35rem 0; }
.job progress { grid-column: 1 / -1; }
.job small { grid-column: 1 / -1; }
progress, meter { width: 100%; height: .6rem; border: 0; border-radius: 1rem; background: var(--soft); appearance: none; overflow: hidden; }
progress::-webkit-progress-bar { background: var(--soft); }
progress::-webkit-progress-value { background: var(--running); }
progress::-moz-progress-bar { background: var(--running); }
meter::-webkit-meter-inner-element { display: block; height: 100%; }
meter::-webkit-meter-bar { background: var(--soft); border: 0; border-radius: 1rem; height: 100%; }
meter::-webkit-meter-optimum-value { background: var(--done); }
meter::-webkit-meter-suboptimum-value { background: var(--failed); }
meter::-webkit-meter-even-less-good-value { background: var(--dead); }
.disk { display: grid; grid-template-columns: 4.5rem minmax(0, 1fr); gap: 0 .8rem; align-items: center; padding: .2rem 0; }
.disk small { grid-column: 2; }
.failures h3 { display: flex; align-items: center; gap: .6rem; }
.failures li { border-top: 1px solid var(--line); padding: .5rem 0; }
.failures li small { display: block; }
.failures li p { overflow-wrap: anywhere; font-size: .9rem; }
.struck { font-size: .88rem; } .struck .id { font-weight: 500; white-space: nowrap; }
.cure { font-size: .88rem; color: var(--dim); margin-bottom: .4rem; }
.command { display: flex; align-items: center; gap: .4rem; background: var(--soft); border-radius: .4rem; padding: .3rem .6rem;
  margin-top: .3rem; max-width: 100%; width: fit-content; color: var(--ink); }
.command code::before { content: "$ "; color: var(--dim); user-select: none; }
.copy { font: inherit; font-size: .78rem; border: 1px solid var(--line); border-radius: .3rem; background: var(--panel); color: var(--dim);
  cursor: pointer; padding: 0 .45rem; flex: none; }
.welcome p { margin-bottom: .4rem; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .88rem; }
.rows { width: 100%; }
.rows th { text-align: left; color: var(--dim); font-weight: 500; padding: .25rem .8rem .25rem 0; white-space: nowrap; }
.rows td { padding: .25rem .8rem .25rem 0; border-top: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
.rows tbody th { border-top: 1px solid var(--line); color: var(--ink); }
.rows td.why { white-space: normal; min-width: 9rem; }
.rows td.cause, .rows td.path { white-space: normal; overflow-wrap: anywhere; min-width: 16rem; }
.rows td.thumb { padding: .2rem .6rem .2rem 0; } .thumb img { display: block; border-radius: .3rem; background: #0b0c11; }
.rows.gates th[scope=row] { white-space: normal; font-weight: 400; } .meaning { display: block; }
.key { display: grid; gap: .15rem; margin-bottom: .7rem; font-size: .92rem; }
.key div { display: grid; grid-template-columns: 11rem minmax(0, 1fr); gap: .8rem; } .key dt { color: var(--dim); }
.noise { margin: .8rem 0 0; } .noise figcaption { color: var(--dim); font-size: .82rem; margin-bottom: .2rem; }
.noise svg { width: 9rem; border: 1px solid var(--line); border-radius: .2rem; } .noise rect { fill: var(--ink); }
.groups tbody tr:hover, .events tr:hover { background: var(--soft); }
.figures th { text-align: left; font-weight: 400; color: var(--dim); padding: .1rem 1.2rem .1rem 0; vertical-align: top; }
.figures td { padding: .1rem 0; overflow-wrap: anywhere; }
.nested { border-left: 2px solid var(--line); padding-left: .9rem; }
details { margin-top: .6rem; }
summary { cursor: pointer; color: var(--link); }
.filter { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin-bottom: 1rem; color: var(--dim); font-size: .9rem; }
.filter select, .filter input, .filter button { font: inherit; color: var(--ink); background: var(--panel); border: 1px solid var(--line);
  border-radius: .35rem; padding: .25rem .5rem; margin-left: .2rem; }
.pager { display: flex; gap: 1rem; margin-top: 1rem; }

main > section { margin-bottom: 1.1rem; }
.lead { color: var(--dim); margin-bottom: 1rem; }
.cause.wide { border-left: .35rem solid var(--it); }
.cause p { overflow-wrap: anywhere; }
.picture { padding: 0; overflow: hidden; background: #0b0c11; }
.picture img { display: block; width: 100%; height: auto; }
.flow { columns: 30rem; column-gap: 1.1rem; }
.flow > section { break-inside: avoid; margin-bottom: 1.1rem; }
.verdict { font-weight: 600; } .verdict.passed { color: var(--good); } .verdict.missed { color: var(--bad); }
.share { width: 55%; } .share svg { width: 100%; display: block; margin-top: .35rem; } .share rect { fill: var(--running); }
.sum td, .sum th { font-weight: 600; }
.subbands { display: flex; flex-wrap: wrap; gap: .3rem; }
.subbands li { width: 2.1rem; height: 1.7rem; display: grid; place-items: center; border-radius: .3rem; font-size: .8rem; position: relative; }
.subbands .here { background: var(--good-wash); color: var(--good); font-weight: 600; }
.subbands .missing { border: 1.5px dashed var(--bad); color: var(--bad); }
.lineage ul ul { margin-left: .5rem; padding-left: 1rem; border-left: 2px solid var(--line); }
.lineage li { padding: .25rem 0; font-size: .9rem; overflow-wrap: anywhere; }
.lineage li > ul::before { content: "made from"; display: block; color: var(--dim); font-size: .78rem; }
.lineage details > ul::before { content: none; }
.product b { font-weight: 600; } .product.removed, .product.missing { opacity: .65; }
.again { color: var(--dim); font-size: .82rem; }
.events .other td { color: var(--dim); }
.jobrow + .jobrow { border-top: 1px solid var(--line); margin-top: .8rem; }
.twin { font-size: .88rem; }
@media (max-width: 40rem) {
  header { padding: .6rem .9rem; } main { padding: .9rem .7rem 1.5rem; } section { padding: .8rem .9rem; }
  header nav { order: 3; flex-basis: 100%; }
  .light { margin-left: auto; } .clock { display: none; }
  .cards { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .7rem; }
  .head nav { margin-left: 0; }
  .key div { grid-template-columns: minmax(0, 1fr); gap: 0; }
  /* Wide tables become a card a row, so that nothing runs off the screen. */
  .rows.stacked thead { display: none; }
  .rows.stacked tr { display: block; border-top: 1px solid var(--line); padding: .4rem 0; }
  .rows.stacked td { display: inline-block; border: 0; padding: .05rem .8rem .05rem 0; white-space: normal; }
  .rows.stacked td:empty { display: none; }
  .rows.stacked th[scope=row] { display: block; border: 0; padding: 0; font-weight: 600; }
  .rows.stacked td.path, .rows.stacked td.cause { display: block; min-width: 0; }
  .rows td.cause, .rows td.path, .rows td.why { min-width: 0; }
}
@media (min-width: 150rem) { html { font-size: 20px; } }
body.silent .light span::after { content: " (no answer)"; color: var(--bad); }
body.silent main { opacity: .55; }
@media print { header nav, .copy, .spans, footer { display: none; } section { break-inside: avoid; } }
)css";
}

// Without it everything is there; with it pages renew themselves in place and commands can be copied with a click.
std::string_view PageScript() {
  return R"js('use strict';
(() => {
  const addCopyButtons = () => {
    if (!navigator.clipboard) return;
    for (const command of document.querySelectorAll('.command')) {
      if (command.querySelector('.copy')) continue;
      const button = document.createElement('button');
      button.className = 'copy';
      button.type = 'button';
      button.textContent = 'copy';
      button.setAttribute('aria-label', 'copy the command');
      button.addEventListener('click', async () => {
        await navigator.clipboard.writeText(command.querySelector('code').textContent);
        button.textContent = 'copied';
        setTimeout(() => { button.textContent = 'copy'; }, 1500);
      });
      command.append(button);
    }
  };
  addCopyButtons();

  const interval = Number(document.body.dataset.refreshS) * 1000;
  if (!(interval > 0)) return;
  const main = document.getElementById('main');
  const renew = async () => {
    // Not behind the reader's back: while something is selected or focused inside, the page stays as it is.
    const selection = document.getSelection();
    const busy = main.contains(document.activeElement) || (selection && !selection.isCollapsed);
    if (document.hidden || busy) return;
    let answer;
    try {
      answer = await fetch(location.href, {headers: {Accept: 'text/html'}, signal: AbortSignal.timeout(8000)});
    } catch {
      document.body.classList.add('silent');
      document.title = 'No answer · contimg';
      return;
    }
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const freshMain = fresh.getElementById('main');
    if (!freshMain) return;
    for (const details of main.querySelectorAll('details[id]')) {
      const twin = freshMain.querySelector('#' + CSS.escape(details.id));
      if (twin) twin.open = details.open;
    }
    main.replaceChildren(...freshMain.childNodes);
    for (const part of ['.light', '.clock']) {
      const old = document.querySelector('header ' + part), now = fresh.querySelector('header ' + part);
      if (old && now) old.replaceWith(now);
    }
    const icon = document.querySelector('link[rel=icon]'), freshIcon = fresh.querySelector('link[rel=icon]');
    if (icon && freshIcon && icon.getAttribute('href') !== freshIcon.getAttribute('href')) {
      icon.setAttribute('href', freshIcon.getAttribute('href'));
    }
    document.title = fresh.title;
    document.body.classList.remove('silent');
    addCopyButtons();
  };
  setInterval(renew, interval);
})();
)js";
}

}  // namespace contimg::ops
