// The page of a build: what is in it, and that a real browser shows it without anything from elsewhere.
import { layerDigest, stepLabel } from '../../support/step-label.ts';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BuildEvent } from '../../../src/events.ts';
import { parseDigest } from '../../../src/oci/digest.ts';
import { BuildRecord } from '../../../src/report/build-record.ts';
import { buildPage } from '../../../src/report/page.ts';
import { Timeline } from '../../../src/report/timeline.ts';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
const at = (line: number): { readonly start: { line: number; column: number }; readonly end: { line: number; column: number } } => ({
  start: { line, column: 1 },
  end: { line, column: 9 },
});
const steps = ['RUN make', 'RUN echo "</code><img src=http://127.0.0.1:9/x onerror=alert(1)>"', `RUN ${'x'.repeat(400)}`].map(
  (text, index) => stepLabel({ number: index + 1, total: 3, text, range: at(index + 2), overall: { number: index + 1, total: 3 } }),
);

/** Each event, and when: a build of eight seconds. */
const told: readonly (readonly [ms: number, event: BuildEvent])[] = [
  [
    0,
    {
      kind: 'build.started',
      dockerfile: 'Dockerfile',
      text: ['FROM a', ...steps.map(({ text }) => text), ''].join('\n'),
      platform: 'linux/amd64',
      destinations: ['r.example/a:1'],
    },
  ],
  [10, { kind: 'stage.started', stage: '', base: 'a' }],
  ...steps.flatMap((step, index): (readonly [number, BuildEvent])[] => [
    [1000 + index * 2000, { kind: 'step.started', step }],
    [1100 + index * 2000, { kind: 'phase', phase: 'running' }],
    [1500 + index * 2000, { kind: 'sample', cpuMs: 1000 * (index + 1), memoryBytes: 50_000_000 * (index + 1) }],
    [2500 + index * 2000, { kind: 'phase', phase: 'snapshotting' }],
    [
      3000 + index * 2000,
      {
        kind: 'step.finished',
        step,
        durationMs: 2000,
        ...(index === 0
          ? { recalled: { sizeBytes: 7000, digest: layerDigest } }
          : { layer: { entries: 3, sizeBytes: 12_000_000, digest: layerDigest } }),
      },
    ],
  ]),
  [7000, { kind: 'phase', phase: 'pushing' }],
  [8000, { kind: 'image.written', destination: `r.example/a@${digest}`, digest, sizeBytes: 1 }],
  [8000, { kind: 'build.finished', durationMs: 8000, digest }],
];

function page(): string {
  const record = new BuildRecord();
  const timeline = new Timeline();
  for (const [ms, event] of told) {
    record.add(event);
    timeline.add(event, 1_800_000_000_000 + ms);
  }
  return buildPage(record, timeline);
}

test('buildPage() shows each step where it was, how long its phases took, and what came from the cache', () => {
  const rows = page()
    .split('\n')
    .filter((line) => line.startsWith('<tr><td><'));
  assert.equal(rows.length, 5, 'base, three steps, push');
  assert.match(
    rows[1] ?? '',
    /<code>RUN make<\/code>.*class="running" style="left:13\.75%;width:17\.50%" title="running 1\.4s".*<b class="cached">cached<\/b> 7\.0 kB/,
  );
  assert.match(rows[4] ?? '', /<code>Push<\/code>.*class="pushing" style="left:87\.50%;width:12\.50%"/);
});

test('buildPage() has the Dockerfile with the cost of each line, and processors and memory as they went', () => {
  assert.match(page(), /<td class="number">3<\/td>.*<td>2\.0s<\/td><td>12 MB<\/td>/);
  assert.match(page(), /processors, at most 0\.5<.*memory, at most 150 MB</);
});

test('buildPage() has nothing in it that is markup of strangers', () => {
  assert.doesNotMatch(page(), /<img|<script|onerror=alert\(1\)>|<\/code><\/code>/);
});

const chromium = '/usr/bin/chromium';
const hasChromium = spawnSync(chromium, ['--version']).status === 0;

for (const width of [1280, 400]) {
  test(
    `chromium shows the page ${width} pixels wide, without a scroll bar across and without asking anybody`,
    { skip: hasChromium ? false : 'needs chromium of Debian' },
    () => {
      using folder = mkdtempDisposableSync(join(tmpdir(), 'page-'));
      const file = join(folder.path, 'page.html');
      // The page has no script; this one, of the test, tells how wide it is.
      const probe = `<script nonce="t">document.documentElement.dataset.wide=String(document.documentElement.scrollWidth);document.documentElement.dataset.asked=String(performance.getEntriesByType('resource').length)</script></body>`;
      writeFileSync(file, page().replace("default-src 'none'", "default-src 'none'; script-src 'nonce-t'").replace('</body>', probe));
      const flags = [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        `--user-data-dir=${folder.path}/profile`,
        `--window-size=${width},1000`,
      ];
      const dom = spawnSync(chromium, [...flags, '--dump-dom', `file://${file}`], { encoding: 'utf8', timeout: 60_000 });
      assert.match(dom.stdout, /data-asked="0"/, dom.stderr);
      const wide = Number(/data-wide="(\d+)"/.exec(dom.stdout)?.[1]);
      assert.ok(wide > 0 && wide <= Math.max(width, 500), `${wide} pixels`); // headless chromium is never narrower than 500
      const shot = join(folder.path, 'page.png');
      spawnSync(chromium, [...flags, `--screenshot=${shot}`, `file://${file}`], { timeout: 60_000 });
      assert.equal(readFileSync(shot).subarray(1, 4).toString(), 'PNG');
    },
  );
}
